"""Section about overrides: what a person decides instead of us. Data and its rules only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapter.config.amounts import count, timestamp
from adapter.config.fields import option, required, rule
from adapter.config.kinds import Choice, Text
from adapter.config.problems import Problem
from optimizer.domain import OverrideMode


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideConfig:
    """What a person decides instead of us.

    The annotation `variant-autoscaler.io/override` on the workload says the same (`shadow`, `pause`, `pin=3`, with
    `override-by` and `override-until`) and wins over this file: it is the more recent hand. Of this file, what a
    variant says wins over what its model says.
    """

    mode: OverrideMode = required(
        Choice(OverrideMode),
        meaning="`shadow`: decide and show everything, publish nothing that acts. `pause`: keep publishing the present "
        "number. `pin`: publish `replicas`, whatever bounds and demand say.",
    )
    replicas: int | None = option(count(), default=None, meaning="The number to publish, for mode `pin`.")
    by: str = option(Text(), default="", meaning="Who says so; shown wherever the override is.")
    until_s: float | None = option(
        timestamp(), default=None, meaning="When it ends by itself, such as 2027-01-31T18:00:00Z; none means never."
    )

    @rule("mode", "replicas")
    def check_replicas(self) -> Iterator[Problem]:
        """Yield a problem when mode and number do not belong together."""
        if self.mode is OverrideMode.PIN and self.replicas is None:
            yield Problem("replicas", "is missing: mode pin publishes it")
        if self.mode is not OverrideMode.PIN and self.replicas is not None:
            yield Problem("replicas", f"has no effect with mode {self.mode}; did you mean mode: pin?")
