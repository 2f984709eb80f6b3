"""What a conversion did to gradients, contrast and tissue values.

DIG, the difference in gradient, is the source's measure of distortion (Nakagawa, Ozaki, Kaji, Med Phys 2022,
10.1002/mp.15626). The paper's exact formula could not be confirmed; the authors' converter computes
``|grad out| - |grad in|`` with ``|grad| = sqrt(dx² + dy²)`` of the Sobel filter. Two readings are given and named:
DIG-a is the mean of its magnitude over the body, DIG-b the same in flat regions only, where a gradient in the output
is invented and one in the input is noise.

CNR, the contrast-to-noise ratio of two tissues, follows Vinas et al. (10.1002/mp.14616): the distance of the means over
the pooled standard deviation. Their regions were drawn by hand; here they are squares inside eroded tissue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from manabi.errors import InvalidInputError
from manabi.mvct.noise_level import local_sd, mode, thinned
from manabi.mvct.tissue_map import LABELS, TISSUES, bounding_box, eroded
from manabi.result import Table

SOBEL_SUM = 8.0
"""A Sobel filter's response to a ramp of 1 HU per pixel."""
FLAT_QUANTILE = 0.25
FLAT_SIGMA_MM = 2.0
FLAT_MARGIN_MM = 5.0
BOX_PIXELS = 12
"""Around the body, so that filters see what lies outside it."""
ROI_MM = 6.0
ROI_PIXELS = (3, 11)
FEWEST_ROIS = 20
PAIRS = (("muscle", "fat"), ("bone", "fat"), ("bone", "muscle"))


@dataclass(frozen=True)
class Dig:
    """Difference in gradient between an input and its conversion.

    Attributes:
        dig_a: mean over the body of the magnitude of the difference, HU/mm.
        dig_b: the same over flat regions, HU/mm; NaN where there are none.
        unit: of both.
    """

    dig_a: float
    dig_b: float
    unit: str = "HU/mm"


@dataclass(frozen=True)
class TissueStats:
    """Values of one tissue.

    Attributes:
        mean_hu: robust mean: the mode of the values.
        sd_hu: noise: the median standard deviation of small squares inside the tissue, or of the whole region where
            no square fits.
        spread_hu: robust standard deviation of the whole region (1.4826 times the median absolute deviation).
        voxels: size of the region.
    """

    mean_hu: float
    sd_hu: float
    spread_hu: float
    voxels: int


def gradient_magnitude(hu: np.ndarray, spacing_mm: np.ndarray | None = None) -> np.ndarray:
    """Sobel gradient of every axial slice, as the source's converter: ``sqrt(dx² + dy²)``.

    Args:
        hu: ``(n, rows, columns)``.
        spacing_mm: of I, J, K for HU/mm; None for HU/pixel.
    """
    sx, sy = (1.0, 1.0) if spacing_mm is None else (float(spacing_mm[0]), float(spacing_mm[1]))
    out = np.empty(np.shape(hu), np.float32)
    for k, image in enumerate(hu):
        v = np.pad(np.asarray(image, np.float32), 1, mode="edge")
        down, along = v[:-2] + 2 * v[1:-1] + v[2:], v[:, :-2] + 2 * v[:, 1:-1] + v[:, 2:]
        dx, dy = down[:, 2:] - down[:, :-2], along[2:] - along[:-2]
        np.hypot(dx / (SOBEL_SUM * sx), dy / (SOBEL_SUM * sy), out=out[k])
    return out


def dig_map(source: np.ndarray, output: np.ndarray, spacing_mm: np.ndarray | None = None) -> np.ndarray:
    """Gradient of the output minus gradient of the input, signed, ``(n, rows, columns)`` float32.

    Positive where the output has edges (or noise) that the input has not.
    """
    _check_same(source, output)
    return gradient_magnitude(output, spacing_mm) - gradient_magnitude(source, spacing_mm)


