"""The JSON schema of the configuration file, made from the dataclasses, for editors that complete and check. Pure."""

from __future__ import annotations

import json
from typing import Any

from adapter.config.decode import ROOT


def build_json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12). Rules across fields and bounds of values with a unit are not in it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of the variant autoscaler",
        **ROOT.to_schema(),
    }


def render_json_schema() -> str:
    """Return the schema as text, one line break at its end."""
    return json.dumps(build_json_schema(), indent=2, ensure_ascii=False) + "\n"
