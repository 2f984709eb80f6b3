"""Sharper borders from the image's own intensities: what the network says, times how likely the intensity is.

The networks' answer is taken for a prior. How bright each structure is in *this* image is counted where the answer is
sure; a voxel's probability is then prior times likelihood, as in Ashburner J, Friston KJ. Unified segmentation.
NeuroImage 2005;26:839 (10.1016/j.neuroimage.2005.02.018), but with histograms in place of Gaussian mixtures: structures
hold several tissues. No contrast is assumed, and nothing is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 64
MARGIN = 0.3
"""The bins cover what the brain's values are, and this part of their range on either side."""
WORTH, REACH = 0.98, 4
"""Voxels that are background with less than this probability, and so many voxels around them, are looked at."""
FEWEST = 50.0
"""A structure with less than so many sure voxels keeps its prior among those that have more (our choice)."""


@dataclass(frozen=True)
class Refinement:
    """How intensities count; all of it is our choice.

    Attributes:
        weight: exponent of the likelihood; 0 leaves the prior as it is.
        power: exponent of the prior where intensities are counted: the higher, the surer a voxel must be.
        smooth_bins: standard deviation of the histograms' smoothing.
        floor: likelihood of an intensity that was never counted, of a uniform one.
    """

    weight: float = 1.0
    power: float = 4.0
    smooth_bins: float = 1.5
    floor: float = 0.02


def refined(image: np.ndarray, probabilities: np.ndarray, how: Refinement) -> np.ndarray:
    """Probabilities given the intensities.

    Args:
        image: ``(slices, rows, columns)``, normalised values.
        probabilities: ``(classes, slices, rows, columns)`` that sum to 1, background first; not changed.
        how: see :class:`Refinement`.

    Returns:
        float32 of the same shape; unchanged away from structures.
    """
    from scipy.ndimage import binary_dilation

    if how.weight == 0.0:
        return probabilities
    near = binary_dilation(probabilities[0] < WORTH, iterations=REACH)
    prior = probabilities[:, near]
    place = _places(image[near], prior)
    likelihood = np.stack([_likelihood(place, one, how) for one in prior])
    posterior = prior * likelihood**how.weight
    out = probabilities.copy()
    out[:, near] = posterior / np.maximum(posterior.sum(0, keepdims=True), 1e-12)
    return out


def _places(values: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The bin of each value; bins cover the values of structures, so that a bright scalp does not crowd them."""
    inside = values[prior[0] < 0.5]
    low, high = np.percentile(inside if len(inside) else values, (1.0, 99.0))
    room = MARGIN * max(high - low, 1e-6)
    share = (values - (low - room)) / (high - low + 2 * room + 1e-6)
    return np.clip(share * BINS, 0, BINS - 1).astype(np.intp)


def _likelihood(place: np.ndarray, prior: np.ndarray, how: Refinement) -> np.ndarray:
    """How likely each voxel's intensity is in a structure, times the number of bins; 1 where too little is known."""
    from scipy.ndimage import gaussian_filter1d

    counts = np.bincount(place, weights=prior.astype(np.float64) ** how.power, minlength=BINS)
    if counts.sum() < FEWEST:
        return np.ones(len(place), np.float32)
    smooth = gaussian_filter1d(counts, how.smooth_bins)
    return (smooth / smooth.sum() * BINS + how.floor).astype(np.float32)[place]
