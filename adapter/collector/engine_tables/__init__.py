"""What each engine's page means: one table per engine, found by the engine's name."""

from collections.abc import Mapping

from adapter.collector.engine_tables.sglang import SGLANG
from adapter.collector.engine_tables.table import EngineTable, Fold, GaugeRule, Sample, Series, accept_all
from adapter.collector.engine_tables.vllm import VLLM

ENGINE_TABLES: Mapping[str, EngineTable] = {table.name: table for table in (SGLANG, VLLM)}
"""Every engine that can be read."""

__all__ = ["ENGINE_TABLES", "EngineTable", "Fold", "GaugeRule", "Sample", "Series", "accept_all"]
