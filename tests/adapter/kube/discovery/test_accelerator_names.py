from __future__ import annotations

import doctest

import pytest

from adapter.kube.discovery import accelerator_names
from adapter.kube.discovery.accelerator_names import find_instance_accelerator, to_accelerator_name


@pytest.mark.parametrize(
    "text, name",
    [
        ("NVIDIA-H100-80GB-HBM3", "H100"),
        ("NVIDIA-H100-PCIe", "H100-PCIE"),
        ("NVIDIA-H100-NVL", "H100-NVL"),
        ("H100_NVLINK_80GB", "H100"),
        ("nvidia-h100-80gb", "H100"),
        ("nvidia-h100-mega-80gb", "H100"),
        ("h100", "H100"),
        ("NVIDIA-H200", "H200"),
        ("nvidia-h200-141gb", "H200"),
        ("NVIDIA-GH200-480GB", "GH200"),
        ("NVIDIA-B200", "B200"),
        ("NVIDIA-A100-SXM4-80GB", "A100"),
        ("NVIDIA-A100-80GB-PCIe", "A100"),
        ("NVIDIA-A100-SXM4-40GB", "A100-40GB"),
        ("NVIDIA-A100-PCIE-40GB", "A100-40GB"),
        ("nvidia-tesla-a100", "A100-40GB"),
        ("nvidia-a100-80gb", "A100"),
        ("A100_PCIE_80GB", "A100"),
        ("NVIDIA-A10G", "A10G"),
        ("a10g", "A10G"),
        ("NVIDIA-A10", "A10"),
        ("NVIDIA-L40S", "L40S"),
        ("NVIDIA-L40", "L40"),
        ("nvidia-l4", "L4"),
        ("Tesla-T4", "T4"),
        ("nvidia-tesla-t4", "T4"),
        ("Tesla-V100-SXM2-32GB", "V100-32GB"),
        ("Tesla-V100-SXM2-16GB", "V100"),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", "RTX-PRO-6000"),
        ("nvidia-rtx-pro-6000", "RTX-PRO-6000"),
        ("AMD_Instinct_MI300X_OAM", "MI300X"),
        ("AMD-MI300X-192G", "MI300X"),
        ("MI325X", "MI325X"),
        ("Gaudi3", "Gaudi3"),
        ("tpu-v5-lite-podslice", "TPU-v5e"),
        ("tpu-v6e-slice", "TPU-v6e"),
        ("tpu7x", "TPU7x"),
        ("910B4", "Ascend910B4"),
        ("Ascend910", "Ascend910"),
        ("huawei-Ascend910", "Ascend910"),
        ("card-910b-2", "Ascend910B"),
        ("Ascend310P3", "Ascend310P3"),
        ("NVIDIA-A100-SXM4-40GB-MIG-3g.20gb", "A100-40GB-MIG-3g.20gb"),
        ("NVIDIA-A100-SXM4-80GB-SHARED", "A100-SHARED"),
        ("NVIDIA-Frob-9000", "Frob-9000"),
        ("in-house chip", "in-house chip"),
    ],
)
def test_names_of_clouds_and_drivers_become_those_of_the_catalog(text: str, name: str) -> None:
    assert to_accelerator_name(text) == name


@pytest.mark.parametrize(
    "text, catalog, name",
    [
        ("NVIDIA-H100-80GB-HBM3", ("H100", "L40S"), "H100"),
        ("NVIDIA-H100-80GB-HBM3", ("h100", "L40S"), "h100"),
        ("NVIDIA-H100-80GB-HBM3", ("NVIDIA-H100-80GB-HBM3", "H100"), "NVIDIA-H100-80GB-HBM3"),
        ("nvidia-a100-80gb", ("A100-80GB",), "A100-80GB"),
        ("nvidia-a100-80gb", ("A100-80GB", "A100"), "A100"),
        ("nvidia-tesla-a100", ("A100",), "A100-40GB"),  # another memory is another type
        ("h100", ("H100-SXM",), "H100-SXM"),
        ("our-chip", ("Our-Chip",), "Our-Chip"),
    ],
)
def test_the_catalog_decides_about_the_spelling(text: str, catalog: tuple[str, ...], name: str) -> None:
    assert to_accelerator_name(text, catalog) == name


def test_a_name_is_its_own_name() -> None:
    for name in [*accelerator_names._FAMILIES.values(), *accelerator_names._INSTANCES.values()]:
        assert to_accelerator_name(name) == name


@pytest.mark.parametrize(
    "instance_type, name",
    [
        ("p5.48xlarge", "H100"),
        ("p5en.48xlarge", "H200"),
        ("p4d.24xlarge", "A100-40GB"),
        ("p4de.24xlarge", "A100"),
        ("g6e.12xlarge", "L40S"),
        ("g6.xlarge", "L4"),
        ("g5.2xlarge", "A10G"),
        ("a3-highgpu-8g", "H100"),
        ("g2-standard-12", "L4"),
        ("Standard_ND96isr_MI300X_v5", "MI300X"),
        ("m7i.4xlarge", None),
        ("", None),
    ],
)
def test_machines_are_known_by_their_type(instance_type: str, name: str | None) -> None:
    assert find_instance_accelerator(instance_type) == name


def test_examples_hold() -> None:
    assert doctest.testmod(accelerator_names).failed == 0
