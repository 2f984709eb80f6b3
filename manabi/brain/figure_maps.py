"""The figures of a synthetic contrast and of feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps as matplotlib_colormaps
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from manabi.brain.figure_page import (
    CAPTION,
    GAP,
    Row,
    draw_footer,
    draw_row,
    grey,
    overlay,
    report_page,
    row_width,
    scale_of,
)
from manabi.brain.figure_scene import Scene, View, window_of
from manabi.plotting import colormaps, style
from manabi.plotting.page import Page
from manabi.plotting.report_page import INNER, SIDE
from manabi.plotting.views import AXIAL, SAGITTAL, Look, letter, plane, show

SPREAD = (0.3, 0.45, 0.6)
"""Axial slices, as fractions of the shown height (our choice)."""
TALLEST_PX = 300
COLUMNS, MOST = 3, 24
WORD = "SYNTHETIC"
FAINT = 99.5
"""Percentile of a map's absolute values at which its colours end."""


def draw_contrast(scene: Scene, path: Path) -> Path:
    """Source, synthetic image and what cannot be known; see :func:`manabi.brain.figure.draw_result`."""
    name = next(key for key in scene.result.volumes if key.startswith("synthetic"))
    made = np.asarray(scene.layer(scene.result.volumes[name]), np.float32)
    unknown = np.asarray(scene.layer(scene.result.volumes["unknowable"]), np.float32)
    page = report_page(scene)
    shown = name.replace("_", " ").replace("mra", "MRA")
    top = page.draw_top(f"BrainSeg: {shown}, computed from another contrast")
    whole = np.ones(scene.image.shape, bool)
    views = [*scene.spread_views(whole, AXIAL, SPREAD), *scene.views_through(whole)[1:]]
    scale = scale_of(scene, [*views, View(AXIAL, 0)], INNER, TALLEST_PX)
    top = page.heading(SIDE, top, "Source, as measured", INNER)
    top = draw_row(page, scene, Row(views, scene.image, grey(scene)), SIDE, top, scale)
    end = top
    page.text(SIDE, top + 18, f"{WORD}: not measured", 20.0, style.ALERT, bold=True)
    page.band(SIDE, top + 38, INNER, 2, style.ALERT)
    look = Look(matplotlib_colormaps["gray"], *window_of(made))
    top = draw_row(page, scene, Row(views, made, look, _stamped), SIDE, top + 44, scale)
    x = SIDE + row_width(scene, views, scale) + GAP
    _draw_projection(page, scene, made, look, x, end + 44, scale)
    bottom = _draw_unknown(page, scene, views, unknown, top + 6, scale)
    bottom = page.draw_notes(SIDE, bottom + 4, INNER)
    draw_footer(page, scene, bottom + 6)
    return page.save(path)


def _draw_unknown(
    page: Page, scene: Scene, views: Sequence[View], unknown: np.ndarray, top: float, scale: float
) -> float:  # fmt: skip
    """What cannot be known, in colours over the source; returns where it ends."""
    top = page.heading(SIDE, top, "Where the synthetic image cannot be known from the source", INNER)
    colors = Look(colormaps.spread(), 0.0, 1.0)

    def paint(axes: Axes, view: View, size: tuple[float, float]) -> None:
        """Draw it on a plane."""
        values = plane(unknown, view.axis, view.index)
        overlay(axes, values, colors, np.minimum(values, 0.85), size)

    bottom = draw_row(page, scene, Row(views, scene.image, grey(scene), paint, titled=False), SIDE, top, scale)
    x = SIDE + row_width(scene, views, scale) + GAP + 6
    page.color_bar(x, top + 8, bottom - top - 30, colors.colors, (0.0, 1.0), "unknowable: 0 shown, 1 guessed")
    return bottom


def _stamped(axes: Axes, view: View, size: tuple[float, float]) -> None:
    """The word across the plane."""
    box = axes.get_window_extent()
    points = 0.13 * min(box.width, 1.4 * box.height) * 72 / style.DPI
    axes.text(0.5 * size[0], 0.5 * size[1], WORD, color="#ff6b60", alpha=0.45, rotation=28, ha="center", va="center",
              fontproperties=style.font(points, True),
              path_effects=[withStroke(linewidth=1.5, foreground="#00000080")])  # fmt: skip


