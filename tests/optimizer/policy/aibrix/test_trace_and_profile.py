from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import InvalidInput
from optimizer.policy.aibrix import (
    AibrixProfile,
    BenchmarkPoint,
    ProfileSlo,
    cut_index,
    encode_bucket,
    encode_index,
    list_read_keys,
    measure_cell,
    name_profile_key,
    name_trace_key,
    read_document,
    write_document,
)
from optimizer.policy.aibrix.request_trace import TRACE_KEPT_S
from tests.builders.vector_cases import list_run_cases
from tests.optimizer.policy.aibrix import test_gpu_optimizer

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "aibrix_trace.json"
CASES = json.loads(VECTORS.read_text())["cases"]


def _pick(operation: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CASES if case["input"]["operation"] == operation]


def make_profile(given: dict[str, Any]) -> AibrixProfile:
    outputs, inputs = given["indexes"]
    tables = [tuple(tuple(row) for row in given.get(name, ())) for name in ("tputs", "e2e", "ttft")]
    return AibrixProfile(given["gpu"], given["cost"], tables[0], tuple(outputs), tuple(inputs), tables[1], tables[2])


@pytest.mark.parametrize("case", _pick("encode_bucket_key"))
def test_lengths_become_buckets(case: dict[str, Any]) -> None:
    keys = [encode_bucket(entry["input_tokens"], entry["output_tokens"]) for entry in case["input"]["requests"]]
    assert keys == case["expected"]["bucket_keys"]


@pytest.mark.parametrize("case", _pick("encode_exceptions"))
def test_ten_indexes_come_out_one_lower(case: dict[str, Any]) -> None:
    lower = [index for index in range(case["input"]["rounded_index_below"]) if cut_index(index) != index]
    assert lower == case["expected"]["rounded_indexes"]
    assert {cut_index(index) - index for index in lower} == {-1}
    for example in case["expected"]["example_token_ranges"]:
        lengths = range(example["tokens_from"], example["tokens_to"] + 1)
        assert {encode_index(tokens) for tokens in lengths} == {example["written_index"]}


@pytest.mark.parametrize("case", _pick("write_document"))
def test_a_document_is_written_as_the_gateway_does(case: dict[str, Any]) -> None:
    given = case["input"]
    completed = [(entry["input_tokens"], entry["output_tokens"]) for entry in given["completed"]]
    document = write_document(
        completed, given["arrived_requests"], given["pending_requests"], given["queueing_requests"]
    )
    assert document == case["expected"]["document"]


@pytest.mark.parametrize("case", _pick("trace_key"))
def test_a_document_is_kept_under_its_ten_seconds(case: dict[str, Any]) -> None:
    assert name_trace_key(case["input"]["model"], case["input"]["write_time_s"]) == case["expected"]["key"]


@pytest.mark.parametrize("case", _pick("redis_keys"))
def test_names_go_into_keys_as_they_are(case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    assert name_trace_key(given["model"], given["write_time_s"]) == expected["trace_key"]
    assert name_profile_key(given["model"], given["deployment"]) == expected["profile_key"]
    assert name_profile_key(given["model"], "*") == expected["profile_scan_pattern"]
    assert expected["trace_ttl_s"] == TRACE_KEPT_S


@pytest.mark.parametrize("case", _pick("read_document"))
def test_a_document_of_any_version_is_read(case: dict[str, Any]) -> None:
    expected = case["expected"]
    if expected.get("error"):
        with pytest.raises(InvalidInput, match="100-60"):
            read_document(case["input"]["document"])
        return
    document = read_document(case["input"]["document"])
    records = [
        {
            "log2_input_tokens": record.log2_input_tokens,
            "log2_output_tokens": record.log2_output_tokens,
            "input_tokens_approx": round(record.input_tokens, 3),
            "output_tokens_approx": round(record.output_tokens, 3),
            "requests": record.requests,
        }
        for record in document.records
    ]
    assert records == expected["records"]
    assert document.completed_requests == expected["completed_requests"]
    assert document.arrived_requests == expected["arrived_requests"]
    assert document.pending_requests == expected["pending_requests"]
    assert document.interval_s == expected["interval_s"]
    assert document.rate_per_s == pytest.approx(expected["rate_per_s"], rel=1e-9)


@pytest.mark.parametrize("case", _pick("reader_key_sequence"))
def test_one_key_is_read_a_loop_and_none_twice(case: dict[str, Any]) -> None:
    assert list_read_keys(case["input"]["model"], case["input"]["read_times_s"]) == case["expected"]["keys_read"]


@pytest.mark.parametrize("case", _pick("profile_lookup"))
def test_a_request_is_looked_up_at_the_nearest_tick(case: dict[str, Any]) -> None:
    profile = make_profile(case["input"]["profile"])
    for request, expected in zip(case["input"]["requests"], case["expected"]["cells"], strict=True):
        row, column = profile.find_cell(request["output_tokens"], request["input_tokens"])
        assert (row, column) == (expected["row"], expected["column"])
        assert profile.tputs_per_s[row][column] == expected["capacity_per_s"]
        assert profile.e2e_s[row][column] == expected["mean_e2e_s"]


@pytest.mark.parametrize("case", _pick("generate_profile"))
def test_a_benchmark_becomes_the_profile_that_the_peer_makes(case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]["profile"]
    slo = ProfileSlo(**given["slo"])
    points = []
    for row in given["measured"]:
        latencies_s: dict[str, dict[int, float]] = {}
        for name in ("e2e", "ttft", "tpot"):
            if f"{name}_mean_s" in row:
                percentiles = {percentile: row[f"{name}_p{percentile}_s"] for percentile in (50, 90, 99)}
                latencies_s[name] = {0: row[f"{name}_mean_s"], **percentiles}
        points.append(BenchmarkPoint(row["request_rate_per_s"], row["throughput_per_s"], latencies_s))
    cell = measure_cell(points, slo, given["input_tokens"], given["output_tokens"])
    assert cell.capacity_per_s == expected["tputs"][0][0]
    assert cell.means_s["e2e"] == expected["e2e"][0][0]
    if "ttft" in expected:
        assert cell.means_s["ttft"] == expected["ttft"][0][0]
    assert slo.to_document() == expected["slos"]


@pytest.mark.parametrize(
    "change",
    [{"cost": 0.0}, {"input_ticks_tokens": (256.0, 256.0)}, {"tputs_per_s": ((1.0,),)}, {"output_ticks_tokens": ()}],
)
def test_a_profile_that_is_none_is_refused(change: dict[str, Any]) -> None:
    whole: dict[str, Any] = {
        "gpu": "a",
        "cost": 1.0,
        "tputs_per_s": ((1.0, 2.0),),
        "output_ticks_tokens": (16.0,),
        "input_ticks_tokens": (256.0, 1024.0),
    }
    AibrixProfile(**whole)
    with pytest.raises(InvalidInput, match=r"profile\."):
        AibrixProfile(**{**whole, **change})


def test_every_published_case_is_run() -> None:
    assert list_run_cases(globals(), test_gpu_optimizer) == {case["name"] for case in CASES}
    assert len({case["name"] for case in CASES}) == len(CASES) == 31
