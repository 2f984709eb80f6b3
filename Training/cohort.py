"""Cohorts: pairs of images from a table, or simulated patients; checked, and split by patient.

A table is a CSV with the columns ``case``, ``input``, ``target`` and optionally ``group`` (the patient; by default the
case) and ``split`` (training, validation or test). Paths are files or DICOM folders, relative to the table. Case and
group are written to splits.json and into messages: give pseudonyms, not names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from manabi.batch.spreadsheet import read_sheet
from manabi.context import Context
from manabi.errors import GeometryError, InvalidInputError, ManabiError
from manabi.io.atomic import atomic_file
from manabi.phantoms.base import Case
from manabi.provenance import pixel_sha256
from Training.phantom_cache import load_case, phantom_cases

SPLITS = ("training", "validation", "test")
PAPER_PARTS = "120/37/50"
"""Training, validation and test patients of the SPECT source (``seeds/004``); proportions for other cohorts."""
PHANTOMS = re.compile(r"phantoms:(\d+):(\d+)")


@dataclass(frozen=True)
class CohortCase:
    """One case: where its images are, whose it is, and what it is used for.

    Attributes:
        name: unique, free of patient identifiers.
        group: the patient; all cases of a group are in the same split.
        split: one of :data:`SPLITS`, or empty before :func:`split_cases`.
        files: image files or DICOM folders by column; empty for a phantom.
        folder: cache folder of a phantom; None for a table's case.
    """

    name: str
    group: str
    split: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)
    folder: Path | None = None

    def load(self) -> Case:
        """Read the images; raises what :func:`manabi.io.read_volume` raises, naming the case."""
        if self.folder is not None:
            return load_case(self.folder)
        from manabi.io import read_volume

        volumes = {}
        for column, path in self.files.items():
            try:
                volumes[column] = read_volume(path)
            except ManabiError as error:
                raise type(error)(f"Case {self.name}, {column}: {error}") from error
        return Case(volumes)


@dataclass(frozen=True)
class Cohort:
    """Cases that were checked and split.

    Attributes:
        cases: all of them.
        data_hash: SHA-256 over every case's name, split and pixels.
        warnings: what a person should look at.
    """

    cases: tuple[CohortCase, ...]
    data_hash: str
    warnings: tuple[str, ...] = ()

    def split(self, name: str) -> list[CohortCase]:
        """The cases of a split, in the cohort's order."""
        if name not in SPLITS:
            raise InvalidInputError(f"The splits are {', '.join(SPLITS)}; got {name!r}.")
        return [case for case in self.cases if case.split == name]

    def write_splits(self, path: Path) -> None:
        """List every split's cases and patients in a JSON file."""
        record: dict[str, Any] = {"data_sha256": self.data_hash}
        for name in SPLITS:
            cases = self.split(name)
            record[name] = {"cases": [c.name for c in cases], "patients": sorted({c.group for c in cases})}
        with atomic_file(path, overwrite=True) as aside:
            aside.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def open_cohort(
    data: str,
    cache: Path,
    *,
    phantom: str | None = None,
    seed: int = 0,
    parts: str = PAPER_PARTS,
    columns: Sequence[str] = ("input", "target"),
    choices: Mapping[str, Any] | None = None,
    keep: Collection[str] | None = None,
    context: Context | None = None,
) -> Cohort:
    """Read or render a cohort, split it by patient, and check it.

    Args:
        data: path of a CSV, or ``phantoms:SEED:COUNT``.
        cache: folder for rendered phantoms.
        phantom: registry name of the method's phantom.
        seed: of the split.
        parts: training/validation/test; numbers of patients where they sum to all, proportions otherwise. A table's
            own ``split`` column goes before.
        columns: the table's image columns; images of a case must lie on the same grid.
        choices: phantom parameters to fix.
        keep: phantom volumes to keep.
        context: device, progress and cancellation of the rendering.

    Raises:
        InvalidInputError: the table is incomplete, a file is missing, or an image or a patient is in two splits.
        GeometryError: the images of a case do not lie on the same grid.
    """
    match = PHANTOMS.fullmatch(data)
    if match:
        cases = _phantoms(int(match[1]), int(match[2]), phantom, cache, choices=choices, keep=keep, context=context)
    elif data.startswith("phantoms:"):
        raise InvalidInputError(f"Expected phantoms:SEED:COUNT, for example phantoms:1:207; got {data!r}.")
    else:
        cases = read_table(Path(data), columns)
    if not any(case.split for case in cases):
        cases = split_cases(cases, parts, seed)
    return check_cohort(cases)


