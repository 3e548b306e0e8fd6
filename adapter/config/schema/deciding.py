"""Section about deciding: the knobs that all models share. Data and their rules only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapter.config.amounts import count, duration, ratio
from adapter.config.fields import option, rule
from adapter.config.problems import Problem
from adapter.config.quantities import render_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionConfig:
    """How often and how boldly decisions are made."""

    period_s: float = option(
        duration(at_least=0.1),
        default=15.0,
        meaning="Time between two passes; each reads every page once, decides and publishes.",
        why="HPA looks every 15 s, so a faster pass would rarely be seen.",
    )
    actuation_delay_s: float = option(
        duration(),
        default=15.0,
        meaning="Longest time from publishing a number to somebody acting on it; part of the lead time of a forecast.",
        why="The sync period of HPA.",
    )
    stale_after_s: float = option(
        duration(above=0),
        default=60.0,
        meaning="Age at which a page no longer counts as data; at least two periods.",
        why="Four missed passes: one lost page is no reason to hold.",
    )
    calm_window_s: float = option(
        duration(),
        default=120.0,
        meaning="A lower number is published only after the need stayed below for this long.",
        why="A replica that was let go costs a start-up when the traffic returns within it.",
    )
    forecast_level_ratio: float = option(
        ratio(at_least=0.5, below=1.0),
        default=0.9,
        meaning="Quantile of the forecast that is planned for.",
        why="The mean is exceeded half of the time, the extreme has no price.",
    )
    utilization_ceiling_ratio: float = option(
        ratio(above=0.0, at_most=1.0),
        default=0.9,
        meaning="Share of a replica's capacity that is planned with.",
        why="Close to 1 the waiting time of every queue runs away from every model.",
    )
    min_saving_ratio: float = option(
        ratio(at_least=0.0, below=1.0),
        default=0.02,
        meaning="Another mix of variants replaces the present one only if it is cheaper by more than this share.",
        why="Changing the mix starts replicas; two percent pay for a start-up within hours.",
    )
    solver_gap_ratio: float = option(
        ratio(at_least=0.0, below=1.0),
        default=0.0,
        meaning="Relative gap to the proven bound at which the solver may stop.",
        why="Plans are small enough to be solved exactly.",
    )
    solver_node_limit: int = option(
        count(at_least=1),
        default=10_000,
        meaning="Nodes after which the solver stops with the best plan so far and says how far off it can be.",
        why="Unlike a time limit it gives the same plan on every machine.",
    )

    @rule("stale_after", "period")
    def check_staleness(self) -> Iterator[Problem]:
        """Yield a problem when one late page would already be stale."""
        if self.stale_after_s < 2 * self.period_s:
            least, given = render_duration(2 * self.period_s), render_duration(self.stale_after_s)
            yield Problem("stale_after", f"must be at least two periods (>= {least}), got {given}")
