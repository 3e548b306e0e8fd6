from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapter.cluster import ClusterView, Standstill
from adapter.config.decode import decode_data
from adapter.config.load import LoadedConfiguration
from adapter.config.translate import to_settings
from adapter.merging import Merged, merge
from optimizer.domain import Variant, WorkloadRef

Data = dict[str, Any]
NOW_S = 1000.0


@pytest.fixture
def data() -> Data:
    """Return the configuration of a cluster that names prices and promises only, to be added to."""
    return {
        "discovery": {"kind": "kubernetes"},
        "accelerators": {"L40S": {"cost_per_hour": 1.5}, "H100": {"cost_per_hour": 3.0}},
        "service_classes": {"interactive": {"ttft": "2s"}, "relaxed": {"ttft": "9s"}},
        "default_service_class": "interactive",
    }


@pytest.fixture
def join(data: Data) -> Callable[..., Merged]:
    """Return what merges the configuration in `data` with a view."""

    def run(
        view: ClusterView,
        *,
        bounds: Mapping[WorkloadRef, tuple[int, int | None]] | None = None,
        now_s: float = NOW_S,
        refused: frozenset[WorkloadRef] = frozenset(),
        standstills: Mapping[WorkloadRef, Standstill] | None = None,
    ) -> Merged:
        configuration = decode_data(data)
        loaded = LoadedConfiguration(configuration, to_settings(configuration, {}), Path("/"))
        return merge(loaded, view, bounds=bounds or {}, now_s=now_s, refused=refused, standstills=standstills or {})

    return run


@pytest.fixture
def find() -> Callable[[Merged, str], Variant]:
    """Return what finds the variant of a name."""

    def look(merged: Merged, name: str) -> Variant:
        (found,) = (entry for model in merged.settings.models for entry in model.variants if entry.name == name)
        return found

    return look
