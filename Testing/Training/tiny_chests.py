"""Chests that are drawn in a millisecond, a table of them, and a network that knows the answer."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from manabi.io import write_volume
from manabi.slices.prepare import InputSettings
from manabi.volume import Volume
from Training.slices import SlicesRecipe
from Training.slices_data import STEP_MM, SliceCase

TINY = SlicesRecipe(size=32, pixel_mm=12.0, widths="4-6-8", items_per_epoch=32, parts="3/1/1", name="slices-tiny")
SETTINGS = [
    "epochs=1", "batch_size=16", "optimizer=adamw", "lr=0.003", "device=cpu", "precision=32-true",
    *(f"recipe.{key}={getattr(TINY, key)}" for key in ("size", "pixel_mm", "widths", "items_per_epoch", "parts",
                                                       "name")),
]  # fmt: skip
SLICE_MM = 5.0
CT = "1.2.840.10008.5.1.4.1.1.2"
FIRST_VALUE = 25
"""8-bit value of the lowest plane of :func:`numbered`; the planes above count on, within the lung window."""


def chest(seed: int = 0, slices: int = 60, first_mm: float = -150.0) -> tuple[Volume, tuple[float, float, float]]:
    """Two ellipsoid lungs and a tube that divides, 36×36 pixels of 10 mm; and the markers in mm."""
    rng = np.random.default_rng(seed)
    middle, half, split = rng.uniform(-5, 5), rng.uniform(95, 110), rng.uniform(20, 40)
    z = first_mm + SLICE_MM * np.arange(slices)
    k, y, x = np.meshgrid(z, (np.arange(36) - 17.5) * 10, (np.arange(36) - 17.5) * 10, indexing="ij")
    array = np.where((x / 160) ** 2 + (y / 120) ** 2 < 1, 40.0, -1000.0)
    for side in (-1, 1):
        array[((x - side * 75) / 55) ** 2 + (y / 80) ** 2 + ((k - middle) / half) ** 2 < 1] = -850.0
        array[(np.hypot(x - side * 20, y) < 12) & (k < split) & (k > split - 50)] = -1000.0
    array[(np.hypot(x, y) < 12) & (k >= split)] = -1000.0
    array += rng.normal(0, 10, array.shape)
    matrix = np.diag([-10.0, -10.0, SLICE_MM, 1.0])
    matrix[:3, 3] = 175.0, 175.0, first_mm
    return Volume(array.astype(np.int16), matrix, "CT", "HU"), (middle + half, split, middle - half + 24.0)


def write_series(folder: Path, volume: Volume, numbers: Iterable[int], uids: Iterable[str]) -> None:
    """A DICOM series, one file per slice from the feet to the head, with these InstanceNumbers and UIDs."""
    folder.mkdir()
    for k, (number, uid) in enumerate(zip(numbers, uids, strict=True)):
        pixels, place = volume.array[k], volume.ijk_to_ras[:3] @ [0, 0, k, 1]
        file = Dataset()
        file.SOPClassUID, file.SOPInstanceUID, file.Modality = CT, uid, "CT"
        file.StudyInstanceUID, file.SeriesInstanceUID, file.InstanceNumber = "1.2.3", "1.2.3.4", number
        file.ImageType, file.ImagePositionPatient = ["ORIGINAL", "PRIMARY", "AXIAL"], [-place[0], -place[1], place[2]]
        file.ImageOrientationPatient, file.PixelSpacing = [1, 0, 0, 0, 1, 0], [10.0, 10.0]
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        (file.Rows, file.Columns), file.PixelRepresentation = pixels.shape, 1
        file.BitsAllocated, file.BitsStored, file.HighBit = 16, 16, 15
        file.PixelData, file.file_meta = pixels.astype("<i2").tobytes(), FileMetaDataset()
        file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file.save_as(folder / f"{k:03d}.dcm", enforce_file_format=True)


def write_table(folder: Path, rows: list[dict[str, Any]], name: str = "cohort.csv") -> Path:
    """A CSV of these rows."""
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / name


def chest_rows(folder: Path, count: int = 5) -> list[dict[str, Any]]:
    """Rows of a table with as many chests, written as files."""
    rows = []
    for seed in range(count):
        volume, truth = chest(seed)
        write_volume(volume, folder / f"chest-{seed}.nrrd")
        places = zip(("apex_mm", "carina_mm", "diaphragm_mm"), truth, strict=True)
        rows.append({"case": f"c{seed}", "image": f"chest-{seed}.nrrd", **{key: f"{mm:.2f}" for key, mm in places}})
    return rows


def numbered(
    name: str = "n", planes: int = 100, truth: tuple[float, float, float] = (180.0, 100.0, 20.0), slice_mm: float = 4.0
) -> SliceCase:
    """A case whose every plane holds one value, so that a plane tells its own place; ``z`` starts at 0."""
    values = np.broadcast_to(np.arange(planes, dtype=np.uint8)[:, None, None] + FIRST_VALUE, (planes, 32, 32))
    return SliceCase(name, values.copy(), STEP_MM * np.arange(planes), truth, slice_mm)


class Oracle(torch.nn.Module):
    """Reads the place off a :func:`numbered` plane and knows where the markers are."""

    def __init__(self, truth: tuple[float, float, float] = (180.0, 100.0, 20.0), sharp: float = 8.0) -> None:
        super().__init__()
        self.truth = torch.nn.Parameter(torch.tensor(truth))
        self.sharp = sharp

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(n, channels, size, size)`` to ``(n, 6)``."""
        distance = self.truth - places_mm(x)[:, None]
        return torch.cat([self.sharp - distance.square() / 4, torch.tanh(distance / 40)], 1)


MIDDLE = InputSettings().offsets_mm.index(0.0)
"""Channel of the slice itself."""


def places_mm(inputs: torch.Tensor, channel: int = MIDDLE) -> torch.Tensor:
    """Position of each input's plane, from its middle pixel; of the slice itself, or of another channel."""
    level, width = InputSettings().lung
    hu = inputs[:, channel, 16, 16] * width + level - width / 2
    return ((hu + 1024.0) / 1524.0 * 255.0 - FIRST_VALUE) * STEP_MM
