"""The sections of the configuration file: frozen dataclasses, a file per topic, fields with meaning, unit and reason.

Data and the rules across fields, nothing else. `Configuration` is the whole.
"""

from adapter.config.schema.collecting import CollectionConfig, DiscoveryConfig, DiscoveryKind, TlsConfig
from adapter.config.schema.deciding import DecisionConfig
from adapter.config.schema.models import GatewayConfig, ModelConfig, WorkloadConfig
from adapter.config.schema.performance import LawConfig, PerformanceConfig, TableConfig
from adapter.config.schema.promises import ClassSourceConfig, ServiceClassConfig
from adapter.config.schema.resources import AcceleratorConfig, LimitConfig
from adapter.config.schema.root import Configuration
from adapter.config.schema.serving import (
    ExternalMetricsAddress,
    ListenConfig,
    PagesAddress,
    PublishingConfig,
    ReplicaUnit,
    StateConfig,
)
from adapter.config.schema.variants import EngineName, ParallelismConfig, VariantConfig, WorkloadKind

__all__ = [
    "AcceleratorConfig",
    "ClassSourceConfig",
    "CollectionConfig",
    "Configuration",
    "DecisionConfig",
    "DiscoveryConfig",
    "DiscoveryKind",
    "EngineName",
    "ExternalMetricsAddress",
    "GatewayConfig",
    "LawConfig",
    "LimitConfig",
    "ListenConfig",
    "ModelConfig",
    "PagesAddress",
    "ParallelismConfig",
    "PerformanceConfig",
    "PublishingConfig",
    "ReplicaUnit",
    "ServiceClassConfig",
    "StateConfig",
    "TableConfig",
    "TlsConfig",
    "VariantConfig",
    "WorkloadConfig",
    "WorkloadKind",
]
