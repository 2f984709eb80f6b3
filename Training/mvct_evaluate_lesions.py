"""Does the converter lose a lesion that is there, or draw one that is not? (Cohen et al., MICCAI 2018, 1805.08841)

A kVCT is taken twice, once with a ball of other HU put into soft tissue, and both are scanned by the same simulated
MVCT with the same noise. What the converter makes of the two tells what it recovers of the ball, what it draws at the
place when the ball is gone, and what it changes where nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from manabi.volume import Volume

Converter = Callable[[Volume], Volume]

EDGE_MM = 1.0
"""Width of the lesion's border (our choice)."""
ROOM_MM = 3.0
"""Soft tissue there must be around a lesion (our choice)."""
FAR_MM = 15.0
"""Beyond a lesion's border this far, nothing should change (our choice)."""
SOFT_HU = (-60.0, 130.0)


@dataclass(frozen=True)
class Lesion:
    """A ball in soft tissue.

    Attributes:
        radius_mm: of the ball.
        contrast_hu: added to what is there, on the kVCT's scale.
    """

    radius_mm: float
    contrast_hu: float


LESIONS = tuple(Lesion(radius, contrast) for radius in (4.0, 7.0, 10.0) for contrast in (50.0, -50.0))
"""Diameters of 8, 14 and 20 mm, brighter and darker by 50 HU (our choice; the sizes that head and neck nodes have)."""


@dataclass(frozen=True)
class Placed:
    """Where a lesion lies in an image.

    Attributes:
        weight: 0 to 1, share of the lesion in each voxel ``(slices, rows, columns)``.
        distance_mm: of each voxel from the centre.
        lesion: which.
    """

    weight: np.ndarray
    distance_mm: np.ndarray
    lesion: Lesion

    @property
    def core(self) -> np.ndarray:
        """Voxels that are measured as lesion: without its border."""
        return self.distance_mm <= max(self.lesion.radius_mm - EDGE_MM, 0.6 * self.lesion.radius_mm)

    @property
    def ring(self) -> np.ndarray:
        """Voxels that are measured as its surroundings."""
        low = self.lesion.radius_mm + EDGE_MM
        return (self.distance_mm > low) & (self.distance_mm <= low + ROOM_MM)


def place(kvct: Volume, lesion: Lesion, rng: np.random.Generator) -> Placed | None:
    """A place with soft tissue all around; None where the image has none that is large enough."""
    step = np.asarray(kvct.spacing_mm, float)[::-1]
    smooth = ndimage.gaussian_filter(np.asarray(kvct.array, np.float32), 1.0 / step)
    soft = (smooth > SOFT_HU[0]) & (smooth < SOFT_HU[1])
    soft = np.pad(soft, 1)
    room = ndimage.distance_transform_edt(soft, sampling=step)[1:-1, 1:-1, 1:-1]
    places = np.argwhere(room >= lesion.radius_mm + ROOM_MM)
    if not len(places):
        return None
    centre = places[int(rng.integers(len(places)))]
    axes = np.ogrid[tuple(slice(0, n) for n in kvct.shape)]
    squares = sum(((axis - c) * s) ** 2 for axis, c, s in zip(axes, centre, step, strict=True))
    distance = np.sqrt(squares).astype(np.float32)
    return Placed(np.clip((lesion.radius_mm - distance) / EDGE_MM + 0.5, 0.0, 1.0), distance, lesion)


def with_lesion(kvct: Volume, placed: Placed) -> Volume:
    """The image with the lesion added, and deleted by not adding it."""
    changed = np.asarray(kvct.array, np.float32) + placed.lesion.contrast_hu * placed.weight
    return kvct.like(changed.astype(np.float32))


def lesion_scores(
    kvct: Volume, scan: Converter, convert: Converter, placed: Placed, body: np.ndarray
) -> dict[str, float]:
    """What a converter makes of a lesion that is inserted and deleted.

    Args:
        kvct: true image without the lesion.
        scan: the simulated MVCT of a kVCT, with the same noise at every call.
        convert: MVCT to kVCT.
        placed: the lesion.
        body: mask.

    Returns:
        ``recovered``: lesion contrast of the converted image over the true one (1 is right, 0 is lost);
        ``recovered_input``: the same of the MVCT itself; ``invented_hu``: contrast at the place without the lesion,
        beyond what the kVCT has there; ``elsewhere_hu``: mean change of the converted image far from the lesion, and
        ``elsewhere_input_hu`` of the MVCT.
    """
    other = with_lesion(kvct, placed)
    inputs = [np.asarray(scan(volume).array, np.float32) for volume in (kvct, other)]
    results = [np.asarray(convert(kvct.like(array)).array, np.float32) for array in inputs]
    true = placed.lesion.contrast_hu * float(placed.weight[placed.core].mean())
    far = body & (placed.distance_mm > placed.lesion.radius_mm + FAR_MM)
    changes = [pair[1] - pair[0] for pair in (results, inputs)]
    recovered = [float(change[placed.core].mean()) / true for change in changes]
    elsewhere = [float(np.abs(change[far]).mean()) if far.any() else float("nan") for change in changes]
    invented = local_contrast(results[0], placed) - local_contrast(np.asarray(kvct.array), placed)
    return {
        "recovered": recovered[0], "recovered_input": recovered[1], "invented_hu": invented,
        "elsewhere_hu": elsewhere[0], "elsewhere_input_hu": elsewhere[1],
    }  # fmt: skip


def local_contrast(image: np.ndarray, placed: Placed) -> float:
    """Mean of the core less that of the ring, HU."""
    return float(image[placed.core].mean(dtype=np.float64) - image[placed.ring].mean(dtype=np.float64))


def lesion_table(
    kvct: Volume, scan: Converter, convert: Converter, body: np.ndarray, seed: int, lesions: Sequence[Lesion] = LESIONS
) -> list[dict[str, float]]:
    """A row per lesion that finds a place: its radius and contrast, and :func:`lesion_scores`."""
    rng = np.random.default_rng(seed)
    rows = []
    for lesion in lesions:
        placed = place(kvct, lesion, rng)
        if placed is not None:
            found = lesion_scores(*_slab(kvct, scan, convert, placed, body))
            rows.append({"radius_mm": lesion.radius_mm, "contrast_hu": lesion.contrast_hu, **found})
    return rows


def _slab(
    kvct: Volume, scan: Converter, convert: Converter, placed: Placed, body: np.ndarray
) -> tuple[Volume, Converter, Converter, Placed, np.ndarray]:
    """The arguments of :func:`lesion_scores` cut to the slices around the lesion: scanning all of them takes long."""
    held = np.flatnonzero((placed.distance_mm <= placed.lesion.radius_mm + FAR_MM).any((1, 2)))
    low, high = int(held[0]), int(held[-1]) + 1
    cut = kvct.crop((low, 0, 0), (high, *kvct.shape[1:]))
    part = Placed(placed.weight[low:high], placed.distance_mm[low:high], placed.lesion)
    return cut, scan, convert, part, body[low:high]
