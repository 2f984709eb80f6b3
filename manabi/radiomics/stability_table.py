"""Which features are repeatable: classes by the lower end of the interval."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.stability_icc import ICC, Form, icc
from manabi.result import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMITS = (0.5, 0.75, 0.9)
CLASSES = ("poor", "moderate", "good", "excellent")
UNDEFINED = "undefined"


def classes(low: np.ndarray) -> np.ndarray:
    """Class of each feature by the lower end of its interval: below 0.5 poor, 0.75 moderate, 0.9 good, else excellent.

    T. Koo, M. Li, A guideline of selecting and reporting intraclass correlation coefficients, J Chiropr Med 2016;15:
    155-163 (10.1016/j.jcm.2016.02.012), who judge by the whole interval; the lower end alone is our choice, and the
    stricter one. NaN is ``undefined``.
    """
    found = np.array(CLASSES, dtype=object)[np.searchsorted(LIMITS, low, side="right").clip(0, 3)]
    return np.where(np.isnan(low), UNDEFINED, found)


@dataclass(frozen=True, eq=False)
class StabilityTable:
    """Repeatability of every feature.

    Attributes:
        names: of the features.
        icc: values and intervals, in the order of the names.
        n_repeats: measurements of each patient.
        description: what was repeated and how features were made, for the record.
        warnings: what failed.
    """

    names: tuple[str, ...]
    icc: ICC
    n_repeats: int
    description: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that do not fit the values."""
        if len(self.names) != len(self.icc.value):
            raise InvalidInputError(f"{len(self.names)} names for {len(self.icc.value)} features.")

    @classmethod
    def of(
        cls, names: Sequence[str], repeated: np.ndarray, form: Form = "1,1", warnings: Sequence[str] = (), **about: Any
    ) -> StabilityTable:
        """The table of an array ``(n_patients, n_repeats, n_features)``; see :func:`manabi.radiomics.stability.icc`."""
        return cls(tuple(names), icc(repeated, form), int(np.shape(repeated)[1]), dict(about), tuple(warnings))

    @property
    def classes(self) -> tuple[str, ...]:
        """Class of each feature, see :func:`classes`."""
        return tuple(classes(self.icc.low).tolist())

    def repeatable(self, least: float = 0.75) -> tuple[str, ...]:
        """Names of the features whose interval lies at or above a value.

        Look at outcomes of the same patients only with a filter that is fitted within the cross-validation: see
        :func:`manabi.radiomics.stability.repeat_features`.
        """
        return tuple(name for name, low in zip(self.names, self.icc.low, strict=True) if low >= least)

    def counts(self) -> dict[str, int]:
        """How many features are in each class."""
        found = self.classes
        return {name: found.count(name) for name in (*CLASSES, UNDEFINED)}

    def table(self) -> Table:
        """One row for each feature; what is unknown is None."""
        form = self.icc.form.replace(",", "_")
        columns = ("feature", f"icc_{form}", "low", "high", "class", "within_sd", "n_patients", "n_repeats")
        numbers = (self.icc.value, self.icc.low, self.icc.high, self.icc.within_sd)
        rows = []
        for index, (name, kind) in enumerate(zip(self.names, self.classes, strict=True)):
            value, low, high, spread = (float(a[index]) if np.isfinite(a[index]) else None for a in numbers)
            rows.append((name, value, low, high, kind, spread, int(self.icc.n_patients[index]), self.n_repeats))
        return Table(columns, tuple(rows))
