"""The final model: the same procedure as in the validation, once, on all patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.design import Design, available
from manabi.radiomics.cohort.frozen import FittedModel
from manabi.radiomics.cohort.outside import Reference
from manabi.radiomics.cohort.plan import Block, Plan
from manabi.radiomics.cohort.table import Cohort
from manabi.radiomics.cohort.table_checks import check_enough

if TYPE_CHECKING:
    from manabi.radiomics.cohort.tune import Trained


def fit(cohort: Cohort, plan: Plan, block: Block, context: Context | None = None) -> FittedModel:
    """Prepare, tune and fit one block on the whole cohort.

    How good it is, only :func:`evaluate` can say: the cohort's own risks under this model look better than they are.

    Args:
        cohort: with an outcome.
        plan: the one that was validated.
        block: of the plan.
        context: cancellation and warnings.

    Raises:
        InvalidInputError: too few events, or no data for the block.
    """
    from threadpoolctl import threadpool_limits

    from manabi.radiomics.cohort.tune import train_blocks

    context = context or Context()
    check_enough(cohort)
    if not available(cohort, block):
        raise InvalidInputError(f"The cohort has no data for the block {block!r}.")
    context.progress(0.0, f"fitting the {block} model")
    with threadpool_limits(1):
        seed = int(np.random.SeedSequence([plan.seed, 5]).generate_state(1)[0])
        trained = train_blocks(cohort, plan, [block], seed)[block]
    if not trained.selected:
        context.warn("The model found nothing to go by: it predicts the same for everybody.")
    return frozen(cohort, plan, block, trained)


def frozen(cohort: Cohort, plan: Plan, block: Block, trained: Trained) -> FittedModel:
    """A trained block as plain numbers, without the features that have no influence."""
    design, kept = pruned(trained.design, trained.predictor.used)
    times, survival = kaplan_meier(cohort)
    return FittedModel(
        block=block,
        kind=cohort.kind,
        model=plan.model_of(block),
        levels=cohort.label_levels,
        design=design,
        predictor=trained.predictor.take(kept),
        reference=Reference.fit(design.matrix(cohort.blind()), design.columns),
        risks=np.quantile(trained.training_risk, np.linspace(0, 1, 101)),
        baseline_times=times,
        baseline_survival=survival,
        tuned=dict(trained.tuned),
        about={"rows": len(cohort), "patients": cohort.n_patients, "events": cohort.n_events,
               "features": len(cohort.feature_names), "plan": plan.to_dict()},
    )  # fmt: skip


def pruned(design: Design, used: np.ndarray) -> tuple[Design, np.ndarray]:
    """The design without radiomic features that have no influence, and the columns that are left."""
    fixed = np.arange(design.fixed)
    features = used[used >= design.fixed]
    return design.only_features(features - design.fixed), np.concatenate([fixed, features]).astype(int)


def kaplan_meier(cohort: Cohort) -> tuple[np.ndarray, np.ndarray]:
    """The cohort's survival, for a patient's predicted curve to be seen against; empty for labels."""
    if cohort.time_days is None:
        return np.empty(0), np.empty(0)
    from sksurv.nonparametric import kaplan_meier_estimator

    times, survival = kaplan_meier_estimator(cohort.event, cohort.time_days)
    return np.asarray(times, float), np.asarray(survival, float)
