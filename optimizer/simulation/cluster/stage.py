"""The replicas that serve one step of a request, and the rule that chooses among them. It submits nothing."""

from __future__ import annotations

from bisect import bisect_left

from optimizer.domain import VariantKey
from optimizer.routing import InstanceAwareLeastLoad, LeastLoad, RoundRobin, RoutingRule
from optimizer.simulation.cluster.options import BucketGuide, ClusterOptions, RouterKind
from optimizer.simulation.cluster.replica import Replica

_RULES: dict[RouterKind, type[RoutingRule]] = {
    RouterKind.ROUND_ROBIN: RoundRobin,
    RouterKind.LEAST_LOAD: LeastLoad,
    RouterKind.INSTANCE_AWARE: InstanceAwareLeastLoad,
    RouterKind.GUIDED: LeastLoad,
}


class Stage:
    """Replicas behind one rule.

    Attributes
    ----------
    replicas
        Those that may get requests, in the order in which they became ready.
    """

    def __init__(self, options: ClusterOptions) -> None:
        self.replicas: list[Replica] = []
        self._rates_per_s: list[float] = []
        self._rule = _RULES[options.router]()
        self._guide = None if options.guide is None or options.router is not RouterKind.GUIDED else options.guide
        self._shares = _GuidedShares()

    def add(self, replica: Replica) -> None:
        """Let `replica` get requests."""
        self.replicas.append(replica)
        self._rates_per_s.append(replica.routing_rate_per_s)

    def remove(self, replica: Replica) -> None:
        """Let `replica` get no more requests."""
        place = self.replicas.index(replica)
        del self.replicas[place], self._rates_per_s[place]

    def choose(self, input_tokens: int) -> Replica:
        """Return the replica for a request with a prompt of `input_tokens`; there is at least one."""
        if self._guide is not None:
            return self._choose_guided(self._guide, input_tokens)
        if len(self.replicas) == 1:
            return self.replicas[0]
        return self.replicas[self._rule.choose([len(one.requests) for one in self.replicas], self._rates_per_s)]

    def _choose_guided(self, guide: BucketGuide, input_tokens: int) -> Replica:
        bucket = bisect_left(guide.edges_tokens, input_tokens)
        keys = list(dict.fromkeys(one.key for one in self.replicas))
        weights = {key: guide.weights[key][bucket] if key in guide.weights else 0.0 for key in keys}
        if not any(weights.values()):
            weights = dict.fromkeys(keys, 1.0)
        chosen = self._shares.choose(bucket, weights)
        among = [one for one in self.replicas if one.key == chosen]
        return min(among, key=lambda one: len(one.requests))


class _GuidedShares:
    """Splits a stream by weights without chance: whoever is furthest behind its share is next."""

    def __init__(self) -> None:
        self._credits: dict[tuple[int, VariantKey], float] = {}

    def choose(self, bucket: int, weights: dict[VariantKey, float]) -> VariantKey:
        total = sum(weights.values())
        credits = self._credits
        for key, weight in weights.items():
            credits[bucket, key] = credits.get((bucket, key), 0.0) + weight / total
        chosen = max((key for key in weights if weights[key] > 0.0), key=lambda key: credits[bucket, key])
        credits[bucket, chosen] -= 1.0
        return chosen
