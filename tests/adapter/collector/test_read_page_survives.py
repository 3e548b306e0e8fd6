"""Pages changed by chance: what does not matter changes nothing; what does is absent or a bad document, never wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from adapter.collector import read_page
from adapter.errors import BadDocument
from optimizer.demand import compute_window
from optimizer.domain import PodReading
from tests.builders.readings import POD

ENGINES = {
    "composed-sglang.prom": "sglang",
    "composed-vllm-v0.prom": "vllm",
    "vllm-0.32.0-dp2-busy.prom": "vllm",
    "vllm-0.32.0-overload.prom": "vllm",
    "vllm-0.32.0-openmetrics.txt": "vllm",
}
pytestmark = pytest.mark.parametrize("name", ENGINES)


@pytest.fixture(scope="module")
def bodies(data_dir: Path) -> Mapping[str, bytes]:
    return {name: (data_dir / "samples" / name).read_bytes() for name in ENGINES}


def read(body: bytes, name: str, time_s: float = 0.0) -> PodReading:
    (reading,) = read_page(body, ENGINES[name], POD, time_s)
    return reading


def list_figures(reading: PodReading) -> dict[str, object]:
    """Return counters, and histograms as count and sum with their shape, which may be lost."""
    figures: dict[str, object] = dict(reading.counters.items())
    for name, histogram in reading.histograms.items():
        figures |= {f"{name} count": histogram.count, f"{name} total": histogram.total}
        if histogram.edges:
            figures[f"{name} shape"] = (histogram.edges, histogram.cumulative)
    return figures


# --- what does not matter ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(3))
def test_lines_may_come_in_any_order(bodies: Mapping[str, bytes], name: str, seed: int) -> None:
    lines = bodies[name].splitlines(keepends=True)
    Random(seed).shuffle(lines)
    assert read(b"".join(lines), name) == read(bodies[name], name)


def test_labels_may_come_in_any_order(bodies: Mapping[str, bytes], name: str) -> None:
    def turn(match: re.Match[bytes]) -> bytes:
        return b"{" + b",".join(reversed(re.findall(rb'\w+="[^"]*"', match[0]))) + b"}"

    turned = re.sub(rb"(?<=\w)\{[^}\n]*\}(?= )", turn, bodies[name])
    assert turned != bodies[name]
    assert read(turned, name) == read(bodies[name], name)


@pytest.mark.parametrize(
    "pattern, replacement",
    [
        (rb"(?m)^#.*\n", b""),
        (rb"(?m)^# TYPE.*\n", b""),
        (rb"(?m)^(# HELP.*\n)(# TYPE.*\n)", rb"\2\1"),
        (rb"(?m)^([^#\n].*)$", rb"\1 1700000000000"),
        (rb"(?m)^([^#\n].*_bucket.*)$", rb'\1 # {trace_id="a b} 3"} 0.5 1700000000.25'),
        (rb"\n", b"\r\n"),
        (rb"(?m)^.*_created.*\n", b""),
        (rb"(?m)^([^#\n]\w+):", rb"\1_"),
        (rb"} ", b"}  "),
        (rb"(?m)^# EOF\n", b""),
    ],
)
def test_manner_of_writing_does_not_matter(
    bodies: Mapping[str, bytes], name: str, pattern: bytes, replacement: bytes
) -> None:
    assert read(re.sub(pattern, replacement, bodies[name]), name) == read(bodies[name], name)


# --- what does --------------------------------------------------------------------------------------------------------
def test_page_cut_within_a_line_shows_whole_figures_or_none(bodies: Mapping[str, bytes], name: str) -> None:
    body, whole = bodies[name], list_figures(read(bodies[name], name))
    cuts = Random(1).sample([place for place in range(1, len(body)) if body[place - 1 : place] != b"\n"], 300)
    readable = 0
    for cut in cuts:
        try:
            reading = read(body[:cut], name)
        except BadDocument:
            continue
        readable += 1
        for figure, value in list_figures(reading).items():
            assert value == whole[figure], (cut, figure)
    assert readable > 100


def test_page_cut_between_lines_never_gives_a_window_that_is_wrong(bodies: Mapping[str, bytes], name: str) -> None:
    """One page cannot tell that whole lines are missing behind it; the page before can."""
    body = bodies[name]
    before = read(body, name, 0.0)
    gauges = {gauge: value + 1.0 for gauge, value in before.gauges.items()}  # so that the step is not taken for frozen
    before = replace(before, gauges=gauges)
    true = compute_window(before, read(body, name, 15.0))
    assert true.arrivals is not None
    ends = [match.end() for match in re.finditer(rb"\n", body)][:-1]
    for end in Random(2).sample(ends, 150):
        try:
            window = compute_window(before, read(body[:end], name, 15.0))
        except BadDocument:
            continue
        assert window.arrivals in (None, true.arrivals), body[:end].splitlines()[-1]


@pytest.mark.parametrize("seed", range(4))
def test_corruption_raises_nothing_but_bad_document(bodies: Mapping[str, bytes], name: str, seed: int) -> None:
    random = Random(seed)
    for _ in range(60):
        body = bytearray(bodies[name])
        for _ in range(random.randint(1, 30)):
            place, length = random.randrange(len(body)), random.choice((1, 1, 1, 5, 80))
            body[place : place + length] = random.choice(
                (random.randbytes(length), b"", b"\n", b'"', b"{", b"}", b"NaN", b"\\", b"\x00", b" ")
            )
        try:
            readings = read_page(bytes(body), ENGINES[name], POD, 0.0)
        except BadDocument:
            continue
        for reading in readings:
            assert all(0.0 <= value < float("inf") for value in (*reading.counters.values(), *reading.gauges.values()))
            for histogram in reading.histograms.values():
                assert list(histogram.cumulative) == sorted(histogram.cumulative)
                assert all(value <= histogram.count for value in histogram.cumulative)


@pytest.mark.parametrize("value", [b"", b"x", b"1_0", b"12.5.1", b"--1", b"1e", b"NaN1"])
def test_value_that_is_garbage_is_never_left_out_of_a_sum(bodies: Mapping[str, bytes], name: str, value: bytes) -> None:
    line = re.search(rb"(?m)^\w+[:_](?:generation_tokens_total|request_success_total)\{[^\n]*", bodies[name])
    assert line is not None
    broken = bodies[name].replace(line[0], line[0].rpartition(b" ")[0] + b" " + value)
    with pytest.raises(BadDocument):
        read(broken, name)
