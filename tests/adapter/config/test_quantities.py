from __future__ import annotations

import math

import pytest

from adapter.config.quantities import (
    parse_count,
    parse_duration_s,
    parse_flag,
    parse_number,
    parse_ratio,
    parse_size_bytes,
    parse_timestamp_s,
    render_duration,
    render_size,
    render_timestamp,
)


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("30s", 30.0),
        ("250ms", 0.25),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("2d", 172800.0),
        ("0.081us", 8.1e-08),
        ("0.081µs", 8.1e-08),
        ("0.081μs", 8.1e-08),
        ("81ns", 8.1e-08),
        ("11.4ms", 0.0114),
        ("27.28ms", 0.02728),
        ("1e3s", 1000.0),
        (" 15s ", 15.0),
        ("0", 0.0),
        (0, 0.0),
    ],
)
def test_durations_are_exactly_what_is_written(text: object, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["30", 30, "5 m", "s", "", "5x", "1h30", "1:30", True, None, [], "nan", "infs", "50%"])
def test_a_duration_needs_a_unit_and_nothing_else(text: object) -> None:
    with pytest.raises(ValueError, match="a duration with its unit"):
        parse_duration_s(text)


@pytest.mark.parametrize("text", ["-5s", "-1h30m", "-0.5ms", "-3"])
def test_a_negative_duration_is_told_its_bound(text: str) -> None:
    with pytest.raises(ValueError, match=r"^>= 0s$"):
        parse_duration_s(text)


@pytest.mark.parametrize(
    "text, size",
    [
        ("80Gi", 80 * 2**30),
        ("80G", 80e9),
        ("16Mi", 16 * 2**20),
        ("1.5k", 1500),
        ("512", 512),
        (512, 512),
        ("1Ti", 2**40),
    ],
)
def test_sizes_tell_powers_of_1024_and_of_1000_apart(text: object, size: float) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize("text", ["80GB", "80gi", "-1", "", "80 Gi", True, None])
def test_unknown_units_of_size_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a size in bytes"):
        parse_size_bytes(text)


@pytest.mark.parametrize("text, ratio", [("0.5", 0.5), (0.5, 0.5), ("1", 1.0), ("9e-1", 0.9)])
def test_ratios_are_plain_numbers(text: object, ratio: float) -> None:
    assert parse_ratio(text) == ratio


@pytest.mark.parametrize("text, instead", [("50%", "0.5"), ("2.5 %", "0.025"), ("100%", "1 ")])
def test_a_percentage_is_refused_with_what_to_write_instead(text: str, instead: str) -> None:
    with pytest.raises(ValueError, match=f"a ratio, written {instead}"):
        parse_ratio(text)


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", "1e999", ".", "1,5", "0x10", "1_000", "ten", "", True, None, math.nan]
)
def test_numbers_are_finite_and_decimal(text: object) -> None:
    with pytest.raises(ValueError, match="a plain number"):
        parse_number(text)


@pytest.mark.parametrize("text", ["3.0", 3.0, "3.5", "1e3", "1_000", "", True, None])
def test_counts_are_whole_numbers(text: object) -> None:
    with pytest.raises(ValueError, match="a whole number"):
        parse_count(text)


def test_counts_are_read_from_text_and_from_numbers() -> None:
    assert [parse_count(value) for value in ("7", 7, "-7", "007")] == [7, 7, -7, 7]


@pytest.mark.parametrize("text", ["yes", "no", "on", "1", 1, None, "TRUE"])
def test_flags_are_true_or_false_and_no_other_word(text: object) -> None:
    with pytest.raises(ValueError, match="true or false"):
        parse_flag(text)


def test_flags_are_read_from_text_and_from_truth_values() -> None:
    assert [parse_flag(value) for value in ("true", "True", True, "false", False)] == [True, True, True, False, False]


@pytest.mark.parametrize(
    "seconds", [0.0, 1e-9, 8.1e-08, 3.4e-05, 0.0114, 0.25, 1.5, 15.0, 90.0, 120.0, 5400.0, 86400.0]
)
def test_reading_a_rendered_duration_gives_it_back(seconds: float) -> None:
    assert parse_duration_s(render_duration(seconds)) == seconds


@pytest.mark.parametrize("size", [0.0, 1.0, 1500.0, float(16 << 20), float(80 << 30), 80e9, float(3 << 40)])
def test_reading_a_rendered_size_gives_it_back(size: float) -> None:
    assert parse_size_bytes(render_size(size)) == size


def test_durations_are_rendered_in_their_usual_unit() -> None:
    rendered = [render_duration(seconds) for seconds in (0, 0.02, 15, 60, 90, 600, 7200, 86400, 8.1e-08)]
    assert rendered == ["0", "20ms", "15s", "1m", "90s", "10m", "2h", "1d", "81ns"]


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2027-01-31T18:00:00Z", 1801418400.0),  # date -u -d 2027-01-31T18:00:00Z +%s
        ("2027-01-31T19:00:00+01:00", 1801418400.0),
        ("2027-01-31t12:30:00.5-05:30", 1801418400.5),
        ("2027-01-31 18:00:00z", 1801418400.0),
    ],
)
def test_moments_count_from_1970_whatever_their_zone(text: str, seconds: float) -> None:
    assert parse_timestamp_s(text) == seconds
    assert parse_timestamp_s(render_timestamp(seconds)) == seconds


@pytest.mark.parametrize(
    "text", ["2027-01-31", "2027-01-31T18:00:00", "2027-02-30T18:00:00Z", "18:00:00Z", "2027-01-31T18:00Z", 5, "", None]
)
def test_a_moment_needs_date_time_and_zone(text: object) -> None:
    with pytest.raises(ValueError, match="a date and time with its zone"):
        parse_timestamp_s(text)
