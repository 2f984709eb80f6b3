"""How sure a conversion is of every voxel: a standard deviation in HU from several conversions of the same image.

Several conversions come from flipped and shifted copies of the input, from dropout that stays on (Gal and Ghahramani,
2016), or from several models. Their spread is too small or too large by a factor that is fitted once, on cases whose
truth is known, and stored with the model (the closed form for a normal error is that of Laves et al., Recalibration of
aleatoric and epistemic regression uncertainty in medical imaging, 2021). The source has no uncertainty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError

if TYPE_CHECKING:
    from torch import nn

Predict = Callable[[np.ndarray], np.ndarray]
"""From ``(n, rows, columns)`` HU to converted HU of the same shape."""
SHIFTS = ((0, 0), (3, 5), (-5, 2))
LEAST_SD_HU = 1.0
FEWEST = 100


def spread(outputs: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Voxel-wise mean and standard deviation of conversions that come one after the other (Welford's sums).

    Raises:
        InvalidInputError: where there are fewer than two.
    """
    count = 0
    mean = squares = np.zeros(1, np.float32)
    for output in outputs:
        values = np.asarray(output, np.float32)
        count += 1
        if count == 1:
            mean, squares = values.copy(), np.zeros_like(values)
            continue
        away = values - mean
        mean += away / count
        squares += away * (values - mean)
    if count < 2:
        raise InvalidInputError(f"An uncertainty needs at least two conversions; got {count}.")
    return mean, np.sqrt(squares / (count - 1))


def moved_outputs(predict: Predict, hu: np.ndarray, shifts: Sequence[tuple[int, int]] = SHIFTS) -> Iterator[np.ndarray]:
    """Conversions of copies that were flipped left-right and shifted by whole pixels, moved back.

    Args:
        predict: the converter.
        hu: ``(n, rows, columns)``.
        shifts: rows and columns; what leaves on one side is repeated border on the other.
    """
    for flip in (False, True):
        source = np.ascontiguousarray(hu[..., ::-1]) if flip else hu
        for rows, columns in shifts:
            output = _shifted(predict(_shifted(source, rows, columns)), -rows, -columns)
            yield output[..., ::-1] if flip else output


def flips(
    predict: Predict, hu: np.ndarray, shifts: Sequence[tuple[int, int]] = SHIFTS
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over :func:`moved_outputs`, each ``(n, rows, columns)`` float32."""
    return spread(moved_outputs(predict, hu, shifts))


def ensemble(predicts: Iterable[Predict], hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over several models."""
    return spread(predict(hu) for predict in predicts)


def dropout_samples(
    network: nn.Module, predict: Predict, hu: np.ndarray, samples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over conversions with the network's dropout left on.

    Args:
        network: that ``predict`` runs; the rest of it stays as in inference.
        predict: the converter.
        hu: ``(n, rows, columns)``.
        samples: number of conversions.
        seed: of torch's generators, which are put back afterwards.

    Raises:
        InvalidInputError: where the network has no dropout.
    """
    import torch

    with torch.random.fork_rng(), dropout_on(network):
        torch.manual_seed(seed)
        return spread(predict(hu) for _ in range(samples))


@contextmanager
def dropout_on(network: nn.Module) -> Iterator[None]:
    """Within this, the network's dropout layers with a rate above 0 drop; afterwards they are as before.

    Raises:
        InvalidInputError: where the network has none.
    """
    from torch.nn.modules.dropout import _DropoutNd

    layers = [m for m in network.modules() if isinstance(m, _DropoutNd) and m.p > 0]
    if not layers:
        raise InvalidInputError("This model has no dropout, so dropout says nothing about it. Choose flips.")
    before = [layer.training for layer in layers]
    try:
        for layer in layers:
            layer.train()
        yield
    finally:
        for layer, training in zip(layers, before, strict=True):
            layer.train(training)


def calibration_factor(sd_hu: np.ndarray, error_hu: np.ndarray) -> float:
    """What the spread must be multiplied with so that it is the error's standard deviation.

    The maximum-likelihood scale of a normal error, ``sqrt(mean((error / sd)²))``, made robust: the 1 % largest ratios
    (metal, a moved patient) are cut to the next. Spreads below 1 HU count as 1 HU.

    Args:
        sd_hu: spread, any shape.
        error_hu: converted minus truth, the same shape.
    """
    sd, error = _pairs(sd_hu, error_hu)
    ratio = np.abs(error) / np.maximum(sd, LEAST_SD_HU)
    return float(np.sqrt(np.mean(np.minimum(ratio, np.quantile(ratio, 0.99)) ** 2)))


def calibrated(sd_hu: np.ndarray, factor: float) -> np.ndarray:
    """The spread as a standard deviation of the error, HU."""
    return (np.maximum(sd_hu, LEAST_SD_HU) * factor).astype(np.float32)


def calibration_curve(sd_hu: np.ndarray, error_hu: np.ndarray, bins: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and observed root mean square error in bins of equally many voxels, from sure to unsure."""
    sd, error = _pairs(sd_hu, error_hu)
    parts = np.array_split(np.argsort(sd, kind="stable"), bins)
    said = np.array([np.sqrt(np.mean(sd[p] ** 2)) for p in parts])
    seen = np.array([np.sqrt(np.mean(error[p] ** 2)) for p in parts])
    return said, seen


def expected_calibration_error(sd_hu: np.ndarray, error_hu: np.ndarray, bins: int = 10) -> float:
    """Mean distance of predicted and observed error over :func:`calibration_curve`, HU."""
    said, seen = calibration_curve(sd_hu, error_hu, bins)
    return float(np.mean(np.abs(said - seen)))


def coverage(sd_hu: np.ndarray, error_hu: np.ndarray, times: float = 1.96) -> float:
    """Share of voxels whose error lies within ``times`` standard deviations (0.95 for 1.96 where all is well)."""
    sd, error = _pairs(sd_hu, error_hu)
    return float(np.mean(np.abs(error) <= times * sd))


def _pairs(sd_hu: np.ndarray, error_hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sd, error = np.asarray(sd_hu, np.float64).ravel(), np.asarray(error_hu, np.float64).ravel()
    if sd.shape != error.shape or sd.size < FEWEST:
        raise InvalidInputError(
            f"Calibration needs spread and error of the same voxels, {FEWEST} at least; got {sd.size} and {error.size}."
        )
    return sd, error


def _shifted(hu: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Moved by whole pixels; the border is repeated."""
    if rows == columns == 0:
        return hu
    height, width = hu.shape[-2:]
    r = np.clip(np.arange(height) - rows, 0, height - 1)
    c = np.clip(np.arange(width) - columns, 0, width - 1)
    return np.ascontiguousarray(hu[..., r[:, None], c[None, :]])
