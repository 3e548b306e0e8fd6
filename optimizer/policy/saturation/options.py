"""Options of the policy ``saturation``: which analyzer, and its thresholds. They are the peer's words, as ratios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from optimizer.policy.options import OptionReader
from optimizer.policy.saturation.percentage_analyzer import PercentageSettings
from optimizer.policy.saturation.token_analyzer import TokenSettings


class SaturationVersion(StrEnum):
    """Which analyzer decides."""

    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True, slots=True)
class SaturationOptions:
    """What may be set; the defaults are the peer's.

    Attributes
    ----------
    version
        ``v1``: one replica at a time, by percentages; ``v2``: by KV tokens, with the choice of the variant by price.
    percentage, token
        Thresholds of the two.
    peak_window_s
        KV cache in use and waiting requests count with their maximum over this long [s].
    length_window_s
        Mean lengths are taken over this long [s].
    """

    version: SaturationVersion = SaturationVersion.V2
    percentage: PercentageSettings = field(default_factory=PercentageSettings)
    token: TokenSettings = field(default_factory=TokenSettings)
    peak_window_s: float = 60.0
    length_window_s: float = 300.0


def decode_options(options: Mapping[str, object]) -> SaturationOptions:
    """Return the options of plain values.

    Raises
    ------
    InvalidOptions
        When something is wrong: it names everything.
    """
    reader = OptionReader(options)
    usual = SaturationOptions()
    version = reader.choice("version", usual.version)
    kv_ratio = reader.number("kv_cache_threshold", 0.80, above=0.0, at_most=1.0)
    queue_requests = reader.number("queue_length_threshold", 5.0, above=0.0, unit="requests")
    spare_kv_ratio = reader.number("kv_spare_trigger", 0.1, at_least=0.0, below=1.0)
    spare_requests = reader.number("queue_spare_trigger", 3.0, at_least=0.0, unit="requests")
    up_ratio = reader.number("scale_up_threshold", 0.85, above=0.0, at_most=1.0)
    down_ratio = reader.number("scale_down_boundary", 0.70, above=0.0, at_most=1.0)
    peak_window_s = reader.duration_s("peak_window", usual.peak_window_s)
    length_window_s = reader.duration_s("length_window", usual.length_window_s, above=0.0)
    if spare_kv_ratio >= kv_ratio:
        reader.refuse("kv_spare_trigger", f"< kv_cache_threshold, which is {kv_ratio:g}", spare_kv_ratio)
    if spare_requests > queue_requests:
        reader.refuse("queue_spare_trigger", f"<= queue_length_threshold, which is {queue_requests:g}", spare_requests)
    if down_ratio >= up_ratio:
        reader.refuse("scale_down_boundary", f"< scale_up_threshold, which is {up_ratio:g}", down_ratio)
    reader.finish()
    return SaturationOptions(
        version,
        PercentageSettings(kv_ratio, queue_requests, spare_kv_ratio, spare_requests),
        TokenSettings(kv_ratio, queue_requests, up_ratio, down_ratio),
        peak_window_s,
        length_window_s,
    )
