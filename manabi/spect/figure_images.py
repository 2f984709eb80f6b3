"""The images of the study figure: before, after, difference and uncertainty in three planes, in one common scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from manabi.errors import InvalidInputError
from manabi.plotting import colormaps, style
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
    show,
    size_mm,
    tilt_deg,
)
from manabi.result import Result
from manabi.spect.localise import brain_mask
from manabi.spect.paper import PIXEL_MM
from manabi.spect.template import REGIONS
from manabi.volume import Volume

REFERENCE_LABEL = len(REGIONS) + 1
MARGIN_MM = 14.0
"""Shown around the head (our choice)."""
TALLEST_ROW_PX = 270
MOST_SLICES = 5
SATURATED = 99.5
"""Percentile within the shown slices' head at which colours saturate (our choice)."""
FLAT_MM = 45.0
"""Height of the image below which only axial slices are shown (our choice)."""
REGION_COLORS = {"caudate": "#ffe600", "putamen": "#3cff5a", "reference": "#7fd4ff"}
"""Bright colours that the reading colour map does not use (our choice)."""
UNITS = {"CNTS": "counts", "BQML": "Bq/ml"}


@dataclass(frozen=True)
class View:
    """One column of the figure: a plane, where it is cut, and its title."""

    axis: int
    index: int
    title: str


@dataclass(frozen=True)
class StudyImages:
    """Cropped canonical arrays (KJI), all in ``unit``.

    Attributes:
        before: the scan as it came.
        after: denoised.
        uncertainty: standard deviation of the denoised values, or None.
        head: where the head is, boolean.
        labels: 1 to 4 as in ``REGIONS``, 5 the reference; None where nothing was measured.
        spacing_mm: along I, J, K.
        peak: KJI index of the hottest voxel.
        unit: what the values are.
        tilt_deg: angle between the image's axes and the patient's.
    """

    before: np.ndarray
    after: np.ndarray
    uncertainty: np.ndarray | None
    head: np.ndarray
    labels: np.ndarray | None
    spacing_mm: np.ndarray
    peak: tuple[int, int, int]
    unit: str
    tilt_deg: float

    @property
    def is_flat(self) -> bool:
        """Whether there are too few slices to look at from the side."""
        return len(self.after) * float(self.spacing_mm[2]) < FLAT_MM

    @property
    def axial_slices(self) -> list[int]:
        """The hottest slice and its neighbours, about 3.3 mm apart, as the source's readers saw them.

        Three in all, five where no other planes are shown.
        """
        step = max(1, round(PIXEL_MM / float(self.spacing_mm[2])))
        wanted = sorted(range(-MOST_SLICES, MOST_SLICES + 1), key=abs)
        slices = [k for k in (self.peak[0] + n * step for n in wanted) if 0 <= k < len(self.after)]
        return sorted(slices[: MOST_SLICES if self.is_flat else 3])

    @property
    def views(self) -> list[View]:
        """Axial slices from below upwards, then a coronal and a sagittal one through the hottest voxel."""
        k, j, i = self.peak
        axial = [View(AXIAL, n, self._axial_title(n - k)) for n in self.axial_slices]
        if self.is_flat:
            return axial
        return [*axial, View(CORONAL, j, "Coronal"), View(SAGITTAL, i, f"Sagittal{self._side()}")]

    @property
    def top(self) -> float:
        """Upper end of the common window: nothing denoised saturates, and of the noisy input next to nothing."""
        after, before = (float(a[self.axial_slices].max()) for a in (self.after, self.before))
        return max(after, min(before, self._high(self.before))) or 1.0

    @property
    def change_limit(self) -> float:
        """Both ends of the difference's window."""
        return self._high(np.abs(self.after - self.before)) or self.top / 100.0

    @property
    def uncertainty_limit(self) -> float:
        """Upper end of the uncertainty's window."""
        return (0.0 if self.uncertainty is None else self._high(self.uncertainty)) or self.top / 100.0

    def _high(self, array: np.ndarray) -> float:
        chosen = array[self.axial_slices][self.head[self.axial_slices]]
        return float(np.percentile(chosen, SATURATED)) if chosen.size else 0.0

    def _axial_title(self, steps: int) -> str:
        if steps == 0:
            return "Axial, hottest slice"
        distance = steps * float(self.spacing_mm[2])
        return f"Axial {distance:+.1f} mm".replace("-", "−")

    def _side(self) -> str:
        label = 0 if self.labels is None else int(self.labels[self.peak])
        return f", {REGIONS[label - 1][1]} {REGIONS[label - 1][0]}" if 1 <= label <= len(REGIONS) else ""


