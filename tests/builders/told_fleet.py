"""A fleet of two variants that shows what a test says, and the real `decide` under every policy. It serves nothing."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from optimizer import BUILT_IN_POLICIES, SignalReader, State, decide
from optimizer.domain import (
    FleetSnapshot,
    ModelSnapshot,
    Observation,
    PodPhase,
    PodSignals,
    PodState,
    Reason,
    ReasonCode,
    ServedModel,
    VariantState,
)
from tests.builders.snapshots import make_gateway, make_pod_key, make_window
from tests.builders.story import make_model, make_settings, make_variant

PERIOD_S = 15.0
RUNNING, WAITING, KV = "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"
SILENCES = (ReasonCode.SCRAPE_FAILED, ReasonCode.STALE, ReasonCode.METRIC_MISSING, ReasonCode.NO_DATA)
AT_ONCE = {"stabilization_window": 0}
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "slo": ("slo", {}),
    "target": (
        "target",
        {"metrics": [{"series": RUNNING, "target": 10}, {"series": WAITING, "target": 2}], "scale_down": AT_ONCE},
    ),
    "target on a quantile": (
        "target",
        {
            "metrics": [
                {"series": RUNNING, "target": 10},
                {"series": "ttft", "kind": "quantile", "quantile_ratio": 0.9, "target": 2},
            ],
            "scale_down": AT_ONCE,
        },
    ),
    "knative": ("knative", {"total": 10}),
    "knative on the rate": ("knative", {"metric": "rate", "total": 3}),
    "kthena": (
        "kthena",
        {
            "metric_sources": {"load": {"series": [RUNNING, WAITING]}},
            "metrics": [{"name": "load", "target_value": 10}],
            "behavior": {"scale_down": AT_ONCE},
        },
    ),
    "skyserve": ("skyserve", {"target_qps_per_replica": 2, "upscale_delay": 0, "downscale_delay": 0}),
    "saturation": ("saturation", {"peak_window": "15s"}),
    "saturation v1": ("saturation", {"version": "v1", "peak_window": "15s"}),
    "aibrix": ("aibrix", {"metric": {"series": KV, "target": 0.5}, "scale_down_cooldown_window": 0}),
    "aibrix v0.4": ("aibrix", {"version": "v0.4", "metric": {"series": RUNNING, "target": 10}, "scale_down_delay": 0}),
    "aibrix apa": ("aibrix", {"algorithm": "apa", "scale_down_cooldown_window": 0, "observe_window": "15s"}),
    "aibrix optimizer": ("aibrix", {"algorithm": "optimizer"}),
}


def make_served(case: str, *, gateway: bool = False) -> ServedModel:
    policy, options = OPTIONS[case]
    variants = (make_variant("one", maximum=20), make_variant("two", maximum=20, cost_per_hour=2.0, speed=1.5))
    return replace(
        make_model(*variants, policy=policy, minimum=1, gateway=gateway), policy_options=options, max_replicas=40
    )


@dataclass
class Fleet:
    """Pods of two variants that do what a test says, whatever is decided about them."""

    model: ServedModel
    counts: dict[str, int]
    state: State = field(default_factory=State)
    now_s: float = 0.0
    seen_s: dict[str, float] = field(default_factory=dict)

    @property
    def pods(self) -> list[str]:
        return [f"{variant}-{index}" for variant, count in self.counts.items() for index in range(count)]

    def pass_by(
        self, load: float, hidden: Set[str], stream: np.random.Generator, offered: float | None = None
    ) -> dict[str, int]:
        """Return what is published after a pass in which every pod is full to `load`; `hidden` ones tell nothing.

        The gateway, where there is one, counts what fills `offered` pods, or all of them to `load`.
        """
        self.now_s += PERIOD_S
        code = SILENCES[int(stream.integers(len(SILENCES)))]
        states = tuple(self._show(variant.name, load, hidden, code) for variant in self.model.variants)
        windows = tuple(
            make_window(pod, None if pod in hidden else 30.0 * load, self.now_s - PERIOD_S, self.now_s, code)
            for pod in self.pods
        )
        signals = tuple(self._tell(state, pod, load, hidden, code) for state in states for pod in state.pods)
        arrivals = 30.0 * (load * len(self.pods) if offered is None else offered)
        gateway = make_gateway(arrivals, self.now_s - PERIOD_S, self.now_s) if self.model.has_gateway else None
        shown = ModelSnapshot(self.model.key, states, windows, gateway, signals)
        outcome = decide(self.state, FleetSnapshot(self.now_s, (shown,)), self.now_s, make_settings(self.model))
        self.state = outcome.state
        return {line.key.variant: line.planned_replicas for line in outcome.decisions[0].variants}

    def _show(self, variant: str, load: float, hidden: Set[str], code: ReasonCode) -> VariantState:
        key = next(entry.key() for entry in self.model.variants if entry.name == variant)
        pods = []
        for name in (pod for pod in self.pods if pod.startswith(f"{variant}-")):
            is_hidden = name in hidden
            if not is_hidden:
                self.seen_s[name] = self.now_s
            seen = PodState(make_pod_key(name), PodPhase.READY, 0.0, 0.0, self.seen_s.get(name))
            told = replace(
                seen,
                running_requests=20.0 * load,
                waiting_requests=5.0 * load,
                kv_cache_ratio=0.9 * load,
                kv_capacity_tokens=400_000.0,
            )
            pods.append(replace(seen, reason=Reason(code, "not told")) if is_hidden else told)
        return VariantState(key, len(pods), tuple(pods))

    def _tell(self, state: VariantState, pod: PodState, load: float, hidden: Set[str], code: ReasonCode) -> PodSignals:
        policy: object = BUILT_IN_POLICIES[self.model.policy]
        specs = policy.list_signals(self.model.policy_options) if isinstance(policy, SignalReader) else ()
        values = {RUNNING: 20.0 * load, WAITING: 5.0 * load, KV: 0.9 * load, "ttft": 4.0 * load}
        told = {
            spec.name: Observation.absent(code, "not told")
            if pod.pod.name in hidden
            else Observation(values.get(spec.series, load))
            for spec in specs
        }
        return PodSignals(pod.pod, state.key, self.now_s, told)
