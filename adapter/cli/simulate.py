"""`variant-autoscaler simulate`: one trace, one fleet, one policy, one seed; a table, a picture, and the bounds."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from adapter.cli.argument_values import parse_duration, parse_stretch
from adapter.config.problems import suggest
from adapter.simulation.names import FLEETS, POLICIES, TRACES

_DESCRIPTION = """\
Plays a trace on a simulated cluster (token-level engines, routers, scraped pages, HPA, start-ups) under one policy, or
under several with the same requests and the same chance, and prints what it cost and which promises were kept, beside
the least that any policy could have paid for as much. No cluster, no GPU, no network, no waiting: time is simulated.
A cost below its bound means that simulator or bound is wrong, and ends with 1."""


def _list(words: dict[str, str]) -> str:
    return "\n".join(f"  {name:<17} {text}" for name, text in words.items())


_EPILOG = f"""\
traces (or a CSV file, .gz too, with columns arrival_seconds,input_tokens,output_tokens):
{_list(dict(TRACES))}

fleets:
{_list(dict(FLEETS))}

policies:
{_list(dict(POLICIES))}

examples:
  variant-autoscaler simulate --trace azure-hour --policy slo --picture hour.svg
  variant-autoscaler simulate --trace step --compare slo,hpa_queue,static_peak --startup 2m
  variant-autoscaler simulate --trace day --from 17h --for 4h --scale 3 --fleet llama-8b --json evening.json
  variant-autoscaler simulate --trace ramp --config examples/two-models.yaml --policy configured"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser of the command its description and arguments."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    _add_traffic(parser)
    _add_fleet(parser)
    policies = parser.add_mutually_exclusive_group()
    policies.add_argument(
        "--policy", dest="policies", type=_policy, metavar="NAME", help="who scales, one of those below (default: slo)"
    )
    policies.add_argument(
        "--compare", dest="policies", type=_policies, metavar="NAME,NAME",
        help="several of them side by side; 'all' for every one",
    )  # fmt: skip
    parser.add_argument(
        "--peers", choices=("shipped", "sized"), default="shipped",
        help="peers with the targets they ship, or told what one replica carries (default: shipped)",
    )  # fmt: skip
    parser.add_argument("--seed", type=_count, default=0, metavar="N", help="of all chance (default: 0)")
    _add_surroundings(parser)
    _add_results(parser)
    parser.set_defaults(command=simulate)


def _add_traffic(parser: argparse.ArgumentParser) -> None:
    traffic = parser.add_argument_group("traffic")
    traffic.add_argument(
        "--trace", type=_trace, default="azure-hour", metavar="NAME|FILE",
        help="one of those below, or a file (default: azure-hour)",
    )  # fmt: skip
    traffic.add_argument("--from", dest="from_s", type=parse_duration, default=0.0, metavar="TIME", help="begin there")
    traffic.add_argument(
        "--for", dest="for_s", type=parse_stretch, metavar="TIME", help="and last so long (default: to its end)"
    )
    traffic.add_argument(
        "--scale", type=_factor, default=1.0, metavar="N",
        help="N times as many requests: by moved copies and by leaving some out; time stays (default: 1)",
    )  # fmt: skip


def _add_fleet(parser: argparse.ArgumentParser) -> None:
    fleet = parser.add_argument_group("fleet")
    either = fleet.add_mutually_exclusive_group()
    either.add_argument(
        "--fleet", type=_fleet, default="llama-70b", metavar="NAME", help="one of those below (default: llama-70b)"
    )
    either.add_argument("--config", type=Path, metavar="FILE", help="LLMs and variants of a configuration file instead")
    fleet.add_argument(
        "--startup", dest="startup_s", type=parse_duration, metavar="TIME",
        help="creation to ready of every replica, as scalers are told (default: 2m; as configured)",
    )  # fmt: skip
    fleet.add_argument(
        "--startup-p95", dest="startup_p95_s", type=parse_stretch, metavar="TIME",
        help="95 in 100 starts take no longer, half of them no longer than told (default: all as told)",
    )  # fmt: skip
    fleet.add_argument(
        "--failed-starts", dest="failure_ratio", type=_ratio, default=0.0, metavar="SHARE",
        help="share of the starts that crash and are tried again, 0-0.99 (default: 0)",
    )  # fmt: skip


def _add_surroundings(parser: argparse.ArgumentParser) -> None:
    around = parser.add_argument_group("surroundings")
    around.add_argument(
        "--scrape-interval", dest="scrape_interval_s", type=parse_stretch, default=15.0, metavar="TIME",
        help="between two rounds of pages (default: 15s)",
    )  # fmt: skip
    around.add_argument(
        "--scrape-delay", dest="scrape_delay_s", type=parse_duration, default=0.0, metavar="TIME",
        help="from reading a page to its being known (default: 0s)",
    )  # fmt: skip
    around.add_argument(
        "--scrape-loss", dest="scrape_loss_ratio", type=_ratio, default=0.0, metavar="SHARE",
        help="share of the pages that are lost, 0-0.99 (default: 0)",
    )  # fmt: skip
    around.add_argument(
        "--router", choices=("round_robin", "least_load", "instance_aware"), default="least_load",
        help="how a request finds its replica (default: least_load)",
    )  # fmt: skip


def _add_results(parser: argparse.ArgumentParser) -> None:
    results = parser.add_argument_group("results")
    results.add_argument("--picture", type=_new_file, metavar="FILE.svg", help="draw it there")
    results.add_argument(
        "--json", dest="json_file", type=_new_file, metavar="FILE",
        help="write everything there; equal runs give equal bytes",
    )  # fmt: skip
    results.add_argument("--no-bounds", dest="has_bounds", action="store_false", help="leave the bounds out")
    results.add_argument("--quiet", action="store_true", help="no progress, no picture in the terminal")


def simulate(options: argparse.Namespace) -> int:
    """Play it and tell."""
    from adapter.cli.simulating import play  # noqa: PLC0415  it brings numpy and the simulator

    return play(options)


def _policy(text: str) -> tuple[str, ...]:
    if text not in POLICIES:
        raise argparse.ArgumentTypeError(f"must be a policy that is known, got {text}{suggest(text, POLICIES)}")
    return (text,)


def _policies(text: str) -> tuple[str, ...]:
    if text == "all":
        return tuple(POLICIES)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("must name policies, such as slo,hpa_queue")
    return tuple(dict.fromkeys(name for text in names for name in _policy(text)))


def _trace(text: str) -> str:
    if text not in TRACES and not Path(text).is_file():
        hint = "" if Path(text).suffix in (".csv", ".gz") else suggest(text, TRACES)
        raise argparse.ArgumentTypeError(f"must be a built-in trace or a file that exists, got {text}{hint}")
    return text


def _fleet(text: str) -> str:
    if text not in FLEETS:
        raise argparse.ArgumentTypeError(f"must be a built-in fleet, got {text}{suggest(text, FLEETS)}")
    return text


def _factor(text: str) -> float:
    factor = _number(text)
    if not 0.0 < factor <= 1000.0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, up to 1000, got {text}")
    return factor


def _ratio(text: str) -> float:
    ratio = _number(text)
    if not 0.0 <= ratio <= 0.99:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 0.99, got {text}")
    return ratio


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number >= 0, got {text}")
    return int(text)


def _new_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file in a folder that exists, got {text}")
    return path


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
