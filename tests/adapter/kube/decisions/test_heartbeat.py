"""The heartbeat as text, and what it says about ages."""

from __future__ import annotations

import json

import pytest

from adapter.errors import BadDocument
from adapter.kube.decisions.heartbeat import Heartbeat, decode_heartbeat, encode_heartbeat
from optimizer.domain import ModelKey

LLAMA, QWEN = ModelKey("prod", "meta-llama/Llama"), ModelKey("dev", "qwen")
BEAT = Heartbeat(1_795_000_015.25, 1_795_000_015.0, {LLAMA: 1_795_000_000.5, QWEN: None}, "pod-1")


@pytest.mark.parametrize("heartbeat", [BEAT, Heartbeat(0.0, 0.0)])
def test_reading_back_what_was_written_gives_the_same(heartbeat: Heartbeat) -> None:
    config_map = {"data": {"ours": encode_heartbeat(heartbeat), "theirs": "{"}}
    assert decode_heartbeat(config_map, "ours") == heartbeat


@pytest.mark.parametrize("config_map", [None, {}, {"data": None}, {"data": {"theirs": "{}"}}])
def test_there_may_be_none(config_map: dict[str, object] | None) -> None:
    assert decode_heartbeat(config_map, "ours") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"version":2}',
        encode_heartbeat(BEAT).replace("2026", "26"),
        encode_heartbeat(BEAT).replace('"model"', '"mode"'),
        json.dumps({**json.loads(encode_heartbeat(BEAT)), "stale": 3}),
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadDocument, match="heartbeat of ours cannot be read"):
        decode_heartbeat({"data": {"ours": text}}, "ours")


def test_a_fresh_model_is_as_old_as_the_pass() -> None:
    assert BEAT.get_decided_at_s(ModelKey("prod", "fresh"), told_s=1_700_000_000.0) == 1_795_000_015.0


def test_a_stale_model_is_as_old_as_the_heartbeat_says() -> None:
    assert BEAT.get_decided_at_s(LLAMA, told_s=1_700_000_000.0) == 1_795_000_000.5


def test_a_model_that_was_not_told_in_time_is_as_old_as_its_own_object() -> None:
    assert BEAT.get_decided_at_s(QWEN, told_s=1_700_000_000.0) == 1_700_000_000.0


def test_an_object_newer_than_the_heartbeat_counts() -> None:
    assert BEAT.get_decided_at_s(LLAMA, told_s=1_795_000_030.0) == 1_795_000_030.0
