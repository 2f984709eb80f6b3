"""Parts of NoduleSynth's figures: films in true proportions, heat maps, circles, tables, the operating curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Circle
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from manabi.nodule.prepare import Film
from manabi.plotting import colormaps, style
from manabi.plotting.page import Page, chart, line_height, set_font, text_width
from manabi.plotting.report_page import ReportPage
from manabi.result import Result, Table

Box = tuple[float, float, float, float]
MARK, LUNG_EDGE = "#ffd23f", "#6fd3c7"
LEAST_CIRCLE, MOST_CIRCLE = 0.022, 0.06
"""Radius of a circle, as a share of the film's width: at least so that the nodule is seen inside, and at most."""
ROW_PX = 20.0
MOST_ROWS = 14


def aspect(film: Film) -> float:
    """Height over width in mm."""
    rows, columns = film.pixels.shape
    return rows * film.spacing_mm[0] / (columns * film.spacing_mm[1])


def show_film(page: Page, film: Film, box: Box) -> Axes:
    """The film in a box of its proportions; axes units are its columns and rows."""
    return show_pixels(page, film.pixels, film, box)


def show_pixels(page: Page, pixels: np.ndarray, film: Film, box: Box) -> Axes:
    """A picture of the film's shape with values of 0 to 1, as :func:`show_film` shows one."""
    axes = _axes(page, film, box)
    axes.imshow(pixels, cmap="gray", vmin=0.0, vmax=1.0, interpolation="bilinear", aspect="auto", extent=_extent(film))
    _letters(axes)
    return axes


def show_change(page: Page, change: np.ndarray, film: Film, box: Box) -> Axes:
    """A difference in colours: red for denser, white for none."""
    most = max(float(np.abs(change).max()), 1e-6)
    axes = _axes(page, film, box)
    axes.imshow(
        change, cmap=colormaps.change(), vmin=-most, vmax=most, interpolation="bilinear", aspect="auto",
        extent=_extent(film),
    )  # fmt: skip
    return axes


def like_film(array: np.ndarray, film: Film) -> np.ndarray:
    """Stored values on the window of a film."""
    low, high = film.window
    inside = np.zeros(array.shape, np.float32)
    box = (slice(film.box[0], film.box[1]), slice(film.box[2], film.box[3]))
    inside[box] = np.clip((np.asarray(array[box], np.float64) - low) / (high - low), 0.0, 1.0)
    return inside


def overlay(axes: Axes, heat: np.ndarray, low: float) -> None:
    """A heat map over a film: nothing below ``low``, then ever more opaque up to its highest value."""
    rows, columns = heat.shape
    high = max(float(heat.max()), 0.2)
    shown = np.ma.masked_less(heat, low)
    axes.imshow(
        shown, cmap=_heat(), vmin=0.0, vmax=high, interpolation="bilinear", aspect="auto",
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
    )  # fmt: skip


def outline(axes: Axes, labels: np.ndarray, color: str = LUNG_EDGE) -> None:
    """The edges of labels."""
    for label in np.unique(labels[labels > 0]):
        lines = axes.contour((labels == label).astype(float), levels=[0.5], colors=[color], linewidths=1.2)
        lines.set_path_effects([effects.withStroke(linewidth=2.2, foreground="#000000a0")])


def circles(axes: Axes, film: Film, marks: Sequence[Mapping[str, Any]]) -> None:
    """A numbered circle for each mark."""
    width = film.pixels.shape[1]
    for mark in marks:
        row, column = film.place((mark["r_mm"], mark["a_mm"], mark["s_mm"]))
        diameter = mark["diameter_mm"] / film.spacing_mm[1] if mark["diameter_mm"] else 0.0
        radius = min(max(0.75 * diameter, LEAST_CIRCLE * width), MOST_CIRCLE * width)
        ring = Circle((column, row), radius, fill=False, edgecolor=MARK, linewidth=1.8)
        ring.set_path_effects([effects.withStroke(linewidth=3.2, foreground="#000000b0")])
        axes.add_patch(ring)
        right = column < 0.85 * width
        axes.text(
            column + (1.15 if right else -1.15) * radius, row - radius, str(mark["number"]), color=MARK,
            fontproperties=style.font(style.BODY, True), ha="left" if right else "right", va="center",
            path_effects=[effects.withStroke(linewidth=2.5, foreground="#000000")],
        )  # fmt: skip


