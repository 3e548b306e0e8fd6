"""The policy ``target``: keep the mean of chosen metrics over a variant's pods at their targets. It publishes nothing.

Every variant is followed by itself, as a HorizontalPodAutoscaler of its Deployment would with metrics of type Pods: the
metric that asks for most counts, a metric that no pod tells never lets it shrink, pods that say nothing count as busy
while it shrinks and as idle while it grows, windows and step limits damp what is left. A quantile that all pods have
too few observations for has no say: other metrics decide, without any the count stays. Bounds are those of the variant,
at least one replica while the LLM is in use. A variant without replicas stays so.

Options::

    metrics:                        # at least one
    - name: waiting                 # [the series]   unique
      series: vllm:num_requests_waiting  #           labels, kind, quantile_ratio, window: see `metric_options`
      target: 5                     #                mean per replica, >= 0.001
      tolerance: 0.1                # [0.1]          no step while the mean is within this ratio of the target
    scale_up:                       # likewise scale_down
      stabilization_window: 0s      # [0s up, 300s down]  the most cautious proposal of so long counts
      select: Max                   # [Max]          Max | Min | Disabled
      policies:                     # [4 Pods or 100 Percent in 15s up; 100 Percent in 15s down]
      - {type: Pods, value: 4, period: 15s}
      - {type: Percent, value: 100, period: 15s}
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from optimizer.domain import ServedModel, Settings, SignalSpec
from optimizer.policy.hpa_law import (
    HpaSpec,
    HpaState,
    PodValues,
    damp_proposal,
    decode_hpa_state,
    encode_hpa_state,
    propose_by_pods,
    start_hpa,
)
from optimizer.policy.protocol import FixedReplicas, ModelView, PolicyState, VariantView
from optimizer.policy.single_pools import Reading, bound_count, read_signal
from optimizer.policy.target.options import TargetMetric, TargetOptions, decode_target_options

_UNBOUNDED = 2**31 - 1


class TargetPolicy:
    """The HPA's law on every variant; see the module. Its memory is that of an HPA per variant."""

    def list_signals(self, options: Mapping[str, object]) -> tuple[SignalSpec, ...]:
        """Return the series of the metrics; see `SignalReader`."""
        return tuple(metric.signal for metric in decode_target_options(options).metrics)

    def check_options(self, model: ServedModel) -> None:
        """Check the options of one LLM; see `OptionsChecker`."""
        decode_target_options(model.policy_options)

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[FixedReplicas, PolicyState]:
        """Return the replicas of every variant at `now_s` [s]; see `Policy`."""
        del settings  # neither price nor capacity counts
        options = decode_target_options(view.model.policy_options)
        wanted, memory = {}, {}
        for line in view.variants:
            before = decode_hpa_state(state.get(line.key.variant))
            wanted[line.key], after = _step(view, line, before, now_s, options)
            memory[line.key.variant] = encode_hpa_state(after)
        return FixedReplicas(wanted), memory


def _step(
    view: ModelView, line: VariantView, state: HpaState, now_s: float, options: TargetOptions
) -> tuple[int, HpaState]:
    current = line.published_replicas
    if current == 0 or line.state.reason is not None:
        return current, state
    readings = [read_signal(view, line, metric.signal.name) for metric in options.metrics]
    pairs = list(zip(options.metrics, readings, strict=True))
    known = [count for metric, read in pairs if (count := _propose(metric, read, current)) is not None]
    is_blind = any(not read.values and read.thin_pods < line.state.ready_replicas for read in readings)
    if not known or (is_blind and max(known) < current):
        return current, state
    proposal = bound_count(view, line, max(known))
    spec = HpaSpec(0, _UNBOUNDED, behavior=options.behavior)
    state = state if state.proposals else start_hpa(current, now_s)
    replicas, state = damp_proposal(spec, state, current, proposal, now_s)
    return bound_count(view, line, replicas), state


def _propose(metric: TargetMetric, read: Reading, current: int) -> int | None:
    """Return what one metric asks for of `current` replicas, None when no pod tells it.

    A quantile beyond the last edge of its histogram counts as twice the target. Pods with too few observations for one
    are idle beside pods below the target, and no reason for fewer beside pods above it.
    """
    values = tuple(max(value, 0.0) if math.isfinite(value) else 2.0 * metric.target for value in read.values)
    idle = read.thin_pods if math.fsum(values) < metric.target * len(values) else 0
    pods = PodValues((*values, *(0.0,) * idle), read.missing_pods - idle)
    return propose_by_pods(pods, metric.target, current, metric.tolerance_ratio)
