"""The policy ``kthena``: metrics with targets per replica, rate limits, windows and panic, spread in blocks by cost.

What is scaled together is one variant alone, all variants as a group, or the variants of each role, in proportion.
As the peer does it, except that

* every pod is one report, so tolerance and missing pods act per replica, and one pod that fails stops nobody;
* counters become rates, and pods that restarted or go away are left out alone;
* what is remembered as recommended was recommended, so a peak is released;
* panic needs metrics that ask for it and something that runs; one set of defaults, without panic;
* replicas of a group may have weights;
* the proportion of roles is set right before the rate limits; where these break it for now, it says so;
* what cannot work is refused when the options are read;
* bounds, limits, calm and order of steps are those of every policy.

Without a report of any pod what is published is kept. It forecasts nothing and knows no promise of latency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from optimizer.domain import Reason, ReasonCode, Role, ServedModel, Settings, SignalSpec, VariantKey
from optimizer.policy.kthena.checks import get_bounds, is_fixed
from optimizer.policy.kthena.correct import Memory
from optimizer.policy.kthena.decode import decode_options
from optimizer.policy.kthena.group import (
    Group,
    Recommended,
    correct_group,
    recommend_group,
    spread_group,
)
from optimizer.policy.kthena.memory import decode_memory, encode_memory
from optimizer.policy.kthena.options import CapacitySource, KthenaOptions, RatioConstraint, TargetKind
from optimizer.policy.kthena.ratio import keeps_ratio, repair_ratio
from optimizer.policy.protocol import FixedReplicas, ModelView, PolicyState, VariantView
from optimizer.policy.slo import estimate_capacities


@dataclass(frozen=True, slots=True)
class KthenaPolicy:
    """See the module; options: `KthenaOptions`."""

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[FixedReplicas, PolicyState]:
        """Return the replicas wanted at `now_s` [s]; see `Policy`."""
        del settings  # prices stand in the view
        options = decode_options(view.model.policy_options, view.model)
        kind = options.get_target(view.model)
        weights, unweighted = _find_weights(view, options)
        groups, notes = _form_groups(view, options, kind, weights), [] if unweighted is None else [unweighted]
        said = _recommend(groups, view, options, kind)
        silent = [group for group in groups if group.name not in said]
        if silent and (not said or kind is TargetKind.DISAGGREGATED):
            return _hold(view, silent), state
        memories, counts = _get_memories(groups, state, options), dict[str, int]()
        wanted = {key: count for group in silent for key, count in group.published.items()}
        for group in (entry for entry in groups if entry.name in said):
            count, memories[group.name] = correct_group(group, said[group.name], memories[group.name], now_s, options)
            replicas, note = spread_group(group, count, options.cost_expansion_ratio)
            counts[group.name], wanted = count, {**wanted, **replicas}
            notes += [note] if note is not None else []
        notes += _list_notes(silent, counts, options.ratio_constraint, memories, now_s)
        is_weighted = options.capacity_source is not CapacitySource.EQUAL and unweighted is None
        proposal = FixedReplicas(wanted, note=_join(notes), capacity_per_s=weights if is_weighted else {})
        return proposal, {"groups": {name: encode_memory(memory) for name, memory in memories.items()}}

    def list_signals(self, options: Mapping[str, object]) -> tuple[SignalSpec, ...]:
        """Return the signals that the metrics are made of; see `SignalReader`."""
        return decode_options(options).list_signals()

    def check_options(self, model: ServedModel) -> None:
        """Check the options of `model`, naming everything that is wrong; see `OptionsChecker`."""
        decode_options(model.policy_options, model)


def _form_groups(
    view: ModelView, options: KthenaOptions, kind: TargetKind, weights: Mapping[VariantKey, float]
) -> list[Group]:
    """Return what is scaled together."""
    if kind is TargetKind.HOMOGENEOUS:
        return [_make_group(line.key.variant, (line,), options, weights) for line in view.variants]
    if kind is TargetKind.DISAGGREGATED:
        by_role = {role: tuple(line for line in view.variants if line.key.role is role) for role in Role}
        return [_make_group(role.value, lines, options, weights) for role, lines in by_role.items() if lines]
    whole = _make_group("the group", view.variants, options, weights)
    least, most = whole.min_replicas, whole.max_replicas
    if view.model.max_replicas is not None:
        most = max(min(most, view.model.max_replicas), least)
    least = min(max(least, view.model.min_replicas), most)
    return [replace(whole, min_replicas=least, max_replicas=most)]


def _make_group(
    name: str, lines: tuple[VariantView, ...], options: KthenaOptions, weights: Mapping[VariantKey, float]
) -> Group:
    least, most = get_bounds(line.variant for line in lines)
    return Group(name, lines, options.get_metrics(lines[0].key.role), least, most, weights)


def _find_weights(view: ModelView, options: KthenaOptions) -> tuple[dict[VariantKey, float], Reason | None]:
    """Return what a replica of each variant is good for: all alike unless that is known of every one."""
    alike = {line.key: 1.0 for line in view.variants}
    if options.capacity_source is CapacitySource.GIVEN:
        return {line.key: options.capacity_per_s[line.key.variant] for line in view.variants}, None
    if options.capacity_source is CapacitySource.EQUAL:
        return alike, None
    known = {key: estimate.capacity_per_s.value for key, estimate in estimate_capacities(view).items()}
    weights = {key: value for key, value in known.items() if value is not None and value > 0.0}
    if len(weights) == len(alike):
        return weights, None
    names = ", ".join(key.variant for key in alike if key not in weights)
    return alike, Reason(ReasonCode.NO_PROFILE, f"replicas count alike, since the capacity of {names} is not known")


def _recommend(
    groups: Sequence[Group], view: ModelView, options: KthenaOptions, kind: TargetKind
) -> dict[str, Recommended]:
    """Return what is recommended for every group of which anything can be said."""
    silent_s = view.demand.silent_s if view.demand.is_complete else 0.0
    said = dict[str, Recommended]()
    for group in groups:
        if kind is TargetKind.DISAGGREGATED and is_fixed((group.min_replicas, group.max_replicas)):
            said[group.name] = Recommended(group.min_replicas, False)
            continue
        found = recommend_group(group, view.signals, silent_s, options.tolerance_ratio)
        if found is not None:
            said[group.name] = found
    is_whole = len(said) == len(groups)
    return _set_ratio(groups, said, options.ratio_constraint) if is_whole else said


def _set_ratio(
    groups: Sequence[Group], said: Mapping[str, Recommended], constraint: RatioConstraint | None
) -> dict[str, Recommended]:
    """Return the recommendations with the two roles in proportion, as far as their bounds allow."""
    by_name = {group.name: group for group in groups}
    if constraint is None:
        return dict(said)
    names = (constraint.numerator_role.value, constraint.denominator_role.value)
    if not by_name.keys() >= set(names):
        return dict(said)
    bounds = [(by_name[name].min_replicas, by_name[name].max_replicas) for name in names]
    counts = [said[name].replicas for name in names]
    *repaired, _ = repair_ratio(counts[0], counts[1], bounds[0], bounds[1], constraint.rule)
    adjusted = {
        name: Recommended(count, said[name].is_from_metrics) for name, count in zip(names, repaired, strict=True)
    }
    return {**said, **adjusted}


def _get_memories(groups: Sequence[Group], state: PolicyState, options: KthenaOptions) -> dict[str, Memory]:
    kept = state.get("groups")
    known = kept if isinstance(kept, Mapping) else {}
    return {group.name: decode_memory(known.get(group.name), options.behavior) for group in groups}


def _hold(view: ModelView, silent: Sequence[Group]) -> FixedReplicas:
    published = {line.key: line.published_replicas for line in view.variants}
    return FixedReplicas(published, hold=_explain_silence(silent))


def _explain_silence(silent: Sequence[Group]) -> Reason:
    names = sorted({metric.name for group in silent for metric in group.metrics})
    who = ", ".join(group.name for group in silent)
    if not any(line.state.ready_replicas for group in silent for line in group.lines):
        return Reason(ReasonCode.NO_PODS, f"no pod of {who} serves that could tell {', '.join(names)}")
    return Reason(ReasonCode.METRIC_MISSING, f"no pod of {who} tells {', '.join(names)}")


def _list_notes(
    silent: Sequence[Group],
    counts: Mapping[str, int],
    constraint: RatioConstraint | None,
    memories: Mapping[str, Memory],
    now_s: float,
) -> list[Reason]:
    notes = [_explain_silence(silent)] if silent else []
    if constraint is not None:
        names = (constraint.numerator_role.value, constraint.denominator_role.value)
        if all(name in counts for name in names) and not keeps_ratio(
            counts[names[0]], counts[names[1]], constraint.rule
        ):
            text = f"{counts[names[0]]} {names[0]} to {counts[names[1]]} {names[1]} is out of proportion for now"
            notes.append(Reason(ReasonCode.BOUND_BINDS, text))
    for name, memory in memories.items():
        if memory.is_panic(now_s) and memory.panic_until_s is not None:
            left_s = memory.panic_until_s - now_s
            notes.append(
                Reason(ReasonCode.SCALE_UP, f"{name} is in panic for {left_s:.0f} s more, and does not shrink")
            )
    return notes


def _join(notes: Sequence[Reason]) -> Reason | None:
    """Return all notes as one, under the code of the first."""
    return Reason(notes[0].code, "; ".join(note.message for note in notes)) if notes else None
