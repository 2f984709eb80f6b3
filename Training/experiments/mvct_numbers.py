"""Numbers of the MVCTConvert experiment: ``[mean, low, high, n]`` over patients, or over trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from Training.experiments.brain_tables import value_of

__all__ = ["Value", "column", "mean_of", "over_trainings", "paired", "rate", "value_of", "verdict"]

Value = Sequence[float | None]
Rows = Sequence[Mapping[str, Any]]
YES, NO, UNKNOWN = "reached", "not reached", "cannot be told"


def column(rows: Rows, name: str) -> np.ndarray:
    """One value per patient; nan where there is none."""
    return np.array([np.nan if row.get(name) is None else float(row[name]) for row in rows])


def mean_of(trainings: Sequence[Rows], name: str) -> np.ndarray:
    """One value per patient, trainings averaged; nan where any of them has none."""
    return np.mean([column(rows, name) for rows in trainings], axis=0)


def paired(first: np.ndarray, second: np.ndarray) -> list[float]:
    """First minus second of the same patients, with the interval over patients."""
    return value_of(np.asarray(first, float) - np.asarray(second, float))


def over_trainings(values: Sequence[float], level: float = 0.95) -> list[float]:
    """Mean over trainings with Student's interval: a bootstrap of five values is too narrow (our choice)."""
    from scipy.stats import t

    usable = np.array([v for v in values if v is not None and np.isfinite(v)], float)
    if len(usable) < 2:
        mean = float(usable.mean()) if len(usable) else float("nan")
        return [mean, float("nan"), float("nan"), len(usable)]
    half = float(t.ppf((1 + level) / 2, len(usable) - 1) * usable.std(ddof=1) / np.sqrt(len(usable)))
    return [float(usable.mean()), float(usable.mean()) - half, float(usable.mean()) + half, len(usable)]


def rate(count: int, total: int) -> list[float]:
    """A share with Wilson's interval (1927, 10.1080/01621459.1927.10502953)."""
    if not total:
        return [float("nan"), float("nan"), float("nan"), 0]
    z, share = 1.959964, count / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return [share, max(float(middle - half), 0.0), min(float(middle + half), 1.0), total]


def verdict(value: Value, low: float, high: float) -> str:
    """Whether a value lies between two limits: by its whole interval, not at all, or it cannot be told."""
    ends = [float("nan") if v is None else float(v) for v in value[1:3]]
    if not np.isfinite(ends).all():
        return UNKNOWN
    if ends[0] >= low and ends[1] <= high:
        return YES
    return NO if ends[1] < low or ends[0] > high else UNKNOWN
