"""One completion on its way: the answer that goes out as the engine makes it. It knows no engine."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from aiohttp import ClientConnectionResetError, web

from adapter.demo.completion import CompletionText
from optimizer.simulation import EndedRequest, EngineEvent


class Exchange:
    """The answer to one request.

    The engine's side hands over events with `take`, which never waits for the client; the handler's side awaits
    `stream` or `wait`, which are canceled when the client leaves.

    Parameters
    ----------
    text
        How the answer reads.
    arrival_s
        When the request reached the engine [s].
    is_streaming
        Whether tokens go out as they come.
    """

    def __init__(self, text: CompletionText, arrival_s: float, is_streaming: bool) -> None:
        self.arrival_s = arrival_s
        self.is_streaming = is_streaming
        self._text = text
        self._response: web.StreamResponse | None = None
        self._transport: asyncio.Transport | None = None
        self._tokens = 0  # made and not sent
        self._ended: asyncio.Future[EndedRequest] = asyncio.get_running_loop().create_future()

    @property
    def is_ended(self) -> bool:
        """Whether the engine finished the request."""
        return self._ended.done() and not self._ended.cancelled()

    async def wait(self) -> dict[str, Any]:
        """Return the whole answer when it is complete."""
        return self._text.whole(await self._ended)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send the answer to `request` as it comes; return when it is complete, or its client is gone."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        with suppress(ClientConnectionResetError):
            await response.prepare(request)
            await response.write(b"")  # the head goes out at once, as from a real engine, and not with the first token
            self._response, self._transport = response, request.transport
            ended = await self._ended
            self._response = None
            await response.write_eof(self._text.end(ended, self._tokens))
        return response

    async def take(self, event: EngineEvent) -> None:
        """Send the tokens of `event`, or keep them while the client has not read what was sent before."""
        self._tokens += event.tokens
        if event.ended is not None:
            if not self._ended.done():
                self._ended.set_result(event.ended)
            return
        response, transport = self._response, self._transport
        if response is None or transport is None or not self._tokens or transport.get_write_buffer_size():
            return
        tokens, self._tokens = self._tokens, 0
        try:
            await response.write(self._text.tokens(tokens))
        except ClientConnectionResetError:
            self._response = None  # the handler learns by itself that its client left
