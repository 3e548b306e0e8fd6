"""Finds the commands that documents print, and runs the runbook's against a real cluster: those that only read."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from collections.abc import Iterator

from tests.control_plane.product import NAME, Product
from tests.control_plane.workloads import Workload
from tests.deploy.chart import ROOT

_PRINTED_NAMESPACE, _PRINTED_WORKLOAD = "chat", "llama-8b-l40s"
_READING = re.compile(r"kubectl (-n \S+ )?(get|describe|auth|events) ")
_MAY_BE_EMPTY = (".obstacles[", "==0)]")
_LONGEST_REPORT = 500


async def run_printed_commands(product: Product, workload: Workload) -> None:
    """Run them; each must succeed and say something."""
    kubectl = shlex.join(product.cluster.control_plane.kubectl)
    commands = [command for command in list_commands() if _READING.match(command) and "/POD:" not in command]
    assert len(commands) > 20
    for command in commands:
        if "openssl" in command and shutil.which("openssl") is None:
            continue
        here = translate(command, product, workload)
        here = here.replace("kubectl ", f"{kubectl} ", 1)
        code, output = await run(f"set -o pipefail; {here}")
        assert code == 0, f"{command}\n{output[-_LONGEST_REPORT:]}"
        assert output.strip() or any(words in command for words in _MAY_BE_EMPTY), command


def list_commands() -> list[str]:
    """Return every line of the runbook's blocks of commands, and what such a line asks first, each once."""
    lines = list(_iterate_lines("runbook.md"))
    within = [command for line in lines for command in re.findall(r"\$\((kubectl [^)]+)\)", line)]
    return list(dict.fromkeys([*lines, *within]))


def find_command(page: str, begin: str) -> str:
    """Return the line of the blocks of commands on a page of the documents that begins so, without its comment."""
    (found,) = {line.partition("  #")[0].rstrip() for line in _iterate_lines(page) if line.startswith(begin)}
    return found


def _iterate_lines(page: str) -> Iterator[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines()


def translate(command: str, product: Product, workload: Workload) -> str:
    """Return `command` with the names of this cluster in place of the printed ones."""
    names = {NAME: product.namespace, _PRINTED_NAMESPACE: workload.namespace}
    named = re.sub(rf"-n ({'|'.join(names)})\b", lambda found: f"-n {names[found[1]]}", command)
    named = named.replace(f"namespaces/{_PRINTED_NAMESPACE}/", f"namespaces/{workload.namespace}/")
    return named.replace(_PRINTED_WORKLOAD, workload.name)


async def run(line: str) -> tuple[int | None, str]:
    """Return exit status and output of a line of the shell."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", line, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()
