"""Ports for processes that listen later: they stay free until then. It opens nothing that stays open."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator

_HOST = "127.0.0.1"
_BEGIN, _STRETCHES, _STRETCH_PORTS = 20_000, 125, 100
"""They end below 32,768, where the ports begin that kernels give to whoever asks for none in particular."""


def choose_ports(count: int) -> list[int]:
    """Return `count` different ports of loopback on which nobody listens, nor will until they were all given once.

    Other processes that test at the same time choose theirs elsewhere, and no connection begins on them.
    """
    return [next(port for port in _PORTS if _is_free(port)) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that have ended are in nobody's way
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _cycle_ports() -> Iterator[int]:
    """Yield the ports of this process, again and again; which process it is, counts when the first is asked for."""
    first = _BEGIN + os.getpid() % _STRETCHES * _STRETCH_PORTS
    yield from itertools.cycle(range(first, first + _STRETCH_PORTS))


_PORTS = _cycle_ports()
