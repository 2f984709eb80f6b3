"""What every figure of SliceMarker has beside its title and notes: axial slices in one scale, and a footer."""

from __future__ import annotations

from manabi.plotting.page import Page
from manabi.plotting.report_page import ReportPage, how_made
from manabi.plotting.views import AXIAL, letter, scale_bar, show
from manabi.slices.figure_parts import BAR_MM, WINDOW, Scene, look
from manabi.slices.method import SliceMarker

GAP = 16


def report_page(scene: Scene) -> ReportPage:
    """An empty page about the scene's result."""
    return ReportPage(scene.result, SliceMarker.alert_prefixes)


def draw_slice(
    page: Page, scene: Scene, k: int, box: tuple[float, float, float, float], frame: str | None = None
) -> None:  # fmt: skip
    """An axial slice in the middle of a black box, with letters and a scale bar."""
    left, top, width, height = box
    pixels, size = scene.axial(k)
    scale = min(width / size[0], height / size[1])
    if frame:
        page.band(left - 3, top - 3, width + 6, height + 6, frame)
    page.band(*box, "#000000")
    shown = size[0] * scale, size[1] * scale
    axes = page.axes(left + (width - shown[0]) / 2, top + (height - shown[1]) / 2, *shown)
    show(axes, pixels, size, look())
    letter(axes, AXIAL, "#ffffff")
    scale_bar(axes, size, BAR_MM)


def draw_footer(page: ReportPage, scene: Scene, top: float, first: str = "") -> None:
    """How the images are shown, and what made the result."""
    level, width = WINDOW
    pixel = " × ".join(f"{s:.2f}" for s in (*scene.stack.pixel_mm, scene.stack.spacing_mm))
    shown = (
        f"{first}Radiological convention: the patient's right (R) is on the left; lung window, level {level:.0f}, "
        f"width {width:.0f} HU; voxels {pixel} mm, blended for display; slices are counted from 0 along the image's "
        "own axis."
    )
    made = how_made(scene.result, unbundled="tracking of airway and lungs, no model")
    page.draw_footer(top, shown.replace("-", "−"), made)
