"""Features of a series of images of every patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError


@dataclass(frozen=True, eq=False)
class FeatureSeries:
    """Features of each patient at each time.

    Attributes:
        patients: names.
        names: of the features.
        values: ``(n_patients, n_times, n_features)``, NaN where a scan or a feature is missing.
        times_weeks: ``(n_times,)`` for all, or ``(n_patients, n_times)`` as scanned, NaN where there was no scan.
    """

    patients: tuple[str, ...]
    names: tuple[str, ...]
    values: np.ndarray
    times_weeks: np.ndarray

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit, and times that do not increase; infinite values become NaN."""
        values = np.array(self.values, float)
        times = np.array(self.times_weeks, float)
        if values.ndim != 3 or values.shape[0] != len(self.patients) or values.shape[2] != len(self.names):
            raise InvalidInputError(
                f"Expected values of {len(self.patients)} patients by times by {len(self.names)} features; "
                f"got shape {values.shape}."
            )
        if times.shape not in (values.shape[1:2], values.shape[:2]):
            raise InvalidInputError(
                f"Expected times of shape {values.shape[1:2]} or {values.shape[:2]}; got {times.shape}."
            )
        times = np.broadcast_to(times, values.shape[:2]).copy()
        for row in times:
            if np.any(np.diff(row[np.isfinite(row)]) <= 0):
                raise InvalidInputError("The weeks of a patient's scans must increase. Sort the scans by date.")
        values[~np.isfinite(values)] = np.nan
        values[~np.isfinite(times)] = np.nan
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "times_weeks", times)

    @classmethod
    def from_rows(
        cls, rows: Iterable[tuple[str, int, float, Mapping[str, float]]], n_times: int | None = None
    ) -> FeatureSeries:
        """Put rows of (patient, number of the scan from 0, week, features by name) in order.

        Args:
            rows: in any order; a scan that is not there is missing.
            n_times: how many scans were planned; None is as many as were seen.

        Raises:
            InvalidInputError: no rows, the same scan twice, or a number outside the plan.
        """
        found = list(rows)
        if not found:
            raise InvalidInputError("There are no scans.")
        patients = tuple(dict.fromkeys(row[0] for row in found))
        names = tuple(dict.fromkeys(name for row in found for name in row[3]))
        count = n_times or max(row[1] for row in found) + 1
        values = np.full((len(patients), count, len(names)), np.nan)
        times = np.full((len(patients), count), np.nan)
        place = {name: index for index, name in enumerate(names)}
        for patient, scan, week, features in found:
            row = patients.index(patient)
            if not 0 <= scan < count or np.isfinite(times[row, scan]):
                raise InvalidInputError(f"Scan {scan} of a patient is given twice or outside 0 to {count - 1}.")
            times[row, scan] = week
            for name, value in features.items():
                values[row, scan, place[name]] = value
        return cls(patients, names, values, times)

    def missing(self) -> tuple[str, ...]:
        """One sentence for each scan that patients lack."""
        lacking = ~np.isfinite(self.values).any(axis=2)
        return tuple(
            f"Scan {index + 1} of {lacking.shape[1]}: {count} of {len(self.patients)} patients do not have it."
            for index, count in enumerate(lacking.sum(axis=0).tolist())
            if count
        )
