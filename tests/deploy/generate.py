"""Makes what follows from the chart and the configuration: `python -m tests.deploy.generate` writes it into the tree.

That is the part of values.schema.json that describes `config`, and manifests/ without its samples. The tests say when
either is out of date.
"""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from adapter.config.json_schema import build_json_schema
from tests.control_plane.unavailable import Unavailable
from tests.deploy.chart import CHART, NAMESPACE, RELEASE, ROOT, Helm, Json
from tests.deploy.helm_binary import find_helm

MANIFESTS: Final = ROOT / "manifests"
SCHEMA: Final = CHART / "values.schema.json"
_HEADER: Final = "# Made of charts/variant-autoscaler by `make chart`: change it there.\n"
_HELM_ONLY: Final = ("helm.sh/", "app.kubernetes.io/managed-by")


def build_configuration_schema() -> Json:
    """Return what `config` may hold; the chart itself refuses the keys that other values tell, with their names."""
    schema = build_json_schema()
    return {key: value for key, value in schema.items() if key not in ("$schema", "title")}


def render_schema() -> str:
    """Return values.schema.json as it has to be."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    schema["$defs"]["configuration"] = build_configuration_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def render_manifests(helm: Helm) -> dict[str, str]:
    """Return the files of manifests/ by name."""
    objects: list[Json] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}]
    objects += [_strip(found) for found in helm.render().objects]
    files = {_name_file(found): _HEADER + _dump(found) for found in objects}
    assert len(files) == len(objects), "two objects got the same file"
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(files),
        "images": [_find_image(objects)],
    }
    return {**files, "kustomization.yaml": _HEADER + _dump(kustomization)}


def _find_image(objects: list[Json]) -> Json:
    (deployment,) = [found for found in objects if found["kind"] == "Deployment"]
    name, _, tag = deployment["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")
    return {"name": name, "newName": name, "newTag": tag}


def _strip(found: Json) -> Json:
    """Return the object without what only Helm needs."""
    stripped = copy.deepcopy(found)
    metadata = stripped["metadata"]
    for kind in ("labels", "annotations"):
        entries = {key: value for key, value in metadata.pop(kind, {}).items() if not key.startswith(_HELM_ONLY)}
        if entries:
            metadata[kind] = entries
    return stripped


def _name_file(found: Json) -> str:
    """Return such as ``cluster-role-metrics-reader.yaml``: the kind, then what the name says besides our own."""
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", found["kind"]).lower()
    name = found["metadata"]["name"]
    rest = name.removeprefix(RELEASE).strip("-") if name.startswith(RELEASE) else ""
    return f"{kind}-{rest}.yaml" if rest else f"{kind}.yaml"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def _dump(document: Mapping[str, Any]) -> str:
    text = yaml.dump(
        dict(document), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True, default_flow_style=False
    )
    return str(text)


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Make `folder` hold `files` and its subfolders, and no other file."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.is_file() and path.name not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def main() -> int:
    """Write everything into the tree."""
    try:
        helm = Helm(find_helm(lambda line: print(line, flush=True)))
    except Unavailable as reason:
        print(f"helm: {reason}", file=sys.stderr)
        return 1
    SCHEMA.write_text(render_schema(), encoding="utf-8")
    write(MANIFESTS, render_manifests(helm))
    return 0


if __name__ == "__main__":
    sys.exit(main())
