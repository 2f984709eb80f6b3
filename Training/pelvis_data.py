"""Pelvic CTs as PelvicSeg learns from them: on the working grid, with the organs' labels.

A cohort is ``phantoms:SEED:COUNT`` or a CSV with the columns ``case``, ``image`` (a CT), ``labels`` (a label map with
the values of :data:`manabi.pelvis.structures.CLASSES`, or of a set of one's own; on any grid) and perhaps ``group`` and
``split``. A case is read or rendered once, reduced, and kept as one small file.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.pelvis.structures import PELVIS
from manabi.structures.ct_input import InputSettings, averaged, prepare
from manabi.structures.structure_set import StructureSet
from manabi.volume import Volume
from Training.cohort import SPLITS, CohortCase, open_cohort
from Training.structure_task import Labelled

logger = logging.getLogger(__name__)

FORMAT = 1
LEAST_ML = 0.2
"""An organ with less than this in a case's labels was not contoured there, or lies outside (our choice)."""


@dataclass(frozen=True, eq=False)
class PelvisCase:
    """A CT to learn from or to be scored on, all ``(slices, rows, columns)`` on the working grid.

    Attributes:
        name: free of patient identifiers.
        patient: whose it is.
        image: float16 from 0 to 1.
        labels: uint8, the set's classes.
        organs: those that the labels hold.
    """

    name: str
    patient: str
    image: np.ndarray
    labels: np.ndarray
    organs: tuple[str, ...]

    def labelled(self) -> Labelled:
        """As the engine takes it: every slice is labelled."""
        return Labelled(self.image[None].astype(np.float32), self.labels, tuple(range(len(self.labels))))

    def digest(self) -> str:
        """SHA-256 of what is learned."""
        found = hashlib.sha256(str((self.image.shape, FORMAT)).encode())
        for array in (self.image, self.labels):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


@dataclass(frozen=True)
class PelvisCases:
    """Cases by what they are used for.

    Attributes:
        training: what is learned from.
        validation: what chooses the epoch and fits the temperature.
        test: what is scored, once.
        source: what they are, in a few words.
        simulated: whether they are phantoms.
        cohort: the cases with their images, for scores on the images' own grids.
        known: the structures that labels name.
    """

    training: list[PelvisCase]
    validation: list[PelvisCase]
    test: list[PelvisCase]
    source: str
    simulated: bool
    cohort: tuple[CohortCase, ...] = ()
    known: StructureSet = PELVIS

    def data_hash(self) -> str:
        """SHA-256 over all cases and their splits."""
        record = [[name, [case.digest() for case in getattr(self, name)]] for name in SPLITS]
        return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def images_of(case: CohortCase) -> tuple[Volume, Volume]:
    """The CT and the labels of a case, on their own grids."""
    loaded = case.load()
    if case.folder is not None:
        return loaded.volumes["ct"], loaded.labelmaps["organs"].volume
    return loaded.volumes["image"], loaded.volumes["labels"]


def reduced(
    name: str, patient: str, image: Volume, labels: Volume, settings: InputSettings, known: StructureSet = PELVIS
) -> PelvisCase:  # fmt: skip
    """A CT and its labels on the working grid.

    Raises:
        InvalidInputError: for labels with other values, or none where the image is.
    """
    values = np.asarray(labels.array)
    others = sorted(set(np.unique(values).tolist()) - {0, *known.classes.values()})
    if others:
        expected = ", ".join(f"{value} {organ}" for organ, value in known.classes.items())
        raise InvalidInputError(f"Case {name}: its labels hold {others[:5]}; expected 0 and {expected}.")
    ready = prepare(image, settings)
    found, least = np.zeros(ready.grid.shape, np.uint8), np.full(ready.grid.shape, 0.5, np.float32)
    straight = labels.reoriented()
    for value in known.classes.values():
        mask = straight.like((straight.array == value).astype(np.float32))
        share = averaged(mask, settings.spacing_mm).resampled(ready.grid).array
        higher = share > least
        found[higher], least[higher] = value, share[higher]
    voxel_ml = float(np.prod(settings.spacing_mm)) / 1000.0
    counts = np.bincount(found.ravel(), minlength=len(known.names) + 1)
    organs = tuple(organ for organ in known.names if counts[known.classes[organ]] * voxel_ml >= LEAST_ML)
    if not organs:
        raise InvalidInputError(f"Case {name}: no label lies where the image is. Were they drawn on another image?")
    return PelvisCase(name, patient, ready.image.astype(np.float16), found, organs)


