"""The trial: a real vLLM on this machine, a client with a seeded schedule, the adapter beside it, and their comparison.

It arranges the parts and holds no judgement of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.engine.adapter_config import write_adapter_config
from tests.engine.adapter_process import AdapterProcess
from tests.engine.compare import Line
from tests.engine.environment import VLLM_VERSION, prepare_environment
from tests.engine.failures import TrialFailure
from tests.engine.play import Sighting, play
from tests.engine.recording import write_answers, write_recording, write_token_times
from tests.engine.report import is_passed, render_table, write_report
from tests.engine.schedule import TRIAL, shorten
from tests.engine.server import VllmServer
from tests.engine.tiny_model import write_tiny_model
from tests.engine.verdict import judge_sighting

DEFAULT_CACHE = f"~/.cache/variant-autoscaler/vllm-{VLLM_VERSION}"
CACHE_VARIABLE = "VARIANT_AUTOSCALER_ENGINE_CACHE"
RUNNING_REQUESTS = 4  # few slots, so that a queue builds at a few requests per second


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when every judgement passed, 1 otherwise."""
    options = _parse(arguments)
    try:
        return _run(options)
    except TrialFailure as failure:
        print(f"test-engine: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("test-engine: interrupted", file=sys.stderr)
        return 1


def say(text: str) -> None:
    """Tell the user what goes on."""
    print(text, flush=True)


def _run(options: argparse.Namespace) -> int:
    environment = prepare_environment(options.cache, say)
    say(f"environment: ready in {options.cache}")
    if options.prepare_only:
        return 0
    output: Path = options.output or options.cache / "trials" / time.strftime("%Y%m%d-%H%M%S")
    output.mkdir(parents=True, exist_ok=True)
    model = write_tiny_model(options.cache / "tiny-llama")
    _check_port(options.server_port)
    server = VllmServer(environment, model, options.server_port, RUNNING_REQUESTS, output / "vllm.log")
    adapter = None if options.without_adapter else _make_adapter(options, server, output)
    sighting = asyncio.run(play(shorten(TRIAL, options.shorten), options.seed, server, adapter, say))
    lines = judge_sighting(sighting, with_adapter=adapter is not None)
    _write(output, options, sighting, lines)
    say(f"\n{render_table(lines)}\n\n{'passed' if is_passed(lines) else 'FAILED'}; everything is in {output}")
    return 0 if is_passed(lines) else 1


def _make_adapter(options: argparse.Namespace, server: VllmServer, output: Path) -> AdapterProcess:
    _check_port(options.adapter_port)
    config = write_adapter_config(
        output / "config.yaml", server.url, options.adapter_port, server.max_running_requests, VLLM_VERSION
    )
    return AdapterProcess(config, options.adapter_port, output / "adapter.log")


def _write(output: Path, options: argparse.Namespace, sighting: Sighting, lines: Sequence[Line]) -> None:
    facts = {
        "vllm": VLLM_VERSION,
        "seed": options.seed,
        "origin_unix_s": sighting.clock.origin_unix_s,
        "shortened": options.shorten,
        "healthy_after_s": sighting.healthy_after_s,
        "statuses": dict(Counter(one.status for one in sighting.records)),
        "phases": [{"name": part.name, "start_s": span.start_s, "end_s": span.end_s} for part, span in sighting.parts],
    }
    write_report(output / "report.json", lines, facts)
    write_token_times(output / "token-times.jsonl.gz", sighting.records)
    write_answers(output / "decisions.jsonl.gz", sighting.decisions)
    name = f"vllm-{VLLM_VERSION}-trial"
    write_recording(options.recording or output, name, sighting.pages, sighting.records, sighting.parts)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as cause:
            raise TrialFailure(
                f"port {port} must be free on 127.0.0.1; choose another one ({cause.strerror})"
            ) from cause


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-engine ARGS=...", description=__doc__.split("\n")[0])
    cache = Path(os.environ.get(CACHE_VARIABLE, DEFAULT_CACHE))
    parser.add_argument("--cache", type=_to_path, default=cache.expanduser(),
                        help=f"folder of the 6 GB environment (default %(default)s, or ${CACHE_VARIABLE})")  # fmt: skip
    parser.add_argument("--output", type=_to_path, help="folder of the results (default: CACHE/trials/DATE)")
    parser.add_argument("--recording", type=_to_path, help="folder to save pages, requests and phases in, for replay")
    parser.add_argument("--seed", type=int, default=1, help="of the schedule (default %(default)s)")
    parser.add_argument("--shorten", type=_to_ratio, default=1.0, metavar="RATIO",
                        help="play phases this much as long, for a look: too short for means")  # fmt: skip
    parser.add_argument("--server-port", type=int, default=8201, help="of vLLM (default %(default)s)")
    parser.add_argument("--adapter-port", type=int, default=8080, help="of the adapter's pages (default %(default)s)")
    parser.add_argument("--without-adapter", action="store_true", help="try server, client and their agreement only")
    parser.add_argument("--prepare-only", action="store_true", help="make the environment and end")
    return parser.parse_args(arguments)


def _to_path(text: str) -> Path:
    return Path(text).expanduser().resolve()


def _to_ratio(text: str) -> float:
    ratio = float(text)
    if not 0 < ratio <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, got {text}")
    return ratio


if __name__ == "__main__":
    sys.exit(main())