def prepare(before: Volume, result: Result) -> StudyImages:
    """Crop, scale and straighten what the figure shows.

    Args:
        before: the method's input.
        result: its result; of ``pipeline=paper``, the 8-bit input slices stand for the input.

    Raises:
        InvalidInputError: where the result has no denoised volume on the input's grid.
    """
    if "denoised" not in result.volumes:
        raise InvalidInputError("The figure needs a result of SPECTDenoise: it has no volume 'denoised'.")
    after = canonical(result.volumes["denoised"])
    source = canonical(result.volumes.get("input_8bit", before))
    if not source.grid.same_as(after.grid, 0.01):
        raise InvalidInputError("The denoised volume does not lie on the input's grid; draw it with its own input.")
    regions = result.labelmaps.get("regions")
    labels = None if regions is None else np.asarray(canonical(regions.volume).array)
    spread = result.volumes.get("uncertainty")
    raw = np.asarray(source.array, np.float64)
    level, unit = _scale(raw, labels, before.units)
    peak = _peak(np.asarray(after.array, float), labels)
    head = _head(source)
    box = _crop_box(head, after.spacing_mm, peak)
    return StudyImages(
        raw[box] / level,
        np.asarray(after.array, np.float64)[box] / level,
        None if spread is None else np.asarray(canonical(spread).array, np.float64)[box] / level,
        head[box],
        None if labels is None else labels[box],
        after.spacing_mm,
        tuple(p - s.start for p, s in zip(peak, box, strict=True)),
        unit,
        tilt_deg(after),
    )


def _scale(raw: np.ndarray, labels: np.ndarray | None, units: str | None) -> tuple[float, str]:
    """What values are divided by, and their unit: the input's reference region where there is one."""
    if labels is not None and (labels == REFERENCE_LABEL).any():
        level = float(raw[labels == REFERENCE_LABEL].mean())
        if level > 0:
            return level, "× background"
    return 1.0, UNITS.get(units or "", units or "counts")


def _peak(after: np.ndarray, labels: np.ndarray | None) -> tuple[int, int, int]:
    """The hottest voxel, within the striatum where it was found."""
    striatal = None if labels is None else (labels > 0) & (labels < REFERENCE_LABEL)
    values = after if striatal is None or not striatal.any() else np.where(striatal, after, -np.inf)
    k, j, i = np.unravel_index(int(values.argmax()), after.shape)
    return int(k), int(j), int(i)


def _head(source: Volume) -> np.ndarray:
    """Where the head is in the input; everywhere if it does not stand out."""
    try:
        return brain_mask(source.like(np.maximum(source.array, 0)))
    except InvalidInputError:
        return np.ones(source.shape, bool)