def open_cases(
    data: str, cache: Path, settings: InputSettings, parts: str, split_seed: int,
    choices: Mapping[str, Any] | None = None, known: StructureSet = PELVIS,
) -> PelvisCases:  # fmt: skip
    """The cases of a cohort, reduced once and split by patient.

    Args:
        data: path of the table, or ``phantoms:SEED:COUNT``.
        cache: folder of the rendered phantoms and the reduced cases.
        settings: of the network's input.
        parts: training/validation/test patients.
        split_seed: of the split.
        choices: parameters of the phantom to fix.
        known: the structures that labels name; phantoms have PelvicSeg's.

    Raises:
        InvalidInputError: naming the case that cannot be used; where nobody is left to train or to validate on.
    """
    cohort = open_cohort(
        data, cache, phantom="pelvis", seed=split_seed, parts=parts, columns=("image", "labels"), keep=("ct",),
        choices=choices,
    )  # fmt: skip
    simulated = data.startswith("phantoms:")
    if simulated and known != PELVIS:
        raise InvalidInputError("Phantoms have the organs of PelvicSeg; give a table for other structures.")
    for warning in cohort.warnings:
        logger.warning(warning)
    by_split: dict[str, list[PelvisCase]] = {name: [] for name in SPLITS}
    for case in cohort.cases:
        by_split[case.split].append(reduced_once(case, cache, settings, known))
    if not by_split["training"] or not by_split["validation"]:
        raise InvalidInputError(
            "Expected at least one training and one validation case; give more cases or other parts."
        )
    patients = len({case.group for case in cohort.cases})
    source = f"simulated CT ({data})" if simulated else f"CT of {patients} patients"
    return PelvisCases(
        by_split["training"], by_split["validation"], by_split["test"], source, simulated, cohort.cases, known
    )  # fmt: skip


def reduced_once(
    case: CohortCase, cache: Path, settings: InputSettings, known: StructureSet = PELVIS
) -> PelvisCase:  # fmt: skip
    """A case from its small file, which is made where it is not there."""
    path = cache / "cases" / f"{_key(case, settings, known)}.npz"
    if path.is_file():
        return _load(path, case)
    made = reduced(case.name, case.group, *images_of(case), settings, known)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, overwrite=True) as aside, aside.open("wb") as stream:
        np.savez_compressed(stream, image=made.image, labels=made.labels, organs=np.array(made.organs))
    return made


def _load(path: Path, case: CohortCase) -> PelvisCase:
    try:
        with np.load(path, allow_pickle=False) as file:
            organs = tuple(str(name) for name in file["organs"])
            return PelvisCase(case.name, case.group, file["image"], file["labels"], organs)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(f"The prepared case {path.name} is damaged. Delete it and run again.") from error


def _key(case: CohortCase, settings: InputSettings, known: StructureSet) -> str:
    """What a reduced case is made from: no path of the site's is written into it."""
    parts: list[object] = [case.name, settings.to_dict(), FORMAT]
    if known != PELVIS:
        parts.append(list(known.names))
    for place in [case.folder] if case.folder is not None else list(case.files.values()):
        files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
        own = case.folder is not None
        parts.append([(f.name if own else str(f.resolve()), f.stat().st_size, 0 if own else f.stat().st_mtime_ns)
                      for f in files])  # fmt: skip
    parts.append(case.folder.name if case.folder is not None else "")
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def write_splits(cases: PelvisCases, path: Path) -> None:
    """List every split's cases and patients in a JSON file."""
    record: dict[str, object] = {"data_sha256": cases.data_hash()}
    for name in SPLITS:
        own: Sequence[PelvisCase] = getattr(cases, name)
        record[name] = {"cases": [c.name for c in own], "patients": sorted({c.patient for c in own})}
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
