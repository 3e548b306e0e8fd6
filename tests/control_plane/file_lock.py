"""A file held against other processes while something in the cache is made. It makes nothing."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lock(path: Path, subject: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the file `path` against other processes, telling when that has to be waited for."""
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{subject}: another process is building it; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
