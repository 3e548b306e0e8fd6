"""One cluster in memory to act on."""

from __future__ import annotations

import pytest

from adapter.kube.actuation import Actuator
from adapter.kube.client import KubeClient
from adapter.kube.mapper import ResourceMapper
from tests.builders.actuation_stage import Stage
from tests.builders.decisions import ManualClock
from tests.builders.fake_kube_api import FakeKubeApi


@pytest.fixture
def stage(kube_api: FakeKubeApi, kube_client: KubeClient) -> Stage:
    clock = ManualClock()
    return Stage(kube_api, Actuator(kube_client, ResourceMapper(kube_client), clock), clock)
