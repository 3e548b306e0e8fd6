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


_OF_VERSION = {
    SaturationVersion.V1: ("kv_spare_trigger", "queue_spare_trigger"),
    SaturationVersion.V2: ("scale_up_threshold", "scale_down_boundary", "length_window"),
}
"""The options that count for one version only."""


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
    percentage = PercentageSettings(kv_ratio, queue_requests, spare_kv_ratio, spare_requests)
    token = TokenSettings(kv_ratio, queue_requests, up_ratio, down_ratio)
    _check_version(reader, version, percentage, token)
    reader.finish()
    return SaturationOptions(version, percentage, token, peak_window_s, length_window_s)


def _check_version(
    reader: OptionReader, version: SaturationVersion, percentage: PercentageSettings, token: TokenSettings
) -> None:
    """Refuse what counts for the other version only, and thresholds of this one that contradict each other."""
    for key in (key for other, keys in _OF_VERSION.items() if other is not version for key in keys):
        if reader.has(key):
            reader.refuse(key, f"left out with version {version}", reader.peek(key))
    if version is SaturationVersion.V2:
        up_ratio, down_ratio = token.scale_up_threshold_ratio, token.scale_down_boundary_ratio
        if down_ratio >= up_ratio:
            reader.refuse("scale_down_boundary", f"< scale_up_threshold, which is {up_ratio:g}", down_ratio)
        return
    most_ratio, most_requests = percentage.kv_cache_threshold_ratio, percentage.queue_length_threshold_requests
    spare_ratio, spare_requests = percentage.kv_spare_trigger_ratio, percentage.queue_spare_trigger_requests
    if spare_ratio >= most_ratio:
        reader.refuse("kv_spare_trigger", f"< kv_cache_threshold, which is {most_ratio:g}", spare_ratio)
    if spare_requests > most_requests:
        reader.refuse("queue_spare_trigger", f"<= queue_length_threshold, which is {most_requests:g}", spare_requests)
