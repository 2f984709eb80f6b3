"""Validation: every training set is prepared, tuned and fitted by itself, and predicts patients it has never seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.design import FeatureChain, available
from manabi.radiomics.cohort.evaluation import Evaluation, FoldModel
from manabi.radiomics.cohort.parallel import run_tasks
from manabi.radiomics.cohort.plan import Block, Plan
from manabi.radiomics.cohort.splits import Split, outer_splits
from manabi.radiomics.cohort.table import Cohort
from manabi.radiomics.cohort.table_checks import check_enough


@dataclass(frozen=True)
class Task:
    """One outer training set.

    Attributes:
        permutation: -1 for the data as they are, else which permutation of the outcome.
        repeat: of the validation.
        fold: index of the split.
    """

    permutation: int
    repeat: int
    fold: int


@dataclass(frozen=True, eq=False)
class Job:
    """What all tasks share."""

    cohort: Cohort
    plan: Plan
    blocks: tuple[Block, ...]
    times_days: np.ndarray


@dataclass(frozen=True, eq=False)
class BlockAnswer:
    """What one block predicts for the test rows of a task."""

    model: FoldModel
    risk: np.ndarray
    survival: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a task."""

    task: Task
    test: np.ndarray
    blocks: dict[Block, BlockAnswer]
    warnings: tuple[str, ...]


def evaluate(cohort: Cohort, plan: Plan, context: Context | None = None, workers: int | None = None) -> Evaluation:
    """Validate a plan on a cohort.

    The numbers depend on the cohort, the plan and its seed, not on the number of processes.

    Args:
        cohort: with an outcome.
        plan: what to do.
        context: progress, cancellation and warnings.
        workers: processes; None for as many as there are processors.

    Raises:
        InvalidInputError: too few events or patients, or no block with data.
        CancelledError: on request.
    """
    context = context or Context()
    job = make_job(cohort, plan, context)
    tasks = list(all_tasks(job))
    answers = run_tasks(answer, job, tasks, context, workers)
    return gather(job, answers, context)


def make_job(cohort: Cohort, plan: Plan, context: Context) -> Job:
    """Check the cohort, and leave out the blocks it has no data for."""
    check_enough(cohort)
    blocks = tuple(block for block in plan.blocks if available(cohort, block))
    for block in plan.blocks:
        if block not in blocks:
            context.warn(f"No {block} model: the cohort has no data for it.")
    if not blocks:
        raise InvalidInputError("The cohort has no data for any block of the plan: features, clinical data or volume.")
    advise(cohort, plan, context)
    return Job(cohort, plan, blocks, time_grid(cohort, plan))


def advise(cohort: Cohort, plan: Plan, context: Context) -> None:
    """Say what limits the numbers that will come."""
    if plan.scheme == "loo":
        context.warn("Leave-one-out compares risks of different models and has no interval over folds; prefer folds.")
    if len(cohort) > cohort.n_patients:
        context.warn(f"{len(cohort)} tumours of {cohort.n_patients} patients: rows of one patient were kept together.")
    if cohort.n_events < 50:
        context.warn(f"Only {cohort.n_events} events: intervals will be wide, and tuning and selection unstable.")
    if cohort.centre is not None and len(set(cohort.centre)) > 1 and plan.n_permutations:
        context.warn("Outcomes were permuted within centres.")


def time_grid(cohort: Cohort, plan: Plan) -> np.ndarray:
    """Times at which survival is predicted: even steps up to when a tenth of the rows is still followed."""
    if cohort.time_days is None:
        return np.empty(0)
    return np.linspace(0, float(np.quantile(cohort.time_days, 0.9)), plan.n_times + 1)[1:]


def all_tasks(job: Job) -> Iterator[Task]:
    """Tasks of the validation, then those of the permutations (one repeat each)."""
    for permutation in range(-1, job.plan.n_permutations):
        for repeat in range(job.plan.n_repeats if permutation < 0 else 1):
            for fold in range(len(splits_of(job, permutation, repeat))):
                yield Task(permutation, repeat, fold)


def outcome_of(job: Job, permutation: int) -> Cohort:
    """The cohort, or the cohort with its outcome permuted among patients (within centres)."""
    if permutation < 0:
        return job.cohort
    rng = np.random.default_rng([job.plan.seed, 3, permutation])
    cohort = job.cohort
    centre = np.zeros(len(cohort), int)
    if cohort.centre is not None:
        centre = np.unique(cohort.centre, return_inverse=True)[1]
    return cohort.with_outcome_of(permuted_rows(cohort.groups, centre, rng))


