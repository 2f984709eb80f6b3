"""The figure a reader expects of SPECTDenoise: before, after, difference, uncertainty, and the binding ratios."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manabi.plotting import style
from manabi.plotting.page import Page, line_height, text_width, wrap
from manabi.result import Result
from manabi.spect.figure_images import StudyImages, draw_images, prepare
from manabi.spect.figure_numbers import denoising, draw_numbers
from manabi.spect.method import SPECTDenoise
from manabi.volume import Volume

WIDTH, SIDE = 1600, 24
IMAGES_PX, NUMBERS_PX = 980, 548
ALERTS = SPECTDenoise.alert_prefixes
"""How warnings begin that belong into the red box."""
ADVICE = "Read the scan that was not denoised."
SIMULATED = "trained on simulated data"
OBLIQUE_DEG = 3.0
"""Tilt above which the figure says that its planes are not the patient's (our choice)."""


def draw_study(before: Volume, result: Result, path: Path) -> Path:
    """Draw a denoised study as a PNG of 1600 pixels by about 1100, and more where there are alerts.

    Axial slices (the hottest and its neighbours), a coronal and a sagittal one, in radiological convention and true
    proportions; before and after in one window, in units of the input's reference region where one was measured. No
    file name, date or other text of the patient is shown. A figure that is there already is replaced.

    Args:
        before: the method's input.
        result: of SPECTDenoise, with or without binding ratios and uncertainty, of either pipeline.
        path: PNG file to write.

    Raises:
        InvalidInputError: where the result is not one of SPECTDenoise on this input, or writing is not allowed.
    """
    images = prepare(before, result)
    page = Page(WIDTH)
    top = _draw_title(page, result)
    top = _draw_alerts(page, result, top)
    measured = images.labels is not None or "changes" in result.tables
    left_end = draw_images(page, images, SIDE - 6, top, IMAGES_PX if measured else WIDTH - 2 * SIDE)
    left, right_end = WIDTH - SIDE - NUMBERS_PX, top
    if measured:
        right_end = draw_numbers(page, images, result, left, top, NUMBERS_PX)
    if measured and right_end < left_end:
        right_end = _draw_notes(page, result, left, right_end, NUMBERS_PX)
    else:
        left_end = _draw_notes(page, result, SIDE, left_end + 6, (IMAGES_PX if measured else WIDTH - 2 * SIDE) - 20)
    _draw_footer(page, images, result, max(left_end, right_end) + 6)
    return page.save(path)


def alerts(result: Result) -> list[str]:
    """Warnings that a reader must not overlook."""
    return [w for w in result.warnings if w.startswith(ALERTS)]


def notes(result: Result) -> list[str]:
    """The other warnings, but for the one that has its own badge."""
    return [w for w in result.warnings if not w.startswith(ALERTS) and SIMULATED not in w]


def _draw_title(page: Page, result: Result) -> float:
    page.text(SIDE, 30, "SPECTDenoise: before and after denoising", style.TITLE, bold=True)
    if any(SIMULATED in w for w in result.warnings):
        badge = "Trained on simulated data; for research use"
        width = text_width(badge, style.HEADING, True) + 28
        page.box(WIDTH - SIDE - width, 12, width, 36, style.NOTICE, style.NOTICE_FILL)
        page.text(WIDTH - SIDE - width / 2, 30, badge, style.HEADING, style.NOTICE, True, "center")
    return 62.0


def _draw_alerts(page: Page, result: Result, top: float) -> float:
    found = alerts(result)
    if not found:
        return top
    advice = any(ADVICE in w for w in found)
    width = WIDTH - 2 * SIDE
    lines = [
        ("• " if n == 0 else "   ") + line
        for text in found
        for n, line in enumerate(wrap(text.replace(ADVICE, "").strip(), width - 60))
    ]
    height = 40 + len(lines) * line_height()
    page.box(SIDE, top, width, height, style.ALERT, style.ALERT_FILL)
    title = f"ALERT: {ADVICE[0].lower()}{ADVICE[1:]}" if advice else "ALERT"
    page.text(SIDE + 16, top + 20, title, style.HEADING, style.ALERT, bold=True)
    for n, line in enumerate(lines):
        page.text(SIDE + 16, top + 34 + (n + 0.5) * line_height(), line, color=style.INK)
    return top + height + 14


def _draw_notes(page: Page, result: Result, left: float, top: float, width: float) -> float:
    top = page.heading(left, top, "Notes", width)
    for text in [*denoising(result), *notes(result)]:
        top = page.paragraph(left, top, text, width) + 3
    return top


def _draw_footer(page: Page, images: StudyImages, result: Result, top: float) -> None:
    lines = [_how_shown(images), _how_made(result.provenance)]
    page.band(SIDE, top, WIDTH - 2 * SIDE, 1, style.RULE)
    top += 5
    for text in filter(None, lines):
        top = page.paragraph(SIDE, top, text, WIDTH - 2 * SIDE, style.SMALL, style.MUTED)


def _how_shown(images: StudyImages) -> str:
    spacing = " × ".join(f"{s:.2f}" for s in images.spacing_mm)
    parts = [
        "Radiological convention: the patient's right (R) is on the left",
        f"voxels {spacing} mm, blended for display",
        "before and after in one window; colours: ImageJ's Cool",
    ]
    if not images.is_flat:
        parts.append("triangles: where the coronal and the sagittal plane lie")
    if images.unit == "× background":
        parts.append("1 = mean of the input's occipital reference")
    if images.tilt_deg > OBLIQUE_DEG:
        parts.append(f"the image's axes are tilted by {images.tilt_deg:.0f}°: letters name the nearest direction")
    return "; ".join(parts) + "."


def _how_made(provenance: dict[str, Any]) -> str:
    if not provenance:
        return ""
    used, settings = provenance.get("bundle"), provenance.get("parameters", {})
    parts = [f"Manabi {provenance.get('manabi', '')}", f"pipeline {settings.get('pipeline', 'ours')}"]
    if used:
        parts.append(f"bundle {used.get('name')} {used.get('version')} ({str(used.get('weights_sha256', ''))[:12]})")
    else:
        parts.append(f"denoiser {settings.get('denoiser', 'unknown')}")
    parts.append(f"reference {str(settings.get('reference', 'occipital')).replace('_', ' ')}")
    return " · ".join(parts) + " · not a medical device; the reader decides."
