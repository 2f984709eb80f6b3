"""The cohort a model is fitted to: simulated tumours, a table of images and outcomes, or tables that are ready."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manabi.batch.spreadsheet import read_rows
from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.io.tables import write_table
from manabi.phantoms.base import case_rng
from manabi.phantoms.tumour import TumourPhantom
from manabi.radiomics.cohort.parallel import run_tasks
from manabi.radiomics.extract import versions
from manabi.radiomics.measure import measure
from manabi.radiomics.merge import together
from manabi.radiomics.parameters import RadiomicsParameters
from manabi.radiomics.segments import choose
from manabi.radiomics.tables import wide_table
from manabi.result import Table
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.phantoms.base import Case

PHANTOMS = "phantoms"
FEATURES, OUTCOMES = "features.csv", "outcomes.csv"
OUTCOME_FACTS = ("time_days", "event", "age_years", "sex", "stage", "centre", "grade")
"""What of a phantom's truth the table of outcomes holds: what a clinic would know."""
IMAGES = {"ct": ("ct",), "mr": ("t1ce", "t2")}
"""Volumes of a phantom that are the method's images, first and second."""
COLUMNS = ("case", "image", "mask")


@dataclass(frozen=True)
class Tables:
    """Two CSV files that a model can be fitted to.

    Attributes:
        features: a row per tumour.
        outcomes: a row per patient.
        simulated: whether the patients are phantoms.
        source: in words, without names and paths.
    """

    features: Path
    outcomes: Path
    simulated: bool
    source: str


@dataclass(frozen=True, eq=False)
class Extraction:
    """What the processes that extract features share.

    Attributes:
        parameters: preset and changes.
        folder: one JSON file per case.
        seed: of phantoms; case ``i`` is drawn from ``case_rng(seed, i)``.
        choices: of the phantom.
        rows: of a table of images; empty for phantoms.
        base: folder that relative paths of the table start from.
    """

    parameters: RadiomicsParameters
    folder: Path
    seed: int = 0
    choices: tuple[tuple[str, Any], ...] = ()
    rows: tuple[Mapping[str, str], ...] = ()
    base: Path = Path()


def open_data(
    data: str, parameters: RadiomicsParameters, choices: Mapping[str, Any], output: Path, cache: Path, context: Context,
    workers: int | None,
) -> Tables:  # fmt: skip
    """The tables of the data; features are extracted where they are not there yet.

    Args:
        data: ``phantoms:SEED:COUNT``; a CSV with the columns ``case``, ``image``, ``mask`` (and ``second``) and the
            outcome; or a folder with ``features.csv`` and ``outcomes.csv``.
        parameters: how features are extracted.
        choices: of the phantom.
        output: gets the two tables.
        cache: of features by case.
        context: progress and cancellation.
        workers: processes.

    Raises:
        InvalidInputError: for data that are none of these.
    """
    if data.startswith(f"{PHANTOMS}:"):
        return _simulated(data, parameters, choices, output, cache, context, workers)
    path = Path(data)
    if path.is_dir():
        return _ready(path)
    if path.is_file():
        return _from_images(path, parameters, output, cache, context, workers)
    raise InvalidInputError(
        f"Expected phantoms:SEED:COUNT, a CSV of images or a folder with {FEATURES} and {OUTCOMES}; got {data!r}."
    )


def _ready(folder: Path) -> Tables:
    """Tables that somebody made before."""
    missing = [name for name in (FEATURES, OUTCOMES) if not (folder / name).is_file()]
    if missing:
        raise InvalidInputError(f"The folder has no {' and no '.join(missing)}. Name the tables so.")
    return Tables(folder / FEATURES, folder / OUTCOMES, False, "a local cohort")


# --- phantoms ---------------------------------------------------------------------------------------------------------


def _simulated(
    data: str, parameters: RadiomicsParameters, choices: Mapping[str, Any], output: Path, cache: Path, context: Context,
    workers: int | None,
) -> Tables:  # fmt: skip
    """Features and outcomes of simulated patients."""
    try:
        seed, count = (int(part) for part in data.split(":")[1:])
    except ValueError as error:
        raise InvalidInputError(f"Expected phantoms:SEED:COUNT; got {data!r}.") from error
    job = Extraction(parameters, cache, seed, tuple(sorted(choices.items())))
    records = _extracted(job, count, context, workers)
    names = {f"case-{index:04d}": record for index, record in enumerate(records)}
    facts = [name for name in OUTCOME_FACTS if any(r["truth"].get(name) is not None for r in records)]
    rows = [(case, *(record["truth"].get(name) for name in facts)) for case, record in names.items()]
    modality = str(dict(job.choices).get("modality", "ct")).upper()
    return _written(names, (("case", *facts), rows), output, True, f"simulated tumours in {modality} ({data})")


