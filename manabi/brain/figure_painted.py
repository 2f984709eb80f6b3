"""The figure of a propagation: painted slices and those between, where the result is uncertain, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from manabi.brain.figure_page import (
    GAP,
    Paint,
    Row,
    doubt_colors,
    draw_footer,
    draw_row,
    grey,
    outlines,
    overlay,
    report_page,
    scale_of,
    shown_color,
)
from manabi.brain.figure_scene import WORDS, Scene, View
from manabi.brain.propagate_input import find_painted
from manabi.errors import InvalidInputError
from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font
from manabi.plotting.report_page import SIDE, WIDTH
from manabi.plotting.views import AXIAL, CORONAL, SAGITTAL, Look, canonical, outline, plane
from manabi.result import Labelmap, Table
from manabi.volume import Volume

IMAGES_PX, NUMBERS_PX = 1014, 514
COLUMNS, MOST = 5, 10
TALLEST_PX, CROSS_PX, CHART_PX = 260, 300, 190
MARGIN_MM = 22.0
"""Shown around the structures (our choice)."""
PAINT_COLOR = "#2fd0ff"
"""Frame and lines of painted slices."""
LEGEND = "Blue frames: painted slices. Above: the result. Below: its uncertainty, from 0 (clear) to 1 (red)."
ROW_PX = 22.0


@dataclass(frozen=True)
class Painting:
    """What was painted, and what came of it.

    Attributes:
        axis: canonical array axis with the most painted slices.
        slices: their indices along it, in the shown part.
        others: how many slices were painted along other axes.
        labelmap: the result.
        labels: its values on the shown part.
        uncertainty: from 0 to 1, on the shown part.
    """

    axis: int
    slices: tuple[int, ...]
    others: int
    labelmap: Labelmap
    labels: np.ndarray
    uncertainty: np.ndarray


def draw_propagated(scene: Scene, inputs: Mapping[str, Volume], path: Path) -> Path:
    """Draw the figure; see :func:`manabi.brain.figure.draw_result`."""
    if "painted" not in inputs:
        raise InvalidInputError("The figure of a propagation needs its input painted. Give it with the image.")
    near = scene.around(scene.labels(scene.result.labelmaps["propagated"]) > 0, MARGIN_MM)
    page = report_page(scene)
    top = page.draw_top("BrainSeg: painted slices, propagated to the volume")
    left_end = _draw_slices(page, near, _painting(near, inputs["painted"]), top)
    left = WIDTH - SIDE - NUMBERS_PX
    whole = _painting(scene, inputs["painted"])
    right_end = _draw_labels(page, scene, whole, left, top)
    right_end = _draw_scores(page, scene, whole, left, right_end + 12)
    right_end = _draw_across(page, scene, whole, left, right_end + 12)
    right_end = page.draw_notes(left, right_end + 8, NUMBERS_PX, _said(whole))
    draw_footer(page, scene, max(left_end, right_end) + 6)
    return page.save(path)


def _painting(scene: Scene, painted: Volume) -> Painting:
    """The painted slices in the scene's order."""
    chosen = np.asarray(canonical(painted).array) != 0
    direction = scene.result.provenance.get("parameters", {}).get("propagate_axis", "auto")
    axis = {"axial": AXIAL, "coronal": CORONAL, "sagittal": SAGITTAL}.get(str(direction))
    found = find_painted(chosen, [float(s) for s in scene.spacing_mm[::-1]], axis) if chosen.any() else []
    along = [[s.number for s in found if s.axis == a] for a in range(3)]
    axis = max(range(3), key=lambda a: len(along[a]))
    own = scene.box[axis]
    labelmap = scene.result.labelmaps["propagated"]
    return Painting(
        axis, tuple(sorted(n - own.start for n in along[axis] if own.start <= n < own.stop)),
        len(found) - len(along[axis]), labelmap, scene.labels(labelmap),
        np.asarray(scene.layer(scene.result.volumes["uncertainty"]), np.float32),
    )  # fmt: skip


def _said(painting: Painting) -> list[str]:
    name = WORDS[painting.axis][0].lower()
    texts = [f"{len(painting.slices)} {name} slices were painted (blue); the others were predicted."]
    if painting.others:
        texts.append(f"{painting.others} slices were painted along another direction; they are not marked here.")
    return texts


# --- slices -----------------------------------------------------------------------------------------------------------


