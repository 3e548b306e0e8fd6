"""What of the pages cannot be used goes into the log when that begins, changes and ends. It judges no page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from adapter.telemetry import log_event
from optimizer.domain import PodSignals, Reason, ReasonCode


class PageComplaints:
    """Tells of pages that cannot be used, by the code of the reason."""

    def __init__(self) -> None:
        self._told: Mapping[str, int] = {}

    def tell(self, reasons: Sequence[Reason | None]) -> None:
        """Log why pages could not be used (None: it could), if the kinds or their numbers changed since last time."""
        found = [reason for reason in reasons if reason is not None]
        by_code = Counter(reason.code.value for reason in found)
        if by_code == self._told:
            return
        self._told = by_code
        if found:
            log_event("pages_unusable", level="warning", pages=len(reasons), unusable=by_code, example=str(found[0]))
        else:
            log_event("pages_usable", pages=len(reasons))


class SeriesComplaints:
    """Tells of series that a policy asked for and that pages, usable otherwise, do not have or not in a usable form."""

    def __init__(self) -> None:
        self._told: Mapping[str, int] = {}

    def tell(self, signals: Sequence[PodSignals]) -> None:
        """Log which signals cannot be had of how many pods, if that changed since last time."""
        missing = [
            (name, observation.reason)
            for entry in signals
            for name, observation in entry.values.items()
            if observation.reason is not None and observation.reason.code is ReasonCode.METRIC_MISSING
        ]
        by_name = Counter(name for name, _ in missing)
        if by_name == self._told:
            return
        self._told = by_name
        if missing:
            log_event(
                "series_unusable", level="warning", pods=len(signals), unusable=by_name, example=str(missing[0][1])
            )
        else:
            log_event("series_usable", pods=len(signals))
