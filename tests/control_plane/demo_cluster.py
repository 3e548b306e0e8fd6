"""`make demo-cluster`: the product in a real Kubernetes control plane on this machine, for people to look at.

etcd, kube-apiserver and kube-controller-manager are real, and so are Deployments, HPAs and the aggregated API; only
scheduler and kubelets are stand-ins, and tokens are simulated.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from adapter.demo.catalog import MODEL_NAMES
from adapter.demo.live_table import render_table
from adapter.demo.options import DemoOptions
from adapter.demo.scenarios import ScenarioName
from adapter.demo.screen import Screen
from adapter.demo.watching import fetch_document
from adapter.errors import AdapterError, BadDocument, Unreachable
from adapter.kube.client import open_kube_client
from tests.control_plane.build import find_programs
from tests.control_plane.cluster import Cluster
from tests.control_plane.control_plane import ControlPlane, ControlPlaneOptions, open_control_plane
from tests.control_plane.fleet_cluster import FleetCluster, FleetClusterOptions, open_fleet_cluster
from tests.control_plane.kubernetes_version import read_wanted_version
from tests.control_plane.product import Product, open_product
from tests.control_plane.server_process import NotStarted
from tests.control_plane.unavailable import Unavailable
from tests.deploy.chart import Helm
from tests.deploy.helm_binary import find_helm

LLM_NAMESPACE = "chat"
PRODUCT_NAMESPACE = "autoscaler"
_REFRESH_S = 1.0
_PLAIN_S = 5.0
_HPA_SYNC_S = 15


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs."""

    control_plane: ControlPlane
    fleet: FleetCluster
    product: Product


def main(arguments: list[str] | None = None) -> int:
    """Show the demo until Ctrl-C, or for as long as was asked for."""
    options = _build_parser().parse_args(arguments)
    screen = Screen(sys.stdout, options.plain)
    try:
        asyncio.run(_show(options, screen))
    except (Unavailable, NotStarted, AdapterError) as failure:
        print(f"demo-cluster: {failure}", file=sys.stderr)
        return 1
    return 0


async def _show(options: argparse.Namespace, screen: Screen) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    screen.say("starting etcd, kube-apiserver, kube-controller-manager, the fleet and the autoscaler ...")
    async with _open_stage(options, screen) as stage, aiohttp.ClientSession() as session:
        screen.say("\n".join(_describe(stage)))
        playing = asyncio.create_task(stage.fleet.play())
        try:
            await _watch(stage, session, screen, stopped, options.duration_s)
        finally:
            playing.cancel()
            await asyncio.wait({playing})
        screen.keep()
        screen.say("stopping ...")


@asynccontextmanager
async def _open_stage(options: argparse.Namespace, screen: Screen) -> AsyncIterator[Stage]:
    version = read_wanted_version()
    programs, helm = find_programs(version, screen.say), Helm(find_helm(screen.say))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="variant-autoscaler-cluster-")))
        control_plane = stack.enter_context(
            open_control_plane(folder, programs, ControlPlaneOptions(version, hpa_sync_s=_HPA_SYNC_S))
        )
        client = await stack.enter_async_context(open_kube_client(control_plane.admin_kubeconfig))
        cluster = Cluster(client, control_plane, itertools.count(1))
        stack.push_async_callback(cluster.close)
        for namespace in (LLM_NAMESPACE, PRODUCT_NAMESPACE):
            await cluster.make_namespace(namespace)
        demo = DemoOptions(
            scenario=ScenarioName(options.scenario), models=tuple(options.models or MODEL_NAMES), seed=options.seed
        )
        fleet = await stack.enter_async_context(
            open_fleet_cluster(cluster, FleetClusterOptions(demo=demo, namespace=LLM_NAMESPACE))
        )
        values = {"config": _make_config(fleet, demo)}
        product = await stack.enter_async_context(
            open_product(cluster, helm, folder, replicas=options.replicas, values=values, namespace=PRODUCT_NAMESPACE)
        )
        await product.start()
        yield Stage(control_plane, fleet, product)


