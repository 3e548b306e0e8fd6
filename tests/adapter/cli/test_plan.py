from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from adapter.cli import main
from tests.builders.fake_pod import serve_fake_pod
from tests.builders.growing_page import grow_page

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/minimal.yaml"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def pages(tmp_path: Path, data_dir: Path) -> Path:
    """Return a snapshot of one pod that was asked 20 times a second."""
    page = (data_dir / "samples/vllm-0.32.0-idle.prom").read_text(encoding="utf-8")
    for second, requests in (("0", 0), ("15", 300)):
        folder = tmp_path / "pages" / second / "default" / "l40s"
        folder.mkdir(parents=True)
        (folder / "pod-a.prom").write_text(grow_page(page, requests=requests), encoding="utf-8")
    return tmp_path / "pages"


def test_decisions_and_reasons_are_printed(pages: Path, capsys: Capture) -> None:
    assert main(["plan", "--config", str(EXAMPLE), "--snapshot", str(pages)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("default/llama-8b: ScaleUp: ")
    assert lines[1].startswith("  demand 20.00/s, forecast ")
    assert lines[-1].split()[:2] == ["l40s", "L40S"]


async def test_without_a_snapshot_the_pods_are_asked_twice(data_dir: Path, tmp_path: Path) -> None:
    page = (data_dir / "samples/vllm-0.32.0-idle.prom").read_text(encoding="utf-8")
    async with serve_fake_pod(page) as fake_pod:
        text = EXAMPLE.read_text(encoding="utf-8").replace("http://127.0.0.1:8000", fake_pod.url)
        (tmp_path / "config.yaml").write_text(text + "decision: {period: 200ms}\n", encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "adapter", "plan", "--config", str(tmp_path / "config.yaml")),
            cwd=EXAMPLE.parents[1],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, announced = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, len(fake_pod.authorizations)) == (0, 2)
    assert output.decode().startswith("default/llama-8b: ")
    assert announced.decode().splitlines()[0] == "pages read once; again in 0.2 s, for rates need two readings"


def test_a_folder_that_is_no_snapshot_ends_with_1(tmp_path: Path, capsys: Capture) -> None:
    assert main(["plan", "--config", str(EXAMPLE), "--snapshot", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"variant-autoscaler: snapshot {tmp_path} has no pages")


def test_a_bad_configuration_ends_with_2(tmp_path: Path, capsys: Capture) -> None:
    assert main(["plan", "--config", str(tmp_path / "nowhere.yaml"), "--snapshot", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
