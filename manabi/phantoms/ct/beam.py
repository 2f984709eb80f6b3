"""From what lies in the beam to measured views: absorption at every energy, blur, scatter, noise, and the scanner's own
correction for water.

Views are in mm of water: behind water alone, and without noise, a view equals the thickness of the water.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.ct.fbp import filter_views, noise_gain, response_of
from manabi.phantoms.ct.geometry import ParallelGeometry
from manabi.phantoms.ct.materials import mass_attenuation
from manabi.phantoms.ct.project import backproject, project
from manabi.phantoms.ct.scanner import Scanner
from manabi.phantoms.ct.spectra import Spectrum
from manabi.phantoms.ct.tissue import SOFT, Densities

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
REFERENCE_MM = 200.0
"""Diameter of the water cylinder that noise, scatter, cupping and rings are stated for."""
BIN_PER_PIXEL = 0.4
"""Bins are no finer than this share of a pixel, so that coarse images are scanned in proportion (our choice)."""
VIEWS_PER_BIN = 1.6
FEWEST_COUNTS = 0.5
LONGEST_MM, TABLE_SIZE = 1500.0, 4096


@dataclass(frozen=True)
class Setup:
    """A scanner at work on images of one size.

    Attributes:
        scanner: whose it is.
        geometry: the rays that it takes.
        pixel_mm: width and height of a pixel.
        shape: rows and columns.
        truncated: the image reaches beyond the field of view.
    """

    scanner: Scanner
    geometry: ParallelGeometry
    pixel_mm: tuple[float, float]
    shape: tuple[int, int]
    truncated: bool

    @property
    def photons(self) -> float:
        """Counts per ray without an object; infinite for a scanner without noise."""
        reference = reference_photons(self.scanner)
        wider = self.geometry.bin_mm / self.scanner.bin_mm
        return reference * wider * self.scanner.views / self.geometry.views


def setup(scanner: Scanner, shape: tuple[int, int], pixel_mm: tuple[float, float]) -> Setup:
    """Rays for images of (rows, columns): no more bins and views than the image or the field of view can use."""
    bin_mm = max(scanner.bin_mm, BIN_PER_PIXEL * max(pixel_mm))
    across = math.hypot(shape[0] * pixel_mm[1], shape[1] * pixel_mm[0]) + 2 * math.hypot(*scanner.offset_mm)
    bins = 2 * math.ceil(min(across, scanner.fov_mm) / bin_mm / 2) + 1
    views = min(scanner.views, max(math.ceil(VIEWS_PER_BIN * bins), 16))
    geometry = ParallelGeometry(views, bins, bin_mm, scanner.offset_mm)
    return Setup(scanner, geometry, pixel_mm, shape, across > scanner.fov_mm)


@lru_cache(maxsize=64)
def reference_photons(scanner: Scanner) -> float:
    """Counts per ray of the open beam that give the scanner's noise in the middle of the reference cylinder."""
    if scanner.noise_hu == 0:
        return math.inf
    bins = 2 * math.ceil(scanner.fov_mm / scanner.bin_mm / 2) + 1
    gain = noise_gain(bins, scanner.window, scanner.cutoff)
    variance_mm2 = (scanner.noise_hu / 1000) ** 2 * scanner.views * scanner.bin_mm**2 / (math.pi**2 * gain)
    slope = scanner.spectrum.effective_attenuation(SOFT, REFERENCE_MM)
    behind = 1 / (variance_mm2 * slope**2 * (1 - scanner.electronic) * (1 + scanner.scatter))
    return behind / float(scanner.spectrum.transmission(SOFT, REFERENCE_MM))


def paths(densities: Densities, work: Setup) -> Densities:
    """Mass along every ray in g/cm³ × mm ``(n, views, bins)``, for each basis substance."""
    present = {name: image for name, image in densities.items() if name == SOFT or bool(image.any())}
    return {name: project(image, work.pixel_mm, work.geometry) for name, image in present.items()}


