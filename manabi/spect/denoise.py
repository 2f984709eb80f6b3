"""Denoising a whole volume: any spacing and orientation in, the same grid out, counts kept.

The volume is put in closest-to-RAS order (no interpolation), brought to 3.29 mm where its spacing differs, divided by
the mean count of the head, and denoised slice by slice with its neighbours as context. Then the slow part of the counts
is restored: what the result lacks against the input at the scale of :attr:`Settings.consistency_mm` is added back, so
that a region's mean cannot drift, which is how the source's networks over-corrected. All our choices; the source's own
pipeline is in :mod:`manabi.spect.paper`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from manabi.context import Context
from manabi.spect.localise import brain_mask
from manabi.spect.paper import PIXEL_MM
from manabi.volume import Volume

if TYPE_CHECKING:
    from torch import nn

SPACING_TOLERANCE = 0.02
"""Relative deviation from 3.29 mm that is processed as it is (our choice)."""
FWHM = 2.3548
HOT_LEVEL = 1.4
"""Counts above this many times the head's mean are taken for specific uptake by the contrast gain (our choice)."""


@dataclass(frozen=True)
class Settings:
    """How a network is applied.

    Attributes:
        context: number of slices the network sees (odd); the middle one is denoised.
        consistency_mm: FWHM of the scale above which the input's counts are kept; 0 switches it off.
        variance_calibration: factor from the network's variance to the observed one, from validation.
        contrast_gain: factor on counts above :data:`HOT_LEVEL` times the head's mean, from validation: few counts make
            OSEM's hot spots too low on average, and squared error makes a network's lower still; with it the mean
            binding ratio is that of full-time scans.
    """

    context: int = 5
    consistency_mm: float = 0.0
    variance_calibration: float = 1.0
    contrast_gain: float = 1.0

    @classmethod
    def of(cls, facts: Mapping[str, Any], consistency_mm: float | None = None) -> Settings:
        """The settings in a bundle's metadata; ``consistency_mm`` takes precedence where it is given."""
        return cls(
            int(facts.get("context_slices", 5)),
            float(facts.get("consistency_mm", 0.0)) if consistency_mm is None else consistency_mm,
            float(facts.get("variance_calibration", 1.0)),
            float(facts.get("contrast_gain", 1.0)),
        )


@dataclass(frozen=True)
class Prediction:
    """What the network says, before anything is done with it.

    Attributes:
        work: the input as the network saw it, in counts.
        mean: its estimate of the denoised counts on that grid.
        deviation: its standard deviation in counts, not calibrated, or None.
    """

    work: Volume
    mean: np.ndarray
    deviation: np.ndarray | None


@dataclass(frozen=True)
class Denoised:
    """A denoised volume and its uncertainty, both on the input's grid.

    Attributes:
        volume: counts.
        uncertainty: standard deviation in counts of the difference to a full-time scan, or None for filters.
        relative_noise: noise of the input in the head, as a share of its mean; compared with the training range.
    """

    volume: Volume
    uncertainty: Volume | None
    relative_noise: float


def work_image(volume: Volume) -> Volume:
    """The volume in closest-to-RAS order at 3.29 mm (float32); untouched values where it is there already."""
    straight = volume.reoriented()
    spacing = straight.spacing_mm
    array = straight.array.astype(np.float32)
    if np.abs(spacing / PIXEL_MM - 1).max() <= SPACING_TOLERANCE:
        return straight.like(array)
    sd = np.sqrt(np.maximum(PIXEL_MM**2 - spacing**2, 0.0)) / FWHM / spacing
    smooth = straight.like(ndimage.gaussian_filter(array, sd[::-1]))
    return smooth.resampled(straight.grid.with_spacing(np.full(3, PIXEL_MM)))


def head_scale(array: np.ndarray, work: Volume) -> float:
    """Mean count of the head: what images are divided by, so that counts and calibration do not matter."""
    return float(array[brain_mask(work)].mean())


def context_stack(array: np.ndarray, context: int) -> np.ndarray:
    """Each slice with its neighbours: ``(n, context, rows, columns)``; the ends are mirrored.

    Args:
        array: ``(n, rows, columns)``.
        context: odd number of slices.
    """
    half = context // 2
    index = np.arange(len(array))[:, None] + np.arange(-half, half + 1)
    return array[mirrored_index(index, len(array))]


def mirrored_index(index: np.ndarray, count: int) -> np.ndarray:
    """Slice numbers beyond the ends, mirrored at the first and the last slice."""
    inside = np.abs(index)
    return np.clip(np.where(inside >= count, 2 * (count - 1) - inside, inside), 0, count - 1)


def relative_noise(before: np.ndarray, after: np.ndarray, head: np.ndarray) -> float:
    """Standard deviation of what was removed inside the head over the head's mean."""
    mean = float(before[head].mean())
    return float((before - after)[head].std() / mean) if mean > 0 else 0.0


