"""What a validation found: out-of-fold predictions, what was selected and tuned, the null, and intervals of C.

Nothing here names a patient: rows are numbers, in the order of the cohort.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from manabi.radiomics.cohort.association import concordance_counts, pairs
from manabi.radiomics.cohort.plan import Block, Plan
from manabi.radiomics.cohort.scores_data import Followup, Predicted
from manabi.radiomics.cohort.table import Cohort


@dataclass(frozen=True, eq=False)
class FoldModel:
    """What one training set led to in one block.

    Attributes:
        repeat: of the validation.
        fold: test fold.
        selected: columns with an influence.
        features: of them the radiomic features.
        tuned: chosen values.
        median: median risk of the training rows: the threshold of the median split.
    """

    repeat: int
    fold: int
    selected: tuple[str, ...]
    features: tuple[str, ...]
    tuned: Mapping[str, float]
    median: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Out-of-fold predictions of all blocks, and what belongs to them.

    Attributes:
        plan: what was done.
        outcome: the cohort's rows with their outcome only (no features, no clinical data, no names: rows of one
            patient share a number).
        blocks: in order.
        risk: by block ``(repeats, n)``, higher is worse; NaN for rows that were not tested in a repeat (hold-out).
        fold: ``(repeats, n)`` test fold, -1 where not tested.
        threshold: by block ``(repeats, n)`` median risk of the training rows of the model that predicted the row.
        times_days: ``(times,)`` grid of predicted survival; empty for labels.
        survival: by block ``(repeats, n, times)``.
        probability: by block ``(repeats, n, levels)``; empty for survival.
        models: by block, one for each training set.
        null: by block ``(permutations,)`` C with the outcome permuted and everything done anew.
        n_features: candidate radiomic features.
        warnings: what the reader must know.
        leaky: True where selection saw the test patients (only from ``leaky``): not an estimate of anything.
    """

    plan: Plan
    outcome: Cohort
    blocks: tuple[Block, ...]
    risk: Mapping[Block, np.ndarray]
    fold: np.ndarray
    threshold: Mapping[Block, np.ndarray]
    times_days: np.ndarray
    survival: Mapping[Block, np.ndarray]
    probability: Mapping[Block, np.ndarray]
    models: Mapping[Block, tuple[FoldModel, ...]]
    null: Mapping[Block, np.ndarray] = field(default_factory=dict)
    n_features: int = 0
    warnings: tuple[str, ...] = ()
    leaky: bool = False

    def concordance(self, block: Block) -> float:
        """C (AUC for two labels): mean over the repeats.

        Within a repeat, patients of one fold are compared with each other and the folds' pairs are added up, since
        risks of two models are on two scales; leave-one-out has one test patient a fold and must compare across, see
        :meth:`ranked`.
        """
        return float(np.nanmean(self.concordances(block)))

    def concordances(self, block: Block) -> np.ndarray:
        """``(repeats,)`` C of each repeat."""
        comparable = pairs(self.outcome)
        out = []
        for repeat, risk in enumerate(self.ranked(block)):
            counts, total = concordance_counts(np.nan_to_num(risk)[:, None], comparable & self.together(repeat))
            out.append(counts[0] / total if total else np.nan)
        return np.array(out)

    def ranked(self, block: Block) -> np.ndarray:
        """``(repeats, n)`` risks as they are compared by rank.

        In leave-one-out each risk is taken against the training median of its own model: without the case, the share
        of cases in training is lower, so that an empty model of a label would give every case the lower risk, and an
        AUC of 0 where there is nothing to find (A. Airola and others, 2011, 10.1016/j.csda.2010.11.018, on pooling).
        """
        return self.risk[block] - self.threshold[block] if self.plan.scheme == "loo" else self.risk[block]

    def fold_concordances(self, block: Block) -> np.ndarray:
        """``(repeats x folds,)`` C of each test fold; NaN where a fold has no comparable pair (as in leave-one-out)."""
        comparable, out = pairs(self.outcome), []
        for risk, fold in zip(self.risk[block], self.fold, strict=True):
            for k in range(fold.max() + 1):
                rows = np.flatnonzero(fold == k)
                counts, total = concordance_counts(risk[rows][:, None], comparable[np.ix_(rows, rows)])
                out.append(counts[0] / total if total else np.nan)
        return np.array(out)

    def together(self, repeat: int) -> np.ndarray:
        """``(n, n)`` True for rows whose risks may be compared in a repeat."""
        fold = self.fold[repeat]
        tested = fold >= 0
        inside = tested[:, None] & tested[None, :]
        return inside if self.plan.scheme == "loo" else inside & (fold[:, None] == fold[None, :])

    def high_risk(self, block: Block) -> np.ndarray:
        """``(repeats, n)`` True above the training median of the model that predicted the row."""
        return self.risk[block] > self.threshold[block]

    def p_value(self, block: Block) -> float:
        """Share of permutations with at least this C, the data themselves counted in; NaN without permutations.

        The null has one repeat each and so varies more than the mean over the repeats: the p is, if anything, too
        large. Source: B. Phipson, G. Smyth, 2010, 10.2202/1544-6115.1585.
        """
        null = self.null.get(block, np.empty(0))
        null = null[np.isfinite(null)]
        if not len(null):
            return float("nan")
        return float((1 + (null >= self.concordance(block) - 1e-12).sum()) / (1 + len(null)))

    def frequency(self, block: Block) -> dict[str, float]:
        """Share of the training sets in which each column was selected, most frequent first."""
        counts = Counter(name for model in self.models[block] for name in model.selected)
        return {name: count / len(self.models[block]) for name, count in counts.most_common()}

    def selection_stability(self, block: Block) -> float:
        """Agreement of the selected radiomic features over the training sets: 1 always the same, 0 as by chance.

        NaN where there is nothing to choose from, or nothing was ever chosen. Source: S. Nogueira, K. Sechidis, G.
        Brown, "On the stability of feature selection algorithms", 2018, JMLR 18(174), equation 4.
        """
        sets = [model.features for model in self.models[block]]
        m, pool = len(sets), self.n_features
        mean = np.mean([len(chosen) for chosen in sets])
        if m < 2 or mean in (0, pool):
            return float("nan")
        share = np.array(list(Counter(name for chosen in sets for name in chosen).values())) / m
        variance = (m / (m - 1) * share * (1 - share)).sum() / pool
        return float(1 - variance / (mean / pool * (1 - mean / pool)))

    def followup(self) -> Followup:
        """The outcome for the scores of survival, in days."""
        outcome = self.outcome
        return Followup(np.asarray(outcome.time_days), np.asarray(outcome.event), outcome.groups, "days")

    def predicted(self, block: Block) -> Predicted:
        """The predictions for the scores of survival; for validations that test every row in every repeat."""
        fold = None if self.plan.scheme == "loo" else self.fold
        return Predicted(self.risk[block], self.survival[block], self.times_days, fold, self.ranked(block))
