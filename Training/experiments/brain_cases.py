"""Heads of the BrainSeg experiment: rendered once, in RAS order, with what lies beneath every vessel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manabi import registry
from manabi.brain.contrast import normalised
from manabi.brain.structures import CLASSES, LABELS
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.phantoms.brain_grid import fine_grid, parts_of, scan_grid
from manabi.phantoms.brain_render import head_on
from manabi.phantoms.brain_scanner import mean_of_parts
from manabi.phantoms.brain_tissues import CODE
from manabi.volume import Volume
from Training.phantom_cache import load_case, phantom_cases

CONTRASTS = ("heavy_t2", "tof")
"""The source's two: cisternography and angiography."""
PLACES = ("elsewhere", "cistern", "parenchyma")
"""Where a vessel runs: in bone and soft tissue, in fluid (there heavy T2 shows it as a void), in the brain."""
WET = ("csf", "ventricle")
BRAIN = ("grey", "white", "deep", "pallidum", "cerebellar_grey", "cerebellar_white", "stem", "cord")


@dataclass(frozen=True, eq=False)
class BrainCase:
    """A head; arrays are ``(slices, rows, columns)`` in RAS order.

    Attributes:
        name: of the case.
        number: in the cohort; draws its labels' faults.
        images: contrast to values from 0 to 1.
        classes: clean truth, :data:`manabi.brain.structures.CLASSES`.
        place: index into :data:`PLACES` of what is there apart from vessels.
        spacing_mm: along columns, rows and slices.
    """

    name: str
    number: int
    images: Mapping[str, np.ndarray]
    classes: np.ndarray
    place: np.ndarray
    spacing_mm: np.ndarray


def parse_data(data: str) -> tuple[int, int]:
    """Seed and number of patients of ``phantoms:SEED:COUNT``; raises InvalidInputError for anything else."""
    parts = data.split(":")
    if len(parts) != 3 or parts[0] != "phantoms" or not (parts[1].isdigit() and parts[2].isdigit()):
        raise InvalidInputError(f"The experiment runs on phantoms: data must be phantoms:SEED:COUNT; got {data!r}.")
    return int(parts[1]), int(parts[2])


def split_heads(count: int, parts: str, seed: int) -> tuple[list[int], list[int]]:
    """Indices to train and to test with, drawn by ``seed``.

    Args:
        count: number of heads.
        parts: ``TRAINING/TEST``, whose sum is ``count``.
        seed: of the draw.

    Raises:
        InvalidInputError: for anything else, or fewer than two heads on a side (a bootstrap needs two).
    """
    try:
        training, test = (int(n) for n in parts.split("/"))
    except ValueError as error:
        raise InvalidInputError(f"split must be TRAINING/TEST like 60/20; got {parts!r}.") from error
    if training + test != count or min(training, test) < 2:
        raise InvalidInputError(f"split {parts} must add up to the {count} heads of data, at least two on each side.")
    order = np.random.default_rng(seed).permutation(count).tolist()
    return sorted(order[:training]), sorted(order[training:])


def load_heads(seed: int, count: int, choices: Mapping[str, Any], cache: Path) -> tuple[list[BrainCase], str]:
    """Every head of a cohort, rendered where it is not in the cache, and a digest of all."""
    folders = phantom_cases(
        "brain", seed, count, cache, choices={**choices, "contrasts": CONTRASTS}, keep=CONTRASTS, batch=4
    )
    digest = hashlib.sha256(json.dumps([folder.name for folder in folders]).encode()).hexdigest()
    return [_prepared(folder, n) for n, folder in enumerate(folders)], digest


def _prepared(folder: Path, number: int) -> BrainCase:
    case = load_case(folder)
    volumes = {key: case.volumes[key].reoriented() for key in CONTRASTS}
    labels = case.labelmaps["structures"].volume
    file = folder.with_name(f"{folder.name}-place.npy")
    if not file.exists():
        with atomic_file(file, overwrite=True) as aside, aside.open("wb") as stream:
            np.save(stream, places(case.parameters))
    place = Volume(np.load(file), labels.ijk_to_ras).reoriented()
    return BrainCase(
        f"head{number:03d}",
        number,
        {key: normalised(volume.array) for key, volume in volumes.items()},
        classes_of(np.asarray(labels.reoriented().array)),
        np.ascontiguousarray(place.array),
        volumes["heavy_t2"].spacing_mm,
    )


def places(record: Mapping[str, Any]) -> np.ndarray:
    """Index into :data:`PLACES` for every voxel of a case's image, uint8, in the image's own order.

    The phantom's heavy T2 takes away a voxel's fluid where an artery runs; where most of the voxel is not fluid, the
    artery cannot be seen. That is known from the head's tissues, without vessels.
    """
    parameters = registry.phantom("brain").from_json(json.dumps(record))
    grid, parts = scan_grid(parameters.scan, parameters.pose), parts_of(parameters.scan)
    tissue = head_on(parameters, fine_grid(grid, parts)).tissue
    wet, brain = (
        mean_of_parts(np.isin(tissue, [CODE[name] for name in names]).astype(np.float32), parts)
        for names in (WET, BRAIN)
    )
    return np.where(wet >= 0.5, 1, np.where(brain >= 0.5, 2, 0)).astype(np.uint8)


def classes_of(labels: np.ndarray) -> np.ndarray:
    """A map of :data:`manabi.brain.structures.LABELS` without sides, uint8."""
    table = np.zeros(max(label.value for label in LABELS) + 1, np.uint8)
    for label in LABELS:
        table[label.value] = CLASSES[label.structure]
    return table[labels]


def stacked(case: BrainCase, contrasts: Sequence[str]) -> np.ndarray:
    """Images as channels, ``(channels, slices, rows, columns)`` float32."""
    return np.stack([case.images[name] for name in contrasts]).astype(np.float32)
