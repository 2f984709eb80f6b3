"""Two kinds of interval for C, which hold two kinds of luck.

``bootstrap_interval`` draws patients anew and leaves the out-of-fold predictions as they are: luck of the patients who
were tested, not of those who were trained with. ``corrected_difference`` takes the spread over the folds and repeats,
widened since training sets overlap: luck of the split, for the difference of two blocks.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.association import pairs
from manabi.radiomics.cohort.evaluation import Evaluation
from manabi.radiomics.cohort.plan import Block
from manabi.radiomics.cohort.scores import Bootstrap, Score, two_sided


def bootstrap_interval(evaluation: Evaluation, block: Block, bootstrap: Bootstrap | None = None) -> Score:
    """C of a block, mean over the repeats, with the percentile bootstrap over patients."""
    bootstrap = bootstrap or Bootstrap()
    draws = _draws(evaluation, block, bootstrap)
    low, high = bootstrap.limits(draws)
    return Score(f"C, {block}", evaluation.concordance(block), low, high, bootstrap.how, len(evaluation.outcome),
                 evaluation.outcome.n_events)  # fmt: skip


def bootstrap_difference(
    evaluation: Evaluation, block: Block, other: Block, bootstrap: Bootstrap | None = None
) -> Score:
    """C of a block less C of another, with the paired percentile bootstrap over patients."""
    bootstrap = bootstrap or Bootstrap()
    draws = _draws(evaluation, block, bootstrap) - _draws(evaluation, other, bootstrap)
    low, high = bootstrap.limits(draws)
    estimate = evaluation.concordance(block) - evaluation.concordance(other)
    return Score(f"C, {block} - {other}", estimate, low, high, f"paired {bootstrap.how}", len(evaluation.outcome),
                 evaluation.outcome.n_events, two_sided(draws))  # fmt: skip


def corrected_difference(evaluation: Evaluation, block: Block, other: Block, level: float = 0.95) -> Score:
    """Difference of the mean C of test folds with the corrected resampled t interval.

    The variance of J differences is multiplied by 1/J + test/train instead of 1/J (C. Nadeau, Y. Bengio, "Inference
    for the generalization error", 2003, 10.1023/A:1024068626366; for repeated folds R. Bouckaert, E. Frank, 2004,
    10.1007/978-3-540-24775-3_3).

    Raises:
        InvalidInputError: fewer than two folds with comparable pairs, as in leave-one-out.
    """
    difference = evaluation.fold_concordances(block) - evaluation.fold_concordances(other)
    difference = difference[np.isfinite(difference)]
    if len(difference) < 2:
        raise InvalidInputError(
            "The corrected interval needs at least two test folds with comparable patients, and leave-one-out has one "
            "patient in each: take scheme='folds', or the bootstrap."
        )
    tested = np.mean([(fold == k).sum() for fold in evaluation.fold for k in range(fold.max() + 1)])
    trained = len(evaluation.outcome) - tested
    error = np.sqrt((1 / len(difference) + tested / trained) * difference.var(ddof=1))
    freedom = len(difference) - 1
    half = stats.t.ppf((1 + level) / 2, freedom) * error
    mean = float(difference.mean())
    p = float(2 * stats.t.sf(abs(mean) / error, freedom)) if error > 0 else float("nan")
    how = f"corrected resampled t (Nadeau and Bengio) over {len(difference)} test folds, {level:.0%}; patients fixed"
    return Score(f"C, {block} - {other}", mean, mean - half, mean + half, how, len(evaluation.outcome),
                 evaluation.outcome.n_events, p)  # fmt: skip


def _draws(evaluation: Evaluation, block: Block, bootstrap: Bootstrap) -> np.ndarray:
    """``(draws,)`` C, mean over the repeats, of each draw."""
    comparable = pairs(evaluation.outcome)
    groups = evaluation.outcome.groups
    kernels = [_kernels(risk, comparable & evaluation.together(r)) for r, risk in enumerate(evaluation.ranked(block))]
    out = []
    for weights in bootstrap.weights(groups):
        top = np.array([((weights @ wins) * weights).sum(1) for wins, _ in kernels])
        bottom = np.array([((weights @ possible) * weights).sum(1) for _, possible in kernels])
        ratio = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
        out.append(ratio.mean(0))
    return np.concatenate(out)


def _kernels(risk: np.ndarray, comparable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(n, n)`` concordant and comparable pairs as numbers."""
    known = np.nan_to_num(risk)
    scale = 1e-10 * np.abs(known).max(initial=0.0)
    difference = known[:, None] - known[None, :]
    wins = (difference > scale) + 0.5 * (np.abs(difference) <= scale)
    return wins * comparable, comparable.astype(float)
