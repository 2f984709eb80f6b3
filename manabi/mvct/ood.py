"""How unlike the training images an input is.

Every number of :mod:`manabi.mvct.signature` becomes a z score against the training images; so do
the distance of its histogram (Wasserstein), the mean of the cycle residual, and the Mahalanobis distance of the
encoder's features (Lee et al., A simple unified framework for detecting out-of-distribution samples, 2018) where they
are given. The score is the largest z. Small training sets are allowed for: deviations have floors, and widen by
``sqrt(1 + 1/n)`` (our choice; the source has no such check).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manabi.errors import CorruptModelError, InvalidInputError
from manabi.mvct.signature import NUMBERS, Signature, wasserstein_hu

FLOORS = {
    "noise_hu": 3.0,
    "edge_mm": 0.3,
    "gap_hu": 8.0,
    "muscle_hu": 10.0,
    "dense_hu": 80.0,
    "around_hu": 15.0,
    "body_cm2": 15.0,
    "aspect": 0.1,
    "air_share": 0.01,
    "lung_share": 0.02,
    "fat_share": 0.06,
    "muscle_share": 0.06,
    "bone_share": 0.03,
    "lean": 0.1,
    "jump": 0.05,
    "dead_share": 0.003,
}
"""Least standard deviation of each number: differences that no training set is large enough to rule out."""
HISTOGRAM_FLOOR_HU = 10.0
ONE_SIDED = frozenset({"jump", "dead_share", "histogram", "residual", "features"})
"""Less than usual is no fault."""
WORDS = {
    "noise_hu": "noise (HU)",
    "edge_mm": "sharpness of the skin's edge (mm)",
    "gap_hu": "contrast of muscle and fat (HU)",
    "muscle_hu": "HU of muscle",
    "dense_hu": "HU of dense bone",
    "around_hu": "HU of the air around the patient",
    "body_cm2": "cross-section of the body (cm²)",
    "aspect": "width over depth of the body",
    "air_share": "share of air in the body",
    "lung_share": "share of lung in the body",
    "fat_share": "share of fat in the body",
    "muscle_share": "share of muscle in the body",
    "bone_share": "share of bone in the body",
    "lean": "lean of the body along the slices",
    "jump": "change from one slice to the next",
    "dead_share": "share of constant pixels",
    "histogram": "distance of the HU histogram (HU)",
    "residual": "cycle residual (HU)",
    "features": "distance of the network's features",
}


@dataclass(frozen=True)
class Reference:
    """What the training images were like.

    Attributes:
        mean: of every number (and of ``histogram``, the distance to the mean histogram; ``residual``; ``features``).
        sd: of them, floors and small-sample allowance included.
        histogram: mean histogram.
        images: how many there were.
        feature_mean: ``(d,)`` of the encoder's features, or empty.
        feature_precision: ``(d, d)`` inverse of their covariance, or empty.
    """

    mean: Mapping[str, float]
    sd: Mapping[str, float]
    histogram: np.ndarray
    images: int
    feature_mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    feature_precision: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def facts(self) -> dict[str, Any]:
        """For a bundle's metadata, under ``ood``."""
        return {
            "mean": {k: round(float(v), 6) for k, v in self.mean.items()},
            "sd": {k: round(float(v), 6) for k, v in self.sd.items()},
            "histogram": [round(float(v), 7) for v in self.histogram],
            "images": self.images,
            "feature_mean": [float(f"{v:.6g}") for v in self.feature_mean],
            "feature_precision": [[float(f"{v:.6g}") for v in row] for row in self.feature_precision],
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Reference:
        """From :meth:`facts`.

        Raises:
            CorruptModelError: where something is missing.
        """
        try:
            mean = np.asarray(facts.get("feature_mean", []), float)
            precision = np.asarray(facts.get("feature_precision", []), float).reshape(len(mean), len(mean))
            return cls(
                {k: float(v) for k, v in facts["mean"].items()},
                {k: float(v) for k, v in facts["sd"].items()},
                np.asarray(facts["histogram"], float),
                int(facts["images"]),
                mean,
                precision,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptModelError(
                f"The model's description of its training images cannot be read ({error}). Install the bundle again."
            ) from error


@dataclass(frozen=True)
class Oddity:
    """One number of an image against the training images."""

    name: str
    value: float
    usual: float
    sd: float

    @property
    def z(self) -> float:
        """Standard deviations from the training images, signed; one-sided numbers are never below 0."""
        z = (self.value - self.usual) / self.sd
        return max(z, 0.0) if self.name in ONE_SIDED else z

    @property
    def words(self) -> str:
        """What it is, for a reader."""
        return WORDS.get(self.name, self.name)


def fit_reference(
    images: Sequence[Signature], features: np.ndarray | None = None, residual_hu: Sequence[float] | None = None
) -> Reference:
    """Describe the training images.

    Args:
        images: a signature each; three at least.
        features: ``(n, d)`` of the encoder, one row an image (or a slice), or None.
        residual_hu: mean cycle residual of each, or None.

    Raises:
        InvalidInputError: for fewer than three images.
    """
    if len(images) < 3:
        raise InvalidInputError(f"Three training images at least say what is usual; got {len(images)}.")
    columns = {name: np.array([s.numbers[name] for s in images], float) for name in NUMBERS}
    histogram = np.mean([s.histogram for s in images], axis=0)
    columns["histogram"] = np.array([wasserstein_hu(s.histogram, _without(images, i)) for i, s in enumerate(images)])
    mean_f, precision = np.zeros(0), np.zeros((0, 0))
    if residual_hu is not None:
        columns["residual"] = np.asarray(residual_hu, float)
    if features is not None:
        mean_f, precision = _normal(np.asarray(features, float))
        columns["features"] = np.array([mahalanobis(f, mean_f, precision) for f in features])
    known = {name: v[np.isfinite(v)] for name, v in columns.items() if np.isfinite(v).sum() >= 3}
    mean = {name: float(np.mean(v)) for name, v in known.items()}
    sd = {name: _deviation(name, v) for name, v in known.items()}
    return Reference(mean, sd, histogram, len(images), mean_f, precision)


def oddities(
    image: Signature,
    reference: Reference,
    features: np.ndarray | None = None,
    residual_hu: float | None = None,
) -> list[Oddity]:
    """Every number of an image against the training images, the oddest first.

    A number that the training images have and this one does not show (no bone, no two peaks) is left out.

    Args:
        image: its signature.
        reference: of the training images.
        features: ``(d,)`` or ``(n, d)`` of the encoder; the mean distance counts.
        residual_hu: mean cycle residual.
    """
    values = dict(image.numbers)
    if image.histogram.sum() > 0:
        values["histogram"] = wasserstein_hu(image.histogram, reference.histogram)
    if residual_hu is not None:
        values["residual"] = residual_hu
    if features is not None and reference.feature_mean.size:
        rows = np.atleast_2d(np.asarray(features, float))
        far = [mahalanobis(row, reference.feature_mean, reference.feature_precision) for row in rows]
        values["features"] = float(np.mean(far))
    found = [
        Oddity(name, float(value), reference.mean[name], reference.sd[name])
        for name, value in values.items()
        if name in reference.mean and np.isfinite(value)
    ]
    return sorted(found, key=lambda oddity: -abs(oddity.z))


def ood_score(found: Sequence[Oddity]) -> float:
    """One number for how odd an image is: the largest ``|z|``; infinite where nothing could be measured."""
    return max((abs(oddity.z) for oddity in found), default=float("inf"))


def mahalanobis(features: np.ndarray, mean: np.ndarray, precision: np.ndarray) -> float:
    """Distance from the mean in standard deviations, per dimension (1 is usual).

    Raises:
        InvalidInputError: where the features are not as many as in training.
    """
    if np.shape(features) != np.shape(mean):
        raise InvalidInputError(f"The model's features were {np.shape(mean)}; got {np.shape(features)}.")
    away = np.asarray(features, float) - mean
    return float(np.sqrt(max(away @ precision @ away, 0.0) / max(len(mean), 1)))


def _without(images: Sequence[Signature], left_out: int) -> np.ndarray:
    return np.mean([s.histogram for i, s in enumerate(images) if i != left_out], axis=0)


def _deviation(name: str, values: np.ndarray) -> float:
    """Standard deviation with floor and small-sample allowance."""
    floor = {**FLOORS, "histogram": HISTOGRAM_FLOOR_HU}.get(name, 0.1 * abs(float(np.mean(values))) + 1e-6)
    return float(max(np.std(values, ddof=1), floor) * np.sqrt(1.0 + 1.0 / len(values)))


def _normal(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and inverse covariance, shrunk towards the diagonal the more the fewer rows there are."""
    mean = features.mean(0)
    covariance = np.atleast_2d(np.cov(features, rowvar=False))
    shrink = min(1.0, (features.shape[1] + 1.0) / (features.shape[0] + features.shape[1] + 1.0))
    diagonal = np.diag(np.diag(covariance))
    mixed = (1.0 - shrink) * covariance + shrink * diagonal
    return mean, np.linalg.inv(mixed + np.eye(len(mean)) * (1e-6 + 1e-3 * np.trace(diagonal) / len(mean)))
