"""`variant-autoscaler demo`: an embedded fleet, traffic, and the autoscaler against it; hidden, the fleet alone."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from adapter.cli.argument_values import parse_duration, parse_stretch
from adapter.compose_demo import (
    MODEL_NAMES,
    SUMMARIES,
    DemoOptions,
    ScenarioName,
    Screen,
    decode_plan,
    run_demo,
    run_fleet,
)
from adapter.config.problems import suggest
from adapter.errors import Refused
from adapter.policies import load_policies
from adapter.telemetry import configure_logging
from optimizer import BUILT_IN_POLICIES

_HIGHEST_PORT = 65_535

_DESCRIPTION = """\
Starts an embedded fleet (simulated engines behind real HTTP servers, a router, a load generator and a stand-in HPA) and
the autoscaler against it, prints where to look, shows a live table and ends with a summary: cost and SLO attainment of
our mix beside what else could have served the same demand. No cluster and no GPU is needed."""


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser of the command its text and arguments."""
    scenarios = "\n".join(f"  {name.value:<8} {summary}" for name, summary in SUMMARIES.items())
    parser.description = _DESCRIPTION
    parser.epilog = (
        f"scenarios:\n{scenarios}\n\nexample:\n  variant-autoscaler demo --scenario step --for 10m --speed 4"
    )
    defaults = DemoOptions()
    parser.add_argument(
        "--scenario", choices=[name.value for name in ScenarioName], default=defaults.scenario.value, metavar="NAME",
        help=f"story of traffic, one of those below (default: {defaults.scenario.value})",
    )  # fmt: skip
    parser.add_argument(
        "--model", dest="models", action="append", choices=MODEL_NAMES,
        help="an LLM that is asked; repeat it for several (default: all)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=defaults.seed, metavar="N", help="of arrivals and engines")
    _add_times(parser, defaults)
    _add_places(parser, defaults)
    parser.set_defaults(command=demo)


def fill_fleet(parser: argparse.ArgumentParser) -> None:
    """Give the parser of the hidden command its arguments."""
    parser.add_argument("--plan", type=Path, required=True)
    parser.set_defaults(command=demo_fleet)


def _add_times(parser: argparse.ArgumentParser, defaults: DemoOptions) -> None:
    times = parser.add_argument_group("times of the demo's own clock")
    times.add_argument(
        "--for", dest="duration_s", type=parse_stretch, metavar="TIME", help="end after TIME, such as 10m"
    )
    times.add_argument(
        "--speed", type=_positive, default=defaults.speed, metavar="N",
        help="run everything N times as fast as the wall; network timeouts stay (default: 1)",
    )  # fmt: skip
    for flag, name, meaning in (
        ("--startup", "startup_s", "creation to ready of a replica"),
        ("--hpa-sync", "hpa_sync_s", "time between two looks of the stand-in HPA"),
        ("--scrape-interval", "scrape_interval_s", "time between two passes of the autoscaler"),
        ("--calm-window", "calm_window_s", "how long the need must stay below before replicas are let go"),
    ):
        default_s = getattr(defaults, name)
        text = f"{meaning} (default: {default_s:g}s)"
        times.add_argument(flag, dest=name, type=parse_duration, default=default_s, metavar="TIME", help=text)


def _add_places(parser: argparse.ArgumentParser, defaults: DemoOptions) -> None:
    places = parser.add_argument_group("surroundings")
    places.add_argument(
        "--port", dest="page_port", type=_port, default=defaults.page_port, metavar="N",
        help=f"port of the pages; a free one is taken when it is not to be had (default: {defaults.page_port})",
    )  # fmt: skip
    places.add_argument(
        "--router-port", type=_port, default=0, metavar="N", help="port of the router (default: a free one)"
    )
    places.add_argument(
        "--policy", type=_policy, default=defaults.policy, metavar="NAME",
        help=f"who proposes replicas: {', '.join(sorted(BUILT_IN_POLICIES))}, or one of your own (default: slo)",
    )  # fmt: skip
    places.add_argument(
        "--policy-options", type=_json_mapping, metavar="JSON",
        help="what it is told of every LLM (default: what suits the demo)",
    )  # fmt: skip
    places.add_argument(
        "--no-gateway", dest="has_gateway", action="store_false", help="hide the router's counters from the autoscaler"
    )
    places.add_argument("--prices", dest="prices_file", default="", metavar="FILE", help="price sheet (CSV)")
    places.add_argument(
        "--json", dest="json_file", type=_new_file, metavar="FILE", help="write the summary there as well"
    )
    places.add_argument("--plain", action="store_true", help="lines instead of a table refreshed in place")


def demo(options: argparse.Namespace) -> int:
    """Play a demo."""
    configure_logging("warning")
    asyncio.run(run_demo(to_options(options), Screen(sys.stdout, options.plain), options.json_file))
    return 0


def to_options(options: argparse.Namespace) -> DemoOptions:
    """Return what the arguments ask for."""
    return DemoOptions(
        scenario=ScenarioName(options.scenario),
        models=tuple(dict.fromkeys(options.models or MODEL_NAMES)),
        seed=options.seed,
        duration_s=options.duration_s,
        speed=options.speed,
        startup_s=options.startup_s,
        hpa_sync_s=options.hpa_sync_s,
        scrape_interval_s=options.scrape_interval_s,
        calm_window_s=options.calm_window_s,
        page_port=options.page_port,
        router_port=options.router_port,
        policy=options.policy,
        policy_options=options.policy_options or "",
        has_gateway=options.has_gateway,
        prices_file=str(Path(options.prices_file).resolve()) if options.prices_file else "",
    )


def demo_fleet(options: argparse.Namespace) -> int:
    """Run the process of the fleet, for the process of the demo."""
    configure_logging("info")
    plan = decode_plan(options.plan.read_text(encoding="utf-8"))
    asyncio.run(run_fleet(plan, lambda line: print(line, flush=True)))
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"must be a port, 0 (any free one) to {_HIGHEST_PORT}, got {text}")
    return int(text)


def _policy(text: str) -> str:
    try:
        known = load_policies()
    except Refused as refusal:
        raise argparse.ArgumentTypeError(f"cannot be looked up: {refusal}") from None
    if text not in known:
        raise argparse.ArgumentTypeError(f"must be a policy that is known, got {text}{suggest(text, known)}")
    return text


def _json_mapping(text: str) -> str:
    try:
        is_mapping = isinstance(json.loads(text), dict)
    except ValueError:
        is_mapping = False
    if not is_mapping:
        raise argparse.ArgumentTypeError(f'must be a JSON object, such as {{"metric": "rate"}}, got {text}')
    return text


def _new_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file in a folder that exists, got {text}")
    return path


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number > 0, got {text}")
    return number
