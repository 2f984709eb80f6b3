"""The numbers beside MVCTConvert's planes: verdict, HU check, quality, density, histogram, notes."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font
from manabi.plotting.report_page import ReportPage, fitted
from manabi.result import Cell, Result, Table

ROW = 19.0
CHART_PX = 170
COLUMN_PX, LAST_PX = 74, 96
VERDICTS = {
    "ok": ("No check failed", style.SERIES[2]),
    "flag": ("To be checked: see the alerts", style.NOTICE),
    "refuse": ("Do not use this image", style.ALERT),
}
COLORS = (style.BEFORE, style.AFTER, style.SERIES[1])
"""Of input, converted and reference."""
SHORT = {
    "difference in gradient, body (DIG-a)": "gradient difference, body (DIG-a)",
    "difference in gradient, flat regions (DIG-b)": "gradient difference, flat (DIG-b)",
    "water-equivalent thickness, front to back, mean": "water thickness, front to back",
    "water-equivalent thickness, right to left, mean": "water thickness, right to left",
    "the same, 95 % of paths within ±": "    95 % of paths within ±",
}


def draw_numbers(page: ReportPage, result: Result, left: float, top: float, width: float) -> float:
    """The column of numbers; returns where it ends."""
    words, color = VERDICTS.get(str(result.measurements.get("verdict")), ("", style.INK))
    if words:
        page.band(left, top + 2, 5, 20, color)
        page.text(left + 14, top + 12, words, style.HEADING, color, True)
        top += 34
    if "hu_check" in result.tables:
        top = _draw_hu(page, result.tables["hu_check"], left, top, width)
    if "quality" in result.tables:
        top = _draw_quality(page, result.tables["quality"], left, top, width)
    if "density" in result.tables:
        top = _draw_density(page, result.tables["density"], left, top, width)
    if "histogram" in result.plots:
        top = _draw_histogram(page, result, left, top, width)
    return page.draw_notes(left, top + 6, width) if page.notes else top


def _draw_hu(page: Page, table: Table, left: float, top: float, width: float) -> float:
    """A row per tissue: measured in each image, and what is expected of a kilovoltage CT."""
    top = page.heading(left, top, "HU check", width)
    cells = {(str(row[0]), str(row[1])): row for row in table.rows}
    images = list(dict.fromkeys(str(row[0]) for row in table.rows))
    tissues = list(dict.fromkeys(str(row[1]) for row in table.rows))
    titles = [*images, "expected"]
    _cells(page, left, top, width, "", [(title, style.MUTED, False) for title in titles])
    top += ROW
    for tissue in tissues:
        row: list[tuple[str, str, bool]] = []
        for image in images:
            found = cells.get((image, tissue))
            wrong = found is not None and found[7] == "no"
            row.append((_number(None if found is None else found[2], 0), style.ALERT if wrong else style.INK, wrong))
        found = cells.get(("converted", tissue))
        row.append(("" if found is None else f"{_number(found[3], 0)} ± {found[4]:.0f}", style.MUTED, False))
        _cells(page, left, top, width, tissue, row)
        top += ROW
    return top + 8


def _draw_quality(page: Page, table: Table, left: float, top: float, width: float) -> float:
    top = page.heading(left, top, "Image quality", width)
    _cells(page, left, top, width, "", [(name, style.MUTED, False) for name in table.columns[2:]])
    top += ROW
    for row in table.rows:
        name = SHORT.get(str(row[0]), str(row[0]))
        if name.startswith("mean error") or (name.startswith("mean absolute") and not name.endswith("body")):
            continue
        label = f"{name} ({row[1]})" if row[1] else name
        _cells(page, left, top, width, label, [(_number(cell, 1), style.INK, False) for cell in row[2:]])
        top += ROW
    return top + 8


def _draw_density(page: Page, table: Table, left: float, top: float, width: float) -> float:
    top = page.heading(left, top, "What a dose calculation would see", width)
    titles = ("input", "converted", "change")
    _cells(page, left, top, width, "", [(title, style.MUTED, False) for title in titles])
    top += ROW
    for row in table.rows:
        name = SHORT.get(str(row[0]), str(row[0]))
        if name.startswith("relative electron density, air"):
            continue
        digits = 3 if "density" in name else 1
        change = "" if row[4] is None else f"{_number(row[4], 1)} %"
        label = name.replace("relative electron density", "electron density") + (
            f" ({row[1]})" if row[1] == "mm" else ""
        )
        cells = [(_number(cell, digits), style.INK, False) for cell in row[2:4]]
        _cells(page, left, top, width, label, [*cells, (change, style.INK, False)])
        top += ROW
    return top + 8


def _draw_histogram(page: Page, result: Result, left: float, top: float, width: float) -> float:
    """The histograms of all images in the soft-tissue range."""
    plot = result.plots["histogram"]
    top = page.heading(left, top, plot.title, width)
    axes = chart(page, left + 40, top + 4, width - 50, CHART_PX, ("bottom", "left"))
    x = left + 60.0
    for (name, (xs, ys)), color in zip(plot.series.items(), COLORS, strict=False):
        axes.plot(xs, ys, color=color, linewidth=1.6)
        page.band(x, top + CHART_PX + 50, 14, 3, color)
        page.text(x + 20, top + CHART_PX + 51, name, style.SMALL)
        x += 110
    highest = max((max(ys) for _, ys in plot.series.values()), default=1.0)
    axes.set(xlim=_span(plot.series), ylim=(0, 1.05 * max(highest, 1e-6)))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    set_font(axes)
    font = style.font(style.SMALL)
    axes.set_xlabel("HU", fontproperties=font, color=style.INK, labelpad=1)
    axes.set_ylabel("% per 5 HU", fontproperties=font, color=style.INK)
    return top + CHART_PX + 66


def _span(series: dict[str, tuple[list[float], list[float]]]) -> tuple[float, float]:
    values = np.concatenate([np.asarray(xs, float) for xs, _ in series.values()])
    return float(values.min()), float(values.max())


def _cells(
    page: Page, left: float, top: float, width: float, label: str, cells: list[tuple[str, str, bool]]
) -> None:  # fmt: skip
    """A label, and cells at the right, the last one wider."""
    room = width - LAST_PX - COLUMN_PX * (len(cells) - 1) - 6
    if label:
        page.text(left, top + ROW / 2, fitted(label, room), style.SMALL)
    for number, (text, color, bold) in enumerate(reversed(cells)):
        place = left + width - (0 if number == 0 else LAST_PX + COLUMN_PX * (number - 1))
        page.text(place, top + ROW / 2, text, style.SMALL, color, bold, "right")


def _number(value: Cell, digits: int) -> str:
    """A number with a true minus sign; a dash where there is none."""
    if value is None or isinstance(value, str):
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")
