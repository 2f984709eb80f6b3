"""Whom the tumour belongs to and how long they live: the outcome model of the tumour phantom, without images.

Thousands of cohorts can be drawn from here for statistics (:mod:`manabi.phantoms.tumour_surrogate` adds stand-ins for
features); :class:`manabi.phantoms.tumour.TumourPhantom` draws each of its cases from the same laws.

Survival times follow a Weibull law whose hazard depends on the texture, the volume and clinical facts (Bender R,
Augustin T, Blettner M, 2005, doi:10.1002/sim.2059, table 2):
``T = (-ln U / (lambda exp(lp)))^(1 / nu)`` with ``lp = beta z + gamma_v v + clinical + centre + response``, where z is
the standardised logarithm of the texture's correlation length and v that of the volume. Censoring is by the end of the
study, with uniform accrual, and by exponential drop-out. Numbers without a source are our choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError

MEDIAN_ML, LOG_ML_SD = 10.0, 0.9
"""Of the log-normal volume; the spread gives quartiles of 5.4 and 18 mL (our choice)."""
MEDIAN_MM, LOG_MM_SD = 3.5, 0.5
"""Of the log-normal correlation length (our choice: 95 % between 1.3 and 9.3 mm)."""
LIMIT = 3.0
"""z and v are kept within this many standard deviations, so that tumours fit the image."""
CORRELATION = 0.3
"""Of z and v."""
CENTRES = ("A", "B", "C", "D")
DAYS_PER_YEAR = 365.25
STAGES = ((10.0, "IA1"), (20.0, "IA2"), (30.0, "IA3"), (40.0, "IB"), (50.0, "IIA"), (math.inf, "IIB"))
"""Upper limit of the largest diameter in mm, and the stage of a node-negative lung cancer of that size (TNM 8)."""
LONGEST_OVER_SPHERE = 1.25
"""Largest diameter of a lobulated tumour over that of the sphere of its volume (our choice)."""


@dataclass(frozen=True)
class OutcomeModel:
    """What survival depends on. All effects are log hazard ratios.

    Attributes:
        beta: per standard deviation of the texture's log length.
        gamma_v: per standard deviation of the log volume.
        age_effect: per ten years.
        male_effect: of men against women.
        confounding: of the last centre against the first, evenly between; above 0 the scanner tells who dies.
        response_effect: per standard deviation of the log rate at which the tumour shrinks; below 0 protects.
        nu: Weibull's shape.
        five_year_survival: at lp = 0.
        accrual_years: patients enter evenly over this time.
        follow_years: from the last entry to the end of the study.
        dropout_per_year: rate of leaving the study.
    """

    beta: float = math.log(1.5)
    gamma_v: float = math.log(1.3)
    age_effect: float = 0.25
    male_effect: float = 0.25
    confounding: float = 0.0
    response_effect: float = 0.0
    nu: float = 1.2
    five_year_survival: float = 0.6
    accrual_years: float = 6.0
    follow_years: float = 3.0
    dropout_per_year: float = 0.02

    def __post_init__(self) -> None:
        """Refuse what no study can have."""
        if not 0.0 < self.five_year_survival < 1.0:
            raise InvalidInputError(f"five_year_survival must lie between 0 and 1; got {self.five_year_survival}.")
        if self.nu <= 0 or self.accrual_years < 0 or self.follow_years < 0 or self.dropout_per_year < 0:
            raise InvalidInputError("nu must be above 0; accrual, follow-up and drop-out must not be below 0.")

    @property
    def rate(self) -> float:
        """Weibull's lambda, per year to the power nu."""
        return -math.log(self.five_year_survival) / 5.0**self.nu


COHORTS: dict[str, dict[str, float]] = {
    "default": {},
    "null": {"beta": 0.0, "gamma_v": 0.0, "age_effect": 0.0, "male_effect": 0.0},
    "volume": {"beta": 0.0, "gamma_v": math.log(1.5)},
    "confounded": {"beta": 0.0, "gamma_v": 0.0, "confounding": math.log(3.0)},
    "response": {"response_effect": -math.log(2.0)},
}
"""Named cohorts: nothing tells survival; volume does and texture does not; only the centre does; the response does."""


def outcome_model(cohort: str = "default", **changes: float) -> OutcomeModel:
    """The model of a named cohort (:data:`COHORTS`), with fields changed by name."""
    if cohort not in COHORTS:
        raise InvalidInputError(f"cohort must be one of {', '.join(COHORTS)}; got {cohort!r}.")
    return OutcomeModel(**{**COHORTS[cohort], **changes})


@dataclass(frozen=True)
class Patients:
    """One array per fact, each ``(n,)``.

    Attributes:
        z: standardised log correlation length of the texture.
        v: standardised log volume.
        response: standardised log rate of shrinking under treatment.
        age_years: at the start.
        male: whether a man.
        centre: number in :data:`CENTRES`.
    """

    z: np.ndarray
    v: np.ndarray
    response: np.ndarray
    age_years: np.ndarray
    male: np.ndarray
    centre: np.ndarray

    @property
    def volume_ml(self) -> np.ndarray:
        """Volume of the tumour."""
        return MEDIAN_ML * np.exp(LOG_ML_SD * self.v)

    @property
    def length_mm(self) -> np.ndarray:
        """Correlation length of the texture: where the autocorrelation has fallen to 1/e."""
        return MEDIAN_MM * np.exp(LOG_MM_SD * self.z)

    @property
    def stage(self) -> list[str]:
        """Stage by size, as of a node-negative tumour."""
        longest = LONGEST_OVER_SPHERE * 2.0 * np.cbrt(3e3 * self.volume_ml / (4 * np.pi))
        return [next(name for limit, name in STAGES if size <= limit) for size in longest]


