"""Who we are to a page's server and whom we believe: bearer token and authorities, from files that may change any time.

It reads those files and nothing else; it opens no socket.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from adapter.collector.options import ScrapeOptions


class Trust:
    """Token and TLS settings as `options` name them; files are looked at anew, since tokens and authorities rotate."""

    def __init__(self, options: ScrapeOptions) -> None:
        self._options = options
        self._authorities: ssl.SSLContext | None = None
        self._signature: tuple[int, int, int] | None = None

    def get_headers(self) -> dict[str, str]:
        """Return the header that carries the token, nothing when there is none to send.

        Raises
        ------
        OSError, ValueError
            When the file cannot be read, or holds nothing that can be sent; the message does not show its content.
        """
        path = self._options.bearer_token_file
        return {} if path is None else {"Authorization": f"Bearer {_read_token(path)}"}

    def get_tls(self) -> ssl.SSLContext | bool:
        """Return how an HTTPS server is checked: not at all (False), as the system does (True), or by our authorities.

        Raises
        ------
        OSError
            When the file of authorities cannot be read or holds none.
        """
        options = self._options
        if options.insecure_tls:
            return False
        return True if options.ca_file is None else self._load_authorities(options.ca_file)

    def _load_authorities(self, path: str) -> ssl.SSLContext:
        stat = Path(path).stat()
        signature = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if self._authorities is None or signature != self._signature:
            try:
                self._authorities = ssl.create_default_context(cafile=path)
            except ssl.SSLError as cause:
                raise OSError(f"no authorities in {path}: {cause.reason or cause}") from cause
            self._signature = signature
        return self._authorities


def _read_token(path: str) -> str:
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    if not token:
        raise ValueError(f"{path} is empty")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(f"{path} must hold one word of ASCII")
    return token
