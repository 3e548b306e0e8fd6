"""Waits between tries: their bounds, their spread, and when they start over."""

from __future__ import annotations

from statistics import mean

from adapter.kube.backoff import FIRST_S, FORGIVEN_S, LONGEST_S, Backoff, compute_spread_ratio


def list_waits(seed: str, count: int) -> list[float]:
    backoff, now_s, waits = Backoff(seed), 1000.0, []
    for _ in range(count):
        waits.append(backoff.get_wait_s(now_s))
        now_s += waits[-1]
    return waits


def test_waits_double_up_to_the_longest_and_keep_at_least_half_of_it() -> None:
    for failure, wait_s in enumerate(list_waits("a", 2000)):
        whole_s = min(FIRST_S * 2.0 ** min(failure, 60), LONGEST_S)
        assert whole_s / 2 <= wait_s < whole_s


def test_the_same_seed_waits_alike_and_another_does_not() -> None:
    assert list_waits("a", 50) == list_waits("a", 50)
    assert not set(list_waits("a", 50)) & set(list_waits("b", 50))


def test_a_long_time_without_failure_is_a_new_start() -> None:
    backoff = Backoff("a")
    for _ in range(10):
        wait_s = backoff.get_wait_s(0.0)
    assert backoff.get_wait_s(wait_s + FORGIVEN_S - 0.1) >= LONGEST_S / 2
    assert backoff.get_wait_s(3 * FORGIVEN_S) < FIRST_S


def test_the_spread_is_even() -> None:
    ratios = [compute_spread_ratio(str(number)) for number in range(20_000)]
    assert 0.0 <= min(ratios) < 0.001
    assert 0.999 < max(ratios) < 1.0
    assert abs(mean(ratios) - 0.5) < 5 * (1 / 12 / 20_000) ** 0.5, "within five standard errors"
