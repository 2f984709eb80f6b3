"""Vessels where the image itself shows them: thin structures much brighter than brain, as in angiography.

The shipped network finds no vessels. Time-of-flight angiography and images after contrast agent need no network for
them: blood is the brightest thing near the brain. Bright, thin, connected voxels are taken; which images show vessels
is decided from the image (dark ventricles, a small share of bright voxels), never from its name. All numbers are our
choice; they were set on the simulated heads of :mod:`manabi.phantoms.brain`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manabi.brain.structures import LABELS
from manabi.context import Context
from manabi.volume import Volume

REACH_MM = 6.0
"""Vessels are looked for in the brain and this far around it; the scalp, bright too, lies farther."""
EVEN_MM = 20.0
"""Slow changes of brightness over more than this are levelled."""
THICKEST_MM = 7.0
"""What is wider, such as fat or a bleeding, is no vessel."""
SEED, GROW = 0.55, 0.28
"""Brightness above the surroundings, in brightness of brain: vessels begin at one and grow down to the other."""
SEED_SDS, GROW_SDS = 6.0, 3.0
"""And at least so many standard deviations of brain."""
DARK_FLUID = 1.15
"""In images that show vessels bright, ventricles are not brighter than this, of brain; they are in T2."""
LEAST_SHARE, LARGEST_SHARE = 2e-4, 0.04
"""Of the voxels in reach: fewer bright ones are noise, more are another contrast."""
LEAST_MM3 = 15.0
"""Smaller pieces are dropped."""
STRONG = 1.2
"""The brightest tenth of what is found must be this far above: blood in motion is, bright marrow and lesions not."""
INSIDE, CLOSED_MM = 0.5, 12.0
"""At least this share of what is found in reach lies in the brain with its cisterns and furrows, closed by a ball of
this radius; marrow and fat lie outside."""
BELOW_MM = 40.0
"""Strong vessels are followed this far out of reach: the arteries of the neck."""
RIM, RIM_MM = 0.45, 2.0
"""A vessel ends where it is less bright than this share of its brightest voxel near by."""


VESSELS = next(label.value for label in LABELS if label.structure == "vessels")
VENTRICLES = next(label.value for label in LABELS if label.structure == "ventricles")


@dataclass(frozen=True)
class BrightVessels:
    """What was found.

    Attributes:
        mask: (slices, rows, columns) bool on the image's grid.
        strength: brightness above the surroundings at each voxel of the mask, in brightness of brain.
        shown: whether the image shows vessels bright at all; the mask is empty where not.
    """

    mask: np.ndarray
    strength: np.ndarray
    shown: bool


def with_bright_vessels(
    labels: Volume, confidence: Volume, images: Sequence[Volume], context: Context
) -> tuple[Volume, Volume, bool]:
    """A result's labels and confidence with the vessels that any of the images shows bright.

    Args:
        labels: (slices, rows, columns) label map of a result (:data:`manabi.brain.structures.LABELS`).
        confidence: of the labels, on the same grid.
        images: MR of the patient; the first lies on the labels' grid, others are placed by their geometry.
        context: for cancellation.

    Returns:
        New labels and confidence, and whether any image shows vessels. The confidence of a vessel's voxel grows from
        0.5 at the dimmest that is taken to 1 at twice the brightness where vessels begin; it is not a probability.
    """
    array, sure, any_shown = np.array(labels.array), np.array(confidence.array), False
    for image in images:
        own = labels if image.grid.same_as(labels.grid) else labels.resampled(image.grid, "nearest")
        number = np.asarray(own.array)
        found = bright_vessels(image, (number > 0) & (number < VENTRICLES), number == VENTRICLES, context)
        if not found.shown:
            continue
        strength = image.like(found.strength)
        if own is not labels:
            strength = strength.resampled(labels.grid)
        here = np.asarray(strength.array) > GROW
        array[here] = VESSELS
        level = 0.5 + 0.5 * (np.asarray(strength.array)[here] - GROW) / (2 * SEED - GROW)
        sure[here] = np.clip(level, 0.5, 1.0)
        any_shown = True
    return labels.like(array), confidence.like(sure), any_shown


def bright_vessels(image: Volume, brain: np.ndarray, ventricles: np.ndarray, context: Context) -> BrightVessels:
    """Find vessels in an image that shows blood bright.

    Args:
        image: MR on any grid.
        brain: (slices, rows, columns) bool, brain tissue on the image's grid.
        ventricles: the same of the ventricles.
        context: for cancellation.
    """
    nothing = BrightVessels(np.zeros(image.array.shape, bool), np.zeros(image.array.shape, np.float32), False)
    spacing = tuple(float(s) for s in image.spacing_mm[::-1])
    box = _box(brain, spacing, BELOW_MM)
    if box is None:
        return nothing
    values = np.nan_to_num(np.asarray(image.array[box], np.float32))
    tissue, fluid = brain[box], ventricles[box]
    context.check_cancelled()
    even, sd = _levelled(values, tissue, spacing)
    if fluid.any() and float(np.median(even[fluid])) > DARK_FLUID:
        return nothing
    context.check_cancelled()
    above = _above_surroundings(even, spacing)
    distance = _distance(tissue | fluid, spacing)
    above[(distance > REACH_MM) & ~((distance < BELOW_MM) & (above > STRONG))] = 0.0
    context.check_cancelled()
    mask = _grown(above, max(SEED, SEED_SDS * sd), max(GROW, GROW_SDS * sd), float(np.prod(spacing)))
    near = mask & (distance <= REACH_MM)
    if not near.any() or np.percentile(above[near], 90) < STRONG:
        return nothing
    if float((near & _hull(tissue | fluid, spacing)).sum()) < INSIDE * near.sum():
        return nothing
    mask &= above > RIM * _brightest_near(above, spacing)
    share = float(mask.sum()) / max(int((tissue | fluid).sum()), 1)
    if not LEAST_SHARE <= share <= LARGEST_SHARE:
        return nothing
    nothing.mask[box], nothing.strength[box] = mask, np.where(mask, above, 0.0)
    return BrightVessels(nothing.mask, nothing.strength, True)


def _box(mask: np.ndarray, spacing: tuple[float, ...], margin_mm: float) -> tuple[slice, ...] | None:
    """The part of the array around a mask; None where it is empty."""
    out = []
    for axis in range(3):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(filled):
            return None
        margin = int(np.ceil(margin_mm / spacing[axis]))
        out.append(slice(max(int(filled[0]) - margin, 0), int(filled[-1]) + margin + 1))
    return tuple(out)


def _levelled(values: np.ndarray, tissue: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, float]:
    """Values in units of the brain around them, and the standard deviation of brain in that unit."""
    from scipy.ndimage import gaussian_filter

    typical = float(np.median(values[tissue]))
    # The level changes slowly: every fourth millimetre is enough. Vessels must not raise what they are compared with.
    steps = tuple(slice(None, None, max(1, round(4.0 / s))) for s in spacing)
    counted = (tissue & (values < 1.5 * typical))[steps].astype(np.float32)
    sigmas = [EVEN_MM / s / part.step for s, part in zip(spacing, steps, strict=True)]
    weight = gaussian_filter(counted, sigmas)
    level = gaussian_filter(values[steps] * counted, sigmas) / np.maximum(weight, 1e-4)
    level = _between(np.where(weight > 1e-3, level, typical), steps, values.shape)
    even = values / np.maximum(level, 0.05 * max(typical, 1e-6))
    inside = even[tissue]
    return even, float(1.4826 * np.median(np.abs(inside - np.median(inside))))


def _between(coarse: np.ndarray, steps: tuple[slice, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Values of every ``steps``-th voxel, linearly between them."""
    for axis, (part, n) in enumerate(zip(steps, shape, strict=True)):
        place = np.minimum(np.arange(n, dtype=np.float32) / part.step, coarse.shape[axis] - 1)
        low = np.minimum(place.astype(int), max(coarse.shape[axis] - 2, 0))
        high = np.minimum(low + 1, coarse.shape[axis] - 1)
        share = (place - low).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        coarse = (1 - share) * coarse.take(low, axis) + share * coarse.take(high, axis)
    return coarse


