"""Runs the kubectl of the control plane's own release as its admin, whatever kubectl this machine has or lacks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.control_plane.control_plane import ControlPlane


@dataclass(frozen=True, slots=True)
class Answer:
    """What kubectl left: its exit status, and what it wrote to either stream."""

    status: int
    output: str
    errors: str


async def run_kubectl(control_plane: ControlPlane, *arguments: str) -> Answer:
    """Run kubectl and return what it left, also when it failed."""
    process = await asyncio.create_subprocess_exec(
        *control_plane.kubectl, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return Answer(process.returncode, output.decode(), errors.decode())
