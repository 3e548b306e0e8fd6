from __future__ import annotations

import json
from pathlib import Path

from tests.engine.environment import CONSTRAINTS, TORCH_VERSION, select_requirements
from tests.engine.tiny_model import END_ID, START_ID, write_tiny_model


def test_requirements_leave_out_extras_and_what_only_accelerators_need() -> None:
    requirements = [
        "numpy",
        "torch==2.13.0+cpu",
        "torchaudio",
        "nvidia-ml-py",
        'av; extra == "audio"',
        "xgrammar==0.2.8",
    ]
    assert select_requirements(requirements) == ("numpy", "xgrammar==0.2.8")


def test_every_version_is_exact() -> None:
    lines = [line for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert all(line.count("==") == 1 for line in lines)
    assert f"torch=={TORCH_VERSION}" in lines


def test_the_tiny_model_speaks_in_words_and_marks_the_start(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    assert vocabulary["w0"] == 0
    assert vocabulary["w999"] == 999
    assert tokenizer["post_processor"]["special_tokens"]["<s>"]["ids"] == [START_ID]
    assert (config["bos_token_id"], config["eos_token_id"]) == (START_ID, END_ID)
    assert len(vocabulary) <= config["vocab_size"]
