from __future__ import annotations

import random

from optimizer.policy.extremes import keep_extremes, keep_highest


def test_the_extremes_of_every_newest_stretch_are_kept_and_not_much_else() -> None:
    chance = random.Random(3)
    for _ in range(300):
        samples = [(time_s, chance.randrange(6)) for time_s in range(chance.randrange(1, 40))]
        highest, both = keep_highest(samples), keep_extremes(samples)
        assert len(highest) <= 6
        assert len(both) <= 12
        for since_s in range(len(samples)):
            values = [value for time_s, value in samples if time_s >= since_s]
            assert max(value for time_s, value in highest if time_s >= since_s) == max(values)
            newest = [value for time_s, value in both if time_s >= since_s]
            assert (min(newest), max(newest)) == (min(values), max(values))
    assert keep_highest([]) == keep_extremes([]) == ()
