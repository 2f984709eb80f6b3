"""The lungs on a frontal chest film, without a trained model: an outline of lung's shape, moved to the film's edges.

What heart, mediastinum and the domes of the diaphragm hide belongs to the lungs too; a film does not show where it
ends, so it is estimated from the outline (our choice). Checked by eye on 120 films of NIH ChestX-ray14; see the page of
the method for how often it fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError
from manabi.nodule import lung_fit, lung_shape

if TYPE_CHECKING:
    from manabi.nodule.lung_fit import Fit

RIGHT_LUNG, LEFT_LUNG = 1, 2
REACH, CORE = 0.035, 0.030
"""How far the film may move the outline outwards and inwards, as a fraction of the longer side (our choice)."""
LOW_QUALITY = 2.0
"""Score of an outline below which there may be no lungs where it lies (our choice, see the method's page)."""
SMOOTH_PX = 0.9
"""Of the fit's grid, by which the edges are smoothed before they are drawn finer (our choice)."""
SMALLEST = 32
"""Rows and columns that a film must have."""


@dataclass(frozen=True)
class LungField:
    """Where the lungs are on a film.

    Attributes:
        clear: uint8 ``(rows, columns)``: 0 outside, 1 right lung, 2 left lung, as far as the film shows them dark.
        whole: likewise, with what heart and diaphragm hide.
        fit: the outline.
    """

    clear: np.ndarray
    whole: np.ndarray
    fit: Fit

    @property
    def quality(self) -> float:
        """Score of the outline's edges; about 2.8 on a good film."""
        return self.fit.score

    @property
    def is_doubtful(self) -> bool:
        """Whether there may be no lungs where the outline lies."""
        return self.quality < LOW_QUALITY


def lung_field(film: np.ndarray) -> np.ndarray:
    """Right (1) and left (2) lung with what heart and diaphragm hide, uint8 ``(rows, columns)``.

    Args:
        film: float32 ``(rows, columns)`` in [0, 1], denser brighter, upright, the patient's right on the left.

    Raises:
        InvalidInputError: for anything but a film of at least 32 × 32 finite values.
    """
    return lung_field_parts(film).whole


def lung_field_parts(film: np.ndarray) -> LungField:
    """The lungs of a film, clear and hidden parts; see :func:`lung_field`."""
    if film.ndim != 2 or min(film.shape) < SMALLEST or not np.isfinite(film).all():
        raise InvalidInputError(
            f"Expected a film of at least {SMALLEST} × {SMALLEST} finite values; got an array of shape {film.shape}. "
            "Choose one frontal chest film."
        )
    small = _shrunk(np.asarray(film, np.float32))
    fit = lung_fit.fit(small)
    clear = _refined(small, fit)
    whole = _filled(lung_shape.whole_outlines(fit.numbers), small.shape)
    whole = np.where(clear > 0, clear, whole).astype(np.uint8)
    return LungField(_grown(clear, film.shape), _grown(whole, film.shape), fit)


def _shrunk(film: np.ndarray) -> np.ndarray:
    """The film averaged to the grid of the fit."""
    import torch
    from torch.nn.functional import interpolate

    scale = lung_fit.GRID / max(film.shape)
    size = [max(round(n * scale), 1) for n in film.shape]
    return interpolate(torch.from_numpy(np.array(film))[None, None], size, mode="bilinear", antialias=True)[
        0, 0
    ].numpy()


def _refined(film: np.ndarray, fit: Fit) -> np.ndarray:
    """The clear lungs: the outline's core, and what is dark within its reach."""
    from scipy import ndimage

    outlines, _ = lung_shape.outlines(fit.numbers)
    rough = _filled(outlines[0], film.shape)
    image = lung_fit.local_contrast(film)
    side = max(film.shape)
    out = np.zeros(film.shape, np.uint8)
    for label in (RIGHT_LUNG, LEFT_LUNG):
        mask = rough == label
        inside = ndimage.distance_transform_edt(mask) / side
        outside = ndimage.distance_transform_edt(~mask) / side
        core, band = inside > CORE, (outside > 0) & (outside <= 2 * REACH) & (rough == 0)
        if not core.any() or not band.any():
            out[mask] = label
            continue
        level = 0.5 * (np.median(image[core]) + np.median(image[band]))
        dark = (image < level) & (outside <= REACH) & (rough != 3 - label)
        lung = ndimage.binary_opening(core | dark, iterations=1) | core
        parts, _ = ndimage.label(lung)
        biggest = parts == np.bincount(parts[core]).argmax()
        lung = ndimage.binary_fill_holes(ndimage.binary_closing(biggest, iterations=3) & (outside <= REACH))
        out[lung & (out == 0)] = label
    return out


def _filled(outlines: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Closed outlines, ``(2, m, 2)`` in fractions of the longer side, as labels 1 and 2."""
    from matplotlib.path import Path as Polygon

    side = max(shape)
    rows, columns = np.indices(shape)
    centres = (np.stack([rows, columns], -1).reshape(-1, 2) + 0.5) / side
    out = np.zeros(shape, np.uint8)
    for label, outline in zip((RIGHT_LUNG, LEFT_LUNG), outlines, strict=True):
        inside = Polygon(outline).contains_points(centres).reshape(shape)
        out[inside & (out == 0)] = label
    return out


def _grown(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Labels on the film's own grid, their edges smooth."""
    import torch
    from scipy import ndimage
    from torch.nn.functional import interpolate

    masks = np.stack([labels == RIGHT_LUNG, labels == LEFT_LUNG]).astype(np.float32)
    smooth = torch.from_numpy(ndimage.gaussian_filter(masks, (0.0, SMOOTH_PX, SMOOTH_PX)))[None]
    shares = interpolate(smooth, shape, mode="bilinear", align_corners=False)[0].numpy()
    best = shares.argmax(0).astype(np.uint8) + 1
    return np.where(shares.max(0) >= 0.5, best, 0).astype(np.uint8)
