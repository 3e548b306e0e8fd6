from __future__ import annotations

from pathlib import Path

import pytest

from adapter.compose import run_dry_pass, run_snapshot_pass
from adapter.errors import BadDocument, ConfigurationError
from optimizer.domain import ModelDecision
from tests.builders.decisions import ManualClock
from tests.builders.fake_pod import FakePod
from tests.builders.growing_page import grow_page

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture
def page(data_dir: Path) -> str:
    return (data_dir / "samples/vllm-0.32.0-idle.prom").read_text(encoding="utf-8")


def _save(folder: Path, page: str, *path: str) -> None:
    file = folder.joinpath(*path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")


def _get_replicas(decisions: tuple[ModelDecision, ...]) -> dict[str, int]:
    return {variant.key.variant: variant.planned_replicas for model in decisions for variant in model.variants}


async def test_a_dry_pass_reads_twice_and_says_that_it_waits(config: Path, fake_pod: FakePod) -> None:
    announced: list[str] = []

    def grow(text: str) -> None:
        announced.append(text)
        fake_pod.grow(30)

    (decision,) = await run_dry_pass(config, ManualClock(), grow)
    assert announced == ["pages read once; again in 15 s, for rates need two readings"]
    assert decision.demand_per_s.value == pytest.approx(2.0)


async def test_rates_come_from_the_pages_and_their_folders_names(config: Path, page: str, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    for pod in ("a", "b"):
        _save(folder, page, "100", "default", "l40s", f"{pod}.prom")
        _save(folder, grow_page(page, requests=50), "120", "default", "l40s", f"{pod}.prom")
    (decision,) = await run_snapshot_pass(config, folder)
    assert decision.demand_per_s.value == pytest.approx(5.0)
    assert decision.decided_at_s == 120.0
    assert decision.variants[0].ready_replicas == 2


async def test_readings_are_taken_in_the_order_of_their_seconds(config: Path, page: str, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    for second, requests in (("5", 0), ("20", 15), ("100", 15 + 160)):
        _save(folder, grow_page(page, requests=requests), second, "default", "l40s", "a.prom")
    (decision,) = await run_snapshot_pass(config, folder)
    assert decision.decided_at_s == 100.0


async def test_one_reading_is_a_hold_with_its_reason(config: Path, page: str, tmp_path: Path) -> None:
    _save(tmp_path / "pages", page, "0", "default", "l40s", "a.prom")
    (decision,) = await run_snapshot_pass(config, tmp_path / "pages")
    assert decision.demand_per_s.value is None
    assert _get_replicas((decision,)) == {"l40s": 1}


async def test_a_gateway_page_stands_for_every_gateway(config: Path, page: str, tmp_path: Path) -> None:
    text = config.read_text(encoding="utf-8").replace(
        "- name: tiny-llama", '- gateway: {url: "http://router.example:9100/metrics"}\n    name: tiny-llama'
    )
    config.write_text(text, encoding="utf-8")
    for second, requests in (("0", 0), ("10", 70)):
        _save(tmp_path / "pages", page, second, "default", "l40s", "a.prom")
        gateway = 'variant_autoscaler_router_requests_total{namespace="default",model="tiny-llama"} ' + str(requests)
        _save(tmp_path / "pages", gateway + "\n", second, "gateway.prom")
    (decision,) = await run_snapshot_pass(config, tmp_path / "pages")
    assert decision.demand_per_s.value == pytest.approx(7.0)


@pytest.mark.parametrize(
    "path, said",
    [
        (None, "cannot be read: No such file or directory"),
        ("default/l40s/a.prom", "a folder is named by its second, such as 0 or 15"),
        ("0/defalt/l40s/a.prom", "no variant has the workload defalt/l40s; did you mean default/l40s?"),
    ],
)
async def test_a_folder_of_another_layout_is_refused(path: str | None, said: str, config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    if path is not None:
        _save(folder, "", *path.split("/"))
    with pytest.raises(BadDocument) as refusal:
        await run_snapshot_pass(config, folder)
    assert said in str(refusal.value)


async def test_a_folder_without_readings_says_what_is_expected(config: Path, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    with pytest.raises(BadDocument, match=r"has no pages: expected <seconds>/<namespace>/<deployment>/<pod>\.prom"):
        await run_snapshot_pass(config, tmp_path / "pages")


async def test_a_bad_configuration_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        await run_snapshot_pass(tmp_path / "nowhere.yaml", tmp_path)
