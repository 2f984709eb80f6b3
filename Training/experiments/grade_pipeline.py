"""Grade from many features, three ways: the usual leak, everything inside the cross-validation, and new patients."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import rankdata

from manabi.errors import InvalidInputError
from manabi.phantoms.tumour import TumourPhantom
from manabi.phantoms.tumour_surrogate import Surrogate
from manabi.radiomics.cohort.association import rank_z
from manabi.radiomics.cohort.final import fit
from manabi.radiomics.cohort.logistic import logistic_paths
from manabi.radiomics.cohort.plan import Plan, Preparation
from manabi.radiomics.cohort.table import Cohort
from manabi.radiomics.cohort.validate import evaluate
from Training.experiments.survival_features import glioma_truth

PENALTIES = (0.05, 0.02, 0.01)
"""Of the lasso, against the mean log loss (our choice)."""
LEVELS = ("III", "IV")


@dataclass(frozen=True, eq=False)
class Job:
    """What all simulations share.

    Attributes:
        surrogate: draws features of both images.
        seed: simulation ``i`` is drawn from ``[seed, i]``.
        primary: patients of grade III and IV to learn from.
        independent: the same of the new patients.
        keep: features that selection keeps; the leaky pipeline also tries twice as many.
        repeats: of the honest cross-validation.
        signal: whether features know the grade; otherwise grades are shuffled.
    """

    surrogate: Surrogate
    seed: int
    primary: tuple[int, int] = (55, 102)
    independent: tuple[int, int] = (22, 45)
    keep: int = 50
    repeats: int = 1
    signal: bool = True

    def plan(self) -> Plan:
        """The honest plan: the same selection and model as the leaky one, inside the folds."""
        prepared = Preparation(harmonise=False, selection="wilcoxon", max_features=self.keep, max_correlation=1.0)
        return Plan(blocks=("radiomics",), model="lasso", preparation=prepared, repeats=self.repeats, seed=self.seed)


def simulate(job: Job, index: int) -> dict[str, float]:
    """Areas under the ROC curve of one simulated study."""
    rng = np.random.default_rng([job.seed, 31, index])
    x, grade = draw(job, rng, job.primary)
    new_x, new_grade = draw(job, rng, job.independent)
    known, new = as_cohort(job, x, grade), as_cohort(job, new_x, new_grade)
    leak, predict = leaky_loo(x, grade, job.keep)
    plan = replace(job.plan(), seed=index)
    honest = evaluate(known, plan, workers=1)
    final = fit(known, plan, "radiomics")
    return {
        "leaky": leak,
        "honest": honest.concordance("radiomics"),
        "leaky_independent": auc(new_grade, predict.risk(new_x)),
        "independent": auc(new_grade, final.predict_risk(new.blind())),
    }


def draw(job: Job, rng: np.random.Generator, counts: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Features ``(n, p)`` and grades (0 for III, 1 for IV) of so many patients of each grade."""
    phantom, grades = TumourPhantom(), np.repeat([0, 1], counts)
    cases = [phantom.sample_parameters(rng, modality="mr", grade=int(grade) + 3) for grade in grades]
    features = job.surrogate.draw(rng, glioma_truth(cases))
    return features, grades if job.signal else rng.permutation(grades)


def as_cohort(job: Job, features: np.ndarray, grade: np.ndarray) -> Cohort:
    """The table that is validated."""
    patients = tuple(str(n) for n in range(len(grade)))
    return Cohort(patients, job.surrogate.names, features, label=grade, label_levels=LEVELS)


@dataclass(frozen=True, eq=False)
class Lasso:
    """A logistic lasso on some standardised columns."""

    columns: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    slopes: np.ndarray
    intercept: float

    def risk(self, features: np.ndarray) -> np.ndarray:
        """Log odds of grade IV, ``(n,)``."""
        return (features[:, self.columns] - self.mean) / self.spread @ self.slopes + self.intercept


def leaky_loo(features: np.ndarray, grade: np.ndarray, keep: int) -> tuple[float, Lasso]:
    """The mistake: select and scale on all patients, leave one out after, and report the best of what was tried.

    Args:
        features: ``(n, p)``.
        grade: ``(n,)`` 0 or 1.
        keep: how many features with the smallest Wilcoxon-Mann-Whitney p stay; twice as many are tried as well.

    Returns:
        The area under the ROC curve that such a study reports, and its final model.
    """
    order = np.argsort(-np.abs(rank_z(features, grade)), kind="stable")
    lasso = np.array(PENALTIES)
    best: tuple[float, Lasso] | None = None
    for columns in (order[:keep], order[: 2 * keep]):
        mean, spread = features[:, columns].mean(axis=0), np.maximum(features[:, columns].std(axis=0), 1e-12)
        x = (features[:, columns] - mean) / spread
        areas = [auc(grade, risk) for risk in _left_out(x, grade, lasso).T]
        chosen = int(np.argmax(areas))
        if best is None or areas[chosen] > best[0]:
            slopes, intercept = _fit(x, grade, lasso[chosen : chosen + 1])
            best = areas[chosen], Lasso(columns, mean, spread, slopes[:, 0], float(intercept[0]))
    if best is None:
        raise InvalidInputError("There are no features to select from.")
    return best


def _left_out(x: np.ndarray, grade: np.ndarray, lasso: np.ndarray) -> np.ndarray:
    """``(n, penalties)`` log odds of each patient from lassos of the others."""
    rows, out = np.arange(len(grade)), np.empty((len(grade), len(lasso)))
    for n in rows:
        slopes, intercept = _fit(x[rows != n], grade[rows != n], lasso)
        out[n] = x[n] @ slopes + intercept
    return out


def _fit(x: np.ndarray, grade: np.ndarray, lasso: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return logistic_paths(x, grade, lasso, np.zeros(len(lasso)), np.ones(x.shape[1]))


def auc(grade: np.ndarray, risk: np.ndarray) -> float:
    """Area under the ROC curve; ties count half."""
    ranks, positives = rankdata(risk), int(grade.sum())
    negatives = len(grade) - positives
    return float((ranks[grade == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))