def transmitted(along: Densities, spectrum: Spectrum) -> Tensor:
    """Share of the open beam's signal that is left ``(n, views, bins)``."""
    energies = np.array(spectrum.energies_kev)
    table = {name: mass_attenuation(name, energies) / 10 for name in along}
    first = next(iter(along.values()))
    total, one = torch.zeros_like(first), torch.empty_like(first)
    for k, weight in enumerate(spectrum.weights):
        one.zero_()
        for name, length in along.items():
            one.add_(length, alpha=-float(table[name][k]))
        total.add_(one.exp_(), alpha=weight)
    return total


def measured(along: Densities, work: Setup, noise: Tensor | None = None, rings: Tensor | None = None) -> Tensor:
    """Views in mm of water, as the scanner reconstructs them.

    Args:
        along: see :func:`paths`.
        work: scanner and rays.
        noise: standard normal numbers ``(n, views, bins)``; None measures without noise.
        rings: relative error of each bin ``(bins,)``, or None.
    """
    scanner, geometry = work.scanner, work.geometry
    signal = transmitted(along, scanner.spectrum)
    signal = smoothed(signal, scanner.blur_mm / FWHM_PER_SIGMA / geometry.bin_mm)
    if scanner.scatter:
        signal = signal + scattered(signal, work)
    if noise is not None and math.isfinite(work.photons):
        signal = counted(signal, work, noise)
    views = corrected(signal.clamp_(min=1e-12).log_().neg_(), scanner.spectrum)
    if rings is not None:
        views *= 1 + rings
    if scanner.cupping_hu:
        views = views + cupping(views, scanner.cupping_hu)
    return views


def smoothed(signal: Tensor, sd_bins: float) -> Tensor:
    """Blurred along the detector by a Gaussian; its edges keep their level."""
    if sd_bins < 0.1:
        return signal
    return signal @ torch.as_tensor(_kernel(signal.shape[-1], round(sd_bins, 6)), device=signal.device)


@lru_cache(maxsize=32)
def _kernel(bins: int, sd_bins: float) -> np.ndarray:
    """Matrix that blurs ``(bins, bins)``, columns sum to 1."""
    apart = np.arange(bins)[:, None] - np.arange(bins)
    kernel = np.exp(-0.5 * (apart / sd_bins) ** 2)
    return (kernel / kernel.sum(0)).astype(np.float32)


def scattered(signal: Tensor, work: Setup) -> Tensor:
    """What is left of the scatter: made where much is absorbed, spread widely (in the slice's plane only)."""
    sd = work.scanner.scatter_mm / FWHM_PER_SIGMA / work.geometry.bin_mm
    made = signal * signal.clamp(min=1e-6).log().neg_()
    return smoothed(made, sd) * (work.scanner.scatter * _scatter_scale(work.scanner))


