"""Normal chest films for a flow: a folder, a table, or simulated chests, on one grid, with their lungs.

``--data`` is a folder of films (DICOM CR or DX, PNG, JPEG, TIFF), a CSV with the column ``film`` and, where a patient
has several, ``patient``; or ``phantoms:SEED:COUNT`` for that many simulated chests; or two of these joined by ``+``.
All films shall be normal: what is on them, the flow learns to draw.
"""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import InvalidInputError, ManabiError
from manabi.io.atomic import atomic_file
from manabi.io.radiograph import is_dicom, read_radiograph
from manabi.nodule.lung_mask import lung_field
from manabi.nodule.prepare import canonical, film_of_volume
from Training.cohort import PHANTOMS, SPLITS, CohortCase, split_cases

if TYPE_CHECKING:
    from manabi.phantoms.radiograph_chest import ChestProjection
    from Training.nodule_flow_recipe import FlowRecipe

logger = logging.getLogger(__name__)

PHANTOM_PREFIX = "phantoms:"
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
STEPS = 65535
"""Films are kept as 16-bit numbers."""
FEWEST = 3
"""Patients that can be split."""


@dataclass(frozen=True)
class FlowFilm:
    """One film.

    Attributes:
        name: free of patient identifiers.
        patient: whose it is; films of one patient are in the same split.
        pixels: uint16 ``(matrix, matrix)``, 0 to 65535.
        lungs: uint8 of the same shape, 0 outside the lungs.
        simulated: whether it is a phantom's.
    """

    name: str
    patient: str
    pixels: np.ndarray
    lungs: np.ndarray
    simulated: bool

    @property
    def film(self) -> np.ndarray:
        """Float32 in [0, 1]."""
        return self.pixels.astype(np.float32) / STEPS


@dataclass(frozen=True)
class FlowFilms:
    """Films by what they are used for; patients do not cross."""

    training: list[FlowFilm]
    validation: list[FlowFilm]
    test: list[FlowFilm]

    @property
    def all(self) -> list[FlowFilm]:
        """Every film."""
        return [*self.training, *self.validation, *self.test]

    @property
    def simulated(self) -> bool:
        """Whether any film is a phantom's."""
        return any(film.simulated for film in self.all)

    def sha256(self) -> str:
        """Digest of the films that training and validation see."""
        digest = hashlib.sha256()
        for film in (*self.training, *self.validation):
            digest.update(film.pixels.tobytes() + film.lungs.tobytes())
        return digest.hexdigest()

    def record(self) -> dict[str, Any]:
        """The names in each split, for ``splits.json``."""
        parts = dict(zip(SPLITS, (self.training, self.validation, self.test), strict=True))
        return {"data_sha256": self.sha256(), **{name: [film.name for film in films] for name, films in parts.items()}}


def open_films(data: str, recipe: FlowRecipe, cache: Path) -> FlowFilms:
    """The films of ``--data``, prepared (once; then from the cache) and split by patient.

    Raises:
        InvalidInputError: where there are no films, or too few patients to split.
    """
    films = [film for source in _sources(data) for film in _read(source, recipe, Path(cache))]
    if len({film.patient for film in films}) < FEWEST:
        raise InvalidInputError(f"A flow needs films of at least {FEWEST} patients; {data} has fewer. Add films.")
    cases = [CohortCase(film.name, film.patient) for film in films]
    order = [case.split for case in split_cases(cases, recipe.parts, recipe.split_seed)]
    parts = [[film for film, split in zip(films, order, strict=True) if split == name] for name in SPLITS]
    return FlowFilms(*parts)


def _sources(data: str) -> list[str]:
    """The parts of ``--data``; a path that holds a plus sign is one part."""
    return [data] if Path(data).exists() else [part for part in data.split("+") if part]


def _read(source: str, recipe: FlowRecipe, cache: Path) -> list[FlowFilm]:
    if source.startswith(PHANTOM_PREFIX):
        return _phantoms(source, recipe, cache)
    path = Path(source)
    if not path.exists():
        raise InvalidInputError(f"There is no {source}: expected a folder of films, a CSV, or phantoms:SEED:COUNT.")
    listed = _folder(path) if path.is_dir() else _table(path)
    films = [film for file, patient in listed if (film := _real(file, patient, recipe.matrix, cache)) is not None]
    if not films:
        raise InvalidInputError(f"{source} holds no chest films that can be read (DICOM CR or DX, PNG, JPEG, TIFF).")
    if len(films) < len(listed):
        logger.warning("%d of %d films cannot be read and are left out.", len(listed) - len(films), len(listed))
    return films


