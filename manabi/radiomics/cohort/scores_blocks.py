"""Clinical, volume, radiomics and combined side by side: every score of every block, and what one adds to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.scores import COLUMNS, Bootstrap, Score, Statistic, difference, score, scores_table
from manabi.radiomics.cohort.scores_brier import brier_at, integrated_brier, scaled_brier
from manabi.radiomics.cohort.scores_data import Followup, Predicted
from manabi.radiomics.cohort.scores_labels import auc, balanced_accuracy, brier, delong, scaled_label_brier
from manabi.radiomics.cohort.scores_pairs import auc_at, harrell, uno
from manabi.result import Table

CONTRASTS = (("combined", "clinical"), ("combined", "volume"), ("radiomics", "volume"))
"""What is compared where both blocks are there: first minus second (our choice)."""


@dataclass(frozen=True)
class BlockScores:
    """Scores of each block, and paired differences between blocks.

    Attributes:
        blocks: scores by block, in the order given.
        differences: ``first - second`` of each contrast and score.
    """

    blocks: dict[str, tuple[Score, ...]]
    differences: tuple[Score, ...]

    def table(self) -> Table:
        """A row per block and score, the differences last."""
        rows = [
            (block, *row) for block, scores in self.blocks.items() for row in scores_table(scores).rows
        ]  # fmt: skip
        rows += [("difference", *row) for row in scores_table(self.differences).rows]
        return Table(("block", *COLUMNS), tuple(rows))

    def of(self, block: str, name: str) -> Score:
        """One score of one block.

        Raises:
            InvalidInputError: where there is none of that name.
        """
        for one in self.blocks.get(block, ()):
            if one.name == name:
                return one
        raise InvalidInputError(f"No score {name!r} of a block {block!r}; there are {list(self.blocks)}.")


def score_survival(
    follow: Followup,
    blocks: Mapping[str, Predicted],
    times: Sequence[float] | None = None,
    training: Followup | None = None,
    reference: np.ndarray | None = None,
    bootstrap: Bootstrap | None = None,
    contrasts: Sequence[tuple[str, str]] = CONTRASTS,
) -> BlockScores:
    """Harrell and Uno C, AUC and Brier at times, IBS and scaled IBS of every block, and the paired differences.

    Args:
        follow: who is scored.
        blocks: predictions by name of the block; all of the same rows.
        times: for AUC and Brier; None for 1, 2, 3 and 5 years.
        training: whose censoring and Kaplan-Meier curve are used; None for ``follow`` itself.
        reference: Kaplan-Meier survival of each fold's training patients, see :func:`scaled_brier`.
        bootstrap: how intervals are made.
        contrasts: pairs of blocks; those of which one is absent are left out.

    Raises:
        InvalidInputError: where the predictions are of another number of rows.
    """
    at = tuple(follow.default_times() if times is None else times)
    statistics = {
        name: list(_survival_statistics(follow, one, at, training, reference)) for name, one in blocks.items()
    }  # fmt: skip
    return _scored(statistics, bootstrap or Bootstrap(), contrasts)


def _survival_statistics(
    follow: Followup, predicted: Predicted, times: Sequence[float], training: Followup | None,
    reference: np.ndarray | None,
) -> Iterator[Statistic]:  # fmt: skip
    yield harrell(follow, predicted)
    yield uno(follow, predicted, training)
    yield from (auc_at(follow, predicted, t, training) for t in times)
    if predicted.survival is not None:
        yield from (brier_at(follow, predicted, t, training) for t in times)
        yield integrated_brier(follow, predicted, training)
        yield scaled_brier(follow, predicted, training, reference)


def score_labels(
    label: np.ndarray, blocks: Mapping[str, Predicted], groups: np.ndarray | None = None, threshold: float = 0.5,
    bootstrap: Bootstrap | None = None, contrasts: Sequence[tuple[str, str]] = CONTRASTS,
) -> BlockScores:  # fmt: skip
    """AUC (DeLong where it holds), balanced accuracy, Brier and scaled Brier of every block, and the differences.

    Args:
        label: ``(n,)`` 0 or 1.
        blocks: predicted probabilities by name of the block.
        groups: patients.
        threshold: of the balanced accuracy, fixed beforehand.
        bootstrap: how the other intervals are made.
        contrasts: pairs of blocks; those of which one is absent are left out.

    Raises:
        InvalidInputError: where labels are not 0 and 1, or predictions are no probabilities of those rows.
    """
    bootstrap = bootstrap or Bootstrap()
    statistics = {
        name: [auc(label, one, groups), balanced_accuracy(label, one, threshold, groups), brier(label, one, groups),
               scaled_label_brier(label, one, groups)]
        for name, one in blocks.items()
    }  # fmt: skip
    scored = _scored(statistics, bootstrap, contrasts)
    exact = {
        name: (delong(label, blocks[name], groups, bootstrap.level), *scores[1:])
        for name, scores in scored.blocks.items()
    }
    return BlockScores(exact, scored.differences)


def _scored(
    statistics: Mapping[str, Sequence[Statistic]], bootstrap: Bootstrap, contrasts: Sequence[tuple[str, str]]
) -> BlockScores:
    blocks = {name: tuple(score(one, bootstrap) for one in ones) for name, ones in statistics.items()}
    differences = []
    for first, second in contrasts:
        if first in statistics and second in statistics:
            others = {one.name: one for one in statistics[second]}
            differences += [
                difference(f"{first} - {second}: {one.name}", one, others[one.name], bootstrap)
                for one in statistics[first]
                if one.name in others
            ]
    return BlockScores(blocks, tuple(differences))
