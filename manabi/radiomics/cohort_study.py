"""A cohort validated and fitted: all blocks side by side, what they add to each other, the null, the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics.cohort import Cohort, Evaluation, FittedModel, Plan, evaluate, fit
from manabi.radiomics.cohort.calibration import calibrate
from manabi.radiomics.cohort.calibration_labels import calibrate_labels
from manabi.radiomics.cohort.calibration_parts import Calibration
from manabi.radiomics.cohort.decision import DecisionCurve, decide_labels, decide_survival
from manabi.radiomics.cohort.groups import Split, split_by_risk
from manabi.radiomics.cohort.groups_volume import VolumeEffect, volume_effects
from manabi.radiomics.cohort.plan import Block
from manabi.radiomics.cohort.scores import Bootstrap, Score, score
from manabi.radiomics.cohort.scores_blocks import BlockScores, score_labels, score_survival
from manabi.radiomics.cohort.scores_data import Followup, Predicted
from manabi.radiomics.cohort.scores_pairs import ordinal
from manabi.radiomics.predict import DAYS_PER_YEAR, YEARS

CONTRASTS = (("combined", "clinical"), ("combined", "volume"), ("radiomics", "volume"), ("radiomics", "clinical"))
MOST_FEATURES = 12
"""Selected features whose relation to volume is shown (our choice)."""
RISK = "out-of-fold radiomic risk"
"""Name of the risk among the effects beside volume."""
NO_P = "groups of a cross-validation: no p, and intervals are too narrow"
"""Said of the tests between risk groups."""
NAMES = {"survival": "Harrell C", "binary": "AUC", "ordinal": "ordinal C"}
"""Score of discrimination of each kind of outcome."""


@dataclass(frozen=True, eq=False)
class Study:
    """What was found in a cohort.

    Attributes:
        cohort: the patients.
        plan: what was done.
        evaluation: out-of-fold predictions.
        scores: of every block, and differences between blocks.
        calibration: of the bundle's block; None where it cannot be had.
        decision: net benefit of all blocks; None for more than two labels.
        split: risk groups by out-of-fold risk; None for labels.
        effects: of the steadiest features and of the risk beside volume; empty without volumes or for labels.
        fitted: the model on all patients.
        block: of the model.
        horizon_years: of calibration and decision curve; 0 for labels.
    """

    cohort: Cohort
    plan: Plan
    evaluation: Evaluation
    scores: BlockScores
    calibration: Calibration | None
    decision: DecisionCurve | None
    split: Split | None
    effects: tuple[VolumeEffect, ...]
    fitted: FittedModel
    block: Block
    horizon_years: float

    @property
    def main_score(self) -> str:
        """Name of the score of discrimination."""
        return NAMES[self.cohort.kind]

    def concordance(self, block: str) -> Score:
        """Discrimination of a block out of fold."""
        return self.scores.of(block, self.main_score)

    def difference(self, first: str, second: str) -> Score | None:
        """What ``first`` discriminates better than ``second``; None where they were not compared."""
        wanted = f"{first} - {second}: {self.main_score}"
        return next((one for one in self.scores.differences if one.name == wanted), None)


def study(
    cohort: Cohort, plan: Plan, block: Block, context: Context | None = None, workers: int | None = None,
    draws: int = 1000,
) -> Study:  # fmt: skip
    """Validate every block of a plan, and fit one of them on all patients.

    Args:
        cohort: with an outcome.
        plan: what to do.
        block: to fit; where the cohort has no data for it, the last of those that it has data for.
        context: progress, cancellation, warnings.
        workers: processes.
        draws: of the bootstrap for intervals.

    Raises:
        InvalidInputError: too few patients or events, no data, or a hold-out, which leaves patients unscored.
        CancelledError: on request.
    """
    context = context or Context()
    if plan.scheme == "holdout":
        raise InvalidInputError("A study scores every patient in every repeat. Take scheme='folds' or 'loo'.")
    with context.span(0.0, 0.7):
        evaluation = evaluate(cohort, plan, context, workers)
    if block not in evaluation.blocks:
        context.warn(f"The cohort has no data for the block {block}; {evaluation.blocks[-1]} was fitted instead.")
        block = evaluation.blocks[-1]
    context.progress(0.72, "Scoring the blocks")
    predicted, bootstrap = predictions(evaluation), Bootstrap(draws)
    scores = _scores(evaluation, predicted, bootstrap)
    context.progress(0.82, "Calibration and risk groups")
    horizon = horizon_of(evaluation)
    calibration, decision = _beyond(evaluation, predicted, block, horizon)
    with context.span(0.88, 0.95):
        fitted = fit(cohort, plan, block, context)
    context.progress(0.96, "Beside the volume")
    return Study(
        cohort, plan, evaluation, scores, calibration, decision, _split(evaluation, block),
        _effects(cohort, evaluation),
        fitted, block, horizon,
    )  # fmt: skip


def followup(evaluation: Evaluation) -> Followup:
    """The outcome in years."""
    outcome = evaluation.outcome
    return Followup(np.asarray(outcome.time_days) / DAYS_PER_YEAR, np.asarray(outcome.event), outcome.groups, "years")


def predictions(evaluation: Evaluation) -> dict[str, Predicted]:
    """Out-of-fold predictions of each block for the scores, times in years."""
    fold = None if evaluation.plan.scheme == "loo" else evaluation.fold
    found: dict[str, Predicted] = {}
    for block in evaluation.blocks:
        ranks = evaluation.ranked(block) if fold is None else None
        if evaluation.outcome.kind == "survival":
            survival, times = _known_part(evaluation.survival[block], evaluation.times_days / DAYS_PER_YEAR)
            found[block] = Predicted(evaluation.risk[block], survival, times, fold, ranks)
        elif evaluation.outcome.kind == "binary":
            found[block] = Predicted(evaluation.probability[block][:, :, 1], folds=fold, ranks=ranks)
        else:
            found[block] = Predicted(evaluation.risk[block], folds=fold, ranks=ranks)
    return found


def _known_part(survival: np.ndarray, times: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Times at which every fold could predict survival; none where there is no such time."""
    known = np.isfinite(survival).all(axis=(0, 1))
    if not known.any():
        return None, None
    return np.clip(survival[:, :, known], 0.0, 1.0), times[known]


