from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapter.errors import Refused
from adapter.state_store import FileStateStore, MemoryStateStore
from optimizer import State
from optimizer.domain import ModelKey, ReasonCode
from optimizer.state import FleetState, ModelState
from tests.builders.decisions import make_model_decision, make_variant_decision

DECISION = make_model_decision(make_variant_decision("llama-l40s", 3))
STATE = State({ModelKey(*("prod", "m")): ModelState(decision=DECISION)}, FleetState(decided_at_s=12.5))


async def test_memory_keeps_what_it_was_given() -> None:
    store = MemoryStateStore()
    assert await store.load() == (State(), ())
    await store.save(STATE)
    assert await store.load() == (STATE, ())


async def test_a_file_outlives_its_store(tmp_path: Path) -> None:
    await FileStateStore(tmp_path / "state.json").save(STATE)
    assert await FileStateStore(tmp_path / "state.json").load() == (STATE, ())


async def test_no_file_is_a_fresh_start_without_complaint(tmp_path: Path) -> None:
    assert await FileStateStore(tmp_path / "state.json").load() == (State(), ())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 99}', b"\xff\xfe", b"[" * 100_000, b"null"])
async def test_a_broken_file_is_a_fresh_start_with_a_reason(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_bytes(content)
    state, reasons = await FileStateStore(tmp_path / "state.json").load()
    assert state == State()
    assert [reason.code for reason in reasons] == [ReasonCode.STATE_LOST]


async def test_a_folder_in_place_of_the_file_is_a_reason_too(tmp_path: Path) -> None:
    state, reasons = await FileStateStore(tmp_path).load()
    assert (state, len(reasons)) == (State(), 1)


async def test_the_file_is_plain_versioned_json(tmp_path: Path) -> None:
    await FileStateStore(tmp_path / "state.json").save(STATE)
    document = json.loads((tmp_path / "state.json").read_text(encoding="utf-8"))
    assert set(document) >= {"version", "fleet", "models"}


async def test_a_save_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    await FileStateStore(path).save(STATE)
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(Refused, match="No space left on device"):
        await FileStateStore(path).save(State())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


async def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="No such file or directory"):
        await FileStateStore(tmp_path / "missing" / "state.json").save(STATE)
