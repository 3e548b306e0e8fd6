"""Requests to `FakeKubeApi` in the words of RBAC, what goes wrong with them, and which kinds there are. No objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from adapter.kube.resource import Resource
from tests.builders.fake_kube_patches import Json
from tests.builders.fake_kube_store import ApiFailure

SCALABLE = frozenset("Deployment StatefulSet ReplicaSet LeaderWorkerSet".split())
HANGING, BREAKING, LOSING = -1, 0, -2
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_ALL_VERBS = "create delete deletecollection get list patch update watch".split()


@dataclass(frozen=True)
class Call:
    """One request; ``subresource`` and ``name`` are "" where there is none."""

    verb: str
    group: str
    plural: str
    namespace: str | None
    name: str
    subresource: str
    query: Mapping[str, str]
    body: object

    def describe_denial(self, user: str) -> str:
        """Return the message of the API server when `user` has no right to this."""
        kind = f"{self.plural}/{self.subresource}" if self.subresource else self.plural
        scope = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        name = f' "{self.name}"' if self.name else ""
        who = f'User "{user}" cannot {self.verb} resource "{kind}" in API group "{self.group}" {scope}'
        return f"{self.plural}{f'.{self.group}' if self.group else ''}{name} is forbidden: {who}"


@dataclass
class Fault:
    """Something wrong with the next `times` matching requests; None is for ever, or for any.

    `code` is what to answer, `BREAKING` to break the connection, `HANGING` to say nothing, `LOSING` to do what is asked
    and then break the connection.
    """

    code: int
    verb: str | None
    plural: str | None
    message: str
    reason: str
    times: int | None

    def takes(self, call: Call) -> bool:
        """Return whether it befalls `call`, and count it."""
        if self.times == 0 or self.verb not in (None, call.verb) or self.plural not in (None, call.plural):
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class ServedKinds:
    """The kinds that the API serves, and its discovery."""

    resources: list[Resource]
    scalable: set[Resource] = field(default_factory=set)

    def has_scale(self, resource: Resource) -> bool:
        """Return whether objects of it have a scale."""
        return resource.kind in SCALABLE or resource in self.scalable

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return what stands in a path."""
        found = (one for one in self.resources if (one.group, one.version, one.plural) == (group, version, plural))
        return next(found, None)

    async def read(self, request: web.Request) -> tuple[Resource, Call]:
        """Return what a request asks for."""
        parts = [*request.path.strip("/").split("/"), "", ""]
        group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
        namespace, rest = None, rest[:-2]
        if len(rest) >= 3 and rest[0] == "namespaces" and self.find(group, version, rest[2]):
            namespace, rest = rest[1], rest[2:]
        resource = self.find(group, version, rest[0]) if rest else None
        if resource is None:
            raise ApiFailure(404, "the server could not find the requested resource")
        name, subresource = (*rest[1:], "", "")[:2]
        verb = _VERBS[request.method]
        if verb == "get" and not name:
            verb = "watch" if request.query.get("watch") in ("true", "1") else "list"
        body = json.loads(await request.read() or b"null")
        return resource, Call(verb, group, rest[0], namespace, name, subresource, dict(request.query), body)

    def discover(self, path: str) -> Json | None:
        """Return the discovery document at `path`, None where there is none."""
        groups = sorted({resource.group for resource in self.resources if resource.group})
        parts = path.split("/")
        if path == "api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "apis":
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [self._get_group(group) for group in groups]}
        if parts[0] == "apis" and len(parts) == 2 and parts[1] in groups:
            return {"kind": "APIGroup", "apiVersion": "v1", **self._get_group(parts[1])}
        if (parts[0], len(parts)) not in (("apis", 3), ("api", 2)):
            return None
        version = path.split("/", 1)[1]
        found = [resource for resource in self.resources if resource.api_version == version]
        rows = [row for resource in found for row in self._list_rows(resource)]
        listing = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": rows}
        return listing if rows else None

    def _get_group(self, group: str) -> Json:
        versions = sorted({resource.version for resource in self.resources if resource.group == group})
        rows = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
        return {"name": group, "versions": rows, "preferredVersion": rows[-1]}

    def _list_rows(self, resource: Resource) -> Iterable[Json]:
        row = {"singularName": resource.kind.lower(), "namespaced": resource.namespaced, "kind": resource.kind}
        yield {"name": resource.plural, **row, "verbs": _ALL_VERBS}
        if self.has_scale(resource):
            scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
            yield {"name": f"{resource.plural}/scale", **row, **scale, "verbs": ["get", "patch", "update"]}
        yield {"name": f"{resource.plural}/status", **row, "verbs": ["get", "patch", "update"]}
