from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from adapter.config.decode import decode_data
from adapter.errors import ConfigurationError

Data = dict[str, Any]
LAW = {"fixed": "22.2ms", "per_request": "34us", "per_context_token": "207ns", "per_prompt_token": "68us"}


@pytest.fixture
def data() -> Data:
    """Return a good configuration of two models and three variants, as plain data to be spoiled."""
    plain = {
        "accelerators": {
            "L40S": {"cost_per_hour": 1.55},
            "H100": {"cost_per_hour": 2.95, "watts": 700, "memory": "80Gi"},
        },
        "service_classes": {"interactive": {"ttft": "2s", "itl": "50ms"}},
        "models": [
            {
                "name": "llama-8b",
                "variants": [
                    {
                        "name": "l40s",
                        "accelerator": "L40S",
                        "pods": ["http://10.0.0.1:8000"],
                        "performance": {"law": LAW},
                    },
                    {
                        "name": "h100",
                        "accelerator": "H100",
                        "pods": ["http://10.0.0.2:8000"],
                        "performance": {"law": LAW},
                    },
                ],
            },
            {
                "name": "llama-70b",
                "namespace": "large",
                "variants": [{"name": "h100", "accelerator": "H100", "pods": ["http://10.0.0.3:8000"]}],
            },
        ],
    }
    return copy.deepcopy(plain)


@pytest.fixture
def find_problems() -> Callable[[object], list[str]]:
    """Return what decodes plain data and answers every problem, none for a good configuration."""

    def find(data: object) -> list[str]:
        try:
            decode_data(data)
        except ConfigurationError as refusal:
            return list(refusal.problems)
        return []

    return find
