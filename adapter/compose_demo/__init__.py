"""Joins the rooms of the demo: fleet and router in one process, the adapter in another, and a third that watches."""

from adapter.compose_demo.fleet_process import run_fleet
from adapter.compose_demo.show import run_demo
from adapter.demo.catalog import MODEL_NAMES
from adapter.demo.options import DemoOptions, decode_plan
from adapter.demo.scenarios import SUMMARIES, ScenarioName
from adapter.demo.screen import Screen

__all__ = [
    "MODEL_NAMES",
    "SUMMARIES",
    "DemoOptions",
    "ScenarioName",
    "Screen",
    "decode_plan",
    "run_demo",
    "run_fleet",
]
