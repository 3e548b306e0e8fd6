"""The configuration of an installation, as its ConfigMap holds it, and what it means for judgments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from adapter.config.decode import decode_text
from adapter.config.load import LoadedConfiguration
from adapter.config.schema import Configuration, DiscoveryConfig, DiscoveryKind
from adapter.config.translate import to_settings
from adapter.doctor.asking import attempt, tell_failure
from adapter.doctor.finding import Check, Finding, cannot_tell, ok, wrong
from adapter.doctor.installation import Installation, Mount, find_config_path, find_mount
from adapter.errors import AdapterError, ConfigurationError, NotFound
from adapter.kube.client import Json, KubeClient
from adapter.kube.discovery import DiscoveryOptions, WorkloadClaim, to_discovery_options
from adapter.kube.resource import CONFIG_MAPS
from adapter.merging import list_claims

_USUAL_KEY = "config.yaml"


@dataclass(frozen=True, slots=True)
class Configured:
    """What an installation is told.

    Attributes
    ----------
    loaded
        The configuration, without measured speeds, which nothing here depends on; the defaults where it is not known.
    finding
        How the configuration itself stands.
    is_known
        Whether it was read.
    """

    loaded: LoadedConfiguration
    finding: Finding
    is_known: bool

    @property
    def configuration(self) -> Configuration:
        """As the file has it."""
        return self.loaded.configuration

    @property
    def serves_api(self) -> bool:
        """Whether it serves the external metrics API; it does unless it is told otherwise."""
        return self.configuration.get_external_metrics() is not None

    def get_discovery_options(self, namespaces: tuple[str, ...]) -> DiscoveryOptions:
        """Return how it looks at the cluster; in `namespaces` only where any are given."""
        options = replace(to_discovery_options(self.configuration), has_nodes=False)
        return replace(options, namespaces=namespaces) if namespaces else options

    def list_claims(self) -> tuple[WorkloadClaim, ...]:
        """Return the workloads that it names."""
        return tuple(WorkloadClaim(it.workload, it.model_id, it.variant) for it in list_claims(self.configuration))


async def fetch_configuration(client: KubeClient, installation: Installation | None) -> Configured:
    """Return what `installation` is told; the defaults, and why, where that cannot be read."""
    if installation is None:
        return _stand_in(cannot_tell(Check.CONFIGURATION, "", "which installation is ours is not known"))
    mount = _find_place(installation)
    about = f"ConfigMap {installation.namespace}/{mount.name}"
    if mount.kind != "ConfigMap":
        return _stand_in(cannot_tell(Check.CONFIGURATION, about, f"it lies in a {mount.kind}; defaults are assumed"))
    found = await attempt(client.get(CONFIG_MAPS, installation.namespace, mount.name))
    if isinstance(found, NotFound):
        message = f"it is not there; defaults are assumed: {found}"
        return _stand_in(cannot_tell(Check.CONFIGURATION, about, message))
    if isinstance(found, AdapterError):
        right = f"get configmaps -n {installation.namespace}"
        return _stand_in(tell_failure(Check.CONFIGURATION, about, found, right=right))
    return read_configuration(found, mount.key, about, installation)


def read_configuration(config_map: Json, key: str, about: str, installation: Installation) -> Configured:
    """Return what the file `key` in a ConfigMap says; the defaults where it cannot be used."""
    text = (config_map.get("data") or {}).get(key)
    edit = f"kubectl -n {installation.namespace} edit configmap {config_map['metadata']['name']}"
    if not isinstance(text, str):
        return _stand_in(wrong(Check.CONFIGURATION, about, f"it has no key {key}", edit))
    try:
        configuration = decode_text(text, policies=None)  # which there are, the image there tells, not this machine
    except ConfigurationError as refusal:
        message = f"it is refused, the last good one stays in force: {'; '.join(refusal.problems)}"
        return _stand_in(wrong(Check.CONFIGURATION, about, message, edit))
    if not configuration.is_clustered:
        message = f"discovery.kind is {configuration.discovery.kind}: it finds nothing in this cluster"
        return _stand_in(wrong(Check.CONFIGURATION, about, message, "discovery: {kind: kubernetes}"))
    return Configured(_load(configuration), ok(Check.CONFIGURATION, about, f"{key} can be used"), True)


def _find_place(installation: Installation) -> Mount:
    """Return where the configuration lies: as the container is started, else as the chart names it."""
    path = find_config_path(installation.pod_spec)
    found = None if path is None else find_mount(installation.pod_spec, path)
    return found or Mount("ConfigMap", installation.service, _USUAL_KEY)


def _stand_in(finding: Finding) -> Configured:
    discovery = DiscoveryConfig(kind=DiscoveryKind.KUBERNETES)
    return Configured(_load(Configuration(accelerators={}, service_classes={}, discovery=discovery)), finding, False)


def _load(configuration: Configuration) -> LoadedConfiguration:
    """Return `configuration` with settings, without the tables of measured speed, which lie in further files."""
    models = tuple(
        replace(model, variants=tuple(replace(variant, performance=None) for variant in model.variants))
        for model in configuration.models
    )
    plain = replace(configuration, models=models)
    return LoadedConfiguration(plain, to_settings(plain, {}), Path())
