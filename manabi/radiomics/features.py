"""Named feature values with all that is needed to read them: settings, versions, warnings; as a tidy table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics import names as naming
from manabi.radiomics.settings import ExtractionSettings
from manabi.result import Cell, Table

COLUMNS = ("feature", "value", "unit", "ibsi", "filter", "family")


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """The features of one region.

    Attributes:
        names: ``image_family_Name``, each once.
        values: float64, one for each name; NaN where undefined, with the reason in ``warnings``.
        settings: how they were extracted.
        versions: name and version of the packages that computed.
        warnings: what was assumed or changed, and what is undefined and why.
    """

    names: tuple[str, ...]
    values: np.ndarray
    settings: ExtractionSettings
    versions: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Freeze the values; refuse another number of them than of names."""
        values = np.array(self.values, dtype=np.float64)
        if values.shape != (len(self.names),) or len(set(self.names)) != len(self.names):
            raise InvalidInputError(f"Expected one value for each of {len(self.names)} different names.")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    @classmethod
    def of(
        cls,
        found: Mapping[str, float],
        settings: ExtractionSettings,
        versions: tuple[tuple[str, str], ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> FeatureSet:
        """A set from values by name; infinite ones become NaN, and what is undefined is added to the warnings."""
        values = np.array(list(found.values()), dtype=np.float64)
        values[~np.isfinite(values)] = np.nan
        undefined = [name for name, value in zip(found, values, strict=True) if math.isnan(value)]
        return cls(tuple(found), values, settings, versions, (*warnings, *_undefined(undefined)))

    def __getitem__(self, name: str) -> float:
        """The value of a feature by its full name; raises InvalidInputError where there is none."""
        if name not in self.names:
            raise InvalidInputError(f"No feature {name!r} among the {len(self.names)}; the first is {self.names[0]!r}.")
        return float(self.values[self.names.index(name)])

    def as_dict(self) -> dict[str, float]:
        """Values by name, in order."""
        return dict(zip(self.names, self.values.tolist(), strict=True))

    def to_table(self) -> Table:
        """One row for each feature; an undefined value is the number NaN, not an empty cell.

        Columns: the full name, the value, its unit (``1`` where there is none), IBSI's tag where IBSI 1 has the
        feature and it was computed as IBSI says, the image it was computed on, and the family.
        """
        rows: list[tuple[Cell, ...]] = []
        for full, value in self.as_dict().items():
            image, name = naming.split(full)
            known = naming.lookup(name)
            tag = known.tag if self.settings.mode == "ibsi" and image == "original" else ""
            rows.append((full, value, known.unit, tag or "none", image, known.family))
        return Table(COLUMNS, tuple(rows))

    def to_json(self) -> str:
        """Settings, versions and warnings as JSON, to lie beside the table."""
        return json.dumps(
            {
                "settings": self.settings.to_dict(),
                "settings_sha256": self.settings.digest(),
                "versions": dict(self.versions),
                "warnings": list(self.warnings),
            },
            indent=2,
        )


def _undefined(names: list[str]) -> list[str]:
    """One warning for each reason, with the features it concerns."""
    by_reason: dict[str, list[str]] = {}
    for name in names:
        by_reason.setdefault(naming.reason(name), []).append(name)
    return [f"Undefined, because {reason}: {', '.join(concerned)}." for reason, concerned in by_reason.items()]
