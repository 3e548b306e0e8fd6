"""`variant-autoscaler doctor`: what is wrong on a cluster, and how to mend it."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adapter.clock import ScaledClock
from adapter.doctor import Finding, Verdict, examine, open_look

_DESCRIPTION = """\
Looks at a cluster with your own rights and says of each point, from the API server to the pods' pages, whether it is
ok, wrong, or cannot be told, with the remedy. It changes nothing. Exit code: 0 nothing wrong, 1 something is."""

_EPILOG = """\
examples:
  variant-autoscaler doctor                                # the cluster of your present kubectl context
  variant-autoscaler doctor --context staging --wrong-only
  variant-autoscaler doctor --json | jq '.[] | select(.verdict == "wrong")'"""

_MARKS = {Verdict.OK: "ok   ", Verdict.WRONG: "WRONG", Verdict.CANNOT_TELL: "?    "}


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "doctor",
        help="examine a cluster and say what to mend",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="kubeconfig (default: as kubectl finds it)")
    parser.add_argument("--context", metavar="NAME", help="context in it (default: the present one)")
    parser.add_argument(
        "--service",
        type=parse_service,
        metavar="NAMESPACE/NAME",
        help="our Service (default: found by its labels)",
    )
    parser.add_argument(
        "--namespaces", nargs="+", default=(), metavar="NAME", help="look at workloads here only (default: everywhere)"
    )
    parser.add_argument("--wrong-only", action="store_true", help="leave out what is ok")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(command=run, config=None)


def run(options: argparse.Namespace) -> int:
    """Examine the cluster and print what was found."""
    findings = asyncio.run(_examine(options))
    shown = [finding for finding in findings if not (options.wrong_only and finding.verdict is Verdict.OK)]
    if options.json:
        print(json.dumps([asdict(finding) for finding in shown], indent=2))
    else:
        print(*(_render(finding) for finding in shown), _summarize(findings), sep="\n")
    return int(any(finding.verdict is Verdict.WRONG for finding in findings))


async def _examine(options: argparse.Namespace) -> list[Finding]:
    clock = ScaledClock.starting_now()
    async with open_look(
        clock,
        kubeconfig=options.kubeconfig,
        context=options.context,
        service=options.service,
        namespaces=tuple(options.namespaces),
    ) as look:
        return await examine(look)


def _render(finding: Finding) -> str:
    about = f" [{finding.about}]" if finding.about else ""
    lines = [f"{_MARKS[finding.verdict]} {finding.check}{about}: {finding.message}"]
    if finding.remedy and finding.verdict is not Verdict.OK:
        lines += [f"      {line}" for line in finding.remedy.splitlines()]
    return "\n".join(lines)


def _summarize(findings: list[Finding]) -> str:
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    return f"\n{len(findings)} points: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def parse_service(text: str) -> tuple[str, str]:
    """Return namespace and name of a Service."""
    namespace, _, name = text.partition("/")
    if not namespace or not name or "/" in name:
        raise argparse.ArgumentTypeError(f"must be NAMESPACE/NAME, got {text}")
    return namespace, name
