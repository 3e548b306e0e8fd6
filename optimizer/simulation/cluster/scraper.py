"""Reads pages in rounds: pods and gateways each at its own moment, some pages lost, all of them known a while later.

It keeps of each only what is newest. Nothing is understood here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from optimizer.domain import ModelKey
from optimizer.simulation.cluster.chance import Purpose, make_stream
from optimizer.simulation.cluster.cluster import Cluster
from optimizer.simulation.cluster.gateway import GatewayPage
from optimizer.simulation.cluster.options import ScrapeOptions
from optimizer.simulation.cluster.page import PageBody, PageForm, sign
from optimizer.simulation.cluster.replica import Life, Replica
from optimizer.simulation.ticks import to_ns, to_s

_PAGE_LIVES = frozenset({Life.READY, Life.DRAINING})


_Body = TypeVar("_Body", PageBody, GatewayPage)


@dataclass(frozen=True, slots=True, eq=False)
class Scraped(Generic[_Body]):
    """A page that was asked for at `time_ns` [ns]; without `body` it could not be had."""

    time_ns: int
    body: _Body | None


@dataclass(slots=True)
class PageShelf(Generic[_Body]):
    """The pages of one pod or gateway.

    Attributes
    ----------
    newest, newest_good
        Of those that are known; None before the first.
    coming
        Asked for, not known yet.
    """

    newest: Scraped[_Body] | None = None
    newest_good: Scraped[_Body] | None = None
    coming: deque[Scraped[_Body]] = field(default_factory=deque)
    _last_body: _Body | None = None

    def put(self, page: Scraped[_Body]) -> None:
        """Put a newer page on it."""
        self.coming.append(page)
        self._last_body = page.body or self._last_body

    def settle(self, known_ns: int) -> None:
        """Know what was asked for up to `known_ns` [ns]."""
        while self.coming and self.coming[0].time_ns <= known_ns:
            self.newest = self.coming.popleft()
            if self.newest.body is not None:
                self.newest_good = self.newest

    @property
    def last_body(self) -> _Body | None:
        """The newest body, known or not."""
        return self._last_body


class Scraper:
    """The rounds of one run; what they read is known `delay_s` [s] later.

    Attributes
    ----------
    pages, lost_pages
        Pages that were read, and that could not be had.
    """

    def __init__(
        self, cluster: Cluster, options: ScrapeOptions, forms: dict[ModelKey, PageForm], seed: int, delay_s: float
    ) -> None:
        self.pages = self.lost_pages = 0
        self._cluster, self._options, self._seed = cluster, options, seed
        self._forms = {(key.namespace, key.model_id): form for key, form in forms.items()}
        self._shelves: dict[Replica, PageShelf[PageBody]] = {}
        self._jitters_ns: dict[Replica, int] = {}
        self._delay_ns = to_ns(delay_s)
        self._outages_ns = [(to_ns(start_s), to_ns(end_s)) for start_s, end_s in options.outages_s]
        self._round = 0
        self._numbers = {key: number for number, key in enumerate(cluster.deployments)}
        gateways = [(number, key) for number, (key, front) in enumerate(cluster.fronts.items()) if front.is_gateway]
        self._gateways = dict(gateways)
        self._gateway_shelves = {key: PageShelf[GatewayPage]() for _, key in gateways}

    def open(self) -> None:
        """Plan the first round."""
        self._cluster.queue.plan(0, self._begin_round)

    def get_shelf(self, replica: Replica, now_ns: int) -> PageShelf[PageBody] | None:
        """Return the pages of `replica` as known at `now_ns` [ns], None when none was asked for."""
        shelf = self._shelves.get(replica)
        if shelf is not None:
            shelf.settle(now_ns - self._delay_ns)
        return shelf

    def get_gateway_shelf(self, model: ModelKey, now_ns: int) -> PageShelf[GatewayPage] | None:
        """Return the pages of the gateway of `model` as known at `now_ns` [ns], None when it has none."""
        shelf = self._gateway_shelves.get(model)
        if shelf is not None:
            shelf.settle(now_ns - self._delay_ns)
        return shelf

    def _is_lost(self, now_ns: int, purpose: Purpose, *subject: int) -> bool:
        """Return whether what is asked for at `now_ns` [ns], in the present round, cannot be had."""
        if self._outages_ns and any(start_ns <= now_ns < end_ns for start_ns, end_ns in self._outages_ns):
            return True
        loss_ratio = self._options.loss_ratio
        if loss_ratio == 0.0:
            return False
        return make_stream(self._seed, purpose, self._round, *subject).random() < loss_ratio

    def _begin_round(self, now_ns: int, _: object) -> None:
        if now_ns >= self._cluster.end_ns:
            return
        queue = self._cluster.queue
        queue.plan(now_ns + to_ns(self._options.interval_s), self._begin_round)
        self._round += 1
        replicas = [
            replica
            for deployment in self._cluster.deployments.values()
            for replica in deployment.replicas.values()
            if replica.life in _PAGE_LIVES
        ]
        self._shelves = {replica: self._shelves.get(replica) or PageShelf() for replica in replicas}
        self._jitters_ns = {replica: self._get_jitter_ns(replica) for replica in replicas}
        for replica, jitter_ns in self._jitters_ns.items():
            queue.plan(now_ns + jitter_ns, self._read, replica)
        for number in self._gateways:
            jitter_ns = self._draw_jitter_ns(Purpose.GATEWAY, number)
            queue.plan(now_ns + jitter_ns, self._read_gateway, number)

    def _read(self, now_ns: int, replica: Replica) -> None:
        shelf = self._shelves.get(replica)
        if shelf is None or replica.engine is None:
            return
        shelf.settle(now_ns - self._delay_ns)
        if self._is_lost(now_ns, Purpose.PAGES, self._numbers[replica.key], replica.ordinal):
            self.lost_pages += 1
            shelf.put(Scraped(now_ns, None))
        elif (body := self._copy(now_ns, replica, shelf.last_body)) is not None:
            self.pages += 1
            shelf.put(Scraped(now_ns, body))

    def _read_gateway(self, now_ns: int, number: int) -> None:
        key = self._gateways[number]
        shelf, front = self._gateway_shelves[key], self._cluster.fronts[key]
        shelf.settle(now_ns - self._delay_ns)
        if self._is_lost(now_ns, Purpose.GATEWAY, number):
            self.lost_pages += 1
            shelf.put(Scraped(now_ns, None))
        else:
            self.pages += 1
            shelf.put(Scraped(now_ns, GatewayPage(front.arrived, front.held)))

    def _copy(self, now_ns: int, replica: Replica, last: PageBody | None) -> PageBody | None:
        """Return the page of `replica`, the last one if it has not changed; None where the replica is gone."""
        if last is not None and not replica.requests and last.is_of_idle(replica.engine):
            return last
        self._cluster.drive(replica, now_ns)
        engine = replica.engine
        if engine is None or replica.ready_ns is None:
            return None
        signature = sign(engine)
        if last is not None and last.signature == signature:
            return last
        form = self._forms[replica.key.namespace, replica.key.model_id]
        return PageBody(engine, form, to_s(replica.ready_ns), signature)

    def _get_jitter_ns(self, replica: Replica) -> int:
        known = self._jitters_ns.get(replica)
        if known is not None:
            return known
        return self._draw_jitter_ns(Purpose.JITTER, self._numbers[replica.key], replica.ordinal)

    def _draw_jitter_ns(self, purpose: Purpose, *subject: int) -> int:
        if self._options.jitter_s == 0.0:
            return 0
        return to_ns(self._options.jitter_s * make_stream(self._seed, purpose, *subject).random())
