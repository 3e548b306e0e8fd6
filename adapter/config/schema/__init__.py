"""The sections of the configuration file: frozen dataclasses, a file per topic, fields with meaning, unit and reason.

Data and the rules across fields, nothing else. `Configuration` is the whole.
"""

from adapter.config.schema.cluster import ApiServiceConfig, KubernetesConfig, LeaderElectionConfig
from adapter.config.schema.collecting import (
    CollectionConfig,
    DiscoveryConfig,
    DiscoveryKind,
    DiscoveryLimitsConfig,
    LabelDialect,
    TlsConfig,
)
from adapter.config.schema.deciding import DecisionConfig
from adapter.config.schema.models import ActuationKind, GatewayConfig, ModelConfig, WorkloadConfig
from adapter.config.schema.overrides import OverrideConfig
from adapter.config.schema.performance import LawConfig, PerformanceConfig, TableConfig
from adapter.config.schema.promises import ClassSourceConfig, ServiceClassConfig
from adapter.config.schema.resources import AcceleratorConfig, LimitConfig
from adapter.config.schema.root import Configuration, find_confusions
from adapter.config.schema.serving import (
    AuthenticationKind,
    CertificateConfig,
    CertificateKind,
    ExternalMetricsAddress,
    ExternalMetricsConfig,
    ListenConfig,
    PagesAddress,
    PublishingConfig,
    ReplicaUnit,
    StateConfig,
)
from adapter.config.schema.variants import (
    EngineName,
    ParallelismConfig,
    ScaledObjectConfig,
    VariantConfig,
    WorkloadKind,
)

__all__ = [
    "AcceleratorConfig",
    "ActuationKind",
    "ApiServiceConfig",
    "AuthenticationKind",
    "CertificateConfig",
    "CertificateKind",
    "ClassSourceConfig",
    "CollectionConfig",
    "Configuration",
    "DecisionConfig",
    "DiscoveryConfig",
    "DiscoveryKind",
    "DiscoveryLimitsConfig",
    "EngineName",
    "ExternalMetricsAddress",
    "ExternalMetricsConfig",
    "GatewayConfig",
    "KubernetesConfig",
    "LabelDialect",
    "LawConfig",
    "LeaderElectionConfig",
    "LimitConfig",
    "ListenConfig",
    "ModelConfig",
    "OverrideConfig",
    "PagesAddress",
    "ParallelismConfig",
    "PerformanceConfig",
    "PublishingConfig",
    "ReplicaUnit",
    "ScaledObjectConfig",
    "ServiceClassConfig",
    "StateConfig",
    "TableConfig",
    "TlsConfig",
    "VariantConfig",
    "WorkloadConfig",
    "WorkloadKind",
    "find_confusions",
]
