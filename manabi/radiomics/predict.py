"""One tumour against a cohort: risk, place among the patients, predicted survival, what drove it, what to doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.outside import Outside
from manabi.radiomics.measure import Measured
from manabi.radiomics.model_file import CohortModel, Group, Verdict
from manabi.result import Cell, Table

YEARS = (1.0, 2.0, 3.0, 5.0)
DAYS_PER_YEAR = 365.25
CURVE_POINTS = 100
NO_NUMBERS = ("nan", "inf", "infinity")
LOW, HIGH = "low risk", "high risk"


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one tumour.

    Attributes:
        segment: name of the segment.
        risk: higher is worse; log hazard ratio, log odds, ... as the model has it.
        percentile: share of the training patients with a lower risk.
        group: ``low risk`` or ``high risk``, by the training patients' median.
        years: times of ``survival``; empty for labels.
        survival: predicted probability to be without the event; None beyond the cohort's follow-up.
        curve: times in years and predicted survival, for a chart; empty for labels.
        probability: by label, for labels.
        contributions: by column, largest first.
        base: risk of the average patient.
        how: how contributions were computed.
        outside: where the tumour lies against the cohort.
    """

    segment: str
    risk: float
    percentile: float
    group: str
    years: tuple[float, ...]
    survival: tuple[float | None, ...]
    curve: tuple[np.ndarray, np.ndarray]
    probability: Mapping[str, float]
    contributions: Mapping[str, float]
    base: float
    how: str
    outside: Outside


def predict(
    model: CohortModel, measured: Measured, clinical: Mapping[str, str], centre: str, context: Context
) -> Prediction:  # fmt: skip
    """Apply a model to one measured segment.

    Args:
        model: of a bundle.
        measured: with the features that the model needs.
        clinical: the patient's values by name; what is absent counts as unknown.
        centre: of the image, or empty.
        context: warnings.

    Raises:
        InvalidInputError: a feature that the model needs was not extracted, or a clinical value is not what it must be.
    """
    fitted = model.fitted
    patient = fitted.patient(measured.features.as_dict(), clinical, measured.volume_ml, centre or None)
    risk = float(fitted.predict_risk(patient, context)[0])
    parts = fitted.contributions(patient)
    survival, curve = _survival(model, patient)
    probability: dict[str, float] = {}
    if fitted.kind != "survival":
        probability = dict(zip(fitted.levels, fitted.predict_probability(patient)[0].tolist(), strict=True))
    return Prediction(
        measured.segment.name, risk, fitted.percentile(risk), HIGH if risk > fitted.median_risk else LOW,
        YEARS if survival else (), survival, curve, probability, parts.values, parts.base, parts.method,
        fitted.outside(patient),
    )  # fmt: skip


def _survival(model: CohortModel, patient: object) -> tuple[tuple[float | None, ...], tuple[np.ndarray, np.ndarray]]:
    """Predicted survival at the years, and the curve as far as the cohort was followed."""
    fitted = model.fitted
    if fitted.kind != "survival":
        return (), (np.empty(0), np.empty(0))
    at = fitted.predict_survival(patient, np.array(YEARS) * DAYS_PER_YEAR)[0]  # type: ignore[arg-type]
    days = np.linspace(0.0, float(fitted.baseline_times[-1]), CURVE_POINTS)
    curve = fitted.predict_survival(patient, days)[0]  # type: ignore[arg-type]
    known = np.isfinite(curve)
    return tuple(float(s) if np.isfinite(s) else None for s in at), (days[known] / DAYS_PER_YEAR, curve[known])


def check_clinical(model: CohortModel, clinical: Mapping[str, str]) -> list[str]:
    """What to say of the clinical values that were given, and of those that were not.

    Raises:
        InvalidInputError: for a name that the model does not know, or a value that is no number.
    """
    known = model.fitted.clinical_names
    if unknown := sorted(set(clinical) - set(known)):
        there = ", ".join(known) or "none"
        raise InvalidInputError(
            f"The model has no clinical variable {unknown[0]!r}. It takes: {there}. Check the names."
        )
    if endless := [name for name, value in clinical.items() if value.lower().lstrip("+-") in NO_NUMBERS]:
        raise InvalidInputError(f"{endless[0]} must be a finite number, or left out where it is unknown.")
    missing = [name for name in known if not clinical.get(name)]
    if not missing:
        return []
    return [
        f"Clinical values are missing: {', '.join(missing)}. They were filled with those of an average patient of the "
        "cohort, which the risk depends on."
    ]


def check_centre(model: CohortModel, centre: str) -> list[str]:
    """What to say of a centre that was named to a model without centres."""
    chain = model.fitted.design.chain
    if not centre or (chain is not None and chain.combat is not None):
        return []
    return [f"The centre {centre!r} was not used: the model was fitted without centres, so nothing is harmonised."]


def check_modality(trained: str, given: str | None) -> list[str]:
    """What to say of an image of another modality than the model's images, or of one that may be so.

    Args:
        trained: as the bundle says it: a modality, or several with words between them.
        given: of the image.
    """
    known = trained.replace(",", " ").split()
    if not known or given in known:
        return []
    if not given:
        only = len(known) == 1
        return [f"The model was fitted to images of {trained}; the file does not say whether this is one."] * only
    return [
        f"Check the image: it is {given}, and the model was fitted to images of {trained}. Intensities and textures do "
        "not mean the same there; do not use this risk."
    ]


