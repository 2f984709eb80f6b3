"""The numbers of the study figure: binding ratios, grades and what else a reader compares, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font
from manabi.plotting.views import AXIAL, CORONAL, Look, letter, plane, show, size_mm
from manabi.result import Cell, Result
from manabi.spect.figure_images import REGION_COLORS, StudyImages, View, draw_regions
from manabi.spect.grade import MEANINGS

SIDES = ("right", "left")
"""In the order of the images: the patient's right first."""
STRUCTURES = ("caudate", "putamen")
GRADE_COLORS = {1: "#7f1d1d", 2: "#c2571a", 3: "#e3b341", 4: "#3f8f5a"}
REGIONS_PX = 190
ROW_PX = 21.0


def text_of(value: Cell, decimals: int = 2, unit: str = "", sign: bool = False) -> str:
    """A number as it is printed, with a true minus; an unknown one is a dash."""
    if value is None or isinstance(value, str) or not np.isfinite(value):
        return "–"
    return f"{value:{'+' if sign else ''}.{decimals}f}{unit}".replace("-", "−")


def flagged(result: Result) -> set[tuple[str, str]]:
    """Regions (structure, side) that an alert names."""
    return {
        (structure, side)
        for structure in STRUCTURES
        for side in SIDES
        if any("alert" in warning and f"{side} {structure}" in warning for warning in result.warnings)
    }


def draw_numbers(page: Page, images: StudyImages, result: Result, left: float, top: float, width: float) -> float:
    """Draw regions, tables and grades below each other; returns where they end."""
    if images.labels is not None:
        top = _draw_regions(page, images, left, top, width)
    if "changes" in result.tables:
        top = _draw_changes(page, result, left, top, width)
        top = _draw_derived(page, result, left, top, width)
    if "grades" in result.tables:
        top = _draw_grades(page, result, left, top, width)
    return top


def denoising(result: Result) -> list[str]:
    """What denoising did to the whole scan, in sentences."""
    found = result.measurements
    noise, counts = found.get("relative_noise_removed"), found.get("counts_after_over_before")
    texts = []
    if noise is not None:
        texts.append(f"Noise removed: {text_of(100 * float(noise), 1, ' %')} of the head's mean (1 SD).")
    if counts is not None:
        texts.append(f"Total counts after / before: {text_of(counts, 4)}.")
    if "changes" not in result.tables and not any("inding ratios" in warning for warning in result.warnings):
        texts.append("Binding ratios were not measured on this scan.")
    return texts


# --- where it was measured ----------------------------------------------------------------------------


def _draw_regions(page: Page, images: StudyImages, left: float, top: float, width: float) -> float:
    top = page.heading(left, top, "Volumes of interest on the denoised image", width)
    k, j, _ = images.peak
    look = Look(_grey(), 0.0, 0.75 * images.top)
    x = left
    for view in (View(AXIAL, k, "Axial"), View(CORONAL, j, "Coronal")):
        size = size_mm(images.after.shape, images.spacing_mm, view.axis)
        scale = min(REGIONS_PX / size[1], 190 / size[0])
        w, h = size[0] * scale, size[1] * scale
        axes = page.axes(x, top + (REGIONS_PX - h) / 2, w, h, style.RULE)
        show(axes, plane(images.after, view.axis, view.index), size, look)
        letter(axes, view.axis, look.letters)
        draw_regions(axes, images, view, size, 1.5)
        x += w + 6
    names = (("caudate", "Caudate"), ("putamen", "Putamen"), ("reference", "Occipital reference"))
    for row, (key, name) in enumerate(names):
        y = top + 16 + row * 22
        page.band(x + 6, y - 5, 22, 10, "#000000")
        page.band(x + 8, y - 2, 18, 4, REGION_COLORS[key])
        page.text(x + 34, y, name, style.SMALL)
    return top + REGIONS_PX + 14


def _grey() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("manabi_grey", ["#000000", "#ffffff"])


# --- binding ratios -------------------------------------------------------------------------------------