def table(
    page: Page, rows: Table, columns: Mapping[str, str], left: float, top: float, width: float, empty: str
) -> float:  # fmt: skip
    """Some columns of a table under other names; returns where it ends."""
    if not rows.rows:
        page.text(left, top + 12, empty, style.BODY, style.MUTED)
        return top + 26
    names = [name for name in columns if any(cell is not None for cell in rows.column(name))]
    lefts = _lefts(rows, {name: columns[name] for name in names}, left, width)
    for name in names:
        page.text(lefts[name], top + 10, columns[name], style.SMALL, bold=True)
    page.band(left, top + 20, width, 1, style.RULE)
    top += 23
    for number, row in enumerate(rows.rows[:MOST_ROWS]):
        if number % 2:
            page.band(left, top, width, ROW_PX, style.BAND)
        for name in names:
            page.text(lefts[name], top + ROW_PX / 2, _cell(row[rows.columns.index(name)]), style.SMALL)
        top += ROW_PX
    if len(rows.rows) > MOST_ROWS:
        page.text(left, top + 10, f"and {len(rows.rows) - MOST_ROWS} more; see the table", style.SMALL, style.MUTED)
        top += ROW_PX
    return top + 4


def _lefts(rows: Table, columns: Mapping[str, str], left: float, width: float) -> dict[str, float]:
    """Where each column starts: as wide as its widest text, what is left shared out evenly."""
    needed = {}
    for name, title in columns.items():
        texts = [_cell(cell) for cell in rows.column(name)[:MOST_ROWS]]
        needed[name] = max([text_width(title, style.SMALL, True), *(text_width(t, style.SMALL) for t in texts)])
    spare = max(width - sum(needed.values()), 0.0) / len(needed)
    out = {}
    for name, own in needed.items():
        out[name] = left
        left += own + spare
    return out


def curve(page: ReportPage, result: Result, left: float, top: float, width: float) -> float:
    """Sensitivity against false positives on a logarithmic axis, with the setting that was taken."""
    plot = result.plots["operating_curve"]
    top = page.heading(left, top, "On test films", width)
    axes = chart(page, left + 34, top + 6, width - 44, 170, ("bottom", "left"))
    axes.set_xscale("log")
    names = list(plot.series)
    x, y = plot.series[names[0]]
    if len(names) == 3:
        axes.fill_between(
            x, plot.series[names[1]][1], plot.series[names[2]][1], color=style.SERIES[0], alpha=0.15, lw=0
        )
    axes.plot(x, y, "-", color=style.SERIES[0], linewidth=1.6)
    axes.axvline(float(result.measurements["false_positives"] or 0.2), color=style.ALERT, linewidth=1.2)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(FixedLocator([0.05, 0.2, 1, 4]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels(["0.05", "0.2", "1", "4"])
    axes.set_yticks([0, 0.5, 1])
    set_font(axes)
    page.text(left + width / 2, top + 206, "false positives per film", style.SMALL, style.MUTED, align="center")
    return top + 206 + line_height(style.SMALL)


def _axes(page: Page, film: Film, box: Box) -> Axes:
    axes = page.axes(*box)
    left, right, bottom, top = _extent(film)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    return axes


def _extent(film: Film) -> tuple[float, float, float, float]:
    rows, columns = film.pixels.shape
    return -0.5, columns - 0.5, rows - 0.5, -0.5


def _letters(axes: Axes) -> None:
    edge = [effects.withStroke(linewidth=1.5, foreground=style.INK)]
    for text, x, align in (("R", 0.015, "left"), ("L", 0.985, "right")):
        axes.text(
            x, 0.5, text, transform=axes.transAxes, ha=align, va="center", color="#ffffff",
            fontproperties=style.font(style.SMALL), path_effects=edge,
        )  # fmt: skip


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "–" if value is None else str(value).replace("_", " ")


@cache
def _heat() -> LinearSegmentedColormap:
    """Transparent red to opaque yellow (our choice)."""
    colors = [(0.85, 0.1, 0.1, 0.0), (0.9, 0.2, 0.1, 0.35), (1.0, 0.6, 0.1, 0.55), (1.0, 0.95, 0.4, 0.7)]
    return LinearSegmentedColormap.from_list("manabi_heat", colors, N=256)
