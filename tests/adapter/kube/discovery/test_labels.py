"""What labels and annotations of the three dialects tell, and what is said of values that mean nothing."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from adapter.kube.discovery.aibrix_labels import read_aibrix_labels
from adapter.kube.discovery.llm_d_labels import find_scalers, read_llm_d_labels
from adapter.kube.discovery.our_labels import KEYS, PREFIX, read_our_labels
from adapter.kube.discovery.told import Told, merge_told
from adapter.kube.wire_times import parse_time_s
from optimizer.domain import Override, OverrideMode, Role
from tests.builders.cluster_objects import load, make_workload

MODEL_ID = "meta-llama/Llama-3.3-70B-Instruct"
GOOD = {
    "model": MODEL_ID,
    "variant": "h100-tp4",
    "accelerator": "H100",
    "accelerators-per-replica": "4",
    "cost-per-hour": "11.80",
    "service-class": "interactive, batch",
    "role": "decode",
    "engine": "sglang",
    "port": "30000",
    "metrics-path": "/stats",
    "min-replicas": "1",
    "max-replicas": "12",
    "startup": "4m30s",
    "override": "pin=3",
    "override-by": "alice@example.com",
    "override-until": "2026-12-01T06:00:00+01:00",
}


def _read(**values: str) -> Told:
    annotations = {f"{PREFIX}{key.replace('_', '-')}": value for key, value in values.items()}
    return read_our_labels(make_workload("llama", annotations=annotations))


def _read_mapping(values: dict[str, str]) -> Told:
    return read_our_labels(
        make_workload("llama", annotations={f"{PREFIX}{key}": value for key, value in values.items()})
    )


def test_every_key_of_ours_is_read() -> None:
    told = _read_mapping(GOOD)
    assert told.complaints == ()
    assert {f"{PREFIX}{key}" for key in GOOD} == KEYS
    assert told.model_id == MODEL_ID
    assert told.variant == "h100-tp4"
    assert told.accelerator == "H100"
    assert told.accelerators_per_replica == 4
    assert told.cost_per_hour == 11.8
    assert told.service_classes == ("interactive", "batch")
    assert told.roles == (Role.DECODE,)
    assert told.engine == "sglang"
    assert told.metrics_port == 30000
    assert told.metrics_path == "/stats"
    assert (told.min_replicas, told.max_replicas) == (1, 12)
    assert told.startup_s == 270.0
    until_s = parse_time_s("2026-12-01T05:00:00Z")
    assert told.override == Override(OverrideMode.PIN, 3, "alice@example.com", until_s, "annotation")


@pytest.mark.parametrize(
    "key, value, allowed",
    [
        ("model", " ", "a text of one line"),
        ("variant", "h100 tp4", "a name of letters"),
        ("accelerators-per-replica", "0", "a whole number >= 1"),
        ("accelerators-per-replica", "four", "a whole number >= 1"),
        ("accelerators-per-replica", "1.5", "a whole number >= 1"),
        ("cost-per-hour", "-1", "a number >= 0"),
        ("cost-per-hour", "$3", "a number >= 0"),
        ("cost-per-hour", "nan", "a number >= 0"),
        ("service-class", "gold,,silver", "names separated by commas"),
        ("role", "both,router", "both, prefill or decode"),
        ("engine", "trtllm", "vllm or sglang"),
        ("port", "0", "a port between 1 and 65535"),
        ("port", "70000", "a port between 1 and 65535"),
        ("port", "http", "a port between 1 and 65535"),
        ("metrics-path", "metrics", "a path that begins with /"),
        ("min-replicas", "-1", "a whole number >= 0"),
        ("max-replicas", "many", "a whole number >= 0"),
        ("startup", "90", "a duration with its unit"),
        ("override-until", "tomorrow", "a time such as"),
        ("override-until", "2026-12-01T06:00:00", "a time such as"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed_and_the_rest_stays(key: str, value: str, allowed: str) -> None:
    told = _read_mapping({**GOOD, key: value})
    (complaint,) = told.complaints
    assert complaint.startswith(f"{PREFIX}{key} must be {allowed}")
    assert value in complaint
    good = _read_mapping(GOOD)
    changed = {field.name for field in fields(Told) if getattr(told, field.name) != getattr(good, field.name)}
    assert "complaints" in changed
    assert len(changed) == 2


@pytest.mark.parametrize(
    "text, mode, replicas",
    [
        ("shadow", OverrideMode.SHADOW, None),
        ("pause", OverrideMode.PAUSE, None),
        ("pin=0", OverrideMode.PIN, 0),
        ("pin=17", OverrideMode.PIN, 17),
        (" pin = 2 ", OverrideMode.PIN, 2),
    ],
)
def test_overrides_are_read(text: str, mode: OverrideMode, replicas: int | None) -> None:
    told = _read(override=text)
    assert told.complaints == ()
    assert told.override == Override(mode, replicas, source="annotation")


@pytest.mark.parametrize("text", ["pin", "pin=", "pin=-1", "pin=x", "paused", "shadow=1", "", "none"])
def test_an_override_that_means_nothing_holds_until_it_is_corrected(text: str) -> None:
    told = _read(override=text, override_by="bob")
    assert told.override == Override(OverrideMode.PAUSE, by="bob", source="annotation")
    (complaint,) = told.complaints
    assert "shadow, pause or pin=N" in complaint
    assert "held" in complaint


def test_by_and_until_without_an_override_are_none() -> None:
    assert _read(override_by="bob", override_until="2026-12-01T06:00:00Z").override is None


def test_contradicting_bounds_leave_the_lower_one() -> None:
    told = _read(min_replicas="4", max_replicas="2")
    assert (told.min_replicas, told.max_replicas) == (4, None)
    assert told.complaints == (f"{PREFIX}max-replicas must be >= min-replicas 4, got 2",)


def test_labels_count_and_annotations_win_over_them() -> None:
    workload = make_workload("llama", labels={f"{PREFIX}model": "llama", f"{PREFIX}role": "prefill"})
    assert read_our_labels(workload).model_id == "llama"
    workload["metadata"]["annotations"][f"{PREFIX}model"] = MODEL_ID
    told = read_our_labels(workload)
    assert told.model_id == MODEL_ID
    assert told.roles == (Role.PREFILL,)


def test_a_misspelled_key_is_pointed_at() -> None:
    told = read_our_labels(make_workload("llama", annotations={f"{PREFIX}acelerator": "H100", f"{PREFIX}owner": "x"}))
    assert told.complaints == (f"{PREFIX}acelerator is not a key that is read; did you mean {PREFIX}accelerator?",)


def test_a_workload_without_labels_tells_nothing() -> None:
    told = read_our_labels({"kind": "Deployment", "metadata": {"name": "x", "labels": None}})
    assert told == Told(model_key=f"{PREFIX}model")


def test_aibrix_labels_are_read_from_workload_and_pods() -> None:
    told = read_aibrix_labels(load("aibrix"))
    assert told.complaints == ()
    assert told.model_id == "deepseek-coder-7b"
    assert told.min_replicas == 1
    assert told.metrics_port == 8010
    assert told.engine == "sglang"


def test_aibrix_name_on_pods_alone_claims_nothing() -> None:
    workload = load("aibrix")
    workload["metadata"]["labels"] = {}
    assert read_aibrix_labels(workload).model_id is None


def test_bad_values_of_aibrix_labels_are_named() -> None:
    workload = load("aibrix")
    workload["metadata"]["labels"] |= {"model.aibrix.ai/min_replicas": "one", "model.aibrix.ai/engine": "trtllm"}
    told = read_aibrix_labels(workload)
    assert told.model_id == "deepseek-coder-7b"
    assert told.complaints == (
        "model.aibrix.ai/min_replicas must be a whole number >= 0, got one",
        "model.aibrix.ai/engine must be vllm or sglang, got trtllm",
    )


def _llm_d() -> tuple[Any, Any, Any, Any]:
    decode, prefill, hpa, scaled_object = load("llm_d")
    return decode, prefill, hpa, scaled_object


def test_llm_d_keys_on_the_workload_are_read() -> None:
    _, prefill, _, _ = _llm_d()
    told = read_llm_d_labels(prefill)
    assert (told.model_id, told.cost_per_hour, told.roles) == ("Qwen/Qwen3-32B", 7.5, (Role.PREFILL,))


def test_llm_d_keys_on_a_scaler_are_read_for_its_target() -> None:
    decode, _, hpa, _ = _llm_d()
    assert read_llm_d_labels(decode).model_id is None
    told = read_llm_d_labels(decode, hpa)
    assert told.model_id == "Qwen/Qwen3-32B"
    assert told.model_key == "HorizontalPodAutoscaler ms-qwen-decode-hpa: llm-d.ai/model-id"
    assert told.cost_per_hour == 15.0
    assert told.accelerator == "H100"
    assert told.roles == (Role.DECODE,)


@pytest.mark.parametrize("managed", [None, "false", "True", "yes"])
def test_a_scaler_that_is_not_managed_claims_nothing(managed: str | None) -> None:
    decode, _, hpa, _ = _llm_d()
    del hpa["metadata"]["annotations"]["llm-d.ai/managed"]
    if managed is not None:
        hpa["metadata"]["annotations"]["llm-d.ai/managed"] = managed
    assert read_llm_d_labels(decode, hpa).model_id is None
    assert find_scalers([hpa], []) == {}


def test_a_workload_taken_out_of_llm_d_is_not_claimed() -> None:
    _, prefill, _, _ = _llm_d()
    prefill["metadata"]["annotations"]["llm-d.ai/managed"] = "false"
    assert read_llm_d_labels(prefill).model_id is None


def test_of_an_hpa_and_a_scaled_object_the_latter_counts() -> None:
    _, _, hpa, scaled_object = _llm_d()
    key = ("llm-d", "ms-qwen-decode", "Deployment", "apps")
    assert find_scalers([hpa], []) == {key: hpa}
    assert find_scalers([hpa], [scaled_object]) == {key: scaled_object}
    scaled_object["metadata"]["deletionTimestamp"] = "2026-11-21T05:00:00Z"
    assert find_scalers([hpa], [scaled_object]) == {key: hpa}


def test_a_bad_value_on_a_scaler_names_the_scaler() -> None:
    decode, _, hpa, _ = _llm_d()
    hpa["metadata"]["annotations"]["llm-d.ai/variant-cost"] = "cheap"
    told = read_llm_d_labels(decode, hpa)
    assert told.model_id == "Qwen/Qwen3-32B"
    (complaint,) = told.complaints
    assert complaint.startswith("HorizontalPodAutoscaler ms-qwen-decode-hpa: llm-d.ai/variant-cost must be a number")


def test_the_first_source_wins_and_all_complaints_stay() -> None:
    merged = merge_told(
        [Told(variant="a", complaints=("one",)), Told(variant="b", min_replicas=0, complaints=("two",))]
    )
    assert (merged.variant, merged.min_replicas, merged.complaints) == ("a", 0, ("one", "two"))
