"""Which CT a structure set was drawn on: by the series and images it names, else by its frame of reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from manabi.archive.facts import NAMING, names_in
from manabi.archive.index import IndexedFile
from manabi.archive.series import ArchivedSeries
from manabi.archive.words import without_names
from manabi.errors import ManabiError
from manabi.io.dicom.headers import read_header
from manabi.io.dicom.structure_list import Roi, StructureList, list_structures
from manabi.pseudonym import Pseudonyms

STRUCTURES = "RS"
"""Kind of a structure set's pseudonym."""
NOTHING = StructureList((), frozenset(), frozenset(), frozenset())


@dataclass(frozen=True, eq=False)
class FoundCt:
    """A CT series of the archive."""

    series: ArchivedSeries

    @cached_property
    def frame(self) -> str:
        """UID of its frame of reference; empty where its slices name none, or several."""
        headers = [read_header(file.path) for file in (self.series.files[0], self.series.files[-1])]
        frames = {"" if header is None else header.text("FrameOfReferenceUID") for header in headers}
        return frames.pop() if len(frames) == 1 else ""

    @cached_property
    def images(self) -> frozenset[str]:
        """UIDs of its images."""
        return frozenset(file.record.uid for file in self.series.files)

    @cached_property
    def problem(self) -> str:
        """Why contours cannot be drawn on it; empty where they can."""
        stack = self.series.stack
        if stack is None:
            return self.series.problem or "its slices form no stack"
        if stack.is_tilted or not stack.is_regular:
            return "its slices are tilted or unevenly spaced, and contours lie on slices that resampling takes away"
        return ""


@dataclass(frozen=True, eq=False)
class FoundStructures:
    """A structure set, with names free of the patient's.

    Attributes:
        content: what it holds.
        problem: why it cannot be used; empty where it can.
        item: pseudonym of the file.
        patient: pseudonym of the patient.
    """

    content: StructureList
    problem: str = ""
    item: str = ""
    patient: str = ""

    @classmethod
    def read(cls, path: Path, item: str = "", patient: str = "") -> FoundStructures:
        """Read a file; a damaged one holds nothing and says why.

        Args:
            path: the file.
            item: pseudonym of the file.
            patient: pseudonym of the patient.
        """
        header = read_header(path, more=NAMING)
        try:
            content = list_structures(path)
        except ManabiError as error:
            return cls(NOTHING, str(error), item, patient)
        names = [] if header is None else names_in(header)
        rois = tuple(Roi(roi.number, without_names(roi.name, names), roi.contours) for roi in content.rois)
        return cls(replace(content, rois=rois), "" if rois else "it holds no structures", item, patient)


def structure_files(files: Sequence[IndexedFile]) -> dict[str, IndexedFile]:
    """The structure sets of an index by pseudonym; of copies the first."""
    pseudonyms = Pseudonyms.of_this_user()
    found: dict[str, IndexedFile] = {}
    for file in files:
        if file.facts.modality == "RTSTRUCT":
            uid = file.record.uid or f"{file.record.item} {file.record.number}"
            found.setdefault(pseudonyms(STRUCTURES, uid), file)
    return found


@dataclass(frozen=True)
class Pair:
    """The CT of a structure set.

    Attributes:
        ct: None where none was found.
        why: how it was found, or why there is none or it cannot be used.
        usable: whether it can be used as it is.
    """

    ct: FoundCt | None
    why: str
    usable: bool = False


def pair(structures: FoundStructures, cts: Sequence[FoundCt]) -> Pair:
    """Find the CT that a structure set was drawn on.

    The series it names goes first, then the one that holds most of the images that its contours name, then the only CT
    of the patient in its frame of reference (our order: from what says most to what says least).
    """
    if structures.problem:
        return Pair(None, structures.problem)
    content = structures.content
    ways = (
        ("the series that it names", [ct for ct in cts if ct.series.facts.series_uid in content.series]),
        ("holds the images that its contours name", _most(cts, content)),
        ("the patient's only CT in its frame of reference", _in_frame(structures, cts)),
    )
    for why, found in ways:
        if len(found) > 1:
            listed = ", ".join(ct.series.item for ct in found)
            return Pair(None, f"several CT series fit ({listed}): write the right one under ct, and yes under use")
        if found:
            reason = _against(structures, found[0])
            return Pair(found[0], reason or why, not reason)
    return Pair(None, "the CT that it was drawn on is not in the folder, and no other lies in its frame of reference")


def _most(cts: Sequence[FoundCt], content: StructureList) -> list[FoundCt]:
    """The CT that holds most of the images that the set names; several where they hold as many."""
    counts = {id(ct): len(ct.images & content.images) for ct in cts}
    most = max(counts.values(), default=0)
    return [ct for ct in cts if most and counts[id(ct)] == most]


def _in_frame(structures: FoundStructures, cts: Sequence[FoundCt]) -> list[FoundCt]:
    patient, frames = structures.patient, structures.content.frames
    originals = [ct for ct in cts if ct.series.facts.patient == patient and not ct.series.facts.made_here]
    return [ct for ct in originals if not ct.problem and ct.frame in frames]


def _against(structures: FoundStructures, ct: FoundCt) -> str:
    """Why a structure set should not be drawn on its CT; empty where it can."""
    if structures.patient != ct.series.facts.patient:
        return "the CT that it names is of another patient: check it, as after a faulty anonymisation"
    return frame_problem(structures.content, ct.frame) or (f"its CT cannot be used: {ct.problem}" if ct.problem else "")


def frame_problem(content: StructureList, frame: str) -> str:
    """What to say where structures and CT name different frames of reference; empty otherwise."""
    if content.frames and frame and frame not in content.frames:
        return "its CT lies in another frame of reference, where contours would not lie right"
    return ""
