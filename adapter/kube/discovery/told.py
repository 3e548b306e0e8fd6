"""What one source tells of a variant, and the sheet of labels and annotations it is read from. Pure; knows no key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from adapter.config.problems import render_value
from adapter.kube.client import Json
from adapter.kube.discovery.objects import get_annotations, get_labels, get_name
from optimizer.domain import Override, Role

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one source tells; fields as in `adapter.cluster.VariantFacts`, None where it tells nothing.

    Attributes
    ----------
    model_key
        Where `model_id` stands, for messages.
    complaints
        Values that cannot be used, one sentence each.
    """

    model_id: str | None = None
    model_key: str = ""
    variant: str | None = None
    accelerator: str | None = None
    accelerators_per_replica: int | None = None
    cost_per_hour: float | None = None
    service_classes: tuple[str, ...] | None = None
    roles: tuple[Role, ...] | None = None
    engine: str | None = None
    metrics_port: int | None = None
    metrics_path: str | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    startup_s: float | None = None
    override: Override | None = None
    complaints: tuple[str, ...] = ()


class Sheet:
    """The labels and annotations of some objects: of one object the annotation wins, of several the first that has it.

    Attributes
    ----------
    complaints
        What could not be read so far.
    """

    def __init__(self, *documents: Json, source: str = "") -> None:
        self._layers: tuple[Mapping[str, str], ...] = tuple(
            layer for document in documents for layer in (get_annotations(document), get_labels(document)) if layer
        )
        self._source = source
        self.complaints: list[str] = []

    def get(self, key: str) -> str | None:
        """Return the text at `key`, None where it is nowhere."""
        return next((layer[key] for layer in self._layers if key in layer), None)

    def keys(self) -> frozenset[str]:
        """Return every key."""
        return frozenset(key for layer in self._layers for key in layer)

    def read(self, key: str, parse: Callable[[str], T]) -> T | None:
        """Return what stands at `key`; None where nothing does, or after complaining of what cannot be read."""
        text = self.get(key)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as bound:
            self.complain(key, str(bound), text)
            return None

    def complain(self, key: str, bound: str, value: object) -> None:
        """Note that the value at `key` is not within `bound`."""
        self.complaints.append(f"{self._source}{key} must be {bound}, got {render_value(value)}")


def describe_source(document: Json) -> str:
    """Return what to put before a key that stands on another object than the workload."""
    return f"{document.get('kind', 'object')} {get_name(document)}: "


def merge_told(sources: Iterable[Told]) -> Told:
    """Return everything that `sources` tell; of several values the first one counts, complaints are kept all."""
    listed = tuple(sources)
    merged: dict[str, Any] = {}
    for field in fields(Told):
        told = [getattr(source, field.name) for source in listed]
        merged[field.name] = next((value for value in told if value not in (None, "")), field.default)
    merged["complaints"] = tuple(complaint for source in listed for complaint in source.complaints)
    return Told(**merged)