def _make_config(fleet: FleetCluster, demo: DemoOptions) -> dict[str, Any]:
    """Return the configuration: the fleet's own, and the product's usual rhythm."""
    decision = {"period": f"{demo.scrape_interval_s:g}s", "calm_window": f"{demo.calm_window_s:g}s"}
    rhythm = {
        "decision": {**decision, "stale_after": "60s", "actuation_delay": f"{_HPA_SYNC_S}s"},
        "publishing": {"max_decision_age": "5m"},
    }
    return {**rhythm, **fleet.make_configuration()}


async def _watch(
    stage: Stage, session: aiohttp.ClientSession, screen: Screen, stopped: asyncio.Event, duration_s: float | None
) -> None:
    """Show the table until it is time to stop."""
    end_s = None if duration_s is None else time.monotonic() + duration_s
    while not stopped.is_set() and (end_s is None or time.monotonic() < end_s):
        decisions = await _fetch_decisions(stage.product, session)
        screen.refresh(render_table(stage.fleet.get_status(), decisions, screen.width))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _REFRESH_S if screen.is_live else _PLAIN_S)


async def _fetch_decisions(product: Product, session: aiohttp.ClientSession) -> dict[str, Any] | None:
    """Return what the first replica that answers shows."""
    for adapter in product.adapters:
        with contextlib.suppress(Unreachable, BadDocument):
            return await fetch_document(session, f"{adapter.pages_url}/v1/decisions")
    return None


def _describe(stage: Stage) -> list[str]:
    """Return where to look, as commands."""
    kubectl = f"kubectl --kubeconfig {stage.control_plane.admin_kubeconfig}"
    name = stage.fleet.workloads[0].ref.name
    path = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{LLM_NAMESPACE}/deployment_replicas"
    pages = stage.product.adapters[0].pages_url
    doctor = f"{sys.executable} -m adapter doctor --kubeconfig {stage.control_plane.admin_kubeconfig}"
    return [
        f"Kubernetes {stage.control_plane.k8s_version}; in another terminal:",
        f"  decisions      {kubectl} get variantdecisions -A",
        f"  autoscalers    {kubectl} -n {LLM_NAMESPACE} get hpa",
        f"  as HPA asks    {kubectl} get --raw '{path}?labelSelector=deployment%3D{name}'",
        f"  why            {kubectl} -n {LLM_NAMESPACE} describe variantdecision {name}-deployment",
        f"  events         {kubectl} -n {LLM_NAMESPACE} get events",
        f"  pin a number   {kubectl} -n {LLM_NAMESPACE} annotate deployment {name} "
        "variant-autoscaler.io/override=pin=3 variant-autoscaler.io/override-by=me",
        f"  let it go      {kubectl} -n {LLM_NAMESPACE} annotate deployment {name} variant-autoscaler.io/override-",
        f"  the page       curl -s {pages}/metrics/{LLM_NAMESPACE}/{name}",
        f"  what is wrong  {doctor} --service {PRODUCT_NAMESPACE}/variant-autoscaler",
    ]


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo-cluster", description=__doc__)
    parser.add_argument(
        "--scenario", choices=[name.value for name in ScenarioName], default=DemoOptions().scenario.value,
        help="what the traffic does (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--models", nargs="+", choices=MODEL_NAMES, metavar="NAME", help="LLMs (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="of traffic and engines (default: 1)")
    parser.add_argument("--replicas", type=int, choices=(1, 2, 3), default=2, help="of the autoscaler (default: 2)")
    parser.add_argument("--for", dest="duration_s", type=float, metavar="SECONDS", help="end by itself")
    parser.add_argument("--plain", action="store_true", help="lines instead of a table refreshed in place")
    return parser


if __name__ == "__main__":
    sys.exit(main())
