from __future__ import annotations

import math

import pytest

from adapter.collector.exposition import MAX_PAGE_BYTES, Labels, PageReader, parse_labels
from adapter.errors import BadDocument

READER = PageReader(
    {
        "vllm:busy": "vllm:busy",
        "vllm:done": "vllm:done",
        "vllm:done_total": "vllm:done",
        "vllm:wait_bucket": "vllm:wait_bucket",
        "vllm:wait_sum": "vllm:wait_sum",
        "vllm:wait_count": "vllm:wait_count",
        "up_seconds": "up_seconds",
    }
)


def read(text: str) -> dict[str, list[tuple[Labels, float]]]:
    page = READER.read(text.encode())
    return {
        name: [(parse_labels(raw), value) for raw, value in series.items()] for name, series in page.samples.items()
    }


# --- lines ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "line, labels, value",
    [
        ('vllm:busy{a="b"} 3', {"a": "b"}, 3.0),
        ('vllm_busy{a="b"} 3', {"a": "b"}, 3.0),
        ("vllm:busy 1.5e+03", {}, 1500.0),
        ("vllm:busy{} 2", {}, 2.0),
        ('vllm:busy{a="b",} 2', {"a": "b"}, 2.0),
        ('vllm:busy{a="b", c="d"} 2', {"a": "b", "c": "d"}, 2.0),
        ('vllm:busy { a = "b" , c = "d" }  2', {"a": "b", "c": "d"}, 2.0),
        ('vllm:busy\t{a="b"}\t2', {"a": "b"}, 2.0),
        ('vllm:busy{a="b"} 2 1700000000000', {"a": "b"}, 2.0),
        ('vllm:busy{a="b"} 2 1700000000.123', {"a": "b"}, 2.0),
        ('vllm:busy{a="b"} 2 # {trace_id="x} 9"} 0.5 1700000000.1', {"a": "b"}, 2.0),
        ('vllm:busy{a="b"} 2 # {trace_id="x"} 7', {"a": "b"}, 2.0),
        ('vllm:busy{a="x} 7"} 2', {"a": "x} 7"}, 2.0),
        ('vllm:busy{a="x # {y=1} 7"} 2', {"a": "x # {y=1} 7"}, 2.0),
        ('vllm:busy{a="say \\"}\\" \\\\ \\n"} 2', {"a": 'say "}" \\ \n'}, 2.0),
        ('vllm:busy{a="\\\\n"} 2', {"a": "\\n"}, 2.0),
        ('vllm:busy{a="ü→"} 2', {"a": "ü→"}, 2.0),
        ('vllm:busy{a=""} -1', {"a": ""}, -1.0),
        ('vllm:busy{a="b"} +Inf', {"a": "b"}, math.inf),
        ('vllm:busy{a="b"} -Inf', {"a": "b"}, -math.inf),
        ('vllm:busy{a="b"} 2\r', {"a": "b"}, 2.0),
    ],
)
def test_line_is_understood(line: str, labels: Labels, value: float) -> None:
    assert read(f"# TYPE vllm:busy gauge\n{line}\n")["vllm:busy"] == [(labels, value)]


def test_not_a_number_is_handed_out_as_such() -> None:
    ((_, value),) = read("vllm:busy NaN\n")["vllm:busy"]
    assert math.isnan(value)


@pytest.mark.parametrize(
    "line",
    [
        "vllm:busy",
        "vllm:busy ",
        "vllm:busy{",
        'vllm:busy{a="b"}',
        'vllm:busy{a="b"} ',
        'vllm:busy{a="b"} three',
        'vllm:busy{a="b"} 1_000',
        'vllm:busy{a="b"} 1e',
        'vllm:busy{a="b"} 0x10',
        'vllm:busy{a="b"} 2 later',
        'vllm:busy{a="b} 2',
        'vllm:busy{a="b"c="d"} 2',
        "vllm:busy{a=b} 2",
        'vllm:busy{"a"} 2',
        'vllm:busy{a="b" 2',
    ],
)
def test_wanted_line_that_cannot_be_understood_spoils_the_page(line: str) -> None:
    """Otherwise its value would be missing from a sum without anybody knowing."""
    with pytest.raises(BadDocument):
        read(f"up_seconds 1\n{line}\nup_seconds 1\n")


def test_labels_that_are_not_utf8_spoil_the_page() -> None:
    with pytest.raises(BadDocument, match="UTF-8"):
        parse_labels(b'a="\xff"')


def test_absurdly_long_labels_are_refused() -> None:
    with pytest.raises(BadDocument, match="8192 bytes"):
        parse_labels(b'a="' + b"x" * 9000 + b'"')


