"""Real normal films made ready for pairs: canonical grid, lungs, and nothing that names a patient.

Films of one patient share a number, so that a training keeps them in one part of its split. DICOM files say whose they
are; for pictures a CSV with the columns ``film`` and ``patient`` does, else each is taken as a patient of its own.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError, ManabiError
from manabi.io.atomic import atomic_file
from manabi.provenance import pixel_sha256

RECORD = "films.json"
VERSION = 1
SUFFIXES = (".png", ".dcm", ".tif", ".tiff", ".jpg", ".jpeg", "")
"""Of files that are tried; DICOM files often have none."""
KEPT_FILMS = 64
Film = tuple[np.ndarray, np.ndarray, np.ndarray, float]
"""Film float32 in [0, 1], lungs uint8, hidden uint8, pixel size at the detector in mm (0 unknown)."""


class FilmLibrary:
    """Films made ready in a folder; ``library[i]`` is a :data:`Film`.

    Raises:
        InvalidInputError: where the folder holds none.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        record = self.folder / RECORD
        if not record.is_file():
            raise InvalidInputError(f"{folder} holds no films that were made ready ({RECORD}).")
        self.record = json.loads(record.read_text(encoding="utf-8"))
        self._kept: dict[int, Film] = {}

    def __len__(self) -> int:
        return int(self.record["films"])

    def patient(self, index: int) -> int:
        """The number of a film's patient, at most its own."""
        return int(self.record["patients"][index]) if "patients" in self.record else index

    def __getitem__(self, index: int) -> Film:
        if index not in self._kept:
            if len(self._kept) >= KEPT_FILMS:
                self._kept.pop(next(iter(self._kept)))
            with np.load(_path(self.folder, index), allow_pickle=False) as file:
                self._kept[index] = (file["film"], file["lungs"], file["hidden"], float(file["pixel_mm"]))
        return self._kept[index]

    @classmethod
    def build(cls, folder: Path | str, films: Path | str, size: int, context: Context | None = None) -> FilmLibrary:
        """Make films ready, or take those that are there from the same files.

        Films on which no lungs are found, or only doubtfully, are left out, and counted in the context's warnings.

        Args:
            folder: where to.
            films: folder of DICOM or picture files, frontal and without nodules; sub-folders are not searched. Or a
                CSV, see the module; its paths are taken from its folder.
            size: rows and columns.
            context: progress, warnings and cancellation.

        Raises:
            InvalidInputError: where none can be used, or the folder holds others.
        """
        folder, films, context = Path(folder), Path(films), context or Context()
        listed = _table(films) if films.is_file() else _folder(films)
        paths = [path for path, _ in listed]
        if not paths:
            raise InvalidInputError(f"{films} holds no films (PNG, TIFF, JPEG or DICOM). Name a folder of films.")
        source = pixel_sha256(np.array([(p.stat().st_size, _start(p)) for p in paths]))
        record: dict[str, Any] = {"version": VERSION, "size": size, "source": source}
        if (folder / RECORD).is_file():
            library = cls(folder)
            if {key: library.record.get(key) for key in record} != record:
                raise InvalidInputError(f"{folder} holds films from other files or of another size. Name another one.")
            return library
        kept = _write_all(folder, paths, size, context)
        if not kept:
            raise InvalidInputError(f"None of the {len(paths)} files in {films} is a frontal film with lungs on it.")
        record |= {"films": len(kept), "files": len(paths), "patients": _numbered([listed[k][1] for k in kept])}
        with atomic_file(folder / RECORD) as aside:
            aside.write_text(json.dumps(record, indent=1), encoding="utf-8")
        return cls(folder)


def ready(path: Path, size: int) -> Film | None:
    """One film on the canonical grid with its lungs; None where they are doubtful.

    Raises:
        ManabiError: where the file is no radiograph.
    """
    from manabi.io.radiograph import NO_SPACING, read_radiograph
    from manabi.nodule.lung_mask import lung_field_parts
    from manabi.nodule.prepare import canonical, film_of_volume

    volume = read_radiograph(path)
    known = NO_SPACING not in volume.warnings
    grid = canonical(film_of_volume(volume), size)
    field = lung_field_parts(grid.film)
    if field.is_doubtful or not all((field.whole == side).any() for side in (1, 2)):
        return None
    pixel_mm = grid.mm_per_pixel if known else 0.0
    return np.asarray(grid.film, np.float32), field.whole, hidden_of(field.clear, field.whole), pixel_mm


