"""The figure of BrainSeg's structures: outlines on the image, where they are unsure, and their volumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from manabi.brain.figure_page import (
    CAPTION,
    Paint,
    Row,
    doubt_colors,
    draw_footer,
    draw_row,
    grey,
    outlines,
    overlay,
    report_page,
    row_width,
    scale_of,
    shown_color,
)
from manabi.brain.figure_scene import Scene, View
from manabi.brain.report import PLAUSIBLE_ML
from manabi.brain.structures import COLORS, SIDED, STRUCTURES
from manabi.plotting import style
from manabi.plotting.page import Page
from manabi.plotting.report_page import SIDE, WIDTH, ReportPage
from manabi.plotting.views import AXIAL, CORONAL, Look, outline, plane
from manabi.result import Cell

IMAGES_PX, NUMBERS_PX = 1014, 514
TALLEST_PX = 440
MORE = (0.16, 0.33, 0.67, 0.84)
"""Where further axial slices lie, as fractions of the brain's height (our choice)."""
LEAST_SHOWN = 0.3
"""Confidence at which the colours end (our choice)."""
CLEAR = 0.2
"""What lacks this much confidence covers the image entirely; what lacks less shines through (our choice)."""
PATCH_MM = 1.5
"""The confidence is averaged over about this before patches of low confidence are marked: edges of structures are
unsure by a voxel everywhere, and of no interest (our choice)."""
DOUBT = "#ff2d20"
ROW_PX = 22.0
SIDES_PX, RANGE_PX = 170, 256
"""Where the parts of the chart begin; of the sides, the middle."""
SIDE_PX = 64
REASONS = {"mean confidence": "confidence", "adults have": "both", "none was found": "both", "larger": "difference"}
"""What an alert says, and the column of the table that it is about."""


def draw_structures(scene: Scene, path: Path) -> Path:
    """Draw the figure; see :func:`manabi.brain.figure.draw_result`."""
    page = report_page(scene)
    top = page.draw_top("BrainSeg: brain structures")
    labels = scene.labels(scene.result.labelmaps["structures"])
    left_end = _draw_images(page, scene, labels, top)
    left = WIDTH - SIDE - NUMBERS_PX
    right_end = _draw_table(page, scene, left, top)
    right_end = _draw_ranges(page, scene, left, right_end + 12)
    right_end = _draw_confidence(page, scene, labels, left, right_end + 12)
    right_end = page.draw_notes(left, right_end + 8, NUMBERS_PX)
    draw_footer(page, scene, max(left_end, right_end) + 6)
    return page.save(path)


# --- images -----------------------------------------------------------------------------------------------------------


def _draw_images(page: Page, scene: Scene, labels: np.ndarray, top: float) -> float:
    """Three planes through the middle of what was found, and further axial slices."""
    paint = outlines(labels, scene.result.labelmaps["structures"])
    planes = scene.views_through(labels > 0)
    scale = scale_of(scene, planes, IMAGES_PX, TALLEST_PX)
    top = draw_row(page, scene, Row(planes, scene.image, grey(scene), paint), SIDE, top, scale)
    more = scene.spread_views(labels > 0, AXIAL, MORE)
    scale = min(scale_of(scene, more, IMAGES_PX, TALLEST_PX), scale)
    return draw_row(page, scene, Row(more, scene.image, grey(scene), paint), SIDE, top, scale)


