"""Our own Prometheus metrics, in a registry of their own. It measures; it does not render, decide or open sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_CYCLE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SCRAPE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REQUEST_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)


class Telemetry:
    """The metrics of this process; `registry` holds them all.

    Labels are bounded: outcomes and reason codes, never pod names.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._cycles = Counter(
            "variant_autoscaler_cycles", "Passes of the controller, by outcome.", ["outcome"], registry=self.registry
        )
        self._cycle_s = Histogram(
            "variant_autoscaler_cycle_duration_seconds",
            "Time one pass takes.",
            buckets=_CYCLE_BUCKETS_S,
            registry=self.registry,
        )
        self._scrapes = Counter(
            "variant_autoscaler_scrapes",
            "Pages fetched, by outcome: ok or the reason why the page could not be used.",
            ["outcome"],
            registry=self.registry,
        )
        self._scrape_s = Histogram(
            "variant_autoscaler_scrape_duration_seconds",
            "Time one page takes to fetch and read.",
            buckets=_SCRAPE_BUCKETS_S,
            registry=self.registry,
        )
        self._requests = Counter(
            "variant_autoscaler_http_requests",
            "Requests answered, by server and status code.",
            ["server", "code"],
            registry=self.registry,
        )
        self._request_s = Histogram(
            "variant_autoscaler_http_request_duration_seconds",
            "Time one answer takes.",
            ["server"],
            buckets=_REQUEST_BUCKETS_S,
            registry=self.registry,
        )
        self._reloads = Counter(
            "variant_autoscaler_configuration_reloads",
            "Changed configurations seen, by outcome: applied or refused.",
            ["outcome"],
            registry=self.registry,
        )
        self._configuration_valid = Gauge(
            "variant_autoscaler_configuration_valid",
            "1 when the newest configuration is in force, 0 when it was refused and an older one still is.",
            registry=self.registry,
        )
        self._configuration_valid.set(1)
        self._leader = Gauge(
            "variant_autoscaler_leader",
            "1 while this replica decides; without a cluster the only one does.",
            registry=self.registry,
        )
        self._leader.set(1)
        self._ownership = Gauge(
            "variant_autoscaler_api_ownership_info",
            "Whose the external metrics API of the cluster is, as seen last; always 1.",
            ["ownership"],
            registry=self.registry,
        )

    def set_leader(self, is_leader: bool) -> None:
        """Show whether this replica decides."""
        self._leader.set(int(is_leader))

    def set_api_ownership(self, ownership: str) -> None:
        """Show whose the external metrics API of the cluster is: ``Ours``, ``Foreign``, ``Absent`` or ``Unknown``."""
        self._ownership.clear()
        self._ownership.labels(ownership).set(1)

    def show_certificate(self, get_expiry_s: Callable[[], float | None]) -> None:
        """Show when the serving certificate expires, as `get_expiry_s` tells it [Unix s]; nothing while it is None."""
        self.registry.register(_CertificateExpiry(get_expiry_s))

    def count_cycle(self, outcome: str, duration_s: float) -> None:
        """Count one pass of the controller: its outcome (``ok`` or ``failed``) and its duration [s]."""
        self._cycles.labels(outcome).inc()
        self._cycle_s.observe(duration_s)

    def count_scrape(self, outcome: str, duration_s: float) -> None:
        """Count one page: ``ok`` or a reason code, and how long it took [s]."""
        self._scrapes.labels(outcome).inc()
        self._scrape_s.observe(duration_s)

    def count_request(self, server: str, code: int, duration_s: float) -> None:
        """Count one answer of `server` with status `code` after `duration_s` [s]."""
        self._requests.labels(server, str(code)).inc()
        self._request_s.labels(server).observe(duration_s)

    def count_reload(self, *, applied: bool) -> None:
        """Count one changed configuration, and remember whether the newest one is in force."""
        self._reloads.labels("applied" if applied else "refused").inc()
        self._configuration_valid.set(1 if applied else 0)


class _CertificateExpiry(Collector):
    """One gauge, which is absent while there is no certificate."""

    def __init__(self, get_expiry_s: Callable[[], float | None]) -> None:
        self._get_expiry_s = get_expiry_s

    def collect(self) -> Iterator[Metric]:
        """Yield the gauge."""
        expiry_s = self._get_expiry_s()
        name, meaning = (
            "variant_autoscaler_certificate_expiry_timestamp_seconds",
            "When the serving certificate expires.",
        )
        if expiry_s is not None:
            yield GaugeMetricFamily(name, meaning, value=expiry_s)
