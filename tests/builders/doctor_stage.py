"""A healthy cluster in memory with one installation of ours and one workload that follows it, for a doctor to examine.

Whatever a test breaks, it breaks by what `stage.api` lets others do to the cluster.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from adapter.doctor import Check, Finding, Verdict, examine, take_look
from adapter.doctor.installation import SERVICE_ACCOUNTS
from adapter.kube.api_service import NAME as API_SERVICE
from adapter.kube.decisions import HEARTBEAT_NAME, Installation
from adapter.kube.decisions.encode import encode_head, encode_status
from adapter.kube.decisions.heartbeat import Heartbeat, encode_heartbeat
from adapter.kube.decisions.record import DecisionRecord
from adapter.kube.resource import (
    API_SERVICES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    HORIZONTAL_POD_AUTOSCALERS,
    LEASES,
    NAMESPACES,
    PODS,
    SECRETS,
    SERVICES,
    VARIANT_DECISIONS,
    Resource,
)
from adapter.kube.wire_times import render_micro_time
from optimizer.domain import Condition, ConditionType, Reason, ReasonCode
from tests.builders.authorities import Authority
from tests.builders.autoscaler_objects import LLAMA, make_hpa
from tests.builders.cluster_objects import NOW_S, make_pods, make_workload
from tests.builders.decisions import make_variant_decision
from tests.builders.fake_kube_api import FakeKubeApi, open_fake_kube_api
from tests.builders.growing_page import grow_page
from tests.builders.pod_page import PodPage
from tests.builders.quiet_clock import InlineExecutor, QuietClock
from tests.builders.review_tables import ReviewTables

Json = dict[str, Any]

HOME, NAME = "autoscaler", "variant-autoscaler"
SERVER = f"{NAME}.{HOME}.svc"
OURS = Installation(HOME, NAME)
NUMBERS = Resource("external.metrics.k8s.io", "v1beta1", "deployment_replicas", "ExternalMetricValue")
MODEL_ID = "meta-llama/Llama-3.1-8B"
PAGE_PATH = f"/api/v1/namespaces/{LLAMA.namespace}/pods/{LLAMA.name}-0:8000/proxy/metrics"
LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME}
CONFIGURATION = """\
discovery: {kind: kubernetes}
accelerators: {H100: {cost_per_hour: 2.69}}
service_classes: {interactive: {ttft: 2s}}
decision: {period: 10s}
"""
_LONGEST_S = 60.0


@dataclass
class Diagnosis:
    """What was found, to be asked about."""

    findings: list[Finding]

    def list(self, check: Check) -> list[Finding]:
        return [finding for finding in self.findings if finding.check is check]

    def get(self, check: Check) -> Finding:
        """Return the only finding of a point."""
        (found,) = self.list(check)
        return found

    def get_checks(self, verdict: Verdict) -> set[Check]:
        return {finding.check for finding in self.findings if finding.verdict is verdict}

    @property
    def wrong(self) -> set[Check]:
        return self.get_checks(Verdict.WRONG)

    @property
    def unknown(self) -> set[Check]:
        return self.get_checks(Verdict.CANNOT_TELL)


@dataclass
class DoctorStage:
    """The cluster, and the doctor's visits."""

    api: FakeKubeApi
    clock: QuietClock
    reviews: ReviewTables
    authority: Authority = field(default_factory=lambda: Authority("ours", now_s=NOW_S))

    async def examine(self, *, service: tuple[str, str] | None = None, namespaces: tuple[str, ...] = ()) -> Diagnosis:
        """Return what a visit finds."""

        async def visit() -> list[Finding]:
            async with self.api.open_client() as client:
                return await examine(await take_look(client, self.clock, service=service, namespaces=namespaces))

        visiting = asyncio.create_task(visit())
        await self.clock.run_to(self.clock.now_s() + _LONGEST_S)
        return Diagnosis(await visiting)

    def configure(self, text: str) -> None:
        """Give the installation another configuration."""
        self.api.put(CONFIG_MAPS, {"metadata": {"name": NAME, "namespace": HOME}, "data": {"config.yaml": text}})

    def show_certificate(self, *names: str, authority: Authority | None = None, ends_s: float = 90 * 86_400.0) -> None:
        """Put a serving certificate into the Secret; `ends_s` is told from now on [s]."""
        signer = authority or self.authority
        pair = signer.issue("server", usages=(), names=names or (SERVER, "localhost"), ends_s=ends_s)
        data = {"tls.crt": _encode(pair.chain_pem), "tls.key": _encode(pair.key_pem)}
        self.api.put(SECRETS, {"metadata": {"name": f"{NAME}-certificate", "namespace": HOME}, "data": data})

    def trust(self, bundle: bytes | None) -> None:
        """Let the APIService name these authorities."""
        self.api.change(API_SERVICES, None, API_SERVICE, {"spec": {"caBundle": bundle and _encode(bundle)}})

    def set_available(self, status: str, reason: str = "", message: str = "") -> None:
        condition = {"type": "Available", "status": status, "reason": reason, "message": message}
        self.api.change(API_SERVICES, None, API_SERVICE, {"status": {"conditions": [condition]}})

    def lead(self, holder: str = "pod-1", renewed_s: float = NOW_S - 1.0) -> None:
        spec = {"holderIdentity": holder, "renewTime": render_micro_time(renewed_s), "leaseDurationSeconds": 12}
        self.api.put(LEASES, {"metadata": {"name": NAME, "namespace": HOME}, "spec": spec})

    def beat(self, heartbeat: Heartbeat | None = None) -> None:
        """Show a heartbeat; a fresh one by default."""
        text = encode_heartbeat(heartbeat or Heartbeat(NOW_S - 5.0, NOW_S - 5.0, holder="pod-1"))
        self.api.put(CONFIG_MAPS, {"metadata": {"name": HEARTBEAT_NAME, "namespace": HOME}, "data": {NAME: text}})

    def decide(self, replicas: int = 4, *, decided_s: float = NOW_S - 5.0, fresh: bool = True, **fields: Any) -> None:
        """Tell a decision about the workload, replacing what was told."""
        given = {"model_id": MODEL_ID, "requested_replicas": replicas, **fields}
        decision = make_variant_decision(LLAMA.name, replicas, namespace=LLAMA.namespace, **given)
        reason = Reason(ReasonCode.STEADY, "steady")
        conditions = (Condition(ConditionType.FRESH, fresh, reason),)
        record = DecisionRecord(OURS, decision, decided_s, reason, conditions=conditions)
        body = encode_head(record, "")
        self.api.put(VARIANT_DECISIONS, {**body, "status": encode_status(record, (), {}, NOW_S)})

    def change_workload(self, patch: Json) -> None:
        """Merge `patch` into the workload."""
        self.api.change(DEPLOYMENTS, LLAMA.namespace, LLAMA.name, patch)

    def put_hpa(self, **changes: Any) -> None:
        """Make the HPA, other than the recommended one by `changes`."""
        self.api.put(HORIZONTAL_POD_AUTOSCALERS, make_hpa(**changes))

    def tell_number(self, *deployments: str, name: str = "one") -> None:
        """Let our API answer with one item for each of `deployments`, which all bear the label of our workload."""
        for number, deployment in enumerate(deployments):
            labels = {"deployment": deployment, "kind": "Deployment"}
            self.api.put(
                NUMBERS,
                {
                    "metadata": {
                        "name": f"{name}-{number}",
                        "namespace": LLAMA.namespace,
                        "labels": {"deployment": LLAMA.name},
                    },
                    "metricLabels": labels,
                    "timestamp": "2026-11-21T05:33:29Z",
                    "value": "4",
                },
            )


