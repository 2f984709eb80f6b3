"""One training set, all blocks: prepare, tune by inner cross-validation, fit. The only road to a fitted model.

The rows that come in are training rows, by contract with ``validate`` and ``final``, the only callers. Within the inner
folds every step is fitted anew on the inner training rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manabi.radiomics.cohort.association import concordance_counts, pairs
from manabi.radiomics.cohort.cox import RiskSets, log_partial_likelihood
from manabi.radiomics.cohort.design import Design, FeatureChain
from manabi.radiomics.cohort.models import Candidate, Fitted, Learner, learner
from manabi.radiomics.cohort.plan import Block, Plan
from manabi.radiomics.cohort.predictors import LinearLabel, Predictor
from manabi.radiomics.cohort.splits import Split, inner_splits
from manabi.radiomics.cohort.table import Cohort


@dataclass(frozen=True, eq=False)
class Trained:
    """A tuned and fitted model of one block.

    Attributes:
        design: fitted preparation.
        predictor: fitted model.
        tuned: chosen values.
        training_risk: ``(n,)`` risk of the training rows.
    """

    design: Design
    predictor: Predictor
    tuned: Candidate
    training_risk: np.ndarray

    @property
    def selected(self) -> tuple[str, ...]:
        """Names of the columns that have an influence."""
        return tuple(self.design.columns[k] for k in self.predictor.used)

    @property
    def features(self) -> tuple[str, ...]:
        """Those of them that are radiomic."""
        return tuple(self.design.columns[k] for k in self.predictor.used if k >= self.design.fixed)


def train_blocks(train: Cohort, plan: Plan, blocks: Sequence[Block], seed: int,
                 chain: FeatureChain | None = None) -> dict[Block, Trained]:  # fmt: skip
    """Prepare, tune and fit each block on training rows.

    Args:
        train: training rows with their outcome.
        plan: what to do.
        blocks: to fit.
        seed: of the inner folds and the models.
        chain: None, but for ``leaky``, which shows what a chain fitted on other rows does.
    """
    inner = [_Inner(train, split, plan, blocks, chain) for split in inner_splits(train, plan, seed)]
    shared = _chain(train, plan, blocks, chain)
    return {block: _train(train, Design.fit(train, block, plan.preparation, shared), plan, block, inner, seed)
            for block in blocks}  # fmt: skip


def _chain(rows: Cohort, plan: Plan, blocks: Sequence[Block], given: FeatureChain | None) -> FeatureChain | None:
    """One chain for all blocks that need one."""
    needed = any(block in ("radiomics", "combined") for block in blocks)
    return given or (FeatureChain.fit(rows, plan.preparation) if needed else None)


class _Inner:
    """One inner fold: its training rows, what is fitted on them, and the rows it is judged by."""

    def __init__(self, train: Cohort, split: Split, plan: Plan, blocks: Sequence[Block],
                 given: FeatureChain | None) -> None:  # fmt: skip
        self.split, self.rows = split, train.take(split.train)
        self.chain = _chain(self.rows, plan, blocks, given)
        self.preparation = plan.preparation

    def fits(self, block: Block, model: Learner, candidates: Sequence[Candidate], seed: int,
             everyone: Cohort) -> tuple[list[Fitted | None], np.ndarray]:  # fmt: skip
        """Each candidate fitted on the inner training rows, and the matrix of all (blind) training rows."""
        design = Design.fit(self.rows, block, self.preparation, self.chain)
        x = design.matrix(everyone)
        if x.shape[1] == 0:
            constant = empty(self.rows, design).predictor
            return [Fitted(constant.risk, constant.probability, lambda: constant)] * len(candidates), x
        inside = x[self.split.train]
        wanted = [fitting(candidate, x.shape[1] - design.fixed) for candidate in candidates]
        return model.fit_many(inside, self.rows, design.fixed, wanted, seed), x


def fitting(candidate: Candidate, features: int) -> Candidate:
    """The candidate where an inner fold has fewer features than it asks for."""
    if "features" not in candidate:
        return candidate
    return {**candidate, "features": min(candidate["features"], features)}


def _train(train: Cohort, design: Design, plan: Plan, block: Block, inner: list[_Inner], seed: int) -> Trained:
    x = design.matrix(train.blind())
    if x.shape[1] == 0:
        return empty(train, design)
    model = learner(plan.model_of(block), train.kind)
    candidates = model.candidates(x, train, design.fixed)
    best = candidates[0]
    if len(candidates) > 1:
        scores = _scores(train, plan, block, model, candidates, inner, seed)
        best = candidates[int(np.argmax(scores))]
    fitted = model.fit_many(x, train, design.fixed, [best], seed)[0]
    if fitted is None:
        return empty(train, design)
    predictor = fitted.freeze()
    return Trained(design, predictor, best, predictor.risk(x))


def empty(train: Cohort, design: Design) -> Trained:
    """A model without columns: the same prediction for everybody."""
    from manabi.radiomics.cohort.models import linear_survival

    width = len(design.columns)
    if train.kind == "survival":
        predictor: Predictor = linear_survival(np.zeros(width), np.zeros((len(train), width)), train).freeze()
    else:
        label, above = np.asarray(train.label), len(train.label_levels) - 1
        share = np.array([(label > k).mean() for k in range(above)])
        predictor = LinearLabel(np.zeros((width, above)), np.log(share / (1 - share)))
    return Trained(design, predictor, {}, predictor.risk(np.zeros((len(train), width))))


def _scores(train: Cohort, plan: Plan, block: Block, model: Learner, candidates: list[Candidate],
            inner: list[_Inner], seed: int) -> np.ndarray:  # fmt: skip
    """``(candidates,)`` score of each, higher is better; the first of equals wins, which is the simplest."""
    everyone, total, count = train.blind(), np.zeros(len(candidates)), 0.0
    for part in inner:
        fits, x = part.fits(block, model, candidates, seed, everyone)
        score, weight = judge(fits, x, train, part.split, scoring(plan, block, train))
        total += score
        count += weight
    return np.round(total / max(count, 1.0), 9)


def scoring(plan: Plan, block: Block, train: Cohort) -> str:
    """How candidates are judged."""
    if plan.tuning_score == "concordance":
        return "concordance"
    if train.kind != "survival":
        return "log_loss"
    return "likelihood" if plan.model_of(block) in ("ridge", "elastic_net", "lasso") else "concordance"


def judge(
    fits: Sequence[Fitted | None], x: np.ndarray, train: Cohort, split: Split, how: str
) -> tuple[np.ndarray, float]:
    """Score of each candidate on one inner fold, and its weight.

    ``likelihood``: log partial likelihood of all training rows less that of the rows fitted on (P. Verweij, H. van
    Houwelingen, "Cross-validation in survival analysis", 1993, 10.1002/sim.4780122407). ``log_loss``: log probability
    of the true label. ``concordance``: concordant pairs within the fold.
    """
    if how == "log_loss":
        label = np.asarray(train.label)[split.test]
        rows = np.arange(len(label))
        logs = [-np.inf if f is None else np.log(np.maximum(f.probability(x[split.test])[rows, label], 1e-12)).sum()
                for f in fits]  # fmt: skip
        return np.array(logs), float(len(label))
    risk = np.column_stack([np.zeros(len(x)) if f is None else f.risk(x) for f in fits])
    broken = np.array([f is None for f in fits])
    if how == "concordance":
        score, total = concordance_counts(risk[split.test], pairs(train.take(split.test)))
    else:
        score, total = _gain(risk, train, split), float(np.asarray(train.event)[split.test].sum())
    return np.where(broken, -np.inf, score), total


def _gain(risk: np.ndarray, train: Cohort, split: Split) -> np.ndarray:
    time, event = np.asarray(train.time_days), np.asarray(train.event)
    inside = split.train
    everyone = log_partial_likelihood(risk, RiskSets.of(time, event))
    return everyone - log_partial_likelihood(risk[inside], RiskSets.of(time[inside], event[inside]))
