"""Leader election by a Lease: one holder at a time, as long as clocks run at the same pace. It does not lead itself.

A holder renews the lease every `retry_s`. When it has not succeeded for `renew_s` it stops leading; when the others
have seen no renewal for `lease_s`, each by its own clock, one of them takes over. So leaders do not overlap while
``renew_s`` plus the time to stop is below `lease_s`. Times written into the lease are for people; nobody compares them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from adapter.clock import Clock
from adapter.errors import AdapterError, Conflict, NotFound
from adapter.kube.client import Json, KubeClient
from adapter.kube.patience import wait_within
from adapter.kube.resource import LEASES
from adapter.kube.wire_times import render_micro_time
from adapter.telemetry import log_event


@dataclass(frozen=True, slots=True)
class _Observation:
    """A lease, and when we first saw it so [s]."""

    lease: Json
    seen_s: float


class LeaderElector:
    """Takes part in the election of one leader.

    Parameters
    ----------
    namespace, name
        Of the Lease.
    identity
        Ours; differs between any two processes alive at the same time.
    lease_s
        Others wait that long after the last renewal they saw [s].
    renew_s
        A holder that could not renew for so long stops leading [s]; below `lease_s` by the time that stopping takes.
    retry_s
        Between two renewals, and between two looks at somebody else's lease [s].
    """

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        *,
        namespace: str,
        name: str,
        identity: str,
        lease_s: float = 12.0,
        renew_s: float = 8.0,
        retry_s: float = 2.0,
    ) -> None:
        self._client, self._clock = client, clock
        self._namespace, self._name, self._identity = namespace, name, identity
        self._lease_s, self._renew_s, self._retry_s = lease_s, renew_s, retry_s
        self._attempt_s = renew_s / 3  # so that a connection that hangs leaves time for another one
        self._observed: _Observation | None = None
        self._held_until_s: float | None = None
        self._failure: str | None = None
        self._heard_s = clock.now_s()
        self._last_gap_s = (self._heard_s, self._heard_s)

    @property
    def heard_s(self) -> float:
        """When the API told us of the lease last [s]; at first, when we began to ask."""
        return self._heard_s

    @property
    def last_gap_s(self) -> tuple[float, float]:
        """The last time between two answers that was longer than a holder may go without, from and to [s]."""
        return self._last_gap_s

    @property
    def is_leader(self) -> bool:
        """Whether we hold the lease at this very moment, by our own clock."""
        return self._held_until_s is not None and self._clock.now_s() < self._held_until_s

    @property
    def holder(self) -> str:
        """Identity of whoever held the lease when we looked last, "" for nobody."""
        return _get_holder(self._observed.lease) if self._observed else ""

    @property
    def failure(self) -> str | None:
        """Why we cannot take part in the election now, None while we can."""
        return self._failure

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Run `lead` as a task whenever the lease is ours, until it returns or this is canceled.

        When the lease is lost `lead` is canceled and awaited, then we stand for election again. When this is canceled,
        `lead` first finishes its own cleanup, during which the lease is still renewed; then the lease is given up.
        What `lead` raises is raised here, after the lease was given up.
        """
        while True:
            try:
                await self._acquire()
            except asyncio.CancelledError:
                await self._release()  # in case it became ours at the last moment
                raise
            log_event("leadership_gained", identity=self._identity)
            if await self._lead(lead):
                return

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> bool:
        """Lead until the lease is lost, or `lead` ends; return whether it ended by itself."""
        leading = asyncio.ensure_future(lead())
        renewing = asyncio.ensure_future(self._keep_renewing())
        is_canceled = False
        try:
            await asyncio.wait({leading, renewing}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            is_canceled = True
        is_finished = leading.done()
        is_canceled |= await _end(leading)  # the lease is renewed until the leader has cleaned up
        is_canceled |= await _end(renewing)
        log_event("leadership_ended", identity=self._identity, holder=self.holder)
        await self._release()
        for task in (leading, renewing):
            if not task.cancelled():
                task.result()
        if is_canceled:
            raise asyncio.CancelledError
        return is_finished

    async def _acquire(self) -> None:
        """Return once the lease is ours."""
        while True:
            wait_s = self._retry_s
            try:
                if await wait_within(self._clock, self._attempt_s, self._try_to_acquire()):
                    return
                wait_s = min(self._retry_s, max(self._get_free_s() - self._clock.now_s(), 0.0))
            except Conflict:
                pass  # somebody was faster
            except TimeoutError:
                self._report(f"no answer within {self._attempt_s:g} s")
            except AdapterError as failure:
                self._report(str(failure))
            await self._clock.sleep(wait_s)

    async def _try_to_acquire(self) -> bool:
        started_s = self._clock.now_s()
        try:
            self._observe(await self._client.get(LEASES, self._namespace, self._name))
        except NotFound:
            self._hold(await self._client.create(LEASES, self._namespace, self._make(None)), started_s)
            return True
        self._report(None)
        assert self._observed is not None
        lease = self._observed.lease
        if _get_holder(lease) not in ("", self._identity) and self._clock.now_s() < self._get_free_s():
            return False
        self._hold(await self._replace(self._make(lease)), started_s)
        return True

    async def _keep_renewing(self) -> None:
        """Renew until the lease is lost, or could not be renewed for too long."""
        wait_s = self._retry_s
        while self._held_until_s is not None:
            await self._clock.sleep(min(wait_s, self._held_until_s - self._clock.now_s()))
            left_s = self._held_until_s - self._clock.now_s()
            if left_s <= 0.0:
                self._held_until_s = None
                return
            wait_s = self._retry_s / 4  # after a failure every try counts
            try:
                await wait_within(self._clock, min(left_s, self._attempt_s), self._renew())
                wait_s = self._retry_s
            except TimeoutError:
                self._report(f"no answer within {min(left_s, self._attempt_s):g} s")
            except AdapterError as failure:
                self._report(str(failure))

    async def _renew(self) -> None:
        """Renew once; afterwards `_held_until_s` is None if the lease turned out to be somebody else's."""
        assert self._observed is not None
        started_s = self._clock.now_s()
        try:
            self._hold(await self._replace(self._make(self._observed.lease)), started_s)
            return
        except Conflict:
            lease = await self._client.get(LEASES, self._namespace, self._name)
        except NotFound:  # somebody deleted it: whoever makes it anew holds it
            self._hold(await self._client.create(LEASES, self._namespace, self._make(None)), started_s)
            return
        self._observe(lease)
        if _get_holder(lease) != self._identity:
            self._held_until_s = None
            return
        self._hold(await self._replace(self._make(lease)), started_s)

    async def _release(self) -> None:
        """Let others have the lease at once, if it is still ours."""
        is_ours, self._held_until_s = self.is_leader, None
        if not is_ours:
            return
        try:
            await wait_within(self._clock, self._lease_s - self._renew_s, self._give_up())
        except (AdapterError, TimeoutError) as failure:
            log_event("lease_not_released", level="warning", identity=self._identity, error=str(failure))

    async def _give_up(self) -> None:
        assert self._observed is not None
        lease = self._observed.lease
        try:
            self._observe(await self._replace(_empty(lease)))
        except Conflict:  # our last renewal came through, though we did not wait for its answer
            lease = await self._client.get(LEASES, self._namespace, self._name)
            if _get_holder(lease) == self._identity:
                lease = await self._replace(_empty(lease))
            self._observe(lease)

    async def _replace(self, lease: Json) -> Json:
        return await self._client.replace(LEASES, self._namespace, self._name, lease)

    def _hold(self, lease: Json, started_s: float) -> None:
        """Take note that the lease is ours; what counts is when we asked, for others may have seen it since then."""
        self._observe(lease)
        self._held_until_s = started_s + self._renew_s
        self._report(None)

    def _observe(self, lease: Json) -> None:
        before_s, self._heard_s = self._heard_s, self._clock.now_s()
        if self._heard_s - before_s > self._renew_s:
            self._last_gap_s = before_s, self._heard_s
        is_news = self._observed is None or _get_spec(self._observed.lease) != _get_spec(lease)
        seen_s = self._heard_s if is_news or self._observed is None else self._observed.seen_s
        self._observed = _Observation(lease, seen_s)

    def _get_free_s(self) -> float:
        """Return from when on [s] the observed lease may be taken from its holder."""
        assert self._observed is not None
        told_s = _get_spec(self._observed.lease).get("leaseDurationSeconds") or self._lease_s
        return self._observed.seen_s + float(told_s)

    def _make(self, present: Json | None) -> Json:
        """Return the lease as ours: `present` taken over or renewed, or a new one."""
        now = render_micro_time(self._clock.now_s())
        spec: dict[str, Any] = _get_spec(present) if present else {}
        if spec.get("holderIdentity") != self._identity:
            spec["leaseTransitions"] = spec.get("leaseTransitions", 0) + 1 if present else 0
            spec["acquireTime"] = now
        spec |= {"holderIdentity": self._identity, "renewTime": now, "leaseDurationSeconds": round(self._lease_s)}
        about = present["metadata"] if present else {"name": self._name, "namespace": self._namespace}
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": about, "spec": spec}

    def _report(self, failure: str | None) -> None:
        if failure == self._failure:
            return
        self._failure = failure
        if failure is not None:
            log_event("election_failed", level="warning", identity=self._identity, error=failure)


async def _end(task: asyncio.Future[None]) -> bool:
    """Cancel a task and wait until it has cleaned up, come what may; return whether we were canceled meanwhile."""
    task.cancel()
    is_canceled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            is_canceled = True
    return is_canceled


def _get_spec(lease: Json) -> Json:
    """Return a copy of what the lease says."""
    return dict(lease.get("spec") or {})


def _get_holder(lease: Json) -> str:
    return _get_spec(lease).get("holderIdentity") or ""


def _empty(lease: Json) -> Json:
    """Return the lease without a holder."""
    return {**lease, "spec": _get_spec(lease) | {"holderIdentity": "", "leaseDurationSeconds": 1}}