# --- real films -------------------------------------------------------------------------------------------------------


def _folder(folder: Path) -> list[tuple[Path, str]]:
    """Films below a folder, each a patient of its own."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    films = [path for path in files if path.suffix.lower() in PICTURES or (path.stat().st_size and is_dicom(path))]
    return [(path, str(number)) for number, path in enumerate(films)]


def _table(path: Path) -> list[tuple[Path, str]]:
    """Films of a CSV with the columns ``film`` and perhaps ``patient``; paths are taken from the table's folder."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "film" not in rows[0]:
        raise InvalidInputError(f"{path} needs a column film and at least one row.")
    return [(path.parent / row["film"], row.get("patient") or str(number)) for number, row in enumerate(rows)]


def _real(path: Path, patient: str, matrix: int, cache: Path) -> FlowFilm | None:
    """A film from its file, or None where it cannot be read; its name is a digest of its content."""
    if not path.is_file():
        return None
    name = f"film-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    place = cache / f"{name}-{matrix}.npz"
    if not place.is_file():
        try:
            film = canonical(film_of_volume(read_radiograph(path)), matrix).film
        except ManabiError:
            return None
        _save(place, film, lung_field(film))
    return _load(place, name, hashlib.sha256(patient.encode()).hexdigest()[:16], False)


# --- simulated films --------------------------------------------------------------------------------------------------


def _phantoms(source: str, recipe: FlowRecipe, cache: Path) -> list[FlowFilm]:
    """Films of simulated chests, several of each, varied and taken anew."""
    from manabi.phantoms.radiograph_geometry import FilmGeometry
    from manabi.phantoms.radiograph_library import ChestLibrary

    match = PHANTOMS.fullmatch(source)
    if match is None:
        raise InvalidInputError(f"Expected phantoms:SEED:COUNT; got {source!r}.")
    seed, count = int(match[1]), int(match[2])
    geometry = FilmGeometry(matrix=recipe.matrix, pixel_mm=recipe.side_mm / recipe.matrix)
    library = ChestLibrary.build(cache / f"chests-{seed}-{recipe.matrix}", count, seed, geometry)
    films = []
    for chest in range(count):
        for copy in range(recipe.films_per_chest):
            place = cache / f"phantom-{seed}-{chest}-{copy}-{recipe.matrix}.npz"
            if not place.is_file():
                _save(place, *simulated_film(library[chest], [seed, chest, copy]))
            films.append(_load(place, place.stem, f"phantom-{seed}-{chest}", True))
    return films


def simulated_film(chest: ChestProjection, seed: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """A film of a chest, varied, and its lungs; both ``(matrix, matrix)``, from the seed alone."""
    import torch

    from manabi.phantoms.radiograph_film import render_pair, sample_film
    from manabi.phantoms.radiograph_vary import vary

    rng = np.random.default_rng(seed)
    varied = vary(chest, rng)
    maps, noise_seed = torch.from_numpy(np.asarray(varied.maps))[None], int(rng.integers(2**31))
    film, _ = render_pair(maps, [sample_film(rng)], [noise_seed], None, pixel_mm=varied.geometry.pixel_mm)
    return film[0].numpy(), varied.lungs


# --- the cache --------------------------------------------------------------------------------------------------------


def _save(place: Path, film: np.ndarray, lungs: np.ndarray) -> None:
    pixels = np.rint(np.clip(film, 0.0, 1.0) * STEPS).astype(np.uint16)
    with atomic_file(place, overwrite=True) as aside, aside.open("wb") as file:
        np.savez_compressed(file, pixels=pixels, lungs=lungs.astype(np.uint8))


def _load(place: Path, name: str, patient: str, simulated: bool) -> FlowFilm:
    try:
        with np.load(place) as stored:
            return FlowFilm(name, patient, stored["pixels"], stored["lungs"], simulated)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InvalidInputError(f"The prepared film {place} is damaged. Delete it and run again.") from error
