"""What every figure of SliceMarker has: a title, alerts, axial slices in one scale, and how all this was made."""

from __future__ import annotations

from manabi.plotting import style
from manabi.plotting.page import Page, line_height, text_width, wrap
from manabi.plotting.views import AXIAL, letter, show
from manabi.result import Result
from manabi.slices.figure_parts import WINDOW, Scene, look, scale_bar
from manabi.slices.method import SliceMarker

WIDTH, SIDE, GAP = 1600, 24, 16
INNER = WIDTH - 2 * SIDE
SIMULATED = "trained on simulated data"


def alerts(result: Result) -> list[str]:
    """Warnings that a reader must not overlook."""
    return [w for w in result.warnings if w.startswith(SliceMarker.alert_prefixes)]


def notes(result: Result) -> list[str]:
    """The other warnings, but for the one that has its own badge."""
    return [w for w in result.warnings if not w.startswith(SliceMarker.alert_prefixes) and SIMULATED not in w]


def draw_title(page: Page, result: Result, title: str) -> float:
    """The title, and a badge for a model that was trained on simulated data; returns where what follows may start."""
    page.text(SIDE, 30, title, style.TITLE, bold=True)
    if any(SIMULATED in w for w in result.warnings):
        badge = "Trained on simulated data; for research use"
        width = text_width(badge, style.HEADING, True) + 28
        page.box(WIDTH - SIDE - width, 12, width, 36, style.NOTICE, style.NOTICE_FILL)
        page.text(WIDTH - SIDE - width / 2, 30, badge, style.HEADING, style.NOTICE, True, "center")
    return 62.0


def draw_alerts(page: Page, result: Result, top: float) -> float:
    """What must not be overlooked, in a red box; returns where what follows may start."""
    lines = [
        ("• " if n == 0 else "   ") + line for text in alerts(result) for n, line in enumerate(wrap(text, INNER - 60))
    ]  # fmt: skip
    if not lines:
        return top
    height = 20 + len(lines) * line_height()
    page.box(SIDE, top, INNER, height, style.ALERT, style.ALERT_FILL)
    for n, line in enumerate(lines):
        page.text(SIDE + 16, top + 10 + (n + 0.5) * line_height(), line, color=style.INK)
    return top + height + 14


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
    scale_bar(axes, size)


def draw_footer(page: Page, scene: Scene, top: float, first: str = "") -> None:
    """How the images are shown, and what made the result."""
    level, width = WINDOW
    pixel = " × ".join(f"{s:.2f}" for s in (*scene.stack.pixel_mm, scene.stack.spacing_mm))
    shown = (
        f"{first}Radiological convention: the patient's right (R) is on the left; lung window, level {level:.0f}, "
        f"width {width:.0f} HU; voxels {pixel} mm, blended for display; slices are counted from 0 along the image's "
        "own axis."
    )
    page.band(SIDE, top, INNER, 1, style.RULE)
    top = page.paragraph(SIDE, top + 5, shown.replace("-", "−"), INNER, style.SMALL, style.MUTED)
    made = _how_made(scene.result)
    if made:
        page.paragraph(SIDE, top, made, INNER, style.SMALL, style.MUTED)


def _how_made(result: Result) -> str:
    known = result.provenance
    if not known:
        return ""
    used = known.get("bundle")
    parts = [f"Manabi {known.get('manabi', '')}"]
    if used:
        parts.append(f"bundle {used.get('name')} {used.get('version')} ({str(used.get('weights_sha256', ''))[:12]})")
    else:
        parts.append("tracking of airway and lungs, no model")
    return " · ".join(parts) + " · not a medical device; the reader decides."
