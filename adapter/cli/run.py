"""`variant-autoscaler run`: the adapter, until a signal ends it."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from adapter.clock import ScaledClock
from adapter.telemetry import configure_logging

_DESCRIPTION = """\
Reads pages, decides and publishes, once per period, until SIGINT (Ctrl-C) or SIGTERM. A changed configuration file is
picked up while running. The log is on standard error, one JSON object a line."""

_EPILOG = """\
examples:
  variant-autoscaler run --config examples/minimal.yaml
  curl -s http://127.0.0.1:8080/metrics/default/l40s   # the number of one deployment
  curl -s http://127.0.0.1:8080/v1/decisions           # everything, with reasons"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser of the command its text and arguments."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="configuration file (YAML)")
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="least level that is logged (default: info)",
    )
    parser.add_argument(
        "--clock",
        type=parse_clock,
        metavar="START,SPEED,WALL",
        help="share a clock with other processes: now = START + SPEED × (monotonic - WALL), all in seconds",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the adapter until a signal ends it."""
    from adapter.compose import serve  # noqa: PLC0415  # so that help, and words that are refused, come at once

    configure_logging(options.log_level)
    clock = options.clock or ScaledClock.starting_now()
    asyncio.run(serve(options.config, clock))
    return 0


def parse_clock(text: str) -> ScaledClock:
    """Return the clock of three numbers, as another process prints them."""
    try:
        start_s, speed, wall_start_s = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be three numbers START,SPEED,WALL, got {text}") from None
    if not speed > 0:
        raise argparse.ArgumentTypeError(f"SPEED must be > 0, got {speed:g}")
    return ScaledClock(start_s, speed, wall_start_s)
