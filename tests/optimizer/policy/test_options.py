from __future__ import annotations

import math
from enum import StrEnum

import pytest

from optimizer.errors import InvalidInput
from optimizer.policy.option_problems import InvalidOptions
from optimizer.policy.options import OptionReader


class Aggregation(StrEnum):
    MEAN = "mean"
    MAX = "max"


def list_problems(reader: OptionReader) -> list[str]:
    with pytest.raises(InvalidOptions) as caught:
        reader.finish()
    return [str(problem) for problem in caught.value.problems]


def test_what_is_absent_or_empty_has_its_default() -> None:
    reader = OptionReader({"rate": None})
    assert reader.number("rate", 2.5) == 2.5
    assert reader.number("limit", None) is None
    assert reader.duration_s("window", 60.0) == 60.0
    assert reader.count("block", 3) == 3
    assert reader.flag("is_on", True)
    assert reader.text("name", "x") == "x"
    assert reader.choice("aggregation", Aggregation.MEAN) is Aggregation.MEAN
    assert reader.texts("names", ("a",)) == ("a",)
    assert reader.mapping("up").keys == ()
    assert reader.mappings("metrics") == ()
    assert not reader.has("rate")
    reader.finish()


def test_what_is_there_is_read() -> None:
    reader = OptionReader(
        {
            "rate": 3,
            "block": 4.0,
            "is_on": False,
            "name": "y",
            "aggregation": "max",
            "names": ["b", "c"],
            "up": {"window": "30s"},
            "metrics": [{"target": 1.5}, {"target": 2}],
        }
    )
    assert reader.number("rate", 1.0, above=0.0) == 3.0
    assert reader.count("block", 3) == 4
    assert not reader.flag("is_on", True)
    assert reader.text("name", None, one_of=("x", "y")) == "y"
    assert reader.choice("aggregation", Aggregation.MEAN) is Aggregation.MAX
    assert reader.texts("names") == ("b", "c")
    assert reader.mapping("up").duration_s("window", 0.0) == 30.0
    assert [metric.number("target", 0.0) for metric in reader.mappings("metrics")] == [1.5, 2.0]
    reader.finish()


@pytest.mark.parametrize(
    "value, expected_s",
    [("30s", 30.0), ("1m30s", 90.0), ("250ms", 0.25), ("1.5h", 5400.0), (15, 15.0), (0, 0.0), (" 2m ", 120.0)],
)
def test_a_duration_is_text_with_units_or_a_number_of_seconds(value: object, expected_s: float) -> None:
    assert OptionReader({"window": value}).duration_s("window", 1.0) == pytest.approx(expected_s)


@pytest.mark.parametrize("value", ["30", "s", "30 s", "-30s", -1, "1m 30s", "", True, math.inf, math.nan, [30]])
def test_what_is_no_duration_is_refused_and_the_default_stands_in(value: object) -> None:
    reader = OptionReader({"window": value})
    assert reader.duration_s("window", 7.0) == 7.0
    (problem,) = list_problems(reader)
    assert problem.startswith("policy_options.window must be a duration, such as 30s")


@pytest.mark.parametrize("value", ["2", True, math.nan, math.inf, 0, 10, [1], {}])
def test_what_is_no_number_within_the_bounds_is_refused(value: object) -> None:
    reader = OptionReader({"rate": value})
    assert reader.number("rate", 1.0, above=0.0, below=10.0, unit="1/s") == 1.0
    (problem,) = list_problems(reader)
    assert problem == f"policy_options.rate must be a number > 0 and < 10 [1/s], got {value!r}"


@pytest.mark.parametrize("value", [2.5, -1, 9, "3", True])
def test_what_is_no_whole_number_within_the_bounds_is_refused(value: object) -> None:
    reader = OptionReader({"block": value})
    assert reader.count("block", 1, at_most=8) == 1
    assert list_problems(reader) == [f"policy_options.block must be a whole number >= 0 and <= 8, got {value!r}"]


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    reader = OptionReader({"stabel_window": 3, "zzz": 1})
    reader.duration_s("stable_window", 60.0)
    reader.number("rate", 1.0)
    assert list_problems(reader) == [
        "policy_options.stabel_window is not known; did you mean stable_window?",
        "policy_options.zzz is not known; known are rate, stable_window",
    ]


def test_everything_wrong_is_named_at_once_with_its_path() -> None:
    reader = OptionReader({"rate": "x", "up": {"windw": 1}, "metrics": [{"target": -1}, 7], "names": ["a", 1]}, "m")
    reader.number("rate", 1.0)
    reader.mapping("up").duration_s("window", 1.0)
    for metric in reader.mappings("metrics"):
        metric.number("target", 1.0, above=0.0)
        metric.text("name", "", is_required=True)
    reader.texts("names")
    reader.refuse("up", "another than down", "up")
    assert list_problems(reader) == [
        "m.rate must be a number, got 'x'",
        "m.metrics[1] must be a mapping, got 7",
        "m.names must be a list of texts, got ['a', 1]",
        "m.up must be another than down, got 'up'",
        "m.up.windw is not known; did you mean window?",
        "m.metrics[0].target must be a number > 0, got -1",
        "m.metrics[0].name is missing: must be a text",
    ]


def test_the_failure_is_an_invalid_input_whose_message_holds_every_problem() -> None:
    reader = OptionReader({"rate": -1, "other": 1})
    reader.number("rate", 1.0, at_least=0.0)
    with pytest.raises(InvalidInput) as caught:
        reader.finish()
    assert (caught.value.field, caught.value.bound, caught.value.value) == (
        "policy_options.rate",
        "a number >= 0",
        -1,
    )
    assert str(caught.value) == (
        "policy_options.rate must be a number >= 0, got -1; policy_options.other is not known; known are rate"
    )


def test_keys_of_a_free_mapping_can_be_listed_and_read() -> None:
    rates = OptionReader({"target": {"H100:1": 2.5, "A100": 0}}).mapping("target")
    assert {key: rates.number(key, 1.0, above=0.0) for key in rates.keys} == {"H100:1": 2.5, "A100": 1.0}
    assert list_problems(rates) == ["policy_options.target.A100 must be a number > 0, got 0"]


def test_odd_keys_are_quoted_in_paths() -> None:
    reader = OptionReader({"a b": 1})
    assert list_problems(reader) == ['policy_options["a b"] is not known']


def test_choices_and_texts_name_what_is_allowed() -> None:
    reader = OptionReader({"aggregation": "median", "name": "z", "flag": "yes"})
    assert reader.choice("aggregation", Aggregation.MAX) is Aggregation.MAX
    reader.text("name", "x", one_of=("x", "y"))
    reader.flag("flag", False)
    assert list_problems(reader) == [
        "policy_options.aggregation must be one of mean, max, got 'median'",
        "policy_options.name must be one of x, y, got 'z'",
        "policy_options.flag must be true or false, got 'yes'",
    ]


def test_an_option_of_several_shapes_can_be_looked_at_before_it_is_read() -> None:
    reader = OptionReader({"rate": {"A": 1.0}})
    assert isinstance(reader.peek("rate"), dict)
    assert reader.peek("absent") is None
    with pytest.raises(InvalidOptions, match="rate is not known"):
        reader.finish()
