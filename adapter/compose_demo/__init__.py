"""Joins the rooms of the demo: fleet and router in one process, the adapter in another, and a third that watches."""

from adapter.compose_demo.fleet_process import run_fleet

__all__ = ["run_fleet"]
