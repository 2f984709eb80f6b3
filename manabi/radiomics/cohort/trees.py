"""Forests and boosted trees as plain arrays, with our own predictor: no pickle, no library needed to predict.

Trees of all estimators lie one after the other; a node's children are indices into the same arrays, -1 for a leaf.
scikit-learn's trees compare 32-bit values with 64-bit thresholds, and so does this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from manabi.radiomics.cohort.cox import LIMIT, step_at

SAABAS = ("path attribution: the change of the mean at every split on a patient's way, given to the column that splits "
          "(Saabas 2014)")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Trees:
    """Structure of many trees.

    Attributes:
        roots: ``(trees,)`` node where each begins.
        left: ``(nodes,)`` child where the value is at most the threshold, or -1.
        right: ``(nodes,)`` the other child, or -1.
        column: ``(nodes,)`` that is compared.
        threshold: ``(nodes,)``.
        value: ``(nodes,)`` mean of the risk at each node.
    """

    roots: np.ndarray
    left: np.ndarray
    right: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    value: np.ndarray

    @classmethod
    def of(cls, trees: Sequence[Any], values: Sequence[np.ndarray]) -> Trees:
        """From scikit-learn's ``tree_`` objects, with a value for each of their nodes."""
        sizes = np.array([tree.node_count for tree in trees])
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
        shifted = [(np.where(side >= 0, side + root, -1)) for tree, root in zip(trees, roots, strict=True)
                   for side in (tree.children_left, tree.children_right)]  # fmt: skip
        return cls(
            roots,
            np.concatenate(shifted[0::2]),
            np.concatenate(shifted[1::2]),
            np.concatenate([tree.feature for tree in trees]).astype(int),
            np.concatenate([tree.threshold for tree in trees]),
            np.concatenate(list(values)),
        )

    @property
    def used(self) -> np.ndarray:
        """Columns that some split compares."""
        return np.unique(self.column[self.left >= 0])

    def leaves(self, x: np.ndarray) -> np.ndarray:
        """``(n, trees)`` node at which each row ends."""
        values = x.astype(np.float32)
        node = np.broadcast_to(self.roots, (len(x), len(self.roots))).copy()
        while (inner := self.left[node] >= 0).any():
            row, tree = np.nonzero(inner)
            node[row, tree] = self._next(values, row, node[row, tree])
        return node

    def paths(self, x: np.ndarray) -> np.ndarray:
        """``(n, columns)`` sum over the trees of the change of value at every split, by column."""
        values, out = x.astype(np.float32), np.zeros(x.shape)
        node = np.broadcast_to(self.roots, (len(x), len(self.roots))).copy()
        while (inner := self.left[node] >= 0).any():
            row, tree = np.nonzero(inner)
            here = node[row, tree]
            there = self._next(values, row, here)
            np.add.at(out, (row, self.column[here]), self.value[there] - self.value[here])
            node[row, tree] = there
        return out

    def _next(self, values: np.ndarray, row: np.ndarray, node: np.ndarray) -> np.ndarray:
        below = values[row, self.column[node]] <= self.threshold[node]
        return np.where(below, self.left[node], self.right[node])

    def take(self, columns: np.ndarray) -> Trees:
        """The same trees for a matrix with some of the columns, which hold all that are compared."""
        place = np.full(int(max(columns.max(initial=0), self.column.max(initial=0))) + 1, -2)
        place[columns] = np.arange(len(columns))
        return replace(self, column=np.where(self.left >= 0, place[np.maximum(self.column, 0)], -2))


