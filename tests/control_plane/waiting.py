"""Waits for something to become true, by looking again and again; says what was seen last when it does not."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from adapter.errors import NotFound, Unreachable

T = TypeVar("T")

PATIENCE_S = 120.0
"""Long enough for a slow machine: what is in order takes a small part of it [s]."""

_LOOK_EVERY_S = 0.1
_LONGEST_REPORT = 6000


async def wait_until(
    look: Callable[[], Awaitable[T]], is_done: Callable[[T], object], *, what: str, timeout_s: float = PATIENCE_S
) -> T:
    """Return the first result of `look` that `is_done` accepts.

    A `look` that raises NotFound or Unreachable has not seen it yet.

    Raises
    ------
    AssertionError
        When none came within `timeout_s` [s]: with `what`, and what was seen last.
    """
    deadline_s = time.monotonic() + timeout_s
    seen: object = "nothing"
    while True:
        try:
            found = await look()
        except (NotFound, Unreachable) as failure:
            seen = f"{type(failure).__name__}: {failure}"
        else:
            if is_done(found):
                return found
            seen = found
        if time.monotonic() >= deadline_s:
            raise AssertionError(f"not within {timeout_s:g} s: {what}; seen last:\n{_render(seen)}")
        await asyncio.sleep(_LOOK_EVERY_S)


def _render(seen: object) -> str:
    try:
        text = seen if isinstance(seen, str) else json.dumps(seen, indent=1, default=repr)
    except (TypeError, ValueError):
        text = repr(seen)
    return text if len(text) <= _LONGEST_REPORT else text[:_LONGEST_REPORT] + " ..."
