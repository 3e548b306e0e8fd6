"""Policies of packages: how they are found, refused and kept from doing harm."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapter.errors import Refused
from adapter.policies import ForeignPolicy, load_policies
from optimizer import BUILT_IN_POLICIES, FixedReplicas, InvalidInput, OptionsChecker, Policy, SignalReader
from optimizer.domain import VariantKey
from tests.builders.installed_package import install_package

MODULE = """
from optimizer import FixedReplicas

class Two:
    def propose(self, view, state, now_s, settings):
        return FixedReplicas({}), {"passes": state.get("passes", 0) + 1}

MADE = Two()

class Nothing:
    pass

class Needy:
    def __init__(self, options):
        pass
"""


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Any]:
    """Return what installs a package with entry points into `MODULE` or another one."""
    with ExitStack() as stack:

        def install(name: str, entries: Mapping[str, str], text: str = MODULE) -> None:
            modules = {name.replace("-", "_"): text}
            stack.enter_context(install_package(tmp_path / name, name, entries, modules))

        yield install


def get_refusal() -> str:
    with pytest.raises(Refused) as refusal:
        load_policies()
    return str(refusal.value)


def test_without_packages_there_are_the_built_in_policies() -> None:
    assert load_policies() == BUILT_IN_POLICIES


@pytest.mark.parametrize("value", ["own:Two", "own:MADE"])
def test_a_class_and_an_object_are_both_policies(packages: Any, value: str) -> None:
    packages("own", {"two": value})
    policies = load_policies()
    assert set(policies) == {*BUILT_IN_POLICIES, "two"}
    proposal, memory = call(policies["two"])
    assert (proposal, memory) == (FixedReplicas({}), {"passes": 1})


@pytest.mark.parametrize(
    "value, text, why",
    [
        ("own:Absent", MODULE, "cannot be loaded: AttributeError: module 'own' has no attribute 'Absent'"),
        ("absent:Two", MODULE, "cannot be loaded: ModuleNotFoundError: No module named 'absent'"),
        ("own:Two", "import nothing_such", "cannot be loaded: ModuleNotFoundError: No module named 'nothing_such'"),
        ("own:Two", "class Two(", r"cannot be loaded: SyntaxError: .*"),
        ("own:Two", "raise RuntimeError('no licence')", "cannot be loaded: RuntimeError: no licence"),
        ("own:Nothing", MODULE, "cannot be loaded: TypeError: own:Nothing has no method propose"),
        ("own:Needy", MODULE, r"cannot be loaded: TypeError: .*missing 1 required positional argument: 'options'"),
    ],
)
def test_a_broken_entry_point_is_one_clear_error(packages: Any, value: str, text: str, why: str) -> None:
    packages("own", {"two": value}, text)
    assert re.fullmatch(f"policy two = {value} of own 1.0 {why}", get_refusal())


def test_every_broken_entry_point_is_told(packages: Any) -> None:
    packages("own", {"one": "own:Absent", "three": "own:Nothing", "two": "own:Two"})
    told = get_refusal().split("; ")
    assert [text.split(" = ")[0] for text in told] == ["policy one", "policy three"]


def test_the_name_of_a_built_in_policy_is_refused(packages: Any) -> None:
    packages("own", {"slo": "own:Two"})
    assert get_refusal() == "policy slo = own:Two of own 1.0 cannot be used: a built-in policy has this name"


def test_one_name_for_two_policies_is_refused(packages: Any) -> None:
    packages("own", {"two": "own:Two"})
    packages("other", {"two": "other:Two"})
    assert get_refusal() == (
        "policy two = other:Two of other 1.0 cannot be used: own:Two of own 1.0 has the same name; "
        "policy two = own:Two of own 1.0 cannot be used: other:Two of other 1.0 has the same name"
    )


# --- kept from doing harm ---------------------------------------------------------------------------------------------
class Odd:
    """A policy that answers or raises what a test wants."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def propose(self, *_arguments: object) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def list_signals(self, options: object) -> Any:
        return self.propose()

    def check_options(self, model: object) -> None:
        self.propose()


KEY = VariantKey("chat", "llama", "l40s")


def call(policy: Policy, *keys: VariantKey) -> tuple[object, object]:
    view = SimpleNamespace(variants=tuple(SimpleNamespace(key=key) for key in keys))
    return policy.propose(view, {}, 0.0, None)  # type: ignore[arg-type]


class OwnError(Exception):
    """What no list of usual failures holds."""


@pytest.mark.parametrize("failure", [KeyError("x"), AttributeError("x"), OSError("x"), OwnError("x")])
def test_whatever_it_raises_is_that_it_cannot_propose(failure: Exception) -> None:
    policy = ForeignPolicy("odd", Odd(failure))
    with pytest.raises(InvalidInput, match="odd must be able to propose, got"):
        call(policy)
    with pytest.raises(InvalidInput, match="odd must be able to list signals, got"):
        policy.list_signals({})
    with pytest.raises(InvalidInput, match="odd must be able to check its options, got"):
        policy.check_options(None)  # type: ignore[arg-type]


def test_what_it_says_against_its_options_is_passed_on() -> None:
    with pytest.raises(InvalidInput, match="target must be > 0, got -1"):
        ForeignPolicy("odd", Odd(InvalidInput("target", "> 0", -1))).list_signals({})


@pytest.mark.parametrize("answer", [None, FixedReplicas({}), ({}, {}), (FixedReplicas({}), {}, {})])
def test_an_answer_that_is_no_proposal_is_refused(answer: object) -> None:
    with pytest.raises(InvalidInput, match="the answer of odd must be a proposal and what to remember"):
        call(ForeignPolicy("odd", Odd(answer)))


@pytest.mark.parametrize(
    "counts", [{}, None, {KEY: "3"}, {KEY: None}, {KEY: 2.5}, {KEY: True}, {KEY: -1}, {"l40s": 2}, {KEY: 1, "more": 1}]
)
def test_counts_that_are_no_counts_of_its_variants_are_refused(counts: Any) -> None:
    with pytest.raises(InvalidInput, match=r"the counts? of odd"):
        call(ForeignPolicy("odd", Odd((FixedReplicas(counts), {}))), KEY)
    assert call(ForeignPolicy("odd", Odd((FixedReplicas({KEY: 2}), {}))), KEY) == (FixedReplicas({KEY: 2}), {})


@pytest.mark.parametrize("memory", [None, {"a": float("nan")}, {"a": {1, 2}}, {"a": (1, 2)}, {1: 2}, []])
def test_memory_that_no_document_can_hold_is_refused(memory: object) -> None:
    with pytest.raises(InvalidInput, match="what odd remembers must be plain JSON values by name"):
        call(ForeignPolicy("odd", Odd((FixedReplicas({}), memory))))


def test_a_policy_with_one_method_asks_for_nothing_and_accepts_any_options() -> None:
    class Plain:
        propose = Odd((FixedReplicas({}), {})).propose

    policy = ForeignPolicy("plain", Plain())
    assert isinstance(policy, SignalReader)
    assert isinstance(policy, OptionsChecker)
    assert policy.list_signals({"a": 1}) == ()
    policy.check_options(None)  # type: ignore[arg-type]
