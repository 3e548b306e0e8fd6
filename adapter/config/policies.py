"""Whether the policies that a configuration names exist, and like the options they are given. Pure; it knows no policy.

What they are given is judged by themselves: options alone while the file is read, against the model and its variants
once these are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from adapter.config.problems import Findings, Problem, join_index, join_key, join_path, render_value, suggest
from adapter.config.schema import Configuration
from optimizer import InvalidInput, InvalidOptions, OptionsChecker, Policy, SignalReader
from optimizer.domain import ModelKey, ServedModel, Settings, SignalKind, SignalSpec

_OPTIONS = "policy_options"

Policies = Mapping[str, Policy]
"""Ways to decide, by the name that a configuration calls them."""


def find_policy_problems(configuration: Configuration, findings: Findings, policies: Policies) -> Iterator[Problem]:
    """Yield a problem for every policy that is not known, and whatever a known one says of its options alone."""
    for i, model in enumerate(configuration.models):
        path = join_index("models", i)
        if not findings.is_sound(join_key(path, "policy")):
            continue
        policy = policies.get(model.policy)
        if policy is None:
            message = f"names {model.policy}, which is not known{suggest(model.policy, policies)}"
            yield Problem(join_key(path, "policy"), message)
        elif isinstance(policy, SignalReader) and findings.is_sound(join_key(path, _OPTIONS)):
            yield from _ask(path, _bind_listing(policy, model.policy_options))


def find_misfits(configuration: Configuration, settings: Settings, policies: Policies) -> Iterator[Problem]:
    """Yield whatever policies say of their options, given the models that they are to decide about."""
    served = {model.key: model for model in settings.models}
    for i, model in enumerate(configuration.models):
        policy, whole = policies.get(model.policy), served.get(ModelKey(model.namespace, model.name))
        if policy is not None and whole is not None and isinstance(policy, OptionsChecker):
            yield from _ask(join_index("models", i), _bind_check(policy, whole))


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


def _bind_listing(policy: SignalReader, options: Mapping[str, object]) -> Callable[[], None]:
    return lambda: _check_specs(policy.list_signals(options))


def _bind_check(policy: OptionsChecker, model: ServedModel) -> Callable[[], None]:
    return lambda: policy.check_options(model)


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
        if not spec.window_s > 0.0:
            raise InvalidInput(_OPTIONS, f"such that the window of {spec.name} is > 0 [s]", spec.window_s)
        ratio = spec.quantile_ratio
        if spec.kind is SignalKind.QUANTILE and not (ratio is not None and 0.0 < ratio < 1.0):
            raise InvalidInput(_OPTIONS, f"such that the quantile of {spec.name} is > 0 and < 1", ratio)
