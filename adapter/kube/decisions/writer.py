"""What the leader tells everybody: one object per variant, written on change only, and a heartbeat at every pass.

It decides nothing, and goes on writing what it can when something of it cannot be written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from adapter.clock import Clock
from adapter.cluster import ClusterView, Trouble
from adapter.errors import AdapterError, Conflict, NotFound
from adapter.kube.client import Json, KubeClient
from adapter.kube.decisions.announcer import Announcer
from adapter.kube.decisions.beat import HeartbeatWriter
from adapter.kube.decisions.change import Change
from adapter.kube.decisions.claims import ClaimRegister
from adapter.kube.decisions.decode import decode_installation
from adapter.kube.decisions.installation import get_object_name
from adapter.kube.decisions.keeper import Kept, ObjectKeeper, Wish
from adapter.kube.decisions.many import take_turns, try_each
from adapter.kube.decisions.news import News, list_news
from adapter.kube.decisions.pace import WritePace
from adapter.kube.decisions.sweep import Sweep
from adapter.kube.decisions.watch import DecisionWatch
from adapter.kube.decisions.wishes import (
    Surroundings,
    Verdict,
    make_refusal,
    make_wish,
    refuse_claim,
)
from adapter.kube.events import EventWriter
from adapter.telemetry import log_event
from optimizer.domain import ModelDecision, ModelKey, WorkloadRef

Outcome: TypeAlias = Kept | AdapterError | None
"""What became of a wish: None means that there was nothing to do, or nothing that could not wait."""


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What became of one pass.

    Attributes
    ----------
    unchanged, written, deleted
        Objects: those that need no write, those that were written, those that nobody needed any more.
    refused
        Workloads that another installation decides about: nothing of ours may act on them.
    failures
        What could not be written, in one sentence each; the next pass tries again.
    """

    unchanged: int = 0
    written: int = 0
    deleted: int = 0
    refused: tuple[Trouble, ...] = ()
    failures: tuple[str, ...] = ()


class DecisionWriter:
    """Writes decisions; only the replica that decides may use it.

    Parameters
    ----------
    client, clock
        Writes, and tells how old claims are.
    watch
        Knows what stands there; somebody runs it.
    events
        Tells people of changes; None for no events.
    holder
        Name of this replica.
    """

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        watch: DecisionWatch,
        *,
        events: EventWriter | None = None,
        holder: str = "",
    ) -> None:
        self._watch, self._claims = watch, ClaimRegister(client, clock, watch.installation)
        self._keeper = ObjectKeeper(client, watch, self._claims)
        self._heartbeats = HeartbeatWriter(client, watch.installation, holder)
        self._announcer = Announcer(events, clock)
        self._pace, self._sweep = WritePace(), Sweep()
        self._failure: str | None = None

    async def find_refused(self, workloads: Iterable[WorkloadRef]) -> tuple[Trouble, ...]:
        """Return a trouble for each of `workloads` that another installation decides about, before any of them is
        decided about here: whoever leaves them out of a pass hands these troubles to `write` in its view.
        """
        refused = []
        async for workload in take_turns(workloads):
            present = self._keeper.find((workload.namespace, get_object_name(workload)))
            obstacle = None if present is None else await self._claims.find_obstacle(present)
            if obstacle is not None:
                refused.append(refuse_claim(workload, obstacle))
        return tuple(refused)

    async def write(
        self,
        decisions: tuple[ModelDecision, ...],
        view: ClusterView,
        *,
        following: Mapping[WorkloadRef, Verdict] | None = None,
        zeroed_by: Mapping[WorkloadRef, str] | None = None,
        now_s: float,
    ) -> WriteReport:
        """Bring every object to what was decided, and write the heartbeat; what cannot be written is in the report.

        Parameters
        ----------
        decisions
            All of this pass.
        view
            What the cluster told when it was made.
        following
            Whether each workload follows.
        zeroed_by
            Who put which workload to zero; None leaves what is recorded, {} clears it.
        now_s
            The time of writing [Unix s].
        """
        around = Surroundings(self._watch.installation, view, following or {}, zeroed_by, now_s)
        told, twice = await _make_wishes(decisions, around)
        outcomes = await self._keep_all([wish for _, wish in told], now_s)
        pairs = list(zip(told, outcomes, strict=True))
        refused = {
            wish.workload: (refuse_claim(wish.workload, outcome.obstacle), wish.head)
            for (_, wish), outcome in pairs
            if isinstance(outcome, Kept) and outcome.obstacle is not None
        }
        unwritten = {key for (key, _), outcome in pairs if isinstance(outcome, AdapterError)} | twice.keys()
        refusals = _list_refusals({wish.workload for _, wish in told}, refused, around)
        wishes = [*(wish for _, wish in told), *refusals]
        outcomes += await self._keep_all(refusals, now_s)
        removals = await self._clean_up({wish.place for wish in wishes}, view, now_s)
        failures = [entry for entry in (*twice.values(), *outcomes, *removals) if isinstance(entry, AdapterError)]
        failures += await self._beat(decisions, unwritten, now_s)
        self._log(wishes, outcomes, failures)
        troubles = tuple(trouble for trouble, _ in refused.values())
        await self._announcer.announce(_list_news(wishes, outcomes), (*view.troubles, *troubles), around.facts)
        return WriteReport(
            unchanged=sum(outcome is None for outcome in outcomes),
            written=sum(isinstance(outcome, Kept) and outcome.writes > 0 for outcome in outcomes),
            deleted=sum(entry is None for entry in removals),
            refused=troubles,
            failures=tuple(str(failure) for failure in failures),
        )

    async def record_zeroed(self, workload: WorkloadRef, by: str) -> None:
        """Record at once who puts `workload` to zero, "" for nobody any more: before that is done, so that whoever
        starts after a crash knows that it may be woken.

        Raises
        ------
        AdapterError
            When it cannot be recorded; NotFound where nothing is decided about the workload.
        """
        place = workload.namespace, get_object_name(workload)
        present = self._keeper.find(place)
        if present is None or decode_installation(present) != self._watch.installation:
            raise NotFound(f"there is no decision of ours about {workload.kind} {'/'.join(place)}")
        await self._keeper.keep(Wish(workload, _get_head(present), partial(_record_zeroed, by)))

    async def _keep_all(self, wishes: Sequence[Wish], now_s: float) -> list[Outcome]:
        """Bring every object to what is wanted, some at once, and give up when nobody answers."""
        outcomes: list[Outcome] = [None] * len(wishes)
        due = []
        async for index, wish in take_turns(enumerate(wishes)):
            change = self._keeper.judge(wish)
            if change is Change.FACTS or (change is Change.WORDS and self._pace.take(now_s)):
                due.append(index)
        done = await try_each(self._keeper.keep, [wishes[index] for index in due])
        for index, outcome in zip(due, done, strict=True):
            outcomes[index] = outcome
        return outcomes

    async def _clean_up(
        self, kept: Collection[tuple[str, str]], view: ClusterView, now_s: float
    ) -> list[AdapterError | None]:
        """Delete our objects that nobody needs, and return for each what went wrong, None for nothing."""
        ours = [
            item
            async for item in take_turns(self._watch.list_objects())
            if decode_installation(item) == self._watch.installation
        ]
        return await try_each(self._keeper.remove, self._sweep.find_needless(ours, kept, view, now_s))

    async def _beat(
        self, decisions: tuple[ModelDecision, ...], unwritten: Collection[ModelKey], now_s: float
    ) -> list[AdapterError]:
        told = {record.model_key for record in await self._watch.read_records()}
        try:
            await self._heartbeats.write(self._heartbeats.compose(decisions, unwritten, told, now_s))
        except AdapterError as failure:
            return [failure]
        return []

    def _log(self, wishes: Sequence[Wish], outcomes: Sequence[Outcome], failures: Sequence[AdapterError]) -> None:
        """Log whose objects became ours, and what cannot be written when that begins, changes, and ends."""
        for wish, outcome in zip(wishes, outcomes, strict=True):
            if isinstance(outcome, Kept) and outcome.inherited_from is not None:
                log_event("claim_inherited", object="/".join(wish.place), installation=str(outcome.inherited_from))
        failure = type(failures[0]).__name__ if failures else None
        if failure != self._failure:
            self._failure = failure
            if failure is None:
                log_event("decisions_written_again")
            else:
                log_event("decisions_not_written", level="warning", failures=len(failures), error=str(failures[0]))


