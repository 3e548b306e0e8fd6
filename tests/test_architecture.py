"""The import law of the house: rooms, siblings, doors, powers over the outside world, manners. The tables are in
`tests/architecture/law.py`; the second half of this file tests the wall itself."""

from __future__ import annotations

import subprocess
import sys
from graphlib import TopologicalSorter
from textwrap import dedent

import pytest

from tests.architecture.law import DOORS, POWERS_NEEDED, ROOMS, SEEDED, SIBLINGS
from tests.architecture.sources import ROOT, Source, read_tree
from tests.architecture.wall import find_bad_manners, find_face_faults, find_room, find_violations

OURS = read_tree("optimizer", "adapter")
TESTS = read_tree("tests")
FACES = [source for source in OURS if source.module in DOORS]


def _violations_of(module: str, text: str) -> str:
    return "\n".join(str(violation) for violation in find_violations(Source.of(module, dedent(text))))


# --- The tree obeys ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("source", OURS, ids=lambda source: source.module)
def test_module_obeys_the_law(source: Source) -> None:
    assert not find_violations(source), "\n".join(str(violation) for violation in find_violations(source))


@pytest.mark.parametrize("source", TESTS, ids=lambda source: source.module)
def test_test_has_manners(source: Source) -> None:
    assert not find_bad_manners(source), "\n".join(str(violation) for violation in find_bad_manners(source))


@pytest.mark.parametrize("source", FACES, ids=lambda source: source.module)
def test_face_lists_what_it_shows_in_order(source: Source) -> None:
    assert not find_face_faults(source), "\n".join(str(fault) for fault in find_face_faults(source))


def test_both_houses_are_looked_at() -> None:
    assert {"optimizer", "optimizer.domain", "adapter", "adapter.clock"} <= {source.module for source in OURS}


