"""Two policies of our own: one looks at what every engine tells, the other at a series that it names itself."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from optimizer import FixedReplicas, ModelView, OptionReader, PolicyState, Proposal, Settings
from optimizer.domain import PodPhase, SignalSpec


class RequestsPerReplica:
    """As many replicas of each variant as give none more than so many requests, running or waiting."""

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[Proposal, PolicyState]:
        """Return the replicas wanted of each variant, and nothing to remember."""
        options = OptionReader(view.model.policy_options)
        target = options.number("requests_per_replica", 16.0, above=0.0)
        options.finish()  # raises, naming everything that is wrong: the LLM is then held
        wanted = {}
        for line in view.variants:
            ready = [pod for pod in line.state.pods if pod.phase is PodPhase.READY]
            pods = [pod for pod in ready if pod.running_requests is not None]
            requests = sum((pod.running_requests or 0.0) + (pod.waiting_requests or 0.0) for pod in pods)
            unseen = len(ready) - len(pods)  # a pod that serves and says nothing is no reason to do without it
            wanted[line.key] = max(ceil(requests / target) + unseen, 1)
        return FixedReplicas(wanted), {}


class KvCache:
    """As many replicas of each variant as fill their KV caches to a target, by a series that is asked for by name."""

    def list_signals(self, options: Mapping[str, object]) -> tuple[SignalSpec, ...]:
        """Return what to read of every pod's page: here the present value of one series."""
        reader = OptionReader(options)
        series = reader.text("series", "vllm:kv_cache_usage_perc")
        reader.number("target_ratio", 0.7, above=0.0, at_most=1.0)
        reader.finish()  # asked when the configuration is read: what is wrong is refused there
        return (SignalSpec("used", series),)

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[Proposal, PolicyState]:
        """Return the replicas wanted of each variant, and nothing to remember."""
        target_ratio = OptionReader(view.model.policy_options).number("target_ratio", 0.7)
        wanted = {}
        for line in view.variants:
            used = [signals.values["used"].value for signals in view.signals if signals.variant == line.key]
            known = [ratio for ratio in used if ratio is not None]
            unseen = max(line.state.ready_replicas - len(known), 0)
            wanted[line.key] = max(ceil(sum(known) / target_ratio) + unseen, 1)
        return FixedReplicas(wanted), {}
