"""The ways a request may take through replicas of several variants and roles, and what it is worth on the cheapest.

A way is a replica of role both that does everything, or one of role prefill and one of role decode that do their part
each. For any weights alpha_v >= 0 a request r that is served at all is worth no less than

    min( min over v of role both of alpha_v * work_rv,
         min over p of role prefill of alpha_p * work_rp  +  min over d of role decode of alpha_d * work_rd )

wherever it goes, and a replica of v gives alpha_v a second: summed over the requests, what the replicas give with these
weights is no less than what the requests are worth. Each choice of weights is one row; what fails one of them serves
nobody's demand. A part of a way that no variant has, as where the two roles are bounded apart, is worth nothing.

Rows: over the work of the mean request, the two parts of a way sharing it as their prices do (a row in requests); the
price (a row in money, which alone gives the value of the fluid problem); and where roles are mixed, prompts and tokens
by themselves, the weight of the role that has nothing to do with it being 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from optimizer.domain import Role
from optimizer.simulation.bounds.asked import FloatArray


def compute_least(roles: Sequence[Role], weights: FloatArray, works_s: FloatArray) -> FloatArray:
    """Return what each request is worth on its cheapest way, R entries.

    Parameters
    ----------
    roles, weights
        Of every variant, V of them.
    works_s
        What each request takes of each variant in its role [s], V by R.
    """
    worths = weights[:, np.newaxis] * works_s
    whole, *parts = (
        worths[[number for number, one in enumerate(roles) if one is role]]
        for role in (Role.BOTH, Role.PREFILL, Role.DECODE)
    )
    split = [part.min(axis=0) for part in parts if len(part)]
    if not len(whole):
        return np.asarray(np.sum(split, axis=0))
    least: FloatArray = whole.min(axis=0)
    return np.minimum(least, split[0] + split[1]) if len(split) == len(parts) else least


def choose_weights(roles: Sequence[Role], prices_per_hour: FloatArray, works_s: FloatArray) -> list[FloatArray]:
    """Return the weights of the rows; see the module. Parameters as for `compute_least`, prices [currency/h]."""
    if not works_s.shape[1]:
        return [np.ones(len(roles))]
    means_s = np.maximum([math.fsum(work_s.tolist()) / len(work_s) for work_s in works_s], 1e-12)
    alike = 1.0 / means_s
    mean = alike * _split_evenly(roles, prices_per_hour * means_s)
    weights = [mean]
    if len(roles) > 1 and float(prices_per_hour.max()) > 0.0:
        weights.append(prices_per_hour)
    if len(set(roles)) > 1:
        weights += [np.where([one is idle for one in roles], 0.0, alike) for idle in (Role.DECODE, Role.PREFILL)]
    return weights


def _split_evenly(roles: Sequence[Role], costs: FloatArray) -> FloatArray:
    """Return the share of every variant in a way that the mean request takes, by what its parts cost at least."""
    least = {
        role: min(float(cost) for cost, one in zip(costs, roles, strict=True) if one is role) for role in set(roles)
    }
    prefill, decode = least.get(Role.PREFILL, 0.0), least.get(Role.DECODE, 0.0)
    if Role.PREFILL not in least or Role.DECODE not in least or prefill + decode <= 0.0:
        return np.ones(len(roles))
    shares = {Role.BOTH: 1.0, Role.PREFILL: prefill / (prefill + decode), Role.DECODE: decode / (prefill + decode)}
    return np.array([shares[role] for role in roles])
