"""Image quality against a reference, in double precision.

All functions take the reference first and state the data range: a metric whose range is guessed from the data cannot
be compared between papers.
"""

from __future__ import annotations

import math

import numpy as np

from manabi.errors import InvalidInputError


def _pair(reference: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(reference) != np.shape(image):
        raise InvalidInputError(f"Images to compare must have one shape; got {np.shape(reference)}, {np.shape(image)}.")
    return np.asarray(reference, np.float64), np.asarray(image, np.float64)


def psnr(reference: np.ndarray, image: np.ndarray, data_range: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB, ``10 log10(L² / mean((reference - image)²))``, in float64; inf when equal."""
    true, other = _pair(reference, image)
    error = float(np.mean((true - other) ** 2))
    return math.inf if error == 0 else 10 * math.log10(data_range**2 / error)


def psnr_uint8_wrapped(reference: np.ndarray, image: np.ndarray) -> float:
    """The number that PSNR code gives when it forgets to leave 8 bits. Legacy: only to compare with such tables.

    Difference and square are taken in uint8, where both wrap modulo 256: ``d = (a - b) mod 256``,
    ``s = d² mod 256``, ``10 log10(255² / mean(s))``. As s lies between 0 and 255, even unrelated images give about
    28 dB. The published PSNR of the SPECT source follows this curve (``methods/spect.md`` 3a); that its code did this
    is plausible and not proven.

    Args:
        reference: values from 0 to 255; rounded to whole numbers.
        image: the same shape and range.

    Raises:
        InvalidInputError: for values outside 0 to 255.
    """
    true, other = (np.rint(a) for a in _pair(reference, image))
    if min(true.min(), other.min()) < 0 or max(true.max(), other.max()) > 255:
        raise InvalidInputError("The 8-bit PSNR needs values from 0 to 255; scale the images first.")
    difference = np.subtract(true.astype(np.uint8), other.astype(np.uint8))
    square = np.multiply(difference, difference, dtype=np.uint8)
    error = float(square.mean(dtype=np.float64))
    return math.inf if error == 0 else 10 * math.log10(255.0**2 / error)


def ssim(reference: np.ndarray, image: np.ndarray, data_range: float = 255.0) -> float:
    """Structural similarity in scikit-image's default convention: 7×7 uniform window, sample covariance."""
    from skimage.metrics import structural_similarity

    true, other = _pair(reference, image)
    return float(structural_similarity(true, other, data_range=data_range))


def ssim_wang(reference: np.ndarray, image: np.ndarray, data_range: float = 255.0) -> float:
    """Structural similarity as Wang et al. define it: 11×11 Gaussian window of sigma 1.5, population covariance.

    IEEE TIP 2004;13:600, 10.1109/TIP.2003.819861, section III-B.
    """
    from skimage.metrics import structural_similarity

    true, other = _pair(reference, image)
    return float(
        structural_similarity(
            true, other, data_range=data_range, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def nrmse(reference: np.ndarray, image: np.ndarray) -> float:
    """Root mean square error over the root mean square of the reference, ``‖r - i‖ / ‖r‖``; nan for a zero one."""
    true, other = _pair(reference, image)
    norm = float(np.linalg.norm(true))
    return float(np.linalg.norm(true - other)) / norm if norm else math.nan


METRICS = {
    "psnr": psnr,
    "psnr_uint8_wrapped": psnr_uint8_wrapped,
    "ssim": ssim,
    "ssim_wang": ssim_wang,
    "nrmse": nrmse,
}
"""All metrics by name, for values from 0 to 255."""


def image_metrics(reference: np.ndarray, image: np.ndarray) -> dict[str, float]:
    """Every metric of :data:`METRICS` for one pair of images scaled to 0-255."""
    return {name: metric(reference, image) for name, metric in METRICS.items()}
