"""What a demo plays, and the plan both of its processes work from. Data and its JSON form; no I/O."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from adapter.clock import ScaledClock
from adapter.demo.catalog import MODEL_NAMES, CatalogOptions
from adapter.demo.scenarios import ScenarioName
from adapter.errors import BadDocument


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a demo plays.

    Attributes
    ----------
    scenario
        The story of traffic.
    models
        Nicknames of the LLMs that are asked.
    seed
        Of arrivals, lengths and engines.
    duration_s
        Length of the demo [s of its clock]; None means until it is stopped.
    speed
        How much faster than the wall its clock runs, > 0.
    startup_s
        Creation to ready of a replica [s].
    hpa_sync_s
        Time between two looks of the stand-in HPA [s].
    scrape_interval_s
        Time between two passes of the autoscaler, each of which reads every page [s].
    calm_window_s
        How long the need must stay below before a lower number is published [s].
    page_port
        Where the autoscaler's pages are wanted; a free port is taken when it is not to be had.
    router_port
        Where the router listens; 0 takes a free one.
    policy
        Who proposes replicas.
    policy_options
        What it is told, as JSON; "" for what suits the demo.
    has_gateway
        Whether the autoscaler is told of the router's own counters.
    prices_file
        Price sheet, "" for the packaged one.
    """

    scenario: ScenarioName = ScenarioName.TRACE
    models: tuple[str, ...] = MODEL_NAMES
    seed: int = 1
    duration_s: float | None = None
    speed: float = 1.0
    startup_s: float = 10.0
    hpa_sync_s: float = 15.0
    scrape_interval_s: float = 15.0
    calm_window_s: float = 60.0
    page_port: int = 8080
    router_port: int = 0
    policy: str = "slo"
    policy_options: str = ""
    has_gateway: bool = True
    prices_file: str = ""

    def to_catalog_options(self) -> CatalogOptions:
        """Return what the catalog is asked for."""
        goes_to_zero = self.scenario is ScenarioName.ZERO and self.has_gateway
        return CatalogOptions(
            startup_s=self.startup_s,
            policy=self.policy,
            min_replicas=0 if goes_to_zero else 1,
            idle_to_zero_s=60.0,
        )


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What the process of the fleet is started with: the options, and the clock everybody shares."""

    options: DemoOptions
    clock: ScaledClock


def encode_plan(plan: FleetPlan) -> str:
    """Return the JSON text of `plan`."""
    clock = [plan.clock.start_s, plan.clock.speed, plan.clock.wall_start_s]
    return json.dumps({"options": asdict(plan.options), "clock": clock})


def decode_plan(text: str) -> FleetPlan:
    """Return the plan that `encode_plan` wrote.

    Raises
    ------
    BadDocument
        When the text is none.
    """
    try:
        document = json.loads(text)
        given = {field.name: document["options"][field.name] for field in fields(DemoOptions)}
        given["scenario"], given["models"] = ScenarioName(given["scenario"]), tuple(given["models"])
        return FleetPlan(DemoOptions(**given), ScaledClock(*document["clock"]))
    except (KeyError, TypeError, ValueError) as cause:
        raise BadDocument(f"plan of the fleet cannot be read: {type(cause).__name__}: {cause}") from cause
