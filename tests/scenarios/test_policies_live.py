"""Every policy but ours live: over HTTP, chosen in the configuration, its replicas follow traffic up and down."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter.demo.options import DemoOptions
from adapter.demo.request_log import Fate
from adapter.demo.scenarios import ScenarioName
from optimizer import BUILT_IN_POLICIES
from optimizer.domain import ReasonCode
from tests.builders.demo_run import DemoRun, open_demo
from tests.builders.quiet_clock import START_S

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "policies"
TOP_S, FOOT_S = 140.0, 250.0
DAY_S, NIGHT_S = 60.0, 300.0
"""When the scenario `night` becomes busy, and when it is thin again [s]."""


def make_options(policy: str, scenario: ScenarioName = ScenarioName.HILL, given: str = "") -> DemoOptions:
    return DemoOptions(
        scenario=scenario,
        models=("llama-8b",),
        policy=policy,
        policy_options=given,
        startup_s=5.0,
        hpa_sync_s=5.0,
        scrape_interval_s=5.0,
        calm_window_s=20.0,
    )


def sum_requested(run: DemoRun) -> list[int]:
    return [sum(counts) for counts in zip(*run.requested.values(), strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("policy", sorted(BUILT_IN_POLICIES.keys() - {"slo"}))
async def test_replicas_follow_traffic_up_a_hill_and_down(policy: str, tmp_path: Path) -> None:
    async with open_demo(make_options(policy), tmp_path) as run:
        told = json.loads((tmp_path / "config.yaml").read_text(encoding="utf-8"))["models"][0]
        assert told["policy"] == policy
        assert told["policy_options"]
        await run.run_to(FOOT_S + 80.0)
        requested = sum_requested(run)
        begin, top = requested[5], max(requested[int(TOP_S / 2) : int(TOP_S) + 60])
        assert top >= begin + 2
        assert min(requested[int(FOOT_S) :]) <= top - 2
        assert run.compute_attainment() >= 0.9
        assert {fate for _, fate in run.process.log.fates} == {Fate.FINISHED}
        assert_no_failure(run)


def assert_no_failure(run: DemoRun) -> None:
    assert ReasonCode.POLICY_FAILED not in {decided.reason.code for _, decided in run.decisions}


@dataclass(frozen=True)
class Law:
    """What the law of an example asks for.

    Attributes
    ----------
    changed
        Options in which the example's replicas differ from those of the demo, which carry some 5 requests within their
        shorter promise: the load of one replica, and nothing else.
    count
        Replicas for a rate [1/s] and requests in flight, on the mean of the busy minutes.
    slack
        What damping and the grain of traffic may make of it: windows keep the highest of a while, bands keep what is.
    settled_s
        How long after the load fell the count has followed [s].
    least
        Replicas in thin traffic, over both variants: those that are scaled alone keep one each, if they ever had one.
    """

    changed: Mapping[str, Any]
    count: Callable[[float, float], int]
    slack: tuple[float, float]
    settled_s: float
    least: int = 1


EXAMPLE_LAWS: Mapping[str, Law] = {
    # ceil(sum of running requests / 5), dead band 10 %, the highest of the last 120 s
    "target": Law({"metrics": {0: {"target": 5.0}}}, lambda rate, held: ceil(held / 5.0), (0.85, 1.9), 180.0),
    # ceil(mean of running and waiting over 60 s / (7 · 0.7))
    "knative": Law({"total": 7.0}, lambda rate, held: ceil(held / 4.9), (0.85, 1.5), 150.0),
    # ceil(sum of running and waiting / 5), each variant by its capacity, the highest of the last 120 s
    "kthena": Law({"metrics": {0: {"target_value": 5.0}}}, lambda rate, held: ceil(held / 5.0), (0.75, 1.9), 210.0, 2),
    # ceil(rate over a minute / 1.3 per L40S), which cost less per rate than A100s of 1.7
    "skyserve": Law({}, lambda rate, held: ceil(rate / 1.3), (0.75, 1.6), 630.0),
    # ceil(KV cache in use, added up / 0.028): 0.028 are 6174 tokens of an L40S, 4.9 requests of 1261 tokens
    "aibrix": Law({"metric": {"target": 0.028}}, lambda rate, held: ceil(held / 4.9), (0.4, 1.9), 180.0, 2),
    # (tokens in use + those that wait) / 0.85 of 0.035 of each KV cache: 5.2 requests on an L40S, 9.6 on an A100
    "saturation": Law(
        {"kv_cache_threshold": 0.035},
        lambda rate, held: ceil(held / 9.6),
        (0.75, 3.0),
        210.0,
    ),
}


def change(given: Any, changed: Mapping[Any, Any]) -> Any:
    """Return `given` with the values of `changed`, which names places of lists by number."""
    places = dict(enumerate(given)) if isinstance(given, list) else dict(given)
    for key, value in changed.items():
        places[key] = change(places[key], value) if isinstance(value, Mapping) else value
    return list(places.values()) if isinstance(given, list) else places


def compute_held(run: DemoRun, begin_s: float, end_s: float) -> float:
    """Return the mean number of requests that clients waited for between two offsets."""
    spans = (
        (max(record.arrived_s - START_S, begin_s), min((record.client_end_s or 1e18) - START_S, end_s))
        for record in run.process.log.records
    )
    return sum(max(end - begin, 0.0) for begin, end in spans) / (end_s - begin_s)


@pytest.mark.slow
@pytest.mark.parametrize("policy", sorted(EXAMPLE_LAWS))
async def test_every_example_asks_for_what_its_law_says_by_day_and_one_replica_in_thin_traffic(
    policy: str, tmp_path: Path
) -> None:
    law = EXAMPLE_LAWS[policy]
    example = yaml.safe_load((EXAMPLES / f"{policy}.yaml").read_text(encoding="utf-8"))["models"][0]
    assert example["policy"] == policy
    given = change(example["policy_options"], law.changed)
    async with open_demo(make_options(policy, ScenarioName.NIGHT, json.dumps(given)), tmp_path) as run:
        await run.run_to(NIGHT_S + law.settled_s)
        requested = sum_requested(run)
        calm_s = NIGHT_S - 40.0  # replicas have started, and what waited for them is gone
        rate_per_s = len(run.select(calm_s, NIGHT_S)) / (NIGHT_S - calm_s)
        expected = law.count(rate_per_s, compute_held(run, calm_s, NIGHT_S))
        least, most = (factor * expected for factor in law.slack)
        by_day = requested[int(calm_s) : int(NIGHT_S)]
        assert least <= min(by_day) <= max(by_day) <= most, (expected, by_day)
        assert max(requested[: int(DAY_S)]) <= 2
        assert requested[-1] <= law.least, requested[int(NIGHT_S) :: 10]
        assert max(by_day) >= 2 + requested[-1]
        assert {fate for _, fate in run.process.log.fates} == {Fate.FINISHED}
        assert_no_failure(run)


def test_every_example_has_its_law() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {*EXAMPLE_LAWS, "slo"}
