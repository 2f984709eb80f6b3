"""Scoring a denoised scan against the full-time one, the same way for every method and for training and experiment.

Image scores are the source's: on its five images of 64×64 (8 bit, each divided by its maximum, as 0 to 255). Binding
ratios are measured on the same slab with the same volumes of interest for every image of a case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from manabi.spect import paper
from manabi.spect.localise import localise
from manabi.spect.quantify import Binding, Regions, measure, regions, voxel_ml
from manabi.spect.template import REGIONS
from manabi.volume import Volume
from Training.metrics import image_metrics
from Training.spect_data import Pair


@dataclass(frozen=True)
class Slab:
    """What all images of a case are compared on.

    Attributes:
        middle: index of the hottest slice of the full scan, in the straightened volume.
        full: the full scan's five images.
        short: the short scan's.
        places: volumes of interest on the slab, found on the full scan.
        truth: binding ratios of the full scan on the slab.
        voxel_ml: of the slab's grid.
    """

    middle: int
    full: paper.PaperImages
    short: paper.PaperImages
    places: Regions
    truth: Binding
    voxel_ml: float

    def images_of(self, volume: Volume) -> paper.PaperImages:
        """The five images of a denoised volume on the scan's own grid."""
        return paper.paper_images(paper.straighten(volume), self.middle)

    def binding(self, counts: np.ndarray) -> Binding:
        """Binding ratios of slab counts ``(5, 64, 64)``."""
        return measure(counts, self.places, self.voxel_ml)


def slab_of(pair: Pair) -> Slab:
    """Prepare a case; raises InvalidInputError where no striatum or reference region is in the scan."""
    short, full = paper.straighten(pair.short), paper.straighten(pair.full)
    middle = paper.hottest_slice(paper.to_8bit(np.asarray(full.array, float)))
    images, noisy = paper.paper_images(full, middle), paper.paper_images(short, middle)
    places = _cut(regions(full, localise(full)), full, images.box)
    size = voxel_ml(full)
    return Slab(middle, images, noisy, places, measure(images.box.array, places, size), size)


def _cut(whole: Regions, full: Volume, box: Volume) -> Regions:
    """Volumes of interest on the slab alone."""

    def cut(array: np.ndarray) -> np.ndarray:
        return np.array(full.like(array).crop_to(box.grid).array)

    return Regions(
        {region: cut(w) for region, w in whole.structures.items()},
        {side: cut(w) for side, w in whole.large.items()},
        cut(whole.occipital),
        cut(whole.whole_brain),
    )


def image_scores(slab: Slab, images: np.ndarray) -> dict[str, np.ndarray]:
    """PSNR, legacy PSNR, SSIM (two conventions) and NRMSE of five images from 0 to 1; each ``(5,)``."""
    rows = [image_metrics(t * 255.0, np.clip(i, 0, 1) * 255.0) for t, i in zip(slab.full.images, images, strict=True)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def binding_errors(slab: Slab, counts: np.ndarray) -> dict[tuple[str, str], float]:
    """Binding ratio minus that of the full scan, per region."""
    found = slab.binding(counts).sbr
    return {region: found[region] - slab.truth.sbr[region] for region in REGIONS}


def relative_bias(errors: Mapping[tuple[str, str], float], slab: Slab) -> float:
    """Sum of the errors over the sum of the full scan's binding ratios: a small ratio does not blow up."""
    return sum(errors.values()) / sum(slab.truth.sbr.values())
