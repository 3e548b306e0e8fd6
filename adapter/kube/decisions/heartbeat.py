"""The heartbeat: that an installation decides, and how old its decisions are, in one small object. No I/O.

One ConfigMap in the namespace of the installation, of one name in every cluster, so that others can be allowed to read
it and nothing else; one key per installation of that namespace::

    variant-autoscaler: '{"version":1,"lastPass":"2026-11-21T05:33:34.250000Z","holder":"pod-1",
                          "decidedAt":"2026-11-21T05:33:34.250000Z",
                          "stale":[{"namespace":"prod","model":"llama","decidedAt":"2026-11-21T05:20:04.250000Z"}]}'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapter.errors import BadDocument
from adapter.kube.client import Json
from adapter.kube.wire_times import parse_time_s, render_micro_time
from optimizer.domain import ModelKey

HEARTBEAT_NAME = "variant-autoscaler-heartbeat"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the newest pass of an installation left behind.

    Attributes
    ----------
    last_pass_s
        When it ended [Unix s]: until then the installation was alive.
    decided_at_s
        When it decided [Unix s], which holds for every LLM that is not in `stale`.
    stale
        LLMs that it could not decide about anew, or could not tell everybody of, with the time up to which what they
        were told is right [Unix s]; None where only their own objects say that.
    holder
        The replica that decides, "" when not told.
    """

    last_pass_s: float
    decided_at_s: float
    stale: Mapping[ModelKey, float | None] = field(default_factory=dict)
    holder: str = ""

    def get_decided_at_s(self, key: ModelKey, told_s: float) -> float:
        """Return when `key` was last decided about [Unix s], given that its own objects say `told_s` [Unix s]."""
        known_s = self.stale.get(key, self.decided_at_s)
        return told_s if known_s is None else max(told_s, known_s)


def encode_heartbeat(heartbeat: Heartbeat) -> str:
    """Return the text that stands under the installation's name."""
    stale = [
        {"namespace": key.namespace, "model": key.model_id}
        | ({} if time_s is None else {"decidedAt": render_micro_time(time_s)})
        for key, time_s in sorted(heartbeat.stale.items())
    ]
    document = {
        "version": _VERSION,
        "lastPass": render_micro_time(heartbeat.last_pass_s),
        "holder": heartbeat.holder,
        "decidedAt": render_micro_time(heartbeat.decided_at_s),
        "stale": stale,
    }
    return json.dumps(document, separators=(",", ":"))


def decode_heartbeat(config_map: Json | None, name: str) -> Heartbeat | None:
    """Return the heartbeat of the installation `name` out of the ConfigMap of its namespace, None where there is none.

    Raises
    ------
    BadDocument
        When there is one that cannot be read.
    """
    text = ((config_map or {}).get("data") or {}).get(name)
    if text is None:
        return None
    try:
        document = json.loads(text)
        if document["version"] != _VERSION:
            raise BadDocument(f"its version is {document['version']!r}, this reader knows {_VERSION}")
        return Heartbeat(
            last_pass_s=parse_time_s(document["lastPass"]),
            decided_at_s=parse_time_s(document["decidedAt"]),
            stale=dict(_decode_stale(entry) for entry in document["stale"]),
            holder=str(document.get("holder", "")),
        )
    except (BadDocument, ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
        raise BadDocument(f"heartbeat of {name} cannot be read: {type(cause).__name__}: {cause}") from cause


def _decode_stale(entry: Json) -> tuple[ModelKey, float | None]:
    key = ModelKey(str(entry["namespace"]), str(entry["model"]))
    return key, parse_time_s(entry["decidedAt"]) if "decidedAt" in entry else None
