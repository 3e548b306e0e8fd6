from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.builders.captured_log import CapturedLog, capture_log
from tests.builders.fake_pod import FakePod, serve_fake_pod

CONFIG = """
listen:
  pages: {port: 0}
  external_metrics_http: {port: 0}
  drain: 0
decision: {period: 15s, calm_window: 0}
collection: {jitter: 0}
accelerators: {L40S: {cost_per_hour: 1.55}}
service_classes: {interactive: {itl: 50ms}}
models:
  - name: tiny-llama
    expected_workload: {input_tokens: 200, output_tokens: 60}
    variants:
      - name: l40s
        accelerator: L40S
        pods: ["URL"]
        performance:
          law: {fixed: 22.2ms, per_request: 34us, per_context_token: 207ns, per_prompt_token: 68us}
          kv_capacity_tokens: 160000
"""


@pytest.fixture
async def fake_pod(data_dir: Path) -> AsyncIterator[FakePod]:
    """Yield a pod that serves a real vLLM page."""
    page = (data_dir / "samples/vllm-0.32.0-idle.prom").read_text(encoding="utf-8")
    async with serve_fake_pod(page) as pod:
        yield pod


@pytest.fixture
def config(tmp_path: Path, fake_pod: FakePod) -> Path:
    """Return a configuration file with one model, one variant and one pod, on free ports."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.replace("URL", fake_pod.url), encoding="utf-8")
    return path


@pytest.fixture
def log() -> Iterator[CapturedLog]:
    """Yield the log."""
    with capture_log() as captured:
        yield captured