def test_importing_the_optimizer_brings_neither_simulation_nor_adapter() -> None:
    program = (
        "import sys, optimizer; print(*(name for name in sys.modules if name.startswith(('optimizer', 'adapter'))))"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "optimizer" in loaded
    assert not [name for name in loaded if name.startswith(("optimizer.simulation", "adapter"))]


# --- The table is sound -----------------------------------------------------------------------------------------------
def test_rooms_have_different_names() -> None:
    assert len({room.name for room in ROOMS}) == len(ROOMS)


def test_rooms_import_only_rooms_that_exist() -> None:
    names = {room.name for room in ROOMS}
    assert {target for room in ROOMS for target in room.may_import} <= names


def test_rooms_hold_only_powers_that_mean_something() -> None:
    known = frozenset().union(*POWERS_NEEDED.values(), *SEEDED.values()) - {"nobody"}
    assert {power for room in ROOMS for power in room.powers} <= known


def test_rooms_import_in_one_direction_only() -> None:
    TopologicalSorter({room.name: room.may_import for room in ROOMS}).prepare()  # raises CycleError


def test_siblings_never_import_each_other() -> None:
    for room in ROOMS:
        if room.name in SIBLINGS:
            assert not room.may_import & set(SIBLINGS)


def test_the_optimizer_imports_nothing_of_the_adapter() -> None:
    for room in ROOMS:
        if room.name.startswith("optimizer"):
            assert not [target for target in room.may_import if not target.startswith("optimizer")]


@pytest.mark.parametrize(
    "power, holders",
    [
        ("time", {"adapter.clock"}),
        ("yaml", {"adapter.config"}),
        ("kubernetes", {"adapter.kube"}),
        ("prometheus", {"adapter.telemetry", "adapter.pages", "adapter.router"}),
        ("plugins", {"adapter.policies"}),
    ],
)
def test_power_has_no_other_holder(power: str, holders: set[str]) -> None:
    assert {room.name for room in ROOMS if power in room.powers} == holders


# --- The wall catches what is forbidden -------------------------------------------------------------------------------
FORBIDDEN = {
    # rooms
    "sibling imports sibling": ("adapter.collector.scrape", "import adapter.router.proxy"),
    "sibling imports sibling by name": ("adapter.pages.app", "from adapter.external_metrics.app import x"),
    "sibling imports sibling from the root": ("adapter.demo.load", "from adapter import router"),
    "sibling reached by attribute": ("adapter.demo.load", "import adapter\nadapter.router.serve()"),
    "sibling imported inside a function": ("adapter.kube.watch", "def f():\n    import adapter.collector"),
    "sibling imported for its types only": (
        "adapter.pages.app",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from adapter.collector import x",
    ),
    "shelf imports sibling": ("adapter.config.schema", "from adapter.discovery import x"),
    "shelf imports shelf": ("adapter.store", "from adapter.telemetry import x"),
    "clock imports anything": ("adapter.clock", "from adapter.config import x"),
    "sibling imports controller": ("adapter.discovery.file", "from adapter.controller import x"),
    "controller imports compose": ("adapter.controller", "from adapter.compose import x"),
    "compose imports cli": ("adapter.compose", "from adapter.cli import main"),
    "optimizer imports adapter": ("optimizer.decide", "from adapter.clock import Clock"),
    "a room nobody knows": ("adapter.gadgets", "x = 1"),
    "an optimizer room nobody knows": ("optimizer.gadgets.one", "x = 1"),
    "importing a room nobody knows": ("adapter.pages.app", "import adapter.gadgets"),
    "room with the beginning of a name": ("adapter.storeroom", "x = 1"),
    # doors
    "behind the door": ("adapter.collector.window", "from optimizer.demand import compute_window"),
    "behind the door of the domain": ("adapter.store", "from optimizer.domain.variant import Variant"),
    "module through the door of the domain": ("adapter.store", "from optimizer.domain import variant"),
    "behind the door by attribute": ("adapter.controller", "import optimizer\noptimizer.solver.solve()"),
    "behind the door from the root": ("adapter.controller", "from optimizer import units"),
    "module of decide instead of its function": ("adapter.controller", "from optimizer.decide import decide"),
    "module of decide imported": ("adapter.controller", "import optimizer.decide"),
    "simulation outside the demo": ("adapter.collector.read", "from optimizer.simulation import Engine"),
    "deciding in pages": ("adapter.pages.app", "from optimizer import decide"),
    "deciding in the external metrics API": ("adapter.external_metrics.app", "import optimizer"),
    # layers of the optimizer
    "decide imports simulation": ("optimizer.decide", "from optimizer.simulation import Engine"),
    "facade shows simulation": ("optimizer", "from optimizer.simulation import Engine"),
    "evidence imports simulation": ("optimizer.evidence", "import optimizer.simulation"),
    "solver imports policy": ("optimizer.solver.milp", "from optimizer.policy.slo import x"),
    "solver imports stabilization": ("optimizer.solver.milp", "from optimizer.stabilization import x"),
    "performance imports queueing": ("optimizer.performance.law", "from optimizer.queueing import x"),
    "domain imports performance": ("optimizer.domain.variant", "from optimizer.performance import x"),
    "units import errors": ("optimizer.units", "from optimizer.errors import InvalidInput"),
    "inner room imports the facade": ("optimizer.queueing.law", "from optimizer import x"),
    "policy imports decide": ("optimizer.policy.slo", "from optimizer.decide import decide"),
    # the outside world
    "optimizer logs": ("optimizer.decide", "import logging"),
    "optimizer reads the environment": ("optimizer.solver.milp", "import os"),
    "optimizer reads files": ("optimizer.performance.table", "from pathlib import Path"),
    "optimizer opens a file": ("optimizer.performance.table", "open('x')"),
    "optimizer prints": ("optimizer.decide", "print(1)"),
    "optimizer is asynchronous": ("optimizer.decide", "async def f(): pass"),
    "optimizer imports asyncio": ("optimizer.simulation.engine", "import asyncio"),
    "optimizer has threads": ("optimizer.simulation.engine", "from threading import Thread"),
    "optimizer keeps a global": ("optimizer.solver.milp", "def f():\n    global x\n    x = 1"),
    "optimizer knows the date": ("optimizer.demand.forecast", "from datetime import datetime"),
    "optimizer uses a foreign package": ("optimizer.solver.milp", "import yaml"),
    "domain uses scipy": ("optimizer.domain.plan", "import scipy.optimize"),
    "random numbers": ("optimizer.simulation.engine", "import random"),
    "random numbers of numpy": ("optimizer.simulation.engine", "import numpy as np\nnp.random.rand(3)"),
    "random numbers of numpy by name": ("optimizer.simulation.engine", "from numpy.random import rand"),
    "random module of numpy by name": ("optimizer.simulation.engine", "from numpy import random"),
    "stream without a seed": ("optimizer.simulation.engine", "import numpy as np\nnp.random.default_rng()"),
    "stream seeded with None": ("adapter.demo.load", "import numpy as np\nnp.random.default_rng(None)"),
    "stream made outside the simulation": ("optimizer.queueing.law", "import numpy as np\nnp.random.default_rng(1)"),
    "random numbers in the adapter": ("adapter.collector.scrape", "from random import uniform"),
    "random.Random without a seed": ("adapter.collector.scrape", "from random import Random\nRandom()"),
    "time": ("adapter.collector.scrape", "import time"),
    "time by name": ("adapter.telemetry.log", "from time import monotonic"),
    "time of the event loop": ("adapter.router.proxy", "import asyncio\nasyncio.get_running_loop().time()"),
    "time of a loop in hand": ("adapter.controller", "def f(loop):\n    return loop.time()"),
    "date of today": ("adapter.pages.app", "from datetime import date\ndate.today()"),
    "datetime.now": ("adapter.external_metrics.wire", "from datetime import UTC, datetime\ndatetime.now(UTC)"),
    "datetime.now in full": ("adapter.pages.app", "import datetime\ndatetime.datetime.now()"),
    "datetime.now by alias": ("adapter.pages.app", "import datetime as dt\ndt.datetime.utcnow()"),
    "yaml outside the configuration": ("adapter.discovery.file", "import yaml"),
    "Kubernetes outside its room": ("adapter.collector.pods", "from kubernetes_asyncio import client"),
    "reading pages with prometheus_client": ("adapter.collector.read", "import prometheus_client"),
    "aiohttp in the controller": ("adapter.controller", "import aiohttp"),
    "aiohttp in the configuration": ("adapter.config.decode", "from aiohttp import ClientSession"),
    "collector serves": ("adapter.collector.gateway", "from aiohttp import web"),
    "collector serves by attribute": ("adapter.collector.gateway", "import aiohttp\naiohttp.web.Application()"),
    "pages call out": ("adapter.pages.app", "from aiohttp import ClientSession, web"),
    "external metrics API calls out": ("adapter.external_metrics.app", "import aiohttp"),
    "pages compute": ("adapter.pages.app", "import numpy"),
    "environment in a room": ("adapter.collector.scrape", "import os\nos.environ['TOKEN']"),
    "environment by name": ("adapter.config.decode", "from os import getenv"),
    "processes in a room": ("adapter.router.proxy", "import subprocess"),
    "blocking HTTP": ("adapter.discovery.http", "import urllib.request"),
    "threads": ("adapter.controller", "from concurrent.futures import ThreadPoolExecutor"),
    "modules by name": ("adapter.cli", "import importlib\nimportlib.import_module('x')"),
    "a package nobody knows": ("adapter.collector.scrape", "import httpx"),
    "tests in the product": ("adapter.demo.load", "from tests.fakes import x"),
    # failures
    "except Exception": ("adapter.collector.scrape", "try:\n    x\nexcept Exception:\n    pass"),
    "bare except": ("adapter.collector.scrape", "try:\n    x\nexcept:\n    pass"),
    "BaseException among others": ("adapter.kube.watch", "try:\n    x\nexcept (OSError, BaseException):\n    pass"),
    "suppress(Exception)": ("adapter.cli", "import contextlib\nwith contextlib.suppress(Exception):\n    x"),
    "second catch-all in the controller": (
        "adapter.controller",
        "try:\n    x\nexcept Exception:\n    pass\ntry:\n    y\nexcept Exception:\n    pass",
    ),
    # manners
    "relative import": ("adapter.collector.scrape", "from . import read"),
    "relative import from above": ("adapter.collector.scrape", "from ..clock import Clock"),
    "module called utils": ("adapter.collector.utils", "x = 1"),
    "package called common": ("adapter.demo.common.engine", "x = 1"),
    "module called _helpers": ("optimizer.solver._helpers", "x = 1"),
    "file too long": ("adapter.store", "x = 1\n" * 401),
}

ALLOWED = {
    "sibling uses shelves and floor": (
        "adapter.collector.scrape",
        """
        import asyncio
        import aiohttp
        from adapter import __version__
        from adapter.clock import Clock
        from adapter.config import Config
        from adapter.errors import Unreachable
        from optimizer import compute_window
        from optimizer.domain import PodReading
        """,
    ),
    "modules of one room": ("adapter.collector.scrape", "from adapter.collector.exposition import parse_page"),
    "controller joins the siblings": (
        "adapter.controller",
        "from adapter.collector import x\nfrom adapter.pages import y\nfrom optimizer import decide\ndecide(x, y)",
    ),
    "decide by attribute": ("adapter.controller", "import optimizer\noptimizer.decide(1)"),
    "one catch-all in the controller": ("adapter.controller", "try:\n    x\nexcept Exception:\n    pass"),
    "compose joins router and demo": ("adapter.compose", "from adapter.demo import x\nfrom adapter.router import y"),
    "packages bring policies": ("adapter.policies", "from importlib.metadata import entry_points"),
    "clock reads time": ("adapter.clock", "import asyncio, time\ntime.monotonic()\nasyncio.get_event_loop().time()"),
    "dates without the present": (
        "adapter.external_metrics.wire",
        "from datetime import UTC, datetime\ndatetime.fromtimestamp(0, UTC)",
    ),
    "pages serve": (
        "adapter.pages.app",
        "from aiohttp import web\nfrom aiohttp.typedefs import Handler\nweb.Response()",
    ),
    "demo serves, calls and simulates": (
        "adapter.demo.engine_server",
        "import aiohttp\nfrom aiohttp import web\nfrom optimizer.simulation import Engine\naiohttp.ClientSession",
    ),
    "path of the operating system": ("adapter.cli", "import os\nos.path.join('a', 'b')"),
    "files of the package": ("adapter.demo.trace", "from importlib.resources import files\nfiles('adapter.demo')"),
    "seeded stream in the simulation": ("optimizer.simulation.engine", "import numpy as np\nnp.random.default_rng(7)"),
    "type of a stream handed in": (
        "optimizer.demand.forecast",
        "import numpy as np\ndef f(rng: np.random.Generator) -> float:\n    return rng.random()",
    ),
    "seeded stream in the adapter": ("adapter.collector.scrape", "from random import Random\nRandom('pod')"),
    "optimizer uses what is pure": (
        "optimizer.solver.milp",
        "import math\nfrom dataclasses import dataclass\nimport numpy as np\nfrom scipy.optimize import milp",
    ),
    "decide stands on the layers below": (
        "optimizer.decide",
        "from optimizer.policy.slo import x\nfrom optimizer.state import y\nfrom optimizer.domain.plan import z",
    ),
    "simulation stands on everything": ("optimizer.simulation.bounds", "from optimizer.evidence import x"),
    "narrow except": ("adapter.collector.scrape", "try:\n    x\nexcept (OSError, ValueError):\n    pass"),
    "narrow suppress": ("adapter.cli", "import contextlib\nwith contextlib.suppress(KeyError):\n    x"),
    "file of the greatest length": ("adapter.store", "x = 1\n" * 400),
}


@pytest.mark.parametrize("module, text", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_wall_catches(module: str, text: str) -> None:
    assert _violations_of(module, text)


@pytest.mark.parametrize("module, text", ALLOWED.values(), ids=ALLOWED.keys())
def test_wall_lets_pass(module: str, text: str) -> None:
    assert _violations_of(module, text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "from optimizer.a import Aa",
        "from optimizer.a import Aa\n__all__ = []",
        "from optimizer.a import Aa\n__all__ = ['Aa', 'Bb']",
        "from optimizer.a import Aa, Bb\n__all__ = ['Bb', 'Aa']",
        "from optimizer.a import Aa, f\n__all__ = ['f', 'Aa']",
        "from optimizer.a import Aa\n__all__ = ['Aa', 'Aa']",
    ],
)
def test_wall_catches_a_face_that_does_not_list_what_it_shows(text: str) -> None:
    assert find_face_faults(Source.of("optimizer", text))


def test_wall_lets_a_sorted_face_pass() -> None:
    text = "from optimizer.a import Aa, Bb, LIMIT, f\n__all__ = ['LIMIT', 'Aa', 'Bb', 'f']"
    assert not find_face_faults(Source.of("optimizer", text))


def test_violation_names_module_line_and_reason() -> None:
    expected = "adapter.pages.app:2: adapter.pages may not touch time (needs time)"
    assert expected in _violations_of("adapter.pages.app", "x = 1\nimport time")


def test_modules_below_a_package_belong_to_its_room() -> None:
    room = find_room("adapter.collector.engines.vllm")
    assert room is not None
    assert room.name == "adapter.collector"