def flat_regions(hu: np.ndarray, body: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """The quarter of the body's inside where the smoothed input changes least.

    Args:
        hu: the input, ``(n, rows, columns)``.
        body: of the same shape.
        spacing_mm: of I, J, K.
    """
    sigma = (0.0, FLAT_SIGMA_MM / spacing_mm[1], FLAT_SIGMA_MM / spacing_mm[0])
    smooth = ndimage.gaussian_filter(np.asarray(hu, np.float32), sigma, truncate=3.0)
    slope = gradient_magnitude(smooth, spacing_mm)
    inner = eroded(body, FLAT_MARGIN_MM, spacing_mm)
    if not inner.any():
        return inner
    return inner & (slope <= np.quantile(slope[inner], FLAT_QUANTILE))


def dig(
    source: np.ndarray, output: np.ndarray, body: np.ndarray, spacing_mm: np.ndarray, per_pixel: bool = False
) -> Dig:
    """DIG-a and DIG-b of a conversion.

    Args:
        source: input, ``(n, rows, columns)`` HU.
        output: converted, of the same shape.
        body: of the same shape.
        spacing_mm: of I, J, K.
        per_pixel: HU/pixel as the authors' code has it, not HU/mm.

    Raises:
        InvalidInputError: where the shapes differ or the body is empty.
    """
    if not body.any():
        raise InvalidInputError("DIG is a mean over the body, and the body mask is empty.")
    _check_same(source, output)
    box = bounding_box(body, (0, BOX_PIXELS, BOX_PIXELS))
    before, inside = source[box], body[box]
    change = np.abs(dig_map(before, output[box], None if per_pixel else spacing_mm))
    flat = flat_regions(before, inside, spacing_mm)
    in_flat = float(change[flat].mean(dtype=np.float64)) if flat.any() else float("nan")
    return Dig(float(change[inside].mean(dtype=np.float64)), in_flat, "HU/pixel" if per_pixel else "HU/mm")


def tissue_masks(labels: np.ndarray, spacing_mm: np.ndarray, margin_mm: float = 2.0) -> dict[str, np.ndarray]:
    """Every tissue's inside: eroded where that leaves at least a tenth of it.

    Args:
        labels: of :class:`manabi.mvct.tissue_map.TissueMap`.
        spacing_mm: of I, J, K.
        margin_mm: how deep.
    """
    masks = {}
    for name in TISSUES:
        whole = labels == LABELS[name]
        inner = eroded(whole, margin_mm, spacing_mm)
        masks[name] = inner if inner.sum() >= max(50, 0.1 * whole.sum()) else whole
    return masks


def region_stats(hu: np.ndarray, mask: np.ndarray, spacing_mm: np.ndarray) -> TissueStats | None:
    """Mean, noise and spread of the values in a region; None where it is empty.

    Args:
        hu: ``(n, rows, columns)``.
        mask: of the same shape.
        spacing_mm: of I, J, K.
    """
    values = np.asarray(hu)[mask].astype(np.float64)
    if not values.size:
        return None
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return TissueStats(mode(values), _roi_sd(hu, mask, spacing_mm, values), spread, int(values.size))


def tissue_stats(hu: np.ndarray, masks: Mapping[str, np.ndarray], spacing_mm: np.ndarray) -> dict[str, TissueStats]:
    """:func:`region_stats` of every tissue that is there.

    Choose the masks once, on the image that shows tissues best, and measure every image in the same ones.
    """
    stats = {name: region_stats(hu, mask, spacing_mm) for name, mask in masks.items()}
    return {name: value for name, value in stats.items() if value is not None}


def cnr(a: TissueStats, b: TissueStats) -> float:
    """``|mean_a - mean_b| / sqrt((sd_a² + sd_b²) / 2)``; infinite without noise."""
    pooled = float(np.sqrt(0.5 * (a.sd_hu**2 + b.sd_hu**2)))
    return abs(a.mean_hu - b.mean_hu) / pooled if pooled > 0 else float("inf")


def cnr_table(images: Mapping[str, Mapping[str, TissueStats]]) -> Table:
    """Muscle-fat, bone-fat and bone-muscle CNR of several images; blank where a tissue is missing.

    Args:
        images: stats of :func:`tissue_stats` by the image's name.
    """
    rows = []
    for a, b in PAIRS:
        cells = [cnr(stats[a], stats[b]) if a in stats and b in stats else None for stats in images.values()]
        rows.append((f"{a}-{b}", *cells))
    return Table(("cnr", *images), tuple(rows))


def _roi_sd(hu: np.ndarray, mask: np.ndarray, spacing_mm: np.ndarray, values: np.ndarray) -> float:
    """Median standard deviation of the squares that fit into the region; smaller squares where large ones do not."""
    side = int(np.clip(round(ROI_MM / float(min(spacing_mm[:2]))) | 1, *ROI_PIXELS))
    slices = np.flatnonzero(mask.any((1, 2)))
    slices = slices[thinned(len(slices))]
    box = bounding_box(mask[slices], (0, 0, 0))
    places = mask[slices][box].astype(np.uint8)
    image = np.asarray(hu[slices][box], np.float64)
    for size in range(side, ROI_PIXELS[0] - 1, -2):
        fits = ndimage.minimum_filter(places, (1, size, size), mode="constant") > 0
        if fits.sum() >= FEWEST_ROIS:
            return float(np.median(local_sd(image, size)[1][fits]))
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _check_same(source: np.ndarray, output: np.ndarray) -> None:
    if np.shape(source) != np.shape(output):
        raise InvalidInputError(f"Input and output must have one shape; got {np.shape(source)} and {np.shape(output)}.")
