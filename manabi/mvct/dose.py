"""A simple photon dose for comparing two images of one patient. It is no planning dose and must not be used as one.

Each beam is divergent in the axial plane and parallel across slices. Along its rays, relative electron density adds up
to water-equivalent depth d. Energy released by primary photons, ``(SAD / t)² exp(-µ d)`` in the aperture, gives dose
where it is released, after a build-up ``1 - exp(-β d)``, and, for a share, spread by scatter with a Gaussian. A primary
scaled by water-equivalent depth and a kernel of fixed width are our choice: the simplest model that answers to density
along every ray. µ, β, share and width are set so that the dose in water is highest at about 16 mm and falls from 100 to
200 mm of depth to two thirds, as a 6 MV beam's does without the inverse square (its tissue-phantom ratio;
:func:`depth_dose`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from manabi.errors import InvalidInputError

ATTENUATION_PER_MM = 0.0041
BUILD_UP_PER_MM = 0.36
SCATTER_SHARE = 0.22
SCATTER_SIGMA_MM = 28.0
SAD_MM = 1000.0
MARGIN_MM = 5.0
PENUMBRA_MM = 3.0
FINEST_MM = 1.0
RAY_SPACING = 1.0
"""Distance of rays and steps, as a share of the pixel."""


@dataclass(frozen=True)
class Beam:
    """One beam.

    Attributes:
        gantry_deg: 0 from in front of the patient, 90 from the patient's left (IEC 61217, head first supine).
        weight: of its fluence.
    """

    gantry_deg: float
    weight: float = 1.0


def even_beams(count: int) -> tuple[Beam, ...]:
    """So many beams, evenly about the patient, of equal weight.

    Raises:
        InvalidInputError: for none.
    """
    if count < 1:
        raise InvalidInputError(f"A dose needs one beam at least; got {count}.")
    return tuple(Beam(360.0 * n / count, 1.0 / count) for n in range(count))


@dataclass(frozen=True)
class Fan:
    """Rays of one beam in the axial plane, and the way between them and the image's pixels.

    Attributes:
        rows: ``(rays, steps)`` fractional row of every sample.
        columns: ``(rays, steps)`` fractional column.
        ray: ``(rows, columns)`` fractional ray of every pixel.
        step: ``(rows, columns)`` fractional step.
        distance_mm: ``(steps,)`` from the source.
        step_mm: between samples.
        lateral_mm: ``(rays,)`` where each passes the isocentre's plane.
    """

    rows: np.ndarray
    columns: np.ndarray
    ray: np.ndarray
    step: np.ndarray
    distance_mm: np.ndarray
    step_mm: float
    lateral_mm: np.ndarray


def fan(shape: tuple[int, int], spacing_mm: np.ndarray, centre_ij: tuple[float, float], gantry_deg: float) -> Fan:
    """Lay a beam's rays over the axial plane of an array that runs to right and anterior (``Volume.reoriented``).

    Args:
        shape: rows and columns.
        spacing_mm: of I, J, K.
        centre_ij: column and row of the isocentre.
        gantry_deg: see :class:`Beam`.
    """
    sx, sy = float(spacing_mm[0]), float(spacing_mm[1])
    x, y = (np.arange(shape[1]) - centre_ij[0]) * sx, (np.arange(shape[0]) - centre_ij[1]) * sy
    reach = float(np.hypot(np.abs(x).max(), np.abs(y).max())) + 2.0
    if reach >= 0.9 * SAD_MM:
        raise InvalidInputError(f"The image reaches {reach:.0f} mm from the isocentre, up to the source of the beam.")
    angle = np.radians(gantry_deg)
    along, across = np.array([np.sin(angle), -np.cos(angle)]), np.array([np.cos(angle), np.sin(angle)])
    gap = max(RAY_SPACING * min(sx, sy), FINEST_MM)
    wide = reach * SAD_MM / (SAD_MM - reach)
    lateral = np.arange(-wide, wide + gap, gap)
    distance = np.arange(SAD_MM - reach, SAD_MM + reach + gap, gap)
    spread = lateral[:, None] * distance[None, :] / SAD_MM
    depth = (distance - SAD_MM)[None, :]
    px, py = across[0] * spread + along[0] * depth, across[1] * spread + along[1] * depth
    gx, gy = np.meshgrid(x, y)
    t = gx * along[0] + gy * along[1] + SAD_MM
    u = (gx * across[0] + gy * across[1]) * SAD_MM / t
    return Fan(
        py / sy + centre_ij[1], px / sx + centre_ij[0], (u - lateral[0]) / gap, (t - distance[0]) / gap,
        distance, gap, lateral,
    )  # fmt: skip


def water_depth(
    density: np.ndarray, spacing_mm: np.ndarray, centre_ij: tuple[float, float], gantry_deg: float
) -> np.ndarray:
    """Water-equivalent depth of every voxel in a beam, mm, ``(n, rows, columns)`` float32.

    Args:
        density: relative electron density, ``(n, rows, columns)``, from right-anterior-superior arrays.
        spacing_mm: of I, J, K.
        centre_ij: column and row of the isocentre.
        gantry_deg: see :class:`Beam`.
    """
    rays = fan(density.shape[1:], spacing_mm, centre_ij, gantry_deg)
    out = np.empty(density.shape, np.float32)
    for k, image in enumerate(density):
        seen = _sampled(image, rays.rows, rays.columns)
        lengths = rays.step_mm * np.hypot(1.0, rays.lateral_mm / SAD_MM)[:, None]
        middle = (np.cumsum(seen, axis=1) - 0.5 * seen) * lengths
        out[k] = _sampled(middle, rays.ray, rays.step, "nearest")
    return out


def dose(
    density: np.ndarray,
    spacing_mm: np.ndarray,
    target: np.ndarray,
    beams: Sequence[Beam],
    margin_mm: float = MARGIN_MM,
) -> np.ndarray:
    """Dose of beams that are shaped to a target, in arbitrary units that are the same for every image.

    It is dose to a little water wherever asked for, in air too, so that a mask with air in it gives no jumps. The
    fluence follows from the target and the grid alone, so that two images of a patient get the same beams.

    Args:
        density: relative electron density, ``(n, rows, columns)``, from right-anterior-superior arrays.
        spacing_mm: of I, J, K.
        target: of the same shape; its centre is the isocentre.
        beams: one to many.
        margin_mm: of the aperture around the target.

    Raises:
        InvalidInputError: for an empty target or no beam.
    """
    if not target.any() or not beams:
        raise InvalidInputError("A dose needs beams and a target that is not empty.")
    where = np.argwhere(target).mean(0)
    centre = (float(where[2]), float(where[1]))
    terma, primary = np.zeros(density.shape, np.float32), np.zeros(density.shape, np.float32)
    for beam in beams:
        depth = water_depth(density, spacing_mm, centre, beam.gantry_deg)
        open_part = aperture(target, spacing_mm, centre, beam.gantry_deg, margin_mm)
        released = beam.weight * open_part * np.exp(-ATTENUATION_PER_MM * depth)
        terma += released
        primary += released * (1.0 - np.exp(-BUILD_UP_PER_MM * depth))
    sigma = SCATTER_SIGMA_MM / np.asarray(spacing_mm, float)[::-1]
    scatter = ndimage.gaussian_filter((terma * density).astype(np.float32), sigma, truncate=3.0)
    return ((1.0 - SCATTER_SHARE) * primary + SCATTER_SHARE * scatter).astype(np.float32)


def aperture(
    target: np.ndarray, spacing_mm: np.ndarray, centre_ij: tuple[float, float], gantry_deg: float, margin_mm: float
) -> np.ndarray:
    """Fluence of a beam shaped to the target as the beam sees it, with margin, penumbra and inverse square.

    Args:
        target: ``(n, rows, columns)`` bool.
        spacing_mm: of I, J, K.
        centre_ij: column and row of the isocentre.
        gantry_deg: see :class:`Beam`.
        margin_mm: around the target's projection, in its plane.
    """
    rays = fan(target.shape[1:], spacing_mm, centre_ij, gantry_deg)
    shadow = np.stack([_sampled(m.astype(np.float32), rays.rows, rays.columns).max(1) for m in target]) >= 0.5
    gaps = (float(spacing_mm[2]), rays.step_mm)
    away = ndimage.distance_transform_edt(~shadow, gaps)
    grown = np.clip((margin_mm - away) / rays.step_mm + 1.0, 0.0, 1.0)
    edge = ndimage.gaussian_filter(grown.astype(np.float32), (PENUMBRA_MM / gaps[0], PENUMBRA_MM / gaps[1]))
    fall = (SAD_MM / (rays.distance_mm[0] + rays.step * rays.step_mm)) ** 2
    flat = np.stack([np.interp(rays.ray.ravel(), np.arange(line.size), line, 0.0, 0.0) for line in edge])
    return (flat.reshape(target.shape) * fall).astype(np.float32)


def depth_dose(depth_mm: np.ndarray) -> np.ndarray:
    """Dose of the model in water on the axis of a broad parallel beam against its highest, without scatter's lack."""
    depth = np.asarray(depth_mm, float)
    fine = np.arange(0.0, 500.0, 0.5)
    terma = np.exp(-ATTENUATION_PER_MM * fine)
    scatter = ndimage.gaussian_filter1d(terma, SCATTER_SIGMA_MM / 0.5, mode="constant")
    total = (1.0 - SCATTER_SHARE) * terma * (1.0 - np.exp(-BUILD_UP_PER_MM * fine)) + SCATTER_SHARE * scatter
    return np.interp(depth, fine, total / total.max())


def _sampled(image: np.ndarray, rows: np.ndarray, columns: np.ndarray, mode: str = "constant") -> np.ndarray:
    """Linear interpolation."""
    return ndimage.map_coordinates(image, [rows, columns], order=1, mode=mode, output=np.float32)
