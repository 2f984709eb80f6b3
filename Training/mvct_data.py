"""Training data of MVCTConvert: unpaired scans, split by patient and checked for leaks."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.provenance import pixel_sha256
from Training.cohort import SPLITS, CohortCase, split_cases
from Training.mvct_exchanged import check_exchanged
from Training.mvct_simulate import BLURRED, KvctJob, SimulationSettings, simulated
from Training.mvct_sources import SOURCE, TARGET, Person, Scan, read_sources, with_split

TRAINING = SPLITS[0]
PARTS = "8/1/3"


@dataclass(frozen=True)
class DataSettings:
    """How the data are split and prepared.

    Attributes:
        simulation: how patients and scans are simulated.
        pixel_mm: pixel size of the network; None takes every scan's own.
        parts: training/validation/test patients, as :func:`Training.cohort.split_counts` takes them.
        seed: of the split, and of who provides which scan.
        paired: simulated training patients provide both scans, as supervised training needs it; otherwise each
            provides one.
        max_slices: source slices that are trained on, patient by patient; 0 takes all.
    """

    simulation: SimulationSettings = field(default_factory=SimulationSettings)
    pixel_mm: float | None = 1.5
    parts: str = PARTS
    seed: int = 0
    paired: bool = False
    max_slices: int = 0


@dataclass(frozen=True)
class Site:
    """Scans that were checked and split.

    Attributes:
        scans: all of them.
        data_hash: SHA-256 over every scan's name, domain, split, pair and pixels.
        warnings: what a person should look at.
    """

    scans: tuple[Scan, ...]
    data_hash: str
    warnings: tuple[str, ...] = ()

    def of(self, split: str, domain: str) -> list[Scan]:
        """The scans of a split and a domain."""
        return [scan for scan in self.scans if scan.split == split and scan.domain == domain]

    def patients(self, split: str) -> list[str]:
        """The patients of a split, sorted."""
        return sorted({scan.patient for scan in self.scans if scan.split == split})

    def pairs(self, split: str) -> list[tuple[Scan, Scan]]:
        """Source and target scans on one grid, of a split."""
        targets = {scan.pair: scan for scan in self.of(split, TARGET) if scan.pair}
        return [(scan, targets[scan.pair]) for scan in self.of(split, SOURCE) if scan.pair in targets]

    @property
    def simulated(self) -> bool:
        """Whether physics made any of the scans."""
        return any(scan.simulated for scan in self.scans)

    def write_splits(self, path: Path) -> None:
        """List every split's scans and patients in a JSON file."""
        record: dict[str, Any] = {"data_sha256": self.data_hash}
        for name in SPLITS:
            domains = {domain: [scan.name for scan in self.of(name, domain)] for domain in (SOURCE, TARGET)}
            pairs = [[a.name, b.name] for a, b in self.pairs(name)]
            record[name] = {"patients": self.patients(name), **domains, "pairs": pairs}
        with atomic_file(path, overwrite=True) as aside:
            aside.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def open_site(data: str, settings: DataSettings, cache: Path) -> Site:
    """Read what ``--data`` names, split it by patient, simulate what is to be simulated, and check it.

    Raises:
        InvalidInputError: for what :func:`Training.mvct_sources.read_sources` refuses, an image or a patient in two
            splits, or no scan of a domain to train on.
    """
    people, warnings = split_people(read_sources(data, settings.simulation), settings)
    scans = [scan for person in people if person.job is None for scan in person.scans]
    scans += _simulated([person for person in people if person.job is not None], settings, cache)
    for domain, words in ((SOURCE, "megavoltage or cone-beam"), (TARGET, "kilovoltage")):
        if not any(scan.split == TRAINING and scan.domain == domain for scan in scans):
            raise InvalidInputError(
                f"The training split has no {words} CT. Give at least one patient of each. (Planning CTs whose pixels "
                f"are over {BLURRED:g} times those of recipe.pixel_mm provide no kilovoltage CT.)"
            )
    return check_site(scans, [*warnings, *check_exchanged(scans)])


# --- splits -----------------------------------------------------------------------------------------------------------


def split_people(people: Sequence[Person], settings: DataSettings) -> tuple[list[Person], list[str]]:
    """Give every patient a split: simulated, paired and unpaired patients of each kind are divided alike.

    Real pairs are never trained on. Where there are fewer patients of a kind than splits, all of them are trained on,
    with a warning.

    Raises:
        InvalidInputError: where some patients have a split and others none, or one planning CT is in two splits.
    """
    _check_given(people)
    strata: dict[Any, list[Person]] = defaultdict(list)
    done = [person for person in people if person.split]
    for person in people:
        if not person.split:
            strata[person.stratum].append(person)
    warnings: list[str] = []
    for members in strata.values():
        parts = _without_training(settings.parts) if members[0].paired else settings.parts
        chosen = _assigned(members, parts, settings.seed)
        if chosen is None:
            split = SPLITS[2] if members[0].paired else TRAINING
            warnings.append(f"Only {len(members)} patients of a kind: all of them are in the {split} split.")
            chosen = {person.name: split for person in members}
        done += [with_split(person, chosen[person.name]) for person in members]
    _check_copies(done)
    return sorted(done, key=lambda person: person.name), warnings


def _check_given(people: Sequence[Person]) -> None:
    real = [person for person in people if person.job is None]
    if any(person.split for person in real) and not all(person.split for person in real):
        lacking = [person.name for person in real if not person.split]
        raise InvalidInputError(f"Some patients have a split and others none: {', '.join(lacking[:5])}. Give all.")


