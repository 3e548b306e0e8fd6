"""`variant-autoscaler simulate`: one trace, one fleet, one policy, one seed; a table, a picture, and the bounds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from adapter.cli.argument_values import parse_duration, parse_stretch
from adapter.cli.simulate_values import (
    parse_count,
    parse_counts,
    parse_factor,
    parse_fleet,
    parse_new_file,
    parse_picture,
    parse_policies,
    parse_policy,
    parse_ratio,
    parse_trace,
    parse_weights,
)
from adapter.simulation.names import FLEETS, POLICIES, TRACES

_DESCRIPTION = """\
Plays a trace on a simulated cluster (token-level engines, routers, scraped pages, HPA, start-ups) under one policy, or
under several with the same requests and the same chance, and prints what it cost and which promises were kept, beside
the least that any policy could have paid for as much. No cluster, no GPU, no network, no waiting: time is simulated.
A cost below its bound means that simulator or bound is wrong, and ends with 1."""


def _list(words: dict[str, str]) -> str:
    return "\n".join(f"  {name:<17} {text}" for name, text in words.items())


def _indent(lines: Sequence[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


EXAMPLES = (
    "variant-autoscaler simulate --trace azure-hour --policy slo --picture hour.svg",
    "variant-autoscaler simulate --trace step --compare slo,hpa_queue,static_peak --startup 2m",
    "variant-autoscaler simulate --trace day --from 17h --for 4h --scale 3 --fleet llama-8b --json evening.json",
    "variant-autoscaler simulate --trace ramp --config examples/two-models.yaml --policy configured",
    "variant-autoscaler simulate --trace step --compare slo,hpa_queue,knative --fleet llama-8b-l40s --truth-scale 1.2",
)

_EPILOG = f"""\
traces (or a CSV file, .gz too, with columns arrival_seconds,input_tokens,output_tokens):
{_list(dict(TRACES))}

fleets:
{_list(dict(FLEETS))}

policies:
{_list(dict(POLICIES))}

examples:
{_indent(EXAMPLES)}"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser of the command its description and arguments."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.usage = "%(prog)s [--policy NAME | --compare NAME,NAME] [--trace NAME] [--fleet NAME | --config FILE] ..."
    policies = parser.add_mutually_exclusive_group()
    policies.add_argument(
        "--policy", dest="policies", type=parse_policy, metavar="NAME",
        help="who scales, one of those below (default: slo)",
    )  # fmt: skip
    policies.add_argument(
        "--compare", dest="policies", type=parse_policies, metavar="NAME,NAME",
        help="several of them side by side; 'all' for every one",
    )  # fmt: skip
    parser.add_argument(
        "--peers", choices=("shipped", "sized"), default="shipped",
        help="peers with the targets they ship, or told what one replica carries (default: shipped)",
    )  # fmt: skip
    parser.add_argument("--seed", type=parse_count, default=0, metavar="N", help="of all chance (default: 0)")
    for add in (_add_traffic, _add_fleet, _add_starts, _add_truth, _add_scrapes, _add_following, _add_results):
        add(parser)
    parser.set_defaults(command=simulate, refuse=parser.error)


def _add_traffic(parser: argparse.ArgumentParser) -> None:
    traffic = parser.add_argument_group("traffic")
    traffic.add_argument(
        "--trace", type=parse_trace, default="azure-hour", metavar="NAME|FILE",
        help="one of those below, or a file (default: azure-hour)",
    )  # fmt: skip
    traffic.add_argument("--from", dest="from_s", type=parse_duration, default=0.0, metavar="TIME", help="begin there")
    traffic.add_argument(
        "--for", dest="for_s", type=parse_stretch, metavar="TIME", help="and last so long (default: to its end)"
    )
    traffic.add_argument(
        "--scale", type=parse_factor, default=1.0, metavar="N",
        help="N times as many requests: by moved copies and by leaving some out; time stays (default: 1)",
    )  # fmt: skip
    traffic.add_argument(
        "--class-shares", type=parse_weights, metavar="NAME=N,...",
        help="weights of service classes, those left out get no request (default: as configured, else alike)",
    )  # fmt: skip
    traffic.add_argument(
        "--cached", dest="cached_ratio", type=parse_ratio, default=0.0, metavar="SHARE",
        help="of every prompt is found in the prefix cache, 0-0.99 (default: 0)",
    )  # fmt: skip
    traffic.add_argument(
        "--jump-at", dest="jump_s", type=parse_stretch, metavar="TIME",
        help="demand jumps there: tell how long recovery takes (default: where step and spikes jump)",
    )  # fmt: skip


def _add_fleet(parser: argparse.ArgumentParser) -> None:
    fleet = parser.add_argument_group("fleet")
    either = fleet.add_mutually_exclusive_group()
    either.add_argument(
        "--fleet", type=parse_fleet, default="llama-70b", metavar="NAME", help="one of those below (default: llama-70b)"
    )
    either.add_argument("--config", type=Path, metavar="FILE", help="LLMs and variants of a configuration file instead")
    fleet.add_argument(
        "--quota", type=parse_counts, metavar="NAME=N,...",
        help="devices that there are by accelerator, and scalers are told (default: as configured, else no limit)",
    )  # fmt: skip
    fleet.add_argument(
        "--router", choices=("round_robin", "least_load", "instance_aware"), default="least_load",
        help="how a request finds its replica (default: least_load)",
    )  # fmt: skip
    fleet.add_argument(
        "--kv-speed", dest="kv_gigabytes_per_s", type=parse_factor, default=25.0, metavar="N",
        help="GB/s from a prefill to a decode replica, where they are apart (default: 25)",
    )  # fmt: skip