def _phantoms(seed: int, count: int, phantom: str | None, cache: Path, **options: Any) -> list[CohortCase]:
    if phantom is None:
        raise InvalidInputError("This method has no phantom; give a CSV of cases instead.")
    if count < 1:
        raise InvalidInputError("A cohort needs at least one phantom.")
    folders = phantom_cases(phantom, seed, count, cache, **options)
    names = [f"{phantom}-{seed}-{index:05d}" for index in range(count)]
    return [CohortCase(name, name, folder=folder) for name, folder in zip(names, folders, strict=True)]


# --- tables -------------------------------------------------------------------------------------------------------


def read_table(path: Path, columns: Sequence[str] = ("input", "target")) -> list[CohortCase]:
    """The cases of a CSV (comma, semicolon or tab); raises InvalidInputError naming the row that is wrong."""
    return [row.case for row in read_rows(path, columns)]


@dataclass(frozen=True)
class Row:
    """A row of a cohort's table.

    Attributes:
        number: the line of the file that it stands on.
        case: what it says of a case.
        cells: all of it, by column; empty where the row is too short.
    """

    number: int
    case: CohortCase
    cells: Mapping[str, str]


def read_rows(path: Path, columns: Sequence[str] = ("input", "target")) -> list[Row]:
    """The rows of a cohort's table, for methods whose tables hold more than images.

    Args:
        path: of the CSV (comma, semicolon or tab).
        columns: of images, which every row must name.

    Raises:
        InvalidInputError: naming the row that is wrong.
    """
    if not path.is_file():
        raise InvalidInputError(f"No cohort {str(path)!r}: expected a CSV file, or phantoms:SEED:COUNT.")
    sheet = read_sheet(path)
    wanted = ("case", *columns)
    missing = [name for name in wanted if not sheet.lines or name not in sheet.columns]
    if missing:
        raise InvalidInputError(f"The cohort needs rows and the columns {', '.join(wanted)}; missing: {missing}.")
    rows, blank = [], dict.fromkeys(sheet.columns, "")
    for (number, _), given in zip(sheet.lines, sheet.rows, strict=True):
        cells = blank | given
        rows.append(Row(number, _case(number, cells, path.parent, columns), cells))
    _check_names([row.case for row in rows])
    return rows


def _case(number: int, cells: Mapping[str, str], base: Path, columns: Sequence[str]) -> CohortCase:
    empty = [name for name in ("case", *columns) if not cells[name]]
    if empty:
        raise InvalidInputError(f"Row {number} of the cohort has nothing under {', '.join(empty)}.")
    name, split = cells["case"], cells.get("split", "")
    if split and split not in SPLITS:
        raise InvalidInputError(f"Case {name}: split must be one of {', '.join(SPLITS)}; got {split!r}.")
    files = {column: base / cells[column] for column in columns}
    for column, file in files.items():
        if not file.exists():
            raise InvalidInputError(f"Case {name}: there is no {column} at {cells[column]!r} (relative to the CSV).")
    return CohortCase(name, cells.get("group") or name, split, files)


def _check_names(cases: Sequence[CohortCase]) -> None:
    names = [case.name for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"These cases are in the cohort more than once: {', '.join(twice)}.")
    unsplit = [case.name for case in cases if not case.split]
    if unsplit and len(unsplit) < len(cases):
        raise InvalidInputError(f"Some cases have a split and others none: {', '.join(unsplit[:5])}. Give all or none.")


# --- splits -------------------------------------------------------------------------------------------------------


