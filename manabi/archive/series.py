"""The series of an archive, put together from its index: what they are, how their slices lie, why they cannot be used.

Nothing is read but the index. What a series is follows from its files in the order of their paths, whatever the order
in which they were indexed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import numpy as np

from manabi.archive.facts import OBJECT, Facts, stored_frames
from manabi.archive.index import IndexedFile
from manabi.archive.words import ENHANCED_CONTRASTS as ENHANCED
from manabi.archive.words import contrast_in, contrast_of_times, plain_words
from manabi.errors import ManabiError
from manabi.io.dicom.frames import Frame
from manabi.io.dicom.stack import Stack, arrange
from manabi.io.radiograph import MODALITIES as RADIOGRAPHS

AXES = ("sagittal", "coronal", "axial")
"""Orientations by the axis (L, P, S) along which the slices follow each other."""
ALONG = 0.8
"""Least cosine between the slices' normal and an axis for the slices to be called after it (37°, our choice)."""


@dataclass(frozen=True, eq=False)
class ArchivedSeries:
    """One series of the archive, or one radiograph.

    Attributes:
        item: pseudonym.
        files: of the index, copies left out, in the order of their paths.
        copies: how many files were copies of others.
    """

    item: str
    files: tuple[IndexedFile, ...] = field(repr=False)
    copies: int = 0

    @property
    def facts(self) -> Facts:
        """What the first file says."""
        return self.files[0].facts

    @property
    def is_image(self) -> bool:
        """Whether it holds images rather than contours, segmentations, reports and the like."""
        return self.files[0].record.kind != OBJECT

    @property
    def is_radiograph(self) -> bool:
        """Whether it is one film."""
        return self.is_image and self.facts.modality in RADIOGRAPHS

    @property
    def n_slices(self) -> int:
        """How many slices its files hold."""
        return sum(file.record.frames for file in self.files) if self.is_image else 0

    @cached_property
    def image_type(self) -> tuple[str, ...]:
        """The values of ImageType of all its files."""
        return tuple(dict.fromkeys(value for file in self.files for value in file.facts.image_type))

    @cached_property
    def words(self) -> str:
        """What its header says of the examination, as patterns are searched in."""
        facts = self.facts
        texts = (facts.body_part, facts.description, facts.protocol, facts.study_description, facts.equipment)
        return plain_words(texts)

    @cached_property
    def own_words(self) -> str:
        """The same without what is said of the whole study and of the scanner."""
        return plain_words((self.facts.body_part, self.facts.description, self.facts.protocol))

    @cached_property
    def stack(self) -> Stack | None:
        """How its slices lie; None where they form no stack, which :attr:`problem` explains."""
        return self._arranged[0]

    @cached_property
    def problem(self) -> str:
        """Why it cannot be read as a volume; empty where it can."""
        return self._arranged[1]

    @property
    def spacing_mm(self) -> float | None:
        """Distance between slices."""
        stack = self.stack
        return stack.spacing_mm if stack is not None and len(stack.frames) > 1 else self.facts.between_mm

    @property
    def extent_mm(self) -> float | None:
        """From the first slice to the last, with one spacing."""
        stack = self.stack
        return None if stack is None else float(stack.heights_mm[-1]) + stack.spacing_mm

    @cached_property
    def orientation(self) -> str:
        """``axial``, ``coronal``, ``sagittal`` or ``oblique``; empty where it is not known."""
        if self.stack is None:
            return ""
        normal = np.abs(self.stack.directions[2])
        return AXES[int(normal.argmax())] if normal.max() >= ALONG else "oblique"

    @cached_property
    def contrast(self) -> str:
        """MR contrast, from its own words, else AcquisitionContrast, else the times; ``unknown`` where none says it."""
        facts = self.facts
        if facts.modality != "MR":
            return ""
        times = (facts.repetition_ms, facts.echo_ms, facts.inversion_ms)
        own = plain_words((facts.description, facts.protocol))
        found = contrast_in(own) or ENHANCED.get(facts.acquisition_contrast, "") or contrast_of_times(*times)
        return "T1 with contrast agent" if found == "T1" and facts.contrast_agent else found or "unknown"

    @cached_property
    def _arranged(self) -> tuple[Stack | None, str]:
        """The stack, or why there is none."""
        if not self.is_image or self.is_radiograph:
            return None, ""
        problem = next((file.record.problem for file in self.files if file.record.problem), "")
        if problem:
            return None, problem
        try:
            return arrange(self._frames(), self.facts.modality), ""
        except ManabiError as error:
            return None, str(error)

    def _frames(self) -> list[Frame]:
        return [frame for f in self.files for frame in stored_frames(f.record.places, f.path, f.record)]


def archived_series(files: Iterable[IndexedFile]) -> list[ArchivedSeries]:
    """The series and radiographs of an index, by patient, study, number and pseudonym."""

    def key(file: IndexedFile) -> tuple[str, bool]:
        return (file.record.item, file.record.kind == OBJECT)

    ordered = sorted(files, key=lambda file: (key(file), file.path))
    series = [_one(item, list(group)) for (item, _), group in groupby(ordered, key)]
    return sorted(series, key=_place)


def _one(item: str, files: Sequence[IndexedFile]) -> ArchivedSeries:
    """A series without its copies: files of the same UID, number and place."""
    kept: dict[object, IndexedFile] = {}
    for file in files:
        record = file.record
        kept.setdefault((record.uid, record.number, record.places) if record.uid else file.path, file)
    return ArchivedSeries(item, tuple(kept.values()), len(files) - len(kept))


def _place(series: ArchivedSeries) -> tuple[object, ...]:
    facts = series.facts
    return (facts.patient, facts.study, facts.number is None, facts.number or 0, series.item, not series.is_image)
