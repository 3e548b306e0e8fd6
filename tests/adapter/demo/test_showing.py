"""The table, the summary and the screen say what fleet and autoscaler say."""

from __future__ import annotations

import io
import socket
from typing import Any

from adapter.demo.engine_settings import Lag
from adapter.demo.lateness import Lateness, LatenessRecord
from adapter.demo.live_table import render_lateness, render_table
from adapter.demo.ports import choose_port
from adapter.demo.screen import Screen
from adapter.demo.summary import SummaryLine, render_summary, summarize_attainment, to_json
from adapter.demo.timeline import Timeline
from tests.builders.ports import choose_ports

STATUS: dict[str, Any] = {
    "now_s": 1190.0,
    "begin_s": 1000.0,
    "cost": 1.25,
    "models": [
        {
            "namespace": "default",
            "model_id": "meta/llama-8b",
            "nickname": "llama-8b",
            "held_requests": 2,
            "fates": {"finished": 95, "refused": 5, "failed": 0, "open": 0},
            "recent": [50, 49],
            "total": [100, 90],
        }
    ],
    "workloads": [
        {
            "namespace": "default",
            "name": "llama-8b-l40s",
            "model_id": "meta/llama-8b",
            "variant": "l40s",
            "accelerator": "L40S",
            "requested": 3,
            "starting": 1,
            "ready": 2,
            "terminating": 1,
            "cost_per_hour": 3.16,
            "recent": [50, 49],
            "total": [100, 90],
        }
    ],
    "lateness": {"engine_s": 0.0, "load_s": 0.0, "is_behind": False, "looks": 10, "looks_behind": 0},
}
DECISIONS: dict[str, Any] = {
    "models": [
        {
            "namespace": "default",
            "model": "meta/llama-8b",
            "decided_at_s": 1015.0,
            "demand_per_s": {"value": 3.21, "reason": None},
            "forecast_per_s": {"value": None, "reason": {"code": "NoData", "message": ""}},
            "need_per_s": 4.5,
            "cost_per_hour": 2.37,
            "reason": {"code": "ScaleUp", "message": "more"},
            "variants": [
                {
                    "deployment": "llama-8b-l40s",
                    "planned_replicas": 4,
                    "requested_replicas": 3,
                    "ready_replicas": 2,
                    "capacity_per_s": {"value": 1.2, "reason": None},
                    "reason": {"code": "ScaleUp", "message": "need 4.5/s"},
                    "hold": None,
                }
            ],
        }
    ]
}
LATENCY = {"count": 3, "mean_s": 0.0123, "p50_s": 0.01, "p99_s": 2.5}
REPORT: dict[str, Any] = {
    **STATUS,
    "open_missed": [4],
    "attainment": [[[0.0, 104, 90]]],
    "latencies": [
        {"engine_ttft": LATENCY, "engine_itl": LATENCY, "client_ttft": {"count": 0}, "client_itl": {"count": 0}}
    ],
    "requests": [[0, 0.5, 100, 50]] * 110,
}


def test_the_table_shows_planned_requested_and_ready_apart() -> None:
    lines = render_table(STATUS, DECISIONS, 200)
    text = "\n".join(lines)
    assert "3:10 of demo time" in lines[0]
    assert "demand 3.21/s" in text
    assert "forecast –" in text
    assert "held 2" in text
    assert "98.0 %" in text
    assert lines[-1].split() == "llama-8b-l40s 4 3 2 +1 up 1 down 3.16 98.0 % ScaleUp: need 4.5/s".split()


def test_the_table_is_as_wide_as_the_terminal() -> None:
    assert all(len(line) <= 40 for line in render_table(STATUS, DECISIONS, 40))


def test_before_the_first_decision_the_table_says_so() -> None:
    text = "\n".join(render_table(STATUS, None, 200))
    assert "no decision yet" in text
    assert "–" in text


def test_lateness_is_said_only_when_it_matters() -> None:
    assert render_lateness(STATUS, 10.0) is None
    record = LatenessRecord()
    record.note(Lateness.of(Lag(10, 0.4, 2.0), 0.1))
    late = render_lateness({**STATUS, "lateness": record.to_document()}, 10.0)
    assert late is not None
    assert "cannot carry --speed 10" in late
    record.note(Lateness.of(Lag(10, 0.01, 2.0), 0.1))
    assert record.to_document() == {"engine_s": 0.01, "load_s": 0.1, "is_behind": False, "looks": 2, "looks_behind": 1}


def test_the_summary_counts_overdue_requests_as_missed() -> None:
    assert summarize_attainment(REPORT) == (104, 90)
    lines = [
        SummaryLine("our mix", 1.25, 90 / 104, "measured"),
        SummaryLine("static peak", 2.5, None, "no attainment is known", 0.5),
        SummaryLine("hindsight", 1.0, 1.0, "a bound", -0.25),
    ]
    text = "\n".join(render_summary(REPORT, lines, 1.0))
    assert "110 requests, 104 judged" in text
    assert "86.54 %" in text
    assert "ours saves 50.0 %; no attainment is known" in text
    assert "ours costs 25.0 % more; a bound" in text
    assert "4 overdue" in text
    assert "TTFT mean 12.3 ms, p99 2.50 s" in text
    assert to_json(REPORT, lines, [])["requests_judged"] == 104


def test_the_timeline_keeps_every_decision_once() -> None:
    timeline = Timeline()
    timeline.note(DECISIONS, 1000.0)
    timeline.note(DECISIONS, 1000.0)
    later = {"models": [{**DECISIONS["models"][0], "decided_at_s": 1030.0}]}
    timeline.note(later, 1000.0)
    assert [entry["offset_s"] for entry in timeline.to_json()] == [15.0, 30.0]
    assert timeline.to_json()[0]["variants"]["llama-8b-l40s"]["planned_replicas"] == 4


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_refreshed_in_place() -> None:
    stream = Terminal()
    screen = Screen(stream, is_plain=False)
    screen.refresh(["one", "two"])
    screen.refresh(["three"])
    screen.say("said")
    screen.refresh(["four"])
    screen.keep()
    screen.say("after it")
    assert stream.getvalue() == "one\ntwo\n\x1b[2A\x1b[Jthree\n\x1b[1A\x1b[Jsaid\nfour\nafter it\n"


def test_elsewhere_lines_follow_each_other() -> None:
    for stream, is_plain in ((io.StringIO(), False), (Terminal(), True)):
        screen = Screen(stream, is_plain)
        screen.refresh(["one"])
        screen.refresh(["two"])
        assert stream.getvalue() == "one\ntwo\n"


def test_a_port_that_is_taken_gives_way_to_a_free_one() -> None:
    with socket.socket() as taken:
        (port,) = choose_ports(1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert choose_port(port) not in (0, port)
    assert choose_port(port) == port
