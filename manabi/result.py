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
    """Series of x and y values for a chart; ``kind`` is ``line``, ``scatter`` or ``bar``."""

    title: str
    x_label: str
    y_label: str
    series: dict[str, tuple[list[float], list[float]]]
    kind: str = "line"


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
