"""Real KEDA owns the metrics API and scales by our number: it follows, and holds when the number is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from adapter.kube.client import Json
from adapter.kube.resource import API_SERVICES
from tests.control_plane.cluster import Cluster
from tests.control_plane.product import API_SERVICE, Product, open_product
from tests.control_plane.workloads import told_of
from tests.deploy.chart import Helm
from tests.keda.fake_prometheus import open_fake_prometheus
from tests.keda.installation import METRICS, Keda
from tests.keda.samples import PAGES, PROMETHEUS
from tests.keda.story import ScaledWorkload, make_scaled_workload

BESIDE_KEDA: Mapping[str, Json] = {"apiService": {"create": False}}
FAILURES = 25
"""More than the fallback's threshold and a polling interval at one question a second."""


@asynccontextmanager
async def open_beside(keda: Keda, cluster: Cluster, helm: Helm, folder: Path) -> AsyncIterator[Product]:
    """Yield our product, started, in a cluster whose metrics API is KEDA's."""
    async with open_product(cluster, helm, folder, owns_api=False, values=BESIDE_KEDA) as product:
        try:
            with told_of(product):
                await product.start()
                yield product
        except BaseException:
            print(keda.read_logs())
            raise


def show(story: ScaledWorkload) -> None:
    print(", ".join(f"{step} in {took_s:.1f} s" for step, took_s in story.steps_s.items()))


async def test_our_page_is_followed_held_when_we_die_and_followed_again(
    cluster: Cluster, helm: Helm, keda: Keda, tmp_path: Path
) -> None:
    story = await make_scaled_workload(cluster)
    async with open_beside(keda, cluster, helm, tmp_path) as product:
        (adapter,) = product.adapters
        await story.scale_by("keda-metrics-api.yaml", {PAGES: adapter.pages_url})
        await story.follow(4, 2, 5, 1, 9, 10, 11, 12, 11, 5)
        status = await story.workload.wait_for_condition("Following", "True")
        assert status["obstacles"] == []
        owner = (await cluster.client.get(API_SERVICES, None, API_SERVICE))["spec"]["service"]
        assert (owner["namespace"], owner["name"]) == (keda.namespace, METRICS)

        async with story.watched() as seen:
            adapter.process.kill()
            await story.wait_for_failures(FAILURES)
            adapter.process.start()
            await product.wait_ready()
            await story.wait_for_health()
        assert seen == [5]
        await story.follow(3, 7, 1)
        show(story)


async def test_its_bounds_bound_us_and_a_number_beyond_them_is_told_with_the_lines_that_change_them(
    cluster: Cluster, helm: Helm, keda: Keda, tmp_path: Path
) -> None:
    story = await make_scaled_workload(cluster)
    async with open_beside(keda, cluster, helm, tmp_path) as product:
        await story.scale_by("keda-metrics-api.yaml", {PAGES: product.adapters[0].pages_url})
        await story.follow(2)
        await story.workload.pin(40)
        await story.workload.wait_for_replicas(32)
        status = await story.workload.wait_for_condition("Following", "False", "32")
        assert any("maxReplicaCount: 40" in obstacle["remedy"] for obstacle in status["obstacles"])


async def test_a_minimum_of_zero_leads_to_zero_and_back_and_nobody_is_woken_when_we_die(
    cluster: Cluster, helm: Helm, keda: Keda, tmp_path: Path
) -> None:
    story = await make_scaled_workload(cluster)
    async with open_beside(keda, cluster, helm, tmp_path) as product:
        (adapter,) = product.adapters
        await story.scale_by("keda-metrics-api.yaml", {PAGES: adapter.pages_url}, {"spec": {"minReplicaCount": 0}})
        await story.follow(2, 0)
        async with story.watched() as seen:
            adapter.process.kill()
            await story.wait_for_failures(2)  # only its poll asks while there is nothing
            adapter.process.start()
            await product.wait_ready()
        assert seen == [0]
        await story.follow(2, 3)
        show(story)


async def test_prometheus_in_between_is_followed_and_a_series_that_is_gone_is_held(
    cluster: Cluster, helm: Helm, keda: Keda, tmp_path: Path
) -> None:
    story = await make_scaled_workload(cluster)
    async with open_beside(keda, cluster, helm, tmp_path) as product:
        (adapter,) = product.adapters
        async with open_fake_prometheus(f"{adapter.pages_url}/metrics") as prometheus:
            await story.scale_by("keda-prometheus.yaml", {PROMETHEUS: prometheus.url})
            await story.follow(4, 2, 5)
            await story.workload.wait_for_condition("Following", "True")
            async with story.watched() as seen:
                adapter.process.kill()
                await story.wait_for_failures(FAILURES)
                adapter.process.start()
                await product.wait_ready()
                await story.wait_for_health()
            assert prometheus.unanswered
            assert seen == [5]
            await story.follow(3)
            show(story)


async def test_where_absence_is_ignored_the_workload_is_drained_as_we_say_beforehand(
    cluster: Cluster, helm: Helm, keda: Keda, tmp_path: Path
) -> None:
    story = await make_scaled_workload(cluster)
    async with open_beside(keda, cluster, helm, tmp_path) as product:
        (adapter,) = product.adapters
        async with open_fake_prometheus(f"{adapter.pages_url}/metrics") as prometheus:
            await story.scale_by("keda-prometheus.yaml", {PROMETHEUS: prometheus.url})
            (trigger,) = (await story.wait_for_scaled_object(lambda _: True, what="is there"))["spec"]["triggers"]
            del trigger["metadata"]["ignoreNullValues"]
            await story.patch({"spec": {"triggers": [trigger]}})
            await story.follow(5)
            status = await story.workload.wait_for_condition("Following", "False", "ignoreNullValues")
            (obstacle,) = status["obstacles"]
            assert obstacle["code"] == "AbsenceReadsAsZero"
            assert 'ignoreNullValues: "false"' in obstacle["remedy"]
            adapter.process.kill()
            await story.workload.wait_for_replicas(1)
