"""Section about service classes: what is promised to whom, and how they are told apart. Data and their rules only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapter.config.amounts import Amount, count, duration, number, ratio
from adapter.config.fields import option, rule
from adapter.config.kinds import Choice, Text
from adapter.config.problems import Problem
from adapter.config.quantities import render_duration
from adapter.config.section import Section
from optimizer.domain import ClassSourceKind


def _percentile() -> Amount[float]:
    return number(at_least=50, below=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSourceConfig:
    """By what the requests of a class are recognized."""

    kind: ClassSourceKind = option(
        Choice(ClassSourceKind),
        default=ClassSourceKind.ALL,
        meaning="`all`: the model has this class only. `gateway_label`, `engine_priority`, `deployment`: by `value`. "
        "`share_ratio`: a fixed share of the requests.",
    )
    value: str = option(Text(), default="", meaning="The label value, priority or deployment name.")
    share_ratio: float | None = option(
        ratio(above=0.0, at_most=1.0), default=None, meaning="Share of the model's requests, for kind `share_ratio`."
    )

    @rule("kind", "value", "share_ratio")
    def check_fit(self) -> Iterator[Problem]:
        """Yield a problem when the fields do not belong to the kind."""
        by_value = self.kind in (
            ClassSourceKind.GATEWAY_LABEL, ClassSourceKind.ENGINE_PRIORITY, ClassSourceKind.DEPLOYMENT
        )  # fmt: skip
        if by_value and not self.value:
            yield Problem("value", f"is missing: kind {self.kind} recognizes requests by it")
        if not by_value and self.value:
            yield Problem("value", f"has no effect with kind {self.kind}")
        if self.kind is ClassSourceKind.SHARE and self.share_ratio is None:
            yield Problem("share_ratio", "is missing: kind share_ratio needs it")
        if self.kind is not ClassSourceKind.SHARE and self.share_ratio is not None:
            yield Problem("share_ratio", f"has no effect with kind {self.kind}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceClassConfig:
    """Requests of equal promise; at least one target is given."""

    ttft_s: float | None = option(
        duration(above=0),
        default=None,
        meaning="Target for the time from arrival to the first token, queueing included.",
    )
    itl_s: float | None = option(
        duration(above=0),
        default=None,
        meaning="Target for the mean time between output tokens of a request after the first.",
    )
    ttlt_s: float | None = option(
        duration(above=0), default=None, meaning="Target for the time from arrival to the last token."
    )
    percentile: float = option(
        _percentile(),
        default=95.0,
        meaning="Percentile of requests that stay at or below each target.",
        why="Customary for interactive use; 99 needs four times as many requests to be seen.",
    )
    ttft_percentile: float | None = option(_percentile(), default=None, meaning="Another percentile for `ttft` alone.")
    itl_percentile: float | None = option(_percentile(), default=None, meaning="Another percentile for `itl` alone.")
    ttlt_percentile: float | None = option(_percentile(), default=None, meaning="Another percentile for `ttlt` alone.")
    output_tokens_per_s: float | None = option(
        number(above=0), default=None, meaning="Least output tokens per second of the class as a whole."
    )
    priority: int = option(
        count(at_least=-1_000_000),
        default=0,
        meaning="Higher is served first in a shortage.",
        why="Classes are equal until somebody says otherwise.",
    )
    source: ClassSourceConfig = option(
        Section(ClassSourceConfig), default=ClassSourceConfig(), meaning="How its requests are told apart."
    )

    @rule("ttft", "itl", "ttlt", "output_tokens_per_s")
    def check_promise(self) -> Iterator[Problem]:
        """Yield a problem when nothing is promised, or the whole must be faster than a part."""
        targets = (self.ttft_s, self.itl_s, self.ttlt_s, self.output_tokens_per_s)
        if all(target is None for target in targets):
            yield Problem("", "promises nothing: give ttft, itl, ttlt or output_tokens_per_s")
        if self.ttlt_s is not None and self.ttft_s is not None and self.ttlt_s < self.ttft_s:
            given = f"{render_duration(self.ttlt_s)} against {render_duration(self.ttft_s)}"
            yield Problem("ttlt", f"must be at least ttft, which it contains, got {given}")

    @rule("ttft", "itl", "ttlt", "ttft_percentile", "itl_percentile", "ttlt_percentile")
    def check_percentiles(self) -> Iterator[Problem]:
        """Yield a problem for every percentile without a target."""
        for key in ("ttft", "itl", "ttlt"):
            if getattr(self, f"{key}_percentile") is not None and getattr(self, f"{key}_s") is None:
                yield Problem(f"{key}_percentile", f"has no effect without {key}")
