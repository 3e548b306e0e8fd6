"""Calm window: what is planned with is the largest need and the smallest capacities of the last minutes.

Growth passes at once; a fall counts only after it has lasted for the whole window, so that numbers do not follow noise,
and spikes that recur within the window leave no trace. The samples are kept in a dozen bins per window, so that the
state stays small whatever the period is. It plans nothing and knows no replica that exists.

    planned need(t) = max of need over (t - window, t],    planned capacity(t) = min of capacity over the same
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optimizer.domain import CapacityEntry, CapacityTable, Need, NeedEntry, VariantKey
from optimizer.errors import InvalidInput

BINS = 12
"""Bins a window is kept in: a fall counts after at most 1 + 1/12 windows."""
BROKEN_AFTER_RATIO = 0.5
"""A gap between decisions of more than this share of a window begins it anew: what was not seen was not calm. However
short the window, `longest_gap_s` is no such gap: passes are no closer than their period."""


@dataclass(frozen=True, slots=True)
class NeedCell:
    """One cell of a need: `rate_per_s` [1/s] by `lead_time_s` [s]."""

    lead_time_s: float
    service_class: str
    bucket: str
    rate_per_s: float


@dataclass(frozen=True, slots=True)
class CalmBin:
    """The extremes between `start_s` and `end_s` [s].

    Attributes
    ----------
    cells
        Largest need.
    capacities_per_s
        Smallest capacity of a replica, by variant and role [1/s].
    replicas
        Largest fixed count, by variant and role.
    """

    start_s: float
    end_s: float
    cells: tuple[NeedCell, ...] = ()
    capacities_per_s: Mapping[str, float] = field(default_factory=dict)
    replicas: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StabilizationState:
    """What is remembered of one LLM for the sake of calm.

    Attributes
    ----------
    bins
        Ascending in time.
    begun_s
        Since when they follow one another without a gap [s].
    switch_since_s
        Since when another composition would have been worth switching to, without a break [s]; None when none is.
    shadow_switch_since_s
        The same if what is in shadow moved; None where nothing is in shadow.
    """

    bins: tuple[CalmBin, ...] = ()
    begun_s: float | None = None
    switch_since_s: float | None = None
    shadow_switch_since_s: float | None = None

    def has_been_calm(self, now_s: float, window_s: float) -> bool:
        """Whether a whole window was watched: before that nothing may fall."""
        return self.begun_s is not None and now_s - self.begun_s >= window_s


def calm_need(
    state: StabilizationState,
    need: Need,
    table: CapacityTable,
    now_s: float,
    window_s: float,
    *,
    longest_gap_s: float = 0.0,
) -> tuple[Need, CapacityTable, StabilizationState]:
    """Return the need and the capacities to plan with, and the state with `need` and `table` in it.

    Parameters
    ----------
    state
        Of the pass before.
    need, table
        Of this pass at `now_s` [s].
    window_s
        How long a fall must last before it counts [s], > 0.
    longest_gap_s
        Longest time between two passes that is nothing unusual [s].

    Returns
    -------
    tuple
        A need with the entries of `need`, each at least as large, and a table with the variants of `table`, each at
        most as large.

    Notes
    -----
    Source: sliding maximum, as in the windows of Knative's autoscaler. Ski rental says how long the window should be: a
    replica is kept idle for as long as its idle time costs less than starting it again, which is its start-up time.
    """
    _check_window(window_s)
    cells = tuple(
        NeedCell(entry.lead_time_s, entry.service_class, entry.bucket, entry.rate_per_s) for entry in need.entries
    )
    capacities_per_s = {to_label(entry.key): entry.capacity_per_s for entry in table.entries}
    after = _watch(state, CalmBin(now_s, now_s, cells, capacities_per_s), window_s, longest_gap_s)
    entries = tuple(replace(entry, rate_per_s=_find_largest_per_s(after.bins, entry)) for entry in need.entries)
    capacities = tuple(
        replace(entry, capacity_per_s=_find_smallest_per_s(after.bins, entry)) for entry in table.entries
    )
    return Need(_make_monotone(entries)), CapacityTable(capacities), after


def calm_replicas(
    state: StabilizationState,
    by_variant: Mapping[VariantKey, int],
    now_s: float,
    window_s: float,
    *,
    longest_gap_s: float = 0.0,
) -> tuple[dict[VariantKey, int], StabilizationState]:
    """Return the counts to plan with, each the largest that was proposed within the window, and the next state."""
    _check_window(window_s)
    replicas = {to_label(key): count for key, count in by_variant.items()}
    after = _watch(state, CalmBin(now_s, now_s, replicas=replicas), window_s, longest_gap_s)
    return {
        key: max((entry.replicas.get(to_label(key), 0) for entry in after.bins), default=0) for key in by_variant
    }, after


def to_label(key: VariantKey) -> str:
    """Return the short name of a variant and role within its LLM."""
    return f"{key.variant}/{key.role.value}"


def _check_window(window_s: float) -> None:
    if not window_s > 0.0:
        raise InvalidInput("window_s", "> 0 [s]", window_s)


def _watch(state: StabilizationState, newest: CalmBin, window_s: float, longest_gap_s: float) -> StabilizationState:
    """Return the state with `newest` in it, and without what lies before the window."""
    now_s, begun_s = newest.end_s, state.begun_s
    broken_after_s = max(BROKEN_AFTER_RATIO * window_s, longest_gap_s)
    if begun_s is None or not state.bins or now_s - state.bins[-1].end_s > broken_after_s:
        begun_s = now_s
    kept = [entry for entry in state.bins if entry.end_s > now_s - window_s]
    if kept and now_s - kept[-1].start_s < window_s / BINS:
        newest = _merge(kept.pop(), newest)
    return replace(state, bins=(*kept, newest), begun_s=begun_s)


def _merge(older: CalmBin, newer: CalmBin) -> CalmBin:
    cells = {(cell.lead_time_s, cell.service_class, cell.bucket): cell for cell in older.cells}
    for cell in newer.cells:
        place = (cell.lead_time_s, cell.service_class, cell.bucket)
        if place not in cells or cells[place].rate_per_s < cell.rate_per_s:
            cells[place] = cell
    capacities_per_s = dict(older.capacities_per_s)
    for label, capacity_per_s in newer.capacities_per_s.items():
        capacities_per_s[label] = min(capacity_per_s, capacities_per_s.get(label, capacity_per_s))
    replicas = dict(older.replicas)
    for label, count in newer.replicas.items():
        replicas[label] = max(count, replicas.get(label, count))
    ordered = tuple(cells[place] for place in sorted(cells))
    return CalmBin(older.start_s, newer.end_s, ordered, capacities_per_s, replicas)


def _find_largest_per_s(bins: tuple[CalmBin, ...], entry: NeedEntry) -> float:
    """Return the largest rate that any bin holds for the cell of `entry` [1/s]."""
    return max(_look_up_per_s(past, entry) for past in bins)


def _look_up_per_s(past: CalmBin, entry: NeedEntry) -> float:
    """Return what `past` holds for the lead time of `entry` or the next longer one, or the longest it knows [1/s]."""
    cells = [cell for cell in past.cells if (cell.service_class, cell.bucket) == (entry.service_class, entry.bucket)]
    if not cells:
        return 0.0
    longer = [cell for cell in cells if cell.lead_time_s >= entry.lead_time_s - 1e-9]
    return min(longer, key=_get_lead_time_s).rate_per_s if longer else max(cells, key=_get_lead_time_s).rate_per_s


def _get_lead_time_s(cell: NeedCell) -> float:
    return cell.lead_time_s


def _find_smallest_per_s(bins: tuple[CalmBin, ...], entry: CapacityEntry) -> float:
    label = to_label(entry.key)
    known = [past.capacities_per_s[label] for past in bins if label in past.capacities_per_s]
    return min(known, default=entry.capacity_per_s)


def _make_monotone(entries: tuple[NeedEntry, ...]) -> tuple[NeedEntry, ...]:
    """Return the entries with every rate at least that of the same class and bucket at a shorter lead time."""
    reached: dict[tuple[str, str], float] = {}
    result = {}
    for entry in sorted(entries, key=lambda entry: entry.lead_time_s):
        place = (entry.service_class, entry.bucket)
        reached[place] = max(entry.rate_per_s, reached.get(place, 0.0))
        result[entry] = replace(entry, rate_per_s=reached[place])
    return tuple(result[entry] for entry in entries)
