"""Finds ports that can be listened on. It opens nothing that stays open."""

from __future__ import annotations

import socket

_HOST = "127.0.0.1"


def choose_port(wanted: int) -> int:
    """Return `wanted` when it can be listened on, else a free port; 0 asks for any free one."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return 0
