"""The models and their small tuning grids: each fits many candidates at once on one training matrix.

Matrices hold clinical columns and volume first (``fixed`` of them), then radiomic features by falling univariate
association, so that "the k strongest features" are the first k of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from manabi.radiomics.cohort.cox import RiskSets, breslow, ridge_cox
from manabi.radiomics.cohort.logistic import lasso_start, logistic_paths
from manabi.radiomics.cohort.plan import Model
from manabi.radiomics.cohort.predictors import LinearLabel, LinearSurvival, Predictor
from manabi.radiomics.cohort.table import Cohort

if TYPE_CHECKING:
    from sksurv.linear_model import CoxnetSurvivalAnalysis

Candidate = dict[str, float]
RIDGES = (100.0, 10.0, 1.0)
"""Half of it times |coefficients|^2 is taken off the log likelihood, on standardised columns (our choice); the simplest
first."""
KEEP = (1, 2, 3, 5, 8, 12)
"""Numbers of features that univariate selection is tried with, before ridge (our choice)."""
ALPHAS = 25
SHALLOWEST = 0.03
"""Smallest penalty of a path as a share of the one that empties the model (our choice)."""
FIXED_PENALTY = 0.25
"""Penalty of clinical columns and volume beside radiomic features, which are many and weak (our choice)."""


@dataclass(frozen=True)
class Fitted:
    """A candidate after fitting, for tuning.

    Attributes:
        risk: of a matrix; higher is worse.
        probability: of the labels, of a matrix.
        freeze: the model as plain numbers.
    """

    risk: Callable[[np.ndarray], np.ndarray]
    probability: Callable[[np.ndarray], np.ndarray]
    freeze: Callable[[], Predictor]


class Learner(Protocol):
    """A kind of model."""

    def candidates(self, x: np.ndarray, rows: Cohort, fixed: int) -> list[Candidate]:
        """The grid for a training matrix."""

    def fit_many(self, x: np.ndarray, rows: Cohort, fixed: int, candidates: Sequence[Candidate],
                 seed: int) -> list[Fitted | None]:  # fmt: skip
        """Fit each candidate; None where its fit broke down."""


def learner(model: Model, kind: str) -> Learner:
    """The learner of a model for a kind of outcome."""
    if model in ("forest", "boosting"):
        from manabi.radiomics.cohort.models_trees import tree_learner

        return tree_learner(model, kind)
    if model == "ridge":
        return RidgeCox() if kind == "survival" else RidgeLogistic()
    ratios = (1.0,) if model == "lasso" else (0.5, 0.9)
    return ElasticNetCox(ratios) if kind == "survival" else ElasticNetLogistic(ratios)


def keep_grid(x: np.ndarray, fixed: int) -> list[int]:
    """Numbers of radiomic features to try: none too where there are other columns."""
    features = x.shape[1] - fixed
    if features == 0:
        return [0]
    return [0] * (fixed > 0) + sorted({min(keep, features) for keep in KEEP})


@dataclass(frozen=True)
class RidgeCox:
    """Cox with a ridge, after univariate selection where there are radiomic features."""

    def candidates(self, x: np.ndarray, rows: Cohort, fixed: int) -> list[Candidate]:
        """Numbers of features x ridges."""
        return [{"features": keep, "ridge": ridge} for keep in keep_grid(x, fixed) for ridge in RIDGES]

    def fit_many(self, x: np.ndarray, rows: Cohort, fixed: int, candidates: Sequence[Candidate],
                 seed: int) -> list[Fitted | None]:  # fmt: skip
        """Newton's method for each."""
        sets = RiskSets.of(np.asarray(rows.time_days), np.asarray(rows.event))
        out: list[Fitted | None] = []
        for candidate in candidates:
            coefficients = np.zeros(x.shape[1])
            size = fixed + int(candidate["features"])
            coefficients[:size] = ridge_cox(x[:, :size], sets, candidate["ridge"])
            out.append(linear_survival(coefficients, x, rows))
        return out


