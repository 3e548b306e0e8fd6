"""One scenario, one decider, one seed: a run. Equal arguments give equal bytes, in every process and on every machine.

Nothing here reads a clock, and what a decider is shown comes from scraped pages and a gateway's counters.
"""

from __future__ import annotations

from optimizer.domain import VariantKey
from optimizer.errors import InvalidInput
from optimizer.simulation.cluster.cluster import Cluster
from optimizer.simulation.cluster.collecting import Collecting
from optimizer.simulation.cluster.options import ClusterOptions
from optimizer.simulation.cluster.result import SimulationResult, VariantFigures
from optimizer.simulation.cluster.scenario import Scenario
from optimizer.simulation.cluster.steering import Steering
from optimizer.simulation.decider import Decider


def simulate(
    scenario: Scenario, decider: Decider, options: ClusterOptions | None = None, seed: int = 0
) -> SimulationResult:
    """Return what becomes of `scenario` when `decider` scales it.

    Parameters
    ----------
    scenario
        Requests, fleet and truth.
    decider
        Fresh: it keeps the memory of one run.
    options
        How the cluster behaves; None means the defaults.
    seed
        Of all chance, >= 0. Chance does not depend on the decider: replicas of equal number start equally long.

    Raises
    ------
    InvalidInput
        When the seed is negative, or the decider asks for what cannot be.
    """
    if seed < 0:
        raise InvalidInput("seed", ">= 0", seed)
    options = options or ClusterOptions()
    cluster = Cluster(scenario, options, seed)
    collecting = Collecting(scenario, cluster, decider, options, seed)
    steering = Steering(cluster, decider, options, seed, collecting.look)
    cluster.open()
    collecting.open()
    steering.open()
    cluster.serve()
    return SimulationResult(
        scenario=scenario,
        seed=seed,
        columns=cluster.recorder.to_columns(),
        histograms=cluster.recorder.to_histograms(),
        endings=cluster.recorder.to_endings(),
        classes=cluster.recorder.to_classes(),
        variants=_to_variants(scenario, cluster),
        decisions=tuple(steering.changes),
        steps=steering.steps,
        pages=collecting.pages,
        lost_pages=collecting.lost_pages,
    )


def _to_variants(scenario: Scenario, cluster: Cluster) -> dict[VariantKey, VariantFigures]:
    return {
        key: VariantFigures(one.series, scenario.get_cost_per_hour(key), one.billed_ns, one.created, one.failed_starts)
        for key, one in cluster.deployments.items()
    }