def permuted_rows(groups: np.ndarray, centre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each row the row whose outcome it gets: patients of a centre with as many rows exchange theirs whole."""
    out = np.arange(len(groups))
    rows = [np.flatnonzero(groups == g) for g in range(groups.max() + 1)]
    kinds = [(int(centre[r[0]]), len(r)) for r in rows]
    for kind in sorted(set(kinds)):
        members = [g for g, k in enumerate(kinds) if k == kind]
        for g, other in zip(members, rng.permutation(members), strict=True):
            out[rows[g]] = rows[other]
    return out


def splits_of(job: Job, permutation: int, repeat: int) -> list[Split]:
    """Outer splits of a repeat."""
    plan = job.plan if permutation < 0 else replace(job.plan, seed=job.plan.seed + 1 + permutation)
    return outer_splits(outcome_of(job, permutation), plan, repeat)


def answer(job: Job, task: Task) -> Answer:
    """Train on the training rows of a task, and predict its test rows blind."""
    cohort = outcome_of(job, task.permutation)
    split = splits_of(job, task.permutation, task.repeat)[task.fold]
    return train_and_predict(job, task, cohort, split)


def train_and_predict(job: Job, task: Task, cohort: Cohort, split: Split, chain: FeatureChain | None = None) -> Answer:
    """One training set to out-of-fold predictions.

    Args:
        job: the plan and the blocks.
        task: which training set.
        cohort: all rows.
        split: training and test rows.
        chain: None, but for ``leaky``.
    """
    from manabi.radiomics.cohort.tune import train_blocks

    seed = int(np.random.SeedSequence([job.plan.seed, 4, task.permutation + 1, task.repeat, task.fold])
               .generate_state(1)[0])  # fmt: skip
    trained = train_blocks(cohort.take(split.train), job.plan, job.blocks, seed, chain)
    test, warnings, parts = cohort.take(split.test).blind(), list[str](), {}
    for block, model in trained.items():
        x = model.design.matrix(test, warnings.append)
        found = FoldModel(
            task.repeat, task.fold, model.selected, model.features, model.tuned, float(np.median(model.training_risk))
        )
        survival = model.predictor.survival(x, job.times_days)
        parts[block] = BlockAnswer(found, model.predictor.risk(x), survival, model.predictor.probability(x))
    return Answer(task, split.test, parts, tuple(dict.fromkeys(warnings)))


def gather(job: Job, answers: Sequence[Answer], context: Context, leaky: bool = False) -> Evaluation:
    """Put the answers together, in an order that does not depend on who was ready first."""
    ordered = sorted(answers, key=lambda a: (a.task.permutation, a.task.repeat, a.task.fold))
    real = [a for a in ordered if a.task.permutation < 0]
    if lost := sum(bool(a.warnings) for a in real):
        context.warn(f"In {lost} of {len(real)} folds: {next(a.warnings[0] for a in real if a.warnings)}")
    evaluation = _assemble(job, real)
    null = {block: np.empty(0) for block in job.blocks}
    if job.plan.n_permutations:
        each = [_null(job, ordered, k) for k in range(job.plan.n_permutations)]
        null = {block: np.array([one[block] for one in each]) for block in job.blocks}
    return replace(evaluation, null=null, warnings=tuple(context.warnings), leaky=leaky)


def _null(job: Job, ordered: Sequence[Answer], permutation: int) -> dict[Block, float]:
    part = _assemble(job, [a for a in ordered if a.task.permutation == permutation], permutation)
    return {block: part.concordance(block) for block in job.blocks}


def _assemble(job: Job, answers: Sequence[Answer], permutation: int = -1) -> Evaluation:
    cohort, repeats = outcome_of(job, permutation), 1 + max(a.task.repeat for a in answers)
    fold = np.full((repeats, len(cohort)), -1)
    shapes = {"risk": (), "threshold": (), "survival": (len(job.times_days),),
              "probability": (len(cohort.label_levels),)}  # fmt: skip
    arrays: dict[str, Any] = {name: {b: np.full((repeats, len(cohort), *tail), np.nan) for b in job.blocks}
              for name, tail in shapes.items()}  # fmt: skip
    models: dict[Block, list[FoldModel]] = {block: [] for block in job.blocks}
    for a in answers:
        place = (a.task.repeat, a.test)
        fold[place] = a.task.fold
        for block, part in a.blocks.items():
            for name in ("risk", "survival", "probability"):
                arrays[name][block][place] = getattr(part, name)
            arrays["threshold"][block][place] = part.model.median
            models[block].append(part.model)
    return Evaluation(
        plan=job.plan, outcome=_anonymous(cohort), blocks=job.blocks, fold=fold, times_days=job.times_days,
        models={block: tuple(found) for block, found in models.items()}, n_features=len(cohort.feature_names),
        **arrays,
    )  # fmt: skip


def _anonymous(cohort: Cohort) -> Cohort:
    """Outcome only, with numbers for patients."""
    return Cohort(patients=tuple(str(g) for g in cohort.groups), time_days=cohort.time_days, event=cohort.event,
                  label=cohort.label, label_levels=cohort.label_levels)  # fmt: skip