def _scores(evaluation: Evaluation, predicted: Mapping[str, Predicted], bootstrap: Bootstrap) -> BlockScores:
    """Scores of each kind of outcome."""
    outcome = evaluation.outcome
    if outcome.kind == "survival":
        last = float(evaluation.times_days[-1]) / DAYS_PER_YEAR
        times = [year for year in YEARS if year <= last] or [last]
        return score_survival(followup(evaluation), predicted, times, bootstrap=bootstrap, contrasts=CONTRASTS)
    label = np.asarray(outcome.label)
    if outcome.kind == "binary":
        return score_labels(label, predicted, outcome.groups, bootstrap=bootstrap, contrasts=CONTRASTS)
    blocks: dict[str, tuple[Score, ...]] = {
        name: (score(ordinal(label, one, outcome.groups), bootstrap),) for name, one in predicted.items()
    }
    return BlockScores(blocks, ())


def horizon_of(evaluation: Evaluation) -> float:
    """The latest of 1, 2, 3 and 5 years that survival was predicted for, or the end of the predictions."""
    if evaluation.outcome.kind != "survival":
        return 0.0
    last = float(evaluation.times_days[-1]) / DAYS_PER_YEAR
    return max([year for year in YEARS if year <= last], default=last)


def _beyond(
    evaluation: Evaluation, predicted: Mapping[str, Predicted], block: Block, horizon: float
) -> tuple[Calibration | None, DecisionCurve | None]:
    """Calibration of the block and net benefit of all."""
    outcome = evaluation.outcome
    if outcome.kind == "survival":
        follow = followup(evaluation)
        if any(one.survival_at(horizon) is None for one in predicted.values()):
            return None, None
        return calibrate(follow, predicted[block], horizon), decide_survival(follow, predicted, horizon)
    if outcome.kind == "binary":
        label = np.asarray(outcome.label)
        return calibrate_labels(label, predicted[block], outcome.groups), decide_labels(
            label, predicted, outcome.groups
        )
    return None, None


def _split(evaluation: Evaluation, block: Block) -> Split | None:
    """Risk groups: high where most of the repeats' models put a row above their own training median.

    Their tests get no p: each row's group was made by models fitted on the other rows' outcomes, so that rows are not
    independent: in 103 simulated cohorts with nothing to find 15 log-rank p were below .05, not 5 (R. Simon
    and others, 2011, 10.1093/bib/bbr001). What counts is the permutation of the whole procedure.
    """
    if evaluation.outcome.kind != "survival":
        return None
    share = np.nanmean(np.where(evaluation.fold >= 0, evaluation.high_risk(block), np.nan), axis=0)
    found = split_by_risk(followup(evaluation), share, 0.5)
    return replace(
        found, ratio=_no_p(found.ratio), log_rank=_no_p(found.log_rank), rmst_gain=_no_p(found.rmst_gain)
    )  # fmt: skip


def _no_p(one: Score) -> Score:
    """A comparison of groups that a cross-validation made: its interval is too narrow, and its p none."""
    reason = one.reason or ("" if np.isfinite(one.low) else NO_P)
    return replace(one, p=float("nan"), how=f"{one.how}; {NO_P}", reason=reason)


def _effects(cohort: Cohort, evaluation: Evaluation) -> tuple[VolumeEffect, ...]:
    """The steadiest features, and the radiomic risk, beside log volume."""
    block = "combined" if "combined" in evaluation.blocks else "radiomics"
    if cohort.kind != "survival" or cohort.volume_ml is None or block not in evaluation.blocks:
        return ()
    names = [n for n in evaluation.frequency(block) if n in cohort.feature_names][:MOST_FEATURES]
    values = np.array(cohort.features[:, cohort.columns_of(names)])
    medians = np.nanmedian(values, axis=0) if len(names) else np.empty(0)
    values = np.where(np.isfinite(values), values, medians)
    if "radiomics" in evaluation.blocks:
        values = np.column_stack([values, np.nanmean(evaluation.risk["radiomics"], axis=0)])
        names = [*names, RISK]
    known = np.isfinite(cohort.volume_ml)
    if known.sum() < 10 or not names:
        return ()
    follow = followup(evaluation).take(np.flatnonzero(known))
    return volume_effects(follow, values[known], names, cohort.volume_ml[known])