def _draw_projection(
    page: Page, scene: Scene, made: np.ndarray, look: Look, left: float, top: float, scale: float
) -> None:
    """The synthetic image's brightest values along the body's axis, as angiograms are read."""
    size = scene.size_mm(AXIAL)
    width, height = size[0] * scale, size[1] * scale
    row_px = max(scene.size_mm(axis)[1] for axis in range(3)) * scale
    page.text(left + width / 2, top + 10, "Axial maximum projection", style.SMALL, style.MUTED, align="center")
    axes = page.axes(left, top + CAPTION + (row_px - height) / 2, width, height)
    projected = made.max(axis=0)
    high = float(np.percentile(projected, FAINT)) or look.high
    show(axes, projected[::-1, ::-1], size, Look(look.colors, look.low, max(high, look.low + 1e-6)))
    _stamped(axes, View(AXIAL, 0), size)
    letter(axes, AXIAL, look.letters)


# --- feature maps -----------------------------------------------------------------------------------------------------


def draw_features(scene: Scene, path: Path) -> Path:
    """The maps that add most to a structure, each in two planes; see :func:`manabi.brain.figure.draw_result`."""
    result = scene.result
    rows = result.tables["features"].rows
    arrays = [np.asarray(scene.layer(v), np.float32) for v in list(result.volumes.values())[:MOST]]
    structure, layer = result.measurements.get("structure", ""), result.measurements.get("layer", "")
    page = report_page(scene)
    top = page.draw_top(f"BrainSeg: what layer {layer} sees of the {structure}")
    views = _best_views(scene, arrays)
    width = (INNER - (COLUMNS - 1) * 2 * GAP) / COLUMNS
    scale = scale_of(scene, views, width, TALLEST_PX)
    _draw_tile(page, scene, views, None, "Image", "", (SIDE, top), scale)
    height = 26 + max(scene.size_mm(view.axis)[1] for view in views) * scale + 14
    for number, (array, (rank, channel, share)) in enumerate(zip(arrays, rows, strict=False), start=1):
        line, column = divmod(number, COLUMNS)
        place = SIDE + column * (width + 2 * GAP), top + line * height
        text = f"adds {float(share or 0):+.2g}".replace("-", "−")
        _draw_tile(page, scene, views, array, f"{rank}. channel {channel}", text, place, scale)
    top += -(-(len(arrays) + 1) // COLUMNS) * height
    said = [
        f"Planes: {scene.title(views[0])} and {scene.title(views[1])}, where the maps are strongest. What a map "
        f"adds is its contribution to the mean logit of the {structure}; values from blue (below 0) to red (above 0), "
        "each map in its own scale.",
    ]
    if len(rows) > MOST:
        said.append(f"{len(rows) - MOST} more maps are not shown here.")
    top = page.draw_notes(SIDE, top, INNER, said)
    draw_footer(page, scene, top + 6)
    return page.save(path)


def _best_views(scene: Scene, arrays: list[np.ndarray]) -> list[View]:
    """Axial and coronal plane in the middle of where the maps are strongest, all of them weighing the same."""
    total = np.zeros(scene.image.shape, np.float32)
    for array in arrays:
        total += np.abs(array) / (float(np.abs(array).max()) or 1.0)
    strong = total > np.percentile(total, 97.0)
    return [view for view in scene.views_through(strong) if view.axis != SAGITTAL]


def _draw_tile(
    page: Page, scene: Scene, views: list[View], array: np.ndarray | None, title: str, text: str,
    place: tuple[float, float], scale: float,
) -> None:  # fmt: skip
    """One map over the image, or the image alone."""
    left, top = place
    page.text(left, top + 11, title, bold=True)
    page.text(left + row_width(scene, views, scale), top + 11, text, style.SMALL, style.MUTED, align="right")
    limit = 1.0 if array is None else float(np.percentile(np.abs(array[array != 0]), FAINT)) if array.any() else 1.0
    colors = Look(colormaps.change(), -limit, limit)

    def paint(axes: Axes, view: View, size: tuple[float, float]) -> None:
        """Draw the map on a plane."""
        if array is not None:
            values = plane(array, view.axis, view.index)
            overlay(axes, values, colors, np.abs(values) / limit, size)

    draw_row(page, scene, Row(views, scene.image, grey(scene), paint, titled=False), left, top + 24, scale)
