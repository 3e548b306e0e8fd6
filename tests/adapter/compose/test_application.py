"""The adapter as composed: from a pod's page over HTTP to the numbers it publishes over HTTP."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapter.compose import Application, open_application
from adapter.compose.local import LocalWork
from adapter.errors import ConfigurationError, Refused
from tests.builders.captured_log import CapturedLog
from tests.builders.decisions import ManualClock
from tests.builders.fake_pod import FakePod

PERIOD_S = 15.0
API = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/deployment_replicas"


async def _get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def _get_page(application: Application) -> tuple[int, str]:
    return await _get(application.addresses["pages"] + "/metrics/default/l40s")


async def _run_pass(application: Application) -> None:
    assert isinstance(application.work, LocalWork)
    await application.work.controller.run_pass()


async def _run_passes(application: Application, clock: ManualClock, pod: FakePod, rates_per_s: list[float]) -> None:
    """Run a pass after each period in which the pod was asked at the given rate."""
    for rate_per_s in rates_per_s:
        clock.time_s += PERIOD_S
        pod.grow(round(rate_per_s * PERIOD_S))
        await _run_pass(application)


async def test_nothing_is_published_before_the_first_pass_and_the_pages_say_so(config: Path) -> None:
    async with open_application(config, ManualClock()) as application:
        pages = application.addresses["pages"]
        assert (await _get(f"{pages}/livez"))[0] == 200
        assert (await _get(f"{pages}/readyz"))[0] == 503
        assert (await _get_page(application))[0] == 503
        assert (await _get(f"{pages}/metrics/default/other"))[0] == 404


async def test_the_first_pass_publishes_what_is_there(config: Path) -> None:
    async with open_application(config, ManualClock()) as application:
        await _run_pass(application)
        assert await _get(application.addresses["pages"] + "/readyz") == (200, "ok")
        status, page = await _get_page(application)
        assert status == 200
        assert page.splitlines()[-1] == 'vllm:deployment_replicas{model_name="tiny-llama"} 1'


async def test_more_traffic_asks_for_more_replicas_everywhere_alike(config: Path, fake_pod: FakePod) -> None:
    clock = ManualClock()
    async with open_application(config, clock) as application:
        await _run_passes(application, clock, fake_pod, [0, 1, 30])
        pages, api = application.addresses["pages"], application.addresses["external_metrics_http"]
        replicas = int((await _get_page(application))[1].split()[-1])
        assert replicas > 1
        decisions = json.loads((await _get(f"{pages}/v1/decisions"))[1])
        assert decisions["models"][0]["variants"][0]["planned_replicas"] == replicas
        answer = json.loads((await _get(f"{api}{API}?labelSelector=deployment%3Dl40s"))[1])
        assert [item["value"] for item in answer["items"]] == [str(replicas)]
        assert 'deployment="l40s",kind="Deployment",model_name="tiny-llama"' in (await _get(f"{pages}/metrics"))[1]


async def test_a_pod_that_stops_answering_lowers_nothing_and_the_reason_is_seen(
    config: Path, fake_pod: FakePod, log: CapturedLog
) -> None:
    clock = ManualClock()
    async with open_application(config, clock) as application:
        await _run_passes(application, clock, fake_pod, [0, 1, 30])
        before = (await _get_page(application))[1]
        fake_pod.status = 500
        await _run_passes(application, clock, fake_pod, [0] * 8)
        assert (await _get_page(application))[1] == before
        assert "ScrapeFailed" in (await _get(application.addresses["pages"] + "/v1/decisions"))[1]
    assert len(log.read("cycle")) == 11


async def test_a_changed_file_holds_from_the_next_pass_on(config: Path, fake_pod: FakePod, log: CapturedLog) -> None:
    clock = ManualClock()
    async with open_application(config, clock) as application:
        await _run_passes(application, clock, fake_pod, [0, 1])
        config.write_text(
            config.read_text(encoding="utf-8").replace("- name: l40s", "- min_replicas: 4\n        name: l40s")
        )
        await _run_passes(application, clock, fake_pod, [1])
        assert (await _get_page(application))[1].split()[-1] == "4"
        metrics = (await _get(application.addresses["pages"] + "/metrics"))[1]
    assert log.read("configuration_applied")[0]["at_next_start"] == []
    assert 'variant_autoscaler_configuration_reloads_total{outcome="applied"} 1.0' in metrics


async def test_a_bad_change_is_refused_reported_and_changes_nothing(
    config: Path, fake_pod: FakePod, log: CapturedLog
) -> None:
    clock = ManualClock()
    async with open_application(config, clock) as application:
        await _run_passes(application, clock, fake_pod, [0, 1])
        good = config.read_text(encoding="utf-8")
        config.write_text(good.replace("accelerator: L40S", "accelerator: L40"), encoding="utf-8")
        await _run_passes(application, clock, fake_pod, [1, 1])
        metrics = (await _get(application.addresses["pages"] + "/metrics"))[1]
        assert "variant_autoscaler_configuration_valid 0.0" in metrics
        assert (await _get_page(application))[0] == 200
        config.write_text(good, encoding="utf-8")
        await _run_passes(application, clock, fake_pod, [1])
        metrics = (await _get(application.addresses["pages"] + "/metrics"))[1]
        assert "variant_autoscaler_configuration_valid 1.0" in metrics
    (refused,) = log.read("configuration_refused")
    assert refused["problems"] == [
        "models[0].variants[0].accelerator names L40, which is not known; did you mean L40S? (line 15)"
    ]


async def test_a_change_that_needs_a_start_is_named(config: Path, log: CapturedLog) -> None:
    async with open_application(config, ManualClock()) as application:
        await _run_pass(application)
        config.write_text(config.read_text(encoding="utf-8") + "state: {file: state.json}\n", encoding="utf-8")
        await _run_pass(application)
    assert log.read("configuration_applied")[0]["at_next_start"] == ["state"]


async def test_a_change_keeps_what_was_learned_of_the_traffic(config: Path, fake_pod: FakePod) -> None:
    clock = ManualClock()
    async with open_application(config, clock) as application:
        await _run_passes(application, clock, fake_pod, [0, 1])
        config.write_text(config.read_text(encoding="utf-8") + "limits: [{name: x, amount: 100}]\n", encoding="utf-8")
        await _run_passes(application, clock, fake_pod, [2])
        demand = application.store.get().models[0].demand_per_s
        assert demand.value == pytest.approx(2.0, rel=0.5)


async def test_the_state_outlives_a_restart(config: Path, fake_pod: FakePod, tmp_path: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8") + "state: {file: state.json}\n", encoding="utf-8")
    clock = ManualClock()
    async with open_application(config, clock) as application:
        await _run_passes(application, clock, fake_pod, [0, 1, 30])
        before = (await _get_page(application))[1]
    assert (tmp_path / "state.json").is_file()
    clock.time_s += 5.0
    async with open_application(config, clock) as application:
        await _run_pass(application)  # one reading only: no rates yet
        assert (await _get_page(application))[1] == before


async def test_the_token_is_read_from_its_file(config: Path, fake_pod: FakePod, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n", encoding="utf-8")
    config.write_text(
        config.read_text(encoding="utf-8").replace("{jitter: 0}", "{jitter: 0, bearer_token_file: token}"),
        encoding="utf-8",
    )
    async with open_application(config, ManualClock()) as application:
        await _run_pass(application)
    assert fake_pod.authorizations == ["Bearer secret"]


async def test_authorities_that_cannot_be_used_are_a_bad_configuration(config: Path) -> None:
    text = config.read_text(encoding="utf-8").replace("{jitter: 0}", "{jitter: 0, tls: {ca_file: nowhere.pem}}")
    config.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"collection\.tls\.ca_file cannot be used"):
        async with open_application(config, ManualClock()):
            pass


async def test_an_address_in_use_is_told_and_nothing_stays_open(config: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = config.read_text(encoding="utf-8").replace("pages: {port: 0}", f"pages: {{port: {port}}}")
        config.write_text(text, encoding="utf-8")
        with pytest.raises(Refused, match=rf"pages: cannot listen on 127\.0\.0\.1:{port}: .*in use"):
            async with open_application(config, ManualClock()):
                pass


async def test_while_draining_only_readiness_is_refused(config: Path) -> None:
    async with open_application(config, ManualClock()) as application:
        await _run_pass(application)
        application.draining.set()
        answers: dict[str, Any] = {}
        for server, address in application.addresses.items():
            answers[server] = [(await _get(address + path))[0] for path in ("/readyz", "/livez")]
        assert answers == {"pages": [503, 200], "external_metrics_http": [503, 200]}
        assert (await _get_page(application))[0] == 200


async def test_answers_are_counted_by_server_and_code(config: Path) -> None:
    async with open_application(config, ManualClock()) as application:
        pages = application.addresses["pages"]
        await _get(f"{pages}/livez")
        await _get(f"{pages}/nowhere")
        metrics = (await _get(f"{pages}/metrics"))[1]
    assert 'variant_autoscaler_http_requests_total{code="200",server="pages"} 1.0' in metrics
    assert 'variant_autoscaler_http_requests_total{code="404",server="pages"} 1.0' in metrics
