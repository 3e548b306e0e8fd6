"""The built-in policies, by the name a configuration calls them. Others are handed to `decide` from outside."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.policy.aibrix import AibrixPolicy
from optimizer.policy.knative import KnativePolicy
from optimizer.policy.kthena import KthenaPolicy
from optimizer.policy.protocol import Policy
from optimizer.policy.saturation import SaturationPolicy
from optimizer.policy.skyserve import SkyServePolicy
from optimizer.policy.slo import SloPolicy
from optimizer.policy.target import TargetPolicy

BUILT_IN_POLICIES: Mapping[str, Policy] = {
    "slo": SloPolicy(),
    "kthena": KthenaPolicy(),
    "skyserve": SkyServePolicy(),
    "target": TargetPolicy(),
    "knative": KnativePolicy(),
    "saturation": SaturationPolicy(),
    "aibrix": AibrixPolicy(),
}
