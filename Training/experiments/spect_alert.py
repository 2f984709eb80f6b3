"""Does the over-correction alert find the cases in which denoising moved a binding ratio too far from the truth?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manabi.spect.noise import ALERT_Z, binding_noise, shifts
from manabi.spect.template import REGIONS
from Training.experiments.spect_arms import Output
from Training.resampling import Estimate
from Training.roc import auc_bootstrap
from Training.spect_evaluate import Slab, binding_errors

BAD_SHARE = 0.15
"""A case is bad where a binding ratio is off by more than this share of the normal one (our choice)."""


@dataclass(frozen=True)
class AlertStudy:
    """The alert on every method's result of every patient.

    Attributes:
        auc: area under the ROC curve with its interval (patients resampled).
        sensitivity: at the default threshold.
        specificity: at the default threshold.
        bad: how many results were bad.
        count: how many results there were.
        truth: per result, whether it was bad.
        score: per result, the largest change in standard errors.
    """

    auc: Estimate
    sensitivity: float
    specificity: float
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


def worst_error(slab: Slab, counts: np.ndarray, normal: Mapping[str, float]) -> float:
    """Largest error of a binding ratio against the full scan, as a share of the normal ratio."""
    errors = binding_errors(slab, counts)
    return max(abs(errors[region]) / normal[region[0]] for region in REGIONS)


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
            truth.append(worst_error(slab, output.counts, normal) > BAD_SHARE)
            score.append(alert_score(slab, output.counts))
            patients.append(number)
    bad, scores = np.array(truth), np.array(score)
    raised = scores > ALERT_Z
    auc = Estimate(float("nan"), float("nan"), float("nan"))
    if 0 < bad.sum() < len(bad):
        auc = auc_bootstrap(bad, scores, patients)
    return AlertStudy(
        auc,
        float(raised[bad].mean()) if bad.any() else float("nan"),
        float((~raised[~bad]).mean()) if (~bad).any() else float("nan"),
        int(bad.sum()),
        len(bad),
        bad,
        scores,
    )
