"""Colours and sizes of every figure, in one place. All our choices.

Dark ink on white paper, images on black. Colours that carry meaning differ in lightness as well as in hue, so that
they survive a grey printer and most colour blindness.
"""

from __future__ import annotations

from functools import cache

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

DPI = 100
"""Pixels per inch: one figure pixel is 0.72 points."""

TITLE, HEADING, BODY, SMALL = 17.0, 12.5, 10.5, 9.0
"""Font sizes in points."""

PAPER = "#ffffff"
INK = "#1b1f24"
MUTED = "#57606a"
RULE = "#d0d7de"
BAND = "#f3f5f8"
ALERT = "#b3261e"
ALERT_FILL = "#fdecea"
NOTICE = "#7a4f00"
NOTICE_FILL = "#fff1cc"
BEFORE = "#7d8894"
AFTER = "#0b5fa5"
SERIES = ("#0b5fa5", "#c2571a", "#2d7d46", "#7b4fa3", "#a3195b", "#7a6a00")
"""Colours of series that are compared, most important first."""

LATIN = "DejaVu Sans"
"""Comes with matplotlib, so that figures look the same everywhere."""
JAPANESE = (
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "IPAexGothic",
    "IPAGothic",
    "Yu Gothic",
    "Meiryo",
    "MS Gothic",
    "Hiragino Sans",
)


@cache
def families() -> tuple[str, ...]:
    """The font, and behind it one with Japanese letters where the computer has one."""
    installed = set(fontManager.get_font_names())
    return (LATIN, *[name for name in JAPANESE if name in installed][:1])


@cache
def font(size: float = BODY, bold: bool = False) -> FontProperties:
    """The figures' font at a size in points."""
    return FontProperties(family=list(families()), size=size, weight="bold" if bold else "normal")


@cache
def _letters() -> frozenset[int]:
    """Code points that the fonts of :func:`families` can draw."""
    return frozenset(code for name in families() for code in get_font(findfont(name)).get_charmap())


def printable(text: str) -> str:
    """The text with ``□`` for every letter that no font of this computer has."""
    return "".join(letter if ord(letter) in _letters() else "□" for letter in text)