def _draw_confidence(page: Page, scene: Scene, labels: np.ndarray, left: float, top: float) -> float:
    """An axial and a coronal plane through the least sure place, patches below the limit marked."""
    from scipy import ndimage

    confidence = np.asarray(scene.layer(scene.result.volumes["confidence"]), np.float32)
    spread = ndimage.gaussian_filter(confidence, PATCH_MM / scene.spacing_mm[::-1])
    low = spread < least_confidence(scene)
    top = page.heading(left, top, "Confidence, through the least sure place", NUMBERS_PX)
    place = np.unravel_index(int(spread.argmin()), spread.shape)
    views = [View(axis, int(place[axis])) for axis in (AXIAL, CORONAL)]
    scale = scale_of(scene, views, NUMBERS_PX - 72, TALLEST_PX)
    colors = Look(doubt_colors(), LEAST_SHOWN, 1.0)
    dim = Look(grey(scene).colors, scene.window[0], scene.window[0] + 1.4 * (scene.window[1] - scene.window[0]))
    row = Row(views, scene.image, dim, _doubt(labels, confidence, low, colors))
    bottom = draw_row(page, scene, row, left, top, scale)
    x, height = left + row_width(scene, views, scale) + 10, bottom - top - CAPTION - 20
    page.color_bar(x, top + CAPTION + 6, height, colors.colors, (colors.low, colors.high), "confidence", "min")
    text = (
        "Confidence is the network's probability of the label; edges are unsure by a voxel everywhere. Red lines: "
        f"patches wider than an edge below {least_confidence(scene):.2f}"
    )
    text += f", {np.count_nonzero(low) * float(np.prod(scene.spacing_mm)) / 1000:.1f} mL." if low.any() else "; none."
    return page.paragraph(left, bottom, text, NUMBERS_PX, style.SMALL, style.MUTED)


def _doubt(labels: np.ndarray, confidence: np.ndarray, low: np.ndarray, look: Look) -> Paint:
    """Colours where the answer is unsure, red edges around patches below the limit."""

    def paint(axes: Axes, view: View, size: tuple[float, float]) -> None:
        """Draw both on a plane, and the structures' edges in thin white."""
        sure = plane(confidence, view.axis, view.index)
        overlay(axes, sure, look, (1.0 - sure) / CLEAR, size)
        cut = plane(labels, view.axis, view.index)
        for label in np.unique(cut[cut > 0]):
            outline(axes, cut == label, size, "#ffffff", 0.4)
        outline(axes, plane(low, view.axis, view.index), size, DOUBT, 1.6)

    return paint


def least_confidence(scene: Scene) -> float:
    """The user's limit."""
    return float(scene.result.provenance.get("parameters", {}).get("min_confidence", 0.6))


# --- numbers ----------------------------------------------------------------------------------------------------------


def _rows(scene: Scene) -> dict[str, dict[str, dict[str, Cell]]]:
    """The table's rows by structure and side."""
    table = scene.result.tables["volumes"]
    found: dict[str, dict[str, dict[str, Cell]]] = {}
    for cells in table.rows:
        row = dict(zip(table.columns, cells, strict=True))
        found.setdefault(str(row["structure"]), {})[str(row["side"])] = row
    return {name: found[name] for name in STRUCTURES if name in found}


def _marked(page: ReportPage, structure: str) -> set[str]:
    """Columns of a structure's row that an alert is about."""
    said = [text for text in page.alerts if f"the {structure}" in text]
    return {column for text in said for reason, column in REASONS.items() if reason in text}


def text_of(value: Cell, decimals: int, sign: bool = False) -> str:
    """A number as it is printed, with a true minus; an unknown one is a dash."""
    if value is None or isinstance(value, str) or not np.isfinite(value):
        return "–"
    rounded = round(value, decimals) or 0.0
    return f"{rounded:{'+' if sign and rounded else ''}.{decimals}f}".replace("-", "−")


def _draw_table(page: ReportPage, scene: Scene, left: float, top: float) -> float:
    top = page.heading(left, top, "Volumes (mL)", NUMBERS_PX)
    columns = (("right", 190), ("left", 266), ("both", 346), ("R − L (%)", 428), ("confidence", NUMBERS_PX))
    for name, x in columns:
        page.text(left + x, top + ROW_PX / 2, name, style.SMALL, style.MUTED, align="right")
    for structure, sides in _rows(scene).items():
        top += ROW_PX
        marked = _marked(page, structure)
        if any(f"the {structure}" in text for text in page.alerts):
            page.band(left - 4, top + 1, NUMBERS_PX + 8, ROW_PX - 2, style.ALERT_FILL)
        page.band(left, top + ROW_PX / 2 - 6, 12, 12, shown_color(COLORS[structure]))
        page.text(left + 20, top + ROW_PX / 2, structure.capitalize())
        for (key, cell), (_, x) in zip(_cells(structure, sides).items(), columns, strict=True):
            color = style.ALERT if key in marked else style.INK
            page.text(left + x, top + ROW_PX / 2, cell, color=color, bold=key == "both" or key in marked, align="right")
    return top + ROW_PX