def _check_copies(people: Sequence[Person]) -> None:
    """A planning CT that is there twice is scanned with other noise each time: its pixels do not give it away."""
    owners: dict[str, Person] = {}
    for person in people:
        if not isinstance(person.job, KvctJob):
            continue
        owner = owners.setdefault(person.job.digest(), person)
        if owner.split != person.split:
            raise InvalidInputError(
                f"{owner.name} ({owner.split}) and {person.name} ({person.split}) are the same planning CT: what is "
                "trained on must not be tested on. Remove one."
            )


def _without_training(parts: str) -> str:
    shares = parts.split("/")
    return "/".join(["0", *shares[1:]])


def _assigned(members: Sequence[Person], parts: str, seed: int) -> dict[str, str] | None:
    """Split of each patient; None where there are too few."""
    needed = sum(share.strip().strip("0.") != "" for share in parts.split("/"))
    if len(members) < max(needed, 1) or not needed:
        return None
    cases = split_cases([CohortCase(person.name, person.name) for person in members], parts, seed)
    return {case.name: case.split for case in cases}


def _simulated(people: Sequence[Person], settings: DataSettings, cache: Path) -> list[Scan]:
    """The scans of simulated patients: both for evaluation, in training one of each patient, by turns."""
    roles = _roles(people, settings)
    jobs = [(person.job, roles[person.name]) for person in people if person.job is not None]
    scans = []
    for person, files in zip(people, simulated(jobs, cache), strict=True):
        pair = person.name if len(files) == 2 else ""
        for domain, path in files.items():
            scans.append(Scan(f"{person.name}-{domain}", person.name, domain, path, person.split, pair, True))
    return scans


def _roles(people: Sequence[Person], settings: DataSettings) -> dict[str, tuple[str, ...]]:
    """Which scans each simulated patient provides.

    A planning CT whose pixels are much larger than the network's shows what the MVCT of soft edges looks like, but not
    what kVCT looks like: in unpaired training it provides a source only (our choice).
    """
    roles: dict[str, tuple[str, ...]] = {person.name: (SOURCE, TARGET) for person in people}
    if settings.paired:
        return roles
    training = [person for person in people if person.split == TRAINING]
    sharp = [person for person in training if person.job is not None and not person.job.is_coarse()]
    roles.update({person.name: (SOURCE,) for person in training})
    order = np.random.default_rng([settings.seed, len(sharp)]).permutation(len(sharp))
    roles.update({sharp[int(position)].name: (TARGET,) for position in order[1::2]})
    return roles


# --- the check --------------------------------------------------------------------------------------------------------


def check_site(scans: Sequence[Scan], warnings: Sequence[str] = ()) -> Site:
    """Read every scan once: patients in two splits, the same pixels twice, pairs that are not on one grid.

    A patient with one source and one target scan on the same grid outside of training becomes a pair.

    Raises:
        InvalidInputError: naming patients or scans that are in two splits, or of both kinds.
        GeometryError: for a pair whose grids differ.
    """
    _check_patients(scans)
    digest, notes = hashlib.sha256(), list(warnings)
    owners: dict[str, Scan] = {}
    grids: dict[str, Any] = {}
    for scan in scans:
        volume = scan.load()
        pixels = pixel_sha256(volume.array)
        grids[scan.name] = volume.grid
        notes += [f"{scan.name}: {text}" for text in volume.warnings]
        digest.update(json.dumps([scan.name, scan.domain, scan.split, scan.pair, pixels]).encode())
        _check_owner(scan, owners.setdefault(pixels, scan), notes)
    return Site(_paired(scans, grids), digest.hexdigest(), tuple(dict.fromkeys(notes)))


def _check_patients(scans: Sequence[Scan]) -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for scan in scans:
        used[scan.patient].add(scan.split)
    torn = sorted(patient for patient, splits in used.items() if len(splits) > 1)
    if torn:
        raise InvalidInputError(
            f"These patients are in more than one split: {', '.join(torn[:5])}. All scans of a patient belong together."
        )


def _check_owner(scan: Scan, owner: Scan, notes: list[str]) -> None:
    if owner is scan:
        return
    if owner.split != scan.split:
        raise InvalidInputError(
            f"Scans {owner.name} ({owner.split}) and {scan.name} ({scan.split}) hold the same pixels: what is trained "
            "on must not be tested on. Remove one, or give both the same group."
        )
    if owner.domain != scan.domain:
        raise InvalidInputError(
            f"Scans {owner.name} and {scan.name} hold the same pixels: one scan cannot be both what to convert from "
            "and what to convert to. Check the folders, or the column domain."
        )
    notes.append(f"Scans {owner.name} and {scan.name} hold the same pixels.")


def _paired(scans: Sequence[Scan], grids: dict[str, Any]) -> tuple[Scan, ...]:
    """The scans with pairs marked; raises GeometryError for a pair whose grids differ."""
    from manabi.errors import GeometryError

    own: dict[tuple[str, str], list[Scan]] = defaultdict(list)
    for scan in scans:
        own[scan.patient, scan.pair].append(scan)
    out = []
    for scan in scans:
        fellows = own[scan.patient, scan.pair]
        both = sorted(s.domain for s in fellows) == [SOURCE, TARGET]
        same = both and grids[fellows[0].name].same_as(grids[fellows[1].name])
        if scan.pair and not same:
            raise GeometryError(
                f"The scans of pair {scan.pair} do not lie on one grid. Register and resample one to the other first."
            )
        found = same and not scan.pair and scan.split != TRAINING
        out.append(replace(scan, pair=scan.patient) if found else scan)
    return tuple(out)
