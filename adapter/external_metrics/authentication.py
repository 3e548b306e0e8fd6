"""Who asks: a front proxy's word, a certificate, a token, or nobody; in this order. It allows and refuses nothing else.

Source: Kubernetes, configuring the aggregation layer; the authenticators of its own extension servers.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import unquote

from multidict import CIMultiDict, CIMultiDictProxy

from adapter.clock import Clock
from adapter.external_metrics.answers import StatusError
from adapter.external_metrics.client_certificates import CertificateVerifier
from adapter.external_metrics.identity import ANONYMOUS, User
from adapter.external_metrics.proxy_settings import ProxySettings
from adapter.external_metrics.reviews import Reviews

Headers = CIMultiDictProxy[str]

CHALLENGE = {"WWW-Authenticate": "Bearer"}
"""Headers by which an answer asks for credentials."""

_BROKEN_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")


class Authenticator:
    """Tells who asks.

    Parameters
    ----------
    reviews
        Asked about bearer tokens.
    """

    def __init__(self, reviews: Reviews, clock: Clock) -> None:
        self._reviews, self._clock = reviews, clock
        self._settings: ProxySettings | None = None
        self._proxies, self._clients = CertificateVerifier(), CertificateVerifier()

    @property
    def settings(self) -> ProxySettings | None:
        """What holds of front proxies, None until it was told once."""
        return self._settings

    def use_proxy_settings(self, settings: ProxySettings) -> None:
        """Let `settings` hold from now on."""
        self._proxies = CertificateVerifier(settings.proxy_authorities)
        self._clients = CertificateVerifier(settings.client_authorities)
        self._settings = settings

    async def identify(self, headers: Headers, certificate_der: bytes | None) -> User:
        """Return who asks with `headers`, over a connection with the client certificate `certificate_der`.

        Raises
        ------
        StatusError
            401 when what is claimed cannot be believed, 503 when nobody can tell.
        """
        claimed = None if self._settings is None else _read_claim(headers, self._settings)
        if claimed is not None:
            self._check_proxy(certificate_der)
            return claimed.as_authenticated()
        if certificate_der is not None:
            client = self._clients.verify(certificate_der, self._clock.now_s())
            if client is not None and client.common_name:
                return User(client.common_name, groups=client.organizations).as_authenticated()
        token = _read_token(headers)
        if token is None:
            return ANONYMOUS
        user = await self._reviews.find_user(token)
        if user is None:
            raise StatusError(HTTPStatus.UNAUTHORIZED, "the bearer token is nobody's", CHALLENGE)
        return user.as_authenticated()

    def strip(self, headers: Headers) -> CIMultiDict[str] | None:
        """Return `headers` without what tells an identity, None when nothing of that kind is in them."""
        settings = self._settings or ProxySettings()
        hidden = {name for name in headers if name.lower() == "authorization" or settings.is_identity_header(name)}
        if not hidden:
            return None
        return CIMultiDict((name, value) for name, value in headers.items() if name not in hidden)

    def _check_proxy(self, certificate_der: bytes | None) -> None:
        """Refuse a claim of somebody else's identity unless a front proxy makes it."""
        if certificate_der is not None and self._settings is not None:
            proxy = self._proxies.verify(certificate_der, self._clock.now_s())
            allowed = self._settings.allowed_names
            if proxy is not None and (not allowed or proxy.common_name in allowed):
                return
        raise StatusError(
            HTTPStatus.UNAUTHORIZED, "only a front proxy of the cluster may speak for a user in headers", CHALLENGE
        )


def _read_claim(headers: Headers, settings: ProxySettings) -> User | None:
    """Return the user that the headers of a front proxy name, None when they name none."""
    name = _read_first(headers, settings.username_headers)
    if not name:
        return None
    groups = tuple(
        value for header in settings.group_headers for value in headers.getall(header, ()) if value
    )  # a comma in a value is part of it
    extra: dict[str, list[str]] = {}
    for header, value in headers.items():
        for prefix in settings.extra_prefixes:
            if header.lower().startswith(prefix.lower()):
                extra.setdefault(_decode_key(header[len(prefix) :].lower()), []).append(value)
    user = User(
        name,
        _read_first(headers, settings.uid_headers),
        groups,
        tuple(sorted((key, tuple(values)) for key, values in extra.items())),
    )
    _check_is_text(user)
    return user


def _read_first(headers: Headers, names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := headers.get(name, ""))), "")


def _decode_key(key: str) -> str:
    """Return a percent-encoded key decoded; one that is encoded badly stays as it is."""
    return key if _BROKEN_ESCAPE.search(key) else unquote(key)


def _check_is_text(user: User) -> None:
    """Refuse bytes that are not UTF-8: a review could not carry them unchanged."""
    words = (user.name, user.uid, *user.groups, *(value for _, values in user.extra for value in values))
    try:
        "".join(words).encode()
    except UnicodeEncodeError as cause:
        raise StatusError(HTTPStatus.UNAUTHORIZED, "the identity is not UTF-8 text", CHALLENGE) from cause


def _read_token(headers: Headers) -> str | None:
    """Return the bearer token, None when there is none."""
    scheme, _, token = headers.get("Authorization", "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