def _crop_box(head: np.ndarray, spacing_mm: np.ndarray, peak: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    """The head with a margin; up and down no further than the head is long."""
    found = np.nonzero(head)
    margin = np.ceil(MARGIN_MM / spacing_mm[::-1]).astype(int)
    low = [max(min(int(f.min()) - m, p), 0) for f, m, p in zip(found, margin, peak, strict=True)]
    high = [min(max(int(f.max()) + m, p) + 1, n) for f, m, p, n in zip(found, margin, peak, head.shape, strict=True)]
    reach = int((high[1] - low[1]) * spacing_mm[1] / spacing_mm[2] / 2)
    low[0], high[0] = max(low[0], peak[0] - reach), min(high[0], peak[0] + reach + 1)
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


# --- drawing ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    title: str
    array: np.ndarray
    look: Look
    label: str
    extend: str
    outlines: bool = False


def draw_images(page: Page, images: StudyImages, left: float, top: float, width: float) -> float:
    """Draw the rows of images; returns where they end.

    Args:
        page: where.
        images: what.
        left: pixels.
        top: pixels.
        width: pixels for row titles, images and colour bars together.
    """
    views, rows = images.views, _rows(images)
    sizes = [size_mm(images.after.shape, images.spacing_mm, view.axis) for view in views]
    gap, title_px, bar_px = 8.0, 26.0, 84.0
    tallest = max(height for _, height in sizes)
    scale = min((width - title_px - bar_px - gap * len(views)) / sum(w for w, _ in sizes), TALLEST_ROW_PX / tallest)
    row_px = tallest * scale
    _column_titles(page, views, [w * scale for w, _ in sizes], left + title_px, top, gap)
    top += 22
    for row in rows:
        page.text(left + 10, top + row_px / 2, row.title, style.HEADING, bold=True, align="center", rotation=90)
        x = left + title_px
        for view, size in zip(views, sizes, strict=True):
            w, h = size[0] * scale, size[1] * scale
            axes = page.axes(x, top + (row_px - h) / 2, w, h, style.RULE)
            _draw_plane(axes, images, row, view, size)
            if row is rows[0] and view == View(AXIAL, images.peak[0], view.title) and not images.is_flat:
                _mark_cuts(axes, images, size)
            x += w + gap
        limits = (row.look.low, row.look.high)
        page.color_bar(x + 4, top + 6, row_px - 12, row.look.colors, limits, row.label, row.extend)
        top += row_px + gap
    return top


def _draw_plane(axes: Axes, images: StudyImages, row: _Row, view: View, size: tuple[float, float]) -> None:
    """One image of a row, with its letters and, where the row has them, the regions."""
    show(axes, plane(row.array, view.axis, view.index), size, row.look)
    letter(axes, view.axis, row.look.letters)
    if row.outlines:
        draw_regions(axes, images, view, size, 1.0)


def _mark_cuts(axes: Axes, images: StudyImages, size: tuple[float, float]) -> None:
    """Small triangles around an axial slice where the coronal and the sagittal plane cross it."""
    _, j, i = images.peak
    width, height = size
    axes.set_zorder(1)
    x = width - (i + 0.5) * float(images.spacing_mm[0])
    y = height - (j + 0.5) * float(images.spacing_mm[1])
    for place, marker in (((0, y), 5), ((width, y), 4), ((x, 0), 7), ((x, height), 6)):
        axes.plot(*place, marker=marker, color=style.AFTER, markersize=4, clip_on=False)


def _column_titles(page: Page, views: list[View], widths: list[float], left: float, top: float, gap: float) -> None:
    for view, width in zip(views, widths, strict=True):
        page.text(left + width / 2, top + 10, view.title, style.SMALL, style.MUTED, align="center")
        left += width + gap


def _rows(images: StudyImages) -> list[_Row]:
    window = Look(colormaps.cool(), 0.0, images.top)
    limit = images.change_limit
    change = Look(colormaps.change(), -limit, limit, style.INK)
    rows = [
        _Row("BEFORE", images.before, window, images.unit, "max"),
        _Row("AFTER", images.after, window, images.unit, "max"),
        _Row("DIFFERENCE", images.after - images.before, change, f"after − before, {images.unit}", "both", True),
    ]
    if images.uncertainty is not None:
        look = Look(colormaps.spread(), 0.0, images.uncertainty_limit)
        rows.append(_Row("UNCERTAINTY", images.uncertainty, look, f"1 SD, {images.unit}", "max"))
    return rows


def draw_regions(axes: Axes, images: StudyImages, view: View, size: tuple[float, float], width: float) -> None:
    """Outline the volumes of interest that a view meets."""
    if images.labels is None:
        return
    cut = plane(images.labels, view.axis, view.index)
    for label in range(1, REFERENCE_LABEL + 1):
        name = REGIONS[label - 1][0] if label < REFERENCE_LABEL else "reference"
        outline(axes, cut == label, size, REGION_COLORS[name], width)
