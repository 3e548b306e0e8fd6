"""Custom resource definitions of other projects, as they install them. Pure, but for reading their files."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from adapter.kube.client import Json
from adapter.kube.resource import Resource
from tests.control_plane.cluster import Cluster

CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)


def load(path: Path) -> list[Any]:
    """Return the documents of a file: objects, or lists of steps."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [found for found in yaml.load_all(path.read_text(encoding="utf-8"), Loader=loader) if found]


def load_kustomized(folder: Path) -> list[Json]:
    """Return the definitions that ``kustomization.yaml`` in `folder` names, with its JSON patches applied."""
    (order,) = load(folder / "kustomization.yaml")
    found = {}
    for name in order["resources"]:
        for definition in load(folder / name):
            found[definition["metadata"]["name"]] = definition
    for entry in order.get("patches") or []:
        name = entry["target"]["name"]
        (steps,) = load(folder / entry["path"])
        found[name] = patch_json(found[name], steps)
    return list(found.values())


def patch_json(document: Json, steps: list[Json]) -> Json:
    """Return `document` after the steps ``add`` and ``remove`` of a JSON patch.

    Source: RFC 6902, sections 4.1 and 4.2; other operations are refused.

    Raises
    ------
    ValueError
        For another operation.
    """
    patched = copy.deepcopy(document)
    for step in steps:
        *way, last = (part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:])
        place: Any = patched
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        match step["op"], place:
            case "add", list():
                place.insert(len(place) if last == "-" else int(last), step["value"])
            case "add", dict():
                place[last] = step["value"]
            case "remove", list():
                del place[int(last)]
            case "remove", dict():
                del place[last]
            case operation, _:
                raise ValueError(f"a step of a JSON patch must be add or remove here, got {operation}")
    return patched


async def define(cluster: Cluster, definitions: list[Json]) -> None:
    """Apply definitions, and return when the API server serves their kinds."""
    names = {definition["metadata"]["name"] for definition in definitions}

    async def look_back() -> set[str]:
        found = (await cluster.client.list(CUSTOM_RESOURCE_DEFINITIONS))["items"]
        return {it["metadata"]["name"] for it in found if "deletionTimestamp" in it["metadata"]} & names

    await cluster.wait_until(look_back, lambda left: not left, what="definitions of earlier tests are gone")
    for definition in definitions:
        await cluster.apply(CUSTOM_RESOURCE_DEFINITIONS, None, definition)
    for definition in definitions:
        spec = definition["spec"]
        root = f"/apis/{spec['group']}/{spec['versions'][0]['name']}"
        paths = (root, f"{root}/{spec['names']['plural']}")

        async def look(paths: tuple[str, ...] = paths) -> list[Json]:
            return [await cluster.client.request("GET", path) for path in paths]

        # Established alone is not enough: discovery lags, and at first the storage of a new kind refuses everything.
        await cluster.wait_until(look, bool, what=f"{spec['names']['kind']} is served")
