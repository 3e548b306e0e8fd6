"""Does what `variant-autoscaler simulate` was asked for, and prints it. It computes nothing itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from adapter.cli.simulated_fleets import STARTUP_S, build_fleet
from adapter.clock import Clock, ScaledClock
from adapter.config.policies import Policies
from adapter.config.problems import suggest
from adapter.errors import BadDocument, NotFound, Refused
from adapter.policies import load_policies
from adapter.simulation.course import Course, compute_course
from adapter.simulation.document import render_document
from adapter.simulation.figures import Figures, compute_figures
from adapter.simulation.fleet import Fleet, read_fleet
from adapter.simulation.notes import list_notes
from adapter.simulation.run_options import HpaKnobs, RunOptions, TruthOptions
from adapter.simulation.running import Outcome, Progress, Stage, prepare_stage, run_policy
from adapter.simulation.svg_picture import PictureRun, render_svg
from adapter.simulation.table import render_bounds, render_table
from adapter.simulation.text_picture import render_text_picture
from adapter.simulation.traces import Trace, cut_trace, read_trace, scale_trace
from optimizer import BUILT_IN_POLICIES, InvalidInput
from optimizer.simulation.cluster import KvTransfer, RouterKind, ScrapeOptions, StartOptions

_SILENCE_S = 3.0  # wall time between two lines of progress

Run = tuple[Outcome, Figures, Course]


def play(options: argparse.Namespace) -> int:
    """Play every policy that was asked for, print and write what came of it, and return the exit code.

    Raises
    ------
    SystemExit
        With 2 where arguments, trace and fleet are not fit to be played.
    """
    try:
        stage = _prepare(options)
        runs = [_run(policy, stage, options) for policy in options.policies or ("slo",)]
    except (BadDocument, InvalidInput, NotFound) as refusal:
        options.refuse(str(refusal))
    _tell(stage, runs, options)
    return judge([outcome for outcome, _, _ in runs])


def judge(outcomes: Sequence[Outcome]) -> int:
    """Return the exit code: 1, and a line for each, where a cost is below its bound."""
    lines = [
        f"variant-autoscaler: {outcome.policy}: {line}; simulator or bound is wrong"
        for outcome in outcomes
        for line in (() if outcome.ladder is None else outcome.ladder.violations)
    ]
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


def _prepare(options: argparse.Namespace) -> Stage:
    if options.noise_ratio > 0.0 and options.has_measured_bounds:
        options.refuse("argument --measured-bounds: not allowed with argument --noise: noisy engines are not measured")
    trace = _read_trace(options)
    fleet, policies = _read_fleet(options, trace)
    _check(options, fleet)
    if options.quota is not None:
        fleet = fleet.with_quota(options.quota)
    return prepare_stage(trace, fleet, _to_run_options(options), policies)


def _read_fleet(options: argparse.Namespace, trace: Trace) -> tuple[Fleet, Policies]:
    if options.config is None:
        startup_s = STARTUP_S if options.startup_s is None else options.startup_s
        return build_fleet(options.fleet, startup_s, trace), BUILT_IN_POLICIES
    policies = load_policies()
    fleet = read_fleet(options.config, policies)
    return fleet if options.startup_s is None else fleet.with_startup(options.startup_s), policies


def _check(options: argparse.Namespace, fleet: Fleet) -> None:
    """End with 2 where an argument does not fit the fleet."""
    variants = [variant for model in fleet.settings.models for variant in model.variants]
    slowest = max(variants, key=lambda variant: variant.startup_s)
    if options.startup_p95_s is not None and options.startup_p95_s < slowest.startup_s:
        whose = "--startup" if options.startup_s is not None or options.config is None else f"that of {slowest.name}"
        options.refuse(
            f"argument --startup-p95: must be >= {whose}, which is {slowest.startup_s:g} s, "
            f"got {options.startup_p95_s:g} s"
        )
    classes = {one.name for model in fleet.settings.models for one in model.service_classes}
    accelerators = {variant.accelerator for variant in variants}
    _check_names(options, "--class-shares", options.class_shares or {}, "a service class", classes)
    _check_names(options, "--quota", options.quota or {}, "an accelerator", accelerators)
    for model in fleet.settings.models:
        shares = options.class_shares
        if shares is not None and not any(shares.get(one.name) for one in model.service_classes):
            options.refuse(f"argument --class-shares: must be above 0 for a class of {model.model_id}")


def _check_names(
    options: argparse.Namespace, argument: str, given: Mapping[str, object], what: str, known: set[str]
) -> None:
    for name in given:
        if name not in known:
            hint = suggest(name, known) or f"; there are {', '.join(sorted(known))}"
            options.refuse(f"argument {argument}: must name {what} of the fleet, got {name}{hint}")


def _read_trace(options: argparse.Namespace) -> Trace:
    trace = cut_trace(read_trace(options.trace, options.seed), options.from_s, options.for_s)
    scaled = scale_trace(trace, options.scale, options.seed)
    if not len(scaled):
        raise BadDocument(f"the stretch of trace {trace.name} that was asked for has no requests")
    if options.jump_s is None:
        return scaled
    if options.jump_s >= scaled.duration_s:
        options.refuse(f"argument --jump-at: must be before the end, which is at {scaled.duration_s:.10g} s")
    return replace(scaled, jumps_s=(options.jump_s,))


def _to_run_options(options: argparse.Namespace) -> RunOptions:
    jitter_s = min(1.0, options.scrape_interval_s / 10.0)
    return RunOptions(
        seed=options.seed,
        class_shares=options.class_shares,
        startup_p95_s=options.startup_p95_s,
        start=StartOptions(image_pull_s=options.image_pull_s, failure_ratio=options.failure_ratio),
        scrape=ScrapeOptions(
            options.scrape_interval_s, jitter_s, loss_ratio=options.scrape_loss_ratio, delay_s=options.scrape_delay_s
        ),
        router=RouterKind(options.router),
        grace_s=options.grace_s,
        kv_transfer=KvTransfer(bandwidth_bytes_per_s=1e9 * options.kv_gigabytes_per_s),
        hpa=HpaKnobs(options.hpa_sync_s, options.hpa_delay_s, options.hpa_tolerance_ratio, options.hpa_down_window_s),
        truth=TruthOptions(options.slowdown_ratio, options.noise_ratio, options.cached_ratio),
        sizes=options.peers == "sized",
        has_bounds=options.has_bounds,
        has_measured_bounds=options.has_measured_bounds,
    )


def _run(policy: str, stage: Stage, options: argparse.Namespace) -> Run:
    outcome = run_policy(policy, stage, None if options.quiet else _announce(policy, ScaledClock.starting_now()))
    return outcome, compute_figures(outcome, stage.briefing.peaks, stage.jumps_s), compute_course(outcome.result)


def _announce(policy: str, clock: Clock) -> Progress:
    """Return what prints how far `policy` is, now and then."""
    told_s = clock.now_s()

    def tell(share: float) -> None:
        nonlocal told_s
        if clock.now_s() - told_s >= _SILENCE_S:
            told_s = clock.now_s()
            print(f"{policy}: {100.0 * share:.0f} % of the time is played", file=sys.stderr, flush=True)

    return tell


def _tell(stage: Stage, runs: list[Run], options: argparse.Namespace) -> None:
    scenario = stage.scenario
    rate_per_s = len(scenario.requests) / scenario.horizon_s
    title = f"{scenario.name}, seed {options.seed}"
    counted = f", times counted from {stage.counted_from_s:.0f} s" if stage.counted_from_s else ""
    print(f"{title}: {len(scenario.requests)} requests in {scenario.horizon_s:.10g} s, {rate_per_s:.2f}/s{counted}\n")
    sys.stdout.write(render_table([figures for _, figures, _ in runs]))
    notes = list_notes(stage, [outcome for outcome, _, _ in runs])
    sys.stdout.write("".join(f"note: {note}\n" for note in notes))
    for outcome, _, course in runs:
        if not options.quiet:
            sys.stdout.write("\n" + render_text_picture(outcome.policy, course, is_ascii=not _can_draw()))
        if outcome.ladder is not None:
            sys.stdout.write("\n" + render_bounds(outcome))
    if options.picture is not None:
        drawn = [PictureRun(outcome.policy, course, figures.bound) for outcome, figures, course in runs]
        _write(options.picture, render_svg(title, scenario.horizon_s, drawn).encode())
    if options.json_file is not None:
        _write(options.json_file, render_document(_to_plain(options), stage, runs, notes))


def _to_plain(options: argparse.Namespace) -> dict[str, object]:
    """Return what was asked for, without where the results go."""
    left_out = {"command", "refuse", "json_file", "picture", "quiet", "policies"}
    left_out.add("config" if options.config is None else "fleet")
    plain = {name: value for name, value in vars(options).items() if name not in left_out}
    return {name: str(value) if isinstance(value, Path) else value for name, value in plain.items()}


def _can_draw() -> bool:
    try:
        "▁█".encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    """Write a file as a whole, or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as cause:
        unfinished.unlink(missing_ok=True)
        raise Refused(f"{path} cannot be written: {cause.strerror or cause}") from cause
