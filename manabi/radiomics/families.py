"""The families of features that need no texture matrix, each computed by its own file, imported when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import numpy as np

from manabi.radiomics import discretise
from manabi.radiomics.discretise import Levels
from manabi.radiomics.prepare import Prepared
from manabi.radiomics.region import Region
from manabi.radiomics.settings import ON_ORIGINAL_ONLY, ExtractionSettings

IVH_BINS = 1000
"""IBSI's number of bins for intensities which are neither whole numbers nor calibrated."""


@dataclass(frozen=True, eq=False)
class Work:
    """One image of a region, ready for its families.

    Attributes:
        ready: the prepared region with what lies around.
        region: the region with this image's values.
        inside: those of the intensity mask.
        levels: their grey levels.
        settings: what is asked for.
        original: whether the image is the unfiltered one.
    """

    ready: Prepared
    region: Region
    inside: np.ndarray
    levels: Levels
    settings: ExtractionSettings
    original: bool


def grey_levels(inside: np.ndarray, settings: ExtractionSettings, original: bool) -> Levels:
    """Grey levels by the settings' convention.

    IBSI's bins of fixed width start at the lower bound of the re-segmentation range; a filter's response is in no
    such range, so that its bins start at its minimum (our choice).

    Args:
        inside: the region's values. pyradiomics bins float32 in float32, and so does this.
        settings: ``bin_width`` or ``bin_count``.
        original: whether the image is the unfiltered one.
    """
    count, width = settings.bin_count, float(settings.bin_width or 0)
    if settings.mode == "ibsi" or inside.dtype != np.float32:
        inside = inside.astype(np.float64)
    if settings.mode == "pyradiomics":
        if count is not None:
            return discretise.by_count_pyradiomics(inside, count)
        return discretise.by_width_pyradiomics(inside, width)
    if count is not None:
        return discretise.by_count(inside, count)
    start = settings.resegment_hu[0] if original and settings.resegment_hu else None
    return discretise.by_width(inside, width, start)


def value_features(
    ready: Prepared, region: Region, levels: Levels, settings: ExtractionSettings, original: bool
) -> dict[str, float]:
    """``family_Name`` -> value of every family that the settings name and that needs no texture matrix.

    Args:
        ready: the prepared region.
        region: it with the values of one image.
        levels: the grey levels of those.
        settings: what is asked for.
        original: whether the image is the unfiltered one; shape and local intensity are its alone.
    """
    work = Work(ready, region, region.inside, levels, settings, original)
    found: dict[str, float] = {}
    for family in settings.families:
        if family in COMPUTE and (original or family not in ON_ORIGINAL_ONLY):
            found |= COMPUTE[family](work)
    return found


def _shape(work: Work) -> dict[str, float]:
    """Shape, by the mode's conventions."""
    shape = import_module("manabi.radiomics.shape")
    return shape.ibsi(work.region) if work.settings.mode == "ibsi" else shape.pyradiomics(work.region)


def _local(work: Work) -> dict[str, float]:
    """Local intensity, which looks beyond the region."""
    local = import_module("manabi.radiomics.local")
    return local.features(work.ready.image, work.ready.box, work.region.mask, work.region.spacing_mm)


def _firstorder(work: Work) -> dict[str, float]:
    """First order, by the mode's conventions."""
    firstorder = import_module("manabi.radiomics.firstorder")
    if work.settings.mode == "ibsi":
        return firstorder.ibsi(work.inside, work.levels.inside)
    shift = work.settings.energy_shift
    return firstorder.pyradiomics(work.inside, work.levels.inside, work.region.voxel_mm3, shift)


def _histogram(work: Work) -> dict[str, float]:
    """The histogram of the grey levels."""
    return import_module("manabi.radiomics.histogram").features(work.levels.inside, work.levels.count)


def _ivh(work: Work) -> dict[str, float]:
    """The fine bins that IBSI section 3.5 asks for: whole numbers as they are, calibrated ones in a bin width."""
    settings, inside = work.settings, work.inside
    low, high = (settings.resegment_hu if work.original else None) or (None, None)
    low = float(inside.min()) if low is None else low
    high = float(inside.max()) if high is None else high
    ivh = import_module("manabi.radiomics.ivh")
    width = settings.ivh_bin_width
    if width is not None:
        levels = discretise.by_width(inside, width, low)
        bins = max(int(np.ceil((high - low) / width - 1e-9)), levels.count)
        return ivh.features(levels.inside, low + width * (np.arange(bins) + 0.5))
    if settings.ivh_bin_count is None and np.array_equal(inside, np.rint(inside)):
        low, high = np.floor(low), np.ceil(high)
        return ivh.features(discretise.by_width(inside, 1.0, low).inside, np.arange(low, high + 1))
    bins = settings.ivh_bin_count or IVH_BINS
    return ivh.features(discretise.by_count(inside, bins).inside, np.arange(1.0, bins + 1))


COMPUTE = {"shape": _shape, "local": _local, "firstorder": _firstorder, "histogram": _histogram, "ivh": _ivh}
