"""A package of somebody else, as pip would have installed it: modules and metadata where Python looks for them."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

GROUP = "variant_autoscaler.policies"


@contextmanager
def install_package(
    folder: Path, name: str, entries: Mapping[str, str], modules: Mapping[str, str], version: str = "1.0"
) -> Iterator[None]:
    """Make `modules` (their text by name) importable, and let `entries` (``module:object`` by name) be found."""
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = (f"{entry} = {value}\n" for entry, value in entries.items())
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{''.join(lines)}", encoding="utf-8")
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text, encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for module in modules:
            sys.modules.pop(module, None)


@contextmanager
def install_project(folder: Path, project: Path) -> Iterator[None]:
    """Install the project whose ``pyproject.toml`` and modules are in `project`."""
    told = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    modules = {
        name: (project / f"{name}.py").read_text(encoding="utf-8") for name in told["tool"]["setuptools"]["py-modules"]
    }
    about = told["project"]
    with install_package(folder, about["name"], about["entry-points"][GROUP], modules, about["version"]):
        yield
