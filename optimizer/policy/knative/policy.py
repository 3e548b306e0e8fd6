"""The policy ``knative``: every variant of an LLM is one pool under Knative's rules. It publishes nothing.

It differs from the peer in what it is asked: each decision period rather than every 2 s, so that a step may halve a
pool once a period; and a load that cannot be read keeps what there is at once, rather than after the stable window.
Bounds are those of the variant, at least one replica while the LLM is in use. A variant without replicas stays so.

Options (durations such as ``60s``):

``metric``                  ``concurrency`` (running and waiting requests) or ``rate`` (arrivals)         [concurrency]
``total``                   what one replica is taken to carry [requests, or 1/s]                       [100, or 200]
``utilization_ratio``       share of it that is aimed at                                                        [0.7]
``container_concurrency``   requests that one replica takes at once at most; 0 for no limit                       [0]
``stable_window``           of the calm mean, 6s to 1h, whole seconds                                           [60s]
``panic_window_ratio``      share of it that the quick mean covers                                              [0.1]
``weighted``                whether newer seconds weigh more in both means                                    [false]
``panic_threshold_ratio``   quick demand over ready replicas from which panic starts, 1.1 to 10                 [2.0]
``max_scale_up_rate``       most a step multiplies the ready replicas by                                       [1000]
``max_scale_down_rate``     most a step divides them by                                                           [2]
``scale_down_delay``        a lower count must have been wanted for so long                                      [0s]
``activation_replicas``     least replicas where anything is asked for                                            [0]
``scale_to_zero_grace``     how long the last replica stays once the calm mean is zero, at least 6s             [30s]
``pod_retention``           the same, for more than the grace period                                             [0s]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from optimizer.domain import ServedModel, Settings
from optimizer.policy.knative.pool import PoolState, decode_pool, encode_pool, start_pool, step_pool
from optimizer.policy.knative.settings import KnativeSettings, LoadMetric, iterate_faults
from optimizer.policy.options import OptionReader
from optimizer.policy.protocol import FixedReplicas, ModelView, PolicyState, VariantView
from optimizer.policy.single_pools import bound_count, may_be_zero, read_concurrency, read_rate_per_s

_DEFAULTS = KnativeSettings()


class KnativePolicy:
    """Knative's rules on every variant; see the module. Its memory is a pool state per variant."""

    def check_options(self, model: ServedModel) -> None:
        """Check the options of one LLM; see `OptionsChecker`."""
        decode_knative_options(model.policy_options)

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[FixedReplicas, PolicyState]:
        """Return the replicas of every variant at `now_s` [s]; see `Policy`."""
        del settings  # neither price nor capacity counts
        options = decode_knative_options(view.model.policy_options)
        wanted, memory = {}, {}
        for line in view.variants:
            pool = decode_pool(state.get(line.key.variant), options)
            wanted[line.key], pool = _step(view, line, pool, now_s, options)
            if pool is not None:
                memory[line.key.variant] = encode_pool(pool)
        return FixedReplicas(wanted), memory


def decode_knative_options(options: Mapping[str, object]) -> KnativeSettings:
    """Return the settings that ``policy_options`` give.

    Raises
    ------
    InvalidOptions
        When anything is wrong: it names everything.
    """
    reader = OptionReader(options)
    decoded = KnativeSettings(
        metric=reader.choice("metric", _DEFAULTS.metric),
        total=reader.number("total", None, at_least=0.01),
        utilization_ratio=reader.number("utilization_ratio", _DEFAULTS.utilization_ratio, above=0.0, at_most=1.0),
        container_concurrency=reader.number("container_concurrency", 0.0, at_least=0.0, unit="requests"),
        stable_window_s=reader.duration_s("stable_window", _DEFAULTS.stable_window_s),
        panic_window_ratio=reader.number("panic_window_ratio", _DEFAULTS.panic_window_ratio),
        is_weighted=reader.flag("weighted", _DEFAULTS.is_weighted),
        panic_threshold_ratio=reader.number(
            "panic_threshold_ratio", _DEFAULTS.panic_threshold_ratio, at_least=1.1, at_most=10.0
        ),
        max_scale_up_rate=reader.number("max_scale_up_rate", _DEFAULTS.max_scale_up_rate),
        max_scale_down_rate=reader.number("max_scale_down_rate", _DEFAULTS.max_scale_down_rate),
        scale_down_delay_s=reader.duration_s("scale_down_delay", _DEFAULTS.scale_down_delay_s),
        activation_replicas=reader.count("activation_replicas", _DEFAULTS.activation_replicas),
        scale_to_zero_grace_s=reader.duration_s("scale_to_zero_grace", _DEFAULTS.scale_to_zero_grace_s),
        pod_retention_s=reader.duration_s("pod_retention", _DEFAULTS.pod_retention_s),
    )
    for name, bound, value in iterate_faults(decoded):
        reader.refuse(name.removesuffix("_s"), bound, value)
    reader.finish()
    return decoded


def _step(
    view: ModelView, line: VariantView, pool: PoolState | None, now_s: float, options: KnativeSettings
) -> tuple[int, PoolState | None]:
    published, ready = line.published_replicas, line.state.ready_replicas
    if published == 0:
        return 0, None
    if options.metric is LoadMetric.RATE:
        requests = read_rate_per_s(view, line) if view.demand.reason is None else None
    else:
        requests = read_concurrency(line).extrapolate()
    if line.state.reason is not None or ready == 0 or requests is None:
        return published, pool
    allowed = replace(options, min_replicas=0 if may_be_zero(view) else 1)
    pool = start_pool(ready, now_s, options) if pool is None else pool
    desired, pool = step_pool(pool, requests, ready, now_s, allowed)
    return published if desired is None else bound_count(view, line, desired), pool
