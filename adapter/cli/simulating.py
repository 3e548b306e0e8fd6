"""Does what `variant-autoscaler simulate` was asked for, and prints it. It computes nothing itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapter.clock import Clock, ScaledClock
from adapter.demo.catalog import CatalogOptions, DemoModel, build_accelerators, build_model
from adapter.demo.profiles import read_prices
from adapter.errors import Refused
from adapter.policies import load_policies
from adapter.simulation.course import Course, compute_course
from adapter.simulation.document import render_document
from adapter.simulation.figures import Figures, compute_figures
from adapter.simulation.fleet import EngineTruth, Fleet, read_fleet
from adapter.simulation.running import Outcome, Progress, RunOptions, Stage, prepare_stage, run_policy
from adapter.simulation.svg_picture import PictureRun, render_svg
from adapter.simulation.table import render_bounds, render_table
from adapter.simulation.text_picture import render_text_picture
from adapter.simulation.traces import Trace, cut_trace, read_trace, scale_trace
from optimizer import BUILT_IN_POLICIES, InvalidInput
from optimizer.domain import Settings, VariantKey
from optimizer.simulation import EngineLimits
from optimizer.simulation.cluster import RouterKind

_BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "llama-70b": ("llama-70b",),
    "llama-8b": ("llama-8b",),
    "both": ("llama-70b", "llama-8b"),
}
_STARTUP_S = 120.0
_SILENCE_S = 3.0  # wall time between two lines of progress

Run = tuple[Outcome, Figures, Course]


def play(options: argparse.Namespace) -> int:
    """Play every policy that was asked for, print and write what came of it, and return the exit code."""
    try:
        stage = _prepare(options)
        runs = [_run(policy, stage, options) for policy in options.policies or ("slo",)]
    except InvalidInput as refusal:
        raise Refused(str(refusal)) from refusal
    _tell(stage, runs, options)
    return judge([outcome for outcome, _, _ in runs])


def judge(outcomes: Sequence[Outcome]) -> int:
    """Return the exit code: 1, and a line for each, where a cost is below its bound."""
    violated = [outcome for outcome in outcomes if not outcome.is_possible]
    for outcome in violated:
        print(
            f"variant-autoscaler: {outcome.policy} cost less than its bound: simulator or bound is wrong",
            file=sys.stderr,
        )
    return 1 if violated else 0


def build_fleet(name: str, startup_s: float = _STARTUP_S) -> Fleet:
    """Return the built-in fleet called `name`, with that start-up [s]; its engines run on measured tables."""
    models = tuple(build_model(one, CatalogOptions(startup_s=startup_s)) for one in _BUILT_IN[name])
    accelerators = build_accelerators(models, read_prices())
    whole = sum(model.trace_share_ratio for model in models)
    engines: dict[VariantKey, EngineTruth] = {}
    for model in models:
        engines |= _to_truths(model)
    settings = Settings(tuple(model.served for model in models), accelerators)
    return Fleet(name, settings, engines, tuple(model.trace_share_ratio / whole for model in models))


def _to_truths(model: DemoModel) -> dict[VariantKey, EngineTruth]:
    return {
        key: EngineTruth(
            engine.performance,
            EngineLimits(
                engine.kv_capacity_tokens,
                engine.block_tokens,
                engine.max_running_requests,
                engine.max_batched_tokens,
            ),
        )
        for key, engine in model.engines.items()
    }


def _prepare(options: argparse.Namespace) -> Stage:
    if options.config is None:
        policies = BUILT_IN_POLICIES
        fleet = build_fleet(options.fleet, _STARTUP_S if options.startup_s is None else options.startup_s)
    else:
        policies = load_policies()
        fleet = read_fleet(options.config, policies)
        if options.startup_s is not None:
            fleet = fleet.with_startup(options.startup_s)
    return prepare_stage(_read_trace(options), fleet, _to_run_options(options), policies)


def _read_trace(options: argparse.Namespace) -> Trace:
    trace = cut_trace(read_trace(options.trace, options.seed), options.from_s, options.for_s)
    scaled = scale_trace(trace, options.scale, options.seed)
    if not len(scaled):
        raise Refused(f"the stretch of trace {trace.name} that was asked for has no requests")
    return scaled


def _to_run_options(options: argparse.Namespace) -> RunOptions:
    return RunOptions(
        seed=options.seed,
        startup_p95_s=options.startup_p95_s,
        failure_ratio=options.failure_ratio,
        scrape_interval_s=options.scrape_interval_s,
        scrape_delay_s=options.scrape_delay_s,
        scrape_loss_ratio=options.scrape_loss_ratio,
        router=RouterKind(options.router),
        sizes=options.peers == "sized",
        has_bounds=options.has_bounds,
    )


def _run(policy: str, stage: Stage, options: argparse.Namespace) -> Run:
    outcome = run_policy(policy, stage, None if options.quiet else _announce(policy, ScaledClock.starting_now()))
    return outcome, compute_figures(outcome, stage.briefing.peaks), compute_course(outcome.result)


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
    print(f"{title}: {len(scenario.requests)} requests in {scenario.horizon_s:g} s, {rate_per_s:.2f}/s\n")
    sys.stdout.write(render_table([figures for _, figures, _ in runs]))
    for outcome, _, course in runs:
        if not options.quiet:
            sys.stdout.write("\n" + render_text_picture(outcome.policy, course, is_ascii=not _can_draw()))
        if outcome.ladder is not None:
            sys.stdout.write("\n" + render_bounds(outcome))
    if options.picture is not None:
        drawn = [PictureRun(outcome.policy, course, figures.bound) for outcome, figures, course in runs]
        _write(options.picture, render_svg(title, scenario.horizon_s, drawn).encode())
    if options.json_file is not None:
        _write(options.json_file, render_document(_to_plain(options), stage, runs))


def _to_plain(options: argparse.Namespace) -> dict[str, object]:
    """Return what was asked for, without where the results go."""
    left_out = {"command", "json_file", "picture", "quiet", "policies"}
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
