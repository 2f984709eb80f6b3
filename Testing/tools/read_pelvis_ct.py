"""The real pelvic CT among the test images, with its automatic labels by name.

The CT (3 mm, from the pelvis to the liver, the left hip with metal) and the labels come with TotalSegmentator
(Apache-2.0); the labels are a program's, not a person's, and know neither rectum nor seminal vesicles.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from manabi.io import read_volume
from manabi.volume import Volume

ROOT = Path(__file__).resolve().parents[2]
LABELS = {"colon": (20,), "bladder": (21,), "prostate": (22,), "sacrum": (25,), "femora": (75, 76), "hips": (77, 78),
          "gluteus": (80, 81, 82, 83), "iliopsoas": (88, 89)}  # fmt: skip
"""Structures of the pelvis and their values in the label map."""
RECTUM_BELOW_MM = 45.0
"""The colon's label is taken as rectum behind the hip joints and lower than this above them."""


@dataclass(frozen=True)
class PelvisCT:
    """The CT with masks.

    Attributes:
        ct: HU, slices to the head, rows to the back, columns to the left.
        masks: voxels of each structure, same shape.
        hips_mm: RAS of the middle of the hip joints, from the upper ends of both femora.
    """

    ct: Volume
    masks: dict[str, np.ndarray]
    hips_mm: np.ndarray


def folder() -> Path:
    """Where the test images are."""
    return Path(os.environ.get("MANABI_TEST_DATA", ROOT.parent / "shared" / "data")) / "pelvis_ct"


def read(where: Path | None = None) -> PelvisCT:
    """Read the CT and its labels."""
    where = where or folder()
    ct = standard(read_volume(where / "example_ct.nii.gz"))
    label = standard(read_volume(where / "example_seg_fast_force_split.nii.gz")).array
    masks = {name: np.isin(label, values) for name, values in LABELS.items()}
    middle = _hips(label, ct)
    masks["rectum"] = masks["colon"] & _behind(ct, middle)
    return PelvisCT(ct, masks, middle)


def standard(volume: Volume) -> Volume:
    """Slices to the head, rows to the back, columns to the left."""
    turned = volume.reoriented()
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    flip[:2, 3] = np.array(turned.shape)[[2, 1]] - 1
    array = np.ascontiguousarray(np.asarray(turned.array)[:, ::-1, ::-1])
    return Volume(array, turned.ijk_to_ras @ flip, turned.modality, turned.units, name=turned.name)


def _hips(label: np.ndarray, ct: Volume) -> np.ndarray:
    """Middle between the tops of the femora, 24 mm below the top: the radius of a femoral head."""
    tops = []
    for value in LABELS["femora"]:
        where = np.argwhere(label == value)
        top = where[where[:, 0] >= where[:, 0].max() - 3].mean(axis=0)
        top[0] = where[:, 0].max() + 0.5 - 24.0 / ct.spacing_mm[2]
        tops.append(top)
    k, j, i = np.mean(tops, axis=0)
    return (ct.ijk_to_ras @ np.array([i, j, k, 1.0]))[:3]


def _behind(ct: Volume, middle: np.ndarray) -> np.ndarray:
    """Voxels behind the hip joints and not high above them."""
    k, j, i = np.indices(ct.shape)
    places = (
        np.einsum("ab,bkji->akji", ct.ijk_to_ras[:3, :3], np.stack((i, j, k))) + ct.ijk_to_ras[:3, 3, None, None, None]
    )
    return (places[1] < middle[1] - 20.0) & (places[2] < middle[2] + RECTUM_BELOW_MM)
