"""The command line: arguments in, exit code out. It prints and starts things; it decides and computes nothing.

Exit codes: 0 done, 1 failed, 2 bad configuration or bad arguments; `doctor` adds 3, could not examine.
"""

from __future__ import annotations

import argparse
import os
import sys

from adapter import __version__
from adapter.cli import check_config, demo, doctor, plan, run, simulate
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


def main(arguments: list[str] | None = None) -> int:
    """Run the command that `arguments` (those of the process by default) name, and return its exit code."""
    options = build_parser().parse_args(arguments)
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


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="variant-autoscaler",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (run, demo, check_config, plan, doctor, simulate):
        command.add_parser(commands)
    return parser
