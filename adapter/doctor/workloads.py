"""Checks of the workloads themselves, out of what was read of them. No I/O."""

from __future__ import annotations

from adapter.cluster import ClusterView, VariantFacts
from adapter.doctor.finding import Finding, cannot_tell, ok, wrong
from adapter.doctor.look import name

_PRE_STOP = """\
spec:
  template:
    spec:
      containers:
      - name: …
        lifecycle: {preStop: {sleep: {seconds: 10}}}"""


def check_workloads(view: ClusterView) -> list[Finding]:
    """Return what is to be said of every workload that labels claim, and of every trouble with one."""
    if not view.variants:
        remedy = (
            "kubectl annotate deployment NAME variant-autoscaler.io/model=MODEL variant-autoscaler.io/accelerator=H100"
        )
        return [wrong("variants", "", "no workload carries a label or annotation that names its model", remedy)]
    findings = []
    for facts in view.variants:
        findings += [_check_accelerator(facts), _check_pre_stop(facts), _check_owner_of_replicas(facts)]
    troubles = [
        wrong(trouble.reason.code.value, name(trouble.workload), trouble.reason.message, trouble.remedy)
        for trouble in view.troubles
    ]
    return [*findings, *troubles]


def _check_accelerator(facts: VariantFacts) -> Finding:
    check, about = "accelerator type", name(facts.workload)
    if facts.accelerator:
        devices = f" × {facts.accelerators_per_replica}" if facts.accelerators_per_replica else ""
        return ok(check, about, f"{facts.accelerator}{devices}")
    remedy = (
        f"kubectl -n {facts.workload.namespace} annotate {facts.workload.kind.lower()} {facts.workload.name} "
        "variant-autoscaler.io/accelerator=H100"
    )
    return wrong(
        check, about, "no label, node selector or node tells the accelerator, so nothing tells its price", remedy
    )


def _check_pre_stop(facts: VariantFacts) -> Finding:
    check, about = "preStop hook", name(facts.workload)
    if facts.has_pre_stop:
        return ok(check, about, "a container waits before it stops, so that routers look elsewhere first")
    remedy = _PRE_STOP
    return wrong(
        check, about, "without one a pod stops while routers still send to it: requests fail at each step down", remedy
    )


def _check_owner_of_replicas(facts: VariantFacts) -> Finding:
    check, about = "owner of spec.replicas", name(facts.workload)
    if not facts.replicas_owner:
        return ok(check, about, "nobody but scalers sets it")
    remedy = "take `replicas` out of the manifest (Argo CD: ignoreDifferences /spec/replicas; else: drop the line)"
    return wrong(check, about, f"{facts.replicas_owner} sets it too: each apply undoes our steps", remedy)


def check_grace(facts: VariantFacts, longest_request_s: float | None, percentile: float) -> Finding:
    """Judge whether requests under way may end before a pod is killed; `longest_request_s` [s] is that percentile."""
    check, about = "terminationGracePeriodSeconds", name(facts.workload)
    grace_s = facts.termination_grace_s
    if longest_request_s is None:
        return cannot_tell(check, about, f"{grace_s:.0f} s; how long requests take is on no page that could be read")
    if longest_request_s <= grace_s:
        return ok(check, about, f"{grace_s:.0f} s; p{percentile:g} of requests takes {longest_request_s:.1f} s")
    remedy = f"spec:\n  template:\n    spec:\n      terminationGracePeriodSeconds: {int(longest_request_s * 1.5) + 1}"
    message = (
        f"{grace_s:.0f} s, but p{percentile:g} of requests takes {longest_request_s:.1f} s: a step down cuts them off"
    )
    return wrong(check, about, message, remedy)
