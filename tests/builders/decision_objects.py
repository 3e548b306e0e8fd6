"""Decisions as objects of a cluster, for tests: an installation, what its leader is told, and a schema's eye."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from adapter.cluster import ClusterView, Obstacle, Trouble, VariantFacts
from adapter.inventory import Inventory
from adapter.kube.client import KubeClient
from adapter.kube.decisions import DecisionReader, DecisionWatch, DecisionWriter, Installation, WriteReport
from adapter.kube.events import EventWriter
from adapter.kube.resource import CONFIG_MAPS, VARIANT_DECISIONS
from optimizer.domain import ModelDecision, Reason, ReasonCode, WorkloadRef
from tests.builders.decisions import make_model_decision, make_variant_decision
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import QuietClock

OURS = Installation("autoscaler", "variant-autoscaler")
THEIRS = Installation("other", "rival")
CRD_FILE = Path(__file__).resolve().parents[2] / "charts/variant-autoscaler/files/variantdecisions.yaml"


class Verdict(NamedTuple):
    status: bool | None
    reason: Reason
    obstacles: tuple[Obstacle, ...] = ()


FOLLOWS = Verdict(True, Reason(ReasonCode.FOLLOWED, "HorizontalPodAutoscaler llama follows exactly"))


def load_crd() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(CRD_FILE.read_text(encoding="utf-8"))
    return document


def find_misfits(schema: Mapping[str, Any], value: object, path: str = "") -> list[str]:
    """Return where `value` is not what a structural schema allows, fields that it does not know among it."""
    kinds: dict[str, tuple[type, ...]] = {
        "object": (dict,),
        "array": (list,),
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
    }
    if isinstance(value, bool) or not isinstance(value, kinds[schema["type"]]):
        return [f"{path}: {value!r} is no {schema['type']}"]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        missing = [f"{path}.{name} is missing" for name in schema.get("required", []) if name not in value]
        unknown = [f"{path}.{name} is not known" for name in value if known and name not in known]
        inner = [
            misfit
            for name, entry in value.items()
            if name in known
            for misfit in find_misfits(known[name], entry, f"{path}.{name}")
        ]
        return missing + unknown + inner
    if isinstance(value, list):
        return [
            text for at, entry in enumerate(value) for text in find_misfits(schema["items"], entry, f"{path}[{at}]")
        ]
    misfits = [f"{path}: {value!r} is below {schema['minimum']}"] if value < schema.get("minimum", value) else []
    if "enum" in schema and value not in schema["enum"]:
        misfits.append(f"{path}: {value!r} is none of {schema['enum']}")
    if isinstance(value, str) and not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        misfits.append(f"{path}: a text of {len(value)} characters")
    return misfits


def make_facts(workload: WorkloadRef) -> VariantFacts:
    return VariantFacts(workload, uid=f"uid-{workload.kind}-{workload.name}", model_id="llama", variant=workload.name)


def make_view(
    decisions: Iterable[ModelDecision],
    *,
    troubles: tuple[Trouble, ...] = (),
    without: Iterable[WorkloadRef] = (),
    reason: Reason | None = None,
) -> ClusterView:
    """Return a cluster in which every workload of `decisions` is claimed, but for those in `without`."""
    workloads = [line.workload for model in decisions for line in model.variants]
    facts = tuple(make_facts(workload) for workload in workloads if workload not in set(without))
    return ClusterView(inventory=Inventory((), reason), variants=facts, troubles=troubles)


def make_decision(name: str, replicas: int, decided_at_s: float, **fields: Any) -> ModelDecision:
    """Return the decision about an LLM of one variant, a Deployment called `name`."""
    line = make_variant_decision(name, replicas, model_id=f"model-{name}")
    return replace(make_model_decision(line, decided_at_s=decided_at_s), **fields)


@dataclass
class Replica:
    """One process of an installation, with what its leader writes and what everybody reads."""

    api: FakeKubeApi
    clock: QuietClock
    watch: DecisionWatch
    writer: DecisionWriter
    publications: list[tuple[ModelDecision, ...]] = field(default_factory=list)

    async def write(self, *decisions: ModelDecision, **options: Any) -> WriteReport:
        view = options.pop("view", None) or make_view(decisions)
        return await self.writer.write(decisions, view, now_s=self.clock.now_s(), **options)

    async def settle(self, duration_s: float = 1.0) -> None:
        """Let everybody hear of what was written."""
        await self.clock.run_to(self.clock.now_s() + duration_s)

    @property
    def shown(self) -> dict[str, tuple[int, float]]:
        """What is served now: number and time, by workload."""
        return {
            line.workload.name: (line.planned_replicas, model.decided_at_s)
            for model in (self.publications[-1] if self.publications else ())
            for line in model.variants
        }

    def get_object(self, name: str, namespace: str = "prod") -> dict[str, Any]:
        return self.api.get(VARIANT_DECISIONS, namespace, name)

    def list_names(self) -> list[str]:
        return [item["metadata"]["name"] for item in self.api.list(VARIANT_DECISIONS)]

    def count_writes(self) -> int:
        return self.api.count_writes()[VARIANT_DECISIONS.plural]


@asynccontextmanager
async def open_replica(
    api: FakeKubeApi,
    client: KubeClient,
    clock: QuietClock,
    installation: Installation = OURS,
    *,
    namespaces: tuple[str, ...] = (),
) -> AsyncIterator[Replica]:
    """Yield a replica whose watches are in step."""
    watch = DecisionWatch(client, clock, installation, namespaces)
    events = EventWriter(client, clock, instance="pod-1")
    replica = Replica(api, clock, watch, DecisionWriter(client, clock, watch, events=events, holder="pod-1"))
    reader = asyncio.create_task(DecisionReader(watch, clock, replica.publications.append).run())
    try:
        await replica.settle()
        assert watch.is_synced
        yield replica
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


def beat_as(api: FakeKubeApi, installation: Installation, text: str) -> None:
    """Let another installation show a heartbeat."""
    about = {"name": "variant-autoscaler-heartbeat", "namespace": installation.namespace}
    api.put(CONFIG_MAPS, {"metadata": about, "data": {installation.name: text}})
