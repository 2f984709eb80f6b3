"""The segments on three planes: what was measured, where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps

from manabi.plotting import style
from manabi.plotting.page import Page
from manabi.plotting.views import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    Look,
    canonical,
    letter,
    outline,
    plane,
    scale_bar,
    show,
    size_mm,
)
from manabi.radiomics.figure_page import GAP
from manabi.result import Labelmap
from manabi.volume import Volume

MARGIN_MM = 25.0
"""Round the largest segment, on every plane (our choice)."""
LUNG, SOFT = (-1350.0, 250.0), (-160.0, 240.0)
"""Windows of CT in HU: where most of what is shown is air, and elsewhere."""
AIR_HU = -300.0
BAR_MM, BAR_AT = 20.0, (0.04, 0.955, 0.02)
TITLES = {AXIAL: "Axial", CORONAL: "Coronal", SAGITTAL: "Sagittal"}


@dataclass(frozen=True, eq=False)
class Scene:
    """An image with segments, canonical and cut out.

    Attributes:
        image: KJI values of the part that is shown.
        labels: on it.
        spacing_mm: along I, J, K.
        centre: KJI of the largest segment.
        limits: of the grey scale.
        segments: with names and colours.
    """

    image: np.ndarray
    labels: np.ndarray
    spacing_mm: np.ndarray
    centre: tuple[int, int, int]
    limits: tuple[float, float]
    segments: Labelmap

    @classmethod
    def of(cls, image: Volume, segments: Labelmap) -> Scene:
        """The part of the image round the largest segment."""
        upright, labels = canonical(image), canonical(segments.volume)
        if not labels.grid.same_as(upright.grid):
            labels = labels.resampled(upright.grid, "nearest")
        marked = np.asarray(labels.array)
        counts = {s.label: int((marked == s.label).sum()) for s in segments.segments}
        inside = np.argwhere(marked == max(counts, key=lambda label: counts[label]))
        margin = np.ceil(MARGIN_MM / upright.spacing_mm[::-1]).astype(int)
        low = np.maximum(inside.min(axis=0) - margin, 0)
        high = np.minimum(inside.max(axis=0) + margin + 1, marked.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        part = np.asarray(upright.array)[box].astype(float)
        centre = tuple(int(n) for n in np.rint(inside.mean(axis=0)) - low)
        return cls(part, marked[box], upright.spacing_mm, centre, window(part, image.modality), segments)  # type: ignore[arg-type]


def window(values: np.ndarray, modality: str | None) -> tuple[float, float]:
    """Grey scale: lung or soft tissue in CT, else from the 1st to the 99.5th percentile."""
    if modality == "CT":
        return LUNG if np.median(values) < AIR_HU else SOFT
    low, high = (float(v) for v in np.percentile(values, [1.0, 99.5]))
    return low, max(high, low + 1e-6)


def draw_planes(page: Page, scene: Scene, left: float, top: float, width: float, tallest: float) -> float:
    """Axial, coronal and sagittal in one scale through the largest segment; returns where they end."""
    sizes = {axis: size_mm(scene.image.shape, scene.spacing_mm, axis) for axis in TITLES}
    scale = min((width - 2 * GAP) / sum(w for w, _ in sizes.values()), tallest / max(h for _, h in sizes.values()))
    height = max(h for _, h in sizes.values()) * scale
    look = Look(colormaps["gray"], *scene.limits)
    for axis, size in sizes.items():
        page.text(left + size[0] * scale / 2, top + 10, TITLES[axis], style.SMALL, style.MUTED, align="center")
        axes = page.axes(left, top + 22 + (height - size[1] * scale) / 2, size[0] * scale, size[1] * scale)
        axes.set_facecolor("#000000")
        show(axes, plane(scene.image, axis, scene.centre[axis]), size, look)
        cut = plane(scene.labels, axis, scene.centre[axis])
        for segment in scene.segments.segments:
            outline(axes, cut == segment.label, size, shown(segment.color))
        letter(axes, axis, "#ffffff")
        if axis == AXIAL:
            scale_bar(axes, size, BAR_MM, BAR_AT)
        axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
        left += size[0] * scale + GAP
    return top + 22 + height + GAP


def shown(color: tuple[float, float, float]) -> str:
    """A segment's colour as it is drawn."""
    return "#" + "".join(f"{round(255 * c):02x}" for c in color)
