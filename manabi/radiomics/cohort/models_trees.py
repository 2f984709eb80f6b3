"""Forests and boosted trees with their tuning grids, and how a fitted one is turned into plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.cox import breslow
from manabi.radiomics.cohort.models import Candidate, Fitted, Learner
from manabi.radiomics.cohort.plan import Model
from manabi.radiomics.cohort.table import Cohort
from manabi.radiomics.cohort.trees import BoostedSurvival, ForestLabel, ForestSurvival, Trees

if TYPE_CHECKING:
    from sksurv.ensemble import GradientBoostingSurvivalAnalysis, RandomSurvivalForest

TREES = 100
LEAVES = (5, 15)
"""Least training rows in a leaf that are tried (our choice)."""
FEW = 10
"""Beside all features, so many of the strongest are tried (our choice)."""
STAGES = (25, 50, 100)
RATE = 0.1
DEPTHS = (1, 2)


def tree_learner(model: Model, kind: str) -> Learner:
    """The learner of a forest or of boosting.

    Raises:
        InvalidInputError: boosting for labels.
    """
    if model == "forest":
        return SurvivalForest() if kind == "survival" else LabelForest()
    if kind != "survival":
        raise InvalidInputError("Boosting is for survival; take model='forest', 'elastic_net' or 'lasso' for labels.")
    return Boosting()


def _sizes(x: np.ndarray, fixed: int) -> list[int]:
    features = x.shape[1] - fixed
    return sorted({min(FEW, features), features})


def _forest_grid(x: np.ndarray, fixed: int) -> list[Candidate]:
    return [{"features": keep, "min_leaf": leaf} for keep in _sizes(x, fixed) for leaf in LEAVES]


@dataclass(frozen=True)
class SurvivalForest:
    """Random survival forest of scikit-survival."""

    def candidates(self, x: np.ndarray, rows: Cohort, fixed: int) -> list[Candidate]:
        """Numbers of features x sizes of leaves."""
        return _forest_grid(x, fixed)

    def fit_many(self, x: np.ndarray, rows: Cohort, fixed: int, candidates: Sequence[Candidate],
                 seed: int) -> list[Fitted | None]:  # fmt: skip
        """One forest for each."""
        return [self._one(x, rows, fixed + int(c["features"]), int(c["min_leaf"]), seed) for c in candidates]

    def _one(self, x: np.ndarray, rows: Cohort, size: int, leaf: int, seed: int) -> Fitted:
        from sksurv.ensemble import RandomSurvivalForest
        from sksurv.util import Surv

        forest = RandomSurvivalForest(TREES, min_samples_leaf=leaf, max_features="sqrt", random_state=seed, n_jobs=1)
        forest.fit(x[:, :size], Surv.from_arrays(rows.event, rows.time_days))
        return Fitted(lambda values: forest.predict(values[:, :size]), no_labels, lambda: frozen_forest(forest))


def no_labels(values: np.ndarray) -> np.ndarray:
    """A survival model has no labels."""
    return np.empty((len(values), 0))


def frozen_forest(forest: RandomSurvivalForest) -> ForestSurvival:
    """A fitted forest as plain arrays: mortality at every node, survival in the leaves."""
    trees = [estimator.tree_ for estimator in forest.estimators_]
    mortality = [tree.value[:, estimator.is_event_time_, 0].sum(1)
                 for tree, estimator in zip(trees, forest.estimators_, strict=True)]  # fmt: skip
    frame = Trees.of(trees, mortality)
    leaf = frame.left < 0
    curve_of = np.where(leaf, np.cumsum(leaf) - 1, -1)
    survival = [tree.value[:, :, 1][tree.children_left < 0] for tree in trees]
    return ForestSurvival(frame, np.asarray(forest.unique_times_, float), curve_of, np.concatenate(survival))


@dataclass(frozen=True)
class Boosting:
    """Gradient-boosted Cox model of scikit-survival; one fit serves all numbers of trees."""

    def candidates(self, x: np.ndarray, rows: Cohort, fixed: int) -> list[Candidate]:
        """Numbers of features x depths x numbers of trees."""
        return [{"features": keep, "depth": depth, "trees": trees}
                for keep in _sizes(x, fixed) for depth in DEPTHS for trees in STAGES]  # fmt: skip

    def fit_many(self, x: np.ndarray, rows: Cohort, fixed: int, candidates: Sequence[Candidate],
                 seed: int) -> list[Fitted | None]:  # fmt: skip
        """One model for each number of features and depth."""
        from sksurv.ensemble import GradientBoostingSurvivalAnalysis
        from sksurv.util import Surv

        out: list[Fitted | None] = [None] * len(candidates)
        for keep, depth in {(c["features"], c["depth"]) for c in candidates}:
            places = [k for k, c in enumerate(candidates) if (c["features"], c["depth"]) == (keep, depth)]
            most = max(int(candidates[k]["trees"]) for k in places)
            model = GradientBoostingSurvivalAnalysis(
                learning_rate=RATE, n_estimators=most, max_depth=int(depth), subsample=0.5, random_state=seed
            )
            size = fixed + int(keep)
            model.fit(x[:, :size], Surv.from_arrays(rows.event, rows.time_days))
            for k in places:
                out[k] = staged(model, int(candidates[k]["trees"]), size, x, rows)
        return out


def staged(model: GradientBoostingSurvivalAnalysis, count: int, size: int, x: np.ndarray, rows: Cohort) -> Fitted:
    """A boosted model after its first trees."""

    def risk(values: np.ndarray) -> np.ndarray:
        """Log hazard ratio."""
        small = values[:, :size].astype(np.float32)
        return RATE * np.sum([tree.tree_.predict(small)[:, 0] for tree in model.estimators_[:count, 0]], axis=0)

    def freeze() -> BoostedSurvival:
        """As plain arrays, with its baseline."""
        times, hazard = breslow(risk(x), np.asarray(rows.time_days), np.asarray(rows.event))
        trees = [tree.tree_ for tree in model.estimators_[:count, 0]]
        return BoostedSurvival(Trees.of(trees, [tree.value[:, 0, 0] for tree in trees]), RATE, times, hazard)

    return Fitted(risk, no_labels, freeze)


@dataclass(frozen=True)
class LabelForest:
    """Random forest of scikit-learn, for two or more labels."""

    def candidates(self, x: np.ndarray, rows: Cohort, fixed: int) -> list[Candidate]:
        """Numbers of features x sizes of leaves."""
        return _forest_grid(x, fixed)

    def fit_many(self, x: np.ndarray, rows: Cohort, fixed: int, candidates: Sequence[Candidate],
                 seed: int) -> list[Fitted | None]:  # fmt: skip
        """One forest for each."""
        return [self._one(x, rows, fixed + int(c["features"]), int(c["min_leaf"]), seed) for c in candidates]

    def _one(self, x: np.ndarray, rows: Cohort, size: int, leaf: int, seed: int) -> Fitted:
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(TREES, min_samples_leaf=leaf, random_state=seed, n_jobs=1)
        forest.fit(x[:, :size], rows.label)
        model = frozen_label_forest(forest, len(rows.label_levels))
        return Fitted(model.risk, model.probability, lambda: model)


def frozen_label_forest(forest: Any, levels: int) -> ForestLabel:
    """A fitted forest as plain arrays: shares of the labels at every node."""
    trees = [estimator.tree_ for estimator in forest.estimators_]
    shares = np.zeros((sum(tree.node_count for tree in trees), levels))
    counts = np.concatenate([tree.value[:, 0, :] for tree in trees])
    shares[:, forest.classes_.astype(int)] = counts / counts.sum(1, keepdims=True)
    expected = shares @ np.arange(levels)
    ends = np.cumsum([tree.node_count for tree in trees])[:-1]
    return ForestLabel(Trees.of(trees, np.split(expected, ends)), shares)
