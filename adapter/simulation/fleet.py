"""A fleet to simulate: what scalers are told of it, and the truth about its engines. It starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from adapter.config.load import load_configuration
from adapter.config.policies import Policies
from adapter.errors import ConfigurationError
from optimizer.domain import IterationLaw, IterationTable, Limit, LimitKind, ServedModel, Settings, Variant, VariantKey
from optimizer.simulation import EngineLimits


@dataclass(frozen=True, slots=True)
class EngineTruth:
    """How the replicas of one variant really behave.

    Attributes
    ----------
    performance
        Iteration times.
    limits
        What one of them holds.
    """

    performance: IterationLaw | IterationTable
    limits: EngineLimits


@dataclass(frozen=True, slots=True)
class Fleet:
    """LLMs and where they may run.

    Attributes
    ----------
    name
        For tables.
    settings
        As scalers are told, decision knobs included.
    engines
        The truth, by variant with its main role.
    shares
        Part of the requests that ask for each LLM, in the order of `settings.models`; they add up to 1.
    quota
        Devices that there really are, by accelerator; of one that is absent there are as many as asked for.
    """

    name: str
    settings: Settings
    engines: Mapping[VariantKey, EngineTruth]
    shares: tuple[float, ...] = (1.0,)
    quota: Mapping[str, int] = field(default_factory=dict)

    def with_startup(self, startup_s: float) -> Fleet:
        """Return the same with every start-up taking `startup_s` [s], and scalers knowing it."""
        models = tuple(
            replace(model, variants=tuple(replace(variant, startup_s=startup_s) for variant in model.variants))
            for model in self.settings.models
        )
        return replace(self, settings=replace(self.settings, models=models))

    def with_policy(self, policy: str) -> Fleet:
        """Return the same with every LLM decided by `policy`, without options, told nothing of its requests."""
        models = tuple(
            replace(model, policy=policy, policy_options={}, expected_workload=None) for model in self.settings.models
        )
        return replace(self, settings=replace(self.settings, models=models))

    def with_quota(self, quota: Mapping[str, int]) -> Fleet:
        """Return the same with no more devices than `quota` by accelerator, which scalers that know limits are told."""
        limits = tuple(
            Limit(f"quota of {accelerator}", LimitKind.QUOTA, self._count_devices(accelerator), float(devices))
            for accelerator, devices in quota.items()
        )
        settings = replace(self.settings, limits=(*self.settings.limits, *limits))
        return replace(self, settings=settings, quota={**self.quota, **quota})

    def _count_devices(self, accelerator: str) -> dict[VariantKey, float]:
        """Return the devices of `accelerator` that a replica of each variant on it takes."""
        return {
            variant.key(variant.main_role): float(variant.accelerators_per_replica)
            for model in self.settings.models
            for variant in model.variants
            if variant.accelerator == accelerator
        }


def read_fleet(path: Path, policies: Policies) -> Fleet:
    """Return the LLMs and variants of the configuration file at `path`, each asked equally often.

    Engines behave exactly as their `performance` says, a table before a law. Limits on the devices of one accelerator
    are real, see `find_quota`; scalers that know limits are told all of them.

    Raises
    ------
    ConfigurationError
        With every problem of the file, or naming the variants whose speed or KV cache it does not tell.
    """
    settings = load_configuration(path, policies=policies).settings
    if not settings.models:
        raise ConfigurationError(("models is empty: to simulate, LLMs and variants must stand in the file",))
    problems = tuple(
        f"models: {model.model_id}, variant {variant.name}, {missing}"
        for model in settings.models
        for variant in model.variants
        for missing in _find_missing(variant)
    )
    if problems:
        raise ConfigurationError(problems)
    engines = {
        variant.key(variant.main_role): _to_truth(variant) for model in settings.models for variant in model.variants
    }
    models = tuple(_complete(model) for model in settings.models)
    shares = (1.0 / len(models),) * len(models)
    return Fleet(path.name, replace(settings, models=models), engines, shares, find_quota(settings))


def find_quota(settings: Settings) -> dict[str, int]:
    """Return the devices that there are by those limits that count every variant of one accelerator, and no other."""
    users: dict[str, set[VariantKey]] = {}
    for model in settings.models:
        for variant in model.variants:
            users.setdefault(variant.accelerator, set()).update(variant.key(role) for role in variant.roles)
    quota: dict[str, int] = {}
    for limit in settings.limits:
        if limit.kind not in (LimitKind.ACCELERATORS, LimitKind.QUOTA) or limit.amount is None:
            continue
        for accelerator, keys in users.items():
            if keys == set(limit.coefficients):
                quota[accelerator] = min(int(limit.amount), quota.get(accelerator, int(limit.amount)))
    return quota


def _find_missing(variant: Variant) -> tuple[str, ...]:
    profile = variant.performance
    missing = []
    if profile is None or (profile.law is None and profile.table is None):
        missing.append("has neither performance.law nor performance.table; a simulated engine needs one of them")
    if profile is None or profile.kv_capacity_tokens is None:
        missing.append("has no performance.kv_capacity_tokens; a simulated engine needs it")
    return tuple(missing)


def _to_truth(variant: Variant) -> EngineTruth:
    profile = variant.performance
    assert profile is not None
    performance = profile.table or profile.law
    assert performance is not None
    limits = EngineLimits(
        kv_capacity_tokens=int(profile.kv_capacity_tokens or 0),
        max_running_requests=variant.max_running_requests,
        max_batched_tokens=max(variant.max_batched_tokens, variant.max_running_requests),
    )
    return EngineTruth(performance, limits)


def _complete(model: ServedModel) -> ServedModel:
    """Return `model` behind a router that keeps requests while nothing is ready, as every simulated one is."""
    return replace(model, has_gateway=True)
