"""The patients of a study as one immutable table: features, clinical data, volume, centre and outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from manabi.errors import InvalidInputError

if TYPE_CHECKING:
    from manabi.radiomics.cohort.table_csv import Columns

Kind = Literal["survival", "binary", "ordinal", "none"]
ClinicalKind = Literal["numeric", "categorical", "ordinal"]


@dataclass(frozen=True, eq=False)
class ClinicalColumn:
    """One clinical variable of all rows.

    Attributes:
        name: as in the table it came from.
        kind: ``numeric``; ``categorical`` (codes into ``levels``, no order); ``ordinal`` (codes, in order).
        values: ``(n,)`` numbers or codes, NaN where missing.
        levels: names of the codes; empty for a number.
    """

    name: str
    kind: ClinicalKind
    values: np.ndarray
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check and freeze."""
        object.__setattr__(self, "values", frozen(self.values))
        known = self.values[np.isfinite(self.values)]
        if self.kind != "numeric" and known.size and not np.isin(known, np.arange(len(self.levels))).all():
            raise InvalidInputError(f"Clinical column {self.name!r}: codes must be 0 to {len(self.levels) - 1}.")

    @classmethod
    def of(cls, name: str, values: Sequence[object], kind: ClinicalKind = "categorical",
           levels: Sequence[str] | None = None) -> ClinicalColumn:  # fmt: skip
        """From texts, with None (or an empty text) where missing.

        Raises:
            InvalidInputError: a text that is none of the levels.
        """
        texts = ["" if value is None else str(value).strip() for value in values]
        known = tuple(levels) if levels is not None else tuple(sorted({text for text in texts if text}))
        unknown = sum(bool(text) and text not in known for text in texts)
        if unknown:
            raise InvalidInputError(
                f"Clinical column {name!r}: {unknown} rows hold something else than {', '.join(known)}; "
                "name every level, in order."
            )
        codes = [known.index(text) if text else np.nan for text in texts]
        return cls(name, kind, np.array(codes, float), known)

    def take(self, rows: np.ndarray) -> ClinicalColumn:
        """Some of the rows."""
        return replace(self, values=self.values[rows])


