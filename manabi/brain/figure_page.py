"""What every figure of BrainSeg has: a title, alerts, rows of planes in one scale, notes, and how all this was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib import colormaps as matplotlib_colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patheffects import withStroke

from manabi.brain.figure_scene import Scene, View
from manabi.brain.method import BrainSeg
from manabi.plotting import style
from manabi.plotting.page import Page, line_height, text_width, wrap
from manabi.plotting.views import Look, letter, outline, plane, show
from manabi.result import Labelmap, Result

WIDTH, SIDE, GAP = 1600, 24, 8
INNER = WIDTH - 2 * SIDE
CAPTION = 22
"""Pixels above a plane for its title."""
SIMULATED = "trained on simulated data"
ALERTS = BrainSeg.alert_prefixes
"""How warnings begin that belong into the red box."""
OBLIQUE_DEG = 3.0
"""Tilt above which the figure says that its planes are not the patient's (our choice)."""
BAR_MM, SHORT_BAR_MM, NARROW_MM = 50.0, 20.0, 100.0
"""Scale bars, and the width of a plane below which the short one is drawn."""
DOUBT_COLORS = ("#d0021b", "#ff6a1a", "#ffd35c", "#20242a")
"""From unsure to sure (our choice)."""
LIGHTER = 0.25
"""Colours of labels are mixed with so much white, to be seen on grey (our choice)."""

Paint = Callable[[Axes, View, tuple[float, float]], None]


def alerts(result: Result) -> list[str]:
    """Warnings that a reader must not overlook."""
    return [w for w in result.warnings if w.startswith(ALERTS)]


def notes(result: Result) -> list[str]:
    """The other warnings, but for the one that has its own badge."""
    return [w for w in result.warnings if not w.startswith(ALERTS) and SIMULATED not in w]


def draw_top(page: Page, result: Result, title: str) -> float:
    """Title, badge for a model that was trained on simulated data, and alerts; returns where what follows may start."""
    page.text(SIDE, 30, title, style.TITLE, bold=True)
    if any(SIMULATED in w for w in result.warnings):
        badge = "Trained on simulated data; for research use"
        width = text_width(badge, style.HEADING, True) + 28
        page.box(WIDTH - SIDE - width, 12, width, 36, style.NOTICE, style.NOTICE_FILL)
        page.text(WIDTH - SIDE - width / 2, 30, badge, style.HEADING, style.NOTICE, True, "center")
    lines = [
        ("• " if n == 0 else "   ") + line for text in alerts(result) for n, line in enumerate(wrap(text, INNER - 60))
    ]  # fmt: skip
    if not lines:
        return 62.0
    height = 20 + len(lines) * line_height()
    page.box(SIDE, 62, INNER, height, style.ALERT, style.ALERT_FILL)
    for n, line in enumerate(lines):
        page.text(SIDE + 16, 72 + (n + 0.5) * line_height(), line)
    return 62 + height + 14


def draw_notes(page: Page, result: Result, left: float, top: float, width: float, texts: Sequence[str] = ()) -> float:
    """Texts and the warnings that are no alerts; returns where they end."""
    said = [*texts, *notes(result)]
    if not said:
        return top
    top = page.heading(left, top, "Notes", width)
    for text in said:
        top = page.paragraph(left, top, text, width, style.SMALL) + 3
    return top


def draw_footer(page: Page, scene: Scene, top: float, first: str = "") -> None:
    """How the images are shown, and what made the result."""
    voxels = " × ".join(f"{s:.2f}" for s in scene.spacing_mm)
    parts = [
        "Radiological convention: the patient's right (R) is on the left",
        f"voxels {voxels} mm, blended for display",
        "places in patient coordinates (RAS)",
    ]
    if scene.tilt_deg > OBLIQUE_DEG:
        parts.append(f"the image's axes are tilted by {scene.tilt_deg:.0f}°: letters name the nearest direction")
    page.band(SIDE, top, INNER, 1, style.RULE)
    shown = f"{first} {'; '.join(parts)}.".strip()
    top = page.paragraph(SIDE, top + 5, shown, INNER, style.SMALL, style.MUTED)
    made = how_made(scene.result)
    if made:
        page.paragraph(SIDE, top, made, INNER, style.SMALL, style.MUTED)


def how_made(result: Result) -> str:
    """Version, task and model; empty where the result does not know."""
    known = result.provenance
    if not known:
        return ""
    used, settings = known.get("bundle"), known.get("parameters", {})
    parts = [f"Manabi {known.get('manabi', '')}", f"task {settings.get('task', 'structures')}"]
    if used:
        parts.append(f"bundle {used.get('name')} {used.get('version')} ({str(used.get('weights_sha256', ''))[:12]})")
    return " · ".join(parts) + " · not a medical device; the reader decides."


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
            scale_bar(axes, size)
        axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
        left += width + GAP
    return start + tallest + GAP


def row_width(scene: Scene, views: Sequence[View], scale: float) -> float:
    """Pixels that a row takes."""
    return sum(scene.size_mm(view.axis)[0] for view in views) * scale + GAP * (len(views) - 1)


def scale_bar(axes: Axes, size: tuple[float, float]) -> None:
    """A bar of 5 cm at the lower left; of 2 cm on a narrow plane."""
    width, height = size
    long = BAR_MM if width >= NARROW_MM else SHORT_BAR_MM
    left, y = 0.03 * width, 0.965 * height
    halo = [withStroke(linewidth=4, foreground="#000000")]
    axes.plot([left, left + long], [y, y], color="#ffffff", linewidth=2.5, solid_capstyle="butt", path_effects=halo)
    axes.text(left + long / 2, y - 0.015 * height, f"{long / 10:.0f} cm", color="#ffffff", ha="center", va="bottom",
              fontproperties=style.font(style.SMALL),
              path_effects=[withStroke(linewidth=2, foreground="#000000")])  # fmt: skip


def shown_color(color: tuple[float, float, float]) -> str:
    """A label's colour, a little lighter, as it is drawn on images and beside names."""
    return "#" + "".join(f"{round(255 * (c + LIGHTER * (1 - c))):02x}" for c in color)


def outlines(labels: np.ndarray, labelmap: Labelmap, width: float = 1.3) -> Paint:
    """Draws the edges of all labels in their colours."""

    def paint(axes: Axes, view: View, size: tuple[float, float]) -> None:
        cut = plane(labels, view.axis, view.index)
        for segment in labelmap.segments:
            outline(axes, cut == segment.label, size, shown_color(segment.color), width)

    return paint


def overlay(axes: Axes, values: np.ndarray, look: Look, alpha: np.ndarray, size: tuple[float, float]) -> None:
    """Values in colours over a shown plane, each as opaque as ``alpha`` says."""
    colors = look.colors(np.clip((values - look.low) / (look.high - look.low), 0.0, 1.0))
    colors[..., 3] = np.clip(alpha, 0.0, 1.0)
    axes.imshow(colors, extent=(0, size[0], size[1], 0), interpolation="nearest", aspect="auto", origin="upper")
