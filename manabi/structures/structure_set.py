"""A set of structures: names, labels, colours, coded terms, and what is plausible of them.

BrainSeg's and PelvicSeg's are written in their packages; a bundle may bring another one in its facts, and so a third
set is a configuration and a bundle, not code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from manabi.errors import InvalidInputError
from manabi.result import LEFT, RIGHT, Code, Segment

SIDES = {"left": LEFT, "right": RIGHT}
DARKER = 0.82
"""The right side's colour over the left's."""


@dataclass(frozen=True)
class Structure:
    """One structure.

    Attributes:
        name: as parameters and tables have it, without spaces.
        code: of the structure, usually SNOMED CT.
        color: red, green and blue from 0 to 1.
        title: as readers see it; the name, where empty.
        sided: whether a result divides it into left and right.
        kept_share: pieces smaller than this share of its largest are dropped.
        least_mm3: and pieces smaller than this.
        plausible_ml: volumes of grown people; a result outside is flagged. None: nothing is said.
        uneven_percent: a larger difference of the sides is flagged. None: nothing is said.
    """

    name: str
    code: Code
    color: tuple[float, float, float]
    title: str = ""
    sided: bool = False
    kept_share: float = 0.0
    least_mm3: float = 0.0
    plausible_ml: tuple[float, float] | None = None
    uneven_percent: float | None = None

    @property
    def words(self) -> str:
        """As readers see it."""
        return self.title or self.name

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Structure:
        """From JSON; raises InvalidInputError where something is missing or unknown."""
        try:
            values = dict(facts)
            code, color, limits = values.pop("code"), values.pop("color"), values.pop("plausible_ml", None)
            red, green, blue = (float(v) for v in color)
            low_high = None if limits is None else (float(limits[0]), float(limits[1]))
            return cls(code=Code(*code), color=(red, green, blue), plausible_ml=low_high, **values)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InvalidInputError(
                "A structure needs name, code (value, scheme, meaning) and color (three numbers from 0 to 1), and may "
                f"have title, sided, kept_share, least_mm3, plausible_ml and uneven_percent; got {dict(facts)}."
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it; :meth:`of` reads it."""
        return {
            "name": self.name, "title": self.title, "code": [self.code.value, self.code.scheme, self.code.meaning],
            "color": list(self.color), "sided": self.sided, "kept_share": self.kept_share,
            "least_mm3": self.least_mm3, "plausible_ml": None if self.plausible_ml is None else list(self.plausible_ml),
            "uneven_percent": self.uneven_percent,
        }  # fmt: skip


@dataclass(frozen=True)
class Label:
    """One label of a result: its voxel value, structure and side (``""``, ``left`` or ``right``)."""

    value: int
    structure: str
    side: str

    @property
    def name(self) -> str:
        """As readers see it, for example ``left cerebrum``."""
        return f"{self.side} {self.structure}".strip()


@dataclass(frozen=True)
class StructureSet:
    """Structures in the order of their classes; raises InvalidInputError where a name stands twice, or none does."""

    structures: tuple[Structure, ...]

    def __post_init__(self) -> None:
        """Check the names."""
        names = [one.name for one in self.structures]
        if not names or len(set(names)) < len(names) or any(not n or " " in n for n in names):
            raise InvalidInputError(f"Expected different names of structures without spaces; got {names}.")

    @classmethod
    def of(cls, facts: Sequence[Mapping[str, Any]]) -> StructureSet:
        """From a bundle's facts or a configuration."""
        return cls(tuple(Structure.of(one) for one in facts))

    def to_list(self) -> list[dict[str, Any]]:
        """As JSON keeps it; :meth:`of` reads it."""
        return [one.to_dict() for one in self.structures]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names, in the order of the classes."""
        return tuple(one.name for one in self.structures)

    @cached_property
    def classes(self) -> dict[str, int]:
        """Labels of a map without sides, as networks learn it; 0 is everything else."""
        return {name: index + 1 for index, name in enumerate(self.names)}

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """Labels of a result's map: from 1 on, the left side of a structure before its right."""
        parts = [(one.name, side) for one in self.structures for side in (("left", "right") if one.sided else ("",))]
        return tuple(Label(value + 1, name, side) for value, (name, side) in enumerate(parts))

    def __getitem__(self, name: str) -> Structure:
        """The structure of a name; raises KeyError where there is none."""
        return self.structures[self.classes[name] - 1]

    def title(self, label: Label) -> str:
        """A label as readers see it."""
        return f"{label.side} {self[label.structure].words}".strip()

    def segments(self, wanted: Sequence[str] | None = None) -> tuple[Segment, ...]:
        """The labels of the wanted structures (None: of all) as coded segments; the right side a little darker."""
        out = []
        for label in self.labels:
            one = self[label.structure]
            if wanted is not None and one.name not in wanted:
                continue
            red, green, blue = one.color if label.side != "right" else tuple(DARKER * c for c in one.color)
            out.append(Segment(label.value, self.title(label), (red, green, blue), one.code,
                               laterality=SIDES.get(label.side)))  # fmt: skip
        return tuple(out)

    def chosen(self, text: str) -> tuple[str, ...]:
        """Names of the structures that a text lists (``all``, or names with commas), in the set's order.

        Raises:
            InvalidInputError: for a name that is not in the set, or no name.
        """
        if text.strip() == "all":
            return self.names
        asked = tuple(name.strip() for name in text.split(",") if name.strip())
        if not asked or any(name not in self.classes for name in asked):
            raise InvalidInputError(
                f"structures must be all, or names of {', '.join(self.names)} with commas; got {text!r}."
            )
        return tuple(name for name in self.names if name in asked)
