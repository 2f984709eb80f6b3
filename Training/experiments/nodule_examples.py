"""Pictures of the NoduleSynth experiment: test films with their nodules and the marks of an arm."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.patches import Circle

from manabi.plotting import style
from manabi.plotting.page import Page
from Training.experiments.nodule_bench import MAIN, Plan, arms_of, domains
from Training.experiments.nodule_names import PLACES, title
from Training.froc import Film, score_films, threshold
from Training.nodule_evaluate import films_from_json

SIDE, TILE, GAP, ACROSS, COUNT = 24.0, 300.0, 12.0, 3, 6
TRUTH, MARK = "#3fb950", "#ffb000"


def draw(plan: Plan, results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw films of the other domain with the marks of the main arm, where both are there."""
    names = arms_of(plan.settings)
    name = MAIN if MAIN in names else names[0]
    kept = plan.folder / f"arms/{name}-0.json"
    if "arms" not in results or not kept.is_file():
        return []
    films = films_from_json(json.loads(kept.read_text(encoding="utf-8"))["content"]["films"]["held_out"])
    level = threshold(score_films(films), 0.2)
    part = domains(plan)["held_out"]
    chosen = spread_out(films[::2], COUNT)
    shown = [(part[k].positive, films[2 * k]) for k in chosen]
    folder.mkdir(parents=True, exist_ok=True)
    return [page(shown, level, title(name), folder / "nodule_examples.png")]


def spread_out(films: Sequence[Film], count: int) -> list[int]:
    """Numbers of films from the hardest to the easiest nodule, evenly, so that no choice is made by what was found."""
    order = sorted(range(len(films)), key=lambda k: (films[k].nodules[0].subtlety, k))
    picks = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [order[int(k)] for k in picks]


def page(shown: Sequence[tuple[np.ndarray, Film]], level: float, words: str, path: Path) -> Path:
    """Films with circles around nodules and squares with scores around marks.

    Args:
        shown: film ``(rows, columns)`` in 0 to 1, and its marks and nodules.
        level: marks below this score are left out.
        words: the arm.
        path: of the PNG.
    """
    across = min(ACROSS, len(shown))
    out = Page(int(2 * SIDE + across * (TILE + GAP)))
    out.text(SIDE, 26, f"Films of another domain, marked by {words}", style.TITLE, bold=True)
    top = 48.0
    for number, (image, film) in enumerate(shown):
        if number and number % across == 0:
            top += TILE + 34
        left = SIDE + number % across * (TILE + GAP)
        axes = out.axes(left, top + 18, TILE, TILE)
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
        for nodule in film.nodules:
            radius = max(nodule.radius + 3, 6)
            axes.add_patch(Circle((nodule.column, nodule.row), radius, fill=False, color=TRUTH, linewidth=1.2))
        for mark in (m for m in film.marks if m.score >= level):
            axes.plot(mark.column, mark.row, marker="+", color=MARK, markersize=9, markeredgewidth=1.3)
            axes.text(mark.column + 5, mark.row - 5, f"{mark.score:.2f}", color=MARK, fontsize=style.SMALL - 1)
        axes.set_xlim(-0.5, image.shape[1] - 0.5)
        axes.set_ylim(image.shape[0] - 0.5, -0.5)
        grades = ", ".join(f"grade {n.subtlety}, {PLACES.get(str(n.place), '')}" for n in film.nodules)
        out.text(left, top + 8, grades, style.SMALL)
    text = (
        "Simulated films, evenly from the most subtle to the most obvious nodule. Green circles: simulated nodules; "
        "orange crosses: marks with their score at 0.2 false positives per film. Not for diagnosis."
    )
    out.paragraph(SIDE, top + TILE + 32, text, out.width - 2 * SIDE, style.SMALL, style.MUTED)
    return out.save(path)
