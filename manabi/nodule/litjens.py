"""The baseline of the NODE21 challenge for putting nodules into films, as far as it is described.

Litjens G et al., Proc SPIE 2010;7627 (simulation of nodules in chest radiographs from CT); Sogancioglu E et al.,
NODE21, IEEE Trans Med Imaging 2024;43:2839. A nodule of a CT is averaged along the beam after an exponential of its HU,
its contrast matched, blended in by Poisson's equation (Perez P et al., ACM TOG 2003;22:313), and the result averaged
with the film. Here the CT nodule is one of :mod:`manabi.nodule.shapes`, so that both embeddings can be compared on the
same nodules. The order of the steps and what the contrast is a share of (the film's whole range) are our reading.
"""

from __future__ import annotations

import numpy as np

from manabi.errors import InvalidInputError
from manabi.nodule.place import LungSpace, Place
from manabi.nodule.shapes import NoduleShape

HU_RANGE = (-500.0, 400.0)
BETA = 0.85
LEAST_CONTRAST = 0.4
DEPTH_SAMPLES = 48
LUNG_HU = -800.0
STEPS = 4
"""Neighbours of a pixel in Poisson's equation."""


def litjens(
    film: np.ndarray, space: LungSpace, shape: NoduleShape, place: Place
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Put one nodule into a film.

    Args:
        film: float32 ``(rows, columns)`` in [0, 1].
        space: its room; only the geometry is used.
        shape: the nodule.
        place: of its middle.

    Returns:
        The film with it, float32 in [0, 1] and equal outside the mask; and the mask, bool.

    Raises:
        InvalidInputError: where no pixel's middle lies in the nodule.
    """
    patch, box = projected(space, shape, place)
    inside = patch > 0.0
    if not inside.any():
        raise InvalidInputError("The nodule covers no pixel of this film; choose a larger one or another place.")
    crop = film[box].astype(float)
    blended = poisson_blend(crop, patch, inside)
    out, mask = np.array(film, np.float32), np.zeros(film.shape, bool)
    out[box] = np.where(inside, np.clip((crop + blended) / 2.0, 0.0, 1.0), film[box])
    mask[box] = inside
    return out, mask


def projected(space: LungSpace, shape: NoduleShape, place: Place) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The nodule's picture ``(rows, columns)``, 0 around it, with the baseline's contrast; and its pixels' slices."""
    geometry = space.geometry
    scale = float(geometry.magnification(place.distance_mm)) / geometry.pixel_mm
    reach = shape.reach_mm * scale + 2
    box = tuple(
        slice(max(int(np.floor(at - reach)), 0), min(int(np.ceil(at + reach)) + 1, geometry.matrix))
        for at in (place.row, place.column)
    )
    rows, columns = np.arange(box[0].start, box[0].stop), np.arange(box[1].start, box[1].stop)
    depth = ((np.arange(DEPTH_SAMPLES) + 0.5) / DEPTH_SAMPLES * 2 - 1) * shape.reach_mm
    z, x = (place.row - rows) / scale, (place.column - columns) / scale
    hu = _hu(shape, x[None, :, None], z[:, None, None], depth[None, None, :])
    values = np.exp(np.minimum(1.0, BETA * (np.clip(hu, *HU_RANGE) + 1024.0) / 1000.0)).mean(axis=2)
    ground = float(np.exp(min(1.0, BETA * (HU_RANGE[0] + 1024.0) / 1000.0)))
    rise = np.clip(values - ground, 0.0, None)
    inside = rise > 1e-6
    if not inside.any():
        return np.zeros_like(values), box  # type: ignore[return-value]
    contrast = max(LEAST_CONTRAST, float(np.log(values[inside].mean() / ground)))
    return contrast * rise / rise.max(), box  # type: ignore[return-value]


def poisson_blend(crop: np.ndarray, patch: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Solve Poisson's equation: within ``inside`` the patch's gradients, on its border the film's values.

    Args:
        crop: film ``(rows, columns)``.
        patch: what is blended in.
        inside: bool; pixels on the crop's border are taken as outside.

    Returns:
        ``(rows, columns)``, the crop outside.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import spsolve

    inside = inside.copy()
    inside[[0, -1]], inside[:, [0, -1]] = False, False
    out, count = crop.copy(), int(inside.sum())
    if not count:
        return out
    number = np.full(crop.shape, -1)
    number[inside] = np.arange(count)
    rows, columns = np.nonzero(inside)
    right, entries = np.zeros(count), [(np.arange(count), np.arange(count), np.full(count, float(STEPS)))]
    for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        other = number[rows + dr, columns + dc]
        right += patch[rows, columns] - patch[rows + dr, columns + dc]
        known = other < 0
        right[known] += crop[rows + dr, columns + dc][known]
        entries.append((np.flatnonzero(~known), other[~known], np.full(int((~known).sum()), -1.0)))
    at, to, value = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    out[inside] = spsolve(coo_matrix((value, (at, to)), shape=(count, count)).tocsc(), right)
    return out


def _hu(shape: NoduleShape, x: np.ndarray, z: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """HU of the nodule at points that broadcast, lung around it."""
    out = np.full(np.broadcast_shapes(x.shape, z.shape, depth.shape), LUNG_HU)
    for layer in shape.layers((LUNG_HU + 1000.0) / 1000.0):
        inside = np.zeros(out.shape, bool)
        for (cx, cz, cd), radius in zip(layer.centres_mm, layer.radii_mm, strict=True):
            inside |= (x - cx) ** 2 + (z - cz) ** 2 + (depth - cd) ** 2 <= radius**2
        out[inside] += 1000.0 * layer.density_g_cm3
    return out
