"""A page that is laid out in pixels from its top left corner and trimmed to what was drawn.

It uses matplotlib's ``Figure`` with its own Agg canvas: no pyplot, no change of global settings, no window, and safe
in a worker's thread. Texts are plain: ``$`` and ``_`` are shown as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.transforms import Bbox

from manabi.io.atomic import atomic_file
from manabi.plotting import style

TALLEST = 4000
"""Pixels a page can hold before it is trimmed."""
LINE = 1.42
"""Line height in font sizes."""


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = style.BODY, bold: bool = False) -> float:
    """Width of a line of text in pixels."""
    renderer = RendererAgg(1, 1, style.DPI)
    return float(renderer.get_text_width_height_descent(text, style.font(size, bold), False)[0])


def line_height(size: float = style.BODY) -> float:
    """Height of a line of text in pixels."""
    return LINE * size * style.DPI / 72


def wrap(text: str, width_px: float, size: float = style.BODY, bold: bool = False) -> list[str]:
    """Lines of a text no wider than ``width_px``; words that are wider themselves are broken."""
    lines: list[str] = []
    line = ""
    for word in style.printable(" ".join(text.split())).split():
        for piece in _broken(word, width_px, size, bold):
            longer = f"{line} {piece}" if line else piece
            if line and text_width(longer, size, bold) > width_px:
                lines.append(line)
                line = piece
            else:
                line = longer
    return [*lines, line] if line else lines


def _broken(word: str, width_px: float, size: float, bold: bool) -> list[str]:
    """The word in pieces that fit, each as long as possible."""
    pieces = []
    while len(word) > 1 and text_width(word, size, bold) > width_px:
        fits, too_long = 1, len(word)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if text_width(word[:middle], size, bold) <= width_px:
                fits = middle
            else:
                too_long = middle
        pieces.append(word[:fits])
        word = word[fits:]
    return [*pieces, word]


class Page:
    """White paper of a given width; ``bottom`` is the lowest pixel drawn on.

    Args:
        width_px: width.
    """

    def __init__(self, width_px: int) -> None:
        self.width = width_px
        self.bottom = 0.0
        self.figure = Figure((width_px / style.DPI, TALLEST / style.DPI), dpi=style.DPI, facecolor=style.PAPER)
        self.canvas = FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float, frame: str | None = None) -> Axes:
        """Empty axes on a box, without ticks; ``frame`` is the colour of its outline, None for none."""
        self._reach(top + height)
        box = (left / self.width, 1 - (top + height) / TALLEST, width / self.width, height / TALLEST)
        axes = self.figure.add_axes(box, facecolor=style.PAPER)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set(visible=frame is not None, color=frame or style.RULE, linewidth=0.8)
        return axes

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = style.BODY,
        color: str = style.INK,
        bold: bool = False,
        align: str = "left",
        rotation: float = 0.0,
    ) -> None:
        """One line of text whose middle is at height ``y``."""
        self._reach(y + line_height(size) / 2)
        self.figure.text(
            x / self.width, 1 - y / TALLEST, style.printable(text), fontproperties=style.font(size, bold),
            color=color, ha=align, va="center", rotation=rotation, parse_math=False, usetex=False,
        )  # fmt: skip

    def paragraph(
        self, x: float, top: float, text: str, width_px: float, size: float = style.BODY, color: str = style.INK
    ) -> float:
        """Wrapped text from ``top`` downwards; returns where it ends."""
        for line in wrap(text, width_px, size):
            self.text(x, top + line_height(size) / 2, line, size, color)
            top += line_height(size)
        return top

    def heading(self, x: float, top: float, text: str, width_px: float) -> float:
        """A heading with a rule below; returns where what follows may start."""
        self.text(x, top + 11, text, style.HEADING, bold=True)
        self.band(x, top + 24, width_px, 1, style.RULE)
        return top + 30

    def band(self, left: float, top: float, width: float, height: float, color: str) -> None:
        """A filled rectangle behind everything else."""
        self._reach(top + height)
        corner = (left / self.width, 1 - (top + height) / TALLEST)
        self.figure.add_artist(
            Rectangle(corner, width / self.width, height / TALLEST, facecolor=color, edgecolor="none",
                      transform=self.figure.transFigure, zorder=-1)
        )  # fmt: skip

    def box(self, left: float, top: float, width: float, height: float, edge: str, fill: str) -> None:
        """A rounded box."""
        axes = self.axes(left, top, width, height)
        axes.set(xlim=(0, width), ylim=(0, height), facecolor="none")
        axes.add_patch(
            FancyBboxPatch((2, 2), width - 4, height - 4, boxstyle="round,pad=0,rounding_size=6", facecolor=fill,
                           edgecolor=edge, linewidth=2)
        )  # fmt: skip

    def color_bar(
        self,
        left: float,
        top: float,
        height: float,
        colors: Colormap,
        limits: tuple[float, float],
        label: str,
        extend: str = "neither",
    ) -> None:
        """A vertical colour bar of 12 pixels with ticks and the unit on its right."""
        axes = self.axes(left, top, 12, height)
        mappable = ScalarMappable(Normalize(*limits), colors)
        bar = self.figure.colorbar(mappable, cax=axes, extend=extend)
        bar.outline.set(edgecolor=style.RULE, linewidth=0.8)
        axes.tick_params(axis="y", which="both", length=3, width=0.8, color=style.MUTED, labelcolor=style.INK)
        set_font(axes, style.SMALL)
        axes.set_ylabel(label, fontproperties=style.font(style.SMALL), color=style.INK, labelpad=5, parse_math=False)

    def save(self, path: Path | str, margin_px: float = 14.0) -> Path:
        """Write the page as PNG, trimmed below what was drawn, as a whole or not at all; replaces a former figure."""
        height = min(self.bottom + margin_px, TALLEST) / style.DPI
        whole = TALLEST / style.DPI
        box = Bbox([[0.0, whole - height], [self.width / style.DPI, whole]])
        with atomic_file(path, overwrite=True) as aside:
            self.figure.savefig(
                aside, format="png", dpi=style.DPI, bbox_inches=box, pad_inches=0, facecolor=style.PAPER,
                metadata={"Software": "Manabi"},
            )  # fmt: skip
        return Path(path)

    def _reach(self, y: float) -> None:
        self.bottom = max(self.bottom, y)


def set_font(axes: Axes, size: float = style.SMALL) -> None:
    """The figures' font on all tick labels."""
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(style.font(size))


def chart(page: Page, left: float, top: float, width: float, height: float, sides: Sequence[str] = ("bottom",)) -> Axes:
    """Axes for a chart: ticks and lines on the named sides only."""
    axes = page.axes(left, top, width, height)
    axes.set_facecolor("none")
    for side in sides:
        axes.spines[side].set(visible=True, color=style.MUTED)
    axes.tick_params(which="both", length=3, width=0.8, color=style.MUTED, labelcolor=style.INK)
    return axes
