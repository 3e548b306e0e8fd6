"""`variant-autoscaler doctor` as a person runs it: what is printed, what the exit code says, what ends it early."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapter.cli import main
from adapter.doctor import Check, Verdict
from adapter.kube.api_service import NAME as API_SERVICE
from tests.builders.doctor_stage import HOME, NAME, DoctorStage, open_doctor_stage


@pytest.fixture
async def stage() -> AsyncIterator[DoctorStage]:
    async with open_doctor_stage() as opened:
        yield opened


@pytest.fixture
def kubeconfig(stage: DoctorStage, tmp_path: Path) -> Path:
    return write_kubeconfig(tmp_path, stage.api.url)


def write_kubeconfig(folder: Path, url: str) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "one", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
        "contexts": [{"name": "here", "context": {"cluster": "one", "user": "me"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    return path


async def run(kubeconfig: Path, *arguments: str) -> int:
    """Return the exit code of a run beside the API, which lives in this process."""
    command = ["doctor", "--kubeconfig", str(kubeconfig), *arguments]
    with ThreadPoolExecutor(1) as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, main, command)


async def test_nothing_wrong_is_exit_code_0(kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = await run(kubeconfig)
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith(f"ok    installation [Service {HOME}/{NAME}]")
    assert " 0 wrong, 0 cannot tell" in out.splitlines()[-1]


async def test_something_wrong_is_exit_code_1_with_the_remedy_below(
    stage: DoctorStage, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.lead(holder="")
    assert await run(kubeconfig) == 1
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("WRONG leader"))
    assert lines[at + 1].startswith(f"      kubectl -n {HOME} get pods")


async def test_wrong_only_leaves_out_everything_else(
    stage: DoctorStage, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.lead(holder="")
    stage.api.deny("list", "namespaces")
    assert await run(kubeconfig, "--wrong-only") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")][:-1] == [lines[0]]
    assert lines[0].startswith("WRONG leader")
    assert lines[-1].endswith("1 wrong, 1 cannot tell")


async def test_findings_as_json_carry_every_field(
    stage: DoctorStage, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.put_hpa(max_replicas=3)
    assert await run(kubeconfig, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert {entry["verdict"] for entry in found} == {Verdict.OK, Verdict.WRONG}
    (wrong,) = [entry for entry in found if entry["verdict"] == "wrong"]
    assert wrong == {
        "check": Check.EXACTNESS.value,
        "about": "HorizontalPodAutoscaler prod/llama-70b",
        "verdict": "wrong",
        "message": "maxReplicas 3 is below the 4 planned",
        "remedy": "# HorizontalPodAutoscaler prod/llama-70b\nspec:\n  maxReplicas: 4",
        "code": "MaxReplicasBelowPlan",
    }


async def test_whoever_may_see_nothing_is_told_so_with_exit_code_3(
    stage: DoctorStage, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.api.fail(403, message="")
    assert await run(kubeconfig) == 3
    out, err = capsys.readouterr()
    assert f"kubectl auth can-i get apiservices {API_SERVICE}" in out
    assert "you may see nothing" in err


async def test_a_cluster_that_does_not_answer_is_exit_code_3(
    stage: DoctorStage, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await stage.api.stop()
    assert await run(kubeconfig) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("variant-autoscaler doctor: the cluster does not answer: ")
    assert "Traceback" not in err


def test_no_cluster_at_all_is_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--kubeconfig", str(tmp_path / "nowhere")]) == 3
    assert capsys.readouterr().err == f"variant-autoscaler doctor: no such file: {tmp_path}/nowhere\n"


async def test_a_service_that_is_not_there_is_exit_code_3(kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(kubeconfig, "--service", f"{HOME}/nowhere") == 3
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["name", "/name", "space/", "a/b/c"])
def test_a_service_is_named_with_its_namespace(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--service", text])
    assert end.value.code == 2
    assert "must be NAMESPACE/NAME" in capsys.readouterr().err
