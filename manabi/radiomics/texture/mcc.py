"""Maximal correlation coefficient of a co-occurrence matrix (Haralick et al. 1973, 10.1109/TSMC.1973.4309314).

It is the square root of the second eigenvalue of Q, Q_ij = sum_k p_ik p_jk / (p_i p_k). For a symmetric matrix that is
the second largest absolute eigenvalue of S, S_ij = p_ij / sqrt(p_i p_j), whose first eigenvector is known: sqrt(p_i).
Lanczos' iteration finds it for all directions at once, at a fraction of the cost of all eigenvalues.
"""

from __future__ import annotations

import numpy as np

from manabi.radiomics.texture.cells import Cells
from manabi.radiomics.texture.grid import too_many

_EPS = float(np.spacing(1))
_FEW_LEVELS = 24
_MANY_LEVELS = 1024
_MOST_LEVELS = 4096
_CHUNK_CELLS = 2**22
#: After how many steps to look whether the eigenvalue has settled; looking costs as much as several steps.
_LOOKS = (16, 24, 32, 44, 60)
_CLOSE = 1e-3
#: The error of the eigenvalue is this squared, over its distance to the next one.
_RESIDUAL = 1e-7


def coefficient(cells: Cells, present: np.ndarray) -> float:
    """The mean over the matrices that are not empty; 1 where the region has one level, as pyradiomics has it.

    Args:
        cells: pairs (lower level, higher level).
        present: the levels that occur in the region.

    Raises:
        InvalidInputError: more than 4,096 levels occur; the matrices would not fit into memory.
    """
    if present.size < 2:
        return 1.0
    if present.size > _MOST_LEVELS:
        raise too_many(present.size, _MOST_LEVELS)
    chunk = max(1, _CHUNK_CELLS // present.size**2)
    found: list[float] = []
    for matrices in np.array_split(np.unique(cells.matrix), range(chunk, cells.n_matrices, chunk)):
        joint = _joint(cells, matrices, present)
        few = present.size <= _FEW_LEVELS
        found += [by_all_eigenvalues(one) for one in joint] if few else by_lanczos(joint).tolist()
    return float(np.nanmean(found)) if found else float("nan")


def by_all_eigenvalues(joint: np.ndarray) -> float:
    """The coefficient of one symmetric matrix of probabilities from all eigenvalues of Q, as pyradiomics does it.

    pyradiomics adds the spacing of floating numbers at 1 to each denominator; so do we.
    """
    margin = joint.sum(axis=1)
    weighted = joint / (np.outer(margin, margin) + _EPS)
    values = np.linalg.eigvals(weighted @ joint)
    values.sort()
    return float(np.sqrt(values[-2]).real)


def by_lanczos(joint: np.ndarray) -> np.ndarray:
    """The coefficients of symmetric matrices of probabilities (R, n, n); (R,).

    A matrix whose second eigenvalue is close to the first or the third, or has not settled, goes the long way; not
    with more than 1,024 levels, where that takes minutes and the last digits are given up (our choice).
    """
    margin = joint.sum(axis=1)
    root = np.sqrt(margin)
    inverse = np.where(root > 0, 1 / np.where(root > 0, root, 1), 0)
    scaled = joint * inverse[:, :, None] * inverse[:, None, :]
    values, vectors, settled = _iterate(scaled, root)
    squares = values[:, 0] ** 2 + _correction(joint, margin, vectors * inverse)
    clear = settled & (squares < 1 - _CLOSE) & (np.abs(values[:, 1]) < (1 - _CLOSE) * np.abs(values[:, 0]))
    result = np.sqrt(np.maximum(squares, 0))
    for number in np.flatnonzero(~clear) if margin.shape[1] <= _MANY_LEVELS else ():
        result[number] = by_all_eigenvalues(joint[number])
    return result


def _joint(cells: Cells, matrices: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Symmetric probabilities (R, n, n) of some of the matrices, none of them empty, of the present levels."""
    place = np.zeros(int(present[-1]) + 1, np.int64)
    place[present] = np.arange(present.size)
    part = np.isin(cells.matrix, matrices)
    matrix = np.searchsorted(matrices, cells.matrix[part])
    joint = np.zeros((matrices.size, present.size, present.size))
    joint[matrix, place[cells.row[part]], place[cells.column[part]]] = cells.count[part]
    joint += joint.transpose(0, 2, 1).copy()
    return joint / joint.sum(axis=(1, 2), keepdims=True)


def _iterate(scaled: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two largest absolute eigenvalues below the first, the vector of the larger, and whether it has settled.

    einsum and not a matrix product: that would start the threads of a BLAS for matrices too small for it.
    """
    n_matrices, n = first.shape
    steps = min(n - 1, _LOOKS[-1])
    basis = np.zeros((n_matrices, steps + 2, n))
    projected = np.zeros((n_matrices, steps + 1, steps + 1))
    basis[:, 0] = first
    start = np.random.default_rng(0).standard_normal((1, n)) * (first > 0)
    basis[:, 1], _ = _orthogonal(start, basis[:, :1])
    for step in range(1, steps + 1):
        image = np.einsum("dij,dj->di", scaled, basis[:, step])
        projected[:, step - 1, step - 1] = np.einsum("di,di->d", image, basis[:, step])
        basis[:, step + 1], rest = _orthogonal(image, basis[:, : step + 1])
        if step == steps or step in _LOOKS:
            values, vectors = _ritz(projected[:, :step, :step])
            residual = rest * np.abs(vectors[:, -1])
            if step == steps or residual.max() < _RESIDUAL:
                break
        projected[:, step, step - 1] = projected[:, step - 1, step] = rest
    return values, np.einsum("dkn,dk->dn", basis[:, 1 : step + 1], vectors), residual < _RESIDUAL


def _orthogonal(vector: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is left of each vector beside its basis, of length 1, and its length; twice, which is enough."""
    for _ in range(2):
        inside = np.einsum("dkn,dn->dk", basis, vector)
        vector = vector - np.einsum("dkn,dk->dn", basis, inside)
    length = np.sqrt((vector**2).sum(axis=1))
    # What is left of a space that is used up is rounding. It must not come back as a direction of its own.
    used_up = length < 1e-12
    return np.where(used_up[:, None], 0, vector / np.where(used_up, 1, length)[:, None]), length


def _ritz(projected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two eigenvalues of largest absolute value (R, 2) and the vector of the first (R, k)."""
    values, vectors = np.linalg.eigh(projected)
    order = np.argsort(-np.abs(values), axis=1)[:, :2]
    largest = np.take_along_axis(vectors, order[:, None, :1], axis=2)[..., 0]
    return np.take_along_axis(values, order, axis=1), largest


def _correction(joint: np.ndarray, margin: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """By how much the eigenvalue of Q changes when pyradiomics adds its spacing to the denominators; to first order.

    It matters where two rare levels meet: there the product of the margins is not far above the spacing.
    """
    inverse = np.where(margin > 0, 1 / np.where(margin > 0, margin, 1), 0)
    left = np.einsum("dij,dj->di", joint, vector * inverse)
    right = np.einsum("dij,dj->di", joint, vector)
    return -_EPS * (left * right * inverse**2).sum(axis=1)
