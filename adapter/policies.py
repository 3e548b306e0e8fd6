"""The policies there are: the built-in ones, and those of installed packages, loaded once when a command begins.

A package offers a policy as an entry point of the group `GROUP`: the name is what a configuration calls it, the object
a class that is made without arguments, or something made already; its one method is `propose`. ::

    [project.entry-points."variant_autoscaler.policies"]
    half-full = "half_full:HalfFull"

Whatever goes wrong in such a policy holds the LLM that uses it, as with a built-in one, and touches no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from adapter.errors import Refused
from optimizer import (
    BUILT_IN_POLICIES,
    CapacityNeed,
    FixedReplicas,
    InvalidInput,
    ModelView,
    OptionsChecker,
    Policy,
    PolicyState,
    Proposal,
    SignalReader,
)
from optimizer.domain import ServedModel, Settings, SignalSpec

GROUP = "variant_autoscaler.policies"

T = TypeVar("T")


def load_policies() -> Mapping[str, Policy]:
    """Return every policy by the name that a configuration calls it.

    Raises
    ------
    Refused
        When an entry point cannot be used: it tells of every one that cannot, and why.
    """
    found = entry_points(group=GROUP)
    policies, problems = dict(BUILT_IN_POLICIES), []
    for entry in sorted(found, key=lambda entry: (entry.name, entry.value)):
        problem = _find_conflict(entry, found)
        if problem is None:
            made = _attempt(partial(_make, entry))
            if isinstance(made, Exception):
                problem = f"cannot be loaded: {type(made).__name__}: {made}"
            else:
                policies[entry.name] = ForeignPolicy(entry.name, made)
        if problem is not None:
            problems.append(f"policy {entry.name} = {entry.value}{_tell_origin(entry)} {problem}")
    if problems:
        raise Refused("; ".join(problems))
    return policies


class ForeignPolicy:
    """A policy that somebody else wrote, kept from doing harm: whatever it raises, it is one that cannot propose.

    Parameters
    ----------
    name
        What a configuration calls it.
    policy
        The policy; it may be a `SignalReader` and an `OptionsChecker` as well.
    """

    def __init__(self, name: str, policy: Policy) -> None:
        self._name, self._policy = name, policy

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[Proposal, PolicyState]:
        """Return what it wants, and what it wants to remember.

        Raises
        ------
        InvalidInput
            When it raises anything, or its answer is no proposal with plain values to remember.
        """
        answer: object = self._call("able to propose", lambda: self._policy.propose(view, state, now_s, settings))
        if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], FixedReplicas | CapacityNeed)):
            raise InvalidInput(f"the answer of {self._name}", "a proposal and what to remember", answer)
        proposal, memory = answer
        if isinstance(proposal, FixedReplicas):
            self._check_counts(proposal, view)
        if not isinstance(memory, Mapping) or not _is_plain(memory):
            raise InvalidInput(f"what {self._name} remembers", "plain JSON values by name", memory)
        return proposal, memory

    def _check_counts(self, proposal: FixedReplicas, view: ModelView) -> None:
        """Check that `proposal` gives every variant of `view` a count: one that was forgotten would be scaled away."""
        counts: object = proposal.by_variant
        keys = {line.key for line in view.variants}
        if not isinstance(counts, Mapping) or set(counts) != keys:
            raise InvalidInput(f"the counts of {self._name}", "a mapping from the key of every variant", counts)
        for key, count in counts.items():
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise InvalidInput(f"the count of {self._name} for {key.variant}", "a whole number >= 0", count)

    def list_signals(self, options: Mapping[str, object]) -> tuple[SignalSpec, ...]:
        """Return what it wants to know of every pod, nothing where it does not say.

        Raises
        ------
        InvalidInput
            When it raises anything: as it says itself, or that it cannot read its options.
        """
        policy = self._policy
        if not isinstance(policy, SignalReader):
            return ()
        return tuple(self._call("able to list signals", lambda: policy.list_signals(options)))

    def check_options(self, model: ServedModel) -> None:
        """Let it check the options of `model`, where it does.

        Raises
        ------
        InvalidInput
            When it raises anything: as it says itself, or that it cannot check its options.
        """
        policy = self._policy
        if isinstance(policy, OptionsChecker):
            self._call("able to check its options", lambda: policy.check_options(model))

    def _call(self, bound: str, call: Callable[[], T]) -> T:
        answer = _attempt(call)
        if isinstance(answer, InvalidInput):
            raise answer
        if isinstance(answer, Exception):
            raise InvalidInput(self._name, bound, answer) from answer
        return answer


def _attempt(call: Callable[[], T]) -> T | Exception:
    """Return what `call` returns, or what it raises: code that somebody else wrote may raise anything."""
    try:
        return call()
    except Exception as failure:
        return failure


def _make(entry: EntryPoint) -> Policy:
    """Return the policy that `entry` names."""
    loaded = entry.load()
    policy = loaded() if isinstance(loaded, type) else loaded
    if not callable(getattr(policy, "propose", None)):
        raise TypeError(f"{entry.value} has no method propose")
    return policy  # type: ignore[no-any-return]


def _find_conflict(entry: EntryPoint, all_entries: Iterable[EntryPoint]) -> str | None:
    """Return why the name of `entry` cannot be used, None when it can."""
    if entry.name in BUILT_IN_POLICIES:
        return "cannot be used: a built-in policy has this name"
    others = [other for other in all_entries if other.name == entry.name and other != entry]
    if others:
        return f"cannot be used: {others[0].value}{_tell_origin(others[0])} has the same name"
    return None


def _tell_origin(entry: EntryPoint) -> str:
    return "" if entry.dist is None else f" of {entry.dist.name} {entry.dist.version}"


def _is_plain(memory: object) -> bool:
    try:
        return bool(json.loads(json.dumps(memory, allow_nan=False)) == memory)
    except (TypeError, ValueError, RecursionError):
        return False
