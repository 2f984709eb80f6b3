"""Clinical variables and volume as columns of numbers: encoded by what the training patients show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.combat import Warn
from manabi.radiomics.cohort.steps import MedianImputer, StandardScaler
from manabi.radiomics.cohort.table import ClinicalColumn, Cohort

MIN_LEVEL = 5
"""A level with fewer training rows joins the commonest level: its effect could not be estimated (our choice)."""


@dataclass(frozen=True, eq=False)
class ClinicalEncoder:
    """Clinical variables as standardised columns.

    Numbers and ordinal levels fill gaps with the training median; categorical levels become 0/1 columns against the
    commonest training level, and a gap counts as that level. Where a training variable has gaps, a 0/1 column "was
    missing" is added. Columns that do not vary in training are dropped.

    Attributes:
        names: variables that are read, in order.
        kinds: their kinds.
        levels: for each variable the names of its codes when trained.
        dummies: ``(d, 2)`` variable and code of each 0/1 column.
        impute: of the numeric and ordinal variables (all variables are passed; only those are used).
        plain: indices of the numeric and ordinal variables.
        missing: indices of the variables with a "was missing" column.
        kept: indices of the columns that vary.
        scale: standardises the kept columns.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    dummies: np.ndarray
    impute: MedianImputer
    plain: np.ndarray
    missing: np.ndarray
    kept: np.ndarray
    scale: StandardScaler

    @classmethod
    def fit(cls, cohort: Cohort, names: tuple[str, ...] | None = None) -> ClinicalEncoder:
        """Fit on training rows; all clinical variables unless names are given."""
        columns = [c for c in cohort.clinical if names is None or c.name in names]
        values = np.column_stack([c.values for c in columns]) if columns else np.empty((len(cohort), 0))
        gaps = np.isnan(values)
        few = gaps.sum(0)
        draft = cls(
            tuple(c.name for c in columns),
            tuple(c.kind for c in columns),
            tuple(c.levels for c in columns),
            _dummies(columns),
            MedianImputer.fit(values),
            np.array([k for k, c in enumerate(columns) if c.kind != "categorical"], int),
            np.flatnonzero((few >= MIN_LEVEL) & (few <= len(cohort) - MIN_LEVEL)),
            np.empty(0, int),
            StandardScaler(np.empty(0), np.empty(0)),
        )
        raw = draft._raw(values)
        kept = np.flatnonzero(raw.std(0) > 1e-12)
        return ClinicalEncoder(draft.names, draft.kinds, draft.levels, draft.dummies, draft.impute, draft.plain,
                               draft.missing, kept, StandardScaler.fit(raw[:, kept]))  # fmt: skip

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the encoded columns."""
        plain = [self.names[k] for k in self.plain]
        dummies = [f"{self.names[v]}={self.levels[v][code]}" for v, code in self.dummies]
        every = plain + dummies + [f"{self.names[k]} missing" for k in self.missing]
        return tuple(every[k] for k in self.kept)

    def transform(self, cohort: Cohort, warn: Warn | None = None) -> np.ndarray:
        """``(n, columns)`` standardised.

        Raises:
            InvalidInputError: a variable that the cohort does not have.
        """
        return self.scale.transform(self._raw(self._values(cohort, warn))[:, self.kept])

    def _raw(self, values: np.ndarray) -> np.ndarray:
        plain = self.impute.transform(values)[:, self.plain]
        variables, codes = self.dummies[:, 0], self.dummies[:, 1]
        dummies = (values[:, variables] == codes).astype(float)
        return np.hstack([plain, dummies, np.isnan(values[:, self.missing]).astype(float)])

    def _values(self, cohort: Cohort, warn: Warn | None) -> np.ndarray:
        """Values of the cohort in the order and the codes of training."""
        given = {column.name: column for column in cohort.clinical}
        if absent := [name for name in self.names if name not in given]:
            raise InvalidInputError(
                f"The model needs the clinical variables {', '.join(self.names)}; {', '.join(absent)} "
                "are not there. Add them, with empty cells where they are unknown."
            )
        out = np.empty((len(cohort), len(self.names)))
        for k, name in enumerate(self.names):
            out[:, k] = self._recoded(given[name], k, warn)
        return out

    def _recoded(self, column: ClinicalColumn, k: int, warn: Warn | None) -> np.ndarray:
        if column.levels == self.levels[k] or self.kinds[k] == "numeric":
            return column.values
        codes = [self.levels[k].index(level) if level in self.levels[k] else np.nan for level in column.levels]
        known = np.isfinite(column.values)
        out = np.full(len(column.values), np.nan)
        out[known] = np.array([*codes, np.nan])[column.values[known].astype(int)]
        lost = int((known & np.isnan(out)).sum())
        if lost and warn is not None:
            warn(f"{column.name}: {lost} rows hold a level that training did not have; they count as missing.")
        return out


def _dummies(columns: list[ClinicalColumn]) -> np.ndarray:
    """Variable and code of every level but the commonest, where it has enough training rows."""
    out = []
    for k, column in enumerate(columns):
        if column.kind != "categorical":
            continue
        counts = np.bincount(column.values[np.isfinite(column.values)].astype(int), minlength=len(column.levels))
        commonest = int(np.argmax(counts))
        out += [(k, code) for code, n in enumerate(counts) if code != commonest and n >= MIN_LEVEL]
    return np.array(out, int).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class VolumeTerm:
    """Log volume as one standardised column; a missing volume is the training median.

    Attributes:
        impute: of the log volume.
        scale: standardises it.
    """

    impute: MedianImputer
    scale: StandardScaler

    @classmethod
    def fit(cls, cohort: Cohort) -> VolumeTerm:
        """Fit on training rows."""
        log = _log_volume(cohort)
        impute = MedianImputer.fit(log)
        return cls(impute, StandardScaler.fit(impute.transform(log)))

    def transform(self, cohort: Cohort) -> np.ndarray:
        """``(n, 1)``.

        Raises:
            InvalidInputError: a cohort without volumes.
        """
        if cohort.volume_ml is None:
            raise InvalidInputError("The model needs the tumour volume in mL (volume_ml).")
        return self.scale.transform(self.impute.transform(_log_volume(cohort)))


def _log_volume(cohort: Cohort) -> np.ndarray:
    return np.log(np.asarray(cohort.volume_ml))[:, None]
