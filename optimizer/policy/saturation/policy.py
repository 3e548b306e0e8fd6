"""The policy ``saturation``: scales on KV cache and queue of the pods, as a peer does, for those who are used to it.

V1 adds or removes one replica of the LLM at a time: the cheapest variant grows, the dearest shrinks, and nothing moves
while a count that was asked for is not there. V2 measures supply and demand in KV tokens over all variants together,
grows the variant of least price per token at once by all that is required, and gives back from the dearest down.
Neither knows a promise of latency, a start-up time or a forecast. Bounds, limits, calm and order of steps are those of
every policy; a pod whose page does not tell counts as one that does not report, never as idle.
"""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.domain import ServedModel, Settings, SignalSpec
from optimizer.policy.protocol import FixedReplicas, ModelView, PolicyState
from optimizer.policy.saturation.cycle import SaturationCall, SaturationLine, step_cycle
from optimizer.policy.saturation.memory import decode_memory, encode_memory
from optimizer.policy.saturation.options import SaturationVersion, decode_options
from optimizer.policy.saturation.readings import find_mean_lengths, list_length_signals


class SaturationPolicy:
    """See the module; options: `SaturationOptions`."""

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[FixedReplicas, PolicyState]:
        """Return the replicas wanted at `now_s` [s]; see `Policy`."""
        del settings  # prices stand in the view
        options = decode_options(view.model.policy_options)
        keys = {line.variant.name: line.key for line in view.variants}
        lines = [
            SaturationLine(line.variant, line.state, line.published_replicas, line.replica_cost_per_hour)
            for line in view.variants
        ]
        targets, memory = step_cycle(lines, _call(view, now_s), decode_memory(state), options)
        return FixedReplicas({keys[name]: count for name, count in targets.items()}), encode_memory(memory)

    def list_signals(self, options: Mapping[str, object]) -> tuple[SignalSpec, ...]:
        """Return the signals that mean lengths of each pod are made of; V1 needs none. See `SignalReader`."""
        decoded = decode_options(options)
        return () if decoded.version is SaturationVersion.V1 else list_length_signals(decoded.length_window_s)

    def check_options(self, model: ServedModel) -> None:
        """Check the options of `model`; see `OptionsChecker`."""
        decode_options(model.policy_options)


def _call(view: ModelView, now_s: float) -> SaturationCall:
    model, demand, workload = view.model, view.demand, view.workload
    is_silent = demand.is_complete and demand.silent_s >= model.idle_to_zero_s
    return SaturationCall(
        model.model_id,
        now_s,
        {entry.pod: lengths for entry in view.signals if (lengths := find_mean_lengths(entry)) is not None},
        None if workload is None else (workload.input_lengths.mean_tokens, workload.output_lengths.mean_tokens),
        model.min_replicas == 0 and not any(line.variant.min_replicas for line in view.variants),
        0.0 if is_silent else None,
        bool(demand.rate_per_s.value or demand.waiting_requests),
    )
