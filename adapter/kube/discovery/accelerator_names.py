"""Names of accelerator types: what vendors and clouds write on nodes, to the names of the catalog. Pure text.

Every cloud spells a type its own way: ``NVIDIA-H100-80GB-HBM3``, ``nvidia-h100-80gb``, ``h100``, ``p5.48xlarge`` are
all `H100`. A type that comes in kinds of different speed or memory keeps them apart (`A100` has 80 GB, `A100-40GB` has
40). A name nobody knows stays as it is, without its vendor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

_VENDORS = re.compile(
    r"(?:(?:nvidia|amd|instinct|tesla|geforce|intel|habana|huawei|google|aws)[\s_-]+)+", re.IGNORECASE
)

# What is found in a name as a whole word -> the name in the catalog. Longer words first, for `L40S` is no `L40`.
_FAMILIES: Mapping[str, str] = {
    **{name: name for name in "GB300 GB200 GH200 B300 B200 H200 H100 H800 H20 A100 A800 V100 P100".split()},
    **{name: name for name in "A10G A10 A16 A2 A30 A40 L40S L40 L20 L4 T4 T4G".split()},
    **{name: name for name in "MI355X MI350X MI325X MI308X MI300X MI300A MI250X MI250 MI210 MI100".split()},
    "RTX-PRO-6000": "RTX-PRO-6000",
    "RTXPRO6000": "RTX-PRO-6000",
    "RTX-6000-ADA": "RTX-6000-ADA",
    "RTX-A6000": "RTX-A6000",
    "GAUDI3": "Gaudi3",
    "GAUDI2": "Gaudi2",
    "GAUDI": "Gaudi",
    "TPU-V6E": "TPU-v6e",
    "TPU-V5P": "TPU-v5p",
    "TPU-V5E": "TPU-v5e",
    "TPU-V5-LITE": "TPU-v5e",
    "TPU-V4": "TPU-v4",
    "TPU7X": "TPU7x",
    "TRAINIUM2": "Trainium2",
    "TRAINIUM": "Trainium",
    "INFERENTIA2": "Inferentia2",
    "INFERENTIA": "Inferentia",
}
_FAMILY = re.compile(r"(?:^|-)(" + "|".join(sorted(_FAMILIES, key=len, reverse=True)) + r")(?=-|$)")
_ASCEND = re.compile(r"(?:^|-)(?:ASCEND-?)?(910|310)([A-Z]?\d?)(?=-|$)")

# Kinds of a type that are not what its plain name says: (family, word in the name) -> what is added.
_KINDS: Mapping[tuple[str, str], str] = {
    ("A100", "40GB"): "40GB",
    ("A800", "40GB"): "40GB",
    ("V100", "32GB"): "32GB",
    ("H100", "PCIE"): "PCIE",
    ("H100", "NVL"): "NVL",
    ("H200", "NVL"): "NVL",
}
_SHARING = re.compile(r"-(MIG-\d+G\.\d+GB|SHARED)(?=-|$)")

_SPECIAL: Mapping[str, str] = {
    "NVIDIA-TESLA-A100": "A100-40GB",  # Google's name of the first kind; the second one is nvidia-a100-80gb
}

# Beginnings of instance types -> what is in them; the longest one counts.
_INSTANCES: Mapping[str, str] = {
    "p6-b200.": "B200",
    "p6-b300.": "B300",
    "p5en.": "H200",
    "p5e.": "H200",
    "p5.": "H100",
    "p4de.": "A100",
    "p4d.": "A100-40GB",
    "p3dn.": "V100-32GB",
    "p3.": "V100",
    "g6e.": "L40S",
    "gr6.": "L4",
    "g6.": "L4",
    "g5.": "A10G",
    "g5g.": "T4G",
    "g4dn.": "T4",
    "trn2.": "Trainium2",
    "trn1.": "Trainium",
    "trn1n.": "Trainium",
    "inf2.": "Inferentia2",
    "inf1.": "Inferentia",
    "a4-highgpu-": "B200",
    "a3-ultragpu-": "H200",
    "a3-megagpu-": "H100",
    "a3-highgpu-": "H100",
    "a3-edgegpu-": "H100",
    "a2-ultragpu-": "A100",
    "a2-highgpu-": "A100-40GB",
    "a2-megagpu-": "A100-40GB",
    "g2-standard-": "L4",
    "Standard_ND96isr_H200_v5": "H200",
    "Standard_ND96isr_H100_v5": "H100",
    "Standard_ND96is_H100_v5": "H100",
    "Standard_ND96amsr_A100_v4": "A100",
    "Standard_ND96ams_A100_v4": "A100",
    "Standard_ND96asr_v4": "A100-40GB",
    "Standard_ND96isr_MI300X_v5": "MI300X",
    "Standard_ND96is_MI300X_v5": "MI300X",
    "Standard_NC24ads_A100_v4": "A100",
    "Standard_NC48ads_A100_v4": "A100",
    "Standard_NC96ads_A100_v4": "A100",
    "Standard_NC40ads_H100_v5": "H100-NVL",
    "Standard_NC80adis_H100_v5": "H100-NVL",
}


def to_accelerator_name(text: str, catalog: Iterable[str] = ()) -> str:
    """Return the name of the type that `text`, a label's value, means; spelled as in `catalog` where it is there.

    >>> to_accelerator_name("NVIDIA-H100-80GB-HBM3"), to_accelerator_name("nvidia-tesla-a100")
    ('H100', 'A100-40GB')
    >>> to_accelerator_name("NVIDIA-H100-80GB-HBM3", ["h100-sxm", "L40S"])
    'h100-sxm'
    """
    names = tuple(catalog)
    if text in names:
        return text
    found = _to_plain_name(text)
    folded = found.casefold()
    same = [name for name in names if name.casefold() == folded or _to_plain_name(name).casefold() == folded]
    return next((name for name in same if name.casefold() == folded), same[0] if same else found)


def find_instance_accelerator(instance_type: str) -> str | None:
    """Return the type of accelerator in machines of `instance_type`, None where the table does not know it."""
    beginnings = [beginning for beginning in _INSTANCES if instance_type.startswith(beginning)]
    return _INSTANCES[max(beginnings, key=len)] if beginnings else None


@lru_cache(maxsize=1024)
def _to_plain_name(text: str) -> str:
    folded = re.sub(r"[\s_-]+", "-", text.strip()).upper()
    if folded in _SPECIAL:
        return _SPECIAL[folded]
    sharing = _SHARING.search(folded)
    suffix = "" if sharing is None else f"-{_to_share(sharing[1])}"
    ascend = _ASCEND.search(folded)
    if ascend is not None:
        return f"Ascend{ascend[1]}{ascend[2]}{suffix}"
    family = _FAMILY.search(folded)
    if family is None:
        vendor = _VENDORS.match(text.strip())
        return text.strip() if vendor is None else text.strip()[vendor.end() :]
    name = _FAMILIES[family[1]]
    words = set(_SHARING.sub("", folded).split("-"))
    kinds = [kind for (owner, word), kind in _KINDS.items() if owner == name and word in words]
    return "-".join([name, *kinds]) + suffix


def _to_share(text: str) -> str:
    return re.sub(r"^MIG-.*", lambda found: found[0].lower().replace("mig", "MIG"), text)
