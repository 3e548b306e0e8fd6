"""The replicas that serve one step of a request, and the rule that chooses among them. It submits nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence

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
        self._least_tokens = 0  # what fits into every one of them
        self._rule = _RULES[options.router]()
        self._guide = None if options.guide is None or options.router is not RouterKind.GUIDED else options.guide
        self._shares = _GuidedShares()

    def add(self, replica: Replica) -> None:
        """Let `replica` get requests."""
        self.replicas.append(replica)
        self._rates_per_s.append(replica.routing_rate_per_s)
        self._note_least()

    def remove(self, replica: Replica) -> None:
        """Let `replica` get no more requests."""
        place = self.replicas.index(replica)
        del self.replicas[place], self._rates_per_s[place]
        self._note_least()

    def choose(self, input_tokens: int, output_tokens: int, tried: Collection[Replica] = ()) -> Replica | None:
        """Return the replica for a request of such lengths [tokens] among those that can hold it and were not `tried`.

        None when there is none.
        """
        found, rates_per_s = self.replicas, self._rates_per_s
        if tried or input_tokens + output_tokens > self._least_tokens:
            found = [one for one in found if one not in tried and one.can_hold(input_tokens, output_tokens)]
            rates_per_s = [one.routing_rate_per_s for one in found]
        if not found:
            return None
        if self._guide is not None:
            return self._choose_guided(self._guide, input_tokens, found)
        if len(found) == 1:
            return found[0]
        return found[self._rule.choose([len(one.requests) for one in found], rates_per_s)]

    def _note_least(self) -> None:
        engines = (one.engine for one in self.replicas)
        self._least_tokens = min((one.max_request_tokens for one in engines if one is not None), default=0)

    def _choose_guided(self, guide: BucketGuide, input_tokens: int, found: Sequence[Replica]) -> Replica:
        bucket = bisect_left(guide.edges_tokens, input_tokens)
        keys = list(dict.fromkeys(one.key for one in found))
        weights = {key: guide.weights[key][bucket] if key in guide.weights else 0.0 for key in keys}
        if not any(weights.values()):
            weights = dict.fromkeys(keys, 1.0)
        chosen = self._shares.choose(bucket, weights)
        among = [one for one in found if one.key == chosen]
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