@asynccontextmanager
async def open_doctor_stage() -> AsyncIterator[DoctorStage]:
    """Yield a cluster in which nothing is wrong."""
    asyncio.get_running_loop().set_default_executor(InlineExecutor())
    async with open_fake_kube_api(now_s=lambda: NOW_S) as api:
        stage = DoctorStage(api, QuietClock(speed=1.0, start_s=NOW_S), ReviewTables(api))
        stage.reviews.is_allowed = lambda _spec: True
        for resource in (NUMBERS, SERVICE_ACCOUNTS):
            api.install(resource)
        for build in (_build_installation, _build_api, _build_workload):
            build(stage)
        yield stage


def _build_installation(stage: DoctorStage) -> None:
    """Put what the chart makes, and what a running adapter makes, into the cluster."""
    api, about = stage.api, {"name": NAME, "namespace": HOME, "labels": LABELS}
    for name in (HOME, LLAMA.namespace):
        api.put(NAMESPACES, {"metadata": {"name": name}, "status": {"phase": "Active"}})
    container = {
        "name": NAME,
        "args": ["run", "--config", "/etc/variant-autoscaler/config/config.yaml"],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/variant-autoscaler/config"}],
    }
    pod = {
        "serviceAccountName": NAME,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}],
    }
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    api.put(DEPLOYMENTS, {"metadata": about, "spec": {"selector": {"matchLabels": LABELS}, "template": template}})
    api.put(SERVICES, {"metadata": about, "spec": {"selector": LABELS, "ports": [{"name": "https", "port": 443}]}})
    ready = {"type": "Ready", "status": "True"}
    pod_about = {"name": f"{NAME}-0", "namespace": HOME, "labels": LABELS}
    api.put(PODS, {"metadata": pod_about, "spec": pod, "status": {"phase": "Running", "conditions": [ready]}})
    slice_about = {"name": NAME, "namespace": HOME, "labels": {"kubernetes.io/service-name": NAME}}
    api.put(ENDPOINT_SLICES, {"metadata": slice_about, "endpoints": [{"conditions": {"ready": True}}]})
    stage.configure(CONFIGURATION)
    stage.lead()
    stage.beat()


def _build_api(stage: DoctorStage) -> None:
    service = {"namespace": HOME, "name": NAME, "port": 443}
    stage.api.put(API_SERVICES, {"metadata": {"name": API_SERVICE}, "spec": {"service": service}})
    stage.set_available("True", "Passed", "all checks passed")
    stage.show_certificate()
    stage.trust(stage.authority.pem.encode())


def _build_workload(stage: DoctorStage) -> None:
    annotations = {"variant-autoscaler.io/accelerator": "H100"}
    workload = make_workload(LLAMA.name, namespace=LLAMA.namespace, model=MODEL_ID, annotations=annotations, replicas=4)
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": 10}}}
    stage.api.put(DEPLOYMENTS, workload)
    (pod,) = make_pods(workload, 1)
    stage.api.put(PODS, pod)
    stage.api.pages[PAGE_PATH] = grow_page(PodPage().render().decode(), requests=400).encode()
    stage.put_hpa()
    stage.decide()
    stage.tell_number(LLAMA.name)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


Breakage = Callable[[DoctorStage], None]