def _draw_changes(page: Page, result: Result, left: float, top: float, width: float) -> float:
    top = page.heading(left, top, "Specific binding ratio (SBR)", width)
    rows = _by_region(result)
    marked = flagged(result)
    columns = (("Region", 0, "left"), ("Before ± noise", 220, "right"), ("After", 276, "right"),
               ("Change", 344, "right"), ("÷ noise", 408, "right"))  # fmt: skip
    _header(page, left, top, columns)
    chart_left = left + 432
    first = top + ROW_PX
    for number, (region, row) in enumerate(rows.items()):
        y = first + ROW_PX * (number + 0.5)
        alert = region in marked
        if alert:
            page.band(left - 4, y - ROW_PX / 2 + 1, width + 8, ROW_PX - 2, style.ALERT_FILL)
        cells = (
            f"{region[0].capitalize()} {region[1]}",
            f"{text_of(row['sbr_input'])} ± {text_of(row['noise_sd'])}",
            text_of(row["sbr_denoised"]),
            text_of(row["change_percent"], 0, " %", sign=True),
            text_of(row["change_in_noise_sd"], 1, sign=True),
        )
        _line(page, left, y, columns, cells, style.ALERT if alert else style.INK, False)
    _dumbbells(page, rows, chart_left, first, width - 432)
    return page.paragraph(left, first + ROW_PX * len(rows) + 4, _meaning(result), 420, style.SMALL, style.MUTED) + 8


def _meaning(result: Result) -> str:
    """What the noise is, and that no alert was raised where that is so."""
    text = "Noise: 1 SD of the ratio before, estimated from what denoising removed."
    if any("alert" in warning for warning in result.warnings):
        return text
    limit = result.provenance.get("parameters", {}).get("alert_z")
    return f"{text} No over-correction alert{f' at {limit:g} SD' if limit else ''}."


def _by_region(result: Result) -> dict[tuple[str, str], dict[str, Cell]]:
    """Rows of the table of changes by (structure, side), the patient's right first."""
    table = result.tables["changes"]
    found = {}
    for cells in table.rows:
        row = dict(zip(table.columns, cells, strict=True))
        found[str(row["structure"]), str(row["side"])] = row
    return {(s, side): found[s, side] for s in STRUCTURES for side in SIDES if (s, side) in found}


