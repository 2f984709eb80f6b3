"""What every figure of RadiomicsSurvival has: a title, a badge, alerts, tables of text, notes, and how it was made."""

from __future__ import annotations

from collections.abc import Sequence

from manabi.plotting import style
from manabi.plotting.page import Page, line_height, text_width, wrap
from manabi.radiomics.method import RadiomicsSurvival
from manabi.result import Result

WIDTH, SIDE, GAP = 1600, 24, 16
INNER = WIDTH - 2 * SIDE
SIMULATED = "trained on simulated data"
ALERTS = RadiomicsSurvival.alert_prefixes
ROW = 24


def alerts(result: Result) -> list[str]:
    """Warnings that a reader must not overlook."""
    return [w for w in result.warnings if w.startswith(ALERTS)]


def notes(result: Result) -> list[str]:
    """The other warnings, but for the one that has its own badge."""
    return [w for w in result.warnings if not w.startswith(ALERTS) and SIMULATED not in w]


def draw_top(page: Page, result: Result, title: str) -> float:
    """Title, badge for a model that was trained on simulated data, and alerts; returns where what follows may start."""
    page.text(SIDE, 30, title, style.TITLE, bold=True)
    if any(SIMULATED in w for w in result.warnings):
        badge = "Trained on simulated data; for research use"
        width = text_width(badge, style.HEADING, True) + 28
        page.box(WIDTH - SIDE - width, 12, width, 36, style.NOTICE, style.NOTICE_FILL)
        page.text(WIDTH - SIDE - width / 2, 30, badge, style.HEADING, style.NOTICE, True, "center")
    lines = [
        ("• " if n == 0 else "   ") + line for text in alerts(result) for n, line in enumerate(wrap(text, INNER - 60))
    ]  # fmt: skip
    if not lines:
        return 62.0
    height = 20 + len(lines) * line_height()
    page.box(SIDE, 62, INNER, height, style.ALERT, style.ALERT_FILL)
    for n, line in enumerate(lines):
        page.text(SIDE + 16, 72 + (n + 0.5) * line_height(), line)
    return 62 + height + 14


def draw_rows(
    page: Page, left: float, top: float, widths: Sequence[float], rows: Sequence[Sequence[str]], heading: bool = True
) -> float:  # fmt: skip
    """A small table: the first row bold, columns after the first right-aligned; returns where it ends."""
    for number, row in enumerate(rows):
        if number % 2 == 0 and number:
            page.band(left, top, sum(widths), ROW, style.BAND)
        x = left
        for column, (text, width) in enumerate(zip(row, widths, strict=True)):
            bold = heading and number == 0
            shown = fitted(text, width - 10, bold)
            place = (x + 4, "left") if column == 0 else (x + width - 4, "right")
            page.text(place[0], top + ROW / 2, shown, style.SMALL, style.INK, bold, place[1])
            x += width
        top += ROW
    return top


def fitted(text: str, width: float, bold: bool = False) -> str:
    """The text, cut with an ellipsis where it is wider."""
    if text_width(style.printable(text), style.SMALL, bold) <= width:
        return text
    while len(text) > 1 and text_width(style.printable(text + "…"), style.SMALL, bold) > width:
        text = text[:-1]
    return text + "…"


def draw_notes(page: Page, result: Result, top: float, texts: Sequence[str] = ()) -> float:
    """Texts and the warnings that are no alerts; returns where they end."""
    said = [*texts, *notes(result)]
    if not said:
        return top
    top = page.heading(SIDE, top, "Notes", INNER)
    for text in said:
        top = page.paragraph(SIDE, top, text, INNER, style.SMALL) + 3
    return top


def draw_footer(page: Page, result: Result, top: float, first: str = "") -> float:
    """How the images are shown, and what made the result; returns where it ends."""
    page.band(SIDE, top, INNER, 1, style.RULE)
    top += 5
    if first:
        top = page.paragraph(SIDE, top, first, INNER, style.SMALL, style.MUTED)
    made = how_made(result)
    return page.paragraph(SIDE, top, made, INNER, style.SMALL, style.MUTED) if made else top


def how_made(result: Result) -> str:
    """Version, task, settings and model; empty where the result does not know."""
    known = result.provenance
    if not known:
        return ""
    used, settings = known.get("bundle"), known.get("parameters", {})
    parts = [f"Manabi {known.get('manabi', '')}", f"task {settings.get('task', 'predict')}"]
    if digest := result.measurements.get("settings_sha256"):
        parts.append(f"settings {digest}")
    if used:
        parts.append(f"bundle {used.get('name')} {used.get('version')} ({str(used.get('weights_sha256', ''))[:12]})")
    return " · ".join(parts) + " · not a medical device; the reader decides."


def number_text(value: object) -> str:
    """A cell as it is shown."""
    if value is None:
        return "–"
    return f"{value:.4g}".replace("-", "−") if isinstance(value, float) else str(value)
