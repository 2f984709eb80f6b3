"""Grey level co-occurrence matrices: which levels lie beside each other.

Haralick et al. 1973, 10.1109/TSMC.1973.4309314; Zwanenburg et al. 2020, 10.1148/radiol.2020191145. Matrices are
symmetric. Only half of one is kept: a cell (lower, higher) counts each pair of neighbours once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from manabi.radiomics.texture.cells import Cells
from manabi.radiomics.texture.sizes import table


@dataclass(frozen=True)
class Margins:
    """Probabilities of R matrices that are not empty.

    Attributes:
        cells: the pairs.
        share: float64, each cell's share of its matrix's pairs.
        level: float64 (W,), the values of the marginal distribution.
        marginal: (R, W), of one voxel of a pair.
        total: float64 (2 W - 1,), the values of the sum of both levels.
        sums: (R, 2 W - 1).
        gap: float64 (W,), the values of the difference.
        differences: (R, W).
    """

    cells: Cells
    share: np.ndarray
    level: np.ndarray
    marginal: np.ndarray
    total: np.ndarray
    sums: np.ndarray
    gap: np.ndarray
    differences: np.ndarray

    def summed(self, weight: np.ndarray) -> np.ndarray:
        """The sum of ``weight`` over the cells of each matrix."""
        return np.bincount(self.cells.matrix, weight, self.cells.n_matrices)


def named(features: Iterable[str], cells: Cells, n_levels: int, eps: float) -> dict[str, float]:
    """The named features: each of every matrix that is not empty, and then the mean.

    Args:
        features: names of the catalogue, without MCC.
        cells: pairs (lower level, higher level).
        n_levels: for the normalised inverse differences.
        eps: added to probabilities inside logarithms (pyradiomics); 0 is the definition.
    """
    if not cells.count.size:
        return {f"glcm_{name}": float("nan") for name in features}
    margins = _margins(cells)
    values = _of_levels(margins, eps) | _of_differences(margins, n_levels, eps) | _of_sums(margins, eps)
    values |= _of_cells(margins, eps)
    wanted = list(features)
    means = np.stack([values[name] for name in wanted]).mean(axis=1)
    return {f"glcm_{name}": mean for name, mean in zip(wanted, means.tolist(), strict=True)}


def without_empty(cells: Cells) -> Cells:
    """The same cells with the matrices numbered anew, so that none is empty."""
    filled = np.bincount(cells.matrix, minlength=cells.n_matrices) > 0
    number = np.cumsum(filled) - 1
    return Cells(number[cells.matrix], cells.row, cells.column, cells.count, int(filled.sum()))


def _margins(cells: Cells) -> Margins:
    cells = without_empty(cells)
    n, width = cells.n_matrices, int(cells.column.max()) + 1
    pairs = np.bincount(cells.matrix, cells.count, n)
    count = cells.count.astype(np.float64)
    ends = table(cells.matrix, cells.row, count, n, width) + table(cells.matrix, cells.column, count, n, width)
    sums = table(cells.matrix, cells.row + cells.column, count, n, 2 * width - 1)
    differences = table(cells.matrix, cells.column - cells.row, count, n, width)
    return Margins(
        cells,
        count / pairs[cells.matrix],
        np.arange(width, dtype=np.float64),
        ends / (2 * pairs)[:, None],
        np.arange(2 * width - 1, dtype=np.float64),
        sums / pairs[:, None],
        np.arange(width, dtype=np.float64),
        differences / pairs[:, None],
    )


def entropy(shares: np.ndarray, eps: float) -> np.ndarray:
    """Shannon entropy along the last axis, in bit; empty cells count nothing."""
    return -(shares * np.log2(np.where(shares > 0, shares + eps, 1))).sum(axis=-1)


def _of_levels(m: Margins, eps: float) -> dict[str, np.ndarray]:
    mean = (m.marginal * m.level).sum(axis=1)
    variance = (m.marginal * (m.level - mean[:, None]) ** 2).sum(axis=1)
    low, high = m.cells.row, m.cells.column
    centre = mean[m.cells.matrix]
    covariance = m.summed(m.share * (low - centre) * (high - centre))
    flat = variance == 0
    return {
        "JointAverage": mean,
        "SumSquares": variance,
        "Autocorrelation": m.summed(m.share * (low * high)),
        "Correlation": np.where(flat, 1.0, covariance / np.where(flat, 1.0, variance + eps)),
    }


def _of_differences(m: Margins, n_levels: int, eps: float) -> dict[str, np.ndarray]:
    p, k = m.differences, m.gap
    mean = (p * k).sum(axis=1)
    return {
        "DifferenceAverage": mean,
        "Dissimilarity": mean,
        "DifferenceVariance": (p * (k - mean[:, None]) ** 2).sum(axis=1),
        "DifferenceEntropy": entropy(p, eps),
        "Contrast": (p * k**2).sum(axis=1),
        "Id": (p / (1 + k)).sum(axis=1),
        "Idn": (p / (1 + k / n_levels)).sum(axis=1),
        "Idm": (p / (1 + k**2)).sum(axis=1),
        "Idmn": (p / (1 + k**2 / n_levels**2)).sum(axis=1),
        "InverseVariance": (p[:, 1:] / k[1:] ** 2).sum(axis=1),
    }


def _of_sums(m: Margins, eps: float) -> dict[str, np.ndarray]:
    p, k = m.sums, m.total
    mean = (p * k).sum(axis=1)
    away = k - mean[:, None]
    square = p * away**2
    tendency = square.sum(axis=1)
    return {
        "SumAverage": mean,
        "SumVariance": tendency,
        "SumEntropy": entropy(p, eps),
        "ClusterTendency": tendency,
        "ClusterShade": (square * away).sum(axis=1),
        "ClusterProminence": (square * away**2).sum(axis=1),
    }


def _of_cells(m: Margins, eps: float) -> dict[str, np.ndarray]:
    """Features of the joint probabilities; off the diagonal a cell stands for two of half its share."""
    diagonal = m.cells.row == m.cells.column
    joint = np.where(diagonal, m.share, m.share / 2)
    largest = np.zeros(m.cells.n_matrices)
    np.maximum.at(largest, m.cells.matrix, joint)
    joint_entropy = m.summed(-m.share * np.log2(joint + eps))
    first, second = _information(m, joint_entropy, eps)
    return {
        "JointEnergy": m.summed(m.share * joint),
        "JointEntropy": joint_entropy,
        "MaximumProbability": largest,
        "Imc1": first,
        "Imc2": second,
    }


def _information(m: Margins, joint_entropy: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """Informational measures of correlation 1 and 2 (Haralick et al. 1973).

    The entropy of the product of the margins is twice the entropy of one. With ``eps`` inside the logarithm it is
    less by eps / ln 2 for each pair of levels, to first order; the next order is below rounding.
    """
    single = entropy(m.marginal, eps)
    product = m.marginal[m.cells.matrix, m.cells.row] * m.marginal[m.cells.matrix, m.cells.column]
    crossed = m.summed(-m.share * np.log2(product + eps))
    occurring = np.count_nonzero(m.marginal, axis=1)
    independent = 2 * entropy(m.marginal, 0.0) - occurring**2 * eps / np.log(2)
    some = single != 0
    first = np.where(some, (joint_entropy - crossed) / np.where(some, single, 1.0), 0.0)
    second = np.sqrt(np.maximum(1 - np.exp(-2 * (independent - joint_entropy)), 0.0))
    return first, second
