"""What differs between the versions of Kubernetes that the tests run against. Data only; no I/O."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_VERSION = "1.37.0"
OTHER_VERSION = "1.34.4"
"""The oldest one that is tested."""


@dataclass(frozen=True, slots=True, order=True)
class KubernetesVersion:
    """A released version, such as 1.37.0."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> KubernetesVersion:
        """Return the version called `text`, such as ``1.37.0`` or ``v1.37.0``; raises ValueError for other text."""
        parts = text.removeprefix("v").split(".")
        if len(parts) != 3 or not all(part.isdecimal() for part in parts):
            raise ValueError(f"K8S_VERSION must be like {DEFAULT_VERSION}, got {text!r}")
        return cls(*(int(part) for part in parts))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def parts_version(self) -> str:
        """Version under which its parts are published as Go modules."""
        return f"v0.{self.minor}.{self.patch}"

    @property
    def gates(self) -> Mapping[str, bool]:
        """Feature gates that tests turn on: tolerance per HPA, where it is there but off by default."""
        return {"HPAConfigurableTolerance": True} if self.minor in (33, 34) else {}

    @property
    def has_tolerance(self) -> bool:
        """Whether an HPA may have a tolerance of its own, given `gates`."""
        return self.minor >= 33

    @property
    def takes_zero(self) -> bool:
        """Whether an HPA may have minReplicas 0, given `gates`."""
        return self.minor >= 37


def read_wanted_version() -> KubernetesVersion:
    """Return what the environment variable ``K8S_VERSION`` asks for, else the default."""
    return KubernetesVersion.parse(os.environ.get("K8S_VERSION") or DEFAULT_VERSION)
