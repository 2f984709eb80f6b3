"""What the charts of a cohort share: page, axes, labels, legend, bands and steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font, text_width

WIDTH, HEIGHT, SIDE, TOP = 900, 420, 84, 66
COLORS = ("#0b5fa5", "#d55e00", "#56a0d8", "#1b1f24", "#a3195b", "#2d7d46")
"""Blue, vermilion, light blue, ink first: far apart for normal eyes, in the three colour blindnesses and in grey."""
DASHES: tuple[str | tuple[float, tuple[float, ...]], ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P")


def color(number: int) -> str:
    """Colour of a series."""
    return COLORS[number % len(COLORS)]


def dash(number: int) -> str | tuple[float, tuple[float, ...]]:
    """Dashes of a series."""
    return DASHES[number % len(DASHES)]


def marker(number: int) -> str:
    """Mark of a series."""
    return MARKERS[number % len(MARKERS)]


def start(title: str, under: str = "", width: int = WIDTH) -> Page:
    """A page with a heading and a line of explanation."""
    page = Page(width)
    page.text(24, 24, title, style.HEADING, bold=True)
    if under:
        page.text(24, 46, under, style.SMALL, style.MUTED)
    return page


def plain_axes(page: Page, x_label: str, y_label: str, height: int = HEIGHT, width: int = WIDTH - SIDE - 40) -> Axes:
    """Axes with ticks at the left and below, and their names."""
    axes = chart(page, SIDE, TOP, width, height, ("bottom", "left"))
    font = style.font(style.SMALL)
    axes.set_xlabel(style.printable(x_label), fontproperties=font, color=style.INK, parse_math=False)
    axes.set_ylabel(style.printable(y_label), fontproperties=font, color=style.INK, parse_math=False)
    return axes


def ticks(axes: Axes, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> None:
    """Ticks in the figures' font, and thin lines across at those of y."""
    axes.set_xticks(np.asarray(x, float))
    axes.set_yticks(np.asarray(y, float))
    axes.set_xticklabels([f"{v:g}" for v in np.asarray(x, float)])
    axes.set_yticklabels([f"{v:.10g}".replace("-", "−") for v in np.asarray(y, float)])
    axes.grid(True, axis="y", color=style.RULE, linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    set_font(axes)


def round_ticks(low: float, high: float, about: int = 6) -> np.ndarray:
    """About so many round numbers from ``low`` to ``high``."""
    from matplotlib.ticker import MaxNLocator

    places = MaxNLocator(about, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    room = 1e-9 * max(abs(high - low), 1e-9)
    return np.array([0.0 if abs(p) < room else p for p in places if low - room <= p <= high + room])


def time_ticks(last: float, unit: str, about: int = 8) -> np.ndarray:
    """Times on an axis: whole years in months or days, else round numbers."""
    year = {"months": 12.0, "days": 365.25, "weeks": 365.25 / 7}.get(unit)
    if year is None or last < 2 * year:
        return round_ticks(0, last, about)
    every = max(1, int(np.ceil(last / year / about)))
    return np.arange(0, last + 1e-9, every * year).round(1)


def legend(page: Page, top: float, names: Sequence[str], left: float = SIDE, first: int = 0) -> float:
    """Colour, dashes and name of each series in lines; returns where it ends."""
    x = left
    for k, name in enumerate(names):
        wide = 44 + text_width(style.printable(name), style.SMALL)
        if x > left and x + wide > page.width - 24:
            x, top = left, top + 20
        sample(page, x, top, k + first)
        page.text(x + 34, top, name, style.SMALL, style.INK)
        x += wide + 16
    return top + 14


def sample(page: Page, left: float, middle: float, number: int) -> None:
    """A short piece of the line of a series."""
    axes = page.axes(left, middle - 6, 28, 12)
    axes.set(xlim=(0, 1), ylim=(0, 1), facecolor="none")
    axes.plot([0.02, 0.98], [0.5, 0.5], color=color(number), linestyle=dash(number), linewidth=2)


def closing(page: Page, top: float, notes: Sequence[str]) -> None:
    """Notes below everything else."""
    page.band(0, top, 1, 1, style.PAPER)  # the page ends here at the earliest: labels of axes lie above
    for text in notes:
        top = page.paragraph(24, top, text, page.width - 48, style.SMALL, style.MUTED) + 2
