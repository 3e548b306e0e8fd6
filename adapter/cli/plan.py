"""`variant-autoscaler plan`: one dry pass, its decisions and reasons printed, nothing published."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from adapter.cli.decision_table import render_decisions
from adapter.clock import ScaledClock
from adapter.compose import run_dry_pass, run_snapshot_pass
from adapter.telemetry import configure_logging

_DESCRIPTION = """\
Makes one pass without publishing anything, and prints what would be decided and why. Rates are differences of counters,
so pages are read twice, one decision period apart; with --snapshot they come from files instead."""

_EPILOG = """\
a snapshot is a folder per reading, named by the second it was taken, with a page per pod:
  pages/0/<namespace>/<deployment>/<pod>.prom
  pages/15/<namespace>/<deployment>/<pod>.prom
  pages/15/gateway.prom                         the gateway's page, where a model has one
With one reading only, nothing is known about rates, and the decision is to hold.

examples:
  variant-autoscaler plan --config examples/minimal.yaml
  mkdir -p pages/0/default/l40s pages/15/default/l40s
  curl -s http://127.0.0.1:8000/metrics > pages/0/default/l40s/pod-a.prom; sleep 15
  curl -s http://127.0.0.1:8000/metrics > pages/15/default/l40s/pod-a.prom
  variant-autoscaler plan --config examples/minimal.yaml --snapshot pages"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser of the command its text and arguments."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="configuration file (YAML)")
    parser.add_argument("--snapshot", type=Path, metavar="DIR", help="read saved pages instead of the pods'")
    parser.set_defaults(command=plan)


def plan(options: argparse.Namespace) -> int:
    """Make the pass and print it."""
    configure_logging("warning")
    if options.snapshot is None:
        work = run_dry_pass(options.config, ScaledClock.starting_now(), _announce)
    else:
        work = run_snapshot_pass(options.config, options.snapshot)
    sys.stdout.write(render_decisions(asyncio.run(work)))
    return 0


def _announce(text: str) -> None:
    print(text, file=sys.stderr)
