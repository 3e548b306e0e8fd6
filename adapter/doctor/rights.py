"""Points on rights: of the adapter, to ask who a caller is, and of HPA, to read our metric."""

from __future__ import annotations

from collections.abc import Sequence

from adapter.config.schema import AuthenticationKind
from adapter.doctor.asking import Right, ask_each, ask_right, tell_failure
from adapter.doctor.finding import Check, Finding, cannot_tell, ok, wrong
from adapter.doctor.look import Look
from adapter.errors import AdapterError
from adapter.external_metrics.wire import GROUP, METRIC

HPA_USER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"

_MAY_ASK = "create subjectaccessreviews.authorization.k8s.io"
_SETTINGS = "extension-apiserver-authentication"
_GRANT = """\
kubectl apply -f - <<'EOF'
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: variant-autoscaler-metrics-reader}}
rules: [{{apiGroups: [external.metrics.k8s.io], resources: [{names}], verbs: [get, list]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: variant-autoscaler-metrics-reader}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: variant-autoscaler-metrics-reader}}
subjects: [{{kind: ServiceAccount, namespace: kube-system, name: horizontal-pod-autoscaler}}]
EOF"""


async def check_review_rights(look: Look) -> list[Finding]:
    """Judge whether the adapter may ask the API server who a caller is and what it may do."""
    check, place = Check.REVIEW_RIGHTS, look.installation
    served = look.configured.configuration.get_external_metrics()
    if served is None or served.authentication is not AuthenticationKind.KUBERNETES:
        return [ok(check, "", "it needs none: nobody's rights are asked for")]
    if isinstance(place, str) or not place.user:
        return [cannot_tell(check, "", "the adapter's service account is not known", "name it: --service NS/NAME")]
    account = f"--serviceaccount={place.namespace}:{place.account}"
    delegate = f"kubectl create clusterrolebinding {place.service}-auth-delegator --clusterrole=system:auth-delegator"
    read = (
        f"kubectl -n kube-system create rolebinding {place.service}-authentication-reader "
        f"--role={_SETTINGS}-reader {account}"
    )
    settings = {"resource": "configmaps", "name": _SETTINGS, "namespace": "kube-system", "verb": "get"}
    questions = (
        (_ask_create(place.user, "authentication.k8s.io", "tokenreviews"), f"{delegate} {account}"),
        (_ask_create(place.user, "authorization.k8s.io", "subjectaccessreviews"), f"{delegate} {account}"),
        (Right(place.user, "read the front proxy's settings", settings), read),
    )
    return await _judge(look, check, [right for right, _ in questions], [remedy for _, remedy in questions])


async def check_hpa_rights(look: Look) -> list[Finding]:
    """Judge whether the HPA controller may read every metric of ours that an HPA names, where it names it."""
    if not look.configured.serves_api:
        return []
    wanted = sorted({(it.workload.namespace, it.metric) for it in look.questions})
    if not wanted:
        return [cannot_tell(Check.HPA_RIGHTS, "", "no HPA reads our number")]
    rights = [
        Right(
            HPA_USER,
            f"read {metric} in {namespace}",
            {"group": GROUP, "resource": metric, "verb": "list", "namespace": namespace},
        )
        for namespace, metric in wanted
    ]
    remedy = _GRANT.format(names=", ".join(dict.fromkeys([METRIC, *(metric for _, metric in wanted)])))
    return await _judge(look, Check.HPA_RIGHTS, rights, [remedy] * len(rights))


def _ask_create(user: str, group: str, resource: str) -> Right:
    return Right(user, f"create {resource}", {"group": group, "resource": resource, "verb": "create"})


async def _judge(look: Look, check: Check, rights: Sequence[Right], remedies: Sequence[str]) -> list[Finding]:
    async def ask(right: Right) -> bool:
        return await ask_right(look.client, right)

    answers = await ask_each(ask, rights)
    return [_tell(check, *told) for told in zip(rights, answers, remedies, strict=True)]


def _tell(check: Check, right: Right, answer: bool | AdapterError, remedy: str) -> Finding:
    if isinstance(answer, AdapterError):
        return tell_failure(check, right.user, answer, right=_MAY_ASK)
    if answer:
        return ok(check, right.user, f"it may {right.can}")
    return wrong(check, right.user, f"it may not {right.can}", remedy)
