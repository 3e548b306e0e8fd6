"""Rules about clusters and overrides: what needs a cluster, what one makes superfluous, what a person may decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapter.cluster import Dialect
from adapter.config.decode import decode_data
from adapter.config.schema import ExternalMetricsAddress, ExternalMetricsConfig, LabelDialect
from adapter.config.translate import to_settings, to_workload_ref
from optimizer.domain import Override, OverrideMode, WorkloadRef

Find = Callable[[object], list[str]]
Data = dict[str, Any]
Spoil = Callable[[Data], object]
CLUSTER = {"kind": "kubernetes"}


def _model(data: Data) -> Data:
    model: Data = data["models"][0]
    return model


def _variant(data: Data) -> Data:
    variant: Data = data["models"][0]["variants"][0]
    return variant


def _clean(data: Data) -> Data:
    """Return `data` as the configuration of a cluster: without pods."""
    data["discovery"] = {"kind": "kubernetes"}
    for model in data["models"]:
        for variant in model["variants"]:
            variant.pop("pods", None)
    return data


CASES: dict[str, tuple[Spoil, str]] = {
    # cluster
    "the port that a cluster asks for by default": (
        lambda d: _clean(d).update(listen={"pages": {"port": 6443}}),
        "listen.external_metrics.port must differ from listen.pages.port, got 6443 for both",
    ),
    "namespaces without a cluster": (
        lambda d: d.update(discovery={"namespaces": ["chat"]}),
        "discovery.namespaces has no effect with kind static, only with kubernetes",
    ),
    "limits of a cluster that is not there": (
        lambda d: d.update(discovery={"limits": {"nodes": True}, "unschedulable_after": "1m"}),
        "discovery.unschedulable_after has no effect with kind static, only with kubernetes",
    ),
    "namespace twice": (
        lambda d: d.update(discovery={"kind": "kubernetes", "namespaces": ["a", "b", "a"]}),
        "discovery.namespaces[2] repeats a",
    ),
    "labels of nobody": (
        lambda d: d.update(discovery={"kind": "kubernetes", "dialects": ["llm-d.io"]}),
        "discovery.dialects[0] must be variant-autoscaler.io, model.aibrix.ai or llm-d.ai, got llm-d.io; "
        "did you mean llm-d.ai?",
    ),
    "pods beside a cluster": (
        lambda d: d.update(discovery=CLUSTER),
        "models[0].variants[0].pods has no effect with discovery.kind kubernetes, which tells the pods",
    ),
    "cluster that is not asked": (
        lambda d: d.update(kubernetes={"events": False}),
        "kubernetes has no effect with discovery.kind static, only with kubernetes",
    ),
    "state in a file beside a cluster": (
        lambda d: _clean(d).update(state={"file": "state.json"}),
        "state.file has no effect with discovery.kind kubernetes, which keeps the state there",
    ),
    "scaling by our hand without a cluster": (
        lambda d: _model(d).update(actuation="scale"),
        "models[0].actuation must be follower with discovery.kind static, got scale",
    ),
    "callers that nobody can tell apart": (
        lambda d: d.update(listen={"external_metrics": {"port": 6443}}),
        "listen.external_metrics.authentication must be none with discovery.kind static: there is no cluster to ask "
        "who a caller is, got kubernetes",
    ),
    "certificate without its key": (
        lambda d: d.update(listen={"external_metrics": {"certificate": {"kind": "files", "cert_file": "tls.crt"}}}),
        "listen.external_metrics.certificate.key_file is missing: kind files reads it",
    ),
    "certificate that is not read": (
        lambda d: d.update(listen={"external_metrics": {"certificate": {"cert_file": "tls.crt"}}}),
        "listen.external_metrics.certificate.cert_file has no effect with kind self_signed; did you mean kind: files?",
    ),
    "lease shorter than its renewal": (
        lambda d: d.update(kubernetes={"leader_election": {"lease": "8s"}}),
        "kubernetes.leader_election.renew must be < lease 8s, got 8s",
    ),
    "lease in parts of a second": (
        lambda d: d.update(kubernetes={"leader_election": {"lease": "12500ms"}}),
        "kubernetes.leader_election.lease must be whole seconds, as Lease objects hold it, got 12.5s",
    ),
    "retry that comes too late": (
        lambda d: d.update(kubernetes={"leader_election": {"retry": "9s"}}),
        "kubernetes.leader_election.retry must be < renew 8s, got 9s",
    ),
    "workload told twice": (
        lambda d: _variant(d).update(
            deployment="a", workload={"api_version": "apps/v1", "kind": "Deployment", "name": "b"}
        ),
        "models[0].variants[0].deployment has no effect beside workload",
    ),
    "workload claimed by another name": (
        lambda d: _variant(d).update(workload={"api_version": "apps/v1", "kind": "Deployment", "name": "h100"}),
        "models[0].variants[1].name claims Deployment default/h100, as models[0].variants[0].workload.name does "
        "already",
    ),
    "workload without a version": (
        lambda d: _variant(d).update(workload={"api_version": "apps", "kind": "Deployment", "name": "b"}),
        "models[0].variants[0].workload.api_version must be a version, with its group if it has one, got apps",
    ),
    "default class that is not there": (
        lambda d: d.update(default_service_class="interactiv"),
        "default_service_class names interactiv, which is not known; did you mean interactive?",
    ),
    "unknown accelerator in a cluster": (
        lambda d: _variant(_clean(d)).update(accelerator="L40"),
        "models[0].variants[0].accelerator names L40, which is not known; did you mean L40S?",
    ),
    # overrides
    "pin without a number": (
        lambda d: _variant(d).update(override={"mode": "pin"}),
        "models[0].variants[0].override.replicas is missing: mode pin publishes it",
    ),
    "number that is not pinned": (
        lambda d: _model(d).update(override={"mode": "pause", "replicas": 3}),
        "models[0].override.replicas has no effect with mode pause; did you mean mode: pin?",
    ),
    "override without a mode": (
        lambda d: _model(d).update(override={"by": "me"}),
        "models[0].override.mode is missing: `shadow`: decide and show everything, publish nothing that acts. `pause`: "
        "keep publishing the present number. `pin`: publish `replicas`, whatever bounds and demand say.",
    ),
    "end without a zone": (
        lambda d: _model(d).update(override={"mode": "pause", "until": "2027-01-31T18:00:00"}),
        "models[0].override.until must be a date and time with its zone, such as 2027-01-31T18:00:00Z, got "
        "2027-01-31T18:00:00",
    ),
}


@pytest.mark.parametrize("spoil, problem", CASES.values(), ids=CASES.keys())
def test_a_contradiction_is_refused_with_its_reason(
    spoil: Spoil, problem: str, data: Data, find_problems: Find
) -> None:
    spoil(data)
    assert problem in find_problems(data)


ALLOWED: dict[str, Spoil] = {
    "a cluster and nothing else": lambda d: d.update(discovery=CLUSTER, models=[]),
    "a model whose variants the labels tell": lambda d: (
        _clean(d),
        _model(d).pop("variants"),
        _model(d).update(min_replicas=0, max_replicas=3),
    ),
    "a variant whose accelerator the cluster tells": lambda d: _variant(_clean(d)).pop("accelerator"),
    "a lower bound that more variants may fill": lambda d: (
        _clean(d),
        _model(d).update(min_replicas=5),
        [v.update(max_replicas=2) for v in _model(d)["variants"]],
    ),
    "a class of a deployment that the labels may tell": lambda d: (
        _clean(d),
        d["service_classes"]["interactive"].update(source={"kind": "deployment", "value": "elsewhere"}),
    ),
    "any object that can be scaled": lambda d: _variant(_clean(d)).update(
        workload={"api_version": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "x"}
    ),
    "the API in TLS for everybody": lambda d: d.update(listen={"external_metrics": {"authentication": "none"}}),
    "an override until a moment": lambda d: _variant(d).update(
        override={"mode": "pin", "replicas": 0, "by": "me", "until": "2027-01-31T18:00:00+01:00"}
    ),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_does_not_contradict_itself_is_allowed(change: Spoil, data: Data, find_problems: Find) -> None:
    change(data)
    assert find_problems(data) == []


def test_the_dialects_are_those_of_the_cluster() -> None:
    assert [dialect.value for dialect in LabelDialect] == [dialect.value for dialect in Dialect]


@pytest.mark.parametrize(
    "discovery, listen, secure, plain",
    [
        ({}, {}, None, ExternalMetricsAddress()),
        ({}, {"external_metrics": {"authentication": "none"}}, "given", None),
        ({}, {"external_metrics_http": {"port": 1}}, None, ExternalMetricsAddress(port=1)),
        (CLUSTER, {}, ExternalMetricsConfig(), None),
        (CLUSTER, {"external_metrics": {"port": 1}}, ExternalMetricsConfig(port=1), None),
        (CLUSTER, {"external_metrics_http": {}}, ExternalMetricsConfig(), ExternalMetricsAddress()),
    ],
)
def test_a_cluster_gets_its_api_in_tls_and_others_in_the_clear_unless_told(
    discovery: Data, listen: Data, secure: object, plain: object, data: Data
) -> None:
    configuration = decode_data(
        {**_clean(data), "discovery": discovery or {"kind": "http", "url": "http://h/"}, "listen": listen}
    )
    given = configuration.listen.external_metrics if secure == "given" else secure
    assert configuration.get_external_metrics() == given
    assert configuration.get_external_metrics_http() == plain


def test_a_section_remembers_what_the_file_gives_of_it(data: Data) -> None:
    _variant(data)["engine"] = "vllm"
    variant = decode_data(data).models[0].variants[0]
    assert variant.given == {"name", "accelerator", "pods", "performance", "engine"}


def test_any_object_that_can_be_scaled_may_be_the_workload(data: Data) -> None:
    _variant(data)["workload"] = {"api_version": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "x"}
    model = decode_data(data).models[0]
    assert to_workload_ref(model, model.variants[0]) == WorkloadRef("default", "x", "Rollout", "argoproj.io/v1alpha1")


def test_an_override_of_a_model_is_that_of_its_variants_unless_they_say_more(data: Data) -> None:
    _model(data)["override"] = {"mode": "pause", "by": "ops", "until": "1970-01-02T00:00:00Z"}
    _variant(data)["override"] = {"mode": "pin", "replicas": 3}
    models = to_settings(decode_data(data), {}).models
    assert [variant.override for variant in models[0].variants] == [
        Override(OverrideMode.PIN, 3),
        Override(OverrideMode.PAUSE, None, "ops", 86400.0),
    ]
    assert models[1].variants[0].override is None


def test_what_only_the_cluster_can_complete_is_left_out_of_the_settings(data: Data) -> None:
    _variant(_clean(data)).pop("accelerator")
    data["models"][1].pop("variants")
    (model,) = to_settings(decode_data(data), {}).models
    assert [variant.name for variant in model.variants] == ["h100"]
