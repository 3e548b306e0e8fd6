"""The router of one LLM: every request finds a replica, or waits for one, or fails. It follows `optimizer.routing`.

With prefill and decode apart a request goes to a replica of role prefill for its first token, its KV cache travels, and
a replica of role decode computes the last prompt token anew and generates: what the client sees comes from there.

A request goes only where it fits; a replica that refuses it because its queue is full is not the last one tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from optimizer.domain import Role, ServedModel, VariantKey
from optimizer.simulation.cluster.deployment import Deployment
from optimizer.simulation.cluster.recorder import Recorder
from optimizer.simulation.cluster.replica import Life, Replica
from optimizer.simulation.cluster.result import Ending
from optimizer.simulation.cluster.scenario import Plant, Requests
from optimizer.simulation.cluster.site import Site
from optimizer.simulation.cluster.stage import Stage
from optimizer.simulation.request import EndedRequest, EngineRequest
from optimizer.simulation.ticks import to_ns, to_s


class RequestLists:
    """The columns of the requests as plain numbers: reading one of them is what a run does most."""

    __slots__ = ("arrival_ns", "cached_tokens", "input_tokens", "model", "output_tokens")

    def __init__(self, requests: Requests) -> None:
        self.arrival_ns: list[int] = requests.arrival_ns.tolist()
        self.input_tokens: list[int] = requests.input_tokens.tolist()
        self.output_tokens: list[int] = requests.output_tokens.tolist()
        self.cached_tokens: list[int] = requests.cached_tokens.tolist()
        self.model: list[int] = requests.model.tolist()


class Front:
    """The router of one LLM, and the driver of the engines behind it.

    Attributes
    ----------
    is_gateway
        Whether it counts and holds requests for all to see.
    arrived
        Requests that came.
    """

    def __init__(
        self,
        site: Site,
        model: ServedModel,
        *,
        plants: Mapping[VariantKey, Plant],
        requests: RequestLists,
        recorder: Recorder,
        get_deployment: Callable[[Replica], Deployment],
    ) -> None:
        self.is_gateway, self.arrived = model.has_gateway, 0
        options = site.options
        self._requests, self._options, self._queue, self._recorder = requests, options, site.queue, recorder
        self._get_deployment = get_deployment
        self._hold_ns = to_ns(options.hold_s) if model.has_gateway else 0
        self._entry, self._decode = Stage(options), Stage(options)
        self._held: dict[int, Stage] = {}
        keys = [variant.key(variant.main_role) for variant in model.variants]
        self._longest_tokens = [(key.role, plants[key].limits.max_request_tokens) for key in keys]

    @property
    def held(self) -> int:
        """Requests that wait here."""
        return len(self._held)

    def arrive(self, now_ns: int, index: int) -> None:
        """Take request `index` in."""
        self.arrived += 1
        self._route(now_ns, index, self._entry)

    def note_ready(self, replica: Replica, now_ns: int) -> None:
        """Send requests to `replica` as well, those that wait and fit first."""
        stage, requests = self._get_stage(replica), self._requests
        stage.add(replica)
        waiting = [
            index
            for index, wanted in self._held.items()
            if wanted is stage and replica.can_hold(requests.input_tokens[index], requests.output_tokens[index])
        ]
        for index in waiting:
            del self._held[index]
            self._route(now_ns, index, stage)

    def note_ending(self, replica: Replica, now_ns: int) -> None:
        """Send no more requests to `replica`."""
        del now_ns
        self._get_stage(replica).remove(replica)

    def note_killed(self, replica: Replica, now_ns: int) -> None:
        """Lose what `replica` still has."""
        self._collect(replica, now_ns)
        for index in replica.requests.values():
            self._recorder.fail(index, Ending.DROPPED)
        replica.requests.clear()

    def drive(self, now_ns: int, replica: Replica) -> None:
        """Drive the engine of `replica` to `now_ns` [ns] and plan when to do so next."""
        self._collect(replica, now_ns)
        if not replica.requests and replica.life is Life.DRAINING:
            self._get_deployment(replica).note_idle(replica, now_ns)
        self._plan_wake(replica)

    def _get_stage(self, replica: Replica) -> Stage:
        return self._decode if replica.key.role is Role.DECODE else self._entry

    def _route(self, now_ns: int, index: int, stage: Stage) -> None:
        input_tokens, output_tokens = self._requests.input_tokens[index], self._requests.output_tokens[index]
        tried: list[Replica] = []
        while len(tried) < self._options.max_attempts:
            replica = stage.choose(input_tokens, output_tokens, tried)
            if replica is None:
                break
            if replica.submit(index, self._make_request(now_ns, index, replica)):
                self._plan_wake(replica)
                return
            tried.append(replica)
        if tried:
            self._recorder.fail(index, Ending.REJECTED)
        elif self._is_too_long(input_tokens, output_tokens, stage):
            self._recorder.fail(index, Ending.TOO_LONG)
        else:
            self._hold(now_ns, index, stage)

    def _make_request(self, now_ns: int, index: int, replica: Replica) -> EngineRequest:
        """Return what `replica` is asked of request `index`; one of role decode has no prefix in a cache of its own."""
        requests, role = self._requests, replica.key.role
        input_tokens = requests.input_tokens[index]
        return EngineRequest(
            str(index),
            to_s(now_ns),
            input_tokens,
            1 if role is Role.PREFILL else requests.output_tokens[index],
            0 if role is Role.DECODE else requests.cached_tokens[index],
            transferred_tokens=input_tokens if role is Role.DECODE else 0,
        )

    def _is_too_long(self, input_tokens: int, output_tokens: int, stage: Stage) -> bool:
        """Return whether no variant of `stage` could hold such a request, had it replicas or not [tokens]."""
        return all(
            input_tokens + (1 if role is Role.PREFILL else output_tokens) > longest_tokens
            for role, longest_tokens in self._longest_tokens
            if (role is Role.DECODE) == (stage is self._decode)
        )

    def _hold(self, now_ns: int, index: int, stage: Stage) -> None:
        hold_ns = to_ns(self._options.hold_s) if stage is self._decode else self._hold_ns
        if hold_ns == 0:
            self._recorder.fail(index, Ending.UNSERVED)
            return
        self._held[index] = stage
        self._queue.plan(now_ns + hold_ns, self._give_up, (index, stage))

    def _give_up(self, now_ns: int, subject: tuple[int, Stage]) -> None:
        del now_ns
        index, stage = subject
        if self._held.get(index) is stage:
            del self._held[index]
            self._recorder.fail(index, Ending.UNSERVED)

    def _collect(self, replica: Replica, now_ns: int) -> None:
        """Drive `replica` and take what finished."""
        for index, ended in replica.drive(now_ns):
            if replica.key.role is Role.PREFILL:
                self._send(now_ns, index)
            else:
                self._finish(index, ended)

    def _send(self, now_ns: int, index: int) -> None:
        """Let the KV cache of request `index` travel."""
        transfer = self._options.kv_transfer
        bytes_ = self._requests.input_tokens[index] * transfer.bytes_per_token
        duration_s = transfer.latency_s + bytes_ / transfer.bandwidth_bytes_per_s
        self._queue.plan(now_ns + to_ns(duration_s), self._take_over, index)

    def _take_over(self, now_ns: int, index: int) -> None:
        self._route(now_ns, index, self._decode)

    def _finish(self, index: int, ended: EndedRequest) -> None:
        arrival_ns = self._requests.arrival_ns[index]
        first_token_s = ended.first_token_s
        assert first_token_s is not None
        ttft_s, ttlt_s = to_s(to_ns(first_token_s) - arrival_ns), to_s(to_ns(ended.end_s) - arrival_ns)
        self._recorder.finish(index, ttft_s, ended.itl_s or 0.0, ttlt_s)

    def _plan_wake(self, replica: Replica) -> None:
        due_ns = None if replica.engine is None else replica.engine.next_change_ns
        if due_ns is not None and (replica.wake_ns is None or due_ns < replica.wake_ns):
            replica.wake_ns = due_ns
            self._queue.plan(due_ns, self._wake, replica)

    def _wake(self, now_ns: int, replica: Replica) -> None:
        if replica.wake_ns == now_ns:
            replica.wake_ns = None
            self.drive(now_ns, replica)
