"""Our samples, in a namespace and at addresses of a test; nothing else of them is changed. Text only; no network."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from adapter.kube.client import Json
from tests.deploy.chart import ROOT

NAMESPACE = "chat"
DEPLOYMENT = "llama-8b-l40s"
PAGES = "http://variant-autoscaler.variant-autoscaler.svc.cluster.local:8080"
PROMETHEUS = "http://prometheus.monitoring.svc:9090"
_FOLDER = ROOT / "manifests" / "samples"


def load_samples(name: str, namespace: str, addresses: Mapping[str, str] | None = None) -> list[Json]:
    """Return the documents of a sample, the namespace and each of `addresses` replaced.

    Raises
    ------
    ValueError
        When the sample has no such namespace or address.
    """
    text = re.sub(r"#.*", "", (_FOLDER / name).read_text(encoding="utf-8"))
    for old, new in {NAMESPACE: namespace, **(addresses or {})}.items():
        text, count = re.subn(rf"(?<![\w.-]){re.escape(old)}(?![\w.-])", new, text)
        if not count:
            raise ValueError(f"{name} must name {old}, and does not")
    return [document for document in yaml.safe_load_all(text) if document]


def load_sample(name: str, kind: str, namespace: str, addresses: Mapping[str, str] | None = None) -> Json:
    """Return the first document of `kind`; see `load_samples`."""
    return next(found for found in load_samples(name, namespace, addresses) if found["kind"] == kind)


def read_rule() -> Json:
    """Return the rule for prometheus-adapter."""
    rule: Json = yaml.safe_load((_FOLDER / "prometheus-adapter-rule.yaml").read_text(encoding="utf-8"))
    return rule
