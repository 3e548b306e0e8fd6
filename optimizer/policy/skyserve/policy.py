"""The policy ``skyserve``: target requests per second by accelerator, and patience both ways.

As the peer does it, except that

* only replicas that serve, or are on their way, are the base of growth, and zero is left with the first arrival;
* arrivals are forecast over the lead time; rates are given, or measured within the SLO; given ones follow the lengths;
* what is missing is bought by name, cheapest per rate first, within maxima and limits, and so much of it as is needed;
* what goes first is what does not serve yet, then the dearest per rate; what stays carries more than the arrivals;
* delays are seconds of lasting wishes, and extremes over the delay decide, not the last tick;
* what cannot work is refused when the options are read; a changed table begins to count at once and resets nothing;
* bounds, limits, calm and order of steps are those of every policy.

It knows no promise of latency beyond its rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from optimizer.demand import Forecaster, RobustForecaster
from optimizer.domain import Reason, ReasonCode, ServedModel, Settings, VariantKey, Workload
from optimizer.policy.lead_time import compute_lead_time_s
from optimizer.policy.protocol import FixedReplicas, ModelView, PolicyState, VariantView
from optimizer.policy.skyserve.delays import Patience, decode_patience, encode_patience, step_patience
from optimizer.policy.skyserve.fleet import FleetReplica, Market, Offer, Wanted, change_fleet, compute_wanted
from optimizer.policy.skyserve.options import RateKind, SkyServeOptions, decode_options, get_bounds
from optimizer.policy.skyserve.replicas import Status
from optimizer.queueing import estimate_capacity

LONGEST_TICK_PERIODS = 2.0
"""A tick counts at most so many periods of deciding: what was not watched longer than that did not last."""


@dataclass(frozen=True, slots=True)
class SkyServePolicy:
    """See the module; options: `SkyServeOptions`."""

    forecaster: Forecaster = field(default_factory=RobustForecaster)

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[FixedReplicas, PolicyState]:
        """Return the replicas wanted at `now_s` [s]; see `Policy`."""
        options = decode_options(view.model.policy_options, view.model)
        offers, unknown = _make_offers(view, options)
        untouched = {line.key: line.published_replicas for line in unknown}
        if not offers:
            return FixedReplicas(untouched, hold=_explain_unknown(unknown)), state
        market = Market(tuple(offers.values()), settings.limits)
        replicas = [replica for line in view.variants for replica in _list_replicas(line, offers)]
        bounds = _find_bounds(view, sum(untouched.values()))
        arrivals_per_s = self._forecast_per_s(view, settings)
        wanted = compute_wanted(arrivals_per_s, replicas, market, *bounds)
        patience = _restore(state, len(replicas) - options.overprovision_replicas, *bounds)
        wish, tick_s = _find_wish(view, wanted, patience), _measure_tick_s(state, now_s, settings)
        patience = step_patience(patience, wish, tick_s, options.upscale_delay_s, options.downscale_delay_s)
        total = patience.target_replicas + options.overprovision_replicas
        proposal = FixedReplicas(
            untouched | change_fleet(replicas, total, market),
            note=_explain(wanted, arrivals_per_s, unknown),
            capacity_per_s={} if options.rate_kind is RateKind.NONE else _list_rates_per_s(offers),
        )
        return proposal, {**encode_patience(patience), "ticked_s": now_s}

    def check_options(self, model: ServedModel) -> None:
        """Check the options of `model`, naming everything that is wrong; see `OptionsChecker`."""
        decode_options(model.policy_options, model)

    def _forecast_per_s(self, view: ModelView, settings: Settings) -> float:
        """Return the highest rate expected until what is asked for now could serve [1/s]."""
        decision = settings.decision
        horizon_s = max(compute_lead_time_s(line.variant, decision) for line in view.variants)
        expected = self.forecaster.forecast(view.history, (horizon_s,), (decision.forecast_level_ratio,))
        known = view.demand.rate_per_s.value if not view.history.samples else 0.0
        return max(float(expected[0, 0]), known or 0.0)


def _find_bounds(view: ModelView, elsewhere: int) -> tuple[int, int]:
    """Return least and most replicas of all variants together but those `elsewhere`."""
    least, most = get_bounds(view.model)
    if most is None:
        most = max(least, sum(line.published_replicas for line in view.variants))
    return max(least - elsewhere, 0), max(most - elsewhere, 0)


def _list_rates_per_s(offers: Mapping[VariantKey, Offer]) -> dict[VariantKey, float]:
    return {key: offer.rate_per_s for key, offer in offers.items()}


def _restore(state: PolicyState, present: int, least: int, most: int) -> Patience:
    """Return what was remembered, within the bounds of now; a memory that makes no sense begins at what is there."""
    patience = decode_patience(state, min(max(present, least), most))
    target = min(max(patience.target_replicas, least), most)
    return patience if target == patience.target_replicas else Patience(target)


def _find_wish(view: ModelView, wanted: Wanted, patience: Patience) -> int | None:
    """Return the wish of this tick, None when it may not count: one that does not see all arrivals may only raise."""
    is_blind = not view.demand.is_complete and wanted.replicas <= patience.target_replicas
    return None if is_blind else wanted.replicas


def _measure_tick_s(state: PolicyState, now_s: float, settings: Settings) -> float:
    """Return the time since the last tick [s]; a period when there was none, two when it is long ago."""
    period_s, last_s = settings.decision.period_s, state.get("ticked_s")
    if isinstance(last_s, bool) or not isinstance(last_s, (int, float)) or not isfinite(last_s):
        return period_s
    return min(max(now_s - last_s, 0.0), LONGEST_TICK_PERIODS * period_s)


def _make_offers(view: ModelView, options: SkyServeOptions) -> tuple[dict[VariantKey, Offer], list[VariantView]]:
    """Return what can be bought by variant, and the variants whose rate is not known."""
    offers, unknown = dict[VariantKey, Offer](), list[VariantView]()
    for line in view.variants:
        rate_per_s = _find_rate_per_s(view, line, options)
        if rate_per_s is None or rate_per_s <= 0.0:
            unknown.append(line)
            continue
        variant = line.variant
        offers[line.key] = Offer(
            line.key, rate_per_s, line.replica_cost_per_hour, variant.min_replicas, variant.max_replicas
        )
    return offers, unknown


def _find_rate_per_s(view: ModelView, line: VariantView, options: SkyServeOptions) -> float | None:
    if options.rate_kind is RateKind.NONE:
        return 1.0
    if options.rate_kind is RateKind.MEASURED:
        return _estimate_per_s(view, line, view.workload)
    given = options.rates_per_s.get(line.variant.name) if options.rate_per_s is None else options.rate_per_s
    if given is None or not options.weighs_lengths or view.model.expected_workload is None:
        return given
    expected, present = (
        _estimate_per_s(view, line, workload) for workload in (view.model.expected_workload, view.workload)
    )
    return given if not expected or not present else given * present / expected


def _estimate_per_s(view: ModelView, line: VariantView, workload: Workload | None) -> float | None:
    """Return what one replica of `line` carries of `workload` within the SLO [1/s], None when nobody knows."""
    if workload is None:
        return None
    variant = line.variant
    kv_tokens = line.kv_capacity_tokens
    if kv_tokens is None and variant.performance is not None:
        kv_tokens = variant.performance.kv_capacity_tokens
    return estimate_capacity(variant, workload, view.model.service_classes, kv_tokens).capacity_per_s.value


def _list_replicas(line: VariantView, offers: Mapping[VariantKey, Offer]) -> list[FleetReplica]:
    """Return the replicas that are asked for: first those that serve, the others are on their way."""
    offer = offers.get(line.key)
    if offer is None:
        return []
    ready = min(line.state.ready_replicas, line.published_replicas)
    statuses = [Status.READY] * ready + [Status.STARTING] * (line.published_replicas - ready)
    return [FleetReplica(offer, status, id) for id, status in enumerate(statuses)]


def _explain(wanted: Wanted, arrivals_per_s: float, unknown: list[VariantView]) -> Reason | None:
    texts = []
    if wanted.uncovered_per_s > 0.0:
        texts.append(
            f"bounds and limits leave {wanted.uncovered_per_s:.3g}/s of {arrivals_per_s:.3g}/s without a replica"
        )
    if unknown:
        texts.append(_explain_unknown(unknown).message)
    if not texts:
        return None
    return Reason(ReasonCode.SHORTAGE if wanted.uncovered_per_s > 0.0 else ReasonCode.NO_PROFILE, "; ".join(texts))


def _explain_unknown(unknown: list[VariantView]) -> Reason:
    names = ", ".join(line.key.variant for line in unknown)
    return Reason(ReasonCode.NO_PROFILE, f"the rate of a replica of {names} is not known")
