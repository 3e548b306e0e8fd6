"""The import law, as two tables: what each room may touch, and what a word of the outside world costs to touch."""

from __future__ import annotations

from dataclasses import dataclass

# --- The outside world ------------------------------------------------------------------------------------------------
# A dotted prefix -> the powers of which one is needed to touch it; the longest prefix decides.
POWERS_NEEDED: dict[str, frozenset[str]] = {
    prefix: frozenset(powers.split())
    for prefix, powers in {
        "aiohttp": "http_out",
        "aiohttp.web": "http_in",
        "aiohttp.hdrs": "http_in http_out",
        "aiohttp.typedefs": "http_in http_out",
        "multidict": "http_in http_out",
        "yarl": "http_in http_out",
        "ssl": "http_in http_out",
        "socket": "sockets",
        "yaml": "yaml",
        "kubernetes_asyncio": "kubernetes",
        "cryptography": "certificates",
        "prometheus_client": "prometheus",
        "numpy": "numpy",
        "scipy": "scipy",
        "logging": "logging",
        "asyncio": "async",
        "signal": "processes",
        "subprocess": "processes",
        "multiprocessing": "processes",
        "os.environ": "environment",
        "os.environb": "environment",
        "os.getenv": "environment",
        "os.putenv": "environment",
        # Time has one reader.
        "time": "time",
        "timeit": "time",
        "sched": "time",
        "datetime.datetime.now": "time",
        "datetime.datetime.today": "time",
        "datetime.datetime.utcnow": "time",
        "datetime.date.today": "time",
        # Modules brought in by name escape the law, so only the place that loads plugins may.
        "importlib.import_module": "plugins",
        "importlib.metadata": "plugins",
        # Chance comes from a stream that somebody seeded (see SEEDED), never from a hidden global one.
        "random": "nobody",
        "secrets": "nobody",
        "numpy.random": "nobody",
        "numpy.random.Generator": "numpy",
        # Nobody blocks the loop, and nobody shares memory between threads.
        "http.client": "nobody",
        "http.server": "nobody",
        "urllib.request": "nobody",
        "socketserver": "nobody",
        "threading": "nobody",
        "concurrent": "nobody",
    }.items()
}

# Constructors of seeded random streams: allowed when called with a seed.
SEEDED: dict[str, frozenset[str]] = {
    prefix: frozenset({power})
    for prefix, power in {
        "random.Random": "seeds",
        "numpy.random.default_rng": "seeds",
        "numpy.random.SeedSequence": "seeds",
        "numpy.random.PCG64": "seeds",
        "numpy.random.Philox": "seeds",
    }.items()
}

# What pure code may use of the standard library; everything else there does, or could do, something to the world.
PURE_STDLIB = frozenset(
    "__future__ abc array base64 bisect cmath collections copy dataclasses decimal difflib enum fractions functools "
    "hashlib heapq itertools json math numbers operator re statistics string struct textwrap types typing".split()
)

# Builtins that reach out of pure code.
IMPURE_BUILTINS = frozenset({"__import__", "breakpoint", "eval", "exec", "input", "open", "print"})


# --- Our own rooms ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Room:
    """One room of the house: a module or package, and what it may touch.

    Attributes
    ----------
    name
        Its dotted name; everything below a package is the same room.
    may_import
        Other rooms of ours.
    powers
        What it may touch of the outside world, as in `POWERS_NEEDED`.
    pure
        Whether it is held to `PURE_STDLIB` and has neither coroutines nor impure builtins.
    is_exact
        Whether only the module of this very name is meant, not what lies below.
    """

    name: str
    may_import: frozenset[str]
    powers: frozenset[str]
    pure: bool = False
    is_exact: bool = False


def _pure(name: str, may_import: tuple[str, ...] = (), powers: str = "numpy scipy", is_exact: bool = False) -> Room:
    return Room(name, frozenset(may_import), frozenset(powers.split()), pure=True, is_exact=is_exact)


def _world(name: str, may_import: tuple[str, ...] = (), powers: str = "", is_exact: bool = False) -> Room:
    return Room(name, frozenset(may_import), frozenset(powers.split()), is_exact=is_exact)


# optimizer: decide -> policy -> solver | stabilization | demand | routing -> queueing -> performance -> domain
_GROUND = ("optimizer.units", "optimizer.errors")
_DOMAIN = ("optimizer.domain", *_GROUND)
_PERFORMANCE = ("optimizer.performance", *_DOMAIN)
_QUEUEING = ("optimizer.queueing", *_PERFORMANCE)
_STEPS = ("optimizer.solver", "optimizer.stabilization", "optimizer.demand", "optimizer.routing")
_POLICY = (*_STEPS, *_QUEUEING)
_STATE = ("optimizer.policy", *_POLICY)
_DECIDING = ("optimizer.state", *_STATE)
_DECIDE = ("optimizer.deciding", *_DECIDING)
_EVIDENCE = ("optimizer.decide", *_DECIDE)
_TOP = ("optimizer.evidence", *_EVIDENCE)

