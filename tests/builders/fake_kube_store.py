"""The objects behind `FakeKubeApi`: versions, history, conflicts, status beside spec, owners of fields. No HTTP."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from adapter.kube.resource import Resource
from adapter.kube.wire_times import render_time
from tests.builders.fake_kube_patches import (
    Json,
    PatchRefused,
    Path,
    apply_json_patch,
    list_leaves,
    merge,
    read_leaf,
    remove_leaf,
)

Key: TypeAlias = tuple[str, str]
"""Namespace, "" where there is none, and name."""

WITHOUT_STATUS = frozenset("ConfigMap Secret Lease Event EndpointSlice".split())
_REASONS = {400: "BadRequest", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 409: "Conflict"}
_REASONS |= {410: "Expired", 415: "UnsupportedMediaType", 422: "Invalid", 429: "TooManyRequests", 500: "InternalError"}
_REASONS |= {401: "Unauthorized", 503: "ServiceUnavailable", 504: "Timeout"}


class ApiFailure(Exception):
    """An answer other than 200: its code, and the reason and the message of its Status."""

    def __init__(self, code: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.reason = code, message, reason or _REASONS.get(code, "Unknown")

    def to_status(self) -> Json:
        """Return the Status object."""
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        return status | {"reason": self.reason, "code": self.code, "message": self.message}


@dataclass(frozen=True)
class Change:
    """One entry of the history; `before` is None for what was made then."""

    version: int
    type: str
    resource: Resource
    item: Json
    before: Json | None


@dataclass
class FakeKubeStore:
    """All objects of one cluster."""

    now_s: Callable[[], float]
    version: int = 100
    oldest_version: int = 0
    history: list[Change] = field(default_factory=list)
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    _objects: dict[Resource, dict[Key, Json]] = field(default_factory=dict)
    _owners: dict[tuple[Resource, Key], dict[Path, str]] = field(default_factory=dict)
    _made: int = 0

    def list(self, resource: Resource, namespace: str | None = None) -> list[Json]:
        """Return the objects, by namespace and name."""
        found = sorted(self._objects.get(resource, {}).items())
        return [item for (at, _), item in found if namespace is None or at == namespace]

    def get(self, resource: Resource, key: Key) -> Json:
        """Return one object."""
        try:
            return self._objects[resource][key]
        except KeyError:
            raise ApiFailure(404, f'{_name(resource)} "{key[1]}" not found') from None

    def create(self, resource: Resource, namespace: str | None, body: Json, manager: str = "") -> Json:
        """Keep a new object; its status is dropped where status has a subresource."""
        item = copy.deepcopy(body)
        if resource.kind not in WITHOUT_STATUS:
            item.pop("status", None)
        return self.put(resource, namespace, item, manager)

    def put(self, resource: Resource, namespace: str | None, body: Json, manager: str = "") -> Json:
        """Keep a new object as it is, status and all."""
        item = copy.deepcopy(body)
        about = item.setdefault("metadata", {})
        if resource.namespaced:
            about["namespace"] = namespace or about.get("namespace") or "default"
        self._made += 1
        if "name" not in about and "generateName" in about:
            about["name"] = f"{about['generateName']}{self._made:05d}"
        if not about.get("name"):
            raise ApiFailure(422, f"{resource.kind} is invalid: metadata.name: Required value")
        key = (about.get("namespace", ""), about["name"])
        if key in self._objects.get(resource, {}):
            raise ApiFailure(409, f'{_name(resource)} "{key[1]}" already exists', "AlreadyExists")
        item["apiVersion"], item["kind"] = resource.api_version, resource.kind
        about.setdefault("uid", f"00000000-0000-4000-8000-{self._made:012d}")
        about.setdefault("creationTimestamp", render_time(self.now_s()))
        about.setdefault("generation", 1)
        return self._keep(resource, key, item, None, manager)

    def replace(self, resource: Resource, key: Key, body: Json, subresource: str = "", manager: str = "") -> Json:
        """Replace an object, or its status only; a resourceVersion that is not the present one is a conflict."""
        before = self.get(resource, key)
        expected = body.get("metadata", {}).get("resourceVersion")
        if expected not in (None, "", before["metadata"]["resourceVersion"]):
            text = "the object has been modified; please apply your changes to the latest version and try again"
            raise ApiFailure(409, f'Operation cannot be fulfilled on {_name(resource)} "{key[1]}": {text}')
        if body.get("metadata", {}).get("uid") not in (None, before["metadata"]["uid"]):
            raise ApiFailure(409, f"Precondition failed: UID in object meta: {before['metadata']['uid']}")
        if subresource == "status":
            item = copy.deepcopy(before) | {"status": copy.deepcopy(body.get("status", {}))}
        else:
            item = self._take_over(resource, before, body)
        if {**item, "metadata": {**item["metadata"], "resourceVersion": ""}} == {
            **before,
            "metadata": {**before["metadata"], "resourceVersion": ""},
        }:
            return before  # nothing changed, nothing written
        return self._keep(resource, key, item, before, manager)

    def patch(
        self, resource: Resource, key: Key, body: object, kind: str, *, subresource: str = "", manager: str = ""
    ) -> Json:
        """Patch an object, or its status only, with a patch of content type `kind`, server-side apply excepted."""
        before = self.get(resource, key)
        if "strategic" in kind and not is_built_in(resource):
            raise ApiFailure(415, "the body of the request was in an unknown format")
        try:
            if "json-patch" in kind:
                assert isinstance(body, list)
                item = apply_json_patch(before, body)
            else:
                item = merge(before, body, is_strategic="strategic" in kind)
        except PatchRefused as cause:
            raise ApiFailure(422, f"the server rejected our request: {cause}") from cause
        return self.replace(resource, key, item, subresource, manager)

    def apply(
        self, resource: Resource, key: Key, body: Json, *, manager: str, force: bool, subresource: str = ""
    ) -> Json:
        """Apply the fields of `body` as `manager`: others' fields conflict, own fields no longer given go away."""
        leaves = {path: leaf for path, leaf in list_leaves(body).items() if not _is_identity(path)}
        before = self._objects.get(resource, {}).get(key)
        if before is None:
            if subresource:
                self.get(resource, key)
            made = self.create(resource, key[0], {**body, "metadata": {**body.get("metadata", {}), "name": key[1]}})
            self._owners[resource, key] = dict.fromkeys(leaves, manager)
            return made
        owners = self._owners.setdefault((resource, key), {})
        foreign = [
            path
            for path, leaf in leaves.items()
            if owners.get(path, manager) != manager and read_leaf(before, path) != leaf
        ]
        if foreign and not force:
            text = ", ".join(f'conflict with "{owners[path]}": .{".".join(path)}' for path in foreign)
            raise ApiFailure(409, f"Apply failed with {len(foreign)} conflicts: {text}")
        item = merge(before, {**body, "metadata": {**body.get("metadata", {}), "name": key[1]}})
        for path in [path for path, owner in owners.items() if owner == manager and path not in leaves]:
            if bool(subresource) == (path[0] == "status"):
                remove_leaf(item, path)
                del owners[path]
        kept = self.replace(resource, key, item, subresource)
        owners.update(dict.fromkeys(leaves, manager))
        return kept

    def delete(self, resource: Resource, key: Key) -> Json:
        """Take an object away; one with finalizers is only marked."""
        before = self.get(resource, key)
        if before["metadata"].get("finalizers"):
            marked = copy.deepcopy(before)
            marked["metadata"].setdefault("deletionTimestamp", render_time(self.now_s()))
            return marked if marked == before else self._keep(resource, key, marked, before, "")
        del self._objects[resource][key]
        self._owners.pop((resource, key), None)
        self.version += 1
        gone = copy.deepcopy(before)
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._tell(Change(self.version, "DELETED", resource, gone, before))
        return gone

    def forget_history(self) -> None:
        """Make every version so far too old to be watched from."""
        self.version += 1
        self.oldest_version = self.version
        self.history.clear()

    def since(self, resource: Resource, version: int) -> Iterable[Change]:
        """Return what happened to objects of `resource` after `version`."""
        if version < self.oldest_version:
            raise ApiFailure(410, f"too old resource version: {version} ({self.oldest_version})")
        return [change for change in self.history if change.version > version and change.resource == resource]

    def _take_over(self, resource: Resource, before: Json, body: Json) -> Json:
        """Return what a write of `body` makes of `before`: identity stays, status stays, generation counts specs."""
        item = copy.deepcopy(body)
        item["apiVersion"], item["kind"] = resource.api_version, resource.kind
        about = {**item.get("metadata", {}), "name": before["metadata"]["name"]}
        for name in ("namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp"):
            if name in before["metadata"]:
                about[name] = before["metadata"][name]
        item["metadata"] = about
        if resource.kind not in WITHOUT_STATUS:
            item.pop("status", None)
            if "status" in before:
                item["status"] = copy.deepcopy(before["status"])
        if item.get("spec") != before.get("spec"):
            about["generation"] = before["metadata"].get("generation", 1) + 1
        return item

    def _keep(self, resource: Resource, key: Key, item: Json, before: Json | None, manager: str) -> Json:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        self._own(resource, key, item, before, manager)
        if item["metadata"].get("deletionTimestamp") and not item["metadata"].get("finalizers") and before:
            self._objects[resource].pop(key, None)
            self._tell(Change(self.version, "DELETED", resource, item, before))
            return item
        self._objects.setdefault(resource, {})[key] = item
        self._tell(Change(self.version, "ADDED" if before is None else "MODIFIED", resource, item, before))
        return item

    def _own(self, resource: Resource, key: Key, item: Json, before: Json | None, manager: str) -> None:
        if not manager:
            return
        old = list_leaves(before or {})
        owners = self._owners.setdefault((resource, key), {})
        for path, leaf in list_leaves(item).items():
            if not _is_identity(path) and (path not in old or old[path] != leaf):
                owners[path] = manager

    def _tell(self, change: Change) -> None:
        self.history.append(change)
        for listener in list(self.listeners):
            listener(change)


def is_built_in(resource: Resource) -> bool:
    """Return whether the API server itself knows the kind, without a CRD."""
    group = resource.group
    return "." not in group or (group.endswith(".k8s.io") and not group.endswith(".x-k8s.io"))


def _name(resource: Resource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def _is_identity(path: Path) -> bool:
    return path[0] in ("apiVersion", "kind") or (path[0] == "metadata" and path[1] not in ("labels", "annotations"))
