"""The objects of the chart fit together, whatever the values: names, ports, selectors, mounts, security."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CHART, NAMESPACE, ROOT, Helm, Json, Rendered
from tests.deploy.value_sets import VALUE_SETS

WITHOUT_NAMESPACE = {"APIService", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
API_VERSIONS = {
    "APIService": "apiregistration.k8s.io/v1",
    "Certificate": "cert-manager.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "ConfigMap": "v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Issuer": "cert-manager.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
}
SYSTEM_KEYS = re.compile(r"(kubernetes\.io|k8s\.io)/")


@pytest.fixture(params=sorted(VALUE_SETS))
def rendered(request: pytest.FixtureRequest, helm: Helm) -> Rendered:
    return helm.render(VALUE_SETS[request.param])


def test_helm_lint_finds_nothing(helm: Helm) -> None:
    for name in ("default", "two namespaces only", "everything on"):
        helm.run("lint", "--strict", str(CHART), "--values", "-", stdin=yaml.safe_dump(VALUE_SETS[name]))


def test_every_object_says_what_it_is_and_where_it_belongs(rendered: Rendered) -> None:
    for found in rendered.objects:
        kind, metadata = found["kind"], found["metadata"]
        assert found["apiVersion"] == API_VERSIONS[kind]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", metadata["name"])
        assert ("namespace" not in metadata) == (kind in WITHOUT_NAMESPACE), (kind, metadata)
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"


def test_no_two_objects_are_the_same(rendered: Rendered) -> None:
    names = [
        (found["kind"], found["metadata"].get("namespace"), found["metadata"]["name"]) for found in rendered.objects
    ]
    assert len(set(names)) == len(names)


def test_everything_that_selects_pods_selects_ours(rendered: Rendered) -> None:
    pod, deployment = rendered.get_pod(), rendered.get("Deployment")
    selectors = [deployment["spec"]["selector"]["matchLabels"], rendered.get("Service")["spec"]["selector"]]
    selectors += [found["spec"]["selector"]["matchLabels"] for found in rendered.list("PodDisruptionBudget")]
    selectors += [found["spec"]["podSelector"]["matchLabels"] for found in rendered.list("NetworkPolicy")]
    spread = pod["spec"].get("topologySpreadConstraints", [])
    selectors += [constraint["labelSelector"]["matchLabels"] for constraint in spread]
    for selector in selectors:
        assert selector.items() <= pod["metadata"]["labels"].items()
    for monitor in rendered.list("ServiceMonitor"):
        labels = rendered.get("Service")["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_ports_have_names_that_exist_everywhere_they_are_used(rendered: Rendered) -> None:
    container, service = rendered.get_container(), rendered.get("Service")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    configured = yaml.safe_load(rendered.get_configuration())["listen"]
    assert ports["pages"] == configured["pages"]["port"]
    assert {port["targetPort"] for port in service["spec"]["ports"]} == set(ports)
    assert all(port["name"] == port["targetPort"] for port in service["spec"]["ports"])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "pages"
    for policy in rendered.list("NetworkPolicy"):
        assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} == set(ports)
    for monitor in rendered.list("ServiceMonitor"):
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} == {"pages"}
    assert all(len(name) <= 15 for name in ports)


def test_the_registration_leads_to_the_service(rendered: Rendered) -> None:
    served = yaml.safe_load(rendered.get_configuration())["listen"]["external_metrics"]
    registrations = rendered.list("APIService")
    assert bool(registrations) == served.get("enabled", True)
    for registration in registrations:
        service, to = rendered.get("Service"), registration["spec"]["service"]
        assert (to["name"], to["namespace"]) == (service["metadata"]["name"], service["metadata"]["namespace"])
        (port,) = [port for port in service["spec"]["ports"] if port["port"] == to["port"]]
        container_ports = {port["name"]: port["containerPort"] for port in rendered.get_container()["ports"]}
        assert container_ports[port["targetPort"]] == served["port"]
        assert "insecureSkipTLSVerify" not in registration["spec"]


def test_every_mount_has_a_volume_and_none_is_by_sub_path(rendered: Rendered) -> None:
    volumes = {volume["name"] for volume in rendered.get_pod()["spec"]["volumes"]}
    mounts = rendered.get_container()["volumeMounts"]
    assert {mount["name"] for mount in mounts} == volumes
    assert not [mount for mount in mounts if "subPath" in mount]  # such a file would never change
    assert len({mount["mountPath"] for mount in mounts}) == len(mounts)


def test_volumes_show_objects_that_are_made(rendered: Rendered) -> None:
    made = {("configMap", found["metadata"]["name"]) for found in rendered.list("ConfigMap")}
    made |= {("secret", found["metadata"]["name"]) for found in rendered.list("Secret")}
    made |= {("secret", found["spec"]["secretName"]) for found in rendered.list("Certificate")}
    for volume in rendered.get_pod()["spec"]["volumes"]:
        if volume["name"] == "config":
            assert ("configMap", volume["configMap"]["name"]) in made
        if volume["name"] == "certificate":
            assert ("secret", volume["secret"]["secretName"]) in made


def test_the_pod_has_no_rights_on_its_node(rendered: Rendered) -> None:
    pod, container = rendered.get_pod()["spec"], rendered.get_container()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]


def test_no_replica_leaves_before_the_next_one_is_ready(rendered: Rendered) -> None:
    strategy = rendered.get("Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    drain_s = float(yaml.safe_load(rendered.get_configuration())["listen"]["drain"].removesuffix("s"))
    assert rendered.get_pod()["spec"]["terminationGracePeriodSeconds"] > drain_s + 5.0


def test_two_replicas_run_by_default(helm: Helm) -> None:
    assert helm.render().get("Deployment")["spec"]["replicas"] == 2


def test_a_budget_never_blocks_the_eviction_of_a_single_replica(helm: Helm) -> None:
    budget = helm.render({"replicas": 1}).get("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert "minAvailable" not in budget


def test_the_pod_learns_who_and_where_it_is(helm: Helm) -> None:
    told = {
        entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"] for entry in helm.render().get_container()["env"]
    }
    assert told == {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}


def test_the_series_of_prometheus_keep_the_namespace_of_their_workload(helm: Helm) -> None:
    (endpoint,) = helm.render({"serviceMonitor": {"create": True}}).get("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True
    assert endpoint["path"] == "/metrics"


def test_the_network_is_closed_but_for_the_two_ports(helm: Helm) -> None:
    policy = helm.render().get("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"] == [
        {"ports": [{"port": "https", "protocol": "TCP"}]},
        {"ports": [{"port": "pages", "protocol": "TCP"}]},
    ]


def test_peers_and_egress_narrow_the_network_policy(helm: Helm) -> None:
    given = VALUE_SETS["everything on"]
    policy = helm.render(given).get("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["from"] for rule in policy["ingress"]] == [
        given["networkPolicy"]["apiFrom"],
        given["networkPolicy"]["pagesFrom"],
    ]
    assert policy["egress"] == given["networkPolicy"]["egress"]


def test_additions_to_the_pod_arrive(helm: Helm) -> None:
    given = VALUE_SETS["everything on"]
    rendered = helm.render(given)
    pod = rendered.get_pod()
    for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets"):
        assert pod["spec"][key] == given[key]
    assert given["podLabels"].items() <= pod["metadata"]["labels"].items()
    assert given["podAnnotations"].items() <= pod["metadata"]["annotations"].items()
    assert given["extraVolumes"][0] in pod["spec"]["volumes"]
    assert rendered.get_container()["image"] == "registry.example.com:5000/serving/variant-autoscaler:1.2.3"


def test_the_definition_of_decisions_outlives_the_release(helm: Helm) -> None:
    source = yaml.safe_load((CHART / "files" / "variantdecisions.yaml").read_text(encoding="utf-8"))
    definition = helm.render().get("CustomResourceDefinition")
    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert definition["spec"] == source["spec"]
    assert not helm.render(VALUE_SETS["everything off"]).list("CustomResourceDefinition")


@pytest.mark.parametrize(
    "release, expected",
    [("variant-autoscaler", "variant-autoscaler"), ("llm", "llm-variant-autoscaler"), ("x" * 53, None)],
)
def test_names_follow_the_release_and_stay_short(helm: Helm, release: str, expected: str | None) -> None:
    rendered = helm.render(release=release)
    name = rendered.get("Deployment")["metadata"]["name"]
    assert expected is None or name == expected
    assert all(len(found["metadata"]["name"]) <= 63 for found in rendered.objects if found["kind"] == "Service")


def test_two_installations_share_no_object_but_the_definition_and_the_registration(helm: Helm) -> None:
    one, other = (
        {(found["kind"], found["metadata"].get("namespace"), found["metadata"]["name"]) for found in rendered.objects}
        for rendered in (helm.render(namespace="one"), helm.render(namespace="other"))
    )
    assert {kind for kind, _, _ in one & other} == {"APIService", "CustomResourceDefinition"}


def test_on_openshift_numbers_of_users_can_be_left_to_the_cluster(helm: Helm) -> None:
    given: dict[str, Any] = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
    context: Json = helm.render(given).get_pod()["spec"]["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_the_notes_show_three_commands_and_begin_with_the_image(helm: Helm) -> None:
    for values in ({}, {"apiService": {"create": False}}):
        shown = helm.run(
            "install", "variant-autoscaler", str(CHART), "--namespace", NAMESPACE, "--dry-run=client", "--values", "-",
            stdin=yaml.safe_dump(values),
        ).split("NOTES:")[1]  # fmt: skip
        assert shown.index("make image") < shown.index("\n1. ")
        assert [line for line in shown.splitlines() if re.match(r"\d\. ", line)][2].startswith("3. ")
        assert not re.search(r"\n4\. ", shown)
        assert "<no value>" not in shown
        assert not re.search(r"&$|&\s*\n", shown, re.MULTILINE)  # a curl right behind would come too early


@pytest.mark.parametrize("creates_api", [True, False])
def test_the_line_of_the_notes_that_makes_a_follower_names_the_workload_everywhere(
    helm: Helm, creates_api: bool
) -> None:
    shown = helm.run(
        "install", "variant-autoscaler", str(CHART), "--namespace", "scaling", "--dry-run=client", "--values", "-",
        stdin=yaml.safe_dump({"apiService": {"create": creates_api}}),
    )  # fmt: skip
    (line,) = re.findall(r"^ +(sed .*?) \| kubectl apply -f -$", shown, re.MULTILINE | re.DOTALL)
    made = subprocess.run(line, shell=True, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    follower = yaml.safe_load(made)
    assert (follower["metadata"]["namespace"], follower["metadata"]["name"]) == ("NAMESPACE", "NAME")
    assert follower["spec"]["scaleTargetRef"]["name"] == "NAME"
    if creates_api:
        selector = follower["spec"]["metrics"][0]["external"]["metric"]["selector"]
        assert selector == {"matchLabels": {"deployment": "NAME"}}
    else:
        url = follower["spec"]["triggers"][0]["metadata"]["url"]
        assert url == "http://variant-autoscaler.scaling.svc:8080/metrics/NAMESPACE/NAME"
