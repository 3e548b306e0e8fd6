"""`variant-autoscaler run` as a process: what it logs, how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.builders.fake_pod import serve_fake_pod

PROJECT = Path(__file__).resolve().parents[3]
PATIENCE_S = 120.0  # only ever reached when something is broken
CONFIG = """
listen: {pages: {port: PORT}, external_metrics_http: {port: 0}, drain: 30s}
decision: {period: 5s}
accelerators: {L40S: {cost_per_hour: 1.55}}
service_classes: {interactive: {itl: 50ms}}
models: [{name: tiny-llama, variants: [{name: l40s, accelerator: L40S, pods: ["URL"]}]}]
"""


class Run:
    """A running command."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def wait_for(self, event: str) -> dict[str, Any]:
        """Return the next log line of `event`."""
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._process.stderr:
                found: dict[str, Any] = json.loads(line)
                if found["event"] == event:
                    return found
        raise AssertionError(f"ended without {event}")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def end(self) -> tuple[int | None, str]:
        """Return the exit code and what was left to read of standard error."""
        async with asyncio.timeout(PATIENCE_S):
            _, rest = await self._process.communicate()
        return self._process.returncode, rest.decode()


@asynccontextmanager
async def _start(*arguments: str) -> AsyncIterator[Run]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapter", "run", *arguments, cwd=PROJECT, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield Run(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def config(tmp_path: Path, data_dir: Path) -> AsyncIterator[Path]:
    page = (data_dir / "samples/vllm-0.32.0-idle.prom").read_text(encoding="utf-8")
    async with serve_fake_pod(page) as fake_pod:
        path = tmp_path / "config.yaml"
        path.write_text(CONFIG.replace("URL", fake_pod.url).replace("PORT", "0"), encoding="utf-8")
        yield path


async def test_it_says_where_it_listens_and_ends_on_ctrl_c_without_a_trace(config: Path) -> None:
    async with _start("--config", str(config)) as run:
        addresses = (await run.wait_for("started"))["addresses"]
        cycle = await run.wait_for("cycle")
        async with aiohttp.ClientSession() as session, session.get(f"{addresses['pages']}/readyz") as response:
            assert response.status == 200
        run.send(signal.SIGINT)
        code, rest = await run.end()
    assert [model["mix"] for model in cycle["models"]] == [{"l40s": 1}]
    assert code == 0
    assert [json.loads(line)["event"] for line in rest.splitlines()][-2:] == ["stopping", "stopped"]


async def test_sigterm_makes_it_unready_first_and_a_second_signal_ends_it_at_once(config: Path) -> None:
    async with _start("--config", str(config)) as run:
        addresses = (await run.wait_for("started"))["addresses"]
        await run.wait_for("cycle")
        run.send(signal.SIGTERM)
        await run.wait_for("stopping")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{addresses['pages']}/readyz") as response:
                assert response.status == 503
            async with session.get(f"{addresses['pages']}/metrics/default/l40s") as response:
                assert response.status == 200
        run.send(signal.SIGTERM)
        assert (await run.end())[0] == 0


async def test_it_keeps_the_clock_it_is_told(config: Path) -> None:
    async with _start("--config", str(config), "--clock", "1e12,1,0") as run:
        cycle = await run.wait_for("cycle")
        run.send(signal.SIGINT)
        await run.end()
    assert cycle["now_s"] > 1e12


async def test_a_bad_configuration_ends_with_2_and_every_problem(config: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8").replace("5s", "5").replace("interactive:", "interactiv: 1\n"))
    async with _start("--config", str(config)) as run:
        code, rest = await run.end()
    assert code == 2
    assert f"{config}: " in rest
    assert "Traceback" not in rest


async def test_an_address_in_use_ends_with_1_and_says_which(config: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config.write_text(config.read_text(encoding="utf-8").replace("{port: 0}", f"{{port: {port}}}", 1))
        async with _start("--config", str(config)) as run:
            code, rest = await run.end()
    assert code == 1
    assert rest == f"variant-autoscaler: pages: cannot listen on 127.0.0.1:{port}: Address already in use\n"