def hidden_of(clear: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """What hides the parts of the lungs that the film does not show dark, as codes of ``place.HIDDEN``.

    Below the lowest clear lung in the middle third of the lung's width it is the diaphragm; above it, between the two
    lungs' middles, heart and mediastinum; what is left is the lungs' outer rim, which counts as clear (our choice).
    """
    out = np.zeros(whole.shape, np.uint8)
    columns = [np.flatnonzero((clear == side).any(axis=0)) for side in (1, 2)]
    if not all(len(one) for one in columns):
        return out
    first, last = sorted(float(np.nonzero(clear == side)[1].mean()) for side in (1, 2))
    rows, across = np.indices(whole.shape)
    for side, mine in zip((1, 2), columns, strict=True):
        covered = (whole == side) & (clear != side)
        third = np.array_split(mine, 3)[1] if len(mine) > 2 else mine
        dome = float(np.median([np.flatnonzero(clear[:, c] == side).max() for c in third]))
        out[covered & (rows <= dome) & (across > first) & (across < last)] = 1
        out[covered & (rows > dome)] = 2
    return out


def _folder(folder: Path) -> list[tuple[Path, str]]:
    """Files of a folder and whose they are: the patient that a DICOM file names, else the file's own name."""
    paths = sorted(p for p in folder.glob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
    return [(path, _patient(path) or f"file {path.name}") for path in paths]


def _patient(path: Path) -> str:
    """What a DICOM file calls its patient, with the issuer; empty for others and where it does not say."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    from manabi.io.radiograph import is_dicom

    try:
        if not is_dicom(path):
            return ""
        tags = ["PatientID", "IssuerOfPatientID"]
        found = dcmread(path, stop_before_pixels=True, force=True, specific_tags=tags)
    except (OSError, InvalidDicomError, ValueError, KeyError):
        return ""
    number = str(found.get("PatientID") or "").strip()
    return f"patient {number} {found.get('IssuerOfPatientID') or ''}" if number else ""


def _table(path: Path) -> list[tuple[Path, str]]:
    """Films of a CSV and whose they are."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "film" not in rows[0]:
        raise InvalidInputError(f"{path.name} needs a column film and at least one row.")
    gone = sum(not (path.parent / row["film"]).is_file() for row in rows)
    if gone:
        raise InvalidInputError(f"{gone} of {len(rows)} films of {path.name} are not there. Correct its column film.")
    return [(path.parent / row["film"], (row.get("patient") or "").strip() or f"file {row['film']}") for row in rows]


def _numbered(patients: list[str]) -> list[int]:
    """Each patient's number: that of the first film."""
    first: dict[str, int] = {}
    return [first.setdefault(patient, number) for number, patient in enumerate(patients)]


def _write_all(folder: Path, paths: list[Path], size: int, context: Context) -> list[int]:
    """Write the films that can be used; returns which of the files they are."""
    kept: list[int] = []
    refused = 0
    for done, path in enumerate(paths, start=1):
        context.progress(done / len(paths), "Making films ready")
        try:
            film = ready(path, size)
        except ManabiError:
            film = None
        if film is None:
            refused += 1
            continue
        names = ("film", "lungs", "hidden", "pixel_mm")
        with atomic_file(_path(folder, len(kept)), overwrite=True) as aside, aside.open("wb") as file:
            np.savez_compressed(file, **dict(zip(names, film, strict=True)))  # type: ignore[arg-type]
        kept.append(done - 1)
    if refused:
        context.warn(f"{refused} of {len(paths)} files are no films, or show no lungs for certain; they are left out.")
    return kept


def _start(path: Path) -> int:
    """A number from a file's content: its checksum."""
    import zlib

    return zlib.crc32(path.read_bytes())


def _path(folder: Path, index: int) -> Path:
    return folder / f"film-{index:06d}.npz"
