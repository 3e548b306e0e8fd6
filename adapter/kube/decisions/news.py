"""What people should hear of one change of a status, as events on the workload. It writes none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapter.cluster import Trouble
from adapter.kube.client import Json
from adapter.kube.decisions.conditions import ACCEPTED, TROUBLED
from adapter.kube.json_fields import get_condition, get_text, is_true
from optimizer.domain import OverrideMode, ReasonCode

_UNTOLD = (ACCEPTED, TROUBLED)
"""Conditions whose events are those of the troubles themselves."""

_OVERRIDDEN = {
    OverrideMode.SHADOW.value: ReasonCode.SHADOW.value,
    OverrideMode.PAUSE.value: ReasonCode.PAUSED.value,
    OverrideMode.PIN.value: ReasonCode.PINNED.value,
}


@dataclass(frozen=True, slots=True)
class News:
    """One event: reason and action in CamelCase, a message in figures."""

    reason: str
    message: str
    action: str
    is_warning: bool = False


def list_news(before: Json, after: Json) -> tuple[News, ...]:
    """Return what a change of the status from `before`, {} for none, to `after` is worth telling."""
    changes = (_tell_plan(before, after), _tell_bound(before, after), _tell_override(before, after))
    found = [*changes, *_tell_conditions(before, after)]
    return tuple(news for news in found if news is not None)


def tell_trouble(trouble: Trouble) -> News:
    """Return the event about a trouble."""
    return News(trouble.reason.code.value, _join(trouble.reason.message, trouble.remedy), "Discover", is_warning=True)


def _tell_plan(before: Json, after: Json) -> News | None:
    old, new = before.get("plannedReplicas"), after["plannedReplicas"]
    if old is None or old == new:
        return None
    told = f"planned replicas {old} -> {new}"
    if (after.get("override") or {}).get("mode") == OverrideMode.SHADOW:
        told = f"in shadow, nothing acts on it: {told}"
    return News(after["reason"]["code"], f"{told}: {after['modelReason']['message']}", "Decide")


def _tell_bound(before: Json, after: Json) -> News | None:
    """Return what a bound costs, when it begins to."""
    codes = [(status.get("reason") or {}).get("code") for status in (before, after)]
    if codes[1] != ReasonCode.BOUND_BINDS.value or codes[0] == codes[1]:
        return None
    return News(codes[1], after["reason"]["message"], "Decide")


def _tell_override(before: Json, after: Json) -> News | None:
    old, new = before.get("override"), after.get("override")
    if old == new:
        return None
    if new is None:
        return News("OverrideEnded", f"no longer overridden ({_name_override(old or {})})", "Override")
    return News(_OVERRIDDEN.get(new["mode"], "Overridden"), f"overridden: {_name_override(new)}", "Override")


def _name_override(override: Mapping[str, Any]) -> str:
    number = f"={override['replicas']}" if "replicas" in override else ""
    by = f" by {override['by']}" if "by" in override else ""
    until = f" until {override['until']}" if "until" in override else ""
    return f"{override.get('mode')}{number}{by}{until}, {override.get('source')}"


def _tell_conditions(before: Json, after: Json) -> list[News]:
    old = {entry["type"]: entry["status"] for entry in before.get("conditions", [])}
    remedies = [entry.get("remedy", "") for entry in after.get("obstacles", [])]
    has_new_obstacles = _list_codes(before) != _list_codes(after)
    is_start = old.get("Fresh") != "True" and _is_starting(after)
    news = []
    for entry in after.get("conditions", []):
        name, status = entry["type"], entry["status"]
        if name in _UNTOLD:
            continue
        has_fallen = status == "False" and (old.get(name) != "False" or (name == "Following" and has_new_obstacles))
        has_recovered = status == "True" and old.get(name) == "False"
        if has_fallen or has_recovered:
            remedy = "\n".join(filter(None, remedies)) if name == "Following" and has_fallen else ""
            message = _join(f"{name} is {status}: {entry['message']}", remedy)
            news.append(News(entry["reason"], message, "Judge", is_warning=has_fallen and not is_start))
    return news


def _is_starting(status: Json) -> bool:
    """Return whether nothing is wrong but what every installation passes through before its first number."""
    fresh = get_condition({"status": status}, "Fresh")
    waits_for_pages = is_true(fresh) is not False or get_text(fresh, "reason") == ReasonCode.FIRST_READING.value
    return waits_for_pages and set(_list_codes(status)) <= {"CannotRead"}


def _list_codes(status: Json) -> list[str]:
    return [entry["code"] for entry in status.get("obstacles", [])]


def _join(message: str, remedy: str) -> str:
    """Return a message with what to do about it, YAML on lines of its own."""
    return f"{message}\n{remedy}" if "\n" in remedy else f"{message}; {remedy}" if remedy else message
