"""Rules across fields: each refuses what contradicts itself, and says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Find = Callable[[object], list[str]]
Data = dict[str, Any]
Spoil = Callable[[Data], object]
LAW = {"fixed": "22.2ms", "per_request": "34us", "per_context_token": "207ns", "per_prompt_token": "68us"}
TABLE = {
    "batches": [1, 8],
    "contexts_tokens": [128, 2048],
    "decode": [["6ms", "7ms"], ["7ms", "9ms"]],
    "prompts_tokens": [128, 2048],
    "prefill": ["8ms", "30ms"],
}


def _model(data: Data) -> Data:
    model: Data = data["models"][0]
    return model


def _variant(data: Data) -> Data:
    variant: Data = data["models"][0]["variants"][0]
    return variant


def _set_table(data: Data, **changes: object) -> None:
    _variant(data)["performance"] = {"table": {**TABLE, **changes}}


def _add_class(data: Data, **fields: object) -> Data:
    data["service_classes"]["batch"] = {"ttlt": "60s", **fields}
    for model in data["models"]:
        model["service_classes"] = ["interactive"]
    _model(data)["service_classes"] = ["interactive", "batch"]
    return _model(data)


CASES: dict[str, tuple[Spoil, str]] = {
    # times
    "stale before two periods": (
        lambda d: d.update(decision={"period": "40s"}),
        "decision.stale_after must be at least two periods (>= 80s), got 1m",
    ),
    "decisions that are too old before the next": (
        lambda d: d.update(publishing={"max_decision_age": "10s"}),
        "publishing.max_decision_age must be > decision.period 15s, got 10s",
    ),
    "jitter beyond the period": (
        lambda d: d.update(collection={"jitter": "20s"}),
        "collection.jitter must be <= decision.period 15s, got 20s",
    ),
    # addresses
    "one port for pages and metrics": (
        lambda d: d.update(listen={"pages": {"port": 9000}, "external_metrics_http": {"port": 9000}}),
        "listen.external_metrics_http.port must differ from listen.pages.port, got 9000 for both",
    ),
    "a port that another server has by default": (
        lambda d: d.update(listen={"pages": {"port": 8443, "host": "0.0.0.0"}}),
        "listen.external_metrics_http.port must differ from listen.pages.port, got 8443 for both",
    ),
    "one port for both kinds of metrics": (
        lambda d: d.update(
            listen={"external_metrics": {"authentication": "none"}, "external_metrics_http": {"port": 6443}}
        ),
        "listen.external_metrics_http.port must differ from listen.external_metrics.port, got 6443 for both",
    ),
    # bounds
    "variant without room": (
        lambda d: _variant(d).update(min_replicas=3, max_replicas=2),
        "models[0].variants[0].max_replicas must be >= min_replicas 3, got 2",
    ),
    "model without room": (
        lambda d: _model(d).update(min_replicas=3, max_replicas=2),
        "models[0].max_replicas must be >= min_replicas 3, got 2",
    ),
    "minima of variants above the model's maximum": (
        lambda d: (_model(d).update(max_replicas=1), _variant(d).update(min_replicas=2)),
        "models[0].max_replicas must be >= 2, the sum of min_replicas of its variants, got 1",
    ),
    "maxima of variants below the model's minimum": (
        lambda d: (_model(d).update(min_replicas=5), [v.update(max_replicas=2) for v in _model(d)["variants"]]),
        "models[0].min_replicas must be <= 4, the sum of max_replicas of its variants, got 5",
    ),
    "zero with nothing to wake it": (
        lambda d: _model(d).update(min_replicas=0),
        "models[0].min_replicas must be >= 1 without a gateway, got 0: nothing could wake the model, for at zero there "
        "are no pods whose pages would show demand",
    ),
    # names
    "unknown accelerator": (
        lambda d: _variant(d).update(accelerator="L40"),
        "models[0].variants[0].accelerator names L40, which is not known; did you mean L40S?",
    ),
    "unknown accelerator in a limit": (
        lambda d: d.update(limits=[{"name": "x", "amount": 1, "accelerators": ["H200"]}]),
        "limits[0].accelerators[0] names H200, which is not known; did you mean H100?",
    ),
    "unknown class": (
        lambda d: _model(d).update(service_classes=["intractive"]),
        "models[0].service_classes[0] names intractive, which is not known; did you mean interactive?",
    ),
    "unknown policy": (
        lambda d: _model(d).update(policy="SLOs"),
        "models[0].policy names SLOs, which is not known; did you mean slo?",
    ),
    "class named twice": (
        lambda d: _model(d).update(service_classes=["interactive", "interactive"]),
        "models[0].service_classes[1] repeats interactive",
    ),
    "no class among several": (
        lambda d: _add_class(d).pop("service_classes"),
        "models[0].service_classes is missing: which of batch, interactive hold?",
    ),
    "model twice": (
        lambda d: d["models"][1].update(name="llama-8b", namespace="default", variants=[]),
        "models[1] claims model default/llama-8b, as models[0] does already",
    ),
    "variant twice": (
        lambda d: _model(d)["variants"][1].update(name="l40s", deployment="other"),
        "models[0].variants[1].name repeats l40s; variants of a model have different names",
    ),
    "workload twice": (
        lambda d: _model(d)["variants"][1].update(deployment="l40s"),
        "models[0].variants[1].deployment claims Deployment default/l40s, as models[0].variants[0].name does already",
    ),
    "pod twice": (
        lambda d: d["models"][1]["variants"][0].update(pods=["http://10.0.0.1:8000"]),
        "models[1].variants[0].pods[0] claims pod http://10.0.0.1:8000, as models[0].variants[0].pods[0] does already",
    ),
    "pod twice in one variant": (
        lambda d: _variant(d).update(pods=["http://10.0.0.1:8000"] * 2),
        "models[0].variants[0].pods[1] repeats http://10.0.0.1:8000",
    ),
    "limit twice": (
        lambda d: d.update(limits=[{"name": "x", "amount": 1}, {"name": "x", "amount": 2}]),
        "limits[1].name claims limit x, as limits[0].name does already",
    ),
    "name that no workload can have": (
        lambda d: _variant(d).update(name="L40S"),
        "models[0].variants[0].deployment is missing: the name L40S cannot be that of a workload",
    ),
    "namespace that Kubernetes would refuse": (
        lambda d: _model(d).update(namespace="Chat"),
        "models[0].namespace must be a name of lower-case letters, digits, '-' or '.', as Kubernetes allows, got Chat",
    ),
    # devices
    "more ranks than devices": (
        lambda d: _variant(d).update(parallelism={"tensor": 4, "data": 2}, accelerators_per_replica=4),
        "models[0].variants[0].accelerators_per_replica must be >= tensor × pipeline × data of parallelism, 8, got 4",
    ),
    "more nodes than devices": (
        lambda d: _variant(d).update(nodes_per_replica=2),
        "models[0].variants[0].nodes_per_replica must be <= accelerators_per_replica 1, got 2",
    ),
    # limits
    "minima beyond a limit": (
        lambda d: (_variant(d).update(min_replicas=3), d.update(limits=[{"name": "x", "amount": 2}])),
        "limits[0].amount must be >= 3, which min_replicas of the variants already use, got 2",
    ),
    "watts that nobody said": (
        lambda d: d.update(limits=[{"name": "x", "kind": "watts", "amount": 2000}]),
        "accelerators.L40S.watts is missing: limit x counts watts",
    ),
    # classes
    "class without promise": (
        lambda d: d["service_classes"].update(interactive={}),
        "service_classes.interactive promises nothing: give ttft, itl, ttlt or output_tokens_per_s",
    ),
    "whole faster than its part": (
        lambda d: d["service_classes"]["interactive"].update(ttlt="1s"),
        "service_classes.interactive.ttlt must be at least ttft, which it contains, got 1s against 2s",
    ),
    "percentile of nothing": (
        lambda d: d["service_classes"]["interactive"].update(ttlt_percentile=99),
        "service_classes.interactive.ttlt_percentile has no effect without ttlt",
    ),
    "percentile out of reach": (
        lambda d: d["service_classes"]["interactive"].update(percentile=100),
        "service_classes.interactive.percentile must be >= 50 and < 100, got 100",
    ),
    "two classes that cannot be told apart": (
        lambda d: _add_class(d, source={"kind": "engine_priority", "value": "1"}),
        "models[0].service_classes cannot be told apart: give service_classes.interactive.source another kind than all",
    ),
    "class of a deployment that is not there": (
        lambda d: d["service_classes"]["interactive"].update(source={"kind": "deployment", "value": "l40"}),
        "models[0].service_classes has interactive, whose source l40 is no deployment of this model; "
        "did you mean l40s?",
    ),
    "shares above the whole": (
        lambda d: (
            d["service_classes"]["interactive"].update(source={"kind": "share_ratio", "share_ratio": 0.7}),
            _add_class(d, source={"kind": "share_ratio", "share_ratio": 0.5}),
        ),
        "models[0].service_classes has shares that add up to 1.2; they must be <= 1 together",
    ),
    "share without its number": (
        lambda d: d["service_classes"]["interactive"].update(source={"kind": "share_ratio"}),
        "service_classes.interactive.source.share_ratio is missing: kind share_ratio needs it",
    ),
    "source without its value": (
        lambda d: d["service_classes"]["interactive"].update(source={"kind": "engine_priority"}),
        "service_classes.interactive.source.value is missing: kind engine_priority recognizes requests by it",
    ),
    # discovery
    "http without address": (
        lambda d: d.update(discovery={"kind": "http"}),
        "discovery.url is missing: kind http needs the address of the inventory document",
    ),
    "address without http": (
        lambda d: d.update(discovery={"url": "http://127.0.0.1:9000/inventory"}),
        "discovery.url has no effect with kind static; did you mean kind: http?",
    ),
    "pods that are not looked at": (
        lambda d: d.update(discovery={"kind": "http", "url": "http://127.0.0.1:9000/inventory"}),
        "models[0].variants[0].pods has no effect with discovery.kind http, which tells the pods",
    ),
    "nothing to read": (
        lambda d: d["models"][1]["variants"][0].pop("pods"),
        "models[1] has no source of demand: list pods of its variants, give a gateway, or use discovery.kind http or "
        "kubernetes",
    ),
    "address that is none": (
        lambda d: _variant(d).update(pods=["10.0.0.1:8000"]),
        "models[0].variants[0].pods[0] must be an address that begins with http:// or https://, its port at most "
        "65535, without ? and #, got 10.0.0.1:8000",
    ),
    "port that is none": (
        lambda d: _variant(d).update(pods=["http://10.0.0.1:65536"]),
        "models[0].variants[0].pods[0] must be an address that begins with http:// or https://, its port at most "
        "65535, without ? and #, got http://10.0.0.1:65536",
    ),
    "trust in two ways": (
        lambda d: d.update(collection={"tls": {"ca_file": "ca.pem", "skip_verification": True}}),
        "collection.tls.skip_verification must be false where ca_file is given: one of the two has no effect",
    ),
    # performance
    "no law and no table": (
        lambda d: _variant(d).update(performance={"derate_ratio": 1}),
        "models[0].variants[0].performance needs either law or table, got neither",
    ),
    "law and table": (
        lambda d: _variant(d).update(performance={"law": LAW, "table": TABLE}),
        "models[0].variants[0].performance needs either law or table, got both",
    ),
    "table and file": (
        lambda d: _set_table(d, file="x.csv"),
        "models[0].variants[0].performance.table.batches has no effect beside file",
    ),
    "table with a hole": (
        lambda d: _set_table(d, decode=[["6ms", "7ms"], ["7ms"]]),
        "models[0].variants[0].performance.table.decode[1] must be 2 times, one per context, got 1",
    ),
    "table with a row too few": (
        lambda d: _set_table(d, decode=[["6ms", "7ms"]]),
        "models[0].variants[0].performance.table.decode must be 2 rows, one per batch, got 1",
    ),
    "table out of order": (
        lambda d: _set_table(d, batches=[8, 8]),
        "models[0].variants[0].performance.table.batches[1] must be > 8, the one before it, got 8",
    ),
    "table without prefill": (
        lambda d: _set_table(d, prefill=[]),
        "models[0].variants[0].performance.table needs file, or all of batches, contexts_tokens, decode, "
        "prompts_tokens, prefill; missing: prefill",
    ),
    "law out of bounds": (
        lambda d: _variant(d)["performance"]["law"].update(fixed="0"),
        "models[0].variants[0].performance.law.fixed must be > 0, got 0",
    ),
    # lists
    "no models": (
        lambda d: d.update(models=[]),
        "models is missing: the LLMs that are served; only discovery.kind kubernetes finds them",
    ),
    "model without variants": (
        lambda d: _model(d).update(variants=[]),
        "models[0].variants is missing: ways to serve it; only discovery.kind kubernetes finds them",
    ),
    "variant without accelerator": (
        lambda d: _variant(d).pop("accelerator"),
        "models[0].variants[0].accelerator is missing: Accelerator type, as in `accelerators`.",
    ),
    "no accelerators": (
        lambda d: d.update(accelerators={}),
        "accelerators must be a mapping of at least 1, got 0 entries",
    ),
    "no roles": (
        lambda d: _variant(d).update(roles=[]),
        "models[0].variants[0].roles must be a list of at least 1, got 0 items",
    ),
    "port beyond the last": (
        lambda d: d.update(listen={"pages": {"port": 70000}}),
        "listen.pages.port must be >= 0 and <= 65535, got 70000",
    ),
}


@pytest.mark.parametrize("spoil, problem", CASES.values(), ids=CASES.keys())
def test_a_contradiction_is_refused_with_its_reason(
    spoil: Spoil, problem: str, data: Data, find_problems: Find
) -> None:
    spoil(data)
    assert problem in find_problems(data)


ALLOWED: dict[str, Spoil] = {
    "zero with a gateway": lambda d: _model(d).update(
        min_replicas=0, gateway={"url": "http://router:9100/metrics", "labels": {"model": "m"}}
    ),
    "zero for the model while a variant keeps one": lambda d: (
        _model(d).update(min_replicas=0),
        _variant(d).update(min_replicas=1),
    ),
    "same deployment name in another namespace": lambda d: d["models"][1]["variants"][0].update(deployment="l40s"),
    "same name of another kind": lambda d: _model(d)["variants"][1].update(
        deployment="l40s", workload_kind="StatefulSet"
    ),
    "no pods in a model with a gateway": lambda d: (
        d["models"][1].update(gateway={"url": "http://router:9100/metrics"}),
        d["models"][1]["variants"][0].pop("pods"),
    ),
    "a table": _set_table,
    "two classes told apart": lambda d: (
        d["service_classes"]["interactive"].update(source={"kind": "engine_priority", "value": 2}),
        _add_class(d, source={"kind": "engine_priority", "value": 1}),
        d["models"][1].update(service_classes=["interactive"]),
    ),
    "a limit that is just kept": lambda d: (
        _variant(d).update(min_replicas=2),
        d.update(limits=[{"name": "x", "accelerators": ["L40S"], "amount": 2}]),
    ),
    "a limit of other namespaces": lambda d: (
        _variant(d).update(min_replicas=2),
        d.update(limits=[{"name": "x", "namespaces": ["large"], "amount": 0}]),
    ),
    "several classes with a default": lambda d: (
        _add_class(d).pop("service_classes"),
        d.update(default_service_class="interactive"),
    ),
    "one port on two addresses": lambda d: d.update(
        listen={"pages": {"port": 9000}, "external_metrics_http": {"port": 9000, "host": "127.0.0.2"}}
    ),
    "any free port twice": lambda d: d.update(listen={"pages": {"port": 0}, "external_metrics_http": {"port": 0}}),
    "the port of a server that is off": lambda d: d.update(
        listen={"pages": {"port": 6443}, "external_metrics": {"enabled": False, "authentication": "none"}}
    ),
    "an unknown limit": lambda d: d.update(limits=[{"name": "x", "amount": "unknown"}]),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_does_not_contradict_itself_is_allowed(change: Spoil, data: Data, find_problems: Find) -> None:
    change(data)
    assert find_problems(data) == []
