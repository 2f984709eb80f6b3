"""Whom BrainSeg learns from: heads (label maps that images are made from) and scans (images with labels), by split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from Training.brain_heads import Bending, find_maps, load_head, prepare_heads
from Training.brain_synth import Example, Looks, make_example
from Training.cohort import SPLITS, CohortCase, split_cases

if TYPE_CHECKING:
    from Training.brain import BrainRecipe

LABELS_PREFIX = "labels:"
Size = tuple[int, int, int]


class Subject(Protocol):
    """One person to learn from."""

    @property
    def name(self) -> str:
        """Free of patient identifiers."""

    @property
    def patient(self) -> str:
        """Whose it is."""

    @property
    def simulated(self) -> bool:
        """Whether images are made."""

    def example(self, rng: np.random.Generator, looks: Looks, step: int, size_mm: Size | None = None) -> Example:
        """An image drawn with ``rng``, of a part of the head; see :func:`Training.brain_synth.make_example`."""

    def digest(self) -> str:
        """SHA-256 of what the subject consists of."""


@dataclass(frozen=True)
class HeadSubject:
    """A label map, in deformed copies on disk."""

    name: str
    patient: str
    files: tuple[Path, ...]
    simulated: bool = True

    def example(self, rng: np.random.Generator, looks: Looks, step: int, size_mm: Size | None = None) -> Example:
        """An image of one of the copies."""
        head = load_head(self.files[int(rng.integers(len(self.files)))])
        return make_example(head, rng, looks, step, size_mm)

    def digest(self) -> str:
        """Of the copies' folder, which is named by the map, the deformations and the arteries."""
        return hashlib.sha256(f"{self.files[0].parent.name}{len(self.files)}".encode()).hexdigest()


@dataclass(frozen=True)
class Subjects:
    """Subjects by what they are used for.

    Attributes:
        training: what is learned from.
        validation: what chooses the epoch and calibrates.
        test: what is scored, once.
        source: what they are, in a few words.
    """

    training: list[Subject]
    validation: list[Subject]
    test: list[Subject]
    source: str

    @property
    def all(self) -> list[Subject]:
        """Every subject."""
        return [*self.training, *self.validation, *self.test]

    @property
    def simulated(self) -> bool:
        """Whether any image is made."""
        return any(subject.simulated for subject in self.all)


def open_subjects(data: str, recipe: BrainRecipe, bending: Bending, cache: Path) -> Subjects:
    """The subjects of ``labels:FOLDER``, of ``phantoms:SEED:COUNT`` or of a CSV, split by patient.

    Raises:
        InvalidInputError: for a folder without label maps, or a table that cannot be used.
    """
    if not data.startswith(LABELS_PREFIX):
        from Training.brain_scans import open_scans

        return open_scans(data, recipe, cache)
    maps = find_maps(Path(data.removeprefix(LABELS_PREFIX)))
    files = prepare_heads(maps, cache, recipe.split_seed, recipe.copies, bending, recipe.trees)
    copies = [tuple(files[n * recipe.copies : (n + 1) * recipe.copies]) for n in range(len(maps))]
    heads: list[Subject] = [HeadSubject(f"head-{n:03d}", f"head-{n:03d}", own) for n, own in enumerate(copies)]
    cases = split_cases([CohortCase(head.name, head.patient) for head in heads], recipe.parts, recipe.split_seed)
    return by_split(heads, [case.split for case in cases], f"images made from {len(maps)} label maps")


def by_split(subjects: Sequence[Subject], splits: Sequence[str], source: str) -> Subjects:
    """Subjects with the split of each; raises InvalidInputError where there is none to train or to validate on."""
    parts = [[s for s, own in zip(subjects, splits, strict=True) if own == name] for name in SPLITS]
    if not parts[0] or not parts[1]:
        raise InvalidInputError(
            "Expected at least one training and one validation case; give more cases or other parts."
        )
    return Subjects(parts[0], parts[1], parts[2], source)


def data_hash(subjects: Subjects) -> str:
    """SHA-256 over all subjects and their splits."""
    record = [[name, [s.digest() for s in getattr(subjects, name)]] for name in SPLITS]
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def write_splits(subjects: Subjects, path: Path) -> None:
    """List every split's cases and patients in a JSON file."""
    record: dict[str, object] = {"data_sha256": data_hash(subjects)}
    for name in SPLITS:
        own = getattr(subjects, name)
        record[name] = {"cases": [s.name for s in own], "patients": sorted({s.patient for s in own})}
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
