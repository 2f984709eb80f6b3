"""What a bundle must say and contain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manabi.bundle import REQUIRED_FILES
from manabi.errors import CorruptModelError

if TYPE_CHECKING:
    from manabi.result import Segment

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
VERSION = re.compile(r"\d{1,9}\.\d{1,9}\.\d{1,9}(?:-[0-9A-Za-z.]{1,32}(?<!\.))?")
SHA256 = re.compile(r"[0-9a-f]{64}")
WINDOWS_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))})
PRECISIONS = ("float32", "bfloat16", "float16")

MONAI_KEYS: dict[str, type] = {
    "schema": str,
    "name": str,
    "version": str,
    "monai_version": str,
    "pytorch_version": str,
    "numpy_version": str,
    "required_packages_version": dict,
    "task": str,
    "description": str,
    "authors": str,
    "copyright": str,
    "network_data_format": dict,
}
"""Keys that MONAI's metadata schema of 2024-07-25 requires, and ``name``, with their JSON types."""

MANABI_KEYS: dict[str, type] = {
    "method": str,
    "network": dict,
    "weights_sha256": str,
    "trained_on": str,
    "simulated": bool,
}
"""Keys that the section ``manabi`` must have."""

OPTIONAL_KEYS: dict[str, type] = {
    "inputs": dict,
    "outputs": list,
    "labels": list,
    "metrics": dict,
    "precision": list,
}
"""Keys that the section ``manabi`` may have."""


def metadata_problems(metadata: Mapping[str, Any]) -> list[str]:
    """What is wrong with a ``metadata.json``; empty when Manabi can use it."""
    problems = _type_problems("metadata.json", metadata, MONAI_KEYS, required=True)
    section = metadata.get("manabi")
    if not isinstance(section, dict):
        return [*problems, 'metadata.json has no section "manabi": the bundle was not made for Manabi']
    problems += _type_problems("its section manabi", section, MANABI_KEYS, required=True)
    problems += _type_problems("its section manabi", section, OPTIONAL_KEYS, required=False)
    if problems:
        return problems
    return [*_identity_problems(metadata), *_section_problems(section)]


def file_problems(folder: Path) -> list[str]:
    """Which of the files that every bundle has are missing."""
    return [f"{path} is missing" for path in REQUIRED_FILES if not (folder / path).is_file()]


def version_key(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Sorting key: by number; a pre-release (``1.0.0-rc1``) comes before its release."""
    numbers, _, suffix = version.partition("-")
    return tuple(int(n) for n in numbers.split(".")), not suffix, suffix


def segments(labels: list[Any]) -> tuple[Segment, ...]:
    """Segments from the metadata's ``labels``.

    Each label is an object with ``label`` (voxel value), ``name``, ``color`` (RGB, 0 to 1), ``type`` and optionally
    ``category`` and ``laterality``, which are ``[code, scheme, meaning]``, as in SNOMED CT.

    Raises:
        CorruptModelError: when a label is not of that form.
    """
    from manabi.result import Code, Segment

    def code(values: Any) -> Code:
        value, scheme, meaning = (str(v) for v in values)
        return Code(value, scheme, meaning)

    def segment(item: dict[str, Any]) -> Segment:
        coded = {key: code(item[key]) for key in ("type", "category", "laterality") if item.get(key) is not None}
        red, green, blue = (float(v) for v in item["color"])
        return Segment(label=int(item["label"]), name=str(item["name"]), color=(red, green, blue), **coded)

    try:
        return tuple(segment(item) for item in labels)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptModelError(f"The bundle's labels are not of the expected form ({error!r}).") from error


def _type_problems(where: str, values: Mapping[str, Any], types: dict[str, type], required: bool) -> list[str]:
    problems = []
    for key, kind in types.items():
        if key not in values:
            problems += [f"{where} lacks {key!r}"] if required else []
        elif not isinstance(values[key], kind):
            problems.append(f"{where} has a {type(values[key]).__name__} under {key!r}, not a {kind.__name__}")
    return problems


def _identity_problems(metadata: Mapping[str, Any]) -> list[str]:
    name, version = metadata["name"], metadata["version"]
    problems = []
    if not NAME.fullmatch(name) or name in WINDOWS_DEVICES:
        problems.append(f"name {name!r} must be 1 to 64 small letters, digits, '-' and '_'")
    if not VERSION.fullmatch(version):
        problems.append(f"version {version!r} must look like 1.2.3 or 1.2.3-rc1")
    return problems


def _section_problems(section: Mapping[str, Any]) -> list[str]:
    problems = []
    network = section["network"]
    if not isinstance(network.get("name"), str) or not isinstance(network.get("arguments"), dict):
        problems.append("network must be {name: text, arguments: object}")
    if not SHA256.fullmatch(section["weights_sha256"]):
        problems.append("weights_sha256 is not 64 hexadecimal digits")
    precision = section.get("precision", ["float32"])
    if not precision or any(p not in PRECISIONS for p in precision):
        problems.append(f"precision must list some of {', '.join(PRECISIONS)}")
    return problems
