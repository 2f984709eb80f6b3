"""A head's tissues from a label map with FreeSurfer's codes, deformed as in SynthSeg; see :mod:`brain_pose`.

Codes below 500 are FreeSurfer's; those from 501 are tissues outside the brain as whole-head label maps number them
(502 artery, 506 eye, 507 other soft tissue, 508 eye muscles, 509 mucosa, 511 skin, 512 spinal cord, 514 vein, 515
cortical and 516 cancellous bone, 530 optic nerve). A map of the brain alone is dressed with fluid, skull and scalp at
fixed distances (our choice).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from manabi.brain.structures import sides_of_freesurfer
from manabi.errors import InvalidInputError
from manabi.geometry import Grid
from manabi.io import read_volume
from manabi.phantoms.brain_pose import Pose
from manabi.phantoms.brain_shapes import Nodes
from manabi.phantoms.brain_tissues import CLASS_OF, CODE, TISSUES, Head

CODES: dict[str, tuple[int, ...]] = {
    "grey": (3, 42, 19, 20, 55, 56),
    "white": (2, 41, 25, 57, 77, 78, 79, 80, 81, 82, 85, 192, *range(250, 256)),
    "deep": (9, 10, 11, 12, 17, 18, 26, 27, 28, 48, 49, 50, 51, 53, 54, 58, 59, 60),
    "pallidum": (13, 52),
    "ventricle": (4, 5, 14, 15, 43, 44, 72, 213),
    "plexus": (31, 63, 136, 137, 163, 164),
    "csf": (24, 30, 62, 257),
    "cerebellar_grey": (6, 8, 45, 47, 172),
    "cerebellar_white": (7, 46),
    "stem": (16, 170, 171, 173, 174, 175, 178),
    "eye": (506,), "muscle": (507, 508, 530), "mucosa": (509,), "skin": (511,), "cord": (512,), "vein": (514,),
    "bone": (165, 515), "marrow": (516,),
}  # fmt: skip
"""FreeSurfer's codes of each tissue. Lesions count as white matter; 136, 137, 163 and 164 lie where the choroid plexus
is in the whole-head maps that use them."""
ARTERY = 502
PARCELS = ((1000, 3000, "grey"), (11000, 13000, "grey"), (3000, 5000, "white"), (13000, 15000, "white"))
"""Ranges of cortical parcels and of the white matter below them."""
FAT_MM = 6.0
"""Soft tissue this close to the skin is fat (our choice)."""
DRESS_MM = (("csf", 3.0), ("bone", 5.0), ("marrow", 8.0), ("bone", 10.0), ("fat", 15.0), ("skin", 17.0))
"""What lies up to which distance from a brain without a head."""
LEAST_ML = 200.0
"""A map with less cerebrum than this is not a head."""


@dataclass(frozen=True)
class HeadMap:
    """A label map as tissues.

    Attributes:
        tissue: ``(slices, rows, columns)`` uint8 codes of :data:`manabi.phantoms.brain_tissues.TISSUES`.
        side: likewise int8, -1 left, 1 right.
        grid: where they lie.
        middle_mm: RAS of the brain's middle.
    """

    tissue: torch.Tensor
    side: torch.Tensor
    grid: Grid
    middle_mm: np.ndarray


def load_head(path: Path | str) -> HeadMap:
    """Read a label map (NIfTI, NRRD, MGZ) as tissues; the last two files are kept in memory.

    Raises:
        InvalidInputError: where it is not a label map of a brain with FreeSurfer's codes.
    """
    file = Path(path)
    return _load(str(file), file.stat().st_mtime if file.exists() else 0.0)


@lru_cache(maxsize=2)
def _load(path: str, changed: float) -> HeadMap:
    volume = read_volume(path, name="head")
    codes = np.rint(volume.array).astype(np.int32)
    low, high = _occupied(codes)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    grid = volume.grid.shifted(np.array(low[::-1]), tuple(b - a for a, b in zip(low, high, strict=True)))
    return head_map(codes[box], grid)


def head_map(codes: np.ndarray, grid: Grid) -> HeadMap:
    """Tissues of a map ``(slices, rows, columns)`` of FreeSurfer's codes; see :func:`load_head`."""
    tissue = tissues_of(codes)
    cerebrum = np.isin(tissue, [CODE[name] for name, part in CLASS_OF.items() if part == "cerebrum"])
    amount = float(cerebrum.sum() * np.prod(grid.spacing_mm) / 1000.0)
    if amount < LEAST_ML:
        raise InvalidInputError(
            f"Expected a label map of a head with FreeSurfer's codes; it holds {amount:.0f} mL of cerebrum. Use for "
            "example aparc+aseg.mgz, or a SynthSeg segmentation."
        )
    _soften(tissue, codes, grid)
    if not (codes >= 500).any() or not np.isin(codes, (511, 515, 165)).any():
        tissue, codes, grid = _dressed(tissue, codes, grid)
    side = _sides(codes, tissue)
    brain = tissue_is_brain(tissue)
    middle = grid.ras_of(np.argwhere(brain)[:, ::-1].mean(axis=0))
    return HeadMap(torch.from_numpy(tissue), torch.from_numpy(side), grid, middle)


