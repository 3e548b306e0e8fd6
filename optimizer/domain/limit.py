"""Limits: linear rows over a scope that every plan keeps. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from optimizer.domain.variant import VariantKey


class LimitKind(StrEnum):
    """What a limit counts."""

    ACCELERATORS = "accelerators"
    QUOTA = "quota"
    WATTS = "watts"
    MONEY = "money"


@dataclass(frozen=True, slots=True)
class Limit:
    """``sum(coefficients[key] * replicas[key]) <= amount``.

    Attributes
    ----------
    name
        Unique name, used in reasons.
    kind
        What is counted.
    coefficients
        What one replica of each variant uses of it; a variant that is absent uses none.
    amount
        The bound, in units of `kind`; None means *unknown*, which is neither zero nor infinite: it never binds a plan
        and is reported as unknown.
    namespaces
        The scope; None means the whole cluster.
    source
        Who says so, such as ``configuration``.
    """

    name: str
    kind: LimitKind
    coefficients: Mapping[VariantKey, float]
    amount: float | None
    namespaces: tuple[str, ...] | None = None
    source: str = "configuration"
