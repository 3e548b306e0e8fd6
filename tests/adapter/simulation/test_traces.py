from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from adapter.errors import BadDocument, NotFound
from adapter.simulation.names import TRACES
from adapter.simulation.traces import LONGEST_S, MOVE_S, Trace, cut_trace, parse_trace, read_trace, scale_trace

HEAD = "arrival_seconds,input_tokens,output_tokens\n"


def make_poisson(rate_per_s: float, duration_s: float, seed: int = 3) -> Trace:
    chance = np.random.default_rng(seed)
    times_s = np.sort(chance.uniform(0.0, duration_s, chance.poisson(rate_per_s * duration_s)))
    count = len(times_s)
    return Trace("poisson", times_s, np.arange(1, count + 1), np.arange(1, count + 1) * 2, duration_s)


def test_the_azure_hour_is_as_its_source_describes_it() -> None:
    hour = read_trace("azure-hour")
    assert (len(hour), hour.duration_s) == (19_366, 3502.0)
    assert hour.arrival_s[-1] == pytest.approx(3501.7, abs=0.1)
    assert (hour.input_tokens.mean(), hour.output_tokens.mean()) == pytest.approx((1155, 211), rel=0.002)


@pytest.mark.slow
def test_the_day_is_as_its_source_describes_it() -> None:
    day = read_trace("day")
    assert (len(day), day.duration_s) == (172_499, 86_400.0)
    hourly = np.bincount((day.arrival_s // 3600.0).astype(int))
    assert int(hourly.argmax()) == 19
    assert hourly.max() / 3600.0 == pytest.approx(3.43, abs=0.01)


@pytest.mark.parametrize("name", ["step", "ramp", "spikes"])
def test_an_invented_trace_has_the_rate_of_its_shape(name: str) -> None:
    expected = {"step": 8.0 / 3.0, "ramp": 3.0, "spikes": 1.5}[name] * 1200.0
    trace = read_trace(name, seed=5)
    assert abs(len(trace) - expected) < 4.0 * math.sqrt(expected)
    assert np.array_equal(trace.arrival_s, read_trace(name, seed=5).arrival_s)
    assert not np.array_equal(trace.arrival_s[:10], read_trace(name, seed=6).arrival_s[:10])
    assert bool((np.diff(trace.arrival_s) >= 0.0).all())


def test_a_step_doubles_for_its_middle_third() -> None:
    counts = np.histogram(read_trace("step", seed=1).arrival_s, bins=[0, 400, 800, 1200])[0]
    for count, rate_per_s in zip(counts, (2.0, 4.0, 2.0), strict=True):
        assert abs(count - 400.0 * rate_per_s) < 4.0 * math.sqrt(400.0 * rate_per_s)


def test_every_built_in_trace_is_told() -> None:
    assert set(TRACES) == {"azure-hour", "day", "step", "ramp", "spikes"}


@pytest.mark.parametrize("factor", [0.25, 0.8, 1.5, 2.0, 3.7])
def test_scaling_keeps_the_rate_within_its_statistical_error(factor: float) -> None:
    trace = make_poisson(4.0, 2400.0)
    scaled = scale_trace(trace, factor, seed=2)
    expected, left = factor * len(trace), factor - math.floor(factor)
    spread = math.sqrt(len(trace) * left * (1.0 - left))
    assert abs(len(scaled) - expected) <= 4.0 * spread + 1e-9
    assert scaled.duration_s == trace.duration_s
    for begin_s in range(0, 2400, 600):
        before = np.count_nonzero((trace.arrival_s >= begin_s) & (trace.arrival_s < begin_s + 600))
        after = np.count_nonzero((scaled.arrival_s >= begin_s) & (scaled.arrival_s < begin_s + 600))
        assert abs(after - factor * before) < 5.0 * (1.0 + factor) * math.sqrt(before)


def test_scaling_never_changes_how_fast_time_passes() -> None:
    trace = make_poisson(2.0, 3600.0)
    thinned = scale_trace(trace, 0.5, seed=1)
    assert set(thinned.arrival_s) <= set(trace.arrival_s)
    doubled = scale_trace(trace, 2.0, seed=1)
    own = np.isin(doubled.arrival_s, trace.arrival_s)
    assert np.array_equal(doubled.arrival_s[own], trace.arrival_s)
    order = np.argsort(doubled.input_tokens[~own])  # lengths of this trace number its requests
    moved_s = (doubled.arrival_s[~own][order] - trace.arrival_s + 1800.0) % 3600.0 - 1800.0
    assert moved_s == pytest.approx(np.full(len(trace), moved_s[0]), abs=1e-6)
    assert 0.0 < abs(moved_s[0]) <= MOVE_S


def test_lengths_stay_with_their_requests() -> None:
    scaled = scale_trace(make_poisson(2.0, 600.0), 2.6, seed=4)
    assert np.array_equal(scaled.output_tokens, 2 * scaled.input_tokens)
    assert bool((np.diff(scaled.arrival_s) >= 0.0).all())
    assert bool((scaled.arrival_s < scaled.duration_s).all())


def test_scaling_by_one_changes_nothing() -> None:
    trace = make_poisson(1.0, 60.0)
    assert scale_trace(trace, 1.0) is trace


def test_a_stretch_counts_time_from_its_begin() -> None:
    trace = parse_trace("t", HEAD + "1,10,5\n2.5,20,6\n3,30,7\n9,40,8\n")
    part = cut_trace(trace, 2.5, 6.5)
    assert (part.arrival_s.tolist(), part.input_tokens.tolist(), part.duration_s) == ([0.0, 0.5], [20, 30], 6.5)
    assert cut_trace(trace, 3.0).duration_s == 7.0


def test_jumps_of_demand_are_known_move_with_the_stretch_and_stay_when_it_is_made_denser() -> None:
    assert read_trace("step").jumps_s == (400.0,)
    assert read_trace("ramp").jumps_s == ()
    spikes = read_trace("spikes")
    assert spikes.jumps_s == (180.0, 420.0, 660.0, 900.0, 1140.0)
    assert cut_trace(spikes, 400.0, 300.0).jumps_s == (20.0, 260.0)
    assert scale_trace(spikes, 2.5).jumps_s == spikes.jumps_s
    for jump_s in spikes.jumps_s:
        before, after = (
            np.count_nonzero((spikes.arrival_s >= begin_s) & (spikes.arrival_s < begin_s + 60.0))
            for begin_s in (jump_s - 60.0, jump_s)
        )
        assert after > 1.5 * before


@pytest.mark.parametrize("from_s, for_s", [(10.0, None), (0.0, 10.5), (9.0, 2.0)])
def test_a_stretch_outside_of_the_trace_is_refused(from_s: float, for_s: float | None) -> None:
    trace = parse_trace("t", HEAD + "1,10,5\n9,40,8\n")
    with pytest.raises(BadDocument, match="trace t lasts 10 s; there is no stretch from"):
        cut_trace(trace, from_s, for_s)


@pytest.mark.parametrize(
    "text, message",
    [
        ("arrival_seconds,input_tokens\n1,2\n", "has no column output_tokens; it needs arrival_seconds,"),
        (HEAD, "has no requests"),
        (HEAD + "1,2,3\nx,2,3\n", "line 3 must hold arrival_seconds,input_tokens,output_tokens, got x,2,3"),
        (HEAD + "1,2\n", "line 2 must hold"),
        (HEAD + "1,0,3\n", "line 2 must have a time >= 0 and 1 token at least"),
        (HEAD + "nan,1,3\n", "line 2 must have a time >= 0"),
        (HEAD + "2,1,3\n1,1,3\n", "line 3 goes back in time, from 2 s to 1 s"),
        (HEAD + "\n2,1,3\n\nx,1,3\n", "line 5 must hold"),
        (HEAD + "1e12,1,3\n", "line 2 must have a time in seconds, below 1e[+]11, got 1e12"),
        (HEAD + "1,1,10000001\n", "line 2 must have 10000000 tokens at most each, got 1,1,10000001"),
        (
            HEAD + "5,1,3\n2678400,1,3\n",
            r"line 3 must be less than 2678400 s \(31 days\) after 0 s, where .* got 2678400 s",
        ),
        (
            HEAD + "1700000000.5,1,3\n1702678400,1,3\n",
            "line 3 must be less than .* after 1700000000 s.* got 1702678400 s",
        ),
    ],
)
def test_a_bad_line_is_named(text: str, message: str) -> None:
    with pytest.raises(BadDocument, match=message):
        parse_trace("t", text)


def test_unix_times_count_from_the_whole_second_of_the_first() -> None:
    trace = parse_trace("log", HEAD + "1700000000.5,10,5\n1700000010,20,6\n")
    assert (trace.arrival_s.tolist(), trace.duration_s) == ([0.5, 10.0], 11.0)
    assert trace.counted_from_s == 1_700_000_000.0
    assert cut_trace(trace, 5.0).counted_from_s == scale_trace(trace, 3.0).counted_from_s == 1_700_000_000.0


@pytest.mark.parametrize(
    "first, counted_from_s", [("0", 0.0), ("86400", 0.0), ("86400.5", 86_400.0), ("90001", 90_001.0)]
)
def test_times_count_from_0_unless_the_first_is_later_than_a_day(first: str, counted_from_s: float) -> None:
    trace = parse_trace("log", HEAD + f"{first},10,5\n")
    assert trace.counted_from_s == counted_from_s
    assert trace.arrival_s[0] == float(first) - counted_from_s
    assert trace.duration_s == math.floor(float(first)) + 1.0 - counted_from_s


def test_a_trace_may_last_31_days() -> None:
    assert parse_trace("log", HEAD + "0,1,1\n2678399.9,1,1\n").duration_s == LONGEST_S == 31 * 86_400.0


def test_more_requests_than_can_be_played_are_refused_before_they_are_made() -> None:
    trace = make_poisson(20.0, 600.0)
    with pytest.raises(BadDocument, match=f"{len(trace)} requests; 1000 times as many are more than the 10000000"):
        scale_trace(trace, 1000.0)


def test_a_file_may_be_packed(tmp_path: Path) -> None:
    plain, packed = tmp_path / "t.csv", tmp_path / "t.csv.gz"
    plain.write_text(HEAD + "1,2,3\n", encoding="utf-8")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_trace(str(plain)).arrival_s.tolist() == read_trace(str(packed)).arrival_s.tolist() == [1.0]
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(BadDocument, match="cannot be read"):
        read_trace(str(packed))
    plain.write_text(HEAD + "1," + "2" * 200_000 + ",3\n", encoding="utf-8")
    with pytest.raises(BadDocument, match="cannot be read: field larger than field limit"):
        read_trace(str(plain))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="no trace azure-our: neither built in nor a file; did you mean azure-hour"):
        read_trace("azure-our")
