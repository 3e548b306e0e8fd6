from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapter.cli import main
from adapter.config.json_schema import build_json_schema
from adapter.config.reference import render_reference

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
Capture = pytest.CaptureFixture[str]


def test_a_good_file_is_said_to_be_good(capsys: Capture) -> None:
    assert main(["check-config", str(EXAMPLES / "two-models.yaml")]) == 0
    assert capsys.readouterr().out == f"{EXAMPLES / 'two-models.yaml'}: good (2 models, 4 variants)\n"


def test_every_problem_has_a_line_on_standard_error_and_exit_code_2(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        (EXAMPLES / "minimal.yaml").read_text(encoding="utf-8").replace("accelerator: L40S", "accelerater: L40S")
    )
    assert main(["check-config", str(file)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        f"{file}: models[0].variants[0].accelerator is missing: Accelerator type, as in `accelerators`. (line 9)",
        f"{file}: models[0].variants[0].accelerater is not known; did you mean accelerator? (line 10)",
    ]


def test_a_file_that_is_not_there_is_a_bad_configuration(capsys: Capture) -> None:
    assert main(["check-config", "nowhere.yaml"]) == 2
    assert capsys.readouterr().err == "nowhere.yaml: the file cannot be read: nowhere.yaml: No such file or directory\n"


def test_schema_and_reference_are_printed(capsys: Capture) -> None:
    assert main(["check-config", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == build_json_schema()
    assert main(["check-config", "--reference"]) == 0
    assert capsys.readouterr().out == render_reference()


@pytest.mark.parametrize("arguments", [["check-config"], ["check-config", "x.yaml", "--schema"], [], ["unknown"]])
def test_arguments_that_make_no_sense_end_with_2(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: variant-autoscaler" in capsys.readouterr().err
