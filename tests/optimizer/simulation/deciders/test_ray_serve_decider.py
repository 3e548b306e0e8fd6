from __future__ import annotations

import pytest

from optimizer.policy.ray_serve import RaySettings
from optimizer.simulation.decider import Decider
from optimizer.simulation.deciders.ray_serve import AUTO_MAX_REPLICAS, RayServeDecider, RayShipped, make_ray_serve
from tests.builders.scraper_views import Told, make_scraper_view
from tests.builders.story import make_model, make_variant

POOL = make_variant("pool", maximum=20)
KEY = POOL.key()
MODELS = (make_model(POOL),)


def run(
    decider: RayServeDecider, pods: list[Told], seconds: int, start_s: int = 0, requested: int | None = None
) -> list[int]:
    """Return the answers; a target that was answered is asked for from then on."""
    answers: list[int] = []
    for now_s in range(start_s, start_s + seconds, 2):
        target = (answers or [len(pods) if requested is None else requested])[-1]
        answers.append(decider.step(make_scraper_view(float(now_s), pods, requested=target))[KEY])
    return answers


def test_it_comes_with_what_the_peer_ships() -> None:
    decider: Decider = make_ray_serve(MODELS)
    assert decider.period_s == 2.0
    assert decider.signals == {}
    assert RayShipped().settings == RaySettings()
    assert (RaySettings().target_ongoing_requests, RaySettings().downscale_delay_s) == (2.0, 600.0)


def test_more_is_asked_for_after_half_a_minute_and_less_after_ten() -> None:
    decider = make_ray_serve(MODELS)
    up = run(decider, [Told(running=3.0, waiting=1.0)] * 2, 60)
    assert up[:15] == [2] * 15
    assert up[-1] == 4
    down = run(decider, [Told(running=1.0)] * 4, 700, start_s=60, requested=4)
    assert down[:300] == [4] * 300
    assert down[-1] == 2


def test_the_look_back_is_averaged_over_time() -> None:
    decider = make_ray_serve(MODELS, {KEY: 10.0}, RayShipped(settings=RaySettings(upscale_delay_s=0.0)))
    run(decider, [Told(running=10.0)], 60)
    counts = run(decider, [Told(running=60.0)], 40, start_s=60)
    assert counts == sorted(counts)
    assert counts[0] == 1
    assert counts[-1] == 6


@pytest.mark.parametrize("function, expected", [("max", 6), ("min", 1)])
def test_the_look_back_can_be_taken_at_its_extremes(function: str, expected: int) -> None:
    settings = RaySettings(upscale_delay_s=0.0, aggregation_function=function)
    decider = make_ray_serve(MODELS, {KEY: 10.0}, RayShipped(settings=settings))
    run(decider, [Told(running=10.0)], 60)
    assert run(decider, [Told(running=60.0)], 10, start_s=60)[-1] == expected


def test_what_there_is_stays_while_nobody_tells() -> None:
    decider = make_ray_serve(MODELS)
    view = make_scraper_view(0.0, [], starting=3)
    assert decider.step(view) == {KEY: 3}


def test_without_a_bound_it_has_the_automatic_one() -> None:
    model = make_model(make_variant("pool"))
    shipped = RayShipped(settings=RaySettings(upscale_delay_s=0.0))
    assert run(make_ray_serve((model,), shipped=shipped), [Told(running=9999.0)], 2) == [AUTO_MAX_REPLICAS]


def test_more_load_never_gives_fewer_replicas() -> None:
    counts = [run(make_ray_serve(MODELS), [Told(running=load / 4)] * 2, 90)[-1] for load in range(0, 60, 5)]
    assert counts == sorted(counts)
