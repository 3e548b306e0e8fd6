"""What the policy ``skyserve`` can be told, in the peer's words, and whether it fits the LLM. It decides nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from optimizer.domain import ServedModel, Variant
from optimizer.policy.options import OptionReader

_RATE = "target_qps_per_replica"
_KEY = re.compile(r"(?P<name>[^:\s]+)(:(?P<count>[1-9]\d*))?")


class RateKind(StrEnum):
    """Where the rates of replicas come from."""

    NUMBER = "number"
    TABLE = "table"
    MEASURED = "measured"  # the capacity within the SLO
    NONE = "none"  # the count is fixed


class BalancingPolicy(StrEnum):
    """How the router is set up, in the peer's words."""

    INSTANCE_AWARE = "instance_aware_least_load"
    LEAST_LOAD = "least_load"
    ROUND_ROBIN = "round_robin"


@dataclass(frozen=True, slots=True)
class SkyServeOptions:
    """The decoded options.

    Attributes
    ----------
    rate_kind
        Where the rates come from.
    rate_per_s
        The one rate for all [1/s], None for another kind.
    rates_per_s
        Rate of one replica by variant [1/s], where a table gives them.
    upscale_delay_s, downscale_delay_s
        How long a wish for more, or for less, must last [s].
    overprovision_replicas
        Kept beyond what is asked for.
    weighs_lengths
        Whether given rates are taken for the lengths the LLM is expected to have, and follow those measured.
    """

    rate_kind: RateKind
    rate_per_s: float | None = None
    rates_per_s: Mapping[str, float] = field(default_factory=dict)
    upscale_delay_s: float = 300.0
    downscale_delay_s: float = 1200.0
    overprovision_replicas: int = 0
    weighs_lengths: bool = True


def decode_options(options: Mapping[str, object], model: ServedModel) -> SkyServeOptions:
    """Return the options, checked against `model` where it has variants.

    Raises
    ------
    InvalidOptions
        When anything is not valid: it names everything that is not.
    """
    reader = OptionReader(options)
    kind, rate_per_s, table = _read_rates(reader)
    decoded = SkyServeOptions(
        rate_kind=kind,
        rate_per_s=rate_per_s,
        rates_per_s=_match_table(reader, table, model.variants),
        upscale_delay_s=reader.duration_s("upscale_delay", 300.0),
        downscale_delay_s=reader.duration_s("downscale_delay", 1200.0),
        overprovision_replicas=reader.count("num_overprovision", 0),
        weighs_lengths=reader.flag("weigh_lengths", True),
    )
    _check_balancing(reader, kind)
    if model.variants:
        _check_bounds(reader, kind, model)
    reader.finish()
    return decoded


def get_bounds(model: ServedModel) -> tuple[int, int | None]:
    """Return the least and most replicas of `model` over all its variants, None for no bound."""
    least = max(model.min_replicas, sum(variant.min_replicas for variant in model.variants))
    known = [variant.max_replicas for variant in model.variants if variant.max_replicas is not None]
    most = sum(known) if len(known) == len(model.variants) else None
    if model.max_replicas is not None:
        most = model.max_replicas if most is None else min(most, model.max_replicas)
    return least, most


def _read_rates(reader: OptionReader) -> tuple[RateKind, float | None, dict[str, float]]:
    if not reader.has(_RATE):
        return RateKind.NONE, None, {}
    given = reader.peek(_RATE)
    if isinstance(given, Mapping):
        entries = reader.mapping(_RATE)
        table = {key: entries.number(key, 1.0, above=0.0, unit="1/s") for key in entries.keys}
        for key in table:
            if not _KEY.fullmatch(key):
                entries.refuse(key, "named by an accelerator, such as A100, or A100:1 with its count", key)
            if f"{key}:1" in table:
                entries.refuse(key, f"left out beside {key}:1, which means the same", key)
        if not table:
            reader.refuse(_RATE, "a table with a rate of at least one accelerator", given)
        return RateKind.TABLE, None, table
    if isinstance(given, str):
        reader.text(_RATE, None, one_of=(RateKind.MEASURED.value,))
        return RateKind.MEASURED, None, {}
    return RateKind.NUMBER, reader.number(_RATE, 1.0, above=0.0, unit="1/s"), {}


def _match_table(reader: OptionReader, table: Mapping[str, float], listed: Sequence[Variant]) -> dict[str, float]:
    """Return the rates by variant; a key with the count of accelerators goes before one without."""
    rates = dict[str, float]()
    used = {variant.accelerator for variant in listed}
    names = {key: key.split(":")[0] for key in table if _KEY.fullmatch(key)}
    for variant in listed if table else ():
        exact = f"{variant.accelerator}:{variant.accelerators_per_replica}"
        found = next((key for key in (exact, variant.accelerator) if key in table), None)
        if found is None:
            reader.refuse(_RATE, _explain_missing(variant, exact, names, used), list(table))
        else:
            rates[variant.name] = table[found]
    return rates


def _explain_missing(variant: Variant, exact: str, names: Mapping[str, str], used: Collection[str]) -> str:
    """Return what the table should have; `names` are the accelerators of its keys, `used` those of all variants."""
    bound = f"a table with a rate for {exact} or {variant.accelerator}, of which variant {variant.name} is made"
    others = [key for key, name in names.items() if name == variant.accelerator]
    if others:
        return f"{bound} (the count of {others[0]} is not that of its replicas)"
    unused = [name for name in names.values() if name not in used]
    near = difflib.get_close_matches(variant.accelerator, unused, n=1, cutoff=0.5)
    return f"{bound} (did you mean it by {near[0]}?)" if near else bound


def _check_balancing(reader: OptionReader, kind: RateKind) -> None:
    word = reader.text("load_balancing_policy", None, one_of=tuple(entry.value for entry in BalancingPolicy))
    if word is None:
        return
    if kind is RateKind.TABLE and word != BalancingPolicy.INSTANCE_AWARE:
        reader.refuse("load_balancing_policy", f"{BalancingPolicy.INSTANCE_AWARE} with a table of rates", word)
    if kind is RateKind.NUMBER and word == BalancingPolicy.INSTANCE_AWARE:
        reader.refuse("load_balancing_policy", "least_load or round_robin with one rate for all", word)


def _check_bounds(reader: OptionReader, kind: RateKind, model: ServedModel) -> None:
    for index, variant in enumerate(model.variants):
        most = variant.max_replicas
        if most is not None and variant.min_replicas > most:
            reader.refuse_model(f"variants[{index}].max_replicas", f">= min_replicas {variant.min_replicas}", most)
    least, upper = get_bounds(model)
    if upper is not None and least > upper:
        reader.refuse_model("min_replicas", f"<= {upper}, the max_replicas of the model or of its variants", least)
    if kind is RateKind.NONE and least != upper:
        reader.refuse(
            _RATE, "a number, a table by accelerator or measured, where min_replicas differ from max_replicas", None
        )
    if kind is not RateKind.NONE and upper is None:
        reader.refuse_model("max_replicas", "given, here or for every variant, with policy skyserve", None)
