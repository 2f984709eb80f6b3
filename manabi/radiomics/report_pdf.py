"""Pages of a PDF: pictures fitted to A4, then tables as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.image import imread

from manabi.plotting import style
from manabi.radiomics.figure_page import number_text
from manabi.result import Table

A4 = (8.27, 11.69)
"""Inches."""
LINES = 72
"""Lines of text on a page."""
LETTERS = 128
"""Letters in the width of a page, at the size of the text."""
MOST_COLUMNS = 7
MARGIN = 0.06
SIZE = 6.5
CELL = 46
"""Letters that a column takes at most before its cells are broken."""


def write_pages(path: Path, title: str, figures: Sequence[Path], tables: Mapping[str, Table]) -> None:
    """Write a PDF with a page per figure, and tables on the pages after them."""
    facts = {"Title": title, "Creator": "Manabi", "CreationDate": None}
    with PdfPages(path, metadata=facts) as pdf:
        for figure in figures:
            pdf.savefig(_picture(figure))
        for number, page in enumerate(_pages(tables)):
            pdf.savefig(_text(page, title, number + 1))


def _sheet() -> Figure:
    figure = Figure(A4, facecolor=style.PAPER)
    FigureCanvasAgg(figure)
    return figure


def _picture(path: Path) -> Figure:
    """A picture as wide as the paper allows."""
    figure, image = _sheet(), imread(path)
    width = 1 - 2 * 0.03
    height = width * A4[0] / A4[1] * image.shape[0] / image.shape[1]
    if height > 0.94:
        width, height = width * 0.94 / height, 0.94
    axes = figure.add_axes(((1 - width) / 2, 0.97 - height, width, height))
    axes.imshow(image, aspect="auto", interpolation="bilinear")
    axes.axis("off")
    figure.dpi = 200
    return figure


@dataclass(frozen=True)
class Line:
    """One line of a page: texts, where each begins (share of the width), and whether it is a heading."""

    cells: tuple[str, ...]
    places: tuple[float, ...]
    heading: bool = False


def _pages(tables: Mapping[str, Table]) -> Iterator[list[Line]]:
    """Lines page by page; a table begins on a new page where little room is left."""
    page: list[Line] = []
    for title, table in tables.items():
        lines = _lines(title, table)
        if page and len(page) + min(len(lines), 8) > LINES:
            yield page
            page = []
        for line in lines:
            if len(page) == LINES:
                yield page
                page = []
            page.append(line)
    if page:
        yield page


def _lines(title: str, table: Table) -> list[Line]:
    """A table as lines; cells that are wider than their column are broken."""
    keep = min(len(table.columns), MOST_COLUMNS)
    rows = [[name.replace("_", " ") for name in table.columns[:keep]]]
    rows += [[number_text(cell) for cell in row[:keep]] for row in table.rows]
    widest = [min(max(max(len(row[k]) for row in rows), 7), CELL) + 2 for k in range(keep)]
    shares = [width / max(sum(widest), LETTERS) for width in widest]
    places = tuple(sum(shares[:k]) for k in range(keep))
    lines = [Line((title,), (0.0,), True)]
    for number, row in enumerate(rows):
        broken = [wrap(cell, max(int(share * LETTERS) - 2, 4)) or [""] for cell, share in zip(row, shares, strict=True)]
        for height in range(max(len(cell) for cell in broken)):
            cells = tuple(cell[height] if height < len(cell) else "" for cell in broken)
            lines.append(Line(cells, places, number == 0))
    return [*lines, Line(("",), (0.0,))]


def _text(lines: Sequence[Line], title: str, number: int) -> Figure:
    """A page of tables."""
    figure, width = _sheet(), 1 - 2 * MARGIN
    figure.text(MARGIN, 0.97, style.printable(title), fontproperties=style.font(9, True), color=style.INK)
    label = f"tables, page {number}"
    figure.text(1 - MARGIN, 0.97, label, fontproperties=style.font(SIZE), color=style.MUTED, ha="right")
    for row, line in enumerate(lines):
        y = 0.945 - 0.93 * row / LINES
        for cell, place in zip(line.cells, line.places, strict=True):
            figure.text(
                MARGIN + width * place, y, style.printable(cell), fontproperties=style.font(SIZE, line.heading),
                color=style.INK, va="top", parse_math=False,
            )  # fmt: skip
    return figure
