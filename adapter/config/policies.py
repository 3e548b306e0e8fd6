"""Whether the policies that a configuration names exist, and like the options they are given. Pure; it knows no policy.

What they are given is judged by themselves, against the model and its variants as far as the file tells them: in a
cluster labels may tell of variants later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from adapter.config.problems import Findings, Problem, join_index, join_key, join_path, render_value, suggest
from adapter.config.schema import Configuration
from adapter.config.translate import to_served_model
from optimizer import InvalidInput, InvalidOptions, OptionsChecker, Policy, SignalReader
from optimizer.domain import IterationTable, ServedModel, SignalKind, SignalSpec, is_counter_name

_OPTIONS = "policy_options"
_LOOKED_AT = (
    "min_replicas",
    "max_replicas",
    *(f"variants[*].{key}" for key in ("name", "accelerator", "accelerators_per_replica", "roles", "workload")),
    *(f"variants[*].{key}" for key in ("min_replicas", "max_replicas", "cost_per_hour", "performance")),
)

Policies = Mapping[str, Policy]
"""Ways to decide, by the name that a configuration calls them."""


def find_policy_problems(
    configuration: Configuration, findings: Findings, policies: Policies, tables: Mapping[str, IterationTable]
) -> Iterator[Problem]:
    """Yield a problem for every policy that is not known, and whatever the known ones say of their options.

    Where what a policy looks at of its model could not be read, the options are judged as if its variants were not
    known yet. What `findings` tell of a path already is not told again.

    Parameters
    ----------
    configuration
        As far as it could be read.
    findings
        What is wrong with it otherwise.
    policies
        Those that there are.
    tables
        The tables that could be read, by the name the configuration calls their file.
    """
    known = {problem.path for problem in findings.problems}
    for i, model in enumerate(configuration.models):
        path = join_index("models", i)
        if not findings.is_sound(join_key(path, "policy")):
            continue
        policy = policies.get(model.policy)
        if policy is None:
            message = f"names {model.policy}, which is not known{suggest(model.policy, policies)}"
            yield Problem(join_key(path, "policy"), message)
        elif findings.is_sound(join_key(path, _OPTIONS)):
            served = to_served_model(configuration, model, tables)
            if not all(findings.is_sound(join_path(path, need)) for need in _LOOKED_AT):
                served = replace(served, variants=())
            found = dict.fromkeys(_judge(path, policy, served))
            yield from (problem for problem in found if problem.path not in known)


def list_signals(model: ServedModel, policies: Policies) -> tuple[SignalSpec, ...]:
    """Return what the policy of `model` wants to know of its pods, nothing where it is not known or asks for nothing.

    Raises
    ------
    InvalidInput
        When the policy cannot make sense of its options.
    """
    policy = policies.get(model.policy)
    if policy is None or not isinstance(policy, SignalReader):
        return ()
    return policy.list_signals(model.policy_options)


def _judge(path: str, policy: Policy, model: ServedModel) -> Iterator[Problem]:
    """Yield what `policy` says of the options of `model`, which is at `path`; some may come twice."""
    if isinstance(policy, SignalReader):
        yield from _ask(path, lambda: _check_specs(policy.list_signals(model.policy_options)))
    if isinstance(policy, OptionsChecker):
        yield from _ask(path, lambda: policy.check_options(model))


def _ask(path: str, judge: Callable[[], None]) -> Iterator[Problem]:
    """Yield what `judge` says against the options of the model at `path`."""
    try:
        judge()
    except InvalidOptions as refusal:
        for problem in refusal.problems:
            yield Problem(join_path(path, problem.path), problem.message)
    except InvalidInput as refusal:
        where = refusal.field if refusal.field.startswith(_OPTIONS) else f"{_OPTIONS}.{refusal.field}"
        yield Problem(join_path(path, where), f"must be {refusal.bound}, got {render_value(refusal.value)}")


def _check_specs(specs: tuple[SignalSpec, ...]) -> None:
    """Raise InvalidInput unless `specs` can be measured."""
    names = [spec.name for spec in specs]
    for i, spec in enumerate(specs):
        if spec.name in names[:i]:
            raise InvalidInput(_OPTIONS, "such that no two signals have one name", spec.name)
        if spec.kind is SignalKind.GAUGE and is_counter_name(spec.series):
            raise InvalidInput(
                _OPTIONS, f"such that the kind of {spec.name} is rate, since it only counts up", spec.series
            )
        if not spec.window_s > 0.0:
            raise InvalidInput(_OPTIONS, f"such that the window of {spec.name} is > 0 [s]", spec.window_s)
        ratio = spec.quantile_ratio
        if spec.kind is SignalKind.QUANTILE and not (ratio is not None and 0.0 < ratio < 1.0):
            raise InvalidInput(_OPTIONS, f"such that the quantile of {spec.name} is > 0 and < 1", ratio)
