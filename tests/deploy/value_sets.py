"""Sets of values that people install with, by name: every switch both ways, and the usual combinations."""

from __future__ import annotations

from typing import Any, Final

VALUE_SETS: Final[dict[str, dict[str, Any]]] = {
    "default": {},
    "two namespaces only": {"namespaces": ["chat", "batch"]},
    "pages only": {"apiService": {"create": False}},
    "pages only, one namespace": {"apiService": {"create": False}, "namespaces": ["chat"]},
    "cert-manager": {"certificates": {"kind": "certManager"}},
    "cert-manager with an issuer": {
        "certificates": {
            "kind": "certManager",
            "certManager": {"issuerRef": {"kind": "ClusterIssuer", "name": "internal"}},
        }
    },
    "certificate of the chart": {"certificates": {"kind": "chart"}},
    "limits from nodes": {"limits": {"nodes": True, "quotas": False}},
    "everything on": {
        "fullnameOverride": "optimizer",
        "image": {"repository": "registry.example.com:5000/serving/variant-autoscaler", "tag": "1.2.3"},
        "imagePullSecrets": [{"name": "registry"}],
        "discover": {"otherKinds": [{"group": "argoproj.io", "resource": "rollouts"}]},
        "actuation": {"scale": True, "patchZero": True, "bridgeTolerance": True, "podDeletionCost": True},
        "apiService": {
            "metricNames": ["deployment_replicas.llama-8b-l40s"],
            "readers": [
                {"kind": "ServiceAccount", "name": "horizontal-pod-autoscaler", "namespace": "kube-system"},
                {"kind": "Group", "name": "serving-team", "apiGroup": "rbac.authorization.k8s.io"},
            ],
        },
        "service": {"port": 8443, "annotations": {"example.com/owner": "serving"}},
        "listen": {"host": "::", "pagesPort": 9090, "externalMetricsPort": 10250},
        "serviceAccount": {"name": "optimizer-account", "annotations": {"example.com/role": "reader"}},
        "serviceMonitor": {"create": True, "labels": {"release": "prometheus"}},
        "networkPolicy": {
            "apiFrom": [{"ipBlock": {"cidr": "10.0.0.0/28"}}],
            "pagesFrom": [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}],
            "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}, {"to": [{"podSelector": {}}]}],
        },
        "hpas": [
            {"name": "llama-8b-l40s", "namespace": "chat", "maxReplicas": 32},
            {"name": "llama-8b-h100", "namespace": "chat", "minReplicas": 0, "maxReplicas": 8},
            {"name": "bulk", "namespace": "batch", "kind": "StatefulSet", "minReplicas": 2, "maxReplicas": 4},
        ],
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "system-cluster-critical",
        "podLabels": {"team": "serving"},
        "podAnnotations": {"example.com/why": "because"},
        "extraVolumes": [{"name": "token", "secret": {"secretName": "token"}}],
        "extraVolumeMounts": [{"name": "token", "mountPath": "/etc/token", "readOnly": True}],
        "files": {"h100.csv": "kind,batch,tokens,milliseconds\n"},
    },
    "everything off": {
        "replicas": 1,
        "discover": {"leaderWorkerSets": False, "scaledObjects": False, "podAutoscalers": False},
        "limits": {"quotas": False},
        "events": False,
        "apiService": {"create": False},
        "crd": {"create": False},
        "serviceAccount": {"create": False, "name": "given"},
        "rbac": {"create": False},
        "networkPolicy": {"create": False},
        "podDisruptionBudget": {"create": False},
        "topologyKeys": [],
    },
    "models in the configuration": {
        "actuation": {"scale": True},
        "config": {
            "models": [
                {
                    "name": "meta-llama/Llama-3.1-8B-Instruct",
                    "namespace": "chat",
                    "service_classes": ["interactive"],
                    "actuation": "scale",
                    "expected_workload": {"input_tokens": 1155, "output_tokens": 211},
                    "variants": [
                        {
                            "name": "l40s",
                            "deployment": "llama-8b-l40s",
                            "accelerator": "L40S",
                            "performance": {
                                "law": {
                                    "fixed": "22.2ms",
                                    "per_request": "34us",
                                    "per_context_token": "207ns",
                                    "per_prompt_token": "68us",
                                },
                                "kv_capacity_tokens": 12_345_678,
                            },
                        }
                    ],
                }
            ],
        },
    },
}
