"""What the text after ``--data`` names for MVCTConvert: patients with megavoltage (or cone-beam) and kilovoltage CT.

Four forms, joined by ``+``:

- ``phantoms:SEED:COUNT``: simulated patients.
- ``kvct:FOLDER``: planning CTs of which the MVCT is simulated.
- ``MVCT_FOLDER::KVCT_FOLDER``: unpaired scans; every file or DICOM folder in them is a patient, and the same name in
  both folders is the same patient.
- ``TABLE.csv`` with the columns ``case, domain, image`` (``domain``: mvct, cbct or kvct), or ``case, input, target``
  for pairs on one grid, which are used for evaluation only; both with ``group`` (the patient) and ``split`` where
  wanted.

Names of files stay where they are: a patient of a folder is called by a number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from manabi.batch.spreadsheet import read_sheet
from manabi.errors import InvalidInputError
from manabi.volume import Volume
from Training.cohort import PHANTOMS, SPLITS, CohortCase, read_rows
from Training.mvct_simulate import KvctJob, PhantomJob, SimulationSettings, phantom_jobs

SOURCE, TARGET = "source", "target"
DOMAINS = {"mvct": SOURCE, "cbct": SOURCE, "kvct": TARGET, SOURCE: SOURCE, TARGET: TARGET}
WORDS = {SOURCE: "megavoltage or cone-beam CT", TARGET: "kilovoltage CT"}
NO_IMAGE = re.compile(r"label|mask|seg", re.IGNORECASE)
"""Files of a folder whose name holds one of these are left out: they are no CT."""
IMAGES = re.compile(r"\.(nii|nii\.gz|nrrd|mha|mhd)$", re.IGNORECASE)


@dataclass(frozen=True)
class Scan:
    """One CT of a patient.

    Attributes:
        name: unique, free of patient identifiers.
        patient: whose it is.
        domain: ``source`` (megavoltage or cone-beam CT) or ``target`` (kilovoltage CT).
        path: image file or DICOM folder.
        split: one of the cohort's splits, or empty before they are made.
        pair: the name that the source and the target of a pair on one grid share; empty for unpaired scans.
        simulated: whether physics made it.
        place: of it in a folder, for messages.
    """

    name: str
    patient: str
    domain: str
    path: Path
    split: str = ""
    pair: str = ""
    simulated: bool = False
    place: str = ""

    def load(self) -> Volume:
        """The image as a float HU volume; raises what reading raises, naming the scan."""
        from manabi.errors import ManabiError
        from manabi.io import read_volume

        try:
            return read_volume(self.path, name=self.domain)
        except ManabiError as error:
            raise type(error)(f"Scan {self.name}{self.place}: {error}") from error


@dataclass(frozen=True)
class Person:
    """One patient: scans that exist, or what simulates them.

    Attributes:
        name: unique, free of patient identifiers.
        scans: real ones; empty where ``job`` makes them.
        job: what simulates both scans.
        split: one of the cohort's splits, or empty.
        paired: real scans are pairs, for evaluation only.
    """

    name: str
    scans: tuple[Scan, ...] = ()
    job: PhantomJob | KvctJob | None = None
    split: str = ""
    paired: bool = False

    @property
    def stratum(self) -> tuple[object, ...]:
        """Patients of one stratum are divided among the splits in proportion."""
        return self.job is not None, self.paired, frozenset(scan.domain for scan in self.scans)


def read_sources(data: str, simulation: SimulationSettings) -> list[Person]:
    """Everyone that ``--data`` names; see the module for its forms.

    Raises:
        InvalidInputError: a form that is not known, a folder or table that is missing or empty, a name that is used
            twice.
    """
    people: list[Person] = []
    for number, part in enumerate(data.split("+"), start=1):
        people += _read(part.strip(), simulation, f"{number}" if "+" in data else "")
    names = [person.name for person in people]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"These patients are named twice in --data: {', '.join(twice[:5])}.")
    return people


def _read(part: str, simulation: SimulationSettings, mark: str) -> list[Person]:
    match = PHANTOMS.fullmatch(part)
    if match:
        return [Person(name, job=job) for name, job in phantom_jobs(int(match[1]), int(match[2]), simulation)]
    if part.startswith("phantoms:"):
        raise InvalidInputError(f"Expected phantoms:SEED:COUNT, for example phantoms:1:40; got {part!r}.")
    if part.startswith("kvct:"):
        paths = _entries(Path(part.removeprefix("kvct:")))
        jobs = [KvctJob(path, seed, simulation) for seed, path in enumerate(paths)]
        return [Person(f"kvct{mark}-{n:03d}", job=job) for n, job in enumerate(jobs, start=1)]
    if "::" in part:
        first, _, second = part.partition("::")
        return _unpaired(Path(first), Path(second), f"patient{mark}")
    if Path(part).is_dir():
        raise InvalidInputError(
            f"{part!r} is a folder. Give MVCT_FOLDER::KVCT_FOLDER for two folders of scans, or kvct:FOLDER to simulate "
            "the MVCT of planning CTs."
        )
    return _table(Path(part))


# --- folders ----------------------------------------------------------------------------------------------------------


def _entries(folder: Path) -> list[Path]:
    """Image files and subfolders of a folder, sorted; label maps left out."""
    if not folder.is_dir():
        raise InvalidInputError(f"There is no folder {str(folder)!r}.")
    found = [p for p in sorted(folder.iterdir()) if not p.name.startswith(".") and not NO_IMAGE.search(p.name)]
    kept = [p for p in found if p.is_dir() or IMAGES.search(p.name)]
    if not kept:
        raise InvalidInputError(
            f"The folder {str(folder)!r} holds no CT: expected image files (.nii.gz, .nrrd, .mha) or one DICOM folder "
            "per scan."
        )
    return kept


def _unpaired(sources: Path, targets: Path, prefix: str) -> list[Person]:
    by_name: dict[str, list[tuple[str, Path, str]]] = {}
    for domain, folder in ((SOURCE, sources), (TARGET, targets)):
        for number, path in enumerate(_entries(folder), start=1):
            place = f" (by name number {number} in the folder of {WORDS[domain]})"
            by_name.setdefault(IMAGES.sub("", path.name), []).append((domain, path, place))
    people = []
    for number, key in enumerate(sorted(by_name), start=1):
        patient = f"{prefix}-{number:03d}"
        scans = tuple(
            Scan(f"{patient}-{domain}", patient, domain, path, place=place) for domain, path, place in by_name[key]
        )
        people.append(Person(patient, scans))
    return people


# --- tables -----------------------------------------------------------------------------------------------------------


def _table(path: Path) -> list[Person]:
    """Patients of a CSV, of either form."""
    if not path.is_file():
        raise InvalidInputError(
            f"No data {str(path)!r}: expected a CSV file, MVCT_FOLDER::KVCT_FOLDER, kvct:FOLDER or phantoms:SEED:COUNT."
        )
    header = read_sheet(path).columns
    if "domain" not in header and {"input", "target"} <= set(header):
        return [_pair(row.case) for row in read_rows(path, ("input", "target"))]
    if not {"domain", "image"} <= set(header):
        raise InvalidInputError(
            "The table needs the columns case, domain, image, or case, input, target, in small letters; it has "
            f"{', '.join(header)}."
        )
    return _grouped([_scan(row.case, row.cells.get("domain", "").lower()) for row in read_rows(path, ("image",))])


def _scan(case: CohortCase, domain: str) -> Scan:
    if domain not in DOMAINS:
        raise InvalidInputError(f"Case {case.name}: domain must be mvct, cbct or kvct; got {domain!r}.")
    return Scan(case.name, case.group, DOMAINS[domain], case.files["image"], case.split)


def _grouped(scans: Sequence[Scan]) -> list[Person]:
    people: dict[str, list[Scan]] = {}
    for scan in scans:
        people.setdefault(scan.patient, []).append(scan)
    torn = sorted(name for name, own in people.items() if len({scan.split for scan in own}) > 1)
    if torn:
        raise InvalidInputError(
            f"These patients are in more than one split: {', '.join(torn[:5])}. All scans of a patient belong together."
        )
    return [Person(name, tuple(own), split=own[0].split) for name, own in people.items()]


def _pair(case: CohortCase) -> Person:
    """A patient for evaluation; never in the training split."""
    if case.split == SPLITS[0]:
        raise InvalidInputError(
            f"Case {case.name}: pairs are for evaluation; give its split as validation or test, or its two scans as "
            "rows of their own with a domain."
        )
    scans = [
        Scan(f"{case.name}-{domain}", case.group, domain, case.files[column], case.split, case.name)
        for column, domain in (("input", SOURCE), ("target", TARGET))
    ]
    return Person(case.name, tuple(scans), split=case.split, paired=True)


def with_split(person: Person, split: str) -> Person:
    """The patient and all scans in a split."""
    return replace(person, split=split, scans=tuple(replace(scan, split=split) for scan in person.scans))
