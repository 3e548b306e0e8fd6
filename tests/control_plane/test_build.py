"""Finding and building the programs of a control plane, as far as no Go is needed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.control_plane import toolchain
from tests.control_plane.build import find_programs, get_binary
from tests.control_plane.kubernetes_version import (
    DEFAULT_VERSION,
    OTHER_VERSION,
    KubernetesVersion,
    read_wanted_version,
)
from tests.control_plane.unavailable import Unavailable

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


def fail_to_say(_line: str) -> None:
    raise AssertionError("nothing is to be built")


def make_command(path: Path, script: str = "exit 0") -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_given_binaries_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        make_command(tmp_path / name)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    programs = find_programs(KubernetesVersion.parse(DEFAULT_VERSION), fail_to_say)
    assert not programs.is_ours
    commands = (programs.etcd, programs.kube_apiserver, programs.kube_controller_manager, programs.kubectl)
    assert commands == tuple((str(tmp_path / name),) for name in NAMES)


def test_what_the_given_folder_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_command(tmp_path / "kube-apiserver")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(Unavailable, match="holds no etcd, kube-controller-manager, kubectl"):
        find_programs(KubernetesVersion.parse(DEFAULT_VERSION), fail_to_say)


def test_what_was_built_before_needs_no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    version = KubernetesVersion.parse(DEFAULT_VERSION)
    binary = get_binary(version)
    assert tmp_path in binary.parents
    binary.parent.mkdir(parents=True)
    make_command(binary)
    programs = find_programs(version, fail_to_say)
    assert (programs.etcd, programs.kubectl) == ((str(binary), "etcd"), (str(binary), "kubectl"))


def test_versions_have_folders_of_their_own() -> None:
    newer, older = (get_binary(KubernetesVersion.parse(text)) for text in (DEFAULT_VERSION, OTHER_VERSION))
    assert newer.parent != older.parent


@pytest.mark.parametrize(
    "said, version",
    [("go1.26.8", "1.26.8"), ("go1.27rc1", "1.27rc1"), ("go2.0", "2.0"), ("go1.25.9", None), ("?", None)],
)
def test_a_go_that_is_too_old_is_passed_over(
    said: str, version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_command(tmp_path / "go", f"echo {said}")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(toolchain, "_USUAL_PLACES", ())
    if version is not None:
        assert toolchain.find_go(tmp_path / "cache", fail_to_say) == toolchain.Go(tmp_path / "go", version)
        return
    with pytest.raises(AssertionError, match="nothing is to be built"):
        toolchain.find_go(tmp_path / "cache", fail_to_say)


def test_the_version_is_the_one_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("K8S_VERSION", raising=False)
    assert str(read_wanted_version()) == DEFAULT_VERSION
    monkeypatch.setenv("K8S_VERSION", "v1.34.4")
    version = read_wanted_version()
    assert (str(version), version.parts_version, version.has_tolerance, version.takes_zero) == (
        "1.34.4", "v0.34.4", True, False,
    )  # fmt: skip
    monkeypatch.setenv("K8S_VERSION", "1.37")
    with pytest.raises(ValueError, match=r"must be like 1\.37\.0, got '1\.37'"):
        read_wanted_version()
