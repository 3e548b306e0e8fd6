"""Whether the machine keeps up with the clock of a demo: how late engines are served and requests go out. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.demo.engine_settings import Lag

TOLERATED_ENGINE_S = 0.25
TOLERATED_LOAD_S = 1.0


@dataclass(frozen=True, slots=True)
class Lateness:
    """How far the machine is behind, over the latest look.

    Attributes
    ----------
    engine_s
        Mean lateness with which the engines were served [s of the clock].
    load_s
        Largest lateness with which a request went out [s of the clock].
    """

    engine_s: float = 0.0
    load_s: float = 0.0

    @classmethod
    def of(cls, lag: Lag, load_s: float) -> Lateness:
        """Return the lateness that the engines' `lag` and the load's `load_s` [s] show."""
        return cls(lag.mean_s, load_s)

    @property
    def is_behind(self) -> bool:
        """Whether figures suffer: a quarter of a second matters beside targets of one to a few seconds."""
        return self.engine_s > TOLERATED_ENGINE_S or self.load_s > TOLERATED_LOAD_S


class LatenessRecord:
    """The latest look, and how many of all looks found the machine behind."""

    def __init__(self) -> None:
        self.latest = Lateness()
        self.looks = 0
        self.looks_behind = 0

    def note(self, lateness: Lateness) -> None:
        """Take a look."""
        self.latest = lateness
        self.looks += 1
        self.looks_behind += lateness.is_behind

    def to_document(self) -> dict[str, float | int | bool]:
        """Return it as plain data."""
        return {
            "engine_s": self.latest.engine_s,
            "load_s": self.latest.load_s,
            "is_behind": self.latest.is_behind,
            "looks": self.looks,
            "looks_behind": self.looks_behind,
        }