def _cells(structure: str, sides: Mapping[str, Mapping[str, Cell]]) -> dict[str, str]:
    """A structure's row as text, by what the columns hold; sides are empty where it has none."""
    whole = sides.get("both", sides.get("", {}))
    decimals = 0 if float(whole.get("volume_ml") or 0) >= 200 else 1
    cells = {side: text_of(sides.get(side, {}).get("volume_ml"), decimals) for side in ("right", "left")}
    cells["both"] = text_of(whole.get("volume_ml"), decimals)
    cells["difference"] = text_of(whole.get("left_right_difference_percent"), 1, True)
    if structure not in SIDED:
        cells |= {"right": "", "left": "", "difference": ""}
    return cells | {"confidence": text_of(whole.get("confidence"), 2)}


def _draw_ranges(page: Page, scene: Scene, left: float, top: float) -> float:
    """Bars of both sides, and where the whole lies in what adults have; every row in its own scale."""
    top = page.heading(left, top, "Sides, and the whole within what adults have", NUMBERS_PX)
    page.text(left + SIDES_PX, top + 10, "right | left", style.SMALL, style.MUTED, align="center")
    page.text(left + RANGE_PX, top + 10, "from 0; grey: plausible (wide)", style.SMALL, style.MUTED)
    page.text(left + NUMBERS_PX, top + 10, "mL", style.SMALL, style.MUTED, align="right")
    top += ROW_PX
    for structure, sides in _rows(scene).items():
        middle = top + 0.5 * ROW_PX
        page.text(left, middle, structure.capitalize(), style.SMALL)
        if structure in SIDED:
            _draw_sides(page, structure, sides, left + SIDES_PX, middle)
        _draw_range(page, structure, sides.get("both", sides.get("", {})), left, middle)
        top += ROW_PX + 2
    return top


def _draw_sides(page: Page, structure: str, sides: dict[str, Any], middle: float, y: float) -> None:
    """Two bars from a line outwards, the patient's right on the left."""
    volumes = {side: float(sides.get(side, {}).get("volume_ml") or 0.0) for side in ("right", "left")}
    longest = max(volumes.values()) or 1.0
    for side, volume in volumes.items():
        width = SIDE_PX * volume / longest
        page.band(middle - width if side == "right" else middle, y - 7, width, 14, shown_color(COLORS[structure]))
    page.text(middle - SIDE_PX + 4, y, "R", style.SMALL)
    page.text(middle + SIDE_PX - 4, y, "L", style.SMALL, align="right")
    page.band(middle - 1, y - 10, 2, 20, style.INK)


def _draw_range(page: Page, structure: str, row: dict[str, Cell], left: float, y: float) -> None:
    """A scale from 0 with the plausible range in grey and the volume as a mark; the number alone without a range."""
    volume = float(row.get("volume_ml") or 0.0)
    limits, color = PLAUSIBLE_ML.get(structure), style.INK
    if limits:
        color = style.INK if limits[0] <= volume <= limits[1] else style.ALERT
        start, width, end = left + RANGE_PX, NUMBERS_PX - RANGE_PX - 54, max(1.25 * limits[1], 1.1 * volume)
        page.band(start, y, width, 1, style.MUTED)
        page.band(start + width * limits[0] / end, y - 5, width * (limits[1] - limits[0]) / end, 11, style.RULE)
        page.band(start + width * volume / end - 2, y - 9, 4, 19, color)
    page.text(left + NUMBERS_PX, y, text_of(volume, 0 if volume >= 200 else 1), style.SMALL, color, True, "right")