@lru_cache(maxsize=64)
def _scatter_scale(scanner: Scanner) -> float:
    """Factor that makes scatter over primary 1 behind the reference cylinder, before ``scatter`` is applied."""
    at = np.linspace(-400.0, 400.0, 1601)
    lengths = 2 * np.sqrt(np.maximum((REFERENCE_MM / 2) ** 2 - at**2, 0))
    left = scanner.spectrum.transmission(SOFT, lengths)
    weights = np.exp(-0.5 * (at / (scanner.scatter_mm / FWHM_PER_SIGMA)) ** 2)
    spread = float(np.dot(weights / weights.sum(), -left * np.log(left)))
    return float(left[len(left) // 2]) / spread


def counted(signal: Tensor, work: Setup, noise: Tensor) -> Tensor:
    """The signal as counted: photons and electronics.

    A squared normal number has the mean, the variance and nearly the shape of a Poisson count (F. J. Anscombe, 1948,
    10.1093/biomet/35.3-4.246) down to about one photon, and keeps the noise of neighbouring slices alike where they
    share photons.
    """
    photons, electronics = work.photons, electronic_counts(work)
    root = (signal * photons + electronics).sqrt_().add_(noise, alpha=0.5)
    counts = root.square_().sub_(electronics + 0.25)
    return counts.clamp_(min=FEWEST_COUNTS).div_(photons)


def view_variance(along: Densities, work: Setup) -> Tensor:
    """Variance of the noise of views in mm² of water ``(n, views, bins)``, for the photons of ``work``."""
    signal = transmitted(along, work.scanner.spectrum).clamp_(min=1e-6)
    logs = signal.log().neg_()
    slope = (corrected(logs + 0.01, work.scanner.spectrum) - corrected(logs, work.scanner.spectrum)) / 0.01
    counts = signal * (work.photons * (1 + work.scanner.scatter))
    return (counts + electronic_counts(work)) / counts.clamp(min=1.0).square() * slope.square()


def electronic_counts(work: Setup) -> float:
    """Variance of the electronics in counts."""
    share, scanner = work.scanner.electronic, work.scanner
    behind = work.photons * float(scanner.spectrum.transmission(SOFT, REFERENCE_MM)) * (1 + scanner.scatter)
    return behind * share / (1 - share)


def corrected(log_views: Tensor, spectrum: Spectrum) -> Tensor:
    """Views as mm of water from ``-log`` of the signal; below 0 and beyond the table's end it goes on straight."""
    table, step = _water_table(spectrum)
    values = torch.as_tensor(table, device=log_views.device)
    at = log_views / step
    low = at.long().clamp_(0, len(table) - 2)
    return torch.lerp(values[low], values[low + 1], at - low)


@lru_cache(maxsize=16)
def _water_table(spectrum: Spectrum) -> tuple[np.ndarray, float]:
    """mm of water at even steps of ``-log`` of the signal, and the step."""
    lengths = np.linspace(0, LONGEST_MM, 8 * TABLE_SIZE)
    logs = -np.log(spectrum.transmission(SOFT, lengths))
    even = np.linspace(0, logs[-1], TABLE_SIZE)
    return np.interp(even, logs, lengths).astype(np.float32), float(even[1])


def cupping(views: Tensor, depth_hu: float) -> Tensor:
    """What a flawed correction adds to views: a term with their square.

    The square of a disc's chords is the projection of ``8/π √(R² - r²)``, which is the cup; a linear term keeps the
    reference cylinder's mean.
    """
    radius = REFERENCE_MM / 2
    square = depth_hu / 1000 * math.pi / (8 * radius)
    return views * (square * 16 * radius / (3 * math.pi)) - views.square() * square


def ring_errors(work: Setup, seed: int) -> np.ndarray:
    """Relative error of every bin ``(bins,)``, the same for the two bins that see a ring; scaled to ``ring_hu``."""
    geometry, scanner = work.geometry, work.scanner
    drawn = np.random.default_rng([seed, 77]).standard_normal(geometry.bins)
    drawn = np.convolve(np.pad(drawn, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    drawn = (drawn + drawn[::-1]) / 2
    radii = np.linspace(0.2, 0.9, 60) * min(REFERENCE_MM / 2, geometry.radius_mm)
    image = ring_profile(work, drawn, radii)
    return drawn * (scanner.ring_hu / 1000 / image.std() / REFERENCE_MM)


def ring_profile(work: Setup, errors: np.ndarray, radii_mm: np.ndarray) -> np.ndarray:
    """The image at distances from the axis that views alike from all sides ``(bins,)`` give, same shape as radii."""
    geometry, scanner = work.geometry, work.scanner
    response = response_of(geometry.bins, scanner.window, scanner.cutoff)
    size = 2 * (len(response) - 1)
    filtered = np.fft.irfft(np.fft.rfft(errors, size) * response, size)[: geometry.bins] / geometry.bin_mm
    turns = np.cos(np.linspace(0, math.pi, 721))
    return math.pi * np.interp(radii_mm[:, None] * turns, geometry.offsets_mm, filtered).mean(1)


def reconstructed(views: Tensor, work: Setup) -> Tensor:
    """Density relative to water from views in mm of water; cut views continue smoothly beyond their ends."""
    scanner, geometry = work.scanner, work.geometry
    margin = math.ceil(geometry.radius_mm / 2 / geometry.bin_mm) if work.truncated else 0
    if margin:
        at = (torch.arange(margin, device=views.device) + 0.5) / margin
        fade = torch.cos(math.pi / 2 * at)
        views = torch.cat([views[..., :1] * fade.flip(0), views, views[..., -1:] * fade], dim=-1)
    filtered = filter_views(views, geometry.bin_mm, scanner.window, scanner.cutoff)
    filtered = filtered[..., margin : margin + geometry.bins]
    return backproject(filtered, geometry, work.shape, work.pixel_mm).mul_(math.pi / geometry.views)
