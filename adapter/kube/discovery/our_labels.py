"""Our own labels and annotations on workloads: ``variant-autoscaler.io/…``. Pure."""

from __future__ import annotations

import difflib
from dataclasses import replace

from adapter.kube.client import Json
from adapter.kube.discovery.told import Sheet, Told
from adapter.kube.discovery.values import (
    OVERRIDE_BOUND,
    parse_engine,
    parse_moment_s,
    parse_name,
    parse_names,
    parse_override,
    parse_path,
    parse_port,
    parse_positive_count,
    parse_price_per_hour,
    parse_replicas,
    parse_roles,
    parse_startup_s,
    parse_text,
)
from optimizer.domain import Override, OverrideMode

PREFIX = "variant-autoscaler.io/"
MODEL_KEY = f"{PREFIX}model"
KEYS = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "model variant accelerator accelerators-per-replica cost-per-hour service-class role engine port metrics-path "
        "min-replicas max-replicas startup override override-by override-until"
    ).split()
)
_NEAR_RATIO = 0.8


def read_our_labels(workload: Json) -> Told:
    """Return what our labels and annotations on `workload` tell; of both kinds the annotation wins.

    An override that cannot be read holds the present number, for somebody wanted us not to act; bounds that contradict
    each other leave the lower one.
    """
    sheet = Sheet(workload)
    model_id = sheet.read(MODEL_KEY, parse_text)
    least, most = _read_bounds(sheet)
    told = Told(
        model_id=model_id,
        model_key=MODEL_KEY,
        variant=sheet.read(f"{PREFIX}variant", parse_name),
        accelerator=sheet.read(f"{PREFIX}accelerator", parse_text),
        accelerators_per_replica=sheet.read(f"{PREFIX}accelerators-per-replica", parse_positive_count),
        cost_per_hour=sheet.read(f"{PREFIX}cost-per-hour", parse_price_per_hour),
        service_classes=sheet.read(f"{PREFIX}service-class", parse_names),
        roles=sheet.read(f"{PREFIX}role", parse_roles),
        engine=sheet.read(f"{PREFIX}engine", parse_engine),
        metrics_port=sheet.read(f"{PREFIX}port", parse_port),
        metrics_path=sheet.read(f"{PREFIX}metrics-path", parse_path),
        min_replicas=least,
        max_replicas=most,
        startup_s=sheet.read(f"{PREFIX}startup", parse_startup_s),
        override=_read_override(sheet),
    )
    _complain_of_near_misses(sheet)
    return replace(told, complaints=tuple(sheet.complaints))


def _read_bounds(sheet: Sheet) -> tuple[int | None, int | None]:
    least = sheet.read(f"{PREFIX}min-replicas", parse_replicas)
    most = sheet.read(f"{PREFIX}max-replicas", parse_replicas)
    if least is not None and most is not None and most < least:
        sheet.complain(f"{PREFIX}max-replicas", f">= min-replicas {least}", most)
        return least, None
    return least, most


def _read_override(sheet: Sheet) -> Override | None:
    key = f"{PREFIX}override"
    text = sheet.get(key)
    if text is None:
        return None
    try:
        override = parse_override(text)
    except ValueError:
        sheet.complain(key, f"{OVERRIDE_BOUND} (the present number is held meanwhile)", text)
        override = Override(OverrideMode.PAUSE, source="annotation")
    by = sheet.read(f"{key}-by", parse_text) or ""
    return replace(override, by=by, until_s=sheet.read(f"{key}-until", parse_moment_s))


def _complain_of_near_misses(sheet: Sheet) -> None:
    """Note keys that are none of ours but look like one: their value has no effect, and nobody would see it."""
    for key in sorted(sheet.keys() - KEYS):
        if key.startswith(PREFIX):
            near = difflib.get_close_matches(key.removeprefix(PREFIX), _NAMES, n=1, cutoff=_NEAR_RATIO)
            if near:
                sheet.complaints.append(f"{key} is not a key that is read; did you mean {PREFIX}{near[0]}?")


_NAMES = sorted(key.removeprefix(PREFIX) for key in KEYS)
