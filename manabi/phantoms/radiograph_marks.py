"""What lies on a film besides the patient: the letter that marks a side, and the black border of the collimator.

Real films have them, a detector must not take them for disease (sizes and shares are our choice).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

GLYPHS = {
    "R": ("1110", "1001", "1001", "1110", "1010", "1001", "1001"),
    "L": ("1000", "1000", "1000", "1000", "1000", "1000", "1111"),
}
LETTER_SHARE, BORDER_SHARE = 0.6, 0.3
"""Of the films, that have a letter, and a border."""


@dataclass(frozen=True)
class MarkParameters:
    """Letter and border.

    Attributes:
        letter: ``R``, ``L`` or nothing.
        place: row and column of its middle over the film's, 0 to 1.
        height: of it over the film's.
        turn_deg: anticlockwise.
        grey: how bright it is.
        border: black rims at the top, bottom, left and right over the film's side.
    """

    letter: str = ""
    place: tuple[float, float] = (0.08, 0.9)
    height: float = 0.04
    turn_deg: float = 0.0
    grey: float = 0.95
    border: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


def sample_marks(rng: np.random.Generator) -> MarkParameters:
    """Draw letter and border; a letter lies in an upper corner of its own side."""
    letter = str(rng.choice(["L", "R"], p=[0.75, 0.25])) if rng.random() < LETTER_SHARE else ""
    row, side = float(rng.uniform(0.03, 0.16)), float(rng.uniform(0.03, 0.12))
    height, turn, grey = float(rng.uniform(0.03, 0.055)), float(rng.normal(0, 8)), float(rng.uniform(0.6, 1.0))
    rims, there = rng.uniform(0.0, 0.06, 4), rng.random(4) < 0.6
    border = rims * there if rng.random() < BORDER_SHARE else np.zeros(4)
    column = side if letter == "R" else 1.0 - side
    top, bottom, left, right = (float(rim) for rim in border)
    return MarkParameters(letter, (row, column), height, turn, grey, (top, bottom, left, right))


def marked(films: Tensor, marks: Sequence[MarkParameters]) -> Tensor:
    """Films ``(b, rows, columns)`` with their letters and borders; a copy."""
    out = films.clone()
    for film, mark in zip(out, marks, strict=True):
        rows, columns = film.shape
        top, bottom, left, right = (
            round(share * side) for share, side in zip(mark.border, (rows, rows, columns, columns), strict=True)
        )
        film[:top] = film[rows - bottom :] = film[:, :left] = film[:, columns - right :] = 0.0
        if mark.letter:
            share = _letter(mark, rows, columns).to(film.device)
            film += share * (mark.grey - film).clamp(min=0.0)
    return out


def _letter(mark: MarkParameters, rows: int, columns: int) -> Tensor:
    """Share of each pixel that the letter covers."""
    glyph = torch.tensor([[float(dot) for dot in line] for line in GLYPHS[mark.letter]])
    row = torch.arange(rows)[:, None] / rows - mark.place[0]
    column = (torch.arange(columns)[None, :] / columns - mark.place[1]) * columns / rows
    cos, sin = float(np.cos(np.radians(mark.turn_deg))), float(np.sin(np.radians(mark.turn_deg)))
    wide = mark.height * glyph.shape[1] / glyph.shape[0]
    across, down = (cos * column - sin * row) / (0.5 * wide), (sin * column + cos * row) / (0.5 * mark.height)
    return F.grid_sample(glyph[None, None], torch.stack((across, down), dim=-1)[None], align_corners=False)[0, 0]