def split_counts(parts: str, patients: int) -> tuple[int, int, int]:
    """Patients per split from ``"120/37/50"``: as they are where they sum to all, else in proportion.

    Proportions are rounded to the largest remainder, and every part above zero gets at least one patient.
    """
    try:
        shares = np.array([float(text) for text in parts.split("/")])
    except ValueError:
        shares = np.zeros(0)
    if shares.shape != (3,) or shares.min() < 0 or not np.isfinite(shares).all() or shares.sum() <= 0:
        raise InvalidInputError(f"parts must be three numbers like {PAPER_PARTS} or .7/.1/.2; got {parts!r}.")
    if patients < np.count_nonzero(shares):
        raise InvalidInputError(f"{patients} patients cannot be split {parts}; at least one is needed in each part.")
    exact = shares / shares.sum() * patients
    counts = np.floor(exact + 1e-9).astype(int)
    for index in np.argsort(counts - exact, kind="stable")[: patients - counts.sum()]:
        counts[index] += 1
    for index in np.flatnonzero((counts == 0) & (shares > 0)):
        counts[index] += 1
        counts[np.argmax(counts)] -= 1
    return int(counts[0]), int(counts[1]), int(counts[2])


def split_cases(cases: Sequence[CohortCase], parts: str = PAPER_PARTS, seed: int = 0) -> list[CohortCase]:
    """Give every case its split: patients are shuffled by ``seed`` and all cases of a patient stay together."""
    patients = sorted({case.group for case in cases})
    shuffled = [patients[i] for i in np.random.default_rng([seed, len(patients)]).permutation(len(patients))]
    names = [name for name, count in zip(SPLITS, split_counts(parts, len(patients)), strict=True) for _ in range(count)]
    chosen = dict(zip(shuffled, names, strict=True))
    return [replace(case, split=chosen[case.group]) for case in cases]


# --- the check ----------------------------------------------------------------------------------------------------


def check_cohort(cases: Sequence[CohortCase]) -> Cohort:
    """Read every case once: geometry, duplicates, patients in two splits; see :func:`open_cohort` for the errors."""
    _check_patients(cases)
    digest = hashlib.sha256()
    warnings: list[str] = []
    owners: dict[str, CohortCase] = {}
    for case in cases:
        volumes = case.load().volumes
        if case.files:
            _check_grids(case.name, volumes)
        pixels = {name: pixel_sha256(volume.array) for name, volume in volumes.items()}
        digest.update(json.dumps([case.name, case.split, pixels]).encode())
        warnings += [f"{case.name}, {name}: {text}" for name, volume in volumes.items() for text in volume.warnings]
        warnings += _duplicates(case, pixels, owners)
    return Cohort(tuple(cases), digest.hexdigest(), tuple(warnings))


def _check_patients(cases: Sequence[CohortCase]) -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        used[case.group].add(case.split)
    torn = sorted(group for group, splits in used.items() if len(splits) > 1)
    if torn:
        raise InvalidInputError(
            f"These patients are in more than one split: {', '.join(torn[:5])}. All cases of a patient belong together."
        )


def _check_grids(name: str, volumes: Mapping[str, Any]) -> None:
    (first, reference), *others = volumes.items()
    for other, volume in others:
        if not volume.grid.same_as(reference.grid):
            raise GeometryError(
                f"Case {name}: {first} {reference.shape} and {other} {volume.shape} do not lie on the same grid "
                f"(spacing {reference.spacing_mm.round(3)} and {volume.spacing_mm.round(3)} mm). "
                "Register and resample one to the other first."
            )


def _duplicates(case: CohortCase, pixels: Mapping[str, str], owners: dict[str, CohortCase]) -> list[str]:
    """Note whose pixels these are; raises for the same ones in two splits, warns of the same ones in one.

    Images of a table count one by one; phantoms as a whole, for they may share a uniform map.
    """
    warnings = []
    marks = set(pixels.values()) if case.files else {json.dumps(pixels)}
    if case.files and len(marks) < len(pixels):
        warnings.append(f"Case {case.name}: {' and '.join(pixels)} hold the same pixels.")
    for owner in [owners[mark] for mark in marks if mark in owners]:
        if owner.split != case.split:
            raise InvalidInputError(
                f"Cases {owner.name} ({owner.split}) and {case.name} ({case.split}) hold the same pixels: what is "
                "trained on must not be tested on. Remove one, or give both the same group."
            )
        warnings.append(f"Cases {owner.name} and {case.name} hold the same pixels.")
    owners.update(dict.fromkeys(marks, case))
    return warnings