def keep_counts(before: np.ndarray, after: np.ndarray, spacing_mm: np.ndarray, consistency_mm: float) -> np.ndarray:
    """The result with the input's counts: locally at the scale ``consistency_mm`` (FWHM), and in total.

    Args:
        before: input counts, KJI.
        after: denoised counts, KJI, not negative.
        spacing_mm: along I, J, K.
        consistency_mm: 0 keeps only the total.
    """
    kept = np.maximum(after, 0.0)
    if consistency_mm > 0:
        sd = consistency_mm / FWHM / spacing_mm[::-1]
        kept = np.maximum(kept + ndimage.gaussian_filter(before - kept, sd), 0.0)
    total = float(kept.sum())
    return kept * (float(before.sum()) / total) if total > 0 else kept


def denoise_with_network(volume: Volume, network: nn.Module, settings: Settings, context: Context) -> Denoised:
    """Denoise with a 2.5-D network whose outputs are the mean and, if it has two, the log variance.

    Args:
        volume: counts, any grid.
        network: maps ``(n, context, rows, columns)`` to ``(n, 1 or 2, rows, columns)``, in units of the head's mean.
        settings: how to apply it.
        context: device, progress, cancellation.
    """
    return finish(volume, predict(volume, network, settings.context, context), settings)


def predict(volume: Volume, network: nn.Module, slices: int, context: Context) -> Prediction:
    """Run the network alone; arguments as in :func:`denoise_with_network`, ``slices`` being the network's context."""
    from manabi.inference import predict_stack

    work = work_image(volume)
    before = np.asarray(work.array)
    scale = head_scale(before, work)
    occupied = before.reshape(len(before), -1).any(1)
    stack = context_stack(before / scale, slices)
    out = predict_stack(network, stack[occupied], context=context)
    mean, deviation = np.zeros_like(before), None
    mean[occupied] = out[:, 0] * scale
    if out.shape[1] > 1:
        deviation = np.zeros_like(before)
        deviation[occupied] = np.exp(0.5 * out[:, 1]) * scale
    return Prediction(work, mean, deviation)


def finish(volume: Volume, prediction: Prediction, settings: Settings) -> Denoised:
    """Keep the counts, calibrate the uncertainty, and come back to the volume's own grid."""
    work = prediction.work
    before = np.asarray(work.array)
    after = keep_counts(before, prediction.mean, work.spacing_mm, settings.consistency_mm)
    if settings.contrast_gain != 1.0:
        hot = np.maximum(after - HOT_LEVEL * head_scale(before, work), 0.0)
        after = keep_counts(before, after + (settings.contrast_gain - 1.0) * hot, work.spacing_mm, 0.0)
    deviation = prediction.deviation
    if deviation is not None:
        deviation = deviation * np.sqrt(settings.variance_calibration)
    noise = relative_noise(before, prediction.mean, brain_mask(work))
    return _back(volume, work, after, deviation, noise)


def denoise_with_filter(volume: Volume, name: str, context: Context, **arguments: float) -> Denoised:
    """Denoise with a classical filter, slice by slice at 3.29 mm, for comparison."""
    from manabi.filters import FILTERS

    work = work_image(volume)
    before = np.asarray(work.array)
    scale = head_scale(before, work)
    chosen = FILTERS[name](**arguments)
    after = np.empty_like(before)
    for k, image in enumerate(before):
        after[k] = chosen.apply(image / scale) * scale
        context.progress((k + 1) / len(before), "Filtering")
    noise = relative_noise(before, after, brain_mask(work))
    return _back(volume, work, keep_counts(before, after, work.spacing_mm, 0.0), None, noise)


def _back(
    volume: Volume, work: Volume, after: np.ndarray, deviation: np.ndarray | None, noise: float
) -> Denoised:
    """Results of the working grid on the input's own grid, with the input's total counts."""
    out = _on_grid_of(volume, work, after)
    total = float(np.asarray(out.array, float).sum())
    expected = float(np.asarray(volume.array, float).sum())
    factor = expected / total if total > 0 else 1.0
    out = out.like((out.array * factor).astype(np.float32), name="denoised")
    spread = None if deviation is None else _on_grid_of(volume, work, deviation)
    return Denoised(out, None if spread is None else spread.like(spread.array, name="uncertainty"), noise)


def _on_grid_of(volume: Volume, work: Volume, array: np.ndarray) -> Volume:
    straight = volume.reoriented()
    result = work.like(array.astype(np.float32))
    if not result.grid.same_as(straight.grid):
        result = result.resampled(straight.grid, "linear")
        result = result.like(np.maximum(result.array, 0.0))
    back = result.reoriented_like(volume.grid)
    return volume.like(np.ascontiguousarray(back.array))
