"""What every figure of BrainSeg has beside its title and notes: rows of planes in one scale, and a footer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib import colormaps as matplotlib_colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from manabi.brain.figure_scene import Scene, View
from manabi.brain.method import BrainSeg
from manabi.plotting import style
from manabi.plotting.page import Page, text_width
from manabi.plotting.report_page import ReportPage, how_made
from manabi.plotting.views import Look, letter, outline, plane, scale_bar, show
from manabi.result import Labelmap

GAP = 8
CAPTION = 22
"""Pixels above a plane for its title."""
OBLIQUE_DEG = 3.0
"""Tilt above which the figure says that its planes are not the patient's (our choice)."""
BAR_MM, SHORT_BAR_MM, NARROW_MM = 50.0, 20.0, 100.0
"""Scale bars, and the width of a plane below which the short one is drawn."""
DOUBT_COLORS = ("#d0021b", "#ff6a1a", "#ffd35c", "#20242a")
"""From unsure to sure (our choice)."""
LIGHTER = 0.25
"""Colours of labels are mixed with so much white, to be seen on grey (our choice)."""

Paint = Callable[[Axes, View, tuple[float, float]], None]


def report_page(scene: Scene) -> ReportPage:
    """An empty page about the scene's result."""
    return ReportPage(scene.result, BrainSeg.alert_prefixes)


def draw_footer(page: ReportPage, scene: Scene, top: float) -> None:
    """How the images are shown, and what made the result."""
    voxels = " × ".join(f"{s:.2f}" for s in scene.spacing_mm)
    parts = [
        "Radiological convention: the patient's right (R) is on the left",
        f"voxels {voxels} mm, blended for display",
        "places in patient coordinates (RAS)",
    ]
    if scene.tilt_deg > OBLIQUE_DEG:
        parts.append(f"the image's axes are tilted by {scene.tilt_deg:.0f}°: letters name the nearest direction")
    task = scene.result.provenance.get("parameters", {}).get("task", "structures")
    page.draw_footer(top, f"{'; '.join(parts)}.", how_made(scene.result, [f"task {task}"]))


# --- planes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """Planes beside each other in one scale.

    Attributes:
        views: from the left.
        array: what is shown, KJI.
        look: its colours.
        paint: draws on top of a plane.
        titled: whether each has its title above.
    """

    views: Sequence[View]
    array: np.ndarray
    look: Look
    paint: Paint | None = None
    titled: bool = True


def grey(scene: Scene) -> Look:
    """The image in grey."""
    return Look(matplotlib_colormaps["gray"], *scene.window)


@cache
def doubt_colors() -> LinearSegmentedColormap:
    """From unsure (red) over yellow to sure (dark)."""
    return LinearSegmentedColormap.from_list("manabi_doubt", list(DOUBT_COLORS))


def scale_of(scene: Scene, views: Sequence[View], width: float, tallest: float) -> float:
    """Pixels per mm with which planes fill a row of ``width``, none higher than ``tallest``."""
    sizes = [scene.size_mm(view.axis) for view in views]
    return min((width - GAP * (len(views) - 1)) / sum(w for w, _ in sizes), tallest / max(h for _, h in sizes))


def draw_row(page: Page, scene: Scene, row: Row, left: float, top: float, scale: float) -> float:
    """Draw planes from the left; returns where they end."""
    start = top + (CAPTION if row.titled else 0)
    tallest = max(scene.size_mm(view.axis)[1] for view in row.views) * scale
    for number, view in enumerate(row.views):
        size = scene.size_mm(view.axis)
        width, height = size[0] * scale, size[1] * scale
        if row.titled:
            title = scene.title(view)
            if text_width(title, style.SMALL) > width:
                title = title.partition(" · ")[2]
            page.text(left + width / 2, top + 10, title, style.SMALL, style.MUTED, align="center")
        axes = page.axes(left, start + (tallest - height) / 2, width, height)
        axes.set_facecolor("#000000")
        show(axes, plane(row.array, view.axis, view.index), size, row.look)
        if row.paint:
            row.paint(axes, view, size)
        letter(axes, view.axis, row.look.letters)
        if number == 0:
            scale_bar(axes, size, BAR_MM if size[0] >= NARROW_MM else SHORT_BAR_MM)
        axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
        left += width + GAP
    return start + tallest + GAP


def row_width(scene: Scene, views: Sequence[View], scale: float) -> float:
    """Pixels that a row takes."""
    return sum(scene.size_mm(view.axis)[0] for view in views) * scale + GAP * (len(views) - 1)


def shown_color(color: tuple[float, float, float]) -> str:
    """A label's colour, a little lighter, as it is drawn on images and beside names."""
    return "#" + "".join(f"{round(255 * (c + LIGHTER * (1 - c))):02x}" for c in color)


def outlines(labels: np.ndarray, labelmap: Labelmap, width: float = 1.3) -> Paint:
    """Draws the edges of all labels in their colours."""

    def paint(axes: Axes, view: View, size: tuple[float, float]) -> None:
        """Draw them on a plane."""
        cut = plane(labels, view.axis, view.index)
        for segment in labelmap.segments:
            outline(axes, cut == segment.label, size, shown_color(segment.color), width)

    return paint


def overlay(axes: Axes, values: np.ndarray, look: Look, alpha: np.ndarray, size: tuple[float, float]) -> None:
    """Values in colours over a shown plane, each as opaque as ``alpha`` says."""
    colors = look.colors(np.clip((values - look.low) / (look.high - look.low), 0.0, 1.0))
    colors[..., 3] = np.clip(alpha, 0.0, 1.0)
    axes.imshow(colors, extent=(0, size[0], size[1], 0), interpolation="nearest", aspect="auto", origin="upper")
