"""Reads pages in rounds: each pod at its own moment of a round, some pages lost, all of them known a while later.

It keeps of every pod only what is newest. Nothing is understood here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.domain import ModelKey
from optimizer.simulation.cluster.chance import Purpose, make_stream
from optimizer.simulation.cluster.cluster import Cluster
from optimizer.simulation.cluster.options import ScrapeOptions
from optimizer.simulation.cluster.page import PageBody, PageForm, sign
from optimizer.simulation.cluster.replica import Life, Replica
from optimizer.simulation.ticks import to_ns, to_s

_PAGE_LIVES = frozenset({Life.READY, Life.DRAINING})


@dataclass(frozen=True, slots=True, eq=False)
class Scraped:
    """A page that was asked for at `time_ns` [ns]; without `body` it could not be had."""

    time_ns: int
    body: PageBody | None


@dataclass(slots=True)
class PageShelf:
    """The pages of one pod.

    Attributes
    ----------
    newest, newest_good
        Of those that are known; None before the first.
    coming
        Asked for, not known yet.
    """

    newest: Scraped | None = None
    newest_good: Scraped | None = None
    coming: list[Scraped] = field(default_factory=list)
    _last_body: PageBody | None = None

    def put(self, page: Scraped) -> None:
        """Put a newer page on it."""
        self.coming.append(page)
        self._last_body = page.body or self._last_body

    def settle(self, known_ns: int) -> None:
        """Know what was asked for up to `known_ns` [ns]."""
        while self.coming and self.coming[0].time_ns <= known_ns:
            self.newest = self.coming.pop(0)
            if self.newest.body is not None:
                self.newest_good = self.newest

    @property
    def last_body(self) -> PageBody | None:
        """The newest body, known or not."""
        return self._last_body


class Scraper:
    """The rounds of one run.

    Attributes
    ----------
    pages, lost_pages
        Pages that were read, and that could not be had.
    """

    def __init__(self, cluster: Cluster, options: ScrapeOptions, forms: dict[ModelKey, PageForm], seed: int) -> None:
        self.pages = self.lost_pages = 0
        self._cluster, self._options, self._seed = cluster, options, seed
        self._forms = {(key.namespace, key.model_id): form for key, form in forms.items()}
        self._shelves: dict[Replica, PageShelf] = {}
        self._jitters_ns: dict[Replica, int] = {}
        self._delay_ns = to_ns(options.delay_s)
        self._outages_ns = [(to_ns(start_s), to_ns(end_s)) for start_s, end_s in options.outages_s]
        self._round = 0
        self._numbers = {key: number for number, key in enumerate(cluster.deployments)}

    def open(self) -> None:
        """Plan the first round."""
        self._cluster.queue.plan(0, self._begin_round)

    def get_shelf(self, replica: Replica, now_ns: int) -> PageShelf | None:
        """Return the pages of `replica` as known at `now_ns` [ns], None when none was asked for."""
        shelf = self._shelves.get(replica)
        if shelf is not None:
            shelf.settle(now_ns - self._delay_ns)
        return shelf

    def is_lost(self, now_ns: int, *subject: int) -> bool:
        """Return whether what is asked for at `now_ns` [ns], in the present round, cannot be had."""
        if any(start_ns <= now_ns < end_ns for start_ns, end_ns in self._outages_ns):
            return True
        loss_ratio = self._options.loss_ratio
        if loss_ratio == 0.0:
            return False
        return make_stream(self._seed, Purpose.PAGES, self._round, *subject).random() < loss_ratio

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

    def _read(self, now_ns: int, replica: Replica) -> None:
        shelf = self._shelves.get(replica)
        if shelf is None or replica.engine is None:
            return
        shelf.settle(now_ns - self._delay_ns)
        if self.is_lost(now_ns, self._numbers[replica.key], replica.ordinal):
            self.lost_pages += 1
            shelf.put(Scraped(now_ns, None))
        elif (body := self._copy(now_ns, replica, shelf.last_body)) is not None:
            self.pages += 1
            shelf.put(Scraped(now_ns, body))

    def _copy(self, now_ns: int, replica: Replica, last: PageBody | None) -> PageBody | None:
        """Return the page of `replica`, the last one if it has not changed; None where the replica is gone."""
        if last is not None and not replica.requests and last.is_of_idle(replica.engine):
            return last
        self._cluster.drive(replica, now_ns)
        engine = replica.engine
        if engine is None or replica.ready_ns is None:
            return None
        if last is not None and last.signature == sign(engine):
            return last
        return PageBody(engine, self._forms[replica.key.namespace, replica.key.model_id], to_s(replica.ready_ns))

    def _get_jitter_ns(self, replica: Replica) -> int:
        known = self._jitters_ns.get(replica)
        if known is not None or self._options.jitter_s == 0.0:
            return known or 0
        stream = make_stream(self._seed, Purpose.JITTER, self._numbers[replica.key], replica.ordinal)
        return to_ns(self._options.jitter_s * stream.random())
