"""Conditions as the Kubernetes API writes them, with the time of their last transition. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapter.cluster import Trouble
from adapter.errors import BadDocument
from adapter.kube.client import Json
from adapter.kube.wire_times import render_time
from optimizer.domain import Condition, ConditionType, Reason, ReasonCode

ACCEPTED = "Accepted"
"""Whether the installation that made the object may decide about its workload: where not, nothing else is in it."""
TROUBLED = "Troubled"
"""Whether there is something about the workload that a person should know."""

LONGEST_MESSAGE = 4096

_STATUS = {True: "True", False: "False", None: "Unknown"}
_VALUE = {text: value for value, text in _STATUS.items()}


def render_conditions(
    conditions: Sequence[Condition],
    troubles: Sequence[Trouble],
    before: Sequence[Mapping[str, Any]],
    now_s: float,
) -> list[Json]:
    """Return `conditions`, and what `troubles` add up to, as they stand in a status at `now_s` [Unix s].

    `before` are those that stand there now: a condition whose status stays keeps the time of its last transition.
    """
    entries = [render_condition(entry.type.value, entry.status, entry.reason, before, now_s) for entry in conditions]
    troubled = judge_troubles(troubles)
    entries.append(render_condition(ACCEPTED, True, _ACCEPTED, before, now_s))
    entries.append(render_condition(TROUBLED, troubled is not None, troubled or _NO_TROUBLE, before, now_s))
    return entries


def render_condition(
    name: str, status: bool | None, reason: Reason, before: Sequence[Mapping[str, Any]], now_s: float
) -> Json:
    """Return one condition; it changes over at `now_s` [Unix s] unless it stood with this status in `before`."""
    last = next((entry for entry in before if entry.get("type") == name), {})
    has_changed = last.get("status") != _STATUS[status] or "lastTransitionTime" not in last
    return {
        "type": name,
        "status": _STATUS[status],
        "reason": reason.code.value,
        "message": reason.message[:LONGEST_MESSAGE],
        "lastTransitionTime": render_time(now_s) if has_changed else last["lastTransitionTime"],
    }


def judge_troubles(troubles: Sequence[Trouble]) -> Reason | None:
    """Return all of `troubles` in one, under the code of the first, None when there are none."""
    if not troubles:
        return None
    texts = [f"{entry.reason.message}; {entry.remedy}" if entry.remedy else entry.reason.message for entry in troubles]
    return Reason(troubles[0].reason.code, ". ".join(texts))


def parse_conditions(entries: object) -> tuple[Condition, ...]:
    """Return the conditions a status carries, but for those of types that decisions do not have.

    Raises
    ------
    BadDocument
        When they are none.
    """
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadDocument(f"conditions must be an array of objects, got {entries!r}")
    known = {kind.value: kind for kind in ConditionType}
    return tuple(
        Condition(known[name], _VALUE.get(str(entry.get("status"))), parse_reason(entry, "reason"))
        for entry in entries
        if (name := str(entry.get("type"))) in known
    )


def render_reason(reason: Reason) -> Json:
    """Return a reason as it stands in a status."""
    return {"code": reason.code.value, "message": reason.message[:LONGEST_MESSAGE]}


def parse_reason(plain: object, code_field: str = "code") -> Reason:
    """Return the reason that an object tells.

    A code that this program does not know, since a newer one wrote it, becomes part of the message.

    Raises
    ------
    BadDocument
        When it is no reason.
    """
    if not isinstance(plain, dict) or not isinstance(plain.get(code_field), str):
        raise BadDocument(f"a reason must be an object with a {code_field}, got {plain!r}")
    code, message = plain[code_field], str(plain.get("message", ""))
    try:
        return Reason(ReasonCode(code), message)
    except ValueError:
        return Reason(ReasonCode.NO_DATA, f"{code}: {message}")


_ACCEPTED = Reason(ReasonCode.STEADY, "this installation decides about the workload")
_NO_TROUBLE = Reason(ReasonCode.STEADY, "nothing needs attention")
