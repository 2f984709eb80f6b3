"""A dozen numbers and a histogram that say what kind of CT an image is and of what.

They are what :mod:`manabi.mvct.ood` compares with the training images: noise and sharpness tell the scanner, the gap
between fat and muscle and the density of bone the energy, sizes and tissue shares the region of the body, constant
patches and jumps between slices a damaged file, the body's lean a sheared one. All of it is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from manabi.mvct.noise_level import edge_width_mm, thinned
from manabi.mvct.peaks import MUSCLE_HU
from manabi.mvct.tissue_map import BODY_HU, TISSUES, TissueMap

EDGES_HU = np.arange(-1100.0, 2101.0, 20.0)
DENSE_PERCENTILE = 95.0
FEWEST_BONE = 200
NUMBERS = (
    "noise_hu",
    "edge_mm",
    "gap_hu",
    "muscle_hu",
    "dense_hu",
    "around_hu",
    "body_cm2",
    "aspect",
    *(f"{name}_share" for name in TISSUES),
    "lean",
    "jump",
    "dead_share",
)
"""Names of the numbers, in order."""
KV_GAP_HU, GAP_SCALE_HU = 88.0, 80.0
KV_DENSE_HU, DENSE_SCALE_HU = (740.0, 890.0), 150.0
BLURRED_MM, SHARP_MM = 6.0, 3.0
"""Between kV and megavoltage, where dense bone is about 1150 and 650 HU in sharp images and 900 and 450 HU in blurred
ones (real planning CTs with pixels of 2 to 5 mm, and simulated scans of them); fat to muscle says less, for blur and
marbling change it as much as energy does. An offset of the scanner, seen at muscle, is taken off.
Widths of the skin's edge count as sharp and blurred (our choice)."""
CBCT_NOISE_HU = 15.0
"""Kilovoltage contrast with more noise than a planning CT has."""


