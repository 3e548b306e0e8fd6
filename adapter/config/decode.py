"""Text or plain data to a `Configuration`: every problem in one run, in the order of the file. Reads no files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from adapter.config.policies import Policies, find_policy_problems
from adapter.config.problems import Findings, Problem
from adapter.config.schema import Configuration
from adapter.config.section import Section
from adapter.config.yaml_text import Document, parse_yaml
from adapter.errors import ConfigurationError
from optimizer import BUILT_IN_POLICIES

ROOT = Section(Configuration)


def decode_text(text: str, policies: Policies | None = BUILT_IN_POLICIES) -> Configuration:
    """Return the configuration that YAML (or JSON) `text` holds.

    Policies are judged by `policies`, those there are; None judges none of them.

    Raises
    ------
    ConfigurationError
        With every problem of text, fields and rules.
    """
    return decode_document(parse_yaml(text), policies)


def decode_data(data: object, policies: Policies | None = BUILT_IN_POLICIES) -> Configuration:
    """Return the configuration that plain `data` holds, as a YAML or JSON reader would give it.

    Raises
    ------
    ConfigurationError
        With every problem of fields and rules.
    """
    return decode_document(Document(data), policies)


def decode_document(document: Document, policies: Policies | None = BUILT_IN_POLICIES) -> Configuration:
    """Return the configuration that `document` holds.

    Raises
    ------
    ConfigurationError
        With every problem of text, fields and rules.
    """
    findings = Findings()
    configuration = read_document(document, findings)
    if policies is not None:
        findings.problems.extend(find_policy_problems(configuration, findings, policies, {}))
    refuse(findings.problems, document)
    return configuration


def read_document(document: Document, findings: Findings) -> Configuration:
    """Return what of the configuration in `document` can be read, and note in `findings` what is wrong with it."""
    findings.problems.extend(document.problems)
    if document.data is not None:
        return ROOT.read(document.data, "", findings)
    if not document.problems:
        findings.report("", "is empty: it needs accelerators, service_classes and models")
    return ROOT.stand_in


def refuse(problems: Iterable[Problem], document: Document) -> None:
    """Raise ConfigurationError with `problems` in the order of `document`; nothing when there are none."""
    located = [problem if problem.line is not None else _locate(problem, document) for problem in problems]
    if located:
        located.sort(key=lambda problem: problem.line or 0)  # stable: as found within a line
        raise ConfigurationError(tuple(str(problem) for problem in located))


def _locate(problem: Problem, document: Document) -> Problem:
    """Return `problem` with its line: that of the nearest part of its path which the file has."""
    path = problem.path
    while path not in document.lines and path:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return replace(problem, line=document.lines.get(path))
