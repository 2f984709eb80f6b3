"""Charts of a prediction on a page: the cohort's risk groups with the patient's curve, and what drove the risk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font
from manabi.plotting.report_page import fitted
from manabi.radiomics.cohort.plots_parts import color, dash, round_ticks, time_ticks
from manabi.result import Plot, Table

PATIENTS = "this patient, predicted"
PATIENT_COLORS = (style.INK, style.SERIES[3], style.SERIES[2])
CHART = 330
SHARE = 0.46
"""Of a bar chart's width that names take."""
RAISES, LOWERS = color(1), color(0)


def draw_survival(page: Page, plot: Plot, groups: Table | None, left: float, top: float, width: float) -> float:
    """Kaplan-Meier of the risk groups with intervals and numbers at risk, and predicted curves; returns the end."""
    top = page.heading(left, top, plot.title, width)
    axes = chart(page, left + 60, top, width - 80, CHART, ("bottom", "left"))
    last = max(max(xs) for xs, _ in plot.series.values() if xs)
    cohort = [name for name in plot.series if not name.startswith(PATIENTS)]
    for number, name in enumerate(cohort):
        axes.plot(*plot.series[name], color=color(number), linestyle=dash(number), linewidth=2, zorder=4)
        _band(axes, groups, name, number)
    for number, name in enumerate(n for n in plot.series if n.startswith(PATIENTS)):
        shade = PATIENT_COLORS[number % len(PATIENT_COLORS)]
        axes.plot(*plot.series[name], color=shade, linewidth=2.6, linestyle=(0, (1, 1)), zorder=5)
    places = time_ticks(last, "years")
    axes.set(xlim=(0, last), ylim=(0, 1.02), xticks=places, yticks=np.arange(0, 1.01, 0.2).round(1))
    axes.grid(True, axis="y", color=style.RULE, linewidth=0.6, zorder=0)
    set_font(axes)
    axes.set_ylabel(plot.y_label, fontproperties=style.font(style.SMALL), color=style.INK)
    page.text(left + width - 20, top + CHART + 34, plot.x_label, style.SMALL, style.MUTED, align="right")
    bottom = _at_risk(page, groups, cohort, places, (left, top + CHART + 52, width, last))
    return _legend(page, plot, left, bottom)


def _group_rows(groups: Table | None, name: str) -> list[tuple[float, ...]]:
    """Time, survival, low, high, at risk of the group that a series belongs to."""
    if groups is None:
        return []
    found = [row for row in groups.rows if str(row[0]) in name]
    return [tuple(np.nan if v is None else float(v) for v in row[1:]) for row in found]


def _band(axes: Axes, groups: Table | None, name: str, number: int) -> None:
    rows = np.array(_group_rows(groups, name))
    if len(rows):
        low = np.where(np.isfinite(rows[:, 2]), rows[:, 2], rows[:, 1])
        high = np.where(np.isfinite(rows[:, 3]), rows[:, 3], rows[:, 1])
        axes.fill_between(rows[:, 0], low, high, step="post", color=color(number), alpha=0.16, linewidth=0, zorder=2)


def _at_risk(
    page: Page, groups: Table | None, names: Sequence[str], places: np.ndarray, box: tuple[float, float, float, float]
) -> float:
    """Numbers under observation below the ticks."""
    left, top, width, last = box
    for number, name in enumerate(names):
        rows = np.array(_group_rows(groups, name))
        if not len(rows):
            continue
        page.text(left, top, "at risk", style.SMALL, color(number))
        for place in places:
            after = np.flatnonzero(rows[:, 0] >= place - 1e-9)
            count = int(rows[after[0], 4]) if len(after) else 0
            page.text(left + 60 + (width - 80) * place / last, top, str(count), style.SMALL, align="center")
        top += 20
    return top


def _legend(page: Page, plot: Plot, left: float, top: float) -> float:
    patients = 0
    for number, name in enumerate(plot.series):
        shade = color(number)
        if name.startswith(PATIENTS):
            shade, patients = PATIENT_COLORS[patients % len(PATIENT_COLORS)], patients + 1
        page.band(left + 4, top + 6, 24, 3, shade)
        page.text(left + 36, top + 8, name, style.SMALL)
        top += 20
    return top + 6


def draw_bars(page: Page, plot: Plot, left: float, top: float, width: float, signed: bool = True) -> float:
    """The one series of a bar chart as horizontal bars with their names; returns where it ends."""
    top = page.heading(left, top, plot.title, width)
    name, (_, values) = next(iter(plot.series.items()))
    room = SHARE * width
    height = 26.0 * len(values) + 6
    axes = chart(page, left + room, top, width - room - 70, height)
    for row, (label, value) in enumerate(zip(plot.categories, values, strict=True)):
        middle = top + 3 + 26 * (row + 0.5)
        page.text(left, middle, fitted(label, room - 12), style.SMALL)
        text = f"{value:+.2f}" if signed else f"{value:.0%}"
        page.text(left + width, middle, text.replace("-", "−"), style.SMALL, align="right")
        axes.barh(row, value, 0.66, color=RAISES if signed and value > 0 else LOWERS, zorder=3)
    reach = 1.08 * max([abs(v) for v in values] + [1e-6])
    low = -reach if signed else 0.0
    axes.set(ylim=(len(values) - 0.34, -0.66), xlim=(low, reach))
    axes.set_xticks(round_ticks(low, reach, 4))
    axes.axvline(0, color=style.INK, linewidth=1)
    axes.grid(True, axis="x", color=style.RULE, linewidth=0.6, zorder=0)
    set_font(axes)
    under = f"{name}; right raises the risk, left lowers it" if signed else name
    page.text(left + width, top + height + 32, under, style.SMALL, style.MUTED, align="right")
    return top + height + 48
