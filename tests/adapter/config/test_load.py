from __future__ import annotations

from pathlib import Path

import pytest

from adapter.config.load import ConfigurationWatcher, load_configuration
from adapter.errors import ConfigurationError

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
TEXT = """
accelerators: {L40S: {cost_per_hour: 1.55}}
service_classes: {interactive: {itl: 50ms}}
decision: {period: PERIOD}
models:
  - name: m
    variants:
      - {name: l40s, accelerator: L40S, pods: ["http://127.0.0.1:8000"], performance: {table: {file: tables/l40s.csv}}}
"""
TABLE = "kind,batch,tokens,milliseconds\ndecode,1,128,6.4\nprefill,1,128,MS\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(TEXT.replace("PERIOD", "15s"), encoding="utf-8")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/l40s.csv").write_text(TABLE.replace("MS", "7"), encoding="utf-8")
    return path


def _get_prefill_s(watcher: ConfigurationWatcher) -> float:
    profile = watcher.current.settings.models[0].variants[0].performance
    assert profile is not None
    assert profile.table is not None
    return profile.table.prefill_s[0]


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_can_be_used(example: Path) -> None:
    assert load_configuration(example).settings.models


def test_the_smallest_example_is_small() -> None:
    lines = (EXAMPLES / "minimal.yaml").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip() and not line.startswith("#")]) <= 15


def test_tables_are_looked_for_beside_the_configuration(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert _get_prefill_s(ConfigurationWatcher(file)) == 0.007


def test_a_file_that_is_not_there_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the file cannot be read: .*nowhere.yaml: No such file or directory"):
        load_configuration(tmp_path / "nowhere.yaml")


def test_a_file_that_is_no_text_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "image.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigurationError, match=r"the file is not UTF-8 text: .*: byte 3"):
        load_configuration(tmp_path / "image.yaml")


def test_a_byte_order_mark_does_no_harm(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load_configuration(file).configuration.decision.period_s == 15.0


@pytest.mark.parametrize(
    "content, said",
    [
        (None, "models[0].variants[0].performance.table.file tables/l40s.csv: cannot be read"),
        ("kind\n", "models[0].variants[0].performance.table.file tables/l40s.csv: line 1: must be kind,batch"),
    ],
)
def test_a_table_that_cannot_be_used_is_a_problem_with_its_path(content: str | None, said: str, file: Path) -> None:
    table = file.parent / "tables/l40s.csv"
    table.unlink() if content is None else table.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refusal:
        load_configuration(file)
    assert refusal.value.problems[0].startswith(said)


def test_nothing_is_told_while_nothing_changes(file: Path) -> None:
    watcher = ConfigurationWatcher(file)
    file.touch()
    file.write_bytes(file.read_bytes())
    assert watcher.poll() is None


def test_a_change_is_told_once(file: Path) -> None:
    watcher = ConfigurationWatcher(file)
    file.write_text(TEXT.replace("PERIOD", "5s"), encoding="utf-8")
    changed = watcher.poll()
    assert changed is not None
    assert changed is watcher.current
    assert changed.settings.decision.period_s == 5.0
    assert watcher.poll() is None


def test_a_bad_change_is_refused_once_and_the_last_good_one_stays(file: Path) -> None:
    watcher = ConfigurationWatcher(file)
    file.write_text(TEXT.replace("PERIOD", "5"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"decision\.period must be a duration"):
        watcher.poll()
    assert watcher.poll() is None
    assert watcher.current.settings.decision.period_s == 15.0


def test_a_file_that_vanishes_is_a_bad_change_and_its_return_a_good_one(file: Path) -> None:
    watcher = ConfigurationWatcher(file)
    text = file.read_text(encoding="utf-8")
    file.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        watcher.poll()
    file.write_text(text, encoding="utf-8")
    assert watcher.poll() is not None


def test_a_changed_table_is_a_change(file: Path) -> None:
    watcher = ConfigurationWatcher(file)
    (file.parent / "tables/l40s.csv").write_text(TABLE.replace("MS", "9"), encoding="utf-8")
    assert watcher.poll() is not None
    assert _get_prefill_s(watcher) == 0.009


def test_a_mounted_volume_that_swaps_its_link_is_a_change(tmp_path: Path, file: Path) -> None:
    old, new, link = tmp_path / "..1", tmp_path / "..2", tmp_path / "..data"
    for folder, period in ((old, "15s"), (new, "6s")):
        (folder / "tables").mkdir(parents=True)
        (folder / "config.yaml").write_text(TEXT.replace("PERIOD", period), encoding="utf-8")
        (folder / "tables/l40s.csv").write_text(TABLE.replace("MS", "7"), encoding="utf-8")
    link.symlink_to(old)
    watcher = ConfigurationWatcher(link / "config.yaml")
    (tmp_path / "..tmp").symlink_to(new)
    (tmp_path / "..tmp").rename(link)
    changed = watcher.poll()
    assert changed is not None
    assert changed.settings.decision.period_s == 6.0