def _dumbbells(page: Page, rows: dict[tuple[str, str], dict[str, Cell]], left: float, top: float, width: float) -> None:
    """Before (grey, with one noise SD) and after (blue) of every region on one scale, in line with the table."""
    axes = chart(page, left, top, width, ROW_PX * len(rows))
    values = []
    for number, row in enumerate(rows.values()):
        before, after, noise = (float(row[key] or 0) for key in ("sbr_input", "sbr_denoised", "noise_sd"))
        values += [before - noise, before + noise, after]
        axes.plot([before - noise, before + noise], [number] * 2, color=style.BEFORE, linewidth=5, alpha=0.45)
        axes.plot([before, after], [number] * 2, color=style.AFTER, linewidth=1.2)
        axes.plot([before], [number], "o", color=style.PAPER, markeredgecolor=style.BEFORE, markersize=6)
        axes.plot([after], [number], "o", color=style.AFTER, markersize=6)
    low, high = min(0.0, *values), max(1.0, *values)
    axes.set(xlim=(low, high + 0.06 * (high - low)), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xticks(_ticks(low, high))
    set_font(axes)
    page.text(left, top - ROW_PX / 2, "○ before", style.SMALL, style.MUTED)
    page.text(left + width, top - ROW_PX / 2, "● after", style.SMALL, style.AFTER, align="right")


def _ticks(low: float, high: float) -> list[float]:
    step = next((s for s in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if (high - low) / s <= 4.5), high - low)
    return [float(t) for t in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step]


def _draw_derived(page: Page, result: Result, left: float, top: float, width: float) -> float:
    found = result.measurements
    rows: list[tuple[str, Cell, Cell, int, str, str]] = []
    for structure in ("putamen", "caudate"):
        key = f"{structure}_asymmetry_percent"
        rows.append((f"{structure.capitalize()} asymmetry", *_pair(found, key), 0, " %", "200·|L − R| / (L + R)"))
    for side in SIDES:
        rows.append((f"Caudate / putamen {side}", *_ratio(result, side), 2, "", "ratio of their SBRs"))
    for side in SIDES:
        pair = _pair(found, f"southampton_sbr_{side}")
        rows.append((f"Southampton SBR {side}", *pair, 2, "", "whole striatum, large VOI"))
    columns = (("", 0, "left"), ("Before", 268, "right"), ("After", 334, "right"))
    top = page.heading(left, top, "Derived measures", width)
    _header(page, left, top, columns)
    for line, (name, before, after, decimals, unit, meaning) in enumerate(rows):
        y = top + ROW_PX * (line + 1.5)
        cells = (name, text_of(before, decimals, unit), text_of(after, decimals, unit))
        _line(page, left, y, columns, cells, style.INK, False)
        page.text(left + 356, y, meaning, style.SMALL, style.MUTED)
    return top + ROW_PX * (len(rows) + 1) + 10


def _pair(found: dict[str, Cell], key: str) -> tuple[Cell, Cell]:
    return found.get(f"{key}_input"), found.get(f"{key}_denoised")


def _ratio(result: Result, side: str) -> tuple[Cell, Cell]:
    """Caudate over putamen of a side, before and after."""
    table = result.tables.get("binding_ratios")
    if table is None:
        return None, None
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    chosen = {r["image"]: r["caudate_putamen_ratio"] for r in rows if (r["structure"], r["side"]) == ("putamen", side)}
    return chosen.get("input"), chosen.get("denoised")


# --- grades ---------------------------------------------------------------------------------------------


def _draw_grades(page: Page, result: Result, left: float, top: float, width: float) -> float:
    top = page.heading(left, top, "Grade of each striatum, with its probability", width)
    table = result.tables["grades"]
    rows = {(r[1], r[0]): dict(zip(table.columns, r, strict=True)) for r in table.rows}
    for side in SIDES:
        for image, word in (("input", "before"), ("denoised", "after")):
            row = rows.get((side, image))
            if row is None:
                continue
            y, grade = top + ROW_PX / 2, int(row["grade"] or 0)
            bold = image == "denoised"
            name = f"{side.capitalize()}, {word}"
            page.text(left, y, name, style.BODY, bold=bold)
            page.text(left + 120, y, str(grade), style.BODY, bold=bold)
            page.text(left + 138, y, MEANINGS.get(grade, ""), style.SMALL)
            _probability_bar(page, row, left + width - 146, y, 88)
            percent = text_of(100 * float(row["probability"] or 0), 0, " %")
            page.text(left + width, y, percent, style.BODY, bold=bold, align="right")
            top += ROW_PX
    x = left
    for grade in (4, 3, 2, 1):
        page.band(x, top + 6, 10, 10, GRADE_COLORS[grade])
        page.text(x + 15, top + 11, f"grade {grade}", style.SMALL, style.MUTED)
        x += 78
    return top + 32


def _probability_bar(page: Page, row: dict[str, Cell], left: float, y: float, width: float) -> None:
    for grade in (4, 3, 2, 1):
        part = width * float(row[f"p{grade}"] or 0)
        if part > 0:
            page.band(left, y - 6, part, 12, GRADE_COLORS[grade])
        left += part


# --- tables -----------------------------------------------------------------------------------------------


def _header(page: Page, left: float, top: float, columns: Sequence[tuple[str, float, str]]) -> None:
    for name, x, align in columns:
        page.text(left + x, top + ROW_PX / 2, name, style.SMALL, style.MUTED, align=align)


def _line(
    page: Page, left: float, y: float, columns: Sequence[tuple[str, float, str]], cells: Sequence[str], color: str,
    bold: bool,
) -> None:  # fmt: skip
    for (_, x, align), cell in zip(columns, cells, strict=True):
        page.text(left + x, y, cell, style.BODY, color, bold, align)
