"""What the collector is told about pages: where they are, how patiently they are fetched. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.domain import ModelKey, SignalSpec, VariantKey


@dataclass(frozen=True, slots=True)
class ScrapeOptions:
    """How pages are fetched.

    Attributes
    ----------
    timeout_s
        Longest time one page may take, connection included [wall s]: the network is no faster on a fast clock.
    concurrency
        Pages fetched at once.
    jitter_s
        Each pod is asked at its own fixed moment within this time, so that 1000 pods are not asked at once [s].
    max_page_bytes
        A longer page is refused.
    bearer_token_file
        File whose content is sent as bearer token, read anew at every fetch since tokens rotate; None sends none.
    ca_file
        Authorities that https pages are checked against; None means the system's.
    insecure_tls
        Whether certificates are not checked at all.
    """

    timeout_s: float = 5.0
    concurrency: int = 256
    jitter_s: float = 0.2
    max_page_bytes: int = 16 << 20
    bearer_token_file: str | None = None
    ca_file: str | None = None
    insecure_tls: bool = False


@dataclass(frozen=True, slots=True)
class PageOptions:
    """Where the page of a variant's pods is, and whose numbers on it are meant.

    Attributes
    ----------
    engine
        Name of the engine table.
    path
        Path of the page.
    served_model_name
        As the engine calls the LLM; None takes the model id, or the only name on the page.
    """

    engine: str = "vllm"
    path: str = "/metrics"
    served_model_name: str | None = None


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """A page outside the pods that counts the requests of an LLM.

    Attributes
    ----------
    url
        The page.
    requests_metric
        Counter of requests at arrival.
    waiting_metric
        Gauge of requests held because nothing is ready.
    labels
        What selects the LLM's series; series that match are added up.
    """

    url: str
    requests_metric: str = "variant_autoscaler_router_requests_total"
    waiting_metric: str = "variant_autoscaler_router_waiting_requests"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CollectorOptions:
    """Everything the collector is told.

    Attributes
    ----------
    scrape
        How pages are fetched.
    pages
        Where the pages of each variant are; a variant that is absent gets the defaults.
    gateways
        The gateway page of each LLM that has one.
    signals
        What the policy of each LLM asks for of every pod; of an LLM that is absent nothing.
    """

    scrape: ScrapeOptions = field(default_factory=ScrapeOptions)
    pages: Mapping[VariantKey, PageOptions] = field(default_factory=dict)
    gateways: Mapping[ModelKey, GatewayOptions] = field(default_factory=dict)
    signals: Mapping[ModelKey, tuple[SignalSpec, ...]] = field(default_factory=dict)
