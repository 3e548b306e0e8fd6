"""Options of the policy ``aibrix``: which algorithm of which version, its metric and its rates, or its profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from optimizer.domain import ServedModel, SignalSpec
from optimizer.errors import InvalidInput
from optimizer.policy.aibrix.profile import AibrixProfile
from optimizer.policy.aibrix.scaling_settings import ScalingSettings
from optimizer.policy.metric_options import LONGEST_WINDOW_S, read_metric
from optimizer.policy.options import OptionReader

METRIC = "metric"
"""Name of the one signal it asks for."""
_UNUSED_PROFILE_KEYS = ("gpu", "created", "e2e", "ttft", "slos")


class Algorithm(StrEnum):
    """What decides."""

    KPA = "kpa"
    APA = "apa"
    OPTIMIZER = "optimizer"


class Version(StrEnum):
    """Whose rules."""

    HEAD = "head"
    OLD = "v0.4"


class Source(StrEnum):
    """What is made of the values of the pods of a variant."""

    POD = "pod"  # their mean, which is what apa multiplies by
    TOTAL = "total"  # their sum, as an external metric would tell, which is what kpa divides


@dataclass(frozen=True, slots=True)
class AibrixOptions:
    """What may be set; the defaults are the peer's.

    Attributes
    ----------
    algorithm, version
        ``kpa`` and ``apa`` scale each variant by its own pods, ``optimizer`` all of them together by profiles.
    signal
        The series that ``kpa`` and ``apa`` look at.
    source
        Mean or sum over pods: ``pod`` for ``apa``, ``total`` for ``kpa`` unless set; of ``head`` only, v0.4 adds up.
    scaling
        Target, rates, tolerances and windows; its bounds do not count, those of the variants do.
    profiles
        Measured profiles by name of the variant; others are made from what is known of its speed.
    own_costs
        Prices that these profiles name, by name of the variant; others are the configured ones.
    """

    algorithm: Algorithm = Algorithm.KPA
    version: Version = Version.HEAD
    signal: SignalSpec = field(default_factory=lambda: SignalSpec(METRIC, "vllm:kv_cache_usage_perc"))
    source: Source = Source.TOTAL
    scaling: ScalingSettings = field(default_factory=lambda: ScalingSettings(target=0.5))
    profiles: Mapping[str, AibrixProfile] = field(default_factory=dict)
    own_costs: Mapping[str, float] = field(default_factory=dict)


_SHARED = ("metric", "max_scale_up_rate", "max_scale_down_rate")
_TOLERANCES = ("scale_up_tolerance", "scale_down_tolerance")
_COOLDOWNS = ("scale_up_cooldown_window", "scale_down_cooldown_window")
_PANIC = ("panic_threshold", "panic_window")
_KEYS: dict[tuple[Algorithm, Version], frozenset[str]] = {
    (Algorithm.KPA, Version.HEAD): frozenset(
        ("source", "observe_window", *_SHARED, *_TOLERANCES, *_COOLDOWNS, *_PANIC)
    ),
    (Algorithm.APA, Version.HEAD): frozenset(("source", "observe_window", *_SHARED, *_TOLERANCES, *_COOLDOWNS)),
    (Algorithm.KPA, Version.OLD): frozenset(
        ("observe_window", "scale_down_delay", "activation_scale", *_SHARED, *_PANIC)
    ),
    (Algorithm.APA, Version.OLD): frozenset(("observe_window", *_SHARED, *_TOLERANCES)),
    (Algorithm.OPTIMIZER, Version.HEAD): frozenset(("profiles",)),
    (Algorithm.OPTIMIZER, Version.OLD): frozenset(("profiles",)),
}
"""The options that count for an algorithm of a version."""


def decode_options(options: Mapping[str, object], model: ServedModel | None = None) -> AibrixOptions:
    """Return the options of plain values, checked against `model` if there is one that has variants.

    Raises
    ------
    InvalidOptions
        When something is wrong: it names everything.
    """
    reader = OptionReader(options)
    algorithm = reader.choice("algorithm", Algorithm.KPA)
    version = reader.choice("version", Version.HEAD)
    signal, target = _read_metric(reader.mapping("metric"))
    names = None if model is None or not model.variants else [variant.name for variant in model.variants]
    profiles, own_costs = _read_profiles(reader.mapping("profiles"), names)
    decoded = AibrixOptions(
        algorithm,
        version,
        signal,
        reader.choice("source", Source.TOTAL if algorithm is Algorithm.KPA else Source.POD),
        _read_scaling(reader, target, algorithm, version),
        profiles,
        own_costs,
    )
    counted = _KEYS[algorithm, version]
    for key in sorted(frozenset().union(*_KEYS.values()) - counted):
        if reader.has(key):
            reader.refuse(key, f"left out with algorithm {algorithm} of version {version}", options[key])
    if model is not None:
        _check_bounds(reader, algorithm, model)
    reader.finish()
    return decoded


def _check_bounds(reader: OptionReader, algorithm: Algorithm, model: ServedModel) -> None:
    """Check that nothing can run away: ``apa`` multiplies what is there, ``optimizer`` buys for loads none carries."""
    if algorithm is Algorithm.KPA or model.max_replicas is not None:
        return
    for index, variant in enumerate(model.variants):
        if variant.max_replicas is None:
            bound = f"given, or max_replicas of the model, with algorithm {algorithm}, which may run away"
            reader.refuse_model(f"variants[{index}].max_replicas", bound, None)


def _read_metric(reader: OptionReader) -> tuple[SignalSpec, float]:
    usual = AibrixOptions()
    target = reader.number("target", usual.scaling.target, above=0.0)
    if reader.has("series") and not reader.has("target"):
        reader.refuse("target", "given with series: the value of one replica, > 0", None)
    return read_metric(reader, METRIC, usual.signal.series), target


def _read_scaling(reader: OptionReader, target: float, algorithm: Algorithm, version: Version) -> ScalingSettings:
    usual, is_old = ScalingSettings(target), version is Version.OLD
    down_ratio = 0.2 if is_old and algorithm is Algorithm.APA else usual.scale_down_tolerance_ratio
    observe_s = reader.duration_s("observe_window", 60.0 if is_old else 180.0, at_least=1.0, at_most=LONGEST_WINDOW_S)
    panic_s = reader.duration_s("panic_window", 10.0 if is_old else 60.0, at_least=1.0, at_most=LONGEST_WINDOW_S)
    if reader.has("panic_window") and panic_s > observe_s:
        reader.refuse("panic_window", f"<= observe_window, which is {observe_s:g} s", panic_s)
    return ScalingSettings(
        target,
        max_scale_up_ratio=reader.number("max_scale_up_rate", usual.max_scale_up_ratio, at_least=1.0),
        max_scale_down_ratio=reader.number("max_scale_down_rate", usual.max_scale_down_ratio, at_least=1.0),
        scale_up_tolerance_ratio=reader.number("scale_up_tolerance", usual.scale_up_tolerance_ratio, at_least=0.0),
        scale_down_tolerance_ratio=reader.number("scale_down_tolerance", down_ratio, at_least=0.0, below=1.0),
        panic_threshold_ratio=reader.number("panic_threshold", usual.panic_threshold_ratio, above=0.0),
        scale_up_cooldown_s=reader.duration_s("scale_up_cooldown_window", usual.scale_up_cooldown_s),
        scale_down_cooldown_s=reader.duration_s("scale_down_cooldown_window", usual.scale_down_cooldown_s),
        stable_window_s=observe_s,
        panic_window_s=panic_s,
        scale_down_delay_s=reader.duration_s("scale_down_delay", usual.scale_down_delay_s),
        activation_replicas=reader.count("activation_scale", usual.activation_replicas, at_least=1),
    )


def _read_profiles(
    reader: OptionReader, variants: Sequence[str] | None
) -> tuple[dict[str, AibrixProfile], dict[str, float]]:
    profiles: dict[str, AibrixProfile] = {}
    own_costs: dict[str, float] = {}
    for name in reader.keys:
        given = reader.mapping(name)
        if variants is not None and name not in variants:
            reader.refuse(name, f"the name of a variant, one of {', '.join(variants)}", name)
        cost = given.number("cost", None, above=0.0)
        if cost is not None:
            own_costs[name] = cost
        profile = _read_profile(given, name)
        if profile is not None:
            profiles[name] = profile
    grids = {(entry.output_ticks_tokens, entry.input_ticks_tokens) for entry in profiles.values()}
    if len(grids) > 1:
        reader.refuse("", "profiles on one grid: the same indexes for all", sorted(grids))
    return profiles, own_costs


def _read_profile(given: OptionReader, name: str) -> AibrixProfile | None:
    for key in _UNUSED_PROFILE_KEYS:
        given.has(key)
    tputs, indexes = _read_table(given, "tputs", 0.0), _read_table(given, "indexes", 1.0)
    if not tputs or not indexes:
        return None
    if len(indexes) != 2:
        given.refuse("indexes", "two lists: output ticks, input ticks", len(indexes))
        return None
    try:
        return AibrixProfile(name, 1.0, tputs, indexes[0], indexes[1])
    except InvalidInput as problem:
        given.refuse("", f"a profile, with {problem.field} {problem.bound}", problem.value)
        return None


def _read_table(reader: OptionReader, key: str, at_least: float) -> tuple[tuple[float, ...], ...]:
    """Return the rows of numbers at `key`, () when there is something wrong, which is noted."""
    if not reader.has(key):
        reader.refuse(key, "a list of lists of numbers", None)
        return ()
    value = reader.peek(key)
    rows = [row for row in value if isinstance(row, (list, tuple))] if isinstance(value, (list, tuple)) else []
    numbers = [entry for row in rows for entry in row]
    is_numeric = all(isinstance(entry, (int, float)) and not isinstance(entry, bool) for entry in numbers)
    if not isinstance(value, (list, tuple)) or len(rows) != len(value) or not numbers or not is_numeric:
        reader.refuse(key, "a list of lists of numbers", value)
        return ()
    if any(not entry >= at_least for entry in numbers):
        reader.refuse(key, f"a list of lists of numbers >= {at_least:g}", value)
        return ()
    return tuple(tuple(float(entry) for entry in row) for row in rows)
