"""The mistake, for teaching: selection on all patients, cross-validation afterwards.

Many published radiomics models were validated like this: features are harmonised, scaled and selected with the outcome
of everybody in view, then a model on the chosen features is cross-validated. The result looks excellent on pure noise
(C. Ambroise, G. McLachlan, 2002, 10.1073/pnas.102102699; A. Demircioglu, 2021, 10.1186/s13244-021-01115-1). It is here
so that a simulation can show the size of the lie; it is exported from no package and marks its result as leaky.
"""

from __future__ import annotations

from manabi.context import Context
from manabi.radiomics.cohort.design import FeatureChain
from manabi.radiomics.cohort.evaluation import Evaluation
from manabi.radiomics.cohort.parallel import run_tasks
from manabi.radiomics.cohort.plan import Plan
from manabi.radiomics.cohort.table import Cohort
from manabi.radiomics.cohort.validate import (
    Answer,
    Job,
    Task,
    all_tasks,
    gather,
    make_job,
    outcome_of,
    splits_of,
    train_and_predict,
)

LEAKY = ("NOT AN ESTIMATE OF PERFORMANCE: features were selected on all patients, the test patients among them, before "
         "the cross-validation. For teaching only.")  # fmt: skip


def leaky_evaluate(
    cohort: Cohort, plan: Plan, context: Context | None = None, workers: int | None = None
) -> Evaluation:
    """As :func:`manabi.radiomics.cohort.evaluate`, wrongly: preparation and selection see every patient's outcome.

    Args:
        cohort: with an outcome.
        plan: what to do.
        context: progress, cancellation and warnings.
        workers: processes.

    Returns:
        An evaluation with ``leaky=True`` and a warning that says what it is.
    """
    context = context or Context()
    context.warn(LEAKY)
    job = make_job(cohort, plan, context)
    answers = run_tasks(leaky_answer, job, list(all_tasks(job)), context, workers)
    return gather(job, answers, context, leaky=True)


def leaky_answer(job: Job, task: Task) -> Answer:
    """A task whose features were prepared and selected on the training and the test rows together."""
    cohort = outcome_of(job, task.permutation)
    chain = FeatureChain.fit(cohort, job.plan.preparation) if cohort.feature_names else None
    split = splits_of(job, task.permutation, task.repeat)[task.fold]
    return train_and_predict(job, task, cohort, split, chain)
