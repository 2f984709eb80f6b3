"""Pictures of the MVCTConvert experiment: one test patient through every converter. They need what quality kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from manabi.plotting import style
from manabi.plotting.page import Page
from Training.experiments.mvct_names import title
from Training.experiments.mvct_quality import PICTURE

FILES = {"quality": ("mvct", "mvct_examples.png"), "cbct": ("cbct", "mvct_cbct_examples.png")}
WINDOW = (-160.0, 240.0)
SIDE, TILE, GAP, ACROSS = 24.0, 220.0, 10.0, 5


def draw(results: Mapping[str, Any], arms: Path, folder: Path) -> list[Path]:
    """Draw the pictures of those parts whose arrays are there."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for part, (kind, name) in FILES.items():
        file = arms / PICTURE.format(kind)
        if part in results and file.is_file():
            spacing = results[part]["spacing_mm"]
            with np.load(file) as kept:
                drawn.append(page({key: kept[key] for key in kept.files}, spacing, folder / name))
    return drawn


def page(images: Mapping[str, np.ndarray], spacing_mm: list[float], path: Path) -> Path:
    """One slice as every converter shows it.

    Args:
        images: ``(rows, columns)`` HU by converter, front at the top.
        spacing_mm: along I, J, K.
        path: of the PNG.
    """
    shape = next(iter(images.values())).shape
    height = TILE * shape[0] * spacing_mm[1] / (shape[1] * spacing_mm[0])
    out = Page(int(2 * SIDE + min(len(images), ACROSS) * (TILE + GAP)))
    out.text(SIDE, 26, "One test patient through every converter", style.TITLE, bold=True)
    top = 48.0
    for n, (name, image) in enumerate(images.items()):
        left = SIDE + (n % ACROSS) * (TILE + GAP)
        if n and n % ACROSS == 0:
            top += height + 34
        axes = out.axes(left, top + 20, TILE, height)
        axes.imshow(image, cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1], aspect="auto", interpolation="nearest")
        out.text(left, top + 8, title(name), style.SMALL)
    text = (
        f"Middle slice, front at the top, the patient's right on the left; {WINDOW[0]:g} to {WINDOW[1]:g} HU. "
        "Simulated patient and scanners."
    )
    out.paragraph(SIDE, top + height + 28, text, out.width - 2 * SIDE, style.SMALL, style.MUTED)
    return out.save(path)
