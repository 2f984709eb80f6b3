"""Delta radiomics: how features change during treatment, ready for a cohort's model.

Nothing here looks at other patients or at outcomes, so that the table can be made once, before any cross-validation;
what is chosen from it belongs inside. A change until week 5 exists only for patients who were scanned in week 5: where
survival is modelled, time must count from the last scan that a set uses (landmark; J. Anderson et al., J Clin Oncol
1983;1:710-719, 10.1200/JCO.1983.1.11.710).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics.delta_change import detectable, measurement_sd, more_than_chance, smallest_detectable_change
from manabi.radiomics.delta_series import FeatureSeries
from manabi.radiomics.delta_sets import DeltaSet, delta_sets
from manabi.radiomics.delta_weights import weights

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DeltaSet",
    "DeltaTable",
    "FeatureSeries",
    "delta_sets",
    "deltas",
    "measurement_sd",
    "smallest_detectable_change",
]

NEAR_ZERO = 0.01
"""A value below this part of the patient's own largest is too near to 0 to divide by (our choice)."""


@dataclass(frozen=True, eq=False)
class DeltaTable:
    """Changes of features.

    Attributes:
        patients: names.
        sets: what was computed.
        names: of the features.
        values: ``(n_patients, n_sets, n_features)``; NaN where scans are missing or a divisor is near 0.
        detectable: bool, the same shape: the change is more than measuring again would give; None where that noise is
            not known. A relative change is judged by the change that it was divided from.
        warnings: missing scans and divisors near 0.
    """

    patients: tuple[str, ...]
    sets: tuple[DeltaSet, ...]
    names: tuple[str, ...]
    values: np.ndarray
    detectable: np.ndarray | None
    warnings: tuple[str, ...] = ()

    def matrix(self, name: str) -> tuple[tuple[str, ...], np.ndarray]:
        """Feature names and ``(n_patients, n_features)`` of one set, by its name: what a cohort's model takes.

        Raises:
            InvalidInputError: no such set.
        """
        known = [one.name for one in self.sets]
        if name not in known:
            raise InvalidInputError(f"There is no set {name!r}. Choose one of: {', '.join(known)}.")
        index = known.index(name)
        return tuple(self.sets[index].feature(feature) for feature in self.names), self.values[:, index]

    def frame(self) -> pd.DataFrame:
        """One row for each patient, one column for each set and feature."""
        import pandas as pd

        columns = [one.feature(name) for one in self.sets for name in self.names]
        flat = self.values.reshape(len(self.patients), -1)
        return pd.DataFrame(flat, index=pd.Index(self.patients, name="patient"), columns=columns)

    def tidy(self) -> pd.DataFrame:
        """One row for each patient, set and feature: ``patient, set, feature, value, detectable``."""
        import pandas as pd

        index = pd.MultiIndex.from_product(
            [self.patients, [one.name for one in self.sets], self.names], names=["patient", "set", "feature"]
        )
        found = pd.DataFrame({"value": self.values.ravel()}, index=index)
        flags = np.full(self.values.size, None, object) if self.detectable is None else self.detectable.ravel()
        return found.assign(detectable=flags).reset_index()

    def noise_like(self) -> np.ndarray:
        """bool, ``(n_sets, n_features)``: no more patients changed than measuring alone would make them.

        To drop such features from a model, compute this on training patients only.

        Raises:
            InvalidInputError: the noise is not known.
        """
        if self.detectable is None:
            raise InvalidInputError("The noise is not known. Give noise_sd to deltas().")
        return ~more_than_chance(self.detectable, np.isfinite(self.values))


def deltas(
    series: FeatureSeries,
    sets: Sequence[DeltaSet] | None = None,
    noise_sd: np.ndarray | None = None,
    context: Context | None = None,
) -> DeltaTable:
    """Changes of every feature of every patient.

    A scan that is missing makes the differences with it NaN; slope and area go by the scans that are there (at least 3,
    and the first and another). A relative change is NaN where the value to divide by is below 1 % of the patient's own
    largest in the scans that the set uses; a feature that is 0 in all of them has changed by 0 (our choices). Nothing
    is filled in.

    Args:
        series: features at the times.
        sets: None is :func:`delta_sets` of as many weeks as there are scans, numbered from 1.
        noise_sd: ``(n_features,)`` standard deviation of repeated measurements, from :func:`measurement_sd`.
        context: receives the warnings.

    Raises:
        InvalidInputError: a set that looks beyond the series, or standard deviations that do not fit.
    """
    _, n_times, n_features = series.values.shape
    chosen = tuple(sets) if sets is not None else delta_sets(range(1, n_times + 1))
    _check(chosen, n_times, n_features, noise_sd)
    sd = np.full(n_features, np.nan) if noise_sd is None else np.asarray(noise_sd, float)
    parts = [_one_set(series, one, sd) for one in chosen]
    values = np.stack([part[0] for part in parts], axis=1)
    flags = np.stack([part[1] for part in parts], axis=1)
    warnings = (*series.missing(), *_near_zero(sum(part[2] for part in parts)))
    if context is not None:
        for text in warnings:
            context.warn(text)
    return DeltaTable(series.patients, chosen, series.names, values, flags if noise_sd is not None else None, warnings)


def _one_set(series: FeatureSeries, one: DeltaSet, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Values and flags, each ``(n_patients, n_features)``, and how many relative changes were near a division by 0."""
    seen = np.isfinite(series.values)
    weight = weights(one, series.times_weeks, seen)
    change = (weight * np.where(seen, series.values, 0.0)).sum(axis=1)
    flags = detectable(change, weight, sd)
    if not one.relative:
        return change, flags, 0
    relative = _relative(change, np.where(weight != 0, series.values, 0.0), one.start)
    return relative, flags, int((np.isfinite(change) & np.isnan(relative)).sum())


def _relative(change: np.ndarray, values: np.ndarray, start: int) -> np.ndarray:
    """The change over the size of a scan's value; NaN near 0, 0 where a feature is 0 in all scans that are used."""
    size = np.abs(values[:, start])
    largest = np.abs(np.nan_to_num(values)).max(axis=1)
    safe = size >= np.maximum(NEAR_ZERO * largest, np.finfo(float).tiny)
    nothing = (largest == 0) & np.isfinite(change)
    return np.where(safe, change / np.where(safe, size, 1.0), np.where(nothing, 0.0, np.nan))


def _near_zero(count: int) -> tuple[str, ...]:
    """A sentence where divisors were near 0."""
    if not count:
        return ()
    return (f"{count} relative changes are left out: the value to divide by is near 0. Use the absolute change there.",)


def _check(sets: tuple[DeltaSet, ...], n_times: int, n_features: int, sd: np.ndarray | None) -> None:
    """Refuse sets beyond the series, two of one name, and noise that does not fit."""
    if not sets or len({one.name for one in sets}) != len(sets):
        raise InvalidInputError("Give at least one delta set, and each name once.")
    beyond = [one.name for one in sets if one.stop >= n_times or one.start >= n_times]
    if beyond:
        raise InvalidInputError(f"The series has {n_times} scans; these sets look beyond: {', '.join(beyond)}.")
    if sd is not None and (np.shape(sd) != (n_features,) or np.any(np.asarray(sd) < 0)):
        raise InvalidInputError(f"Expected {n_features} standard deviations of 0 or more; got shape {np.shape(sd)}.")
