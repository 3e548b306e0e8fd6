"""The router of one LLM: every request finds a replica, or waits for one, or fails. It follows `optimizer.routing`.

With prefill and decode apart a request goes to a replica of role prefill for its first token, its KV cache travels, and
a replica of role decode computes the last prompt token anew and generates: what the client sees comes from there.
"""

from __future__ import annotations

from collections.abc import Callable

from optimizer.domain import Role, ServedModel
from optimizer.simulation.cluster.deployment import Deployment
from optimizer.simulation.cluster.recorder import Recorder
from optimizer.simulation.cluster.replica import Life, Replica
from optimizer.simulation.cluster.result import Ending
from optimizer.simulation.cluster.scenario import Requests
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
    arrived
        Requests that came.
    """

    def __init__(
        self,
        site: Site,
        model: ServedModel,
        *,
        requests: RequestLists,
        recorder: Recorder,
        get_deployment: Callable[[Replica], Deployment],
    ) -> None:
        self.arrived = 0
        options = site.options
        self._requests, self._options, self._queue, self._recorder = requests, options, site.queue, recorder
        self._get_deployment = get_deployment
        self._hold_ns = to_ns(options.hold_s) if model.has_gateway else 0
        self._entry, self._decode = Stage(options), Stage(options)
        self._held: dict[int, Stage] = {}

    @property
    def held(self) -> int:
        """Requests that wait here."""
        return len(self._held)

    def arrive(self, now_ns: int, index: int) -> None:
        """Take request `index` in."""
        self.arrived += 1
        self._route(now_ns, index, self._entry)

    def note_ready(self, replica: Replica, now_ns: int) -> None:
        """Send requests to `replica` as well, those that wait first."""
        stage = self._get_stage(replica)
        stage.add(replica)
        waiting = [index for index, wanted in self._held.items() if wanted is stage]
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
        if not stage.replicas:
            self._hold(now_ns, index, stage)
            return
        input_tokens, output_tokens = self._requests.input_tokens[index], self._requests.output_tokens[index]
        replica = stage.choose(input_tokens)
        assert replica.engine is not None
        cached_tokens = self._requests.cached_tokens[index]
        if stage is self._decode:
            cached_tokens = input_tokens - 1
        elif replica.key.role is Role.PREFILL:
            output_tokens = 1
        if input_tokens + output_tokens > replica.engine.max_request_tokens:
            self._recorder.fail(index, Ending.TOO_LONG)
            return
        request = EngineRequest(str(index), to_s(now_ns), input_tokens, output_tokens, cached_tokens)
        if replica.submit(index, request):
            self._plan_wake(replica)
        else:
            self._recorder.fail(index, Ending.REJECTED)

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
        assert ended.first_token_s is not None
        ttft_s, ttlt_s = to_s(to_ns(ended.first_token_s) - arrival_ns), to_s(to_ns(ended.end_s) - arrival_ns)
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
