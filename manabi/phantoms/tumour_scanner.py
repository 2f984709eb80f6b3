"""What a CT scanner does to the truth: slices, the kernel's blur and edges, correlated noise, and cone-beam shading.

The kernel's modulation transfer is ``exp(-2 pi² s² f²) (1 + a (1 - exp(-(f / 0.25)²)))``: Gaussian blur, with edges
raised where ``a`` is above 0. Noise has the spectrum of filtered backprojection, the ramp times the kernel's transfer
squared (Hanson KM, 1979, doi:10.1118/1.594534; Boedeker KL et al., 2007, doi:10.1088/0031-9155/52/14/002). Slices are
means over their thickness, and their noise is independent (our choice).
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from manabi.phantoms.tumour_parameters import Scan
from manabi.phantoms.tumour_shapes import coarse_field

PAD = 12
"""Pixels by which slices are mirrored before they are blurred."""
EDGE_PER_MM = 0.25
SHADING_HU = 35.0
"""Standard deviation of the slow errors of a cone-beam CT (our choice)."""


def transfer(frequency: np.ndarray, scan: Scan) -> np.ndarray:
    """The kernel's modulation transfer at spatial frequencies in 1/mm; 1 at 0."""
    raised = 1.0 + scan.sharpness * (1.0 - np.exp(-((frequency / EDGE_PER_MM) ** 2)))
    return np.exp(-2.0 * (np.pi * scan.psf_mm * frequency) ** 2) * raised


def scanned(slices: np.ndarray, scan: Scan, rng: np.random.Generator, cone_beam: bool = False) -> np.ndarray:
    """The image of slices that were averaged over their thickness.

    Args:
        slices: HU of the truth, ``(slices, rows, columns)``.
        scan: kernel, noise and calibration.
        rng: draws the noise.
        cone_beam: whether to add the slow shading of a cone-beam CT.
    """
    image = blurred(slices, scan) + scan.noise_hu * correlated_noise(slices.shape, scan, rng) + scan.shift_hu
    if cone_beam:
        spacing = (scan.slice_mm, scan.pixel_mm, scan.pixel_mm)
        image += SHADING_HU * coarse_field(rng, slices.shape, spacing, 45.0)
    return image


def blurred(slices: np.ndarray, scan: Scan) -> np.ndarray:
    """Slices through the kernel; edges mirrored."""
    rows, columns = slices.shape[1:]
    padded = np.pad(slices.astype(np.float32), ((0, 0), (PAD, PAD), (PAD, PAD)), mode="symmetric")
    spectrum = fft.rfft2(padded) * transfer(_frequencies(padded.shape[1:], scan.pixel_mm), scan).astype(np.float32)
    return fft.irfft2(spectrum, padded.shape[1:])[:, PAD : PAD + rows, PAD : PAD + columns]


def correlated_noise(shape: tuple[int, ...], scan: Scan, rng: np.random.Generator) -> np.ndarray:
    """Noise of standard deviation 1 with the scanner's texture."""
    frequency = _frequencies(shape[1:], scan.pixel_mm)
    amplitude = np.sqrt(frequency) * transfer(frequency, scan)
    white = rng.standard_normal(shape, dtype=np.float32)
    noise = fft.irfft2(fft.rfft2(white) * amplitude.astype(np.float32), shape[1:])
    return noise / max(float(noise.std()), 1e-9)


def _frequencies(shape: tuple[int, ...], pixel_mm: float) -> np.ndarray:
    """Spatial frequency of the real transform's entries, 1/mm."""
    rows, columns = np.fft.fftfreq(shape[0], pixel_mm), np.fft.rfftfreq(shape[1], pixel_mm)
    return np.sqrt(rows[:, None] ** 2 + columns[None, :] ** 2)