def _phantom(job: Extraction, index: int) -> tuple[dict[str, Volume], Volume, dict[str, Any]]:
    """Images, mask and truth of a simulated patient."""
    phantom = TumourPhantom()
    drawn = phantom.sample_parameters(case_rng(job.seed, index), **dict(job.choices))
    case: Case = phantom.render(drawn)
    names = ("image", "second")
    images = {name: case.volumes[own] for name, own in zip(names, IMAGES[drawn.modality], strict=False)}
    return images, case.labelmaps["tumour"].volume, dict(case.truth)


# --- a table of images ------------------------------------------------------------------------------------------------


def _from_images(
    path: Path, parameters: RadiomicsParameters, output: Path, cache: Path, context: Context, workers: int | None
) -> Tables:
    """Features of the images that a table names; its other columns are the outcomes."""
    rows, columns = read_rows(path)
    if missing := [name for name in COLUMNS if name not in columns]:
        raise InvalidInputError(f"The table has no column {', '.join(missing)}. Expected {', '.join(COLUMNS)}.")
    job = Extraction(parameters, cache, rows=tuple(rows), base=path.absolute().parent)
    records = _extracted(job, len(rows), context, workers)
    kept = [name for name in columns if name not in ("image", "mask", "second")]
    outcomes = [tuple(row.get(name) for name in kept) for row in rows]
    named = {row["case"]: record for row, record in zip(rows, records, strict=True)}
    return _written(named, (kept, outcomes), output, False, "a local cohort")


def _read(job: Extraction, index: int) -> tuple[dict[str, Volume], Volume, dict[str, Any]]:
    """Images and mask of a row."""
    from manabi.io import read_volume

    row = job.rows[index]
    images = {n: read_volume(job.base / row[n], name=n) for n in ("image", "second") if row.get(n)}
    return images, read_volume(job.base / row["mask"], name="mask"), {}


# --- both -------------------------------------------------------------------------------------------------------------


def _extracted(job: Extraction, count: int, context: Context, workers: int | None) -> list[dict[str, Any]]:
    """One record per case; what the cache holds of the same settings and versions is read."""
    text = json.dumps([job.seed, job.choices, job.parameters.extraction().to_dict(), versions()], sort_keys=True)
    folder = job.folder / hashlib.sha256(text.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    placed = Extraction(job.parameters, folder, job.seed, job.choices, job.rows, job.base)
    missing = [n for n in range(count) if not _file(placed, n).is_file()]
    if missing:
        run_tasks(make_record, placed, missing, context, workers)
    return [json.loads(_file(placed, n).read_text(encoding="utf-8")) for n in range(count)]


def make_record(job: Extraction, index: int) -> None:
    """Extract one case's features and write them into the cache."""
    images, mask, truth = _read(job, index) if job.rows else _phantom(job, index)
    chosen = choose(mask, job.parameters)
    measured, warnings = measure(images, mask, chosen, job.parameters.extraction(), Context(device="cpu"))
    table = wide_table(measured, job.parameters.preset)
    record = {"columns": table.columns, "rows": table.rows, "truth": truth, "warnings": warnings}
    with atomic_file(_file(job, index), overwrite=True) as aside:
        aside.write_text(json.dumps(record), encoding="utf-8")


def _file(job: Extraction, index: int) -> Path:
    """The cached record of a case: of a table by its paths, of phantoms by their number."""
    if not job.rows:
        return job.folder / f"case-{index:05d}.json"
    text = json.dumps([job.rows[index].get(name) for name in ("image", "second", "mask")])
    return job.folder / f"case-{hashlib.sha256((str(job.base) + text).encode()).hexdigest()[:16]}.json"


def _written(
    records: Mapping[str, Mapping[str, Any]], outcomes: tuple[Sequence[str], Sequence[Sequence[Any]]], output: Path,
    simulated: bool, source: str,
) -> Tables:  # fmt: skip
    """Write both tables."""
    tables = {case: Table(tuple(r["columns"]), tuple(tuple(row) for row in r["rows"])) for case, r in records.items()}
    merged = together(tables)
    for name, columns, rows in ((FEATURES, merged.columns, merged.rows), (OUTCOMES, *outcomes)):
        with atomic_file(output / name, overwrite=True) as aside:
            write_table(columns, rows, aside)
    return Tables(output / FEATURES, output / OUTCOMES, simulated, source)


def columns_of(path: Path) -> list[str]:
    """The heading of a CSV."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])
