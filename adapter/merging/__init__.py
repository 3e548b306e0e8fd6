"""Merging: the configuration file and what a cluster tells become one configuration, model by model.

Pure: it knows neither files nor the Kubernetes API, and decides nothing. What a person wrote into the file wins over
labels, field by field; an override by annotation wins over the file. Whatever cannot be used is left out and told.

Way of a variant: `claims` (which workloads the file names) -> `completing` (one variant and the facts about its
workload) -> `assembling` (the models) -> `merge` (settings, limits, overrides).
"""

from adapter.merging.claims import ConfiguredWorkload, list_claims
from adapter.merging.merge import Merged, merge

__all__ = ["ConfiguredWorkload", "Merged", "list_claims", "merge"]
