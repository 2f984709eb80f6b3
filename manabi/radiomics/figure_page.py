"""What every figure of RadiomicsSurvival has beside its title and notes: tables of text, and how it was made."""

from __future__ import annotations

from collections.abc import Sequence

from manabi.plotting import style
from manabi.plotting.page import Page
from manabi.plotting.report_page import ReportPage, fitted, how_made
from manabi.radiomics.method import RadiomicsSurvival
from manabi.result import Result

GAP = 16
ALERTS = RadiomicsSurvival.alert_prefixes
"""How warnings begin that belong into the red box."""
ROW = 24


def report_page(result: Result) -> ReportPage:
    """An empty page about a result."""
    return ReportPage(result, ALERTS)


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


def made_by(result: Result) -> str:
    """Version, task, settings and model in one line; empty where the result does not know."""
    first = [f"task {result.provenance.get('parameters', {}).get('task', 'predict')}"]
    if digest := result.measurements.get("settings_sha256"):
        first.append(f"settings {digest}")
    return how_made(result, first)


def number_text(value: object) -> str:
    """A cell as it is shown."""
    if value is None:
        return "–"
    return f"{value:.4g}".replace("-", "−") if isinstance(value, float) else str(value)
