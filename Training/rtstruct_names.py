"""Which structure of a planning system is which organ: names as people type them, compared after normalisation.

A name counts only as a whole: ``Bladder_wall``, ``PTV_Prostate`` or ``Rectum-PTV`` are other structures than the organ,
and a word that is not known makes a name unknown. The tables are our choice, after the names of AAPM TG-263 and what
Japanese, English and German departments write; a site adds its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from manabi.errors import InvalidInputError
from manabi.io.dicom.structure_list import Roi
from manabi.structures.structure_set import StructureSet

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "prostate": ("prostate", "prostate gland", "prostata", "prost", "前立腺"),
    "seminal_vesicles": (
        "seminal vesicles", "seminal vesicle", "SV", "SVs", "SeminalVes", "SemVes", "SemVesicles", "seminal ves",
        "vesiculae seminales", "Samenblase", "Samenblasen", "精嚢", "精囊", "精のう", "精嚢腺",
    ),
    "bladder": ("bladder", "urinary bladder", "blad", "bladder whole", "Harnblase", "Blase", "膀胱"),
    "rectum": ("rectum", "rect", "Rektum", "rectum whole", "直腸"),
}  # fmt: skip
"""Of PelvicSeg's organs; other sets of structures are found by their names and titles."""
HARMLESS = frozenset(("o", "oar", "organ", "whole", "final", "contour", "roi", "1"))
"""Words that may stand beside an organ's name without making it another structure."""
SIDES = {"l": "l", "lt": "l", "left": "l", "左": "l", "r": "r", "rt": "r", "right": "r", "右": "r"}
PAIRED = frozenset(("seminal_vesicles",))
"""Organs whose two sides may be structures of their own."""
CTV = "ctv"


@dataclass(frozen=True)
class NameRules:
    """How names are matched.

    Attributes:
        synonyms: names by organ, as people type them.
        ctv: whether a clinical target volume may stand for an organ that has no contour of its own. It is a decision of
            treatment, not an outline of the organ, and so only on demand.
    """

    synonyms: Mapping[str, tuple[str, ...]]
    ctv: bool = False
    _known: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check that no name stands for two organs."""
        known: dict[str, str] = {}
        for organ, names in self.synonyms.items():
            for name in names:
                if not joined(name) or known.setdefault(joined(name), organ) != organ:
                    raise InvalidInputError(
                        f"The synonym {name!r} of {organ} is empty, or stands for another organ too. Change it."
                    )
        object.__setattr__(self, "_known", known)

    @classmethod
    def of(
        cls, known: StructureSet, *, ctv: bool = False, more: Mapping[str, Sequence[str]] | None = None
    ) -> NameRules:  # fmt: skip
        """For a set of structures.

        Args:
            known: the set; each is found by its name, its title, and :data:`SYNONYMS`.
            ctv: see :class:`NameRules`.
            more: further names by organ.

        Raises:
            InvalidInputError: for an organ that is not in the set, or a name that stands for two.
        """
        more = more or {}
        others = sorted(set(more) - set(known.names))
        if others:
            raise InvalidInputError(f"Synonyms are given for {', '.join(others)}; expected {', '.join(known.names)}.")
        names = {
            one.name: (one.name, one.words, *SYNONYMS.get(one.name, ()), *more.get(one.name, ()))
            for one in known.structures
        }
        return cls(names, ctv)

    def read(self, name: str) -> Reading | None:
        """What a structure's name says; None where it is none of the organs."""
        words = tokens(name)
        target = "".join(words).startswith(CTV)
        if target and not self.ctv:
            return None
        if target:
            words[0] = words[0].removeprefix(CTV)
        kept = [word for word in words if word not in HARMLESS]
        for rank, given in enumerate((words, kept)):
            organ = self._known.get("".join(given))
            if organ is not None:
                return Reading(organ, "", rank + 2 * target)
        sides = {SIDES[word] for word in kept if word in SIDES}
        organ = self._known.get("".join(word for word in kept if word not in SIDES))
        return Reading(organ, sides.pop(), 1 + 2 * target) if organ in PAIRED and organ and len(sides) == 1 else None


@dataclass(frozen=True)
class Reading:
    """What a name says.

    Attributes:
        organ: of the set.
        side: ``l``, ``r`` or empty.
        rank: 0 for the plain name; more, the more there is besides.
    """

    organ: str
    side: str
    rank: int


@dataclass(frozen=True)
class Match:
    """What was found for an organ.

    Attributes:
        numbers: of the structures that are it together; none where it is missing.
        why: why it is missing; empty where it is not.
    """

    numbers: tuple[int, ...] = ()
    why: str = ""


def match(rois: Sequence[Roi], rules: NameRules) -> dict[str, Match]:
    """The structures of every organ, by organ in the rules' order."""
    found: dict[str, list[tuple[Reading, Roi]]] = {organ: [] for organ in rules.synonyms}
    for roi in rois:
        reading = rules.read(roi.name)
        if reading is not None:
            found[reading.organ].append((reading, roi))
    return {organ: _best(candidates) for organ, candidates in found.items()}


def _best(candidates: Sequence[tuple[Reading, Roi]]) -> Match:
    """The plainest of the names that have contours; both sides together where each has one."""
    if not candidates:
        return Match(why="no structure of that name")
    drawn = [(reading, roi) for reading, roi in candidates if roi.contours]
    if not drawn:
        return Match(why="its structure has no closed contours")
    for wanted in ([pair for pair in drawn if not pair[0].side], [pair for pair in drawn if pair[0].side]):
        least = min((reading.rank for reading, _ in wanted), default=0)
        best = [(reading, roi) for reading, roi in wanted if reading.rank == least]
        sides = [reading.side for reading, _ in best]
        if sides in ([""], ["l", "r"], ["r", "l"]):
            return Match(tuple(roi.number for _, roi in best))
        if len(best) > 1:
            listed = ", ".join(f"#{roi.number}" for _, roi in best)
            return Match(why=f"several structures have its name ({listed}): choose one")
    return Match(why="only one side is drawn")


def tokens(name: str) -> list[str]:
    """The words of a name: width, case, camel case, separators and leading zeros of numbers do not count."""
    text = unicodedata.normalize("NFKC", name)
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[左右])|(?=[左右])", " ", text)
    return [word.lstrip("0") or word for word in re.split(r"[\W_]+", text.casefold()) if word]


def joined(name: str) -> str:
    """The words of a name without anything between them."""
    return "".join(tokens(name))
