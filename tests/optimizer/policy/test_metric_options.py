"""One metric out of options: names that no page can have are refused where they are written."""

from __future__ import annotations

import pytest

from optimizer.policy.metric_options import read_metric, read_metric_sum
from optimizer.policy.option_problems import InvalidOptions
from optimizer.policy.options import OptionReader

METRIC, LABEL = "[a-zA-Z_:][a-zA-Z0-9_:]*", "[a-zA-Z_][a-zA-Z0-9_]*"


def refuse(options: dict[str, object]) -> list[str]:
    reader = OptionReader(options, "metric")
    read_metric_sum(reader, "load")
    with pytest.raises(InvalidOptions) as caught:
        reader.finish()
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", ["vllm:num_requests_waiting", "_x", ":x9", "X_total", "sglang:num_queue_reqs"])
def test_names_of_prometheus_are_taken(name: str) -> None:
    reader = OptionReader({"series": name, "labels": {"model_name": "a b{", "_x9": 3, "__a": True}})
    spec = read_metric(reader, "load")
    reader.finish()
    assert spec.series == name
    assert spec.labels == {"model_name": "a b{", "_x9": "3", "__a": "true"}


@pytest.mark.parametrize("name", ["bad name{", "9x", "x-y", 'x{a="b"}', "größe", "x\n", " x"])
def test_a_series_that_no_page_can_have_is_refused(name: str) -> None:
    assert refuse({"series": name}) == [f"metric.series must be the name of a metric, {METRIC}, got {name!r}"]
    assert refuse({"series": ["fine", name]}) == [f"metric.series must be the name of a metric, {METRIC}, got {name!r}"]


@pytest.mark.parametrize("key", ["a b", "9x", "a:b", "x-y", "a\n", "größe"])
def test_a_label_that_no_sample_can_have_is_refused(key: str) -> None:
    (problem,) = refuse({"series": "x", "labels": {key: "y", "fine": "z"}})
    assert problem.startswith("metric.labels")
    assert problem.endswith(f"must be under the name of a label, {LABEL}, got {key!r}")


def test_a_series_that_is_missing_is_told_as_missing_only() -> None:
    assert refuse({}) == ["metric.series is missing: must be a text"]
