"""Joins the configuration with what a cluster tells, into settings to decide with. Pure data; no I/O."""
