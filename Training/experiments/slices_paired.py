"""Errors of ours against those of the others on the same patients: paired differences in mm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manabi.slices.reading import MARKERS
from Training.experiments.slices_scores import Answer
from Training.experiments.slices_whole import OURS
from Training.resampling import bootstrap_mean
from Training.statistics import holm

FEWEST = 2
"""Fewer pairs have no interval."""

Row = dict[str, float]


def paired_table(answers: Mapping[str, Mapping[str, Sequence[Answer]]]) -> dict[str, dict[str, Row]]:
    """Ours minus each other method's error, per marker; p adjusted over the methods by Holm.

    Args:
        answers: method to marker to one answer per patient, in the same order.

    Returns:
        Marker to method to :func:`paired`'s numbers with ``p_holm``; empty without ours.
    """
    if OURS not in answers:
        return {}
    table: dict[str, dict[str, Row]] = {}
    for marker in MARKERS:
        others = {name: kept[marker] for name, kept in answers.items() if name != OURS and marker in kept}
        rows = {name: paired(answers[OURS][marker], other) for name, other in others.items()}
        adjusted = holm([row["p"] for row in rows.values()]).tolist() if rows else []
        table[marker] = {
            name: {**row, "p_holm": p} for (name, row), p in zip(rows.items(), adjusted, strict=True)
        }  # fmt: skip
    return table


def paired(ours: Sequence[Answer], other: Sequence[Answer]) -> Row:
    """Mean difference of the errors in mm, ours minus the other's, over patients with an error of both.

    ``low`` and ``high`` are the 95 % interval (patients resampled), ``p`` Wilcoxon's signed-rank test, two-sided
    (Wilcoxon, Biometrics Bulletin 1945;1:80); 1 where all errors are equal, and with too few pairs to say.
    """
    pairs = [(a.error_mm, b.error_mm) for a, b in zip(ours, other, strict=True)]
    off = np.array([a - b for a, b in pairs if a is not None and b is not None], float)
    if len(off) < FEWEST:
        return {"mean": float("nan"), "low": float("nan"), "high": float("nan"), "p": 1.0, "patients": len(off)}
    estimate = bootstrap_mean(off, list(range(len(off))))
    low, high = min(estimate.low, estimate.value), max(estimate.high, estimate.value)
    return {"mean": estimate.value, "low": low, "high": high, "p": _wilcoxon(off), "patients": len(off)}


def _wilcoxon(off: np.ndarray) -> float:
    from scipy.stats import wilcoxon

    return float(wilcoxon(off).pvalue) if np.any(off) else 1.0


def shown(row: Mapping[str, Any]) -> list[str]:
    """Cells of a row: difference with its interval, patients, p, and p after Holm."""
    mean, low, high = (row[key] for key in ("mean", "low", "high"))
    told = "–" if mean is None or mean != mean else f"{mean:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−")
    return [told, str(row["patients"]), f"{row['p']:.2g}", f"{row['p_holm']:.2g}"]
