"""The figures a reader expects of SliceMarker: the three levels with their evidence, and the representative slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font, text_width
from manabi.plotting.report_page import INNER, SIDE, WIDTH, ReportPage
from manabi.plotting.views import CORONAL, SAGITTAL, letter, scale_bar, show
from manabi.result import Result
from manabi.slices.figure_page import GAP, draw_footer, draw_slice, report_page
from manabi.slices.figure_parts import BAR_MM, BRIGHT, DARK, SHORT, Scene, Shown, level_line, look
from manabi.slices.reading import NAMES
from manabi.slices.representative import Chosen
from manabi.volume import Volume

TALLEST_PX, PLANES_PX = 430, 520
CORONAL_PX, SAGITTAL_PX, CHART_PX = 480, 370, 260
COLUMNS, MOST = 5, 40
"""Of the contact sheet; more slices than ``MOST`` are left out, and that is said (our choice)."""
LEAST = 0.004
"""Probabilities below are on the axis and not drawn (our choice)."""


def draw_markers(volume: Volume, result: Result, folder: Path) -> list[Path]:
    """Draw the markers with their evidence, and the representative slices; PNGs of 1600 pixels in width.

    Everything is in radiological convention and true proportions, whatever way the input's array runs. No file name,
    date or other text of the patient is shown. Figures that are there already are replaced.

    Args:
        volume: the method's input.
        result: of SliceMarker on it.
        folder: gets ``markers.png`` and, where slices were chosen, ``representative.png``.

    Raises:
        InvalidInputError: where the result is not one of SliceMarker on this input, or writing is not allowed.
    """
    scene = Scene.of(volume, result)
    files = [_draw_levels(scene, folder / "markers.png")]
    if scene.chosen:
        files.append(_draw_sheet(scene, folder / "representative.png"))
    return files


def _draw_levels(scene: Scene, path: Path) -> Path:
    page = report_page(scene)
    top = page.draw_top("SliceMarker: lung apex, carina, diaphragm")
    top = _draw_triptych(page, scene, top) + 18
    left, bottom = _draw_planes(page, scene, top)
    right = _draw_numbers(page, scene, left, top, WIDTH - SIDE - left)
    draw_footer(page, scene, max(bottom, right) + 10)
    return page.save(path)


# --- the three levels ---------------------------------------------------------------------------------------------


def _draw_triptych(page: Page, scene: Scene, top: float) -> float:
    """The three slices side by side, in one scale."""
    width = (INNER - 2 * GAP) / 3
    _, size = scene.axial(0)
    height = min(width * size[1] / size[0], TALLEST_PX)
    for n, one in enumerate(scene.markers):
        left = SIDE + n * (width + GAP)
        _draw_caption(page, scene, one, left, top, width)
        if one.index is None:
            _draw_absent(page, one, (left, top + 46, width, height))
        else:
            draw_slice(page, scene, one.index, (left, top + 46, width, height), BRIGHT[one.marker])
    return top + 46 + height


def _draw_caption(page: Page, scene: Scene, one: Shown, left: float, top: float, width: float) -> None:
    page.band(left, top, 5, 40, DARK[one.marker])
    page.text(left + 13, top + 10, NAMES[one.marker], style.HEADING, bold=True)
    page.text(left + width, top + 10, f"confidence {one.confidence:.0%}", style.BODY, _sure_color(scene, one), True,
              "right")  # fmt: skip
    if one.z_mm is None:
        page.text(left + 13, top + 30, one.status, style.BODY, style.MUTED)
        return
    place = f"z {one.z_mm:.1f} mm · slice {one.slice_number} of 0 to {scene.stack.n - 1}".replace("-", "−")
    page.text(left + 13, top + 30, place, style.BODY, style.MUTED)


def _sure_color(scene: Scene, one: Shown) -> str:
    """Red where the method would have it checked."""
    least = float(scene.result.provenance.get("parameters", {}).get("min_confidence", 0.5))
    return style.ALERT if one.confidence < least else style.INK


def _draw_absent(page: Page, one: Shown, box: tuple[float, float, float, float]) -> None:
    left, top, width, height = box
    page.axes(*box, frame=style.RULE).set_facecolor(style.BAND)
    heading = "Not found" if one.status == "not found" else "Not in the image"
    page.text(left + width / 2, top + height / 2 - 12, heading, style.HEADING, style.MUTED, True, "center")
    where = {
        "above the image": "it lies above the upper end", "below the image": "it lies below the lower end",
        "not found": "it may be in the image",
    }  # fmt: skip
    page.text(left + width / 2, top + height / 2 + 12, where.get(one.status, one.status), style.BODY, style.MUTED,
              align="center")  # fmt: skip


# --- from the front, from the side, and the probabilities -----------------------------------------------------------


def _draw_planes(page: Page, scene: Scene, top: float) -> tuple[float, float]:
    """Coronal and sagittal plane and the chart, one beside the other at one height; returns where they end."""
    coronal, sagittal = scene.coronal(), scene.sagittal()
    tall = coronal[1][1]
    scale = min(PLANES_PX / tall, CORONAL_PX / coronal[1][0], SAGITTAL_PX / sagittal[1][0])
    left = float(SIDE)
    for (pixels, size, title), axis in ((coronal, CORONAL), (sagittal, SAGITTAL)):
        fits = text_width(title, style.BODY, True) <= size[0] * scale
        page.text(left, top + 8, title if fits else title.partition(",")[0], style.BODY, bold=True)
        axes = page.axes(left, top + 22, size[0] * scale, size[1] * scale)
        axes.set_facecolor("#000000")
        show(axes, pixels, size, look())
        letter(axes, axis, "#ffffff")
        scale_bar(axes, size, BAR_MM)
        for one in scene.levels:
            y = scene.limits_mm[1] - (one.z_mm or 0.0)
            level_line(axes, one, y, size[0], named=axis == CORONAL)
        axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
        left += size[0] * scale + GAP
    _draw_chart(page, scene, left + 8, top + 22, tall * scale)
    return left + CHART_PX + 90, top + 22 + tall * scale + 40


def _draw_chart(page: Page, scene: Scene, left: float, top: float, height: float) -> None:
    """Probability against position, at the height of the planes beside it."""
    page.text(left, top - 14, "Probability of each level", style.BODY, bold=True)
    axes = chart(page, left, top, CHART_PX, height, ("bottom", "right"))
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    for one in scene.levels:
        axes.axhline(one.z_mm or 0.0, color=DARK[one.marker], linewidth=0.9, linestyle=(0, (4, 3)))
    plot = scene.result.plots.get("probability")
    for marker, color in DARK.items():
        series = plot.series.get(NAMES[marker], ([], [])) if plot else ([], [])
        z, p = (np.asarray(values, float) for values in series)
        axes.fill_betweenx(z, 0, p, color=color, alpha=0.25, linewidth=0)
        near = np.convolve(p > LEAST, [1, 1, 1], "same") > 0 if len(p) else p > LEAST
        axes.plot(np.where(near, p, np.nan), z, ".-", color=color, linewidth=1.6, markersize=4)
    axes.set(xlim=(0, 1.04), ylim=scene.limits_mm)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks(_ticks(*scene.limits_mm))
    font = style.font(style.SMALL)
    axes.set_xlabel("Probability", fontproperties=font, color=style.INK)
    long = "Position towards the head (mm)"
    label = long if height > text_width(long, style.SMALL) else "z (mm)"
    axes.set_ylabel(label, fontproperties=font, color=style.INK)
    set_font(axes)


def _ticks(low: float, high: float) -> np.ndarray:
    """Round positions, about eight of them."""
    step = next((s for s in (5, 10, 20, 50, 100) if (high - low) / s <= 9), 200)
    return np.arange(np.ceil(low / step) * step, high, step)


def _draw_numbers(page: ReportPage, scene: Scene, left: float, top: float, width: float) -> float:
    """What was measured, and the warnings that are no alerts."""
    top = page.heading(left, top, "Levels", width)
    for one in scene.markers:
        page.band(left, top + 3, 10, 10, DARK[one.marker])
        page.text(left + 17, top + 8, SHORT[one.marker])
        where = one.status if one.z_mm is None else f"{one.z_mm:.1f} mm".replace("-", "−")
        page.text(left + width - 62, top + 8, where, align="right")
        page.text(left + width, top + 8, f"{one.confidence:.0%}", style.BODY, _sure_color(scene, one), True, "right")
        top += 22
    found = scene.result.measurements
    lines = [("Apex to diaphragm", "apex_to_diaphragm_mm", " mm"), ("Quality", "quality", ""),
             ("Slices looked at", "slices_evaluated", f" of {scene.stack.n}")]  # fmt: skip
    for name, key, unit in lines:
        if found.get(key) is not None:
            page.text(left + 17, top + 8, name, color=style.MUTED)
            page.text(left + width, top + 8, f"{found[key]}{unit}", align="right")
            top += 22
    return page.draw_notes(left, top + 14, width) if page.notes else top


# --- the representative slices ----------------------------------------------------------------------------------------


def _draw_sheet(scene: Scene, path: Path) -> Path:
    """All representative slices in rows, in one scale."""
    page = report_page(scene)
    noun = "slice" if len(scene.chosen) == 1 else "slices"
    top = page.draw_top(f"SliceMarker: {len(scene.chosen)} representative {noun}")
    shown = scene.chosen[:MOST]
    columns = min(max(len(shown), 3), COLUMNS)
    width = (INNER - (columns - 1) * GAP) / columns
    _, size = scene.axial(0)
    height = min(width * size[1] / size[0], TALLEST_PX)
    for n, one in enumerate(shown):
        row, column = divmod(n, columns)
        place = SIDE + column * (width + GAP), top + row * (height + 58)
        _draw_label(page, scene, one, *place, width)
        frame = BRIGHT.get(one.marker)
        draw_slice(page, scene, one.index, (place[0], place[1] + 40, width, height), frame)
    top += -(-len(shown) // columns) * (height + 58)
    if len(scene.chosen) > MOST:
        top = page.paragraph(SIDE, top, f"{len(scene.chosen) - MOST} more slices are not shown here.", INNER)
    draw_footer(page, scene, top, "Fraction: 0 at the apex, 0.5 at the carina, 1 at the diaphragm. ")
    return page.save(path)


def _draw_label(page: Page, scene: Scene, one: Chosen, left: float, top: float, width: float) -> None:
    title = f"{one.number}{f'  {SHORT[one.marker]}' if one.marker else ''}"
    page.text(left, top + 9, title, style.HEADING, DARK.get(one.marker, style.INK), True)
    share = "" if np.isnan(one.fraction) else f"fraction {one.fraction:.2f}"
    page.text(left + width, top + 9, share, style.SMALL, style.MUTED, align="right")
    text = f"z {one.z_mm:.1f} mm · slice {scene.stack.input_index(one.index)}".replace("-", "−")
    page.text(left, top + 27, text, style.SMALL, style.MUTED)
