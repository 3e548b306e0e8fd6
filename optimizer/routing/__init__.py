"""Choice rules: which replica a request goes to. Pure; proxies and simulators bring the loads."""

from optimizer.routing.instance_aware import InstanceAwareLeastLoad
from optimizer.routing.least_load import LeastLoad
from optimizer.routing.round_robin import RoundRobin
from optimizer.routing.rule import RoutingRule

__all__ = ["InstanceAwareLeastLoad", "LeastLoad", "RoundRobin", "RoutingRule"]
