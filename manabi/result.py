"""What a method gives back. One bridge turns a Result into Slicer nodes, one writer turns it into files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.volume import Volume

Cell = str | float | int | None


@dataclass(frozen=True)
class Code:
    """A coded concept, as DICOM writes it."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class Segment:
    """One label of a label map.

    Attributes:
        label: voxel value.
        name: name shown to the user.
        color: RGB, each 0 to 1.
        category: coded category, by default "Anatomical Structure" (SNOMED CT).
        type: coded structure.
        laterality: coded modifier (left, right), or None.
    """

    label: int
    name: str
    color: tuple[float, float, float]
    type: Code
    category: Code = Code("123037004", "SCT", "Anatomical Structure")
    laterality: Code | None = None


LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")


@dataclass(frozen=True)
class Labelmap:
    """Labels on a grid; ``volume.array`` is integer, 0 is background, every other value has its segment."""

    volume: Volume
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        """Refuse labels without a segment."""
        if self.volume.array.dtype.kind not in "bui":
            raise InvalidInputError(f"A label map holds integers; got {self.volume.array.dtype}.")
        unknown = set(np.unique(self.volume.array).tolist()) - {0} - {s.label for s in self.segments}
        if unknown:
            raise InvalidInputError(f"Labels without a segment: {sorted(unknown)}.")


@dataclass(frozen=True)
class Landmark:
    """A point in the patient, RAS mm; ``confidence`` from 0 to 1 or None."""

    name: str
    position_ras: tuple[float, float, float]
    confidence: float | None = None
    description: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under named columns; units stand in the column's name (``volume_ml``); an unknown value is None."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        """Refuse ragged rows."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InvalidInputError(f"A row of {len(row)} cells under {len(self.columns)} columns.")

    def column(self, name: str) -> list[Cell]:
        """All cells of a column."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]


@dataclass(frozen=True)
class Plot:
    """Series of x and y values for a chart.

    Attributes:
        title: what the chart shows.
        x_label: with the unit.
        y_label: with the unit.
        series: x and y values by name.
        kind: ``line``, ``scatter`` or ``bar``.
        categories: of a bar chart, the names at x = 0, 1, 2, ...; empty where x is a number.
        marks: names of the series of a bar chart that are levels to compare the bars with, drawn as marks.
    """

    title: str
    x_label: str
    y_label: str
    series: dict[str, tuple[list[float], list[float]]]
    kind: str = "line"
    categories: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse bars that stand under no category, and marks that are no series."""
        if (self.categories or self.marks) and self.kind != "bar":
            raise InvalidInputError(f"Only a bar chart has categories and marks; this is a {self.kind} chart.")
        if unknown := sorted(set(self.marks) - set(self.series)):
            raise InvalidInputError(f"Marks that are no series: {', '.join(unknown)}.")
        places = {x for xs, _ in self.series.values() for x in xs} if self.categories else set()
        if not places <= set(range(len(self.categories))):
            raise InvalidInputError(f"Bars must stand at 0 to {len(self.categories) - 1}; got {sorted(places)}.")

    def place(self, x: float) -> str | float:
        """What stands at x: a category's name, or the number itself."""
        return self.categories[int(x)] if self.categories else x


@dataclass
class Result:
    """Everything a run gives back; names are keys, in the order a reader should see them."""

    volumes: dict[str, Volume] = field(default_factory=dict)
    labelmaps: dict[str, Labelmap] = field(default_factory=dict)
    landmarks: dict[str, Landmark] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    plots: dict[str, Plot] = field(default_factory=dict)
    measurements: dict[str, Cell] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
