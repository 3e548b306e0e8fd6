"""Reading the configuration file and what it refers to, and noticing when they change. Reads files, knows no clock.

A change is noticed by content, not by time stamps: a mounted ConfigMap swaps links, editors rename files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapter.config.decode import read_document, refuse
from adapter.config.policies import Policies, find_policy_problems
from adapter.config.problems import Findings
from adapter.config.profile_table import parse_table
from adapter.config.schema import Configuration
from adapter.config.translate import to_settings
from adapter.config.yaml_text import parse_yaml
from adapter.errors import BadDocument, ConfigurationError
from optimizer import BUILT_IN_POLICIES
from optimizer.domain import IterationTable, Settings


@dataclass(frozen=True, slots=True)
class LoadedConfiguration:
    """A configuration free of problems.

    Attributes
    ----------
    configuration
        As the file has it, defaults filled in.
    settings
        As the optimizer wants it.
    folder
        Where relative paths in it start.
    tables
        The content of every table file by the name the configuration calls it.
    policies
        The ways to decide that it was judged by.
    """

    configuration: Configuration
    settings: Settings
    folder: Path
    tables: Mapping[str, IterationTable] = field(default_factory=dict)
    policies: Policies = field(default_factory=lambda: BUILT_IN_POLICIES)

    def resolve(self, name: str | None) -> Path | None:
        """Return the path that the configuration calls `name`, None for None."""
        return None if name is None else self.folder / name


class FileReader:
    """Reads files and remembers what it saw, so that a later look tells whether any of them changed."""

    def __init__(self) -> None:
        self._seen: dict[Path, str] = {}

    def read(self, path: Path) -> str:
        """Return the UTF-8 text at `path`.

        Raises
        ------
        BadDocument
            When it cannot be read.
        """
        self._seen[path] = _compute_digest(path)
        try:
            return path.read_text(encoding="utf-8-sig")
        except OSError as cause:
            raise BadDocument(f"cannot be read: {path}: {cause.strerror or cause}") from cause
        except UnicodeDecodeError as cause:
            raise BadDocument(f"is not UTF-8 text: {path}: byte {cause.start}") from cause

    def has_changes(self) -> bool:
        """Whether any file that was read is another now, or is there no more, or appeared."""
        return any(_compute_digest(path) != digest for path, digest in self._seen.items())


class ConfigurationWatcher:
    """Remembers the last good configuration and looks, when asked, whether the file holds another.

    `current` is in force; `poll` now and then, and apply what it returns.
    """

    def __init__(self, path: Path, policies: Policies = BUILT_IN_POLICIES) -> None:
        self._path, self._files, self._policies = path, FileReader(), policies
        self.current = load_configuration(path, self._files, policies)

    def poll(self) -> LoadedConfiguration | None:
        """Return the configuration if the file, or a table it refers to, changed since it was last looked at.

        Raises
        ------
        ConfigurationError
            When it changed and cannot be used: once per change. `current` stays in force.
        """
        if not self._files.has_changes():
            return None
        self._files = FileReader()
        self.current = load_configuration(self._path, self._files, self._policies)
        return self.current


def load_configuration(
    path: Path, files: FileReader | None = None, policies: Policies = BUILT_IN_POLICIES
) -> LoadedConfiguration:
    """Return what the file at `path` holds, tables that it refers to included; `policies` are those that there are.

    Raises
    ------
    ConfigurationError
        With every problem found.
    """
    files = files or FileReader()
    try:
        document = parse_yaml(files.read(path))
    except BadDocument as cause:
        raise ConfigurationError((f"the file {cause}",)) from cause
    findings, folder = Findings(), path.absolute().parent
    configuration = read_document(document, findings)
    tables = _read_tables(configuration, folder, files, findings)
    findings.problems.extend(find_policy_problems(configuration, findings, policies, tables))
    refuse(findings.problems, document)
    return LoadedConfiguration(configuration, to_settings(configuration, tables), folder, tables, policies)


def _read_tables(
    configuration: Configuration, folder: Path, files: FileReader, findings: Findings
) -> dict[str, IterationTable]:
    """Return every table that can be read by the name the configuration calls its file; others are noted."""
    tables: dict[str, IterationTable] = {}
    for path, _, variant in configuration.iterate_variants():
        table = None if variant.performance is None else variant.performance.table
        if table is None or table.file is None or table.file in tables:
            continue
        try:
            tables[table.file] = parse_table(files.read(folder / table.file))
        except BadDocument as problem:
            findings.report(f"{path}.performance.table.file", f"{table.file}: {problem}")
    return tables


def _compute_digest(path: Path) -> str:
    """Return a digest of the content at `path`, or of why there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as cause:
        return f"{type(cause).__name__} {cause.errno}"
