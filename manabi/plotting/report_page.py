"""The page of a method's result: title, badge, alerts in a red box, notes, how it was made; the same in every method.

A method's own figures draw between :meth:`ReportPage.draw_top` and :meth:`ReportPage.draw_footer`. Which warnings are
alerts is the method's to say (``Method.alert_prefixes``) and is passed in: this package imports no method.
"""

from __future__ import annotations

from collections.abc import Sequence

from manabi.plotting import style
from manabi.plotting.page import Page, line_height, text_width, wrap
from manabi.result import Result

WIDTH, SIDE = 1600, 24
"""Pixels of a page, and of its left and right margin."""
INNER = WIDTH - 2 * SIDE
TITLE_PX = 62.0
"""Where what follows the title may start."""
SIMULATED = "trained on simulated data"
"""Part of the warning that is shown as a badge."""
BADGE = "Trained on simulated data; for research use"


def alerts(result: Result, prefixes: tuple[str, ...]) -> list[str]:
    """Warnings that a reader must not overlook: those that begin with one of the method's ``alert_prefixes``."""
    return [w for w in result.warnings if w.startswith(prefixes)]


def notes(result: Result, prefixes: tuple[str, ...]) -> list[str]:
    """The other warnings, but for the one that has its own badge."""
    return [w for w in result.warnings if not w.startswith(prefixes) and SIMULATED not in w]


def how_made(result: Result, first: Sequence[str] = (), unbundled: str = "", last: Sequence[str] = ()) -> str:
    """Version, settings and bundle in one line; empty where the result does not know.

    Args:
        result: with its provenance.
        first: settings that stand before the bundle.
        unbundled: what to say in place of the bundle where none was used.
        last: settings that stand after it.
    """
    known = result.provenance
    if not known:
        return ""
    used = known.get("bundle")
    if used:
        unbundled = f"bundle {used.get('name')} {used.get('version')} ({str(used.get('weights_sha256', ''))[:12]})"
    parts = [f"Manabi {known.get('manabi', '')}", *first, unbundled, *last]
    return " · ".join([*filter(None, parts), "not a medical device; the reader decides."])


def fitted(text: str, width_px: float, bold: bool = False) -> str:
    """A line of small text, cut with an ellipsis where it is wider than ``width_px``."""
    if text_width(style.printable(text), style.SMALL, bold) <= width_px:
        return text
    while len(text) > 1 and text_width(style.printable(text + "…"), style.SMALL, bold) > width_px:
        text = text[:-1]
    return text + "…"


class ReportPage(Page):
    """A page of 1600 pixels in width about one result.

    Args:
        result: whose warnings are shown.
        alert_prefixes: the method's.

    Attributes:
        alerts: warnings that must not be overlooked.
        notes: the others, without the one that is a badge.
    """

    def __init__(self, result: Result, alert_prefixes: tuple[str, ...]) -> None:
        super().__init__(WIDTH)
        self.alerts = alerts(result, alert_prefixes)
        self.notes = notes(result, alert_prefixes)
        self._simulated = any(SIMULATED in w for w in result.warnings)

    def draw_top(self, title: str) -> float:
        """Title, badge and alerts; returns where what follows may start."""
        self.draw_title(title)
        return self.draw_alerts(self.alerts, TITLE_PX)

    def draw_title(self, title: str) -> None:
        """The title, and a badge for a model that was trained on simulated data."""
        self.text(SIDE, 30, title, style.TITLE, bold=True)
        if self._simulated:
            width = text_width(BADGE, style.HEADING, True) + 28
            self.box(WIDTH - SIDE - width, 12, width, 36, style.NOTICE, style.NOTICE_FILL)
            self.text(WIDTH - SIDE - width / 2, 30, BADGE, style.HEADING, style.NOTICE, True, "center")

    def draw_alerts(self, texts: Sequence[str], top: float, heading: str = "") -> float:
        """Texts in a red box, below a heading where one is given; returns where what follows may start."""
        lines = [("   " if n else "• ") + line for text in texts for n, line in enumerate(wrap(text, INNER - 60))]
        if not lines:
            return top
        first = 34.0 if heading else 10.0
        height = first + len(lines) * line_height() + (6 if heading else 10)
        self.box(SIDE, top, INNER, height, style.ALERT, style.ALERT_FILL)
        if heading:
            self.text(SIDE + 16, top + 20, heading, style.HEADING, style.ALERT, bold=True)
        for n, line in enumerate(lines):
            self.text(SIDE + 16, top + first + (n + 0.5) * line_height(), line)
        return top + height + 14

    def draw_notes(
        self, left: float, top: float, width: float, texts: Sequence[str] = (), size: float = style.SMALL
    ) -> float:  # fmt: skip
        """Texts, then the notes, below a heading; nothing where there are none. Returns where they end."""
        said = [*texts, *self.notes]
        if not said:
            return top
        top = self.heading(left, top, "Notes", width)
        for text in said:
            top = self.paragraph(left, top, text, width, size) + 3
        return top

    def draw_footer(self, top: float, *texts: str) -> float:
        """A rule, and below it how the images are shown and what made the result; returns where it ends."""
        self.band(SIDE, top, INNER, 1, style.RULE)
        top += 5
        for text in filter(None, texts):
            top = self.paragraph(SIDE, top, text, INNER, style.SMALL, style.MUTED)
        return top
