"""The external metrics API as a cluster reaches it: TLS, callers that the cluster vouches for, and its APIService."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from adapter.clock import Clock
from adapter.compose.cluster.identity import ReplicaIdentity
from adapter.config.load import LoadedConfiguration
from adapter.config.schema import AuthenticationKind, CertificateConfig, CertificateKind, ExternalMetricsConfig
from adapter.external_metrics.certificate_sources import CertificateSource, FileCertificate, SelfSignedCertificate
from adapter.external_metrics.issuing import make_serving_names
from adapter.external_metrics.security import ApiSecurity
from adapter.kube.api_service import ApiServiceKeeper, ApiServiceOptions, ApiServiceState
from adapter.kube.client import KubeClient
from adapter.kube.events import EventWriter
from adapter.kube.proxy_settings import ProxySettingsWatch
from adapter.kube.reviews import KubeReviewer
from adapter.kube.serving_secret import ServingSecret

_SECRET_SUFFIX = "-certificate"


class ClusterApi:
    """What stands around the API in a cluster, and has to be kept going.

    Parameters
    ----------
    loaded
        The configuration.
    listen
        How the API is served.
    client, clock
        The cluster.
    identity
        Who we are there.
    is_leader
        Whether this replica may write the APIService.
    on_ownership
        Called with what is seen of the APIService, whenever that changes.
    events
        Where people are told of it, None where they are not to be.
    """

    def __init__(
        self,
        loaded: LoadedConfiguration,
        listen: ExternalMetricsConfig,
        client: KubeClient,
        clock: Clock,
        *,
        identity: ReplicaIdentity,
        is_leader: Callable[[], bool],
        on_ownership: Callable[[ApiServiceState], None],
        events: EventWriter | None,
    ) -> None:
        options = loaded.configuration.kubernetes.api_service
        is_self_signed = listen.certificate.kind is CertificateKind.SELF_SIGNED
        self._keeper = ApiServiceKeeper(
            client,
            clock,
            ApiServiceOptions(identity.namespace, options.service, options.manage, is_self_signed),
            get_ca_bundle=self._get_ca_bundle,
            is_leader=is_leader,
            on_change=on_ownership,
            events=events,
        )
        names = make_serving_names(options.service, identity.namespace)
        source: CertificateSource = SelfSignedCertificate(
            ServingSecret(client, identity.namespace, options.service + _SECRET_SUFFIX),
            clock,
            names,
            get_published=lambda: self._keeper.state.ca_bundle,
        )
        if not is_self_signed:
            source = _to_files(loaded, listen.certificate)
        asks = listen.authentication is AuthenticationKind.KUBERNETES
        self.security = ApiSecurity(source, clock, names[0], KubeReviewer(client, clock) if asks else None)
        self._proxy = ProxySettingsWatch(client, clock, self.security.use_proxy_settings) if asks else None

    async def run(self) -> None:
        """Keep certificate, front proxy settings and APIService in step until canceled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.security.run())
            tasks.create_task(self._keeper.run())
            if self._proxy is not None:
                tasks.create_task(self._proxy.run())

    def get_certificate_expiry_s(self) -> float | None:
        """Return when the certificate in use expires [Unix s], None before there is one."""
        facts = self.security.certificate.facts
        return None if facts is None else facts.not_after_s

    def _get_ca_bundle(self) -> bytes | None:
        return self.security.certificate.trusted_pem


def _to_files(loaded: LoadedConfiguration, certificate: CertificateConfig) -> FileCertificate:
    certificate_file, key_file = loaded.resolve(certificate.cert_file), loaded.resolve(certificate.key_file)
    assert certificate_file is not None  # the rules of the section demand both
    assert key_file is not None
    return FileCertificate(certificate_file, key_file)
