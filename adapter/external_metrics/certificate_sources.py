"""Where the serving certificate comes from: files that somebody mounts, or our own making, shared by all replicas.

Nothing here knows TLS or Kubernetes; the store is somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapter.clock import Clock
from adapter.errors import BadDocument, Conflict, Unreachable
from adapter.external_metrics.key_pair import KeyPair
from adapter.external_metrics.renewal import CertificateBundle, from_data, renew, to_data
from adapter.telemetry import log_event

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class ServingMaterial:
    """What a source gives.

    Attributes
    ----------
    pair
        What the server should show.
    trusted_pem
        The authorities by which callers verify it, None when the source does not know them.
    """

    pair: KeyPair
    trusted_pem: bytes | None = None


class CertificateSource(Protocol):
    """Gives the newest certificate; `poll_s` is how often it is worth asking [s]."""

    @property
    def poll_s(self) -> float:
        """How often to ask [s]."""
        ...

    async def load(self) -> ServingMaterial:
        """Return what should be shown now; raises `AdapterError` when that cannot be told."""
        ...


@dataclass(frozen=True, slots=True)
class FileCertificate:
    """A certificate and its key in files, such as those of a mounted Secret, which change under our feet.

    The files are read whole each time: links are swapped, files renamed, and time stamps tell nothing.
    """

    certificate_file: Path
    key_file: Path
    poll_s: float = 10.0

    async def load(self) -> ServingMaterial:
        """Return what the files hold.

        Raises
        ------
        BadDocument
            When one cannot be read.
        """
        return ServingMaterial(KeyPair(_read(self.certificate_file), _read(self.key_file)))


class SharedStore(Protocol):
    """Keeps the data that all replicas share, and lets only one of them write at a time.

    Every method raises `AdapterError`: `Conflict` when somebody else was faster.
    """

    async def load(self) -> tuple[Mapping[str, bytes], str] | None:
        """Return the data and their version, None when there is nothing."""
        ...

    async def create(self, data: Mapping[str, bytes]) -> None:
        """Write the data where nothing is yet."""
        ...

    async def replace(self, data: Mapping[str, bytes], version: str) -> None:
        """Write the data where `version` is."""
        ...


class SelfSignedCertificate:
    """Certificates of our own making: the first replica makes them, all others adopt them, any of them renews.

    Parameters
    ----------
    names
        What the certificate has to be for, the most important one first.
    get_published
        Tells which authorities callers are known to trust, None when nobody knows.
    """

    poll_s = 30.0

    def __init__(
        self,
        store: SharedStore,
        clock: Clock,
        names: tuple[str, ...],
        get_published: Callable[[], bytes | None] = lambda: None,
    ) -> None:
        self._store, self._clock, self._names, self._get_published = store, clock, names, get_published
        self._last: CertificateBundle | None = None

    async def load(self) -> ServingMaterial:
        """Return what all replicas show, after making or renewing it where that is due.

        Raises
        ------
        AdapterError
            When the store cannot be reached; `BadDocument` when what it holds is none of ours.
        """
        for _ in range(_ATTEMPTS):
            try:
                bundle = await self._renew()
            except Conflict:
                continue  # another replica was faster: look at what it wrote
            self._last = bundle
            return ServingMaterial(bundle.serving, bundle.trusted_pem)
        raise Unreachable("the stored certificate changes faster than it can be read")

    async def _renew(self) -> CertificateBundle:
        stored = await self._store.load()
        data, version = stored if stored is not None else ({}, "")
        # Where the store was emptied, what everybody already trusts goes back into it.
        present = _read_bundle(data) if data else self._last
        wanted = renew(present, self._names, self._clock.now_s(), self._get_published())
        if data and wanted is present:
            return wanted
        if stored is None:
            await self._store.create(to_data(wanted))
        else:
            await self._store.replace(to_data(wanted), version)
        log_event("certificate_issued", names=list(self._names), is_first=present is None)
        return wanted


def _read_bundle(data: Mapping[str, bytes]) -> CertificateBundle:
    try:
        return from_data(data)
    except BadDocument as problem:
        raise BadDocument(f"what is stored is no certificate of our making, and is left alone: {problem}") from problem


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise BadDocument(f"cannot be read: {path}: {cause.strerror or cause}") from cause