@dataclass(frozen=True, eq=False)
class ForestSurvival:
    """Random survival forest (H. Ishwaran and others, 2008, 10.1214/08-AOAS169).

    Attributes:
        trees: value is the sum of the cumulative hazard over the event times ("mortality").
        times: ``(k,)`` distinct training times.
        curve_of: ``(nodes,)`` row of ``curves`` for a leaf, -1 for other nodes.
        curves: ``(leaves, k)`` survival in each leaf.
    """

    trees: Trees
    times: np.ndarray
    curve_of: np.ndarray
    curves: np.ndarray

    @property
    def used(self) -> np.ndarray:
        """Columns that some split compares."""
        return self.trees.used

    @property
    def method(self) -> str:
        """How contributions are computed."""
        return f"{SAABAS}, in expected events of a cohort of such patients"

    def risk(self, x: np.ndarray) -> np.ndarray:
        """Mean mortality of the leaves."""
        return self.trees.value[self.trees.leaves(x)].mean(1)

    def survival(self, x: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Mean survival of the leaves."""
        leaves = self.curve_of[self.trees.leaves(x)]
        mean = np.array([self.curves[row].mean(0) for row in leaves]).reshape(len(x), len(self.times))
        return step_at(self.times, mean, times, 1.0)

    def probability(self, x: np.ndarray) -> np.ndarray:
        """A survival model has no labels."""
        return np.empty((len(x), 0))

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Path attribution."""
        return self.trees.paths(x) / len(self.trees.roots)

    def take(self, columns: np.ndarray) -> ForestSurvival:
        """With some of the columns."""
        return replace(self, trees=self.trees.take(columns))


@dataclass(frozen=True, eq=False)
class BoostedSurvival:
    """Gradient-boosted Cox model (G. Ridgeway, "The state of boosting", 1999): risk is a log hazard ratio.

    Attributes:
        trees: value is what the tree adds, before the rate.
        rate: learning rate.
        times: ``(k,)`` distinct training times.
        hazard: ``(k,)`` cumulative baseline hazard.
    """

    trees: Trees
    rate: float
    times: np.ndarray
    hazard: np.ndarray

    @property
    def used(self) -> np.ndarray:
        """Columns that some split compares."""
        return self.trees.used

    @property
    def method(self) -> str:
        """How contributions are computed."""
        return f"{SAABAS}, as part of the log hazard ratio"

    def risk(self, x: np.ndarray) -> np.ndarray:
        """Rate times the sum of the leaves."""
        return self.rate * self.trees.value[self.trees.leaves(x)].sum(1)

    def survival(self, x: np.ndarray, times: np.ndarray) -> np.ndarray:
        """exp(-H0(t) exp(risk)); 1 before the first event, however high the risk."""
        return np.exp(
            -np.exp(np.clip(self.risk(x), -LIMIT, LIMIT))[:, None] * step_at(self.times, self.hazard, times, 0.0)[None]
        )

    def probability(self, x: np.ndarray) -> np.ndarray:
        """A survival model has no labels."""
        return np.empty((len(x), 0))

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Path attribution."""
        return self.rate * self.trees.paths(x)

    def take(self, columns: np.ndarray) -> BoostedSurvival:
        """With some of the columns."""
        return replace(self, trees=self.trees.take(columns))


@dataclass(frozen=True, eq=False)
class ForestLabel:
    """Random forest for labels (L. Breiman, 2001, 10.1023/A:1010933404324): risk is the expected level.

    Attributes:
        trees: value is the expected level.
        shares: ``(nodes, levels)`` share of each label.
    """

    trees: Trees
    shares: np.ndarray

    @property
    def used(self) -> np.ndarray:
        """Columns that some split compares."""
        return self.trees.used

    @property
    def method(self) -> str:
        """How contributions are computed."""
        return f"{SAABAS}, as part of the expected level (for two labels: of the probability)"

    def risk(self, x: np.ndarray) -> np.ndarray:
        """Mean expected level of the leaves."""
        return self.trees.value[self.trees.leaves(x)].mean(1)

    def survival(self, x: np.ndarray, times: np.ndarray) -> np.ndarray:
        """A label has no follow-up."""
        return np.empty((len(x), 0))

    def probability(self, x: np.ndarray) -> np.ndarray:
        """Mean shares of the leaves."""
        return self.shares[self.trees.leaves(x)].mean(1)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Path attribution."""
        return self.trees.paths(x) / len(self.trees.roots)

    def take(self, columns: np.ndarray) -> ForestLabel:
        """With some of the columns."""
        return replace(self, trees=self.trees.take(columns))
