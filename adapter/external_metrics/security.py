"""Everything that stands between the network and the handlers, in one piece: TLS, who asks, whether they may.

It is handed the ways to ask the cluster and knows none itself.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence

from aiohttp.typedefs import Middleware

from adapter.clock import Clock
from adapter.errors import BadDocument
from adapter.external_metrics.app import Check
from adapter.external_metrics.authentication import Authenticator
from adapter.external_metrics.certificate_sources import CertificateSource
from adapter.external_metrics.guard import build_guard
from adapter.external_metrics.proxy_settings import parse_proxy_settings
from adapter.external_metrics.reviews import Reviewer, Reviews
from adapter.external_metrics.serving_certificate import ServingCertificate
from adapter.telemetry import log_event


class ApiSecurity:
    """Joins certificate, authentication and authorization.

    Parameters
    ----------
    source
        Where the serving certificate comes from.
    name
        The name by which API servers verify it: ``service.namespace.svc``.
    reviewer
        Asks the cluster who somebody is and what they may; None opens the API to everybody (over TLS all the same).
    """

    def __init__(self, source: CertificateSource, clock: Clock, name: str, reviewer: Reviewer | None) -> None:
        self.certificate = ServingCertificate(source, clock, name)
        self._authenticator: Authenticator | None = None
        self._middlewares: tuple[Middleware, ...] = ()
        self._problem: str | None = None
        if reviewer is not None:
            reviews = Reviews(reviewer, clock)
            self._authenticator = Authenticator(reviews, clock)
            self._middlewares = (build_guard(self._authenticator, reviews),)

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """The one to listen with."""
        return self.certificate.ssl_context

    @property
    def middlewares(self) -> Sequence[Middleware]:
        """For `build_external_metrics_app`."""
        return self._middlewares

    @property
    def checks(self) -> Sequence[Check]:
        """For `build_external_metrics_app`."""
        return (self.certificate.explain_unready, self._explain_unready)

    def use_proxy_settings(self, data: Mapping[str, str]) -> None:
        """Let the data of ``kube-system/extension-apiserver-authentication`` hold; bad ones are refused with a word."""
        if self._authenticator is None:
            return
        try:
            settings = parse_proxy_settings(data)
            self.certificate.trust_clients(settings.all_authorities_pem)
        except BadDocument as problem:
            self._problem = str(problem)
            log_event("proxy_settings_refused", level="error", why=str(problem))
            return
        self._problem = None
        if settings == self._authenticator.settings:
            return
        self._authenticator.use_proxy_settings(settings)
        log_event(
            "proxy_settings_in_use", allowed_names=list(settings.allowed_names), headers=list(settings.username_headers)
        )
        if not settings.proxy_authorities:
            log_event("no_front_proxy", level="error", why="the cluster names no authority of front proxies")

    async def run(self) -> None:
        """Keep the certificate up to date until cancelled."""
        await self.certificate.run()

    def _explain_unready(self) -> str | None:
        if self._authenticator is None or self._authenticator.settings is not None:
            return None
        return f"no settings of front proxies: {self._problem or 'not read yet'}"
