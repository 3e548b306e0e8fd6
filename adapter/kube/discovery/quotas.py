"""ResourceQuota objects to amounts of accelerators that our variants may use in a namespace. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapter.cluster import AmountKind, ClusterAmount
from adapter.errors import BadDocument
from adapter.kube.client import Json
from adapter.kube.discovery.devices import DeviceCounter
from adapter.kube.discovery.objects import get_name, get_namespace, to_seconds
from adapter.kube.discovery.pods import is_replica
from adapter.kube.json_fields import get_object, get_objects
from adapter.kube.quantity import parse_quantity

_REQUESTS = "requests."
_KNOWN_SCOPES = frozenset({"NotTerminating", "PriorityClass"})


@dataclass(frozen=True, slots=True)
class QuotaUser:
    """One of our variants in a namespace.

    Attributes
    ----------
    templates
        Its pod templates.
    devices
        What one replica requests, by resource.
    accelerator
        Its type, None when unknown.
    """

    templates: tuple[Json, ...]
    devices: Mapping[str, int]
    accelerator: str | None


def read_quota_amounts(
    quota: Json, others: Iterable[Json], users: Iterable[QuotaUser], counter: DeviceCounter, now_s: float
) -> tuple[ClusterAmount, ...]:
    """Return what `quota` leaves to our variants at `now_s` [Unix s]: its hard bound less what other pods use of it.

    Parameters
    ----------
    quota
        A ResourceQuota; one with scopes that cannot be judged is left out, for it may not mean our pods.
    others
        Pods in its namespace that are not our variants'.
    users
        Our variants in its namespace. The amount is over all types where it bounds all of them; else, as with devices
        of two vendors, it is told once for every type that it bounds, which is never too little.
    """
    ours, strangers, amounts = tuple(users), tuple(others), []
    if not set(_list_scopes(quota)) <= _KNOWN_SCOPES:
        return ()
    for key, bound in get_object(quota, "spec", "hard").items():
        resource, hard = key.removeprefix(_REQUESTS), _to_devices(bound)
        if not key.startswith(_REQUESTS) or not counter.is_accelerator(resource) or hard is None:
            continue
        taken = sum(counter.count_pod(pod).get(resource, 0) for pod in strangers if _counts(quota, pod, now_s))
        message = f"ResourceQuota {get_name(quota)} grants {hard:g} {resource}, pods of others use {taken:g}"
        for accelerator in _list_types(quota, resource, ours, now_s):
            name = f"{get_name(quota)}/{resource}" + ("" if accelerator is None else f"/{accelerator}")
            amount = max(hard - taken, 0.0)
            place = get_namespace(quota)
            amounts.append(ClusterAmount(AmountKind.QUOTA, name, amount, place, accelerator, message=message))
    return tuple(amounts)


def _list_types(quota: Json, resource: str, users: tuple[QuotaUser, ...], now_s: float) -> list[str | None]:
    """Return the types that `quota` bounds by `resource`; a single None for all types, nothing where it bounds none."""
    bounded = [
        user
        for user in users
        if user.devices.get(resource) and all(_counts(quota, template, now_s) for template in user.templates)
    ]
    if bounded and len(bounded) == len(users):
        return [None]
    return [*sorted({user.accelerator for user in bounded if user.accelerator is not None})]


def _counts(quota: Json, pod: Json, now_s: float) -> bool:
    """Whether `quota` counts `pod`: not what has finished, nor what should have been gone by now."""
    ends_s = to_seconds(get_object(pod, "metadata").get("deletionTimestamp"))
    if not is_replica(pod) or (ends_s is not None and now_s > ends_s):
        return False
    has_end = get_object(pod, "spec").get("activeDeadlineSeconds") is not None
    if has_end and "NotTerminating" in _list_scopes(quota):
        return False
    return all(_admits_priority(wanted, pod) for wanted in _list_wanted(quota))


def _list_scopes(quota: Json) -> list[str]:
    plain = get_object(quota, "spec").get("scopes") or []
    return [*map(str, plain), *(str(wanted.get("scopeName")) for wanted in _list_wanted(quota))]


def _list_wanted(quota: Json) -> tuple[Json, ...]:
    return get_objects(quota, "spec", "scopeSelector", "matchExpressions")


def _admits_priority(wanted: Json, pod: Json) -> bool:
    if wanted.get("scopeName") != "PriorityClass":
        return True
    name, values = get_object(pod, "spec").get("priorityClassName"), wanted.get("values") or []
    if wanted.get("operator") in ("In", "NotIn"):
        is_among = name in values
        return is_among if wanted["operator"] == "In" else not is_among
    return bool(name) == (wanted.get("operator") == "Exists")


def _to_devices(bound: object) -> float | None:
    try:
        return parse_quantity(bound)
    except BadDocument:
        return None
