"""The figure a reader expects of SPECTDenoise: before, after, difference, uncertainty, and the binding ratios."""

from __future__ import annotations

from pathlib import Path

from manabi.plotting import style
from manabi.plotting.report_page import INNER, SIDE, TITLE_PX, WIDTH, ReportPage, how_made
from manabi.result import Result
from manabi.spect.figure_images import StudyImages, draw_images, prepare
from manabi.spect.figure_numbers import denoising, draw_numbers
from manabi.spect.method import SPECTDenoise
from manabi.volume import Volume

IMAGES_PX, NUMBERS_PX = 980, 548
ADVICE = "Read the scan that was not denoised."
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
    page = ReportPage(result, SPECTDenoise.alert_prefixes)
    page.draw_title("SPECTDenoise: before and after denoising")
    top = _draw_alerts(page, TITLE_PX)
    measured = images.labels is not None or "changes" in result.tables
    left_end = draw_images(page, images, SIDE - 6, top, IMAGES_PX if measured else INNER)
    left, right_end = WIDTH - SIDE - NUMBERS_PX, top
    if measured:
        right_end = draw_numbers(page, images, result, left, top, NUMBERS_PX)
    if measured and right_end < left_end:
        right_end = page.draw_notes(left, right_end, NUMBERS_PX, denoising(result), style.BODY)
    else:
        width = (IMAGES_PX if measured else INNER) - 20
        left_end = page.draw_notes(SIDE, left_end + 6, width, denoising(result), style.BODY)
    page.draw_footer(max(left_end, right_end) + 6, _how_shown(images), _how_made(result))
    return page.save(path)


def _draw_alerts(page: ReportPage, top: float) -> float:
    """The alerts; advice that they share is their heading."""
    heading = f"ALERT: {ADVICE[0].lower()}{ADVICE[1:]}" if any(ADVICE in text for text in page.alerts) else "ALERT"
    return page.draw_alerts([text.replace(ADVICE, "").strip() for text in page.alerts], top, heading)


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


def _how_made(result: Result) -> str:
    """Pipeline, bundle or denoiser, and reference region."""
    settings = result.provenance.get("parameters", {})
    reference = str(settings.get("reference", "occipital")).replace("_", " ")
    return how_made(
        result, [f"pipeline {settings.get('pipeline', 'ours')}"], f"denoiser {settings.get('denoiser', 'unknown')}",
        [f"reference {reference}"],
    )  # fmt: skip
