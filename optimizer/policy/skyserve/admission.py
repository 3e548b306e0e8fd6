"""What the peer refuses of a service's replica policy, and what it lets pass. It reads no option of ours.

The peer in the simulator is judged by it before a run; the product's own checks are stricter.

Source
------
SkyServe's service spec at f6e9ee271901. Let pass, though it fails later: a rate of 0, accelerators that the table has
no rate for, a table together with on-demand replicas that stand in for spot ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

POLICIES = ("instance_aware_least_load", "least_load", "round_robin")
"""What the router can be set to."""

_KEY = re.compile(r"[A-Z0-9]+(:\d+)?")


def find_peer_problems(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return everything that the peer refuses of these fields, in words; nothing when it accepts.

    The fields are those of a replica policy, its rate ``target_rate_per_s``; everything that is left out is valid.
    """
    return (*_find_count_problems(given), *_find_rate_problems(given))


def _find_count_problems(given: Mapping[str, Any]) -> Iterator[str]:
    least, most, rate = given.get("min_replicas"), given.get("max_replicas"), given.get("target_rate_per_s")
    if "replicas" in given and "replica_policy" in given:
        yield "replicas or replica_policy"
    if least is not None and most is not None and most < least:
        yield "max_replicas >= min_replicas"
    if least is not None and most is None and rate is not None:
        yield "max_replicas with a rate"
    if least is not None and most is not None and least != most and rate is None:
        yield "a rate where the bounds differ"


def _find_rate_problems(given: Mapping[str, Any]) -> Iterator[str]:
    rate, policy = given.get("target_rate_per_s"), given.get("load_balancing_policy")
    table = rate if isinstance(rate, Mapping) else {}
    if policy is not None and policy not in POLICIES:
        yield "a known balancing policy"
    if policy is not None and rate is not None and bool(table) != (policy == POLICIES[0]):
        yield "a table with the instance-aware balancer, and only with it"
    if any(not _KEY.fullmatch(key) for key in table):
        yield "accelerators in capitals and digits"
    if any(value < 0 for value in (table.values() if table else (rate or 0,))):
        yield "rates >= 0"
