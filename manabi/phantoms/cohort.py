"""A cohort of phantoms as files: one folder per case, and ``cohort.csv`` over all of them.

A case's folder holds its volumes and label maps (NIfTI), ``truth.json`` and ``case.json``, from which it can be
rebuilt. It appears whole or not at all, so an interrupted cohort continues where it stopped. Case ``i`` is drawn from
``case_rng(seed, i)``: it does not depend on how many cases there are, or in which order or batches they were rendered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io import atomic_file, atomic_folder, write_volume
from manabi.io.labels import labels_json
from manabi.io.tables import write_json, write_table
from manabi.phantoms.base import Case, Phantom, case_rng

CASE, TRUTH, COHORT = "case.json", "truth.json", "cohort.csv"
BATCH = 4
"""Cases rendered together (our choice: about what fits a small machine)."""


def parse_choices(settings: Sequence[str]) -> dict[str, Any]:
    """``key=value`` texts for ``Phantom.sample_parameters``; a value is read as JSON, else taken as text."""
    choices = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise InvalidInputError(f"Expected key=value; got {text!r}.")
        try:
            choices[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            choices[key.strip()] = value.strip()
    return choices


def write_cohort(
    phantom: Phantom[Any],
    folder: Path,
    count: int,
    seed: int,
    choices: Mapping[str, Any] | None = None,
    context: Context | None = None,
) -> Path:
    """Write a cohort, or what is missing of it.

    Args:
        phantom: the simulator.
        folder: where; cases that are complete in it are kept.
        count: number of cases.
        seed: case ``i`` is drawn from ``case_rng(seed, i)``.
        choices: passed to ``sample_parameters`` for every case.
        context: device, progress, cancellation.

    Returns:
        The path of ``cohort.csv``: one row per case with the files relative to ``folder`` and the true values.

    Raises:
        InvalidInputError: where a case in the folder was made from other parameters (seed, choices, phantom).
        CancelledError: when the context was cancelled; complete cases stay.
    """
    context = context or Context()
    drawn = [_draw(phantom, seed, index, choices or {}) for index in range(count)]
    missing = [index for index in range(count) if not _is_complete(phantom, _case(folder, index), drawn[index])]
    for first in range(0, len(missing), BATCH):
        batch = missing[first : first + BATCH]
        context.progress(first / len(missing), f"{len(missing) - first} cases to go")
        with context.span(first / len(missing), (first + len(batch)) / len(missing)):
            cases = phantom.render_batch([drawn[index] for index in batch], context)
        for index, case in zip(batch, cases, strict=True):
            write_case(case, _case(folder, index), phantom.to_json(drawn[index]))
    context.progress(1.0, "Done")
    return _write_table(folder, seed, [phantom.pair(parameters) for parameters in drawn])


def _draw(phantom: Phantom[Any], seed: int, index: int, choices: Mapping[str, Any]) -> Any:
    try:
        return phantom.sample_parameters(case_rng(seed, index), **choices)
    except TypeError as error:
        raise InvalidInputError(f"The phantom {phantom.name} cannot be drawn so: {error}.") from error


def _case(folder: Path, index: int) -> Path:
    return folder / f"case-{index:04d}"


def _is_complete(phantom: Phantom[Any], folder: Path, parameters: Any) -> bool:
    """Whether the case is there; refuses one that was made otherwise."""
    if not folder.exists():
        return False
    record = folder / CASE
    if not record.exists() or record.read_text(encoding="utf-8") != phantom.to_json(parameters):
        raise InvalidInputError(
            f"{folder} holds a case with other parameters (seed, settings or version). Name another folder, or remove "
            "this one."
        )
    return True


def write_case(case: Case, folder: Path, record: str) -> None:
    """Write one case as a folder that appears whole or not at all; ``record`` is the phantom's JSON for rebuilding."""
    with atomic_folder(folder) as aside:
        for key, volume in case.volumes.items():
            write_volume(volume, aside / f"{key}.nii.gz", description="Manabi phantom, simulated")
        for key, labelmap in case.labelmaps.items():
            write_volume(labelmap.volume, aside / f"{key}.nii.gz", description="Manabi phantom, simulated")
            write_json(labels_json(labelmap), aside / f"{key}.labels.json")
        write_json(case.truth, aside / TRUTH)
        (aside / CASE).write_text(record, encoding="utf-8")


def _write_table(folder: Path, seed: int, pairs: Sequence[tuple[str, str] | None]) -> Path:
    """One row per case: index, seed, input and target where the phantom has them, all files by key, true values."""
    records = []
    for index, pair in enumerate(pairs):
        case = _case(folder, index)
        names = sorted(path.name for path in case.glob("*.nii.gz"))
        files = {name.removesuffix(".nii.gz"): f"{case.name}/{name}" for name in names}
        roles = {} if pair is None else {"input": files[pair[0]], "target": files[pair[1]]}
        truth = json.loads((case / TRUTH).read_text(encoding="utf-8"))
        records.append({"case": case.name, "seed": seed, "index": index, **roles, **files, **truth})
    columns = list(dict.fromkeys(key for record in records for key in record))
    with atomic_file(folder / COHORT, overwrite=True) as aside:
        write_table(columns, [[record.get(key) for key in columns] for record in records], aside)
    return folder / COHORT
