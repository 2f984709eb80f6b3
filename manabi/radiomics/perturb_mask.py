"""Change a mask: grow or shrink it to a volume, or draw its contour anew along supervoxels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from manabi.errors import InvalidInputError
from manabi.radiomics.perturb_depth import depth_mm, largest
from manabi.radiomics.perturb_patch import Patch

ALWAYS, NEVER = 0.9, 0.2
"""Supervoxels that overlap the mask by more are always taken, by less never (the source and its program MIRP)."""
LEAST_VOXELS = 8
"""Smallest supervoxel, in voxels (our choice; MIRP takes 20, by which masks of 150 voxels change volume by a third)."""
PER_MASK = 100
"""A mask should hold this many supervoxels (our choice: at 500 mm³ a tumour of 2 mL would be four of them)."""
IN_PLANE = np.array([[[False, True, False], [True, True, True], [False, True, False]]])
"""A voxel and its four neighbours within the slice."""
COMPACTNESS = 0.05
"""Weight of nearness against likeness in SLIC, for values scaled from 0 to 1 (MIRP)."""


def with_volume(patch: Patch, change: float, rng: np.random.Generator) -> np.ndarray:
    """The mask with a part of its volume added or removed, exactly to the voxel.

    Voxels are added (removed) in the order of their distance in mm from the surface, those in hollows (on bumps) before
    others; what is equal is drawn (our choice; the source adds or removes whole layers of voxels and then part of one).

    Args:
        patch: image and mask.
        change: part of the volume, positive to grow.
        rng: for ties.

    Raises:
        InvalidInputError: where no voxel would be left, or too few lie around the mask.
    """
    count = int(patch.mask.sum())
    target = round(count * (1 + change))
    if target < 1:
        raise InvalidInputError(f"A mask of {count} voxels cannot shrink by {-change:.0%}: nothing is left.")
    depth = depth_mm(patch)
    depth += 1e-6 * patch.spacing_kji.min() * rng.random(depth.shape)
    if target <= count:
        return largest(depth, target, patch.mask)
    room = int((patch.known & ~patch.mask).sum())
    if target - count > room:
        raise InvalidInputError(
            f"A mask of {count} voxels cannot grow by {change:.0%}: only {room} voxels of the image lie around it. "
            "Take a larger margin_mm or a smaller change."
        )
    return patch.mask | largest(depth, target - count, patch.known & ~patch.mask)


def with_contour(patch: Patch, supervoxel_mm3: float, rng: np.random.Generator) -> np.ndarray:
    """The mask made of supervoxels, each taken with the probability of its overlap with the mask.

    SLIC: Achanta et al., IEEE Trans Pattern Anal Mach Intell 2012;34:2274-2282 (10.1109/TPAMI.2012.120), on values
    cut at 3 standard deviations round the mask's mean, and as large as ``supervoxel_mm3`` but not below 8 voxels. The
    supervoxel of largest overlap is always taken, so that the mask is never empty. Gaps of one voxel within the slices
    are closed.

    Args:
        patch: image and mask.
        supervoxel_mm3: largest volume of a supervoxel; smaller where the mask would hold fewer than 100.
        rng: decides which supervoxels are taken.
    """
    voxel_mm3 = float(np.prod(patch.spacing_kji))
    count = int(patch.mask.sum())
    voxels = max(LEAST_VOXELS, min(supervoxel_mm3, count * voxel_mm3 / PER_MASK) / voxel_mm3)
    near = _near(patch, 1.5 * (voxels * voxel_mm3) ** (1 / 3))
    labels = _supervoxels(patch.values[near], patch.mask[near], patch.spacing_kji, voxels)
    sizes = np.bincount(labels.ravel())
    overlap = np.bincount(labels.ravel(), weights=patch.mask[near].ravel()) / np.maximum(sizes, 1)
    chance = np.where(overlap >= ALWAYS, 1.0, np.where(overlap < NEVER, 0.0, overlap))
    chance[np.argmax(overlap)] = 1.0
    taken = rng.random(chance.size) < chance
    drawn = taken[labels]
    closed = drawn | ndimage.binary_closing(drawn, IN_PLANE)
    mask = np.zeros(patch.mask.shape, bool)
    mask[near] = closed & (patch.known[near] | patch.mask[near])
    return mask


def _near(patch: Patch, distance_mm: float) -> tuple[slice, ...]:
    """The mask's box widened by a distance, within the patch."""
    box = ndimage.find_objects(patch.mask.astype(np.uint8))[0]
    wide = np.ceil(distance_mm / patch.spacing_kji).astype(int)
    return tuple(
        slice(max(part.start - int(more), 0), min(part.stop + int(more), size))
        for part, more, size in zip(box, wide, patch.mask.shape, strict=True)
    )


def _supervoxels(values: np.ndarray, mask: np.ndarray, spacing_kji: np.ndarray, voxels: float) -> np.ndarray:
    """Labels from 0 of supervoxels of about ``voxels`` voxels."""
    from skimage.segmentation import slic

    middle, spread = values[mask].mean(), 3 * values[mask].std()
    low, high = middle - spread, middle + spread
    scaled = (np.clip(values, low, high) - low) / (high - low) if high > low else np.zeros(values.shape)
    pieces = max(round(values.size / voxels), 2)
    return slic(
        scaled, n_segments=pieces, compactness=COMPACTNESS, sigma=spacing_kji.min(), spacing=spacing_kji,
        channel_axis=None, start_label=0, enforce_connectivity=True,
    )  # fmt: skip
