"""Which published cases tests are really run on: the names in their parameters, so that none is skipped unseen."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType


def list_run_cases(*modules: ModuleType | Mapping[str, object]) -> set[str]:
    """Return the ids of all cases that tests of `modules`, or of their globals, are parametrized with."""
    spaces = [vars(module) if isinstance(module, ModuleType) else module for module in modules]
    tests = [one for space in spaces for name, one in space.items() if name.startswith("test_")]
    marks = [mark for test in tests for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    return {case.id for mark in marks for case in mark.args[1] if getattr(case, "id", None) is not None}
