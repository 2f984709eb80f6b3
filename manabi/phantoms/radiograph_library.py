"""Projected chests on disk: costly to make, cheap to read, varied for every film.

A library is a folder with ``library.json`` and one file per chest, which appears whole or not at all: what was
interrupted continues where it stopped. Chest ``i`` depends on the seed and ``i`` alone. Numbers are stored in 16 bits
with steps below a thousandth of what matters: 0.5 mg/cm² and 0.01 mm.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.phantoms.base import case_rng
from manabi.phantoms.radiograph_chest import ChestProjection, project
from manabi.phantoms.radiograph_geometry import FilmGeometry
from manabi.phantoms.radiograph_sampling import sample_chest
from manabi.phantoms.radiograph_vessels import sample_style

RECORD = "library.json"
VERSION = 3
"""Of the anatomy; a library of another is not continued."""
GRAMS_STEP, MM_STEP = 0.0005, 0.01


class ChestLibrary:
    """A folder of projected chests.

    ``library[i]`` reads a chest; ``len(library)`` is their number; :func:`manabi.phantoms.radiograph_vary.vary` makes
    others of them.

    Raises:
        InvalidInputError: where the folder holds no library.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        record = self.folder / RECORD
        if not record.is_file():
            raise InvalidInputError(f"{folder} holds no chests ({RECORD}). Make them with ChestLibrary.build.")
        self.record = json.loads(record.read_text(encoding="utf-8"))
        self.geometry = FilmGeometry(**self.record["geometry"])
        self._paths = sorted(self.folder.glob("chest-*.npz"))

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> ChestProjection:
        return read_projection(self._paths[index])

    def __iter__(self) -> Iterator[ChestProjection]:
        return (read_projection(path) for path in self._paths)

    @classmethod
    def build(
        cls,
        folder: Path | str,
        count: int,
        seed: int = 0,
        geometry: FilmGeometry | None = None,
        domain: str = "training",
        workers: int = 1,
        context: Context | None = None,
    ) -> ChestLibrary:
        """Make a library, or what is missing of it.

        Args:
            folder: where.
            count: number of chests.
            seed: chest ``i`` is drawn from ``case_rng(seed, i)``.
            geometry: of the films.
            domain: ``training`` or ``held_out``.
            workers: processes at once.
            context: progress and cancellation.

        Raises:
            InvalidInputError: where the folder's chests are others (seed, geometry, domain or version).
            CancelledError: when the context was cancelled; complete chests stay.
        """
        folder, geometry, context = Path(folder), geometry or FilmGeometry(), context or Context()
        _check(folder, {"version": VERSION, "seed": seed, "domain": domain, "geometry": dataclasses.asdict(geometry)})
        missing = [i for i in range(count) if not _path(folder, i).exists()]
        make = partial(_make, folder=str(folder), seed=seed, geometry=geometry, domain=domain)
        for done, _ in enumerate(_run(make, missing, workers), start=1):
            context.check_cancelled()
            context.progress(done / len(missing), f"{len(missing) - done} chests to go")
        library = cls(folder)
        library._paths = [_path(folder, i) for i in range(count)]
        return library


def write_projection(projection: ChestProjection, path: Path) -> None:
    """Write one projection; the file appears whole or not at all."""
    arrays = {
        "maps": _steps(projection.maps, GRAMS_STEP),
        "lung_range_mm": _steps(np.nan_to_num(projection.lung_range_mm), MM_STEP),
        "lung_path_mm": _steps(projection.lung_path_mm, MM_STEP),
        "lungs": projection.lungs,
        "hidden": projection.hidden,
    }
    text = json.dumps({"geometry": dataclasses.asdict(projection.geometry), "parameters": projection.parameters_json})
    with atomic_file(path, overwrite=True) as aside, aside.open("wb") as file:
        np.savez_compressed(file, record=np.array(text), **arrays)  # type: ignore[arg-type]


def read_projection(path: Path) -> ChestProjection:
    """Read one projection; raises InvalidInputError where the file is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        record = json.loads(str(arrays["record"]))
        reach = arrays["lung_range_mm"].astype(np.float32) * np.float32(MM_STEP)
        return ChestProjection(
            maps=arrays["maps"].astype(np.float32) * np.float32(GRAMS_STEP),
            lung_range_mm=np.where(arrays["lung_range_mm"] > 0, reach, np.float32(np.nan)),
            lung_path_mm=arrays["lung_path_mm"].astype(np.float32) * np.float32(MM_STEP),
            lungs=arrays["lungs"],
            hidden=arrays["hidden"],
            geometry=FilmGeometry(**record["geometry"]),
            parameters_json=record["parameters"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{path} is no chest of a library, or damaged. Remove it and build again.") from error


def _steps(values: np.ndarray, step: float) -> np.ndarray:
    return np.clip(np.rint(values / step), 0, 65535).astype(np.uint16)


def _path(folder: Path, index: int) -> Path:
    return folder / f"chest-{index:06d}.npz"


def _check(folder: Path, record: dict[str, object]) -> None:
    """Write the record, or refuse a folder with another."""
    path, text = folder / RECORD, json.dumps(record, indent=1)
    if path.is_file():
        if path.read_text(encoding="utf-8") != text:
            raise InvalidInputError(
                f"{folder} holds other chests (seed, film, domain or version). Name another folder."
            )
        return
    with atomic_file(path) as aside:
        aside.write_text(text, encoding="utf-8")


def _make(index: int, folder: str, seed: int, geometry: FilmGeometry, domain: str) -> int:
    rng = case_rng(seed, index)
    chest = sample_chest(rng, domain)
    projection = project(chest, geometry, style=sample_style(rng, domain))
    write_projection(projection, _path(Path(folder), index))
    return index


def _one_thread() -> None:
    """Processes side by side would share threads badly."""
    import torch

    torch.set_num_threads(1)


def _run(make: partial[int], missing: list[int], workers: int) -> Iterator[int]:
    """The chests one after the other here, or side by side in processes."""
    if workers <= 1 or len(missing) <= 1:
        yield from map(make, missing)
        return
    from multiprocessing import get_context

    with ProcessPoolExecutor(
        min(workers, len(missing)), mp_context=get_context("spawn"), initializer=_one_thread
    ) as pool:
        yield from pool.map(make, missing)
