"""One real vLLM server on loopback: start, wait until healthy, kill as a crash would, stop.

It does not send load and does not read metric pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.engine.environment import VllmEnvironment, read_end
from tests.engine.failures import ServerFailure

MODEL_NAME = "tiny-llama"
HEALTHY_WITHIN_S = 300.0
#: No network, no usage reports, no instructions that small CPUs lack, 2 GiB for the KV cache.
VARIABLES = {
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
}


@dataclass(slots=True)
class VllmServer:
    """A vLLM server that serves the model in `model_folder` on 127.0.0.1:`port`."""

    environment: VllmEnvironment
    model_folder: Path
    port: int
    max_running_requests: int
    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server; it is not healthy yet."""
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                self._command(),
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **VARIABLES},
                start_new_session=True,  # so that its engine and worker processes can be killed with it
            )

    async def wait_until_healthy(self, session: aiohttp.ClientSession) -> float:
        """Return after how many seconds `/health` answered 200.

        Raises
        ------
        ServerFailure
            When the server ended, or was not healthy in time; with the end of its log.
        """
        start_s = time.monotonic()
        while (waited_s := time.monotonic() - start_s) < HEALTHY_WITHIN_S:
            if self._process is None or self._process.poll() is not None:
                raise ServerFailure(f"vLLM ended while starting. End of {self.log}:\n{read_end(self.log, 30)}")
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{self.url}/health", timeout=aiohttp.ClientTimeout(5)) as response:
                    if response.status == 200:
                        return waited_s
            await asyncio.sleep(0.5)
        raise ServerFailure(f"vLLM must be healthy within {HEALTHY_WITHIN_S:.0f} s. End of {self.log}:\n"
                            f"{read_end(self.log, 30)}")  # fmt: skip

    def kill(self) -> None:
        """End all its processes at once, as a crash does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _command(self) -> list[str]:
        options = {
            "--load-format": "dummy",
            "--served-model-name": MODEL_NAME,
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--max-model-len": "2048",
            "--dtype": "float32",
            "--max-num-seqs": str(self.max_running_requests),
            "--max-num-batched-tokens": "1024",
        }
        pairs = [word for pair in options.items() for word in pair]
        return [str(self.environment.vllm), "serve", str(self.model_folder), "--enforce-eager", *pairs]
