"""The configuration file with which the adapter watches one real server, as a user would write it. Text only."""

from __future__ import annotations

from pathlib import Path

from tests.engine.server import MODEL_NAME

PERIOD_S = 2

TEXT = """\
# One model, one variant, one pod on this machine. The law is roughly that of the tiny model on two cores.
listen:
  pages: {{port: {adapter_port}}}
  external_metrics_http: {{port: 0}}
decision: {{period: {period_s}s, stale_after: 60s}}
collection: {{timeout: {period_s}s, jitter: 0s}}
accelerators:
  cpu: {{cost_per_hour: 0.10}}
service_classes:
  interactive: {{ttft: 1s, itl: 75ms}}
models:
  - name: {model}
    variants:
      - name: cpu
        accelerator: cpu
        engine: vllm
        engine_version: "{engine_version}"
        max_running_requests: {max_running_requests}
        max_batched_tokens: 1024
        startup: 60s
        max_replicas: 10
        pods: ["{server_url}"]
        performance:
          law: {{fixed: 9ms, per_request: 500us, per_context_token: 1us, per_prompt_token: 50us}}
"""


def write_adapter_config(
    path: Path, server_url: str, adapter_port: int, max_running_requests: int, engine_version: str
) -> Path:
    """Write the file to `path` and return it."""
    text = TEXT.format(
        adapter_port=adapter_port,
        period_s=PERIOD_S,
        model=MODEL_NAME,
        engine_version=engine_version,
        max_running_requests=max_running_requests,
        server_url=server_url,
    )
    path.write_text(text, encoding="utf-8")
    return path
