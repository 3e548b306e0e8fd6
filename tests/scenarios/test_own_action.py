"""Our own action never takes ready capacity below the need: random demand, random prices, somebody late who acts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from optimizer.domain import Routing, Settings
from tests.builders.story import Story, make_model, make_settings, make_variant


def price(costs_per_hour: tuple[float, ...], routing: Routing) -> Settings:
    """Return three variants that start and carry differently, at these prices."""
    return make_settings(
        make_model(
            make_variant("a", cost_per_hour=costs_per_hour[0], startup_s=30.0),
            make_variant("b", cost_per_hour=costs_per_hour[1], startup_s=60.0, speed=2.0),
            make_variant("c", cost_per_hour=costs_per_hour[2], startup_s=10.0, speed=0.8),
            routing=routing,
        ),
        calm_window_s=60.0,
    )


@dataclass
class Watched(Story):
    """A story that notes every action that took ready capacity away: what was left, and what had to be left [1/s]."""

    drops: list[tuple[float, float]] = field(default_factory=list)

    def _sync(self) -> None:
        before_per_s = self.get_ready_per_s()
        known = [entry.decision for entry in self.passes if entry.now_s <= self.now_s - self.lag_s]
        super()._sync()
        after_per_s = self.get_ready_per_s()
        if known and known[-1] is not None and after_per_s < before_per_s:
            ceiling_ratio = self.settings.decision.utilization_ceiling_ratio
            self.drops.append((after_per_s * ceiling_ratio, known[-1].need_per_s or 0.0))


@pytest.mark.parametrize("routing", [Routing.WEIGHTED, Routing.UNIFORM])
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_no_action_takes_ready_capacity_below_the_need(routing: Routing, seed: int) -> None:
    stream = np.random.default_rng(seed)
    levels = stream.uniform(3.0, 20.0, 10)
    story = Watched(
        price((1.0, 3.0, 0.5), routing),
        lambda t: float(levels[int(t // 180) % 10]),
        {"a": 4},
        seed=seed,
        lag_s=float(stream.integers(0, 31)),
    )
    for part in range(5):
        costs = stream.uniform(0.3, 1.2, 3) * np.array([1.0, 3.4, 0.55])
        story.settings = price(tuple(costs.tolist()), routing)
        story.run(300.0 * (part + 1))
    assert story.drops
    for left_per_s, need_per_s in story.drops:
        assert left_per_s >= need_per_s * (1.0 - 1e-6)