async def _make_wishes(
    decisions: tuple[ModelDecision, ...], around: Surroundings
) -> tuple[list[tuple[ModelKey, Wish]], dict[ModelKey, AdapterError]]:
    """Return the objects of all decisions, and LLMs that decide about a workload which another one has already."""
    told, twice = dict[tuple[str, str], tuple[ModelKey, Wish]](), dict[ModelKey, AdapterError]()
    lines = ((model, line) for model in decisions for line in model.variants)
    async for model, line in take_turns(lines):
        wish = make_wish(model, line, around)
        if wish.place in told:
            who = f"{told[wish.place][0].model_id} and {model.key.model_id}"
            twice[model.key] = Conflict(f"VariantDecision {'/'.join(wish.place)}: {who} both decide; the first counts")
        else:
            told[wish.place] = (model.key, wish)
    return list(told.values()), twice


def _list_refusals(
    decided: Collection[WorkloadRef], refused: Mapping[WorkloadRef, tuple[Trouble, Json]], around: Surroundings
) -> list[Wish]:
    """Return the objects that tell which claims do not count: others were faster, or the cluster refuses them."""
    wishes = [make_refusal(workload, (trouble,), around, head) for workload, (trouble, head) in refused.items()]
    for workload, troubles in around.troubles.items():
        if workload not in decided and any(trouble.is_claim_refused for trouble in troubles):
            wishes.append(make_refusal(workload, troubles, around))
    return wishes


def _list_news(wishes: Sequence[Wish], outcomes: Sequence[Outcome]) -> list[tuple[WorkloadRef, News]]:
    return [
        (wish.workload, news)
        for wish, outcome in zip(wishes, outcomes, strict=True)
        if isinstance(outcome, Kept) and outcome.writes > 0 and "plannedReplicas" in outcome.after
        for news in list_news(outcome.before, outcome.after)
    ]


def _get_head(item: Json) -> Json:
    """Return an object as it is, without its status."""
    about = {"labels": {}, "ownerReferences": [], **item["metadata"]}
    return {**{name: value for name, value in item.items() if name != "status"}, "metadata": about}


def _record_zeroed(by: str, before: Json) -> Json:
    others = {name: value for name, value in before.items() if name != "zeroedBy"}
    return {**others, "zeroedBy": by} if by else others
