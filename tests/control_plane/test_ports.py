"""Ports that are chosen before they are used."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.builders.ports import choose_ports


def test_no_port_comes_twice_in_a_row_and_no_connection_may_begin_on_one() -> None:
    chosen = choose_ports(20) + choose_ports(20)
    assert len(set(chosen)) == 40
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if given.exists():
        begin, end = map(int, given.read_text().split())
        assert not any(begin <= port <= end for port in chosen)


def test_a_port_on_which_somebody_listens_is_passed_over() -> None:
    with socket.socket() as taken:
        (port,) = choose_ports(1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert port not in choose_ports(99) + choose_ports(99)
