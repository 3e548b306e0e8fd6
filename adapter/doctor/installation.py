"""Finds an installation of the adapter in a cluster: its Service, what runs behind it, and with which files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from adapter.doctor.asking import attempt, list_items
from adapter.errors import AdapterError, NotFound
from adapter.kube.api_service import NAME as API_SERVICE
from adapter.kube.client import Json, KubeClient
from adapter.kube.discovery.objects import get_annotations, get_labels, get_name, get_namespace
from adapter.kube.json_fields import get_object, get_objects
from adapter.kube.resource import DEPLOYMENTS, PODS, SERVICES, STATEFUL_SETS, Resource

OUR_LABEL = "app.kubernetes.io/name=variant-autoscaler"
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


@dataclass(frozen=True, slots=True)
class Installation:
    """Where an adapter runs.

    Attributes
    ----------
    namespace, service
        Of the Service that answers for it.
    spec
        Of that Service.
    account
        Its service account, "" when that could not be found out.
    runner
        What makes its pods, as kubectl takes it: ``deployment/variant-autoscaler``.
    pod_spec
        Of the pods, {} when it could not be found out.
    release
        Name of the Helm release.
    """

    namespace: str
    service: str
    spec: Json = field(default_factory=dict)
    account: str = ""
    runner: str = ""
    pod_spec: Json = field(default_factory=dict)
    release: str = "variant-autoscaler"

    @property
    def owner(self) -> str:
        """``namespace/name`` of the Service."""
        return f"{self.namespace}/{self.service}"

    @property
    def user(self) -> str:
        """The name under which it calls the API server, "" when unknown."""
        return f"system:serviceaccount:{self.namespace}:{self.account}" if self.account else ""

    @property
    def logs(self) -> str:
        """The command that shows what it says."""
        what = f"-l {self.selector} --prefix" if self.selector else self.runner
        return f"kubectl -n {self.namespace} logs {what} --tail=50"

    @property
    def upgrade(self) -> str:
        """The command that installs it again as it is, to which changes may be added."""
        return f"helm upgrade {self.release} charts/variant-autoscaler -n {self.namespace} --reuse-values"

    @property
    def selector(self) -> str:
        """How the Service finds its pods, as a label selector, "" for not at all."""
        return to_text(get_object(self.spec, "selector").items())


@dataclass(frozen=True, slots=True)
class Mount:
    """A file of a container that comes from an object: ``ConfigMap`` or ``Secret``, its name, and the key in it."""

    kind: str
    name: str
    key: str


async def find_installation(
    client: KubeClient, given: tuple[str, str] | None, api_service: Json | AdapterError
) -> Installation | str:
    """Return where the adapter runs, or why that is not known.

    It is the Service that was named, else the only one that bears our label, else, of several, the one that the
    APIService leads to.

    Raises
    ------
    NotFound
        When the Service that was named is not there.
    """
    if given is not None:
        found = await attempt(client.get(SERVICES, *given))
        if isinstance(found, NotFound):
            raise found
        if isinstance(found, AdapterError):
            return Installation(*given, runner=f"deployment/{given[1]}")
        return await _describe(client, found)
    services = await attempt(list_items(client, SERVICES, query={"labelSelector": OUR_LABEL}))
    if isinstance(services, AdapterError):
        return str(services)
    if not services:
        return f"no Service bears the label {OUR_LABEL}"
    if len(services) > 1:
        services = tuple(service for service in services if _is_led_to(service, api_service)) or services
    if len(services) > 1:
        names = ", ".join(f"{get_namespace(service)}/{get_name(service)}" for service in services)
        return f"there are several: {names}"
    return await _describe(client, services[0])


def find_mount(pod_spec: Json, path: str) -> Mount | None:
    """Return what is mounted at the file `path` of a container, None where nothing is, or something else."""
    wanted = PurePosixPath(path)
    volumes = {str(volume.get("name")): volume for volume in get_objects(pod_spec, "volumes")}
    mounts = [
        mount for container in get_objects(pod_spec, "containers") for mount in get_objects(container, "volumeMounts")
    ]
    for mount in mounts:
        folder = PurePosixPath(str(mount.get("mountPath", "")))
        volume = volumes.get(str(mount.get("name")), {})
        if folder in wanted.parents:
            key = str(wanted.relative_to(folder))
            config_map, secret = get_object(volume, "configMap"), get_object(volume, "secret")
            if config_map:
                return Mount("ConfigMap", str(config_map.get("name")), key)
            return Mount("Secret", str(secret.get("secretName")), key) if secret else None
    return None


def find_config_path(pod_spec: Json) -> str | None:
    """Return the path of the configuration file that a container is started with, None where it names none."""
    for container in get_objects(pod_spec, "containers"):
        words = [str(word) for word in (*(container.get("command") or ()), *(container.get("args") or ()))]
        for word, following in zip(words, [*words[1:], ""], strict=True):
            if word == "--config":
                return following
            if word.startswith("--config="):
                return word.removeprefix("--config=")
    return None


def _is_led_to(service: Json, api_service: Json | AdapterError) -> bool:
    if isinstance(api_service, AdapterError) or get_name(api_service) != API_SERVICE:
        return False
    target = get_object(api_service, "spec", "service")
    return (get_namespace(service), get_name(service)) == (target.get("namespace"), target.get("name"))


async def _describe(client: KubeClient, service: Json) -> Installation:
    namespace, name, spec = get_namespace(service), get_name(service), get_object(service, "spec")
    runner, pod_spec = f"deployment/{name}", Json()
    selector = get_object(spec, "selector")
    if selector:
        runner, pod_spec = await _find_runner(client, namespace, selector, runner)
    account = str(pod_spec.get("serviceAccountName") or "")
    if not account and not isinstance(await attempt(client.get(SERVICE_ACCOUNTS, namespace, name)), AdapterError):
        account = name  # as the chart has it
    release = str(get_annotations(service).get("meta.helm.sh/release-name") or name)
    return Installation(namespace, name, spec, account, runner, pod_spec, release)


async def _find_runner(
    client: KubeClient, namespace: str, selector: Mapping[str, str], default: str
) -> tuple[str, Json]:
    """Return what makes the pods that `selector` selects, and their spec; {} where nothing is found."""
    for resource in (DEPLOYMENTS, STATEFUL_SETS):
        found = await attempt(list_items(client, resource, namespace))
        for item in () if isinstance(found, AdapterError) else found:
            template = get_object(item, "spec", "template")
            if selector.items() <= get_labels(template).items():
                return f"{resource.kind.lower()}/{get_name(item)}", get_object(template, "spec")
    pods = await attempt(list_items(client, PODS, namespace, {"labelSelector": to_text(selector.items())}))
    if isinstance(pods, AdapterError) or not pods:
        return default, {}
    return f"pod/{get_name(pods[0])}", get_object(pods[0], "spec")


def to_text(labels: Iterable[tuple[str, str]]) -> str:
    """Return a label selector as it stands in a query."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels))
