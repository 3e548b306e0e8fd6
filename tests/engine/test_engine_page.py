from __future__ import annotations

from tests.engine.compare_rates import RateEstimate
from tests.engine.engine_page import estimate_arrivals, judge_trial, read_page, read_pages
from tests.engine.record import OK, RequestRecord
from tests.engine.watch import Answer

ORIGIN_UNIX_S = 1000.0


def make_page(time_s: float, start_s: float = 1.0, ended: int = 0, running: int = 0, waiting: int = 0) -> Answer:
    label = 'engine="0",model_name="tiny-llama"'
    text = f"""\
# TYPE process_start_time_seconds gauge
process_start_time_seconds {ORIGIN_UNIX_S + start_s}
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{{label}}} {running}.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{{label}}} {waiting}.0
# TYPE http_requests_total counter
http_requests_total{{handler="/v1/completions",method="POST",status="2xx"}} {ended}.0
http_requests_total{{handler="/v1/completions",method="POST",status="4xx"}} 50.0
http_requests_total{{handler="/v1/models",method="GET",status="2xx"}} 50.0
# TYPE vllm:request_success_total counter
vllm:request_success_total{{{label},finished_reason="length"}} {ended}.0
vllm:request_success_total{{{label},finished_reason="stop"}} 0.0
# TYPE vllm:request_success_created gauge
vllm:request_success_created{{{label},finished_reason="length"}} 1.7e+09
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{{label}}} {ended * 10}.0
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{{label}}} {ended * 5}.0
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{{{label},le="0.1"}} {ended}.0
vllm:time_to_first_token_seconds_bucket{{{label},le="1.0"}} {ended}.0
vllm:time_to_first_token_seconds_bucket{{{label},le="+Inf"}} {ended}.0
vllm:time_to_first_token_seconds_count{{{label}}} {ended}.0
vllm:time_to_first_token_seconds_sum{{{label}}} 1.0
"""
    return Answer(time_s, "200", text)


def make_records(count: int, first_s: float) -> list[RequestRecord]:
    return [RequestRecord(first_s + number, 10, 5, [], first_s + number + 0.5, OK) for number in range(count)]


def test_a_page_tells_what_arrived_as_ended_and_in_flight() -> None:
    page = read_page(make_page(4.0, ended=7, running=2, waiting=3))
    assert page.arrived_requests == 12
    assert page.edges_s["ttft"] == (0.1, 1.0)
    assert page.finished_requests == 7


def test_arrivals_are_counted_between_pages_of_one_process_only() -> None:
    answers = [
        make_page(2.0, ended=1, running=1),
        Answer(3.0, "ClientConnectorError", ""),
        make_page(4.0, ended=3, waiting=4),
        make_page(9.0, start_s=6.0),
        make_page(11.0, start_s=6.0, ended=2),
    ]
    assert estimate_arrivals(read_pages(answers)) == [RateEstimate(2.0, 4.0, 5.0), RateEstimate(9.0, 11.0, 2.0)]


def test_a_trial_in_which_client_and_server_agree_passes() -> None:
    answers = [make_page(2.0, waiting=30), make_page(9.0, start_s=6.0), make_page(30.0, start_s=6.0, ended=3)]
    lines = judge_trial(
        read_pages(answers), make_records(9, first_s=-5.0)[:5] + make_records(3, 10.0), 1, ORIGIN_UNIX_S
    )
    assert [line.is_passed for line in lines] == [True] * 5


def test_a_trial_without_queue_or_with_a_lost_request_fails() -> None:
    answers = [make_page(2.0, waiting=3), make_page(30.0, ended=3)]
    lines = judge_trial(read_pages(answers), make_records(4, first_s=10.0), 0, ORIGIN_UNIX_S)
    assert [line.is_passed for line in lines] == [False, True, False, False, False]