@dataclass(frozen=True)
class Signature:
    """What an image is like.

    Attributes:
        numbers: by the names in :data:`NUMBERS`; NaN where the image does not show it.
        histogram: share of the body's voxels per bin of :data:`EDGES_HU`.
    """

    numbers: Mapping[str, float]
    histogram: np.ndarray

    def facts(self) -> dict[str, Any]:
        """As plain numbers, for JSON."""
        return {
            "numbers": {k: round(float(v), 6) if np.isfinite(v) else None for k, v in self.numbers.items()},
            "histogram": [round(float(v), 7) for v in self.histogram],
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Signature:
        """From :meth:`facts`."""
        numbers = {k: float("nan") if v is None else float(v) for k, v in facts["numbers"].items()}
        return cls(numbers, np.asarray(facts["histogram"], float))


def signature(hu: np.ndarray, spacing_mm: np.ndarray, tissues: TissueMap) -> Signature:
    """Describe an image.

    Args:
        hu: ``(n, rows, columns)`` HU.
        spacing_mm: of I, J, K.
        tissues: of the image.
    """
    body = tissues.body
    if not body.any():
        return Signature(dict.fromkeys(NUMBERS, float("nan")), np.zeros(len(EDGES_HU) - 1))
    values = np.asarray(hu)
    sizes = np.bincount(tissues.labels[body], minlength=len(TISSUES) + 1)[1:] / body.sum()
    inside = np.clip(values[body], EDGES_HU[0], EDGES_HU[-1] - 1e-3)
    histogram = np.histogram(inside, EDGES_HU)[0] / inside.size
    numbers = {
        "noise_hu": tissues.noise_hu,
        "edge_mm": edge_width_mm(values, spacing_mm, body),
        "gap_hu": tissues.peaks.gap_hu if tissues.peaks.found else float("nan"),
        "muscle_hu": tissues.peaks.muscle_hu if tissues.peaks.found else float("nan"),
        "dense_hu": _dense(values, tissues),
        "around_hu": _around(values, body),
        **_shape(values, spacing_mm, body),
        **{f"{name}_share": float(share) for name, share in zip(TISSUES, sizes, strict=True)},
        "dead_share": _dead(values, body),
    }
    return Signature({name: float(numbers[name]) for name in NUMBERS}, histogram)


def likely_kind(found: Signature) -> str:
    """``mvct``, ``cbct`` or ``kvct``, by what energy does to contrast and bone, and by the noise.

    Where the image shows neither bone nor two peaks, a noisy one is taken for MVCT.
    """
    gap, dense, noise = (found.numbers[name] for name in ("gap_hu", "dense_hu", "noise_hu"))
    dense = dense - np.nan_to_num(found.numbers["muscle_hu"] - MUSCLE_HU["kvct"])
    edge = np.nan_to_num(found.numbers["edge_mm"], nan=SHARP_MM)
    limit = float(np.interp(edge, (SHARP_MM, BLURRED_MM), KV_DENSE_HU[::-1]))
    hints = [(gap - KV_GAP_HU) / GAP_SCALE_HU, (dense - limit) / DENSE_SCALE_HU]
    known = [hint for hint in hints if np.isfinite(hint)]
    noisy = bool(noise > CBCT_NOISE_HU)
    if not known:
        return "mvct" if noisy else "kvct"
    if sum(known) < 0:
        return "mvct"
    return "cbct" if noisy else "kvct"


def wasserstein_hu(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance in HU that the values of one histogram must be moved to make the other."""
    width = float(EDGES_HU[1] - EDGES_HU[0])
    a, b = (np.asarray(h, float) / max(float(np.sum(h)), 1e-12) for h in (a, b))
    return float(np.abs(np.cumsum(a) - np.cumsum(b)).sum() * width)


def _dense(hu: np.ndarray, tissues: TissueMap) -> float:
    """HU of dense bone."""
    bone = hu[tissues.mask("bone")]
    return float(np.percentile(bone, DENSE_PERCENTILE)) if bone.size >= FEWEST_BONE else float("nan")


def _around(hu: np.ndarray, body: np.ndarray) -> float:
    """Median of the air around the body; NaN where there is none."""
    keep = thinned(len(hu))
    far = ~ndimage.binary_dilation(body[keep], np.ones((1, 5, 5), bool))
    return float(np.median(hu[keep][far])) if far.sum() >= FEWEST_BONE else float("nan")


def _shape(hu: np.ndarray, spacing_mm: np.ndarray, body: np.ndarray) -> dict[str, float]:
    """Size, aspect, lean (shift per length along the slices) and the largest jump of tissue between slices."""
    slices = np.flatnonzero(body.any((1, 2)))
    area = body[slices].sum((1, 2)) * float(spacing_mm[0] * spacing_mm[1]) / 100.0
    wide = body[slices].any(1).sum(1) * float(spacing_mm[0])
    deep = body[slices].any(2).sum(1) * float(spacing_mm[1])
    rows = np.array([np.flatnonzero(m.any(1)).mean() for m in body[slices]]) * float(spacing_mm[1])
    columns = np.array([np.flatnonzero(m.any(0)).mean() for m in body[slices]]) * float(spacing_mm[0])
    z = slices * float(spacing_mm[2])
    lean = np.hypot(_slope(z, rows), _slope(z, columns)) if len(slices) > 3 else 0.0
    tissue = (body & (hu > BODY_HU)).sum((1, 2)).astype(float)
    jump = np.abs(np.diff(tissue)).max() / tissue.max() if len(tissue) > 1 else 0.0
    return {
        "body_cm2": float(np.median(area)),
        "aspect": float(np.median(wide / deep)),
        "lean": float(lean),
        "jump": float(jump),
    }


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Median slope between points a third of the length apart."""
    third = max(1, len(x) // 3)
    return float(np.median((y[third:] - y[:-third]) / (x[third:] - x[:-third])))


def _dead(hu: np.ndarray, body: np.ndarray) -> float:
    """Share of the body's tissue where a pixel equals its four neighbours exactly: nothing that was measured does."""
    values = hu[:, 1:-1, 1:-1]
    same = (values == hu[:, :-2, 1:-1]) & (values == hu[:, 2:, 1:-1])
    same &= (values == hu[:, 1:-1, :-2]) & (values == hu[:, 1:-1, 2:])
    inside = body[:, 1:-1, 1:-1] & (values > -900.0) & (values < 2000.0)
    return float(same[inside].mean()) if inside.any() else 1.0
