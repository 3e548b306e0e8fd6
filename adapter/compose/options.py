"""The configuration in the words of the rooms that scrape and discover. Pure translation; it opens nothing."""

from __future__ import annotations

from adapter.collector.options import CollectorOptions, GatewayOptions, PageOptions, ScrapeOptions
from adapter.config.load import LoadedConfiguration
from adapter.config.policies import list_signals
from adapter.config.schema import GatewayConfig, ModelConfig
from adapter.config.translate import to_workload_ref
from optimizer.domain import ModelKey, VariantKey, WorkloadRef


def to_collector_options(loaded: LoadedConfiguration) -> CollectorOptions:
    """Return what the collector is told: how to fetch, where pages are, and what policies want to know of pods."""
    pages = {
        VariantKey(model.namespace, model.name, variant.name): PageOptions(
            engine=variant.engine.value, path=variant.metrics_path, served_model_name=variant.served_model_name
        )
        for _, model, variant in loaded.configuration.iterate_variants()
    }
    gateways = {
        ModelKey(model.namespace, model.name): _to_gateway_options(model, model.gateway)
        for model in loaded.configuration.models
        if model.gateway is not None
    }
    signals = {model.key: specs for model in loaded.settings.models if (specs := list_signals(model, loaded.policies))}
    return CollectorOptions(_to_scrape_options(loaded), pages, gateways, signals)


def to_static_urls(loaded: LoadedConfiguration) -> dict[WorkloadRef, tuple[str, ...]]:
    """Return the pods that the configuration lists, by workload."""
    return {
        to_workload_ref(model, variant): variant.pods for _, model, variant in loaded.configuration.iterate_variants()
    }


def _to_scrape_options(loaded: LoadedConfiguration) -> ScrapeOptions:
    collection = loaded.configuration.collection
    token_file, ca_file = loaded.resolve(collection.bearer_token_file), loaded.resolve(collection.tls.ca_file)
    return ScrapeOptions(
        timeout_s=collection.timeout_s,
        concurrency=collection.concurrency,
        jitter_s=collection.jitter_s,
        max_page_bytes=int(collection.max_page_bytes),
        bearer_token_file=None if token_file is None else str(token_file),
        ca_file=None if ca_file is None else str(ca_file),
        insecure_tls=collection.tls.skip_verification,
    )


def _to_gateway_options(model: ModelConfig, gateway: GatewayConfig) -> GatewayOptions:
    labels = gateway.labels
    if labels is None:
        labels = {"namespace": model.namespace, "model": model.name}
    return GatewayOptions(gateway.url, gateway.requests_metric, gateway.waiting_metric, labels)
