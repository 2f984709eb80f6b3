"""Small films for the tests of flows, and the recipe that fits them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from Training.nodule_flow_films import STEPS, FlowFilm, FlowFilms
from Training.nodule_flow_recipe import FlowRecipe

QUICK = FlowRecipe(
    matrix=64, size=16, levels=2, steps=2, hidden=8, items_per_epoch=32, batch_at_32=2, first_items=32,
    parts="60/20/20", validation_items=8, test_items=8, samples=6, films_per_chest=2, name="nodule-flow-tiny",
)  # fmt: skip


def picture(seed: int, side: int = 64) -> np.ndarray:
    """A smooth random film in [0, 1] with a little noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] / side
    film = np.full((side, side), 0.5)
    for _ in range(6):
        down, right, phase = rng.uniform(-6, 6), rng.uniform(-6, 6), rng.uniform(0, 6)
        film += 0.1 * np.sin(down * rows + right * columns + phase)
    return np.clip(film + 0.01 * rng.standard_normal(film.shape), 0.0, 1.0)


def tiny_films(count: int, first: int = 0) -> list[FlowFilm]:
    """Films of as many patients, with lungs in the middle."""
    lungs = np.zeros((64, 64), np.uint8)
    lungs[16:48, 16:48] = 1
    pixels = [np.rint(picture(first + n) * STEPS).astype(np.uint16) for n in range(count)]
    return [FlowFilm(f"film-{first + n}", f"p{first + n}", values, lungs, False) for n, values in enumerate(pixels)]


def split_films() -> FlowFilms:
    """Six patients to train on, two to validate, three to test."""
    return FlowFilms(tiny_films(6), tiny_films(2, 10), tiny_films(3, 20))


def write_films(folder: Path, count: int) -> None:
    """PNG files 0.png, 1.png, ... of 80 x 80 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        image = sitk.GetImageFromArray(np.rint(picture(n, 80) * 255).astype(np.uint8))
        sitk.WriteImage(image, str(folder / f"{n}.png"))
