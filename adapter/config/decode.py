"""Text or plain data to a `Configuration`: every problem in one run, in the order of the file. Reads no files."""

from __future__ import annotations

from dataclasses import replace

from adapter.config.problems import Findings, Problem
from adapter.config.schema import Configuration
from adapter.config.section import Section
from adapter.config.yaml_text import Document, parse_yaml
from adapter.errors import ConfigurationError

ROOT = Section(Configuration)


def decode_text(text: str) -> Configuration:
    """Return the configuration that YAML (or JSON) `text` holds.

    Raises
    ------
    ConfigurationError
        With every problem of text, fields and rules.
    """
    return _decode(parse_yaml(text))


def decode_data(data: object) -> Configuration:
    """Return the configuration that plain `data` holds, as a YAML or JSON reader would give it.

    Raises
    ------
    ConfigurationError
        With every problem of fields and rules.
    """
    return _decode(Document(data))


def _decode(document: Document) -> Configuration:
    findings = Findings()
    configuration = ROOT.stand_in
    if document.data is not None:
        configuration = ROOT.read(document.data, "", findings)
    elif not document.problems:
        findings.problems.append(Problem("", "is empty: it needs accelerators, service_classes and models"))
    problems = [*document.problems, *(_locate(problem, document) for problem in findings.problems)]
    if problems:
        problems.sort(key=lambda problem: problem.line or 0)  # stable: as found within a line
        raise ConfigurationError(tuple(str(problem) for problem in problems))
    return configuration


def _locate(problem: Problem, document: Document) -> Problem:
    """Return `problem` with its line: that of the nearest part of its path which the file has."""
    path = problem.path
    while path not in document.lines and path:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return replace(problem, line=document.lines.get(path))