def _above_surroundings(even: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Brightness above what a ball of half the thickest vessel finds around: a white top-hat."""
    import SimpleITK as sitk

    radius = [max(1, round(0.5 * THICKEST_MM / s)) for s in reversed(spacing)]
    opened = sitk.GrayscaleMorphologicalOpening(sitk.GetImageFromArray(even), radius, sitk.sitkBox)
    # Brain is 1; fluid and air around a vessel must not make it brighter than it is over brain.
    return even - np.maximum(sitk.GetArrayFromImage(opened), 1.0)


def _distance(mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Distance from the mask in mm."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing[::-1])
    return sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True))


def _hull(mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """The mask with its furrows closed, worked out on about every third millimetre."""
    steps = tuple(slice(None, None, max(1, round(3.0 / s))) for s in spacing)
    wide = [round(1.5 * CLOSED_MM / s / part.step) for s, part in zip(spacing, steps, strict=True)]
    coarse = np.pad(mask[steps], [(n, n) for n in wide])
    between = tuple(s * part.step for s, part in zip(spacing, steps, strict=True))
    closed = _distance(_distance(coarse, between) > CLOSED_MM, between) > CLOSED_MM
    inner = closed[tuple(slice(n, -n) for n in wide)]
    for axis, (part, n) in enumerate(zip(steps, mask.shape, strict=True)):
        inner = np.repeat(inner, part.step, axis)[tuple(slice(n) if a == axis else slice(None) for a in range(3))]
    return inner


def _brightest_near(above: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    from scipy.ndimage import maximum_filter

    return maximum_filter(above, [2 * max(1, round(RIM_MM / s)) + 1 for s in spacing])


def _grown(above: np.ndarray, seed: float, grow: float, voxel_mm3: float) -> np.ndarray:
    """Voxels above ``grow`` in pieces that hold one above ``seed`` and are large enough."""
    from scipy.ndimage import label

    pieces, _ = label(above > grow, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel())
    good = np.zeros(len(sizes), bool)
    good[np.unique(pieces[above > seed])] = True
    good &= sizes * voxel_mm3 >= LEAST_MM3
    good[0] = False
    return good[pieces]
