"""What moves a simulated event is whole numbers and single floats: no BLAS, and no exp, log or pow of whole arrays.

Such depend on the vector units of a machine. Sources are read, and reading them is tested.
"""

from __future__ import annotations

import ast

import pytest

from tests.architecture.sources import Source, find_references, read_tree

HARMLESS = (
    *("numpy.random", "numpy.typing", "numpy.array", "numpy.asarray", "numpy.broadcast_to"),
    *("numpy.int64", "numpy.float64", "numpy.ndarray", "numpy.dtype"),
)
"""Of numpy: chance, and columns that are made and read, never computed with."""
ROOMS = ("optimizer.simulation", "optimizer.performance", "optimizer.routing", "optimizer.policy.hpa_law")
BESIDE = ("optimizer.simulation.bounds", "optimizer.simulation.deciders", "optimizer.simulation.cluster.figures")
"""What runs after the last event, and those who decide; what they decide is compared from machine to machine."""


def is_within(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def find_faults(source: Source) -> list[str]:
    """Return what an event may not do, with its line."""
    found = []
    for reference in find_references(source):
        name = reference.name if not reference.is_import else (reference.name or reference.module)
        if is_within(name, ("scipy",)):
            found.append(f"{reference.line}: {name}")
        if is_within(name, ("numpy",)) and name != "numpy" and not is_within(name, HARMLESS):
            found.append(f"{reference.line}: {name}")
    for node in ast.walk(source.tree):
        operator = node.op if isinstance(node, ast.BinOp | ast.AugAssign) else None
        if isinstance(operator, ast.MatMult):
            found.append(f"{node.lineno}: @")  # type: ignore[attr-defined]
        if isinstance(operator, ast.Pow) and not (isinstance(node, ast.BinOp) and isinstance(node.left, ast.Constant)):
            found.append(f"{node.lineno}: ** of what is no constant")  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("dot", "matmul"):
            found.append(f"{node.lineno}: .{node.func.attr}()")
    return found


PATH = [
    source
    for source in read_tree("optimizer")
    if is_within(source.module, ROOMS) and not is_within(source.module, BESIDE)
]


@pytest.mark.parametrize("source", PATH, ids=lambda source: source.module)
def test_no_event_depends_on_vector_units(source: Source) -> None:
    assert not find_faults(source)


def test_the_engine_and_the_cluster_are_looked_at() -> None:
    modules = {source.module for source in PATH}
    assert {
        "optimizer.simulation.engine",
        "optimizer.simulation.cluster.front",
        "optimizer.routing.least_load",
    } < modules
    assert len(modules) > 40


@pytest.mark.parametrize(
    "text",
    [
        "def f(a, b): return a @ b",
        "def f(a, b):\n    a @= b",
        "def f(a): return a ** 0.5",
        "import numpy as np\ndef f(a): return np.exp(a)",
        "from numpy import log\ndef f(a): return log(a)",
        "import numpy as np\ndef f(a): return np.power(2.0, a)",
        "import numpy as np\ndef f(a): return np.linalg.norm(a)",
        "import numpy\ndef f(a): return numpy.einsum('i,i', a, a)",
        "def f(a, b): return a.dot(b)",
        "from scipy import special",
    ],
)
def test_what_does_is_found(text: str) -> None:
    assert find_faults(Source.of("optimizer.simulation.engine", text))


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as np\ndef f(seed): return np.random.default_rng(seed).random()",
        "import numpy as np\ndef f(a): return np.asarray(a, dtype=np.int64)",
        "def f(k): return 2.0 ** k",
        "import math\ndef f(a): return math.exp(a)",
    ],
)
def test_what_does_not_passes(text: str) -> None:
    assert not find_faults(Source.of("optimizer.simulation.engine", text))