def tissues_of(codes: np.ndarray) -> np.ndarray:
    """Tissue of every code, uint8; arteries take that of their surroundings, unknown codes are air."""
    from scipy.ndimage import distance_transform_edt

    values, inverse = np.unique(codes, return_inverse=True)
    known = {code: name for name, group in CODES.items() for code in group}
    table = np.array([CODE[known.get(int(v), _parcel(int(v)))] for v in values], np.uint8)
    tissue = table[inverse].reshape(codes.shape)
    artery = codes == ARTERY
    if artery.any():
        nearest = distance_transform_edt(artery, return_distances=False, return_indices=True)
        tissue[artery] = tissue[tuple(axis[artery] for axis in nearest)]
    return tissue


def tissue_is_brain(tissue: np.ndarray) -> np.ndarray:
    """Whether each voxel is cerebrum, cerebellum, brainstem or ventricle."""
    return np.array([name in CLASS_OF for name in TISSUES])[tissue]


def _parcel(code: int) -> str:
    return next((name for low, high, name in PARCELS if low <= code < high), "air")


def _occupied(codes: np.ndarray) -> tuple[list[int], list[int]]:
    """First and last index (plus one) of what is not 0, along each axis."""
    low, high = [], []
    for axis in range(3):
        found = np.flatnonzero(codes.any(axis=tuple(a for a in range(3) if a != axis)))
        low.append(int(found[0]) if len(found) else 0)
        high.append(int(found[-1]) + 1 if len(found) else codes.shape[axis])
    return low, high


def _soften(tissue: np.ndarray, codes: np.ndarray, grid: Grid) -> None:
    """Soft tissue near the skin becomes fat, in place."""
    from scipy.ndimage import distance_transform_edt

    soft = codes == 507
    if soft.any() and (codes == 511).any():
        depth = distance_transform_edt(codes != 511, sampling=grid.spacing_mm[::-1])
        tissue[soft & (depth <= FAT_MM)] = CODE["fat"]


def _dressed(tissue: np.ndarray, codes: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray, Grid]:
    """A brain with fluid, skull and scalp around it."""
    from scipy.ndimage import binary_closing, distance_transform_edt

    margin = np.ceil((DRESS_MM[-1][1] + 2.0) / grid.spacing_mm[::-1]).astype(int)
    pad = [(int(m), int(m)) for m in margin]
    tissue, codes = np.pad(tissue, pad), np.pad(codes, pad)
    grid = grid.shifted(-margin[::-1].astype(float), tissue.shape)
    inside = binary_closing(tissue > 0, iterations=max(int(4.0 / float(grid.spacing_mm.min())), 1))
    away = distance_transform_edt(~inside, sampling=grid.spacing_mm[::-1])
    for name, reach in reversed(DRESS_MM):
        tissue[(tissue == 0) & (away <= reach) | np.isin(tissue, _outer(name)) & (away <= reach)] = CODE[name]
    return tissue, codes, grid


def _outer(name: str) -> list[int]:
    """Codes that a layer of the dress may overwrite: those painted before it, from outside in."""
    names = [layer for layer, _ in DRESS_MM]
    return [CODE[layer] for layer in names[names.index(name) + 1 :]]


def _sides(codes: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """Side of every voxel: the code's, else by the plane between both halves; int8, never 0."""
    side = sides_of_freesurfer(codes)
    left, right = (np.argwhere(side == s) for s in (-1, 1))
    if not len(left) or not len(right):
        raise InvalidInputError("The label map does not tell left from right. Use one with FreeSurfer's codes.")
    a, b = left.mean(axis=0), right.mean(axis=0)
    k, j, i = (np.arange(n, dtype=np.float32) for n in side.shape)
    normal, middle = b - a, 0.5 * (a + b)
    height = ((k - middle[0]) * normal[0])[:, None, None] + ((j - middle[1]) * normal[1])[:, None]
    height = height + (i - middle[2]) * normal[2]
    return np.where(side == 0, np.where(height < 0, -1, 1), side).astype(np.int8)


def labelled_head(source: HeadMap, pose: Pose, grid: Grid) -> Head:
    """Tissues of a label map's head on a grid.

    Args:
        source: from :func:`load_head`.
        pose: turns and deforms it.
        grid: any grid.
    """
    nodes = Nodes(grid)
    with torch.no_grad():
        places = pose.to_atlas(nodes.ras(), source.middle_mm)
        inverse = np.linalg.inv(source.grid.ijk_to_ras)
        index, outside = torch.zeros(grid.shape, dtype=torch.int32), torch.zeros(grid.shape, dtype=torch.bool)
        for axis in (2, 1, 0):
            row = inverse[axis]
            along = places @ torch.as_tensor(row[:3], dtype=torch.float32) + float(row[3])
            voxel = nodes.fine(along).round_().to(torch.int32)
            last = source.tissue.shape[2 - axis] - 1
            outside |= (voxel < 0) | (voxel > last)
            voxel.clamp_(0, last)
            index.mul_(last + 1).add_(voxel)
        tissue = source.tissue.flatten()[index].masked_fill_(outside, CODE["air"])
        side = source.side.flatten()[index]
    return Head(tissue.numpy(), side.numpy(), grid)