@dataclass(frozen=True)
class ElasticNetCox:
    """Elastic-net Cox along a path of penalties (N. Simon and others, 2011, 10.18637/jss.v039.i05; scikit-survival).

    Attributes:
        ratios: shares of the lasso in the penalty that are tried.
    """

    ratios: tuple[float, ...]

    def candidates(self, x: np.ndarray, rows: Cohort, fixed: int) -> list[Candidate]:
        """For each ratio a path from the empty model down."""
        out: list[Candidate] = []
        for ratio in self.ratios:
            model = self._model(x, fixed, ratio, n_alphas=2, alpha_min_ratio=0.9)
            top = _quiet(model, x, rows).alphas_[0]
            out += [{"l1_ratio": ratio, "alpha": float(a)} for a in top * np.geomspace(1, SHALLOWEST, ALPHAS)]
        return out

    def fit_many(self, x: np.ndarray, rows: Cohort, fixed: int, candidates: Sequence[Candidate],
                 seed: int) -> list[Fitted | None]:  # fmt: skip
        """One path for each ratio."""
        out: list[Fitted | None] = [None] * len(candidates)
        for ratio in {c["l1_ratio"] for c in candidates}:
            places = [k for k, c in enumerate(candidates) if c["l1_ratio"] == ratio]
            coefficients = self._path(x, rows, fixed, ratio, [candidates[k]["alpha"] for k in places])
            for k, column in zip(places, coefficients.T, strict=False):
                out[k] = linear_survival(column, x, rows)
        return out

    def _path(self, x: np.ndarray, rows: Cohort, fixed: int, ratio: float, alphas: list[float]) -> np.ndarray:
        """``(columns, as many alphas as the solver managed)``; small penalties can break down numerically."""
        while alphas:
            try:
                return _quiet(self._model(x, fixed, ratio, alphas=alphas), x, rows).coef_
            except ArithmeticError:
                alphas = alphas[: len(alphas) // 2]
        return np.empty((x.shape[1], 0))

    def _model(self, x: np.ndarray, fixed: int, ratio: float, **path: object) -> CoxnetSurvivalAnalysis:
        from sksurv.linear_model import CoxnetSurvivalAnalysis

        return CoxnetSurvivalAnalysis(l1_ratio=ratio, penalty_factor=weights(x, fixed), tol=1e-6, **path)


def _quiet(model: CoxnetSurvivalAnalysis, x: np.ndarray, rows: Cohort) -> CoxnetSurvivalAnalysis:
    from sksurv.util import Surv

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty model at the top of the path is what it is there for
        return model.fit(x, Surv.from_arrays(rows.event, rows.time_days))


@dataclass(frozen=True)
class RidgeLogistic:
    """Logistic regression with a ridge, after univariate selection where there are radiomic features."""

    def candidates(self, x: np.ndarray, rows: Cohort, fixed: int) -> list[Candidate]:
        """Numbers of features x ridges."""
        return [{"features": keep, "ridge": ridge} for keep in keep_grid(x, fixed) for ridge in RIDGES]

    def fit_many(self, x: np.ndarray, rows: Cohort, fixed: int, candidates: Sequence[Candidate],
                 seed: int) -> list[Fitted | None]:  # fmt: skip
        """All ridges of one number of features at once."""
        out: list[Fitted | None] = [None] * len(candidates)
        for keep in {c["features"] for c in candidates}:
            places = [k for k, c in enumerate(candidates) if c["features"] == keep]
            ridges = np.array([candidates[k]["ridge"] for k in places]) / len(x)
            size = fixed + int(keep)
            fits = ordinal_paths(x[:, :size], rows, 0 * ridges, ridges, np.ones(size), x.shape[1])
            for k, fit in zip(places, fits, strict=True):
                out[k] = fit
        return out


@dataclass(frozen=True)
class ElasticNetLogistic:
    """Elastic-net logistic regression along a path of penalties.

    Attributes:
        ratios: shares of the lasso in the penalty that are tried.
    """

    ratios: tuple[float, ...]

    def candidates(self, x: np.ndarray, rows: Cohort, fixed: int) -> list[Candidate]:
        """For each ratio a path from the empty model down."""
        label, weight = np.asarray(rows.label), weights(x, fixed)
        top = max(lasso_start(x, (label > k).astype(float), weight) for k in range(len(rows.label_levels) - 1))
        return [{"l1_ratio": ratio, "alpha": float(alpha)} for ratio in self.ratios
                for alpha in top / ratio * np.geomspace(1, SHALLOWEST, ALPHAS)]  # fmt: skip

    def fit_many(self, x: np.ndarray, rows: Cohort, fixed: int, candidates: Sequence[Candidate],
                 seed: int) -> list[Fitted | None]:  # fmt: skip
        """All penalties at once."""
        alpha = np.array([c["alpha"] for c in candidates])
        ratio = np.array([c["l1_ratio"] for c in candidates])
        return ordinal_paths(x, rows, alpha * ratio, alpha * (1 - ratio), weights(x, fixed), x.shape[1])


def weights(x: np.ndarray, fixed: int) -> np.ndarray:
    """Relative penalty of each column."""
    out = np.ones(x.shape[1])
    if fixed < x.shape[1]:
        out[:fixed] = FIXED_PENALTY
    return out


def ordinal_paths(x: np.ndarray, rows: Cohort, lasso: np.ndarray, ridge: np.ndarray, weight: np.ndarray,
                  width: int) -> list[Fitted | None]:  # fmt: skip
    """For each penalty, a logistic regression for every "above level k"; coefficients padded with 0 to the width."""
    label, above = np.asarray(rows.label), len(rows.label_levels) - 1
    coefficients = np.zeros((width, above, len(lasso)))
    intercepts = np.zeros((above, len(lasso)))
    for k in range(above):
        y = (label > k).astype(float)
        coefficients[: x.shape[1], k], intercepts[k] = logistic_paths(x, y, lasso, ridge, weight)
    fits = [LinearLabel(coefficients[:, :, c], intercepts[:, c]) for c in range(len(lasso))]
    return [Fitted(fit.risk, fit.probability, lambda fit=fit: fit) for fit in fits]  # type: ignore[misc]


def linear_survival(coefficients: np.ndarray, x: np.ndarray, rows: Cohort) -> Fitted:
    """A Cox model; the baseline hazard is computed only when it is frozen."""

    def risk(values: np.ndarray) -> np.ndarray:
        """Linear predictor."""
        return values @ coefficients - offset

    def freeze() -> LinearSurvival:
        """With its baseline."""
        times, hazard = breslow(risk(x), np.asarray(rows.time_days), np.asarray(rows.event))
        return LinearSurvival(coefficients, offset, times, hazard)

    offset = float(x.mean(0) @ coefficients)
    return Fitted(risk, lambda values: np.empty((len(values), 0)), freeze)
