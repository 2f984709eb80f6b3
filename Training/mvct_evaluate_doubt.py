"""Whether the uncertainty of a conversion means what it says: how often the error lies within it, on known truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.mvct import pipeline
from manabi.mvct.parameters import MVCTParameters
from manabi.mvct.pipeline import Model
from manabi.mvct.prepare import prepare
from manabi.mvct.tissue_map import body_mask
from manabi.mvct.uncertainty import FEWEST, calibrated, coverage, expected_calibration_error
from Training.mvct_slices import TestPair
from Training.mvct_truth import kvct_tissues

TISSUES = ("air", "fat", "muscle", "bone")
MEANINGS = {
    "coverage_95": "share of the body's voxels whose error lies within 1.96 standard deviations (0.95 is right)",
    "coverage_68": "the same within 1 standard deviation (0.68 is right)",
    **{f"coverage_95_{tissue}": f"the first, where the true kVCT shows {tissue}" for tissue in TISSUES},
    "said_hu": "root mean square of the stated standard deviation, HU",
    "error_hu": "root mean square of the error, HU",
    "calibration_error_hu": "mean distance of stated and found error over ten bins of the stated one, HU",
}
"""Every score of :func:`doubt_scores` and what it is; a normal error is meant by what is right."""


def spread_and_error(
    pair: TestPair, model: Model, context: Context
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Spread over mirrored copies, not calibrated, and converted minus truth.

    Args:
        pair: one patient.
        model: a trained converter.
        context: device and precision.

    Returns:
        Spread and error in HU, and the body's mask, all ``(slices, rows, columns)`` in RAS order.

    Raises:
        InvalidInputError: for a baseline, which has no spread.
    """
    parameters = MVCTParameters.of({"uncertainty": "flips", "residual": False})
    work = prepare(pair.source, model.settings.pixel_mm)
    body = body_mask(work.hu, work.image.spacing_mm)
    done = pipeline.convert(work, body, model, parameters, context)
    if done.spread is None:
        raise InvalidInputError("Only a trained converter has an uncertainty to scale; this model is a baseline.")
    truth = np.asarray(pair.target.reoriented().array, np.float32)
    return done.spread, done.after - truth, work.mask_to_straight(body)


def doubt_scores(pair: TestPair, model: Model, context: Context) -> dict[str, float]:
    """What :data:`MEANINGS` names, of one patient, with the factor that the model holds; nan where a tissue is rare."""
    spread, error, body = spread_and_error(pair, model, context)
    sd = calibrated(spread, float(model.facts.get("uncertainty_calibration") or 1.0))
    truth = pair.target.reoriented()
    tissues = kvct_tissues(np.asarray(truth.array, np.float32), np.asarray(truth.spacing_mm, float))
    return {
        "coverage_95": coverage(sd[body], error[body]),
        "coverage_68": coverage(sd[body], error[body], 1.0),
        **{f"coverage_95_{name}": _covered(sd, error, body & tissues.mask(name)) for name in TISSUES},
        "said_hu": float(np.sqrt(np.mean(sd[body] ** 2))),
        "error_hu": float(np.sqrt(np.mean(error[body] ** 2))),
        "calibration_error_hu": expected_calibration_error(sd[body], error[body]),
    }


def _covered(sd: np.ndarray, error: np.ndarray, mask: np.ndarray) -> float:
    return coverage(sd[mask], error[mask]) if mask.sum() >= FEWEST else float("nan")


def evaluate_doubt(pairs: Sequence[TestPair], model: Model, context: Context) -> dict[str, Any]:
    """:func:`doubt_scores` as means with 95 % intervals over patients; empty without pairs, or where the uncertainty
    is not calibrated."""
    from Training.mvct_evaluate import summary

    if not pairs or not model.facts.get("uncertainty_calibration"):
        return {}
    rows = [doubt_scores(pair, model, context) for pair in pairs]
    return summary(rows, [pair.patient for pair in pairs])
