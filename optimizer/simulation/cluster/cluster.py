"""The simulated cluster: deployments, devices and routers together, moved by one queue of events. It scales nothing."""

from __future__ import annotations

from optimizer.domain import ModelKey, VariantKey
from optimizer.errors import InvalidInput
from optimizer.simulation.cluster.deployment import Deployment
from optimizer.simulation.cluster.devices import DevicePool
from optimizer.simulation.cluster.events import EventQueue
from optimizer.simulation.cluster.front import Front, RequestLists
from optimizer.simulation.cluster.options import ClusterOptions
from optimizer.simulation.cluster.recorder import Recorder
from optimizer.simulation.cluster.replica import Replica
from optimizer.simulation.cluster.scenario import Scenario
from optimizer.simulation.cluster.site import Site
from optimizer.simulation.ticks import to_ns


class Cluster:
    """Everything that serves.

    Attributes
    ----------
    queue
        The future.
    recorder
        How requests ended.
    deployments
        By variant, in the order of the scenario.
    fronts
        By LLM, in the order of the scenario.
    end_ns
        The horizon [ns].
    """

    def __init__(self, scenario: Scenario, options: ClusterOptions, seed: int) -> None:
        self.queue = EventQueue()
        self.recorder = Recorder(scenario, keeps_requests=options.keeps_requests)
        self.end_ns = to_ns(scenario.horizon_s)
        self._requests = RequestLists(scenario.requests)
        site = Site(self.queue, options, seed, self.end_ns)
        self.fronts: dict[ModelKey, Front] = {
            model.key: Front(
                site,
                model,
                plants=scenario.plants,
                requests=self._requests,
                recorder=self.recorder,
                get_deployment=self._get_deployment,
            )
            for model in scenario.models
        }
        self._by_number = tuple(self.fronts.values())
        pools: dict[str, DevicePool] = {}
        for variant in scenario.variants.values():
            pools.setdefault(variant.accelerator, DevicePool(scenario.quota.get(variant.accelerator), options.start))
        self.deployments: dict[VariantKey, Deployment] = {}
        for key, variant in scenario.variants.items():
            watcher, pool = self.fronts[ModelKey(key.namespace, key.model_id)], pools[variant.accelerator]
            self.deployments[key] = Deployment(site, scenario, key, pool=pool, watcher=watcher, on_freed=self._fill)

    def open(self) -> None:
        """Make the initial replicas."""
        for deployment in self.deployments.values():
            deployment.open()

    def serve(self) -> None:
        """Let every request arrive in turn, then do what is still to come."""
        queue, fronts = self.queue, self._by_number
        models = self._requests.model
        for index, arrival_ns in enumerate(self._requests.arrival_ns):
            queue.run_until(arrival_ns)
            fronts[models[index]].arrive(arrival_ns, index)
        queue.run_out()
        for deployment in self.deployments.values():
            deployment.close()

    def scale(self, key: VariantKey, replicas: int, now_ns: int) -> None:
        """Request `replicas` of `key`, see `check_answer`, from `now_ns` [ns] on."""
        self.deployments[key].scale(replicas, now_ns)

    def check_answer(self, key: VariantKey, replicas: int) -> None:
        """Check that `replicas` of `key` can be asked for.

        Raises
        ------
        InvalidInput
            When there is no such variant, or the count is negative.
        """
        if key not in self.deployments:
            raise InvalidInput("answer", f"about one of {[one.variant for one in self.deployments]}", key)
        if replicas < 0:
            raise InvalidInput(f"replicas of {key.variant}", ">= 0 [replicas]", replicas)

    def drive(self, replica: Replica, now_ns: int) -> None:
        """Drive the engine of `replica`, if it has one, to `now_ns` [ns]."""
        self.fronts[ModelKey(replica.key.namespace, replica.key.model_id)].drive(now_ns, replica)

    def _get_deployment(self, replica: Replica) -> Deployment:
        return self.deployments[replica.key]

    def _fill(self, pool: DevicePool, now_ns: int) -> None:
        """Give free devices of `pool` to those who wait, the oldest first; who does not fit lets others pass."""
        sharing = [one for one in self.deployments.values() if one.pool is pool]
        waiting = [(replica, one) for one in sharing for replica in one.list_pending()]
        for replica, deployment in sorted(waiting, key=lambda entry: entry[0].created_ns):
            deployment.place(replica, now_ns)
