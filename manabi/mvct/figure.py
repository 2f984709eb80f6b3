"""The figure a reader expects of MVCTConvert: what came in, what came out, what changed, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from manabi.mvct.figure_numbers import draw_numbers
from manabi.mvct.figure_planes import LEVEL, WIDTH_HU, Scene, draw_planes
from manabi.mvct.method import MVCTConvert
from manabi.plotting.report_page import SIDE, WIDTH, ReportPage, how_made
from manabi.result import Result
from manabi.volume import Volume

PLANES_PX, NUMBERS_PX = 970, 620
"""Width of the planes at most, and of the numbers at most."""
GAP = 28
OBLIQUE_DEG = 3.0
"""Tilt above which the figure says that its planes are not the patient's (our choice)."""


def draw_study(inputs: Mapping[str, Volume], result: Result, path: Path) -> Path:
    """Draw a conversion as a PNG of 1600 pixels in width.

    Rows: input, converted, both as a checkerboard, difference, and where they are there uncertainty and cycle residual;
    columns: axial, coronal, sagittal. Radiological convention, true proportions, whatever way the input's array runs.
    No file name, date or other text of the patient is shown. A figure that is there already is replaced.

    Args:
        inputs: of the method.
        result: of MVCTConvert on them.
        path: PNG file to write.

    Raises:
        InvalidInputError: where the result is not one of MVCTConvert on this input, or writing is not allowed.
    """
    scene = Scene.of(inputs["ct"], result)
    page = ReportPage(result, MVCTConvert.alert_prefixes)
    top = page.draw_top("MVCTConvert: input and converted image")
    right, left_end = draw_planes(page, scene, SIDE, top, PLANES_PX)
    left = right + GAP
    right_end = draw_numbers(page, result, left, top, min(WIDTH - SIDE - left, NUMBERS_PX))
    page.draw_footer(max(left_end, right_end) + 8, _how_shown(scene), _how_made(result))
    return page.save(path)


def _how_shown(scene: Scene) -> str:
    voxels = " × ".join(f"{s:.2f}" for s in scene.spacing_mm)
    parts = [
        "Radiological convention: the patient's right (R) is on the left",
        f"soft-tissue window, level {LEVEL:.0f}, width {WIDTH_HU:.0f} HU, the same for all grey images",
        f"voxels {voxels} mm, blended for display",
    ]
    if len(scene.planes) > 1:
        parts.append("yellow marks: where the other planes lie")
    if scene.tilt_deg > OBLIQUE_DEG:
        parts.append(f"the image's axes are tilted by {scene.tilt_deg:.0f}°: letters name the nearest direction")
    return "; ".join(parts) + "."


def _how_made(result: Result) -> str:
    settings = result.provenance.get("parameters", {})
    converter = str(settings.get("converter", "network"))
    doubt = [f"uncertainty {settings.get('uncertainty')}"] if "uncertainty" in result.volumes else []
    made = how_made(result, [f"converter {converter}"], "no model", doubt)
    return f"{made} Synthetic image: for contouring beside the input, not for dose." if made else ""
