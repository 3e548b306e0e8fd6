"""The LLMs of the demo as objects of a cluster: Deployments with our annotations, nodes, configuration. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from adapter.demo.catalog import DemoModel
from adapter.demo.configuration_text import Surroundings, render_configuration
from adapter.kube.client import Json
from optimizer.domain import Accelerator, Variant, WorkloadRef
from tests.control_plane.fake_nodes import FakeNode
from tests.control_plane.pods import make_deployment

PRODUCTS = {
    "A100": "NVIDIA-A100-SXM4-80GB",
    "H100": "NVIDIA-H100-80GB-HBM3",
    "L40S": "NVIDIA-L40S",
    "RTX-PRO-6000": "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition",
}
"""What the label ``nvidia.com/gpu.product`` says on nodes with them."""

DEVICES_PER_NODE = 8
LONGEST_DRAIN_S = 300
PRE_STOP_S = 5


def move_model(model: DemoModel, namespace: str) -> DemoModel:
    """Return `model` as it is served in `namespace`."""

    def move(variant: Variant) -> Variant:
        return replace(variant, namespace=namespace, workload=WorkloadRef(namespace, variant.workload.name))

    served = replace(model.served, namespace=namespace, variants=tuple(move(it) for it in model.served.variants))
    engines = {replace(key, namespace=namespace): engine for key, engine in model.engines.items()}
    return replace(model, served=served, engines=engines)


def make_variant_deployment(variant: Variant, replicas: int) -> Json:
    """Return the Deployment of `variant`, told by annotations; its accelerators are told by its pods alone."""
    return make_deployment(
        variant.workload.name,
        replicas,
        accelerators=variant.accelerators_per_replica,
        product=PRODUCTS[variant.accelerator],
        annotations={
            "variant-autoscaler.io/model": variant.model_id,
            "variant-autoscaler.io/variant": variant.name,
        },
        grace_s=LONGEST_DRAIN_S,
        pre_stop_s=PRE_STOP_S,
    )


def make_nodes(models: Iterable[DemoModel], per_accelerator: int = 2) -> list[FakeNode]:
    """Return so many nodes with eight devices for each accelerator that `models` run on."""
    accelerators = sorted({variant.accelerator for model in models for variant in model.served.variants})
    return [
        FakeNode(f"{name.lower()}-{number}", PRODUCTS[name], DEVICES_PER_NODE)
        for name in accelerators
        for number in range(per_accelerator)
    ]


def make_configuration(models: Iterable[DemoModel], accelerators: Iterable[Accelerator], gateway_url: str) -> Json:
    """Return what a configuration says of LLMs, promises and prices: the rest of the file is up to who installs it."""
    around = Surroundings(
        page_port=1, api_port=1, inventory_url="", gateway_url=gateway_url,
        period_s=1.0, actuation_delay_s=1.0, calm_window_s=1.0,
    )  # fmt: skip
    document = json.loads(render_configuration(models, accelerators, around))
    return {name: document[name] for name in ("accelerators", "service_classes", "models")}