def alerts(prediction: Prediction) -> list[str]:
    """What a reader must not overlook of one prediction."""
    found = prediction.outside
    said = []
    if found.far:
        said.append(
            f"Outside the cohort: {prediction.segment} is further from the mean training patient than "
            f"{found.percentile:.0f} % of them are; the prediction is an extrapolation."
        )
    if found.unknown:
        said.append(
            f"Features could not be computed for {prediction.segment}: {', '.join(found.unknown)}; the cohort's median "
            "was taken."
        )
    return said


def range_notes(prediction: Prediction) -> list[str]:
    """What to add of values beyond the training range where the patient as a whole is no stranger to the cohort."""
    found = prediction.outside
    if found.far or not found.beyond:
        return []
    worst = max(found.beyond, key=lambda name: abs(found.beyond[name]))
    return [
        f"{len(found.beyond)} of {found.columns} inputs of {prediction.segment} lie beyond those of all training "
        f"patients ({worst}); as a whole the patient lies within the cohort."
    ]


def verdict_alerts(verdict: Verdict) -> list[str]:
    """What the validation of the model does not allow to be claimed."""
    said = []
    score = f" (out of fold: {verdict.concordance})" if verdict.concordance else ""
    if verdict.better_than_chance is False:
        said.append(
            f"No better than chance: that is what this model's own validation shows{score}. Do not use its risks."
        )
    if verdict.beats_volume is False:
        said.append(f"No better than the volume alone: that is what this model's own validation shows{score}.")
    if verdict.beats_clinical is False:
        said.append(f"No better than the clinical data alone: that is what this model's own validation shows{score}.")
    return said


def risk_table(predictions: Sequence[Prediction]) -> Table:
    """A row per segment: risk, percentile, group, predicted survival or probabilities, distance from the cohort."""
    first = predictions[0]
    years = tuple(f"survival_{year:g}_years" for year in first.years)
    labels = tuple(f"probability_{name}" for name in first.probability)
    rows: list[tuple[Cell, ...]] = []
    for one in predictions:
        numbers = (*(_rounded(s) for s in one.survival), *(round(p, 4) for p in one.probability.values()))
        where = (round(one.outside.distance, 3), round(one.outside.limit, 3), "yes" if one.outside.far else "no")
        rows.append((one.segment, round(one.risk, 4), round(one.percentile, 1), one.group, *numbers, *where))
    columns = (
        "segment",
        "risk",
        "percentile",
        "group",
        *years,
        *labels,
        "distance",
        "distance_limit",
        "outside_cohort",
    )
    return Table(columns, tuple(rows))


def years_table(predictions: Sequence[Prediction], groups: Sequence[Group]) -> Table:
    """Predicted survival beside what was seen in the cohort's patients of the same risk group, with its interval."""
    by_name = {group.name: group for group in groups}
    rows: list[tuple[Cell, ...]] = []
    for one in predictions:
        for year, survival in zip(one.years, one.survival, strict=True):
            group = by_name.get(one.group)
            seen = group.at(year) if group else None
            observed = tuple(_rounded(value) for value in seen) if seen else (None, None, None)
            rows.append((one.segment, one.group, year, _rounded(survival), *observed))
    columns = ("segment", "group", "years", "predicted", "observed_in_group", "observed_low", "observed_high")
    return Table(columns, tuple(rows))


def groups_table(groups: Sequence[Group]) -> Table:
    """Kaplan-Meier of the cohort's risk groups, point by point."""
    rows = [
        (group.name, *point)
        for group in groups
        for point in zip(group.times_years, group.survival, group.low, group.high, group.at_risk, strict=True)
    ]
    return Table(("group", "years", "survival", "low", "high", "at_risk"), tuple(rows))


def contributions_table(predictions: Sequence[Prediction]) -> Table:
    """What drove each risk, largest first."""
    rows = [
        (one.segment, name, round(value, 5), "raises" if value > 0 else "lowers")
        for one in predictions
        for name, value in one.contributions.items()
    ]
    return Table(("segment", "input", "contribution", "effect_on_risk"), tuple(rows))


def measurements(predictions: Sequence[Prediction]) -> dict[str, Cell]:
    """Numbers of each prediction; of the only segment without its name."""
    found: dict[str, Cell] = {}
    for one in predictions:
        tail = "" if len(predictions) == 1 else f" ({one.segment})"
        found[f"risk{tail}"] = round(one.risk, 4)
        found[f"risk_percentile{tail}"] = round(one.percentile, 1)
        found[f"risk_group{tail}"] = one.group
        for year, survival in zip(one.years, one.survival, strict=True):
            found[f"survival_{year:g}_years{tail}"] = _rounded(survival)
        for name, value in one.probability.items():
            found[f"probability_{name}{tail}"] = round(value, 4)
        found[f"outside_cohort{tail}"] = "yes" if one.outside.far else "no"
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
