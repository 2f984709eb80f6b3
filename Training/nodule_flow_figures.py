"""Pictures of a flow's report: samples beside unseen films, nearest training films, interpolations, the course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font
from Training.nodule_flow_evaluate import Evaluation

SIDE, TILE, GAP = 24, 96, 6
ACROSS = 8
"""Films in a row."""
LEAST_WIDTH = 480
NOTICE = "Synthetic films: not for diagnosis."


def draw_samples(found: Evaluation, path: Path) -> Path:
    """Films from the flow, and as many unseen ones."""
    rows = min(len(found.samples), 2 * ACROSS)
    blocks = [("Drawn from the flow", found.samples[:rows]), ("Unseen normal films", found.test[:rows])]
    return _sheet("What the flow draws", blocks, path)


def draw_neighbours(found: Evaluation, path: Path) -> Path:
    """The samples most like a training film, above the part of that film."""
    order = np.argsort(-found.neighbours.likeness)[:ACROSS]
    marks = [f"r = {found.neighbours.likeness[n]:.2f}" for n in order]
    blocks = [("Samples most like a training film", found.samples[order]),
              ("The training film, where it is most alike", found.neighbours.shown[order])]  # fmt: skip
    return _sheet("Does the flow copy its films?", blocks, path, marks)


def draw_interpolations(found: Evaluation, path: Path) -> Path:
    """Straight lines between the latents of two unseen films."""
    blocks = [("" if n else "From one unseen film to another", row) for n, row in enumerate(found.paths)]
    return _sheet("Interpolation over all scales", blocks, path)


def draw_course(history: Sequence[Mapping[str, float]], path: Path) -> Path:
    """Bits per dimension by step: of training at its present grey levels, of validation at the last."""
    page = Page(640)
    page.text(SIDE, 26, "Bits per dimension", style.TITLE, bold=True)
    axes = chart(page, SIDE + 44, 80, 520, 260, ("bottom", "left"))
    for n, (key, name) in enumerate((("train_loss", "training, present grey levels"), ("val_bits", "validation"))):
        rows = [(row["step"], row[key]) for row in history if np.isfinite(row.get(key, np.nan))]
        if rows:
            axes.plot(*zip(*rows, strict=True), "-o", markersize=3, color=style.SERIES[n], label=name)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("steps", fontproperties=style.font(style.SMALL), color=style.INK)
    axes.legend(prop=style.font(style.SMALL), frameon=False)
    set_font(axes)
    page.text(
        SIDE, 400, "Coarser grey levels need fewer bits: the first values are no better.", style.SMALL, style.MUTED
    )
    return _saved(page, path)


def _sheet(title: str, blocks: Sequence[tuple[str, np.ndarray]], path: Path, marks: Sequence[str] = ()) -> Path:
    """Rows of films under their names; ``marks`` stand below the films of the first block."""
    across = min(ACROSS, max(len(films) for _, films in blocks))
    page = Page(max(2 * SIDE + across * (TILE + GAP), LEAST_WIDTH))
    page.text(SIDE, 26, title, style.TITLE, bold=True)
    top = 52.0
    for number, (name, films) in enumerate(blocks):
        if name:
            page.text(SIDE, top + 14, name, style.HEADING, bold=True)
            top += 32
        for n, film in enumerate(films):
            _film(page, film, SIDE + n % ACROSS * (TILE + GAP), top + n // ACROSS * (TILE + GAP))
        top += -(-len(films) // ACROSS) * (TILE + GAP) + 2
        if marks and number == 0:
            for n, mark in enumerate(marks):
                page.text(SIDE + n * (TILE + GAP), top + 8, mark, style.SMALL)
            top += 24
    page.text(SIDE, top + 14, NOTICE, style.SMALL, style.MUTED)
    return _saved(page, path)


def _film(page: Page, film: np.ndarray, left: float, top: float) -> None:
    axes = page.axes(left, top, TILE, TILE)
    axes.imshow(film, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest", aspect="auto")


def _saved(page: Page, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return page.save(path)
