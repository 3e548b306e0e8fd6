"""Discovery from an inventory document that somebody serves over HTTP. It reads one address and nothing else."""

from __future__ import annotations

import json

import aiohttp

from adapter.errors import BadDocument, Refused, Unreachable
from adapter.inventory import Inventory, from_document

_LARGEST_DOCUMENT_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 16


class HttpDiscovery:
    """Fetches the inventory from `url`, at most `timeout_s` [wall s] each time."""

    def __init__(self, session: aiohttp.ClientSession, url: str, timeout_s: float = 5.0) -> None:
        self._session, self._url = session, url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def fetch_inventory(self) -> Inventory:
        """Return the inventory as served now.

        Raises
        ------
        Unreachable
            Nobody answered, or not in time, or the answer broke off.
        Refused
            The answer was not 200.
        BadDocument
            The answer is no inventory document, or an endless one.
        """
        try:
            async with self._session.get(self._url, timeout=self._timeout) as response:
                if response.status != 200:
                    raise Refused(f"inventory {self._url} answered {response.status}")
                body = await self._read_body(response)
        except TimeoutError as cause:
            raise Unreachable(f"inventory {self._url} took longer than {self._timeout.total:g} s") from cause
        except (aiohttp.ClientError, OSError) as cause:
            raise Unreachable(f"inventory {self._url}: {type(cause).__name__}: {cause}") from cause
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as cause:
            raise BadDocument(f"inventory {self._url} is not JSON: {cause}") from cause
        return from_document(document)

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > _LARGEST_DOCUMENT_BYTES:
                raise BadDocument(f"inventory {self._url} is longer than {_LARGEST_DOCUMENT_BYTES} bytes")
        return bytes(body)
