"""The cases that SliceMarker is trained, validated and tested on: phantoms, or a site's table; split by patient."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from Training.cohort import PHANTOMS, SPLITS, CohortCase, split_cases
from Training.slices_data import SliceCase, data_hash, load, prepare_phantoms

if TYPE_CHECKING:
    from Training.slices import SlicesRecipe

logger = logging.getLogger(__name__)

PHANTOM_PREFIX = "phantoms:"
FEWEST = 3
"""Phantoms that can be split."""


@dataclass(frozen=True)
class Split:
    """Prepared cases by what they are used for.

    Attributes:
        training: what is learned from.
        validation: what chooses the epoch and calibrates the decoder.
        test: what is scored, once.
        simulated: whether they are phantoms.
        patients: patient of each case by its name; a case that is not named is a patient of its own.
    """

    training: list[SliceCase]
    validation: list[SliceCase]
    test: list[SliceCase]
    simulated: bool
    patients: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> list[SliceCase]:
        """All cases."""
        return [*self.training, *self.validation, *self.test]

    def patient(self, case: str) -> str:
        """Whose a case is."""
        return self.patients.get(case, case)


def open_split(data: str, recipe: SlicesRecipe, cache: Path) -> Split:
    """Prepared cases of a CSV (:mod:`Training.slices_table`) or of ``phantoms:SEED:COUNT``, split by patient.

    Args:
        data: path of the table, or the phantoms.
        recipe: says how cases are prepared and split.
        cache: folder of the prepared cases.

    Raises:
        InvalidInputError: for a table that cannot be read, or labels that cannot be right.
    """
    if not data.startswith(PHANTOM_PREFIX):
        from Training.slices_table import open_table

        return open_table(Path(data), recipe, cache)
    seed, count = _phantom_numbers(data)
    files = prepare_phantoms(seed, count, cache, recipe.input())
    named = [CohortCase(f"{index:05d}", f"{index:05d}") for index in range(count)]
    order = [case.split for case in split_cases(named, recipe.parts, recipe.split_seed)]
    parts = [[load(file) for file, split in zip(files, order, strict=True) if split == name] for name in SPLITS]
    return Split(parts[0], parts[1], parts[2], simulated=True)


def _phantom_numbers(data: str) -> tuple[int, int]:
    match = PHANTOMS.fullmatch(data)
    if match is None or int(match[2]) < FEWEST:
        raise InvalidInputError(
            f"Expected phantoms:SEED:COUNT with at least {FEWEST}, for example phantoms:1:300; got {data!r}."
        )
    return int(match[1]), int(match[2])


def write_splits(split: Split, path: Path) -> None:
    """List every split's cases and patients in a JSON file."""
    record: dict[str, object] = {"data_sha256": data_hash(split.all)}
    for name in SPLITS:
        names = [case.name for case in getattr(split, name)]
        record[name] = {"cases": names, "patients": sorted({split.patient(case) for case in names})}
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
