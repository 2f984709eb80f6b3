"""Stand-ins for extracted features: numbers with their correlations and their dependence on the truth, without images.

A surrogate is linear in the truth: ``feature = drivers · effects + factors + own noise``, each feature with mean 0 and
standard deviation 1. It is learned from features that were extracted from rendered phantoms (:meth:`Surrogate.fit`), or
made up (:func:`made_up`). Real features are skewed; what it draws stands for their normal scores, so that anything that
depends on ranks (medians, log-rank tests of a split, Wilcoxon's test) is unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from manabi.errors import InvalidInputError
from manabi.phantoms.tumour_survival import CENTRES, Patients

LUNG_DRIVERS = ("z", "v", *(f"centre_{name}" for name in CENTRES[1:]))
"""What a feature of a lung tumour depends on."""


def lung_drivers(patients: Patients) -> np.ndarray:
    """``(n, 5)`` values of :data:`LUNG_DRIVERS`; centres against the first."""
    centre = [patients.centre == number for number in range(1, len(CENTRES))]
    return np.column_stack([patients.z, patients.v, *centre]).astype(float)


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Columns as normal scores of their ranks, ``Phi^-1((rank - 1/2) / n)``; a constant column becomes 0."""
    ranks = stats.rankdata(np.asarray(values, float), axis=0)
    scores = stats.norm.ppf((ranks - 0.5) / len(ranks))
    return scores / np.maximum(scores.std(axis=0), 1e-12) * (np.ptp(ranks, axis=0) > 0)


@dataclass(frozen=True, eq=False)
class Surrogate:
    """What features are drawn from.

    Attributes:
        names: of the p features.
        drivers: names of the q things they depend on.
        effects: ``(q, p)`` change per unit of a driver.
        factors: ``(k, p)`` loadings on k hidden standard normal factors.
        own: ``(p,)`` standard deviation of each feature's own noise.
    """

    names: tuple[str, ...]
    drivers: tuple[str, ...]
    effects: np.ndarray
    factors: np.ndarray
    own: np.ndarray

    def draw(self, rng: np.random.Generator, drivers: np.ndarray) -> np.ndarray:
        """Features of patients.

        Args:
            rng: source of everything random.
            drivers: ``(n, q)``.

        Returns:
            ``(n, p)``.

        Raises:
            InvalidInputError: where there are not q drivers.
        """
        known = np.asarray(drivers, float)
        if known.ndim != 2 or known.shape[1] != len(self.drivers):
            raise InvalidInputError(f"Expected {len(self.drivers)} drivers per patient; got {known.shape}.")
        hidden = rng.standard_normal((len(known), len(self.factors)))
        noise = rng.standard_normal((len(known), len(self.names)))
        return known @ self.effects + hidden @ self.factors + noise * self.own

    @classmethod
    def fit(
        cls, names: Sequence[str], features: np.ndarray, drivers: Sequence[str], known: np.ndarray, rank: int = 20
    ) -> Surrogate:  # fmt: skip
        """Learn from features that were extracted from phantoms.

        Effects are least squares on normal scores, each driver's shrunk towards 0 by the share of their spread over
        features that is estimation error (empirical Bayes). What is left is split into leading factors and own noise.

        Args:
            names: of the p features.
            features: ``(n, p)``.
            drivers: names of q drivers.
            known: ``(n, q)`` their values.
            rank: number of factors at most; a third of what n allows is never exceeded.

        Raises:
            InvalidInputError: where shapes do not fit or there are fewer than 20 cases more than drivers.
        """
        values, truth = np.asarray(features, float), np.asarray(known, float)
        n = len(values)
        if values.shape != (n, len(names)) or truth.shape != (n, len(drivers)) or n < len(drivers) + 20:
            raise InvalidInputError(
                f"Expected {len(names)} features and {len(drivers)} drivers of at least {len(drivers) + 20} cases; got "
                f"{values.shape} and {truth.shape}."
            )
        scores = normal_scores(values)
        centred = truth - truth.mean(axis=0)
        effects, residual = _least_squares(centred, scores)
        free = n - truth.shape[1] - 1
        _, size, basis = np.linalg.svd(residual, full_matrices=False)
        count = min(rank, free // 3)
        factors = size[:count, None] * basis[:count] / np.sqrt(free)
        own = (residual**2).sum(axis=0) / free - (factors**2).sum(axis=0)
        return cls(tuple(names), tuple(drivers), effects, factors, np.sqrt(np.maximum(own, 0.0)))


def _least_squares(known: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shrunken effects, and what the unshrunken ones leave."""
    inverse = np.linalg.pinv(known.T @ known)
    effects = inverse @ known.T @ scores
    residual = scores - known @ effects
    noise = (residual**2).sum(axis=0) / (len(known) - known.shape[1] - 1)
    error = np.diag(inverse)[:, None] * noise
    spread = np.maximum((effects**2).mean(axis=1), 1e-12)
    return effects * np.maximum(1.0 - error.mean(axis=1) / spread, 0.0)[:, None], residual


def made_up(
    rng: np.random.Generator, count: int = 744, rank: int = 12, drivers: Sequence[str] = LUNG_DRIVERS,
    common: float = 0.8,
) -> Surrogate:  # fmt: skip
    """A surrogate without images: features in ``rank`` correlated groups, some of which follow the drivers.

    About as many depend on z, on v and on the centres as do among real wavelet features (our choice): z explains up to
    a quarter of a group's variance, v up to two thirds.

    Args:
        rng: source of everything random.
        count: number of features; the first is called ``wavelet-LHH_glszm_LargeAreaEmphasis`` and follows v.
        rank: number of groups.
        common: share of what the drivers leave of a feature's variance that its group has in common.
        drivers: names; those other than z and v have effects up to half a standard deviation.
    """
    if count < rank or rank < 2 or not 0.0 <= common <= 1.0:
        raise InvalidInputError(
            f"Expected at least two groups, a feature for each, and a share; got {rank}, {count} and {common}."
        )
    largest = {"z": 0.5, "v": 0.8}
    group = np.arange(count) % rank
    by_group = np.array([largest.get(name, 0.5) * rng.uniform(-1.0, 1.0, rank) for name in drivers])
    effects = by_group[:, group] * rng.uniform(0.5, 1.0, (len(drivers), count))
    if "v" in drivers:
        effects[list(drivers).index("v"), 0] = 0.8
    scale = np.minimum(1.0, 0.9 / np.sqrt((effects**2).sum(axis=0)))
    effects *= scale
    left = 1.0 - (effects**2).sum(axis=0)
    loadings = rng.normal(0.0, 0.15, (rank, count))
    loadings[group, np.arange(count)] += 1.0
    loadings *= np.sqrt(common * left / (loadings**2).sum(axis=0))
    names = ("wavelet-LHH_glszm_LargeAreaEmphasis", *(f"feature_{n:04d}" for n in range(1, count)))
    return Surrogate(names, tuple(drivers), effects, loadings, np.sqrt((1.0 - common) * left))
