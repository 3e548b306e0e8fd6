"""What the configuration says reaches the rooms that act on it, and defaults agree on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.collector import CollectorOptions, GatewayOptions, PageOptions, ScrapeOptions
from adapter.collector.gateway import GatewayHistory
from adapter.compose.options import to_collector_options, to_static_urls
from adapter.config.load import LoadedConfiguration, load_configuration
from adapter.config.schema import ReplicaUnit
from adapter.pages.replica_page import ReplicaUnit as PageUnit
from adapter.router.page import RouterMetrics
from optimizer import PolicyState, Proposal
from optimizer.domain import ModelKey, SignalSpec, VariantKey, WorkloadRef

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
MODEL = ModelKey("chat", "llama-70b")


@pytest.fixture(scope="module")
def loaded() -> LoadedConfiguration:
    return load_configuration(EXAMPLES / "two-models.yaml")


@pytest.fixture(scope="module")
def options(loaded: LoadedConfiguration) -> CollectorOptions:
    return to_collector_options(loaded)


def test_defaults_of_fetching_are_those_of_the_collector(options: CollectorOptions) -> None:
    assert options.scrape == ScrapeOptions()


def test_defaults_of_a_page_are_those_of_the_collector(options: CollectorOptions) -> None:
    assert options.pages[VariantKey("chat", "llama-8b", "l40s")] == PageOptions()


def test_each_variant_is_read_as_its_engine(options: CollectorOptions) -> None:
    engines = {key.variant: page.engine for key, page in options.pages.items()}
    assert engines == {"l40s": "vllm", "a100": "vllm", "a100-tp4": "vllm", "rtx-tp4": "sglang"}


def test_a_gateway_is_by_default_read_as_our_own_router(options: CollectorOptions) -> None:
    url, labels = "http://router.chat.svc:9100/metrics", {"namespace": "chat", "model": "llama-70b"}
    assert options.gateways == {MODEL: GatewayOptions(url, labels=labels)}


def test_our_own_router_serves_what_a_gateway_is_read_for(options: CollectorOptions) -> None:
    router = RouterMetrics([MODEL, ModelKey("chat", "llama-8b")])
    history = GatewayHistory(options.gateways[MODEL])
    history.take_page(router.render(), 0.0)
    for _ in range(7):
        router.count_request(MODEL)
    router.count_request(ModelKey("chat", "llama-8b"))
    router.set_waiting(MODEL, 3)
    history.take_page(router.render(), 10.0)
    window = history.window
    assert window is not None
    assert (window.arrivals, window.waiting_requests) == (7.0, 3.0)


def test_pods_are_listed_by_workload(loaded: LoadedConfiguration) -> None:
    assert to_static_urls(loaded) == {
        WorkloadRef("chat", "llama-8b-l40s"): ("http://10.0.1.11:8000", "http://10.0.1.12:8000"),
        WorkloadRef("chat", "llama-8b-a100"): (),
        WorkloadRef("chat", "llama-70b-a100"): ("http://10.0.2.21:8000",),
        WorkloadRef("chat", "llama-70b-rtx"): (),
    }


def test_units_of_the_pages_have_the_same_names_in_the_file() -> None:
    assert [unit.value for unit in ReplicaUnit] == [unit.value for unit in PageUnit]


def test_files_are_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    text = (EXAMPLES / "minimal.yaml").read_text(encoding="utf-8")
    text += "collection: {bearer_token_file: token, tls: {ca_file: /etc/ca.pem}}\n"
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    scrape = to_collector_options(load_configuration(tmp_path / "config.yaml")).scrape
    assert (scrape.bearer_token_file, scrape.ca_file) == (str(tmp_path / "token"), "/etc/ca.pem")


def test_what_policies_want_to_know_of_pods_is_asked_for(loaded: LoadedConfiguration) -> None:
    class Reader:
        def propose(self, *_arguments: object) -> tuple[Proposal, PolicyState]:
            raise AssertionError

        def list_signals(self, options: Mapping[str, object]) -> tuple[SignalSpec, ...]:
            return (SignalSpec("queue", str(options["series"])),)

    assert to_collector_options(loaded).signals == {}
    first, *others = loaded.settings.models
    asking = replace(first, policy="reader", policy_options={"series": "depth"})
    settings = replace(loaded.settings, models=(asking, *others))
    changed = replace(loaded, settings=settings, policies={**loaded.policies, "reader": Reader()})
    assert to_collector_options(changed).signals == {first.key: (SignalSpec("queue", "depth"),)}
