"""A restart in the middle of a story: what policies remember comes back out of the file, windows and panic included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adapter.state_store import FileStateStore
from optimizer import State
from optimizer.domain import ModelKey
from tests.builders.told_fleet import OPTIONS, Fleet, make_served

STORY = [0.1] * 4 + [1.0] * 2 + [0.1] * 9
BURST = 6  # passes until the burst is over


async def play(fleet: Fleet, restarts: set[int], folder: Path) -> list[dict[str, int]]:
    """Return what is published by pass; before those of `restarts` everything but a file is lost."""
    stream, published = np.random.default_rng(1), []
    for number, load in enumerate(STORY):
        if number in restarts:
            await FileStateStore(folder / "state.json").save(fleet.state)
            fleet.state = State()
            fleet.state, reasons = await FileStateStore(folder / "state.json").load()
            assert reasons == ()
        published.append(fleet.pass_by(load, frozenset(), stream))
    return published


@pytest.mark.parametrize("restart", [{3}, {5}, {BURST}, {BURST + 2}, set(range(1, len(STORY)))])
@pytest.mark.parametrize("case", OPTIONS)
async def test_a_restart_changes_no_number_of_any_policy(case: str, restart: set[int], tmp_path: Path) -> None:
    counts = {"one": 3, "two": 2}
    kept, restarted = Fleet(make_served(case), dict(counts)), Fleet(make_served(case), dict(counts))
    assert await play(restarted, restart, tmp_path) == await play(kept, set(), tmp_path)
    assert restarted.state == kept.state


async def test_the_panic_of_knative_outlives_a_restart(tmp_path: Path) -> None:
    fleet = Fleet(make_served("knative"), {"one": 1, "two": 1})
    stream = np.random.default_rng(1)
    for load in (0.5, 0.5, 0.5, 0.5, 2.0):  # 10 in flight of 7 wanted, then 50: more than twice what is ready
        fleet.pass_by(load, frozenset(), stream)
    await FileStateStore(tmp_path / "state.json").save(fleet.state)
    restored, _ = await FileStateStore(tmp_path / "state.json").load()
    key = ModelKey(fleet.model.namespace, fleet.model.model_id)
    assert restored.models[key].policy_state == fleet.state.models[key].policy_state
    assert fleet.state.models[key].policy_state["one"]["panic_since_s"] == fleet.now_s
