"""`variant-autoscaler doctor`: what is wrong on a cluster, and how to mend it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from adapter.clock import ScaledClock
from adapter.doctor import Finding, Verdict, examine, open_look
from adapter.errors import AdapterError
from adapter.telemetry import configure_logging

_DESCRIPTION = """\
Looks at a cluster with your own rights and says of each point, from the API server to the pods' pages, whether it is
ok, wrong, or cannot be told, with the remedy. It changes nothing: it reads, and asks the API server who may do what.
docs/doctor.md lists the points and the rights it needs; docs/runbook.md goes on from there."""

_EPILOG = """\
examples:
  variant-autoscaler doctor                                # the cluster of your present kubectl context
  variant-autoscaler doctor --context staging --wrong-only
  variant-autoscaler doctor --namespaces chat code         # where you may not look everywhere
  variant-autoscaler doctor --service autoscaler/variant-autoscaler --json | jq '.[] | select(.verdict == "wrong")'

exit codes: 0 nothing is wrong, 1 something is, 2 bad arguments, 3 the cluster could not be examined"""

_MARKS = {Verdict.OK: "ok   ", Verdict.WRONG: "WRONG", Verdict.CANNOT_TELL: "?    "}
_NOTHING_SEEN = 3


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser of the command its text and arguments."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="kubeconfig (default: as kubectl finds it)")
    parser.add_argument("--context", metavar="NAME", help="context in it (default: the present one)")
    parser.add_argument(
        "--service",
        type=parse_service,
        metavar="NAMESPACE/NAME",
        help="the adapter's Service (default: found by its labels)",
    )
    parser.add_argument(
        "--namespaces", nargs="+", default=(), metavar="NAME", help="of workloads (default: where the adapter looks)"
    )
    parser.add_argument("--wrong-only", action="store_true", help="show nothing but what is wrong")
    parser.add_argument("--json", action="store_true", help="print the findings as a JSON array")
    parser.set_defaults(command=run, config=None)


def run(options: argparse.Namespace) -> int:
    """Examine the cluster and print what was found; return the exit code."""
    configure_logging("critical")  # what goes wrong is among the findings
    try:
        findings = asyncio.run(_examine(options))
    except AdapterError as failure:
        print(f"variant-autoscaler doctor: {failure}", file=sys.stderr)
        return _NOTHING_SEEN
    shown = [finding for finding in findings if finding.verdict is Verdict.WRONG or not options.wrong_only]
    if options.json:
        print(json.dumps([asdict(finding) for finding in shown], indent=2))
    else:
        print(*(render(finding) for finding in shown), _summarize(findings), sep="\n")
    verdicts = {finding.verdict for finding in findings}
    if verdicts == {Verdict.CANNOT_TELL}:
        print("variant-autoscaler doctor: you may see nothing of this cluster", file=sys.stderr)
        return _NOTHING_SEEN
    return int(Verdict.WRONG in verdicts)


async def _examine(options: argparse.Namespace) -> list[Finding]:
    async with open_look(
        ScaledClock.starting_now(),
        kubeconfig=options.kubeconfig,
        context=options.context,
        service=options.service,
        namespaces=tuple(options.namespaces),
    ) as look:
        return await examine(look)


def render(finding: Finding) -> str:
    """Return a finding as people read it: one line, and the remedy below it."""
    about = f" [{finding.about}]" if finding.about else ""
    code = f"{finding.code}: " if finding.code else ""
    lines = [f"{_MARKS[finding.verdict]} {finding.check}{about}: {code}{finding.message}"]
    if finding.remedy and finding.verdict is not Verdict.OK:
        lines += [f"      {line}".rstrip() for line in finding.remedy.splitlines()]
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
