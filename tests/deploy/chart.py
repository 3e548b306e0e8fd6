"""The chart as Helm renders it, and questions about the objects that come out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

Json: TypeAlias = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "variant-autoscaler"
RELEASE = "variant-autoscaler"
NAMESPACE = "variant-autoscaler"
KUBERNETES = "1.37.0"
_LONGEST_RENDERING_S = 300.0


class ChartRefused(Exception):
    """Helm would not render the chart, for the reason given."""


@dataclass(frozen=True)
class Rendered:
    """The objects of one rendering, in the order Helm installs them."""

    objects: tuple[Json, ...]

    def list(self, kind: str) -> list[Json]:
        """Return the objects of `kind`."""
        return [found for found in self.objects if found["kind"] == kind]

    def get(self, kind: str, name: str | None = None) -> Json:
        """Return the only object of `kind` (and `name`)."""
        found = [one for one in self.list(kind) if name in (None, one["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} objects {kind} {name or ''}"
        return found[0]

    def get_configuration(self) -> str:
        """Return the configuration file that pods see."""
        text: str = self.get("ConfigMap")["data"]["config.yaml"]
        return text

    def get_pod(self) -> Json:
        """Return the pod template."""
        template: Json = self.get("Deployment")["spec"]["template"]
        return template

    def get_container(self) -> Json:
        """Return the only container."""
        (container,) = self.get_pod()["spec"]["containers"]
        found: Json = container
        return found


@dataclass(frozen=True)
class Helm:
    """Runs Helm; what it rendered once it is not asked again, unless a test wants that."""

    command: Path
    _rendered: dict[tuple[str, ...], Rendered] = field(default_factory=dict)

    def render(
        self,
        values: Mapping[str, object] | None = None,
        *,
        release: str = RELEASE,
        namespace: str = NAMESPACE,
        kubernetes: str = KUBERNETES,
        again: bool = False,
    ) -> Rendered:
        """Return what the chart makes of `values`; nobody may change it.

        Raises
        ------
        ChartRefused
            With what Helm says.
        """
        text = yaml.safe_dump(dict(values or {}))
        key = (text, release, namespace, kubernetes)
        if again or key not in self._rendered:
            place = ("--namespace", namespace, "--kube-version", kubernetes)
            shown = self.run("template", release, str(CHART), *place, "--values", "-", stdin=text)
            documents = yaml.load_all(shown, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            self._rendered[key] = Rendered(tuple(found for found in documents if found))
        return self._rendered[key]

    def run(self, *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> str:
        """Return what Helm prints.

        Raises
        ------
        ChartRefused
            With what it says, when it fails.
        """
        run = subprocess.run(
            [self.command, *arguments],
            input=stdin, env=environment, capture_output=True, text=True, timeout=_LONGEST_RENDERING_S, check=False,
        )  # fmt: skip
        if run.returncode:
            raise ChartRefused(run.stderr.strip())
        return run.stdout


def iterate_texts(value: object) -> Iterator[str]:
    """Yield every text in a document, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from iterate_texts(key)
            yield from iterate_texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from iterate_texts(inner)
