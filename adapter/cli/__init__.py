"""The command line: arguments in, exit code out. It prints and starts things; it decides and computes nothing.

Exit codes: 0 done, 1 failed, 2 bad configuration or bad arguments; `doctor` adds 3, could not examine.
"""

# ruff: noqa: PLC0415 -- a command is imported once it is named

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from adapter import __version__
from adapter.errors import AdapterError, ConfigurationError

_DESCRIPTION = """\
Keeps LLM serving within its SLO at the least cost: reads the metrics of vLLM and SGLang pods, decides how many replicas
of which variant each model needs, and publishes the numbers for HPA, KEDA, AIBrix and Prometheus."""

_EPILOG = """\
examples:
  variant-autoscaler check-config examples/minimal.yaml
  variant-autoscaler plan --config examples/minimal.yaml
  variant-autoscaler run --config examples/minimal.yaml

exit codes: 0 done, 1 failed (doctor: something is wrong), 2 bad configuration or bad arguments,
            3 doctor could not examine"""

Fill: TypeAlias = Callable[[argparse.ArgumentParser], None]

_COMMANDS: Final[Mapping[str, str]] = {
    "run": "run the autoscaler",
    "demo": "watch it work: an embedded fleet, real HTTP, no cluster",
    "check-config": "tell everything that is wrong with a configuration file",
    "plan": "make one dry pass and print decisions with their reasons",
    "doctor": "examine a cluster and say what to mend",
    "simulate": "play a trace under one policy or several: cost, promises kept, bounds",
}
_HIDDEN: Final = ("demo-fleet",)


def main(arguments: list[str] | None = None) -> int:
    """Run the command that `arguments` (those of the process by default) name, and return its exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
    except ConfigurationError as refusal:
        print(*(f"{options.config}: {problem}" for problem in refusal.problems), sep="\n", file=sys.stderr)
        return 2
    except AdapterError as failure:
        print(f"variant-autoscaler: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what `arguments` say, the function that does it as `command`.

    Only the command that is named gets its arguments: what the others need is not imported.

    Raises
    ------
    SystemExit
        With 2 when they mean nothing, with 0 when they ask for help or version.
    """
    parser = argparse.ArgumentParser(
        prog="variant-autoscaler",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    named = next((word for word in arguments if not word.startswith("-")), "")
    for name in (*_COMMANDS, *_HIDDEN):
        shown: dict[str, Any] = {"help": _COMMANDS[name]} if name in _COMMANDS else {}
        command = commands.add_parser(name, formatter_class=argparse.RawDescriptionHelpFormatter, **shown)
        if name == named:
            _import_fill(name)(command)
    return parser.parse_args(arguments)


def _import_fill(name: str) -> Fill:
    """Return what gives the parser of a command its arguments; of all commands only this one is imported."""
    match name:
        case "run":
            from adapter.cli.run import fill
        case "demo":
            from adapter.cli.demo import fill
        case "demo-fleet":
            from adapter.cli.demo import fill_fleet as fill
        case "check-config":
            from adapter.cli.check_config import fill
        case "plan":
            from adapter.cli.plan import fill
        case "doctor":
            from adapter.cli.doctor import fill
        case "simulate":
            from adapter.cli.simulate import fill
        case _:
            raise AssertionError(name)
    return fill
