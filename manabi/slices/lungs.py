"""Lungs as the largest parts of the air that the body encloses."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from manabi.slices.reading import APEX_AREA_MM2, LOWER_END, UPPER_END

AIR_HU = -320.0
"""Lung and gas are less dense, soft tissue and fat denser: also where a voxel is half lung."""
PART_SHARE = 0.3
"""Parts of the body in one slice count from this share of the largest: a neck between raised arms."""
WALL_GAP = 2
"""Gaps in a thin chest wall that are closed, in pixels to either side."""
LEAST_LUNG_ML = (150.0, 25.0)
"""Of a lung that lies in the image as a whole, and of one that reaches the first or last slice (an abdomen's CT)."""
SECOND_LUNG = 0.12
"""The second largest part of air is a lung when it is at least so large, as a share of the largest."""
GAS_HU = -970.0
"""A part whose median is lower is gas in a bowel, not lung: emphysema keeps vessels and walls."""
FIBROSIS_HU = -750.0
"""Smaller parts beside the lungs whose median is higher belong to them: fibrosis and consolidation cut pieces off."""
FIBROSIS_STEPS = 4
FIBROSIS_REACH = 3
"""How far off such a part may be, in voxels along each axis, and how often parts of parts are added."""
LOWEST_AREA_MM2 = 20.0
"""A slice counts as the lowest with more lung than this: the sulcus behind the diaphragm is a sliver (our choice)."""
SHARE_HU = (-50.0, -800.0)
"""A voxel of the first is no lung, one of the second is all lung, between them it is partly so (our choice)."""
EDGE_AREA_MM2 = 300.0
"""With more lung than this in the image's last slice, the lung goes on beyond it."""


def air_in_body(array: np.ndarray) -> np.ndarray:
    """Air that the body encloses, slice by slice; couch, arms' gaps and outside left out.

    Args:
        array: ``(n, rows, columns)`` Hounsfield units.
    """
    out = np.zeros(array.shape, bool)
    for k, image in enumerate(array):
        labels, count = ndimage.label(ndimage.binary_opening(image > AIR_HU))
        if count == 0:
            continue
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        wall = (sizes >= PART_SHARE * sizes.max())[labels]
        wall |= ndimage.binary_closing(wall, iterations=WALL_GAP)
        out[k] = ndimage.binary_fill_holes(wall) & (image <= AIR_HU)
    return out


def find_lungs(array: np.ndarray, air: np.ndarray, trachea: np.ndarray, voxel_ml: float) -> np.ndarray | None:
    """The two largest connected parts of the enclosed air without the trachea, or None where none is large enough.

    Args:
        array: ``(n, rows, columns)`` Hounsfield units.
        air: what :func:`air_in_body` gave.
        trachea: its lumen down to the carina, on the same grid.
        voxel_ml: volume of a voxel.
    """
    labels, count = ndimage.label(air & ~_spread(trachea, 1))
    sizes = np.bincount(labels.ravel()) * voxel_ml
    sizes[0] = 0.0
    at_end = np.isin(np.arange(count + 1), labels[[0, -1]])
    enough = sizes >= np.where(at_end, LEAST_LUNG_ML[1], LEAST_LUNG_ML[0])
    large = [int(n) for n in np.argsort(-sizes)[:4] if enough[n] and np.median(array[labels == n]) > GAS_HU]
    if not large:
        return None
    order = [int(n) for n in np.argsort(-sizes)[:4] if n not in (0, large[0])]
    second = [n for n in order if sizes[n] >= SECOND_LUNG * sizes[large[0]] and np.median(array[labels == n]) > GAS_HU]
    return _with_pieces(array, labels, np.isin(labels, [large[0], *second[:1]]))


def _with_pieces(array: np.ndarray, labels: np.ndarray, lungs: np.ndarray) -> np.ndarray:
    """The lungs and the parts of air next to them that are too dense for gas in a bowel."""
    medians = np.append(-np.inf, ndimage.median(array, labels, np.arange(1, labels.max() + 1)))
    for _ in range(FIBROSIS_STEPS):
        near = np.unique(labels[_spread(lungs, FIBROSIS_REACH) & ~lungs])
        pieces = [int(n) for n in near if n and medians[n] > FIBROSIS_HU]
        if not pieces:
            break
        lungs = lungs | np.isin(labels, pieces)
    return lungs


def _spread(mask: np.ndarray, reach: int) -> np.ndarray:
    """A mask and what lies straight beside it along an axis, up to so many voxels off."""
    out = mask.copy()
    for axis in range(mask.ndim):
        source, target = np.moveaxis(mask, axis, 0), np.moveaxis(out, axis, 0)
        for step in range(1, min(reach, len(source) - 1) + 1):
            target[step:] |= source[:-step]
            target[:-step] |= source[step:]
    return out


def ends(area_mm2: np.ndarray) -> tuple[int | None, int | None, tuple[str, ...]]:
    """Uppermost and lowest slice with lung, each None with a note where the lung goes on beyond the image.

    Args:
        area_mm2: ``(n,)`` lung in each slice, from the feet to the head.
    """
    top = _last(area_mm2 > APEX_AREA_MM2)
    bottom = _last(area_mm2[::-1] > LOWEST_AREA_MM2)
    if top is None or bottom is None:
        return None, None, ("no lungs were found",)
    lowest: int | None = len(area_mm2) - 1 - bottom
    notes = []
    if area_mm2[-1] > EDGE_AREA_MM2:
        top = None
        notes.append(UPPER_END)
    if area_mm2[0] > EDGE_AREA_MM2:
        lowest = None
        notes.append(LOWER_END)
    return top, lowest, tuple(notes)


def aerated_area(array: np.ndarray, lungs: np.ndarray, slices: slice, pixel_mm2: float) -> np.ndarray:
    """Area of lung in some slices, mm², counted in shares of voxels: those at the edge are partly lung.

    Args:
        array: ``(n, rows, columns)`` Hounsfield units.
        lungs: their mask; voxels straight beside it count too.
        slices: which.
        pixel_mm2: area of a voxel in the slice.
    """
    around = slice(max(slices.start - 1, 0), slices.stop + 1)
    near = _spread(lungs[around], 1)[slices.start - around.start :][: slices.stop - slices.start]
    solid, full = SHARE_HU
    share = np.clip((solid - array[slices][: len(near)].astype(np.float32)) / (solid - full), 0.0, 1.0)
    return np.asarray((share * near).sum(axis=(1, 2)) * pixel_mm2)


def end_mm(area_mm2: np.ndarray, z_mm: np.ndarray) -> float:
    """Where the first slices with lung begin, between slices: where the area passes 50 mm²; NaN where it never does.

    The root of the area is interpolated: the width of a tapering end changes evenly.

    Args:
        area_mm2: ``(n,)`` lung in each slice, in the order in which the end is looked for.
        z_mm: ``(n,)`` positions of the slices.
    """
    inside = np.flatnonzero(area_mm2 > APEX_AREA_MM2)
    if not len(inside):
        return float("nan")
    k = int(inside[0])
    if k == 0:
        return float(z_mm[0])
    width = np.sqrt(area_mm2[k - 1 : k + 1])
    share = (np.sqrt(APEX_AREA_MM2) - width[0]) / (width[1] - width[0])
    return float(z_mm[k - 1] + share * (z_mm[k] - z_mm[k - 1]))


def _last(flags: np.ndarray) -> int | None:
    found = np.flatnonzero(flags)
    return int(found[-1]) if len(found) else None