@dataclass(frozen=True, eq=False)
class Cohort:
    """Rows (tumours) of patients. Rows of one patient are never split between training and test.

    Patient names are kept to keep rows together and to match files; no report, error or fitted model holds them.

    Attributes:
        patients: patient of each of the n rows.
        feature_names: names of the p radiomic features.
        features: ``(n, p)``, NaN where missing.
        clinical: clinical variables.
        volume_ml: ``(n,)`` tumour volume, above 0, NaN where missing.
        time_days: ``(n,)`` to the event or the end of follow-up, above 0.
        event: ``(n,)`` True where the event was seen.
        label: ``(n,)`` 0, 1, ... index into ``label_levels``.
        label_levels: names of the labels, in order (two: binary; more: ordinal).
        centre: centre (scanner, batch) of each row.
        icc: stability of features by name, measured elsewhere (never with this cohort's outcome).
        repeated: ``(n, m, p)`` the features measured m times (perturbed), NaN where not; from it the stability of
            features is computed on training patients only.

    Raises:
        InvalidInputError: arrays that do not fit each other, infinite features, volumes or times not above 0.
    """

    patients: tuple[str, ...] = field(repr=False)
    feature_names: tuple[str, ...] = field(default=(), repr=False)
    features: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), repr=False)
    clinical: tuple[ClinicalColumn, ...] = field(default=(), repr=False)
    volume_ml: np.ndarray | None = field(default=None, repr=False)
    time_days: np.ndarray | None = field(default=None, repr=False)
    event: np.ndarray | None = field(default=None, repr=False)
    label: np.ndarray | None = field(default=None, repr=False)
    label_levels: tuple[str, ...] = ()
    centre: tuple[str, ...] | None = field(default=None, repr=False)
    icc: Mapping[str, float] | None = field(default=None, repr=False)
    repeated: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Bring everything to read-only arrays and check that they fit."""
        from manabi.radiomics.cohort.table_checks import check_parts

        values = self.features if np.size(self.features) else np.empty((len(self.patients), len(self.feature_names)))
        object.__setattr__(self, "patients", tuple(str(p) for p in self.patients))
        object.__setattr__(self, "feature_names", tuple(self.feature_names))
        object.__setattr__(self, "features", frozen(values))
        for name, kind in (("volume_ml", float), ("time_days", float), ("label", int), ("repeated", float)):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, frozen(getattr(self, name), kind))
        if self.event is not None and not np.isin(np.asarray(self.event), [0, 1]).all():
            raise InvalidInputError("An event is 0 (not seen, censored) or 1 (seen).")
        if self.event is not None:
            object.__setattr__(self, "event", frozen(self.event, bool))
        if self.centre is not None:
            object.__setattr__(self, "centre", tuple(str(c) for c in self.centre))
        check_parts(self)

    @classmethod
    def from_csv(cls, features_csv: Path | str, outcomes_csv: Path | str, columns: Columns | None = None) -> Cohort:
        """Read two tables and match them by patient (and tumour); see :class:`table_csv.Columns`.

        Raises:
            InvalidInputError: with what is wrong, in how many rows or columns, and what to do.
        """
        from manabi.radiomics.cohort.table_csv import Columns, read_cohort

        return read_cohort(Path(features_csv), Path(outcomes_csv), columns or Columns())

    def __len__(self) -> int:
        return len(self.patients)

    def __repr__(self) -> str:
        return (f"Cohort({len(self)} rows of {self.n_patients} patients, {len(self.feature_names)} features, "
                f"{len(self.clinical)} clinical, outcome: {self.kind})")  # fmt: skip

    @property
    def kind(self) -> Kind:
        """What the outcome is; ``none`` for patients to predict."""
        if self.time_days is not None:
            return "survival"
        if self.label is None:
            return "none"
        return "binary" if len(self.label_levels) == 2 else "ordinal"

    @property
    def groups(self) -> np.ndarray:
        """``(n,)`` patient of each row as numbers in order of appearance: what reports may hold."""
        numbers = {patient: k for k, patient in enumerate(dict.fromkeys(self.patients))}
        return np.array([numbers[patient] for patient in self.patients], int)

    @property
    def n_patients(self) -> int:
        """Different patients."""
        return len(set(self.patients))

    @property
    def n_events(self) -> int:
        """Rows with the event; for labels, rows that are not of the commonest label."""
        if self.event is not None:
            return int(self.event.sum())
        return 0 if self.label is None else int(len(self) - np.bincount(self.label).max())

    def take(self, rows: np.ndarray) -> Cohort:
        """Some of the rows, by index."""
        rows = np.asarray(rows)
        part: dict[str, Any] = {name: None if (values := getattr(self, name)) is None else values[rows]
                for name in ("volume_ml", "time_days", "event", "label", "repeated")}  # fmt: skip
        return replace(
            self,
            patients=tuple(self.patients[r] for r in rows),
            features=self.features[rows],
            clinical=tuple(column.take(rows) for column in self.clinical),
            centre=None if self.centre is None else tuple(self.centre[r] for r in rows),
            **part,
        )

    def blind(self) -> Cohort:
        """The same rows without outcome and without repeated measures: all that a prediction may see."""
        return replace(self, time_days=None, event=None, label=None, repeated=None)

    def with_outcome_of(self, rows: np.ndarray) -> Cohort:
        """The same rows, each with the outcome of the row whose index is given (a permutation of the outcome)."""
        part: dict[str, Any] = {name: None if (values := getattr(self, name)) is None else values[rows]
                for name in ("time_days", "event", "label")}  # fmt: skip
        return replace(self, **part)

    def columns_of(self, names: Sequence[str]) -> np.ndarray:
        """Column index of features by name.

        Raises:
            InvalidInputError: where some are not there.
        """
        places = {name: k for k, name in enumerate(self.feature_names)}
        absent = [name for name in names if name not in places]
        if absent:
            raise InvalidInputError(
                f"The model needs {len(names)} features; {len(absent)} of them are not there, e.g. {absent[0]!r}. "
                "Extract features with the settings that the model was fitted with."
            )
        return np.array([places[name] for name in names], int)


def frozen(values: object, kind: type = float) -> np.ndarray:
    """A read-only copy."""
    out: np.ndarray = np.array(values, kind)
    out.flags.writeable = False
    return out