def _add_starts(parser: argparse.ArgumentParser) -> None:
    starts = parser.add_argument_group("starts and ends of replicas")
    starts.add_argument(
        "--startup", dest="startup_s", type=parse_duration, metavar="TIME",
        help="creation to ready of every replica, as scalers are told (default: 2m; as configured)",
    )  # fmt: skip
    starts.add_argument(
        "--startup-p95", dest="startup_p95_s", type=parse_stretch, metavar="TIME",
        help="95 in 100 starts take no longer, half of them no longer than told (default: all as told)",
    )  # fmt: skip
    starts.add_argument(
        "--failed-starts", dest="failure_ratio", type=parse_ratio, default=0.0, metavar="SHARE",
        help="share of the starts that crash and are tried again, 0-0.99 (default: 0)",
    )  # fmt: skip
    starts.add_argument(
        "--image-pull", dest="image_pull_s", type=parse_duration, default=0.0, metavar="TIME",
        help="more for the first replica of a variant on a node of 8 devices (default: 0s)",
    )  # fmt: skip
    starts.add_argument(
        "--grace", dest="grace_s", type=parse_duration, default=120.0, metavar="TIME",
        help="for a replica that ends to finish what it has (default: 2m)",
    )  # fmt: skip


def _add_truth(parser: argparse.ArgumentParser) -> None:
    truth = parser.add_argument_group("engines unlike what scalers are told")
    truth.add_argument(
        "--truth-scale", dest="slowdown_ratio", type=parse_factor, default=1.0, metavar="N",
        help="iterations really take N times as long, 1.2: engines are slower than told (default: 1)",
    )  # fmt: skip
    truth.add_argument(
        "--noise", dest="noise_ratio", type=parse_ratio, default=0.0, metavar="SHARE",
        help="lognormal noise on iterations, standard deviation of its logarithm, 0-0.99 (default: 0)",
    )  # fmt: skip


def _add_scrapes(parser: argparse.ArgumentParser) -> None:
    scrapes = parser.add_argument_group("pages")
    scrapes.add_argument(
        "--scrape-interval", dest="scrape_interval_s", type=parse_stretch, default=15.0, metavar="TIME",
        help="between two rounds of pages (default: 15s)",
    )  # fmt: skip
    scrapes.add_argument(
        "--scrape-delay", dest="scrape_delay_s", type=parse_duration, default=0.0, metavar="TIME",
        help="from reading a page to its being known (default: 0s)",
    )  # fmt: skip
    scrapes.add_argument(
        "--scrape-loss", dest="scrape_loss_ratio", type=parse_ratio, default=0.0, metavar="SHARE",
        help="share of the pages that are lost, 0-0.99 (default: 0)",
    )  # fmt: skip


def _add_following(parser: argparse.ArgumentParser) -> None:
    following = parser.add_argument_group("HPAs, those that follow slo and saturation, and hpa_queue and hpa_kv")
    following.add_argument(
        "--hpa-sync", dest="hpa_sync_s", type=parse_stretch, default=15.0, metavar="TIME",
        help="between two syncs (default: 15s)",
    )  # fmt: skip
    following.add_argument(
        "--hpa-delay", dest="hpa_delay_s", type=parse_duration, default=0.0, metavar="TIME",
        help="the number that a sync reads is at least so old (default: 0s)",
    )  # fmt: skip
    following.add_argument(
        "--hpa-tolerance", dest="hpa_tolerance_ratio", type=parse_ratio, metavar="SHARE",
        help="dead band, 0-0.99 (default: 0 where a number is followed, 0.1 else)",
    )  # fmt: skip
    following.add_argument(
        "--hpa-down-window", dest="hpa_down_window_s", type=parse_duration, metavar="TIME",
        help="stabilization of steps down (default: 0s where a number is followed, 5m else)",
    )  # fmt: skip


def _add_results(parser: argparse.ArgumentParser) -> None:
    results = parser.add_argument_group("results")
    results.add_argument("--picture", type=parse_picture, metavar="FILE.svg", help="draw it there")
    results.add_argument(
        "--json", dest="json_file", type=parse_new_file, metavar="FILE",
        help="write everything there; equal runs give equal bytes",
    )  # fmt: skip
    bounds = results.add_mutually_exclusive_group()
    bounds.add_argument("--no-bounds", dest="has_bounds", action="store_false", help="leave the bounds out")
    bounds.add_argument(
        "--measured-bounds", dest="has_measured_bounds", action="store_true",
        help="besides, bounds at what engines were measured to sustain: tighter, but no proof; takes seconds more",
    )  # fmt: skip
    results.add_argument("--quiet", action="store_true", help="no progress, no picture in the terminal")


def simulate(options: argparse.Namespace) -> int:
    """Play it and tell."""
    from adapter.cli.simulating import play  # noqa: PLC0415  it brings numpy and the simulator

    return play(options)
