"""The page of a fitted cohort: blocks side by side, risk groups, calibration, net benefit, what was selected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font
from manabi.plotting.report_page import INNER, SIDE
from manabi.radiomics.cohort.plots_parts import color, dash, marker, round_ticks
from manabi.radiomics.figure_page import GAP, draw_rows, made_by, number_text, report_page
from manabi.radiomics.figure_risk import draw_bars, draw_survival
from manabi.result import Plot, Result

HALF = (INNER - 2 * GAP) / 2
RIGHT = SIDE + HALF + 2 * GAP
LINES = 300
FOREST = 46
SHOWN_AS = "All numbers are out of fold: no patient was predicted by a model that had seen them."


def draw_cohort(result: Result, path: Path) -> Path:
    """Draw the result of a fit; returns the PNG."""
    page = report_page(result)
    top = page.draw_top("A model of a cohort: validation")
    facts = "   ".join(f"{k.replace('_', ' ')}: {number_text(result.measurements.get(k))}" for k in
                       ("patients", "events", "candidate_features", "model", "block", "model_inputs"))  # fmt: skip
    page.text(SIDE, top + 8, facts, style.BODY)
    top += 30
    row = [_differences(page, result, SIDE, draw_forest(page, result, SIDE, top, HALF) + GAP, HALF)]
    if "survival" in result.plots:
        row.append(
            draw_survival(page, result.plots["survival"], result.tables.get("cohort_survival"), RIGHT, top, HALF)
        )
    top = max(row) + GAP
    row = [top]
    if "calibration" in result.plots:
        row.append(draw_lines(page, result.plots["calibration"], SIDE, top, HALF))
    if "decision" in result.plots:
        row.append(draw_lines(page, result.plots["decision"], RIGHT, top, HALF))
    top = max(row) + GAP
    if "selection" in result.plots:
        top = draw_bars(page, result.plots["selection"], SIDE, top, INNER, signed=False)
    top = page.draw_notes(SIDE, top + GAP, INNER) + GAP
    page.draw_footer(top, SHOWN_AS, made_by(result))
    return page.save(path)


def draw_forest(page: Page, result: Result, left: float, top: float, width: float) -> float:
    """The score of every block with its interval; returns where it ends."""
    plot = result.plots["blocks"]
    top = page.heading(left, top, plot.title, width)
    names = plot.categories
    parts = {name: dict(zip(xs, ys, strict=True)) for name, (xs, ys) in plot.series.items()}
    axes = chart(page, left + 120, top, width - 320, FOREST * len(names))
    ends = [v for part in parts.values() for v in part.values()] + [0.5]
    low, high = min(ends) - 0.03, max(ends) + 0.03
    axes.axvline(0.5, color=style.MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for k, name in enumerate(names):
        at, less, more = (parts[key].get(float(k), np.nan) for key in ("estimate", "interval, low", "interval, high"))
        axes.plot([less, more], [k, k], color=color(k), linewidth=2)
        axes.plot([at], [k], marker(k), color=color(k), markersize=8)
        page.text(left, top + FOREST * (k + 0.5), name, style.BODY)
        page.text(
            left + width, top + FOREST * (k + 0.5), f"{at:.3f} ({less:.3f} to {more:.3f})", style.SMALL, align="right"
        )
    axes.set(xlim=(low, high), ylim=(len(names) - 0.5, -0.5), xticks=round_ticks(low, high, 5))
    set_font(axes)
    end = top + FOREST * len(names) + 36
    page.text(left, end, "dashed: knowing nothing; bars: 95 % intervals over patients", style.SMALL, style.MUTED)
    return end + 16


def draw_lines(page: Page, plot: Plot, left: float, top: float, width: float) -> float:
    """Lines of a chart with their legend; returns where it ends."""
    top = page.heading(left, top, plot.title, width)
    axes = chart(page, left + 60, top, width - 80, LINES, ("bottom", "left"))
    for k, (name, (xs, ys)) in enumerate(plot.series.items()):
        points = name.startswith("fifths")
        axes.plot(
            xs, ys, marker="s" if points else None, linestyle="none" if points else dash(k), color=color(k), linewidth=2
        )
    x = [v for xs, _ in plot.series.values() for v in xs]
    y = [v for _, ys in plot.series.values() for v in ys]
    axes.set_xticks(round_ticks(min(x), max(x)))
    axes.set_yticks(round_ticks(min(y), max(y)))
    axes.grid(True, axis="y", color=style.RULE, linewidth=0.6, zorder=0)
    set_font(axes)
    for text, set_label in ((plot.x_label, axes.set_xlabel), (plot.y_label, axes.set_ylabel)):
        set_label(style.printable(text), fontproperties=style.font(style.SMALL), color=style.INK, parse_math=False)
    return _draw_legend(page, list(plot.series), left, top + LINES + 58)


def _draw_legend(page: Page, names: Sequence[str], left: float, top: float) -> float:
    """The lines' names in two columns; returns where they end."""
    for k, name in enumerate(names):
        row, column = divmod(k, 2)
        page.band(left + 4 + 370 * column, top + 20 * row - 2, 24, 3, color(k))
        page.text(left + 36 + 370 * column, top + 20 * row, name, style.SMALL)
    return top + 20 * -(-len(names) // 2) + 6


def _differences(page: Page, result: Result, left: float, top: float, width: float) -> float:
    """What one block adds to another, in the score of discrimination."""
    table = result.tables.get("differences")
    if table is None:
        return top
    top = page.heading(left, top, "What one model adds to another", width)
    rows = [["difference", "estimate", "95 % interval", "p"]]
    main = str(result.plots["blocks"].y_label)
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        if not str(cells["score"]).endswith(f": {main}"):
            continue
        low, high = cells["low"], cells["high"]
        interval = "–" if low is None or high is None else f"{low:.3f} to {high:.3f}".replace("-", "−")
        rows.append(
            [str(cells["score"]).partition(":")[0], number_text(cells["estimate"]), interval, number_text(cells["p"])]
        )
    return draw_rows(page, left, top, [0.4 * width, 0.18 * width, 0.27 * width, 0.15 * width], rows)
