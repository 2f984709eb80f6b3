"""A :class:`manabi.result.Plot` as a picture: bars with levels to compare them with, lines, or points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font, text_width
from manabi.result import Plot

WIDTH, HEIGHT, SIDE = 900, 420, 70
GROUP = 0.8
"""Share of a category's width that its bars take."""


def draw_chart(plot: Plot, path: Path, notes: Sequence[str] = ()) -> Path:
    """Draw a plot as a PNG of 900 pixels in width; a picture that is there already is replaced.

    Args:
        plot: of any kind; series that are not numbers at a place leave a gap there.
        path: PNG file to write.
        notes: what a reader of this picture alone must know; below the legend.
    """
    page = Page(WIDTH)
    page.text(SIDE, 26, plot.title, style.HEADING, bold=True)
    axes = chart(page, SIDE, 50, WIDTH - SIDE - 30, HEIGHT, ("bottom", "left"))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    if not plot.categories:
        axes.xaxis.set_major_locator(MaxNLocator(8))
    if plot.kind == "bar":
        _draw_bars(axes, plot)
    else:
        for number, (xs, ys) in enumerate(plot.series.values()):
            color = style.SERIES[number % len(style.SERIES)]
            axes.plot(xs, ys, "o" if plot.kind == "scatter" else "-", color=color, markersize=5, linewidth=1.5)
    set_font(axes)
    font = style.font(style.SMALL)
    axes.set_ylabel(style.printable(plot.y_label), fontproperties=font, color=style.INK, parse_math=False)
    if not plot.categories:
        axes.set_xlabel(style.printable(plot.x_label), fontproperties=font, color=style.INK, parse_math=False)
    top = 50.0 + HEIGHT + (42 if plot.categories else 62)
    _draw_legend(page, plot, top)
    for n, text in enumerate(notes):
        top = page.paragraph(SIDE, top + (14 if n == 0 else 2), text, WIDTH - SIDE - 30, style.SMALL, style.MUTED)
    return page.save(path)


def _draw_bars(axes: Axes, plot: Plot) -> None:
    """Bars side by side at each place; levels across all of them."""
    bars = [name for name in plot.series if name not in plot.marks]
    width = GROUP / max(len(bars), 1)
    for number, name in enumerate(bars):
        xs, ys = plot.series[name]
        centres = np.asarray(xs, float) + (number - (len(bars) - 1) / 2) * width
        axes.bar(centres, ys, 0.92 * width, color=_bar_color(number), zorder=2)
    for name in plot.marks:
        xs, ys = plot.series[name]
        dashes = "-" if name == plot.marks[0] else (0, (4, 2))
        for x, y in zip(xs, ys, strict=True):
            axes.plot([x - 0.46, x + 0.46], [y, y], color=style.INK, linewidth=1.3, linestyle=dashes, zorder=3)
    axes.axhline(0, color=style.MUTED, linewidth=0.8, zorder=1)
    if plot.categories:
        axes.set_xticks(range(len(plot.categories)), [style.printable(name) for name in plot.categories])


def _bar_color(number: int) -> str:
    """Grey before, blue after, then the colours of series."""
    return (style.BEFORE, style.AFTER, *style.SERIES[1:])[number % (1 + len(style.SERIES))]


def _draw_legend(page: Page, plot: Plot, top: float) -> None:
    left = float(SIDE)
    bars = [name for name in plot.series if name not in plot.marks]
    for number, name in enumerate(bars):
        color = _bar_color(number) if plot.kind == "bar" else style.SERIES[number % len(style.SERIES)]
        page.band(left, top - 5, 12, 10, color)
        left = _named(page, name, left + 18, top)
    for name in plot.marks:
        for start, width in [(0, 14)] if name == plot.marks[0] else [(0, 5), (9, 5)]:
            page.band(left + start, top - 1, width, 2, style.INK)
        left = _named(page, name, left + 18, top)


def _named(page: Page, name: str, left: float, top: float) -> float:
    page.text(left, top, name, style.SMALL, style.INK)
    return left + text_width(style.printable(name), style.SMALL) + 22
