"""Fetches what fleet and autoscaler say of themselves, for those who watch. It shows nothing and judges nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from adapter.errors import BadDocument, Unreachable

_PATIENCE = aiohttp.ClientTimeout(total=10.0)


async def fetch_document(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """Return the JSON object at `url`.

    Raises
    ------
    Unreachable
        When nobody answers in time, or not with 200.
    BadDocument
        When the answer is no JSON object.
    """
    try:
        async with session.get(url, timeout=_PATIENCE) as response:
            if response.status != 200:
                raise Unreachable(f"{url} answered {response.status}")
            document = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError) as cause:
        raise Unreachable(f"{url}: {type(cause).__name__} {cause}") from cause
    except ValueError as cause:
        raise BadDocument(f"{url}: {cause}") from cause
    if not isinstance(document, dict):
        raise BadDocument(f"{url} must be a JSON object, got {type(document).__name__}")
    return document


async def post_document(session: aiohttp.ClientSession, url: str, document: dict[str, Any]) -> None:
    """Post `document` to `url`.

    Raises
    ------
    Unreachable
        When nobody takes it.
    """
    try:
        async with session.post(url, json=document, timeout=_PATIENCE) as response:
            if response.status != 200:
                raise Unreachable(f"{url} answered {response.status}")
    except (aiohttp.ClientError, TimeoutError) as cause:
        raise Unreachable(f"{url}: {type(cause).__name__} {cause}") from cause


async def wait_until_up(session: aiohttp.ClientSession, url: str) -> None:
    """Return once `url` answers 200; asks ten times a second, for ever."""
    while True:
        try:
            async with session.get(url, timeout=_PATIENCE) as response:
                if response.status == 200:
                    return
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(0.1)
