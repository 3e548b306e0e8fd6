"""The frozen data of the optimizer: what is known, what is wanted, what was decided. No algorithms live here."""

from optimizer.domain.accelerator import Accelerator
from optimizer.domain.decision import Condition, ConditionType, Hold, ModelDecision, VariantDecision
from optimizer.domain.demand import DemandSource, DemandWindow, LengthSums
from optimizer.domain.limit import Limit, LimitKind
from optimizer.domain.model import ModelKey, Routing, ServedModel
from optimizer.domain.need import WHOLE, CapacityEntry, CapacityTable, Need, NeedEntry
from optimizer.domain.override import Override, OverrideMode
from optimizer.domain.performance import IterationLaw, IterationTable, PerformanceProfile, ProfileOrigin
from optimizer.domain.plan import Allocation, BindingLimit, Plan, SolveStatus
from optimizer.domain.reading import Counter, Gauge, Histogram, HistogramReading, PodKey, PodReading
from optimizer.domain.reason import Observation, Reason, ReasonCode
from optimizer.domain.service_class import ClassSource, ClassSourceKind, LatencyQuantity, ServiceClass, Slo
from optimizer.domain.settings import DecisionSettings, Settings
from optimizer.domain.signal import PodSignals, SignalKind, SignalSpec, is_counter_name
from optimizer.domain.snapshot import FleetSnapshot, ModelSnapshot, PodPhase, PodState, VariantState
from optimizer.domain.traffic import Attained, LatencyFigures, ModelTraffic, Traffic, VariantTraffic
from optimizer.domain.variant import Parallelism, Role, Variant, VariantKey, WorkloadRef
from optimizer.domain.workload import LengthDistribution, Workload

__all__ = [
    "WHOLE",
    "Accelerator",
    "Allocation",
    "Attained",
    "BindingLimit",
    "CapacityEntry",
    "CapacityTable",
    "ClassSource",
    "ClassSourceKind",
    "Condition",
    "ConditionType",
    "Counter",
    "DecisionSettings",
    "DemandSource",
    "DemandWindow",
    "FleetSnapshot",
    "Gauge",
    "Histogram",
    "HistogramReading",
    "Hold",
    "IterationLaw",
    "IterationTable",
    "LatencyFigures",
    "LatencyQuantity",
    "LengthDistribution",
    "LengthSums",
    "Limit",
    "LimitKind",
    "ModelDecision",
    "ModelKey",
    "ModelSnapshot",
    "ModelTraffic",
    "Need",
    "NeedEntry",
    "Observation",
    "Override",
    "OverrideMode",
    "Parallelism",
    "PerformanceProfile",
    "Plan",
    "PodKey",
    "PodPhase",
    "PodReading",
    "PodSignals",
    "PodState",
    "ProfileOrigin",
    "Reason",
    "ReasonCode",
    "Role",
    "Routing",
    "ServedModel",
    "ServiceClass",
    "Settings",
    "SignalKind",
    "SignalSpec",
    "Slo",
    "SolveStatus",
    "Traffic",
    "Variant",
    "VariantDecision",
    "VariantKey",
    "VariantState",
    "VariantTraffic",
    "Workload",
    "WorkloadRef",
    "is_counter_name",
]