# adapter: what lies below the siblings
_FLOOR = ("adapter.errors", "adapter.clock", "adapter")
_DOORS = ("optimizer", "optimizer.domain")
_SHELVES = ("adapter.config", "adapter.telemetry", "adapter.store", "adapter.inventory", "adapter.cluster")
_BELOW_SIBLINGS = (*_SHELVES, *_FLOOR, *_DOORS)
_DATA_ONLY = (*_SHELVES, *_FLOOR, "optimizer.domain")  # repeats what was decided: no computing
SIBLINGS = tuple(
    f"adapter.{name}"
    for name in "discovery collector external_metrics kube pages router profiling history demo".split()
)
_BELOW_CONTROLLER = (*SIBLINGS, *_BELOW_SIBLINGS)
_BELOW_COMPOSE = (
    "adapter.controller",
    "adapter.policies",
    "adapter.state_store",
    "adapter.merging",
    *_BELOW_CONTROLLER,
    "optimizer.simulation",
)
_BELOW_DOCTOR = ("adapter.merging", *_BELOW_CONTROLLER)
_BELOW_CLI = ("adapter.compose", "adapter.compose_demo", "adapter.doctor", "adapter.simulation", *_BELOW_COMPOSE)

ROOMS: tuple[Room, ...] = (
    _pure("optimizer.units", powers=""),
    _pure("optimizer.errors", powers=""),
    _pure("optimizer.domain", _GROUND, "numpy"),
    _pure("optimizer.performance", _DOMAIN),
    _pure("optimizer.queueing", _PERFORMANCE),
    _pure("optimizer.solver", _QUEUEING),
    _pure("optimizer.stabilization", _QUEUEING),
    _pure("optimizer.demand", _QUEUEING),
    _pure("optimizer.routing", _QUEUEING),
    _pure("optimizer.policy", _POLICY),
    _pure("optimizer.state", _STATE),
    _pure("optimizer.deciding", _DECIDING),
    _pure("optimizer.decide", _DECIDE),
    _pure("optimizer.evidence", _EVIDENCE),
    _pure("optimizer.simulation", _TOP, "numpy scipy seeds"),
    _pure("optimizer", _TOP, "", is_exact=True),
    _world("adapter", is_exact=True),
    _world("adapter.errors"),
    _world("adapter.clock", powers="time async"),
    _world("adapter.config", (*_FLOOR, *_DOORS), "yaml numpy"),
    _world("adapter.telemetry", (*_FLOOR, *_DOORS), "prometheus logging"),
    _world("adapter.store", (*_FLOOR, *_DOORS)),
    _world("adapter.state_store", (*_FLOOR, *_DOORS)),
    _world("adapter.policies", (*_FLOOR, *_DOORS), "plugins"),
    _world("adapter.inventory", (*_FLOOR, *_DOORS)),
    _world("adapter.cluster", ("adapter.inventory", *_FLOOR, *_DOORS)),
    _world("adapter.merging", ("adapter.config", "adapter.cluster", "adapter.inventory", *_FLOOR, *_DOORS)),
    _world("adapter.discovery", _BELOW_SIBLINGS, "http_out async logging"),
    _world("adapter.collector", _BELOW_SIBLINGS, "http_out async logging numpy seeds"),
    _world("adapter.external_metrics", _DATA_ONLY, "http_in async logging certificates"),
    _world("adapter.kube", _BELOW_SIBLINGS, "kubernetes http_out async logging environment"),
    _world("adapter.pages", _DATA_ONLY, "http_in async logging prometheus"),
    _world("adapter.router", _BELOW_SIBLINGS, "http_in http_out async logging numpy seeds prometheus"),
    _world("adapter.profiling", _BELOW_SIBLINGS, "http_out async logging numpy seeds"),
    _world("adapter.history", _BELOW_SIBLINGS, "async logging numpy"),
    _world(
        "adapter.demo",
        (*_BELOW_SIBLINGS, "optimizer.simulation"),
        "http_in http_out sockets async logging numpy seeds processes",
    ),
    _world("adapter.controller", _BELOW_CONTROLLER, "async logging"),
    _world(
        "adapter.compose",
        _BELOW_COMPOSE,
        "http_in http_out sockets async logging environment processes seeds numpy",
    ),
    _world(
        "adapter.compose_demo",
        ("adapter.compose", *_BELOW_COMPOSE),
        "http_in http_out sockets async logging environment processes seeds numpy",
    ),
    _world("adapter.doctor", _BELOW_DOCTOR, "async logging"),
    _world(
        "adapter.simulation",
        ("adapter.config", "adapter.errors", "adapter", *_DOORS, "optimizer.simulation"),
        "numpy seeds",
    ),
    _world("adapter.cli", _BELOW_CLI, "async logging environment processes"),
    _world("adapter.__main__", ("adapter.cli",)),
)

# --- Manners ----------------------------------------------------------------------------------------------------------
# The faces of the optimizer that the adapter may look at; what lies behind them is the optimizer's own business.
DOORS = frozenset(
    {
        "optimizer",
        "optimizer.domain",
        "optimizer.simulation",
        "optimizer.simulation.bounds",
        "optimizer.simulation.cluster",
        "optimizer.simulation.deciders",
    }
)

# Where an unforeseen failure is caught, each by one handler: the outermost loop, and around what somebody else wrote.
CATCH_ALL_PLACES = frozenset({"adapter.controller", "adapter.policies"})

VAGUE_NAMES = frozenset(
    "base bases common constant constants helper helpers interface interfaces manager managers misc util utils".split()
)
LONGEST_FILE_LINES = 400