@dataclass(frozen=True)
class SimulatedCohort:
    """Patients and what became of them.

    Attributes:
        patients: who they are.
        parts: the terms of the log hazard by name (``texture``, ``volume``, ``clinical``, ``centre``, ``response``).
        time_days: from the start to death or censoring.
        event: whether the patient died.
    """

    patients: Patients
    parts: dict[str, np.ndarray]
    time_days: np.ndarray
    event: np.ndarray

    @property
    def log_hazard(self) -> np.ndarray:
        """Sum of the parts: what an oracle would predict from."""
        return np.sum(list(self.parts.values()), axis=0)


def draw_patients(rng: np.random.Generator, count: int, **fixed: Any) -> Patients:
    """Draw patients.

    Args:
        rng: source of everything random.
        count: how many.
        fixed: values of :class:`Patients` by name, the same for everyone. They change nothing else that is drawn.

    Raises:
        InvalidInputError: for an unknown name, a centre that does not exist or z and v out of range.
    """
    normal = rng.standard_normal((3, count))
    v = normal[0]
    z = CORRELATION * v + math.sqrt(1 - CORRELATION**2) * normal[1]
    drawn = Patients(
        z=np.clip(z, -LIMIT, LIMIT), v=np.clip(v, -LIMIT, LIMIT), response=np.clip(normal[2], -LIMIT, LIMIT),
        age_years=np.clip(rng.normal(76.0, 7.0, count), 50.0, 93.0), male=rng.random(count) < 0.7,
        centre=rng.integers(len(CENTRES), size=count),
    )  # fmt: skip
    unknown = set(fixed) - set(vars(drawn))
    if unknown:
        raise InvalidInputError(f"Patients have no {', '.join(sorted(unknown))}.")
    if not 0 <= int(fixed.get("centre", 0)) < len(CENTRES):
        raise InvalidInputError(f"centre must be from 0 to {len(CENTRES) - 1}; got {fixed['centre']}.")
    for name in {"z", "v", "response"} & set(fixed):
        if not abs(float(fixed[name])) <= LIMIT:
            raise InvalidInputError(f"{name} must lie within ±{LIMIT:g} standard deviations; got {fixed[name]}.")
    return replace(drawn, **{k: np.full(count, v, getattr(drawn, k).dtype) for k, v in fixed.items()})


def hazard_parts(patients: Patients, model: OutcomeModel) -> dict[str, np.ndarray]:
    """Terms of the log hazard; the clinical one is centred on a mean patient."""
    clinical = model.age_effect * (patients.age_years - 76.0) / 10.0 + model.male_effect * (patients.male - 0.7)
    return {
        "texture": model.beta * patients.z,
        "volume": model.gamma_v * patients.v,
        "clinical": clinical,
        "centre": model.confounding * (patients.centre / (len(CENTRES) - 1) - 0.5),
        "response": model.response_effect * patients.response,
    }


def draw_times(rng: np.random.Generator, log_hazard: np.ndarray, model: OutcomeModel) -> tuple[np.ndarray, np.ndarray]:
    """Days to death or censoring (at least one day), and whether it was death."""
    count = len(log_hazard)
    uniform = rng.uniform(np.finfo(float).tiny, 1.0, count)
    death = (-np.log(uniform) / (model.rate * np.exp(log_hazard))) ** (1.0 / model.nu)
    end = model.follow_years + model.accrual_years * rng.random(count)
    left = rng.standard_exponential(count) / max(model.dropout_per_year, 1e-12)
    censored = np.minimum(end, left)
    days = np.ceil(np.minimum(death, censored) * DAYS_PER_YEAR)
    return np.maximum(days, 1.0).astype(int), death <= censored


def follow(rng: np.random.Generator, patients: Patients, model: OutcomeModel) -> SimulatedCohort:
    """Give patients their survival."""
    parts = hazard_parts(patients, model)
    days, event = draw_times(rng, np.sum(list(parts.values()), axis=0), model)
    return SimulatedCohort(patients, parts, days, event)


def draw_cohort(rng: np.random.Generator, count: int, model: OutcomeModel | None = None) -> SimulatedCohort:
    """Patients with their survival, without images."""
    return follow(rng, draw_patients(rng, count), model or OutcomeModel())


def oracle_c(log_hazard_sd: float) -> float:
    """Concordance of the true log hazard with uncensored times, where it is normal with this standard deviation.

    Of two patients whose log hazards differ by d, the one at higher risk dies first with probability expit(|d|) under
    proportional hazards; d has the variance ``2 log_hazard_sd²``. Integrated numerically.
    """
    if log_hazard_sd < 0:
        raise InvalidInputError(f"A standard deviation is not below 0; got {log_hazard_sd}.")
    at = np.linspace(0.0, 10.0, 20001)
    density = np.sqrt(2.0 / np.pi) * np.exp(-0.5 * at**2)
    return float(np.trapezoid(density / (1.0 + np.exp(-math.sqrt(2.0) * log_hazard_sd * at)), at))
