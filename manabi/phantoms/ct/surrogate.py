"""A quick scan without fine projections: the image is blurred by the scanner's response, coarse views give what varies
slowly (hardening, scatter, cupping, truncation, the noise's local strength); the noise has the full scan's spectrum.

It leaves out what is both fine and directed: streaks of metal and of noise. For augmentation and training.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.phantoms.ct import beam
from manabi.phantoms.ct.beam import FWHM_PER_SIGMA, Setup
from manabi.phantoms.ct.fbp import noise_gain, window_at
from manabi.phantoms.ct.geometry import ParallelGeometry
from manabi.phantoms.ct.materials import mass_attenuation
from manabi.phantoms.ct.project import backproject, project
from manabi.phantoms.ct.spectra import Spectrum
from manabi.phantoms.ct.tissue import SOFT, Densities

COARSE_MM = 4.0
COARSE_VIEWS = 90
ALIASES = 2


class Surrogate:
    """The scan of one scanner for images of one size."""

    def __init__(self, work: Setup, seed: int) -> None:
        """Prepare what all slices share."""
        self.work = work
        self.noise_shape = work.shape
        self.coarse = _coarse(work, work.geometry.radius_mm)
        self.whole = _coarse(work, math.hypot(*self._half_mm()) + math.hypot(*work.scanner.offset_mm))
        self._blur = torch.from_numpy(response(work).astype(np.float32))
        self._colour = torch.from_numpy(noise_colour(work).astype(np.float32))
        self._rings = torch.from_numpy(_ring_image(work, seed)) if work.scanner.ring_hu else None

    def _half_mm(self) -> tuple[float, float]:
        return self.work.shape[1] * self.work.pixel_mm[0] / 2, self.work.shape[0] * self.work.pixel_mm[1] / 2

    def image(self, densities: Densities, noise: Tensor | None) -> Tensor:
        """Density relative to water ``(n, rows, columns)``.

        Args:
            densities: of the basis substances.
            noise: standard normal numbers, same shape as the image, or None.
        """
        work = self.work
        factors = contrasts(work.scanner.spectrum, densities)
        sharp = sum_of(densities, factors)
        out = _filtered(sharp, self._blur)
        size = self.coarse.shape
        small = {name: F.interpolate(image[:, None], size, mode="area")[:, 0] for name, image in densities.items()}
        along = beam.paths(small, self.coarse)
        views = beam.measured(along, self.coarse)
        out += self._fine(self._errors(small, along, views, factors))
        if noise is not None:
            strength = self._fine(_variance(along, self.coarse, work)).clamp_(min=0).sqrt_()
            out += _filtered(noise, self._colour) * strength
        if self._rings is not None:
            length = self._fine(_mean_over_views(views, self.coarse)) / beam.REFERENCE_MM
            out += self._rings.to(out.device) * length
        return out

    def _errors(self, small: Densities, along: Densities, views: Tensor, factors: dict[str, float]) -> Tensor:
        """Coarse image as measured less the ideal one."""
        if not self.work.truncated:
            return beam.reconstructed(views - sum_of(along, factors), self.coarse)
        ideal = project(sum_of(small, factors), self.whole.pixel_mm, self.whole.geometry)
        return beam.reconstructed(views, self.coarse) - beam.reconstructed(ideal, self.whole)

    def _fine(self, coarse: Tensor) -> Tensor:
        return F.interpolate(coarse[:, None], self.work.shape, mode="bilinear", align_corners=False)[:, 0]


def _coarse(work: Setup, radius_mm: float) -> Setup:
    """The same scan with large pixels, few views, and rays out to a radius."""
    (rows, columns), (width, height) = work.shape, work.pixel_mm
    shape = (max(round(rows * height / COARSE_MM), 8), max(round(columns * width / COARSE_MM), 8))
    pixel = (columns * width / shape[1], rows * height / shape[0])
    bin_mm = 0.75 * max(pixel)
    bins = 2 * math.ceil(radius_mm / bin_mm) + 1
    geometry = ParallelGeometry(COARSE_VIEWS, bins, bin_mm, work.geometry.centre_mm)
    return replace(work, geometry=geometry, pixel_mm=pixel, shape=shape)


def contrasts(spectrum: Spectrum, names: Densities) -> dict[str, float]:
    """Effect of 1 g/cm³ of each basis substance on the image, behind the reference thickness of water."""
    energies = np.array(spectrum.energies_kev)
    left = np.array(spectrum.weights) * np.exp(-beam.REFERENCE_MM * spectrum.attenuation(SOFT))
    mean = {name: float(np.dot(left, mass_attenuation(name, energies))) for name in (*names, SOFT)}
    return {name: mean[name] / mean[SOFT] for name in names}


def sum_of(maps: Densities, factors: dict[str, float]) -> Tensor:
    """The weighted sum of maps."""
    total = torch.zeros_like(next(iter(maps.values())), dtype=torch.float32)
    for name, image in maps.items():
        total.add_(image, alpha=factors[name])
    return total


@lru_cache(maxsize=8)
def response(work: Setup) -> np.ndarray:
    """Transfer of contrast at the frequencies of a real 2-D FFT ``(rows, columns // 2 + 1)``."""
    (rows, columns), (width, height) = work.shape, work.pixel_mm
    frequency = np.hypot(np.fft.fftfreq(rows, height)[:, None], np.fft.rfftfreq(columns, width))
    return transfer(work, frequency)


def transfer(work: Setup, frequency: np.ndarray) -> np.ndarray:
    """Transfer of contrast at frequencies in 1/mm: blur, window, and interpolation between bins."""
    return np.exp(-2 * (math.pi * work.scanner.blur_mm / FWHM_PER_SIGMA * frequency) ** 2) * _kernel(work, frequency)


def _kernel(work: Setup, frequency: np.ndarray) -> np.ndarray:
    """What reconstruction does to a frequency."""
    bin_mm = work.geometry.bin_mm
    share = frequency * 2 * bin_mm / work.scanner.cutoff
    return window_at(work.scanner.window, share) * np.sinc(frequency * bin_mm) ** 2


@lru_cache(maxsize=8)
def noise_colour(work: Setup) -> np.ndarray:
    """Filter that gives white noise the spectrum of reconstructed noise, at variance 1; as :func:`response`.

    The spectrum is the frequency times the squared window; what the pixels are too coarse for folds back.
    """
    (rows, columns), (width, height) = work.shape, work.pixel_mm
    down, across = np.fft.fftfreq(rows, height)[:, None], np.fft.fftfreq(columns, width)
    power = np.zeros((rows, columns))
    for i in range(-ALIASES, ALIASES + 1):
        for j in range(-ALIASES, ALIASES + 1):
            frequency = np.hypot(down + i / height, across + j / width)
            power += frequency * _kernel(work, frequency) ** 2
    return np.sqrt(power / power.mean())[:, : columns // 2 + 1]


def _filtered(images: Tensor, gain: Tensor) -> Tensor:
    return torch.fft.irfft2(torch.fft.rfft2(images) * gain.to(images.device), s=images.shape[-2:])


def _variance(along: Densities, coarse: Setup, work: Setup) -> Tensor:
    """Variance of the image's noise on the coarse grid."""
    scanner, geometry = work.scanner, work.geometry
    gain = noise_gain(geometry.bins, scanner.window, scanner.cutoff) * (math.pi / geometry.bin_mm) ** 2 / geometry.views
    return _mean_over_views(beam.view_variance(along, work), coarse) * gain


def _mean_over_views(views: Tensor, coarse: Setup) -> Tensor:
    """Mean over the rays through each pixel ``(n, rows, columns)``."""
    total = backproject(views, coarse.geometry, coarse.shape, coarse.pixel_mm)
    return total / coarse.geometry.views


def _ring_image(work: Setup, seed: int) -> np.ndarray:
    """Rings behind the reference thickness ``(rows, columns)``."""
    column, row = work.geometry.axis(work.shape, work.pixel_mm)
    x = (np.arange(work.shape[1]) - column) * work.pixel_mm[0]
    y = (np.arange(work.shape[0])[:, None] - row) * work.pixel_mm[1]
    radii = np.arange(0.0, work.geometry.radius_mm, work.geometry.bin_mm / 2)
    profile = beam.ring_profile(work, beam.ring_errors(work, abs(int(seed))), radii) * beam.REFERENCE_MM
    return np.interp(np.hypot(x, y), radii, profile).astype(np.float32)
