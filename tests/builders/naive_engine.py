"""A token engine written the plain way, request by request and token by token, to compare the real one with.

It follows the text of the rules, shares no code with the engine, and is slow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

from optimizer.domain import IterationLaw
from optimizer.simulation import EngineLimits, EngineRequest


@dataclass(eq=False)
class NaiveRequest:
    request: EngineRequest
    computed: int = 0  # tokens whose KV is in the cache
    token_times_s: list[float] = field(default_factory=list)
    scheduled_s: float | None = None
    left_s: float | None = None
    preemptions: int = 0
    decodes: bool = False

    @property
    def target(self) -> int:
        return self.request.input_tokens + len(self.token_times_s)

    @property
    def is_done(self) -> bool:
        return len(self.token_times_s) == self.request.output_tokens


class NaiveEngine:
    """Plays requests and departures to the end; `requests` tells what became of each."""

    def __init__(self, law: IterationLaw, limits: EngineLimits) -> None:
        self.law, self.limits = law, limits
        self.requests: dict[str, NaiveRequest] = {}
        self.rejected: list[str] = []
        self.waiting: list[NaiveRequest] = []
        self.running: list[NaiveRequest] = []
        self.steps_s: list[tuple[float, float]] = []
        self.plan: list[tuple[NaiveRequest, int]] = []
        self.spent = 0
        self.preemptions = 0
        self.max_blocks = 0
        self.capacity = limits.kv_capacity_tokens // limits.block_tokens - 1

    def blocks(self, tokens: int) -> int:
        return ceil(tokens / self.limits.block_tokens)

    def used(self) -> int:
        return sum(self.blocks(request.computed) for request in self.running)

    def play(self, requests: list[EngineRequest], departures: dict[str, float]) -> None:
        happenings = [(request.arrival_s, 0, request) for request in requests]
        happenings += [(time_s, 1, name) for name, time_s in departures.items()]  # type: ignore[misc]
        happenings.sort(key=lambda happening: happening[0])
        end_s: float | None = None
        plan: list[tuple[NaiveRequest, int]] = []
        while happenings or end_s is not None:
            if end_s is not None and (not happenings or end_s <= happenings[0][0]):
                self.end(plan, end_s)
                plan, end_s = self.begin(end_s)
                continue
            time_s, kind, subject = happenings.pop(0)
            if kind == 0:
                self.arrive(subject)
            else:
                self.depart(str(subject), time_s)
            if end_s is None:
                plan, end_s = self.begin(time_s)

    def arrive(self, request: EngineRequest) -> None:
        limit = self.limits.max_queued_requests
        if limit is not None and len(self.waiting) + len(self.running) >= limit:
            self.rejected.append(request.request_id)
            return
        given = max(request.cached_tokens, request.transferred_tokens)
        naive = NaiveRequest(request, computed=min(given, request.input_tokens - 1))
        self.requests[request.request_id] = naive
        self.waiting.append(naive)

    def depart(self, name: str, time_s: float) -> None:
        naive = self.requests.get(name)
        if naive is not None and not naive.is_done:
            naive.left_s = time_s
            for place in (self.waiting, self.running):
                if naive in place:
                    place.remove(naive)

    def begin(self, time_s: float) -> tuple[list[tuple[NaiveRequest, int]], float | None]:
        """Decodes first, then prefills begun, then the queue; each needs its blocks, the last admitted gives way."""
        self.plan, self.spent, preemptions = [], 0, self.preemptions
        self.plan_decodes()
        for naive in [naive for naive in self.running if not naive.decodes]:
            self.plan_prefill(naive)
        if preemptions == self.preemptions:
            self.plan_queue(time_s)
        if not self.plan:
            return [], None
        assert self.used() <= self.capacity
        self.max_blocks = max(self.max_blocks, self.used())
        decoding = [naive for naive, _ in self.plan if naive.decodes]
        duration_s = (
            self.law.fixed_s
            + self.law.per_request_s * len(decoding)
            + self.law.per_context_token_s * sum(naive.target for naive in decoding)
            + self.law.per_prompt_token_s * sum(tokens for naive, tokens in self.plan if not naive.decodes)
        )
        self.steps_s.append((time_s, duration_s))
        return self.plan, time_s + duration_s

    def plan_decodes(self) -> None:
        def needed() -> int:
            return sum(self.blocks(naive.computed + naive.decodes) for naive in self.running)

        while needed() > self.capacity:
            self.preempt()
        for naive in self.running:
            if naive.decodes:
                self.plan.append((naive, 1))
                naive.computed += 1

    def plan_prefill(self, naive: NaiveRequest) -> None:
        tokens = min(self.budget(), naive.target - naive.computed)
        while naive in self.running and tokens:
            if self.used() - self.blocks(naive.computed) + self.blocks(naive.computed + tokens) <= self.capacity:
                self.plan.append((naive, tokens))
                naive.computed += tokens
                return
            budget = self.budget()
            self.preempt()
            self.spent += self.budget() - budget  # a place given up in this iteration is not used by another

    def plan_queue(self, time_s: float) -> None:
        while self.waiting and self.budget() and len(self.running) < self.limits.max_running_requests:
            naive = self.waiting[0]
            tokens = min(self.budget(), naive.target - naive.computed)
            if self.used() + self.blocks(naive.computed + tokens) > self.capacity:
                return
            self.running.append(self.waiting.pop(0))
            naive.scheduled_s = time_s if naive.scheduled_s is None else naive.scheduled_s
            naive.computed += tokens
            self.plan.append((naive, tokens))

    def budget(self) -> int:
        return self.limits.max_batched_tokens - self.spent - sum(tokens for _, tokens in self.plan)

    def preempt(self) -> None:
        victim = self.running.pop()
        self.plan = [(naive, tokens) for naive, tokens in self.plan if naive is not victim]
        victim.computed = min(victim.request.cached_tokens, victim.request.input_tokens - 1)
        victim.decodes = False
        victim.preemptions += 1
        self.preemptions += 1
        self.waiting.insert(0, victim)

    def end(self, plan: list[tuple[NaiveRequest, int]], end_s: float) -> None:
        for r, _ in plan:
            if r in self.running and r.computed == r.target:
                r.token_times_s.append(end_s)
                r.decodes = True
                if r.is_done:
                    self.running.remove(r)