def test_lines_nobody_wants_may_say_what_they_like() -> None:
    text = (
        'vllm:busyness{a="b"} 1\nvllm:bus{ 2\nxvllm:busy 3\n vllm:busy 4\n# vllm:busy 5\nvllm:busy 6\nvllm:busy_x 7\n'
    )
    assert read(text) == {"vllm:busy": [({}, 6.0)]}


# --- names ------------------------------------------------------------------------------------------------------------
def test_both_forms_of_a_counter_are_found_and_never_added() -> None:
    assert (
        read("vllm:done 5\n")
        == read("vllm:done_total 5\n")
        == read("vllm_done_total 5\n")
        == {"vllm:done": [({}, 5.0)]}
    )
    assert read("vllm:done 5\nvllm_done_total 5\nvllm:done_total 5\n") == {"vllm:done": [({}, 5.0)]}


def test_created_lines_are_not_values() -> None:
    assert read("vllm:done_total 5\nvllm:done_created 1.7e9\n") == {"vllm:done": [({}, 5.0)]}


def test_series_that_stands_twice_counts_once() -> None:
    assert read('vllm:done{a="b"} 5\nvllm:done{a="b"} 6\n') == {"vllm:done": [({"a": "b"}, 6.0)]}


# --- whole pages ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "body, kind",
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"<!doctype html><html><body>vllm:busy 1</body></html>\n", "HTML"),
        (b'{"vllm:busy": 1}\n', "JSON"),
        (b"[1]", "JSON"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "compressed"),
        (bytes(range(256)) * 40, "none of the wanted"),
        (b"# HELP vllm:busy x\n# TYPE vllm:busy gauge\n", "none of the wanted"),
        (b"node_load1 0.5\n", "none of the wanted"),
        ("vllm:busy 1\n".encode("utf-16"), "none of the wanted"),
    ],
)
def test_what_is_no_page_of_ours_is_a_bad_document(body: bytes, kind: str) -> None:
    with pytest.raises(BadDocument, match=kind):
        READER.read(body)


def test_page_beyond_all_measure_is_refused_unread() -> None:
    with pytest.raises(BadDocument, match="bytes"):
        READER.read(b"vllm:busy 1\n" + b"#" * MAX_PAGE_BYTES)


def test_ten_megabytes_of_other_series_hide_nothing() -> None:
    other = b"".join(b'vllm:other_bucket{le="%d",model_name="m"} 17.0\n' % number for number in range(220_000))
    assert len(other) > 9_000_000
    body = b"vllm:busy 1\n" + other + b"vllm:done_total 2\n"
    assert {name: list(series.values()) for name, series in READER.read(body).samples.items()} == {
        "vllm:busy": [1.0],
        "vllm:done": [2.0],
    }


# --- pages that end too early -----------------------------------------------------------------------------------------
def test_partial_last_line_is_dropped_with_what_it_may_belong_to() -> None:
    page = READER.read(b'vllm:busy 1\nvllm:done_total{a="x"} 5\nvllm:done_total{a="y"} 12')
    assert page.is_cut
    assert list(page.samples) == ["vllm:busy"]


def test_cut_in_a_histogram_drops_all_of_it() -> None:
    rank = 'vllm:wait_bucket{{le="1",rank="{0}"}} 1\nvllm:wait_bucket{{le="+Inf",rank="{0}"}} 2\n'
    rank += 'vllm:wait_sum{{rank="{0}"}} 1.5\nvllm:wait_count{{rank="{0}"}} 2\n'
    whole = "vllm:busy 1\n" + rank.format(0) + rank.format(1)
    assert set(READER.read(whole.encode()).samples) == {
        "vllm:busy",
        "vllm:wait_bucket",
        "vllm:wait_sum",
        "vllm:wait_count",
    }
    cut = whole[: whole.rindex("vllm:wait_sum") - 4]
    assert list(READER.read(cut.encode()).samples) == ["vllm:busy"]


@pytest.mark.parametrize("end", ["# TYPE vllm:wait histogr", "# HELP vllm:wa", "#"])
def test_cut_in_a_comment_leaves_what_stands_before_a_comment(end: str) -> None:
    page = READER.read(f"vllm:busy 1\nvllm:done_total 5\n# HELP vllm:wait x\n{end}".encode())
    assert page.is_cut
    assert list(page.samples) == ["vllm:busy", "vllm:done"]


def test_nothing_but_a_cut_line_is_a_bad_document() -> None:
    with pytest.raises(BadDocument):
        READER.read(b"vllm:busy 1")


def test_end_of_openmetrics_needs_no_line_break() -> None:
    page = READER.read(b"vllm_done_total 5\n# EOF")
    assert not page.is_cut
    assert list(page.samples) == ["vllm:done"]
