"""Pictures of the BrainSeg experiment: rebuilt labels across slices, and the synthetic angiogram with its vessels.

They need the heads, and what the arms kept of their results; the experiment draws them itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from manabi.brain.structures import CLASSES, COLORS
from manabi.plotting import style
from manabi.plotting.page import Page
from Training.experiments.brain_angio import INPUTS, SHOWN
from Training.experiments.brain_bench import EVERY, Bench
from Training.experiments.brain_cases import PLACES, BrainCase

LABELS, CONTRAST = "brain_labels_example.png", "brain_contrast_example.png"
SIDE, TILE, GAP = 24.0, 210.0, 10.0
PLACE_COLORS = ((0.55, 0.55, 0.55), (0.20, 0.65, 0.95), (0.95, 0.45, 0.15))
"""Of :data:`Training.experiments.brain_cases.PLACES`."""
Results = Mapping[str, Any]
Tile = tuple[str, np.ndarray]


def draw(results: Results, bench: Bench, folder: Path) -> list[Path]:
    """Draw the pictures of those parts whose arrays are there."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [("labels", draw_labels, LABELS), ("contrast", draw_contrast, CONTRAST)]
    drawn = [make(results[part], bench, folder / name) for part, make, name in found if part in results]
    return [path for path in drawn if path is not None]


def draw_labels(part: Results, bench: Bench, path: Path) -> Path | None:
    """A sagittal cut of a training head, across the slices: truth, faulty labels, and those rebuilt."""
    noise = list(part["noises"])[-1]
    keys = sorted(part["noises"][noise]["fractions"], key=float)
    files = {key: bench.folder / "labels" / f"{{}}-{noise}-{key}.npz" for key in keys}
    some = [key for key in keys if float(key) < 1] or keys
    chosen = some[len(some) // 2]
    case = bench.train[0]
    tiles: list[Tile] = []
    for method in part["methods"]:
        file = Path(str(files[chosen]).format(method))
        if not file.is_file():
            return None
        with np.load(file) as kept:
            if not tiles:
                tiles = [("clean truth", _cut(case, kept["truth"]))]
                tiles.append((f"given, {_percent(chosen)}", _cut(case, kept["given"])))
            tiles.append((f"rebuilt: {method}", _cut(case, kept["rebuilt"])))
    text = (
        f"Training head {case.name}, heavy T2 in a sagittal cut, front on the right; labels with the faults {noise!r}, "
        f"{_percent(chosen)} of the slices labelled. Simulated head."
    )
    return _page(tiles, "Labels rebuilt across slices", text, path, _ratio(case))


def draw_contrast(part: Results, bench: Bench, path: Path) -> Path | None:
    """A test head: angiograms, true vessels by place, and those found with every input; brightest along the head."""
    case = bench.test[SHOWN]
    synthetic = bench.folder / "contrast" / "synthetic-0.npz"
    files = {name: bench.folder / "contrast" / f"{name.replace(' ', '_')}.npz" for name in INPUTS}
    if not all(file.is_file() for file in (synthetic, *files.values())):
        return None
    middle = case.images["heavy_t2"][len(case.classes) // 2]
    with np.load(synthetic) as kept:
        made = kept[case.name].astype(np.float32)
    tiles: list[Tile] = [
        ("heavy T2, one slice", _grey(middle)),
        ("real MRA", _grey(case.images["tof"].max(0))),
        ("synthetic MRA", _grey(made.max(0))),
        ("true vessels by place", _placed(case)),
    ]
    for name, file in files.items():
        with np.load(file) as kept:
            tiles.append((name, _mask(kept["found"].max(0) > 0)))
    text = (
        f"Test head {case.name}; all but the first are the largest values along the head's axis, front at the top, the "
        f"patient's right on the left. True vessels: blue in fluid ({PLACES[1]}), orange in the brain ({PLACES[2]}), "
        "grey in bone and soft tissue; in the latter two heavy T2 does not show them. Simulated head."
    )
    shape = case.classes.shape
    ratio = shape[1] * case.spacing_mm[1] / (shape[2] * case.spacing_mm[0])
    return _page(tiles, "Vessels from heavy T2 and a synthetic angiogram", text, path, float(ratio))


def _percent(key: str) -> str:
    return f"{100 * float(key):g} %"


def _ratio(case: BrainCase) -> float:
    """Height over width of a sagittal cut."""
    k, j, _ = case.classes.shape
    return float(k * case.spacing_mm[2] / (j * case.spacing_mm[1]))


def _cut(case: BrainCase, labels: np.ndarray) -> np.ndarray:
    """A sagittal cut a little beside the middle with its labels in colour, ``(rows, columns, 3)``, head up."""
    column = labels.shape[2] // 2 + max(labels.shape[2] // 20, 1)
    grey = np.repeat(case.images["heavy_t2"][:, :, column][..., None], 3, 2)
    plane = labels[:, :, column]
    for n, name in enumerate(EVERY, start=1):
        here = plane == n
        grey[here] = 0.4 * grey[here] + 0.6 * np.array(COLORS[name])
    return grey[::-1]


def _grey(image: np.ndarray) -> np.ndarray:
    """Axial, from RAS order to the front at the top and the patient's right on the left."""
    return np.repeat(np.clip(image, 0, 1)[::-1, ::-1][..., None], 3, 2)


def _mask(mask: np.ndarray) -> np.ndarray:
    return np.where(mask[::-1, ::-1][..., None], np.array(COLORS["vessels"]), 0.0)


def _placed(case: BrainCase) -> np.ndarray:
    """Vessels in the colour of their place; what is seen in fluid lies above the rest."""
    vessel = case.classes == CLASSES["vessels"]
    out = np.zeros((*case.classes.shape[1:], 3))
    for n in (0, 2, 1):
        out[(vessel & (case.place == n)).any(0)] = PLACE_COLORS[n]
    return out[::-1, ::-1]


def _page(tiles: list[Tile], title: str, text: str, path: Path, ratio: float) -> Path:
    """Tiles in rows of four at most."""
    across = min(len(tiles), 4)
    page = Page(int(2 * SIDE + across * (TILE + GAP)))
    page.text(SIDE, 26, title, style.TITLE, bold=True)
    height, top = TILE * ratio, 48.0
    for n, (caption, image) in enumerate(tiles):
        left = SIDE + (n % across) * (TILE + GAP)
        if n and n % across == 0:
            top += height + 34
        axes = page.axes(left, top + 20, TILE, height)
        axes.imshow(np.clip(image, 0, 1), aspect="auto", interpolation="nearest")
        page.text(left, top + 8, caption, style.SMALL)
    page.paragraph(SIDE, top + height + 28, text, page.width - 2 * SIDE, style.SMALL, style.MUTED)
    return page.save(path)
