"""Does the over-correction alert find the cases in which denoising moved a binding ratio too far from the truth?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manabi.spect.noise import binding_noise, shifts
from manabi.spect.template import REGIONS
from Training.experiments.spect_arms import Output
from Training.resampling import Estimate
from Training.roc import auc_bootstrap
from Training.spect_evaluate import Slab, binding_errors

THRESHOLDS = (1.0, 1.5, 2.0, 2.5, 3.0)
BAD_SHARE = 0.15
"""A result is bad where denoising took a binding ratio further from the full scan's by more than this share of the
normal ratio (our choice)."""


@dataclass(frozen=True)
class AlertStudy:
    """The alert on every method's result of every patient.

    Attributes:
        auc: area under the ROC curve with its interval (patients resampled).
        operating: sensitivity and specificity by threshold; the default one is ``ALERT_Z``.
        bad: how many results were bad.
        count: how many results there were.
        truth: per result, whether it was bad.
        score: per result, the largest change in standard errors.
    """

    auc: Estimate
    operating: dict[float, tuple[float, float]]
    bad: int
    count: int
    truth: np.ndarray
    score: np.ndarray


def alert_score(slab: Slab, counts: np.ndarray) -> float:
    """Largest change of a binding ratio in standard errors of the scan's own noise."""
    short = np.asarray(slab.short.box.array, float)
    before, after = slab.binding(short), slab.binding(counts)
    factor = float(short.sum()) / float(counts.sum())
    noise = binding_noise(short - counts * factor, slab.places, before)
    return max(abs(change.z) for change in shifts(before, after, noise))


def harm(slab: Slab, counts: np.ndarray, normal: Mapping[str, float]) -> float:
    """By how much denoising took a binding ratio further from the full scan's: the worst region's error less the
    short scan's own error there, as a share of the normal ratio."""
    after = binding_errors(slab, counts)
    before = binding_errors(slab, np.asarray(slab.short.box.array, float))
    return max((abs(after[region]) - abs(before[region])) / normal[region[0]] for region in REGIONS)


def _operating(bad: np.ndarray, raised: np.ndarray) -> tuple[float, float]:
    """Sensitivity and specificity; nan where a kind of result is missing."""
    sensitivity = float(raised[bad].mean()) if bad.any() else float("nan")
    return sensitivity, float((~raised[~bad]).mean()) if (~bad).any() else float("nan")


def study_alert(
    slabs: Sequence[Slab], outputs: Mapping[str, Sequence[Output]], normal: Mapping[str, float]
) -> AlertStudy:
    """Score every method's result of every patient.

    Args:
        slabs: per patient.
        outputs: per method, per patient; the input itself left out.
        normal: mean normal binding ratio per structure.
    """
    truth, score, patients = [], [], []
    for results in outputs.values():
        for number, (slab, output) in enumerate(zip(slabs, results, strict=True)):
            truth.append(harm(slab, output.counts, normal) > BAD_SHARE)
            score.append(alert_score(slab, output.counts))
            patients.append(number)
    bad, scores = np.array(truth), np.array(score)
    auc = Estimate(float("nan"), float("nan"), float("nan"))
    if 0 < bad.sum() < len(bad):
        auc = auc_bootstrap(bad, scores, patients)
    return AlertStudy(
        auc,
        {limit: _operating(bad, scores > limit) for limit in THRESHOLDS},
        int(bad.sum()),
        len(bad),
        bad,
        scores,
    )
