"""The TLS of our server: what it shows, whom it lets speak, both swapped whole while connections come and go.

A context in use is never changed: OpenSSL would go on showing the old certificate when the kind of key changes, and
forgets no authority. Each new connection is given the newest context instead. It knows neither Kubernetes nor handlers.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator

from adapter.clock import Clock
from adapter.errors import AdapterError, BadDocument
from adapter.external_metrics.certificate_sources import CertificateSource, ServingMaterial
from adapter.external_metrics.issuing import issue_serving, make_authority
from adapter.external_metrics.key_pair import CertificateFacts, KeyPair, check_key_pair
from adapter.telemetry import log_event

_FIRST_RETRY_S = 1.0
_STOPGAP_LIFE_S = 86_400.0


class ServingCertificate:
    """Keeps the newest good certificate of a source before every caller.

    Until the source gives one, a stopgap that nobody trusts is shown: probes, which verify nothing, are answered.

    Parameters
    ----------
    name
        The name by which callers verify us; a certificate without it is shown all the same, and complained about.
    """

    def __init__(self, source: CertificateSource, clock: Clock, name: str) -> None:
        self._source, self._clock, self._name = source, clock, name
        self._authorities_pem = ""
        self._pair = _make_stopgap(clock.now_s())
        self._material: ServingMaterial | None = None
        self._facts: CertificateFacts | None = None
        self._refused: tuple[KeyPair | None, str] | None = None
        self._current = _build_context(self._pair, self._authorities_pem)
        self._door = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _set_terms(self._door)
        self._door.sni_callback = self._give_current

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """The one to listen with, for good."""
        return self._door

    @property
    def facts(self) -> CertificateFacts | None:
        """What the certificate in use says, None before there is one."""
        return self._facts

    @property
    def problem(self) -> str | None:
        """Why the newest certificate of the source is not in use, None when it is."""
        return None if self._refused is None else self._refused[1]

    @property
    def trusted_pem(self) -> bytes | None:
        """The authorities by which callers verify us, None when the source does not know them."""
        return None if self._material is None else self._material.trusted_pem

    def explain_unready(self) -> str | None:
        """Return what is missing for being ready, None when nothing is."""
        if self._facts is None:
            return f"no serving certificate: {self.problem or 'not read yet'}"
        if self._clock.now_s() >= self._facts.not_after_s:
            return f"the serving certificate expired: {self.problem or 'no newer one'}"
        return None

    def trust_clients(self, authorities_pem: str) -> None:
        """Let certificates of these authorities pass from the next connection on; what they may say is told elsewhere.

        Raises
        ------
        BadDocument
            When they cannot be used; those before still are.
        """
        if authorities_pem != self._authorities_pem:
            self._current = _build_context(self._pair, authorities_pem)
            self._authorities_pem = authorities_pem
            # This alone a connection takes from the door. Without authorities no certificate is asked for: a client
            # that showed one would be sent away.
            self._door.verify_mode = ssl.CERT_OPTIONAL if authorities_pem else ssl.CERT_NONE

    async def run(self) -> None:
        """Keep up with the source until cancelled."""
        while True:
            await self.refresh()
            await self._clock.sleep(_FIRST_RETRY_S if self._facts is None else self._source.poll_s)

    async def refresh(self) -> None:
        """Look at the source once; what it gives is used when it is good, and refused with a word when not."""
        material = None
        try:
            material = await self._source.load()
            if self._material is None or material.pair != self._material.pair:
                self._use(material.pair)
            self._material, self._refused = material, None
        except AdapterError as problem:
            refusal = (None if material is None else material.pair, str(problem))
            if refusal != self._refused:
                log_event("certificate_refused", level="error", why=str(problem), in_use=self._get_fingerprint())
            self._refused = refusal

    def _use(self, pair: KeyPair) -> None:
        facts = check_key_pair(pair, self._clock.now_s())
        self._current = _build_context(pair, self._authorities_pem)
        self._pair, self._facts = pair, facts
        log_event("certificate_in_use", names=list(facts.names), fingerprint=facts.fingerprint)
        if self._name not in facts.names:
            log_event("certificate_lacks_name", level="warning", name=self._name, names=list(facts.names))

    def _get_fingerprint(self) -> str | None:
        return None if self._facts is None else self._facts.fingerprint

    def _give_current(self, connection: ssl.SSLObject, _name: str | None, _door: ssl.SSLContext) -> None:
        connection.context = self._current


def _make_stopgap(now_s: float) -> KeyPair:
    authority = make_authority("stopgap", now_s, _STOPGAP_LIFE_S)
    return issue_serving(authority, ("stopgap.invalid",), now_s, _STOPGAP_LIFE_S)


def _build_context(pair: KeyPair, authorities_pem: str) -> ssl.SSLContext:
    """Return a complete context.

    Raises
    ------
    BadDocument
        When OpenSSL refuses the pair or the authorities.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _set_terms(context)
    try:
        with _as_file(pair.chain_pem) as chain, _as_file(pair.key_pem) as key:
            context.load_cert_chain(chain, key, password=_refuse_password)
        if authorities_pem:
            context.load_verify_locations(cadata=authorities_pem)
    except (OSError, ValueError) as cause:  # ssl.SSLError is an OSError
        raise BadDocument(f"cannot be used for TLS: {cause}") from cause
    return context


def _set_terms(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # An authority counts even when another one signed it, as in Go.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Every connection proves anew who it is: nothing is taken over from before a change of authorities.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


def _refuse_password() -> str:
    raise ValueError("the key is encrypted")


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Yield the path of a file with `content`, in memory where there are such files: keys do not go to a disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pem")
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # only for its owner to read
        file.write(content)
        file.flush()
        yield file.name