def chosen_slices(painted: Sequence[int], found: Sequence[int]) -> list[int]:
    """At most :data:`MOST` slices: painted ones in turn with those half way to the next, and both ends of the result.

    Args:
        painted: indices of painted slices, sorted.
        found: indices of slices that hold a label, sorted.
    """
    if not painted:
        return list(dict.fromkeys(round(v) for v in np.linspace(found[0], found[-1], MOST))) if len(found) else []
    some = [painted[round(n)] for n in np.linspace(0, len(painted) - 1, min(len(painted), MOST // 2))]
    between = [_half_way(painted, n) for n in some[:-1]]
    ends = [(found[0] + some[0]) // 2, (found[-1] + some[-1] + 1) // 2] if len(found) else []
    ends = [n for n in ends if n not in painted]
    return sorted({*some, *between, *ends[: MOST - len(set(some) | set(between))]})


def _half_way(painted: Sequence[int], index: int) -> int:
    """Between a painted slice and the next one."""
    after = min(n for n in painted if n > index)
    return (index + after) // 2


def _draw_slices(page: Page, scene: Scene, painting: Painting, top: float) -> float:
    """Slices with the result, and below each its uncertainty."""
    along = tuple(a for a in range(3) if a != painting.axis)
    found = np.flatnonzero((painting.labels > 0).any(axis=along)).tolist()
    views = [View(painting.axis, n) for n in chosen_slices(painting.slices, found)]
    if not views:
        return page.paragraph(SIDE, top, "Nothing was painted or found.", IMAGES_PX)
    colors = Look(doubt_colors().reversed(), 0.0, 1.0)
    edges = outlines(painting.labels, painting.labelmap, 1.6)
    scale = scale_of(scene, views[:1] * max(min(len(views), COLUMNS), 3), IMAGES_PX, TALLEST_PX)
    for start in range(0, len(views), COLUMNS):
        part = views[start : start + COLUMNS]
        _mark_painted(page, scene, painting, part, top, scale)
        top = draw_row(page, scene, Row(part, scene.image, grey(scene), edges), SIDE, top, scale)
        unsure = Row(part, scene.image, grey(scene), _unsure(painting, colors), titled=False)
        top = draw_row(page, scene, unsure, SIDE, top, scale) + 10
    page.text(SIDE, top + 8, LEGEND, style.SMALL, style.MUTED)
    return top + 20


def _mark_painted(
    page: Page, scene: Scene, painting: Painting, views: Sequence[View], top: float, scale: float
) -> None:
    """Frames around painted slices, behind the planes, with the word."""
    width, height = (n * scale for n in scene.size_mm(painting.axis))
    for number, view in enumerate(views):
        if view.index in painting.slices:
            left = SIDE + number * (width + GAP)
            page.band(left - 3, top - 1, width + 6, height + 26, PAINT_COLOR)


def _unsure(painting: Painting, look: Look) -> Paint:
    """Uncertainty in colours, the result's edge in thin white."""

    def paint(axes: Axes, view: View, size: tuple[float, float]) -> None:
        """Draw both on a plane."""
        values = plane(painting.uncertainty, view.axis, view.index)
        overlay(axes, values, look, 1.3 * values, size)
        cut = plane(painting.labels, view.axis, view.index)
        for label in np.unique(cut[cut > 0]):
            outline(axes, cut == label, size, "#ffffff", 0.4)

    return paint


def _draw_across(page: Page, scene: Scene, painting: Painting, left: float, top: float) -> float:
    """The head across the painted slices, which are lines."""
    top = page.heading(left, top, "Across the painted slices", NUMBERS_PX)
    middle = scene.views_through(painting.labels > 0)
    views = [view for view in middle if view.axis != painting.axis]
    edges = outlines(painting.labels, painting.labelmap, 1.2)

    def paint(axes: Axes, view: View, size: tuple[float, float]) -> None:
        """Draw the painted slices as lines, and the result's edges."""
        for index in painting.slices:
            x, y = _line(scene, view.axis, painting.axis, index, size)
            axes.plot(x, y, color=PAINT_COLOR, linewidth=0.9, alpha=0.8)
        edges(axes, view, size)

    return draw_row(page, scene, Row(views, scene.image, grey(scene), paint), left, top,
                    scale_of(scene, views, NUMBERS_PX, CROSS_PX))  # fmt: skip


def _line(
    scene: Scene, shown: int, axis: int, index: int, size: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ends of the line, in mm of the display, in which a slice across ``axis`` meets a plane across ``shown``."""
    rows, _ = (a for a in range(3) if a != shown)
    length = size[1] if axis == rows else size[0]
    place = length - (index + 0.5) * float(scene.spacing_mm[2 - axis])
    return ((0.0, size[0]), (place, place)) if axis == rows else ((place, place), (0.0, size[1]))


# --- numbers ----------------------------------------------------------------------------------------------------------


def _draw_labels(page: Page, scene: Scene, painting: Painting, left: float, top: float) -> float:
    top = page.heading(left, top, "Labels", NUMBERS_PX)
    columns = (("volume (mL)", 220), ("left-out Dice", 350), ("scored slices", NUMBERS_PX))
    for name, x in columns:
        page.text(left + x, top + ROW_PX / 2, name, style.SMALL, style.MUTED, align="right")
    colors = {segment.label: segment.color for segment in painting.labelmap.segments}
    for value, volume, dice, count in scene.result.tables["labels"].rows:
        top += ROW_PX
        page.band(left, top + ROW_PX / 2 - 6, 12, 12, shown_color(colors[int(value or 0)]))
        page.text(left + 20, top + ROW_PX / 2, f"Label {value}")
        cells = (f"{float(volume or 0):.1f}", "–" if dice is None else f"{float(dice):.2f}", str(count))
        for cell, (_, x) in zip(cells, columns, strict=True):
            page.text(left + x, top + ROW_PX / 2, cell, bold=x == 350, align="right")
    return top + ROW_PX + 4


def _draw_scores(page: Page, scene: Scene, painting: Painting, left: float, top: float) -> float:
    """Dice of every painted slice when it was left out, over its place."""
    table = scene.result.tables["slices"]
    if not table.rows:
        return page.paragraph(left, top, "No slice could be left out, so accuracy is not known.", NUMBERS_PX)
    top = page.heading(left, top, "Each painted slice, predicted from the others", NUMBERS_PX)
    axes = chart(page, left + 44, top + 8, NUMBERS_PX - 54, CHART_PX, ("bottom", "left"))
    _plot_scores(axes, scene, painting, table)
    name, plus, minus, _ = WORDS[painting.axis]
    axes.set_xlabel(f"{name} place (mm, {minus} to {plus})", fontproperties=style.font(style.SMALL), color=style.INK)
    axes.set_ylabel("Dice", fontproperties=style.font(style.SMALL), color=style.INK)
    set_font(axes)
    _ticks(axes)
    end = top + 8 + CHART_PX + 44
    text = "Filled: prediction, in the label's colour; hollow: interpolation of shapes alone. 1 is perfect."
    return page.paragraph(left, end, text, NUMBERS_PX, style.SMALL, style.MUTED)


def _plot_scores(axes: Axes, scene: Scene, painting: Painting, table: Table) -> None:
    """A filled and a hollow point for each label of each slice that is cut along the figure's axis."""
    colors = {segment.label: segment.color for segment in painting.labelmap.segments}
    lowest = 0.9
    for label, *numbers in table.rows:
        axis, index, dice, shape = (float(number or 0) for number in numbers[:4])
        place, along = _place_mm(scene, int(axis), int(index))
        if along == painting.axis:
            color = shown_color(colors.get(int(label or 0), (0.5, 0.5, 0.5)))
            axes.plot([place], [shape], "o", color=style.PAPER, markeredgecolor=style.BEFORE, markersize=6)
            axes.plot([place], [dice], "o", color=color, markeredgecolor=style.INK, markersize=7)
            lowest = min(lowest, dice, shape)
    axes.set_ylim(max(np.floor(10 * lowest - 0.5) / 10, 0.0), 1.02)


def _ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(8))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    set_font(axes)


def _place_mm(scene: Scene, axis: int, index: int) -> tuple[float, int]:
    """Patient coordinate of a slice of the user's array, and the canonical axis that it is cut across."""
    from manabi.geometry import closest_axes

    grid = scene.result.labelmaps["propagated"].volume.grid
    found, _ = closest_axes(grid.directions)
    row = found.index(2 - axis)
    middle = [(n - 1) / 2 for n in grid.shape]
    middle[axis] = index
    return float(grid.ras_of(np.array(middle[::-1]))[row]), 2 - row
