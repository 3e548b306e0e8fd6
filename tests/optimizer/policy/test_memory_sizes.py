"""What policies remember stays small: it is kept with the rest of the state of an LLM, which has 64 kB in all."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from optimizer.demand import DemandHistory, DemandNow, LoadShares, RateSample
from optimizer.domain import Observation, PodKey, PodPhase, PodSignals, PodState, Variant, VariantState
from optimizer.policy import BUILT_IN_POLICIES, ModelView, PolicyState, SignalReader, VariantView
from tests.builders.snapshots import NAMESPACE, make_workload
from tests.builders.story import make_model, make_settings, make_variant

MOST_BYTES = 16_000
"""What is left of 64 kB: the rest of four variants and 200 pods takes 46 kB at most, their demand above all."""
VARIANTS = tuple(
    make_variant(f"variant-with-a-long-name-{index}", cost_per_hour=1.0 + index, maximum=400) for index in range(4)
)
LOAD = {"load": {"series": "vllm:num_requests_running"}}
HALF_HOUR = {"stabilization_window": "30m", "period": "30m"}
SLOW = {"stabilization_window": "1h", "policies": [{"type": "Pods", "value": 400, "period": "30m"}]}


@dataclass(frozen=True)
class Case:
    """A policy with options, asked every `period_s` for `length_s`; longer than it looks back, at most for an hour."""

    policy: str
    options: Mapping[str, Any] = field(default_factory=dict)
    length_s: float = 3600.0
    period_s: float = 10.0
    pods: int = 2


CASES = {
    "slo": Case("slo", length_s=60.0),
    "saturation": Case("saturation", length_s=120.0, period_s=5.0, pods=50),
    "saturation v1": Case("saturation", {"version": "v1"}, 120.0, 5.0, pods=50),
    "saturation with too many pods": Case("saturation", length_s=30.0, pods=300),
    "target": Case(
        "target", {"metrics": [{"series": "s", "target": 0.1}], "scale_up": SLOW, "scale_down": SLOW}, 3600.0, 5.0
    ),
    "knative": Case("knative", {"total": 8, "stable_window": "1h", "scale_down_delay": "1h"}),
    "kthena": Case(
        "kthena",
        {
            "metric_sources": LOAD,
            "metrics": [{"name": "load", "target_value": 0.1}],
            "target": "homogeneous",
            "behavior": {"scale_up": {"stable_policy": HALF_HOUR}, "scale_down": HALF_HOUR},
        },
        1800.0,
        5.0,
    ),
    "skyserve": Case("skyserve", {"target_qps_per_replica": 2.0}, 600.0),
    "aibrix": Case("aibrix", {"observe_window": "1h", "panic_window": "1h", "scale_down_cooldown_window": "1h"}),
    "aibrix v0.4": Case("aibrix", {"version": "v0.4", "observe_window": "1h", "panic_window": "1h"}),
    "aibrix by the second": Case("aibrix", {}, 200.0, 1.0),
    "aibrix optimizer": Case("aibrix", {"algorithm": "optimizer"}, 300.0),
}


def look(case: Case, now_s: float, chance: random.Random) -> ModelView:
    """Return what a policy sees of pods whose figures have nothing round."""
    name, period_s = case.policy, case.period_s
    model = replace(make_model(*VARIANTS), policy=name, policy_options=case.options, max_replicas=1000)
    policy = BUILT_IN_POLICIES[name]
    specs = policy.list_signals(case.options) if isinstance(policy, SignalReader) else ()
    lines, signals = [], []
    for variant in VARIANTS:
        pods = tuple(make_pod(variant, index, now_s, chance) for index in range(case.pods))
        state = VariantState(variant.key(), case.pods, pods)
        lines.append(VariantView(variant.key(), variant, state, case.pods, variant.cost_per_hour or 0.0))
        signals += [
            PodSignals(pod.pod, variant.key(), now_s, {spec.name: Observation(chance.uniform(0, 9)) for spec in specs})
            for pod in pods
        ]
    rate_per_s = chance.uniform(50.0, 150.0)
    demand = DemandNow(Observation(rate_per_s), None, 0.0, None, 0.0, period_s)
    history = DemandHistory((RateSample(now_s - period_s, now_s, rate_per_s, 1.0),))
    return ModelView(
        model, tuple(lines), demand, history, LoadShares(), make_workload(rate_per_s), None, tuple(signals)
    )


def make_pod(variant: Variant, index: int, now_s: float, chance: random.Random) -> PodState:
    key = PodKey(NAMESPACE, f"a-deployment-{variant.name}-5d8f7c9b6-{index:05d}", f"{index:036d}")
    return PodState(
        key,
        PodPhase.READY,
        ready_s=0.0,
        seen_s=now_s - chance.random(),
        running_requests=chance.uniform(0, 9),
        waiting_requests=float(chance.randrange(10)),
        kv_cache_ratio=chance.random(),
        kv_capacity_tokens=400_000.0,
    )


def remember(case: Case) -> Iterator[int]:
    """Yield the bytes that passes leave behind, one by one."""
    chance, settings, begin_s = random.Random(7), make_settings(), 1_795_000_000.0
    memory: PolicyState = {}
    for step in range(round(case.length_s / case.period_s)):
        now_s = begin_s + step * case.period_s
        _, memory = BUILT_IN_POLICIES[case.policy].propose(look(case, now_s, chance), memory, now_s, settings)
        text = json.dumps(memory, allow_nan=False)
        yield len(text)
        memory = json.loads(text)


def test_every_built_in_policy_is_looked_at() -> None:
    assert {case.policy for case in CASES.values()} == set(BUILT_IN_POLICIES)


@pytest.mark.parametrize("name", CASES)
def test_the_memory_of_a_policy_stays_small(name: str) -> None:
    assert max(remember(CASES[name])) <= MOST_BYTES
