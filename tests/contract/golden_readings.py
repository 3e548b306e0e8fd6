"""Readings as plain documents, to be compared with golden files, and the files themselves.

python -m tests.contract.golden_readings PAGE ENGINE    prints what a page is read as; check it by hand, then keep it
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from adapter.collector import read_page
from optimizer.domain import PodKey, PodReading

GOLDEN_DIR = Path(__file__).resolve().parent / "golden"
PAGES = {
    "composed-sglang.prom": "sglang",
    "composed-vllm-v0.prom": "vllm",
    "composed-vllm-v1.prom": "vllm",
    "vllm-0.32.0-busy.prom": "vllm",
    "vllm-0.32.0-dp2-busy.prom": "vllm",
    "vllm-0.32.0-dp2-start.prom": "vllm",
    "vllm-0.32.0-idle.prom": "vllm",
    "vllm-0.32.0-openmetrics.txt": "vllm",
    "vllm-0.32.0-overload.prom": "vllm",
}
"""Every sample page, with the engine whose page it is. Each has a golden file of its name."""
POD = PodKey("prod", "pod-0", "1")


def to_document(reading: PodReading) -> dict[str, Any]:
    """Return everything that `reading` says, in JSON's types."""
    histograms = {
        name.value: {
            "edges": list(histogram.edges),
            "cumulative": list(histogram.cumulative),
            "count": histogram.count,
            "total": histogram.total,
        }
        for name, histogram in reading.histograms.items()
    }
    return {
        "model_name": reading.model_name,
        "engine": reading.engine,
        "start_s": reading.start_s,
        "ranks": reading.ranks,
        "counters": {name.value: value for name, value in sorted(reading.counters.items())},
        "gauges": {name.value: value for name, value in sorted(reading.gauges.items())},
        "histograms": dict(sorted(histograms.items())),
    }


def render(body: bytes, engine: str) -> str:
    """Return what `body` is read as, the way golden files are written: one figure a line."""
    documents = [to_document(reading) for reading in read_page(body, engine, POD, 0.0)]
    text = json.dumps(documents, indent=1)
    return re.sub(r"\[[-+.0-9e,\s]*\]", lambda numbers: " ".join(numbers[0].split()), text) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render(Path(sys.argv[1]).read_bytes(), sys.argv[2]))
