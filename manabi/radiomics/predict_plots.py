"""Charts of a prediction as :class:`manabi.result.Plot`, which Slicer shows and the figures draw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from manabi.radiomics.model_file import CohortModel, Group
from manabi.radiomics.predict import Prediction
from manabi.result import Plot

MOST = 12
PATIENT = "this patient, predicted"


def plots(predictions: Sequence[Prediction], model: CohortModel) -> dict[str, Plot]:
    """The cohort's risk groups with the predicted curves, or the probabilities of labels, and what drove the first."""
    found: dict[str, Plot] = {}
    if model.fitted.kind == "survival":
        found["survival"] = survival_plot(predictions, model.groups)
    else:
        found["probability"] = probability_plot(predictions)
    if drivers := [one for one in predictions if one.contributions]:
        found["contributions"] = contributions_plot(drivers[0])
    return found


def survival_plot(predictions: Sequence[Prediction], groups: Sequence[Group]) -> Plot:
    """Kaplan-Meier of the cohort's risk groups and the predicted curve of each tumour."""
    series = {f"cohort, {group.name} (n={group.rows})": stepped(group.times_years, group.survival) for group in groups}
    for one in predictions:
        name = PATIENT if len(predictions) == 1 else f"{PATIENT}: {one.segment}"
        series[name] = ([float(x) for x in one.curve[0]], [float(y) for y in one.curve[1]])
    return Plot("Survival of the cohort and of this patient", "time (years)", "survival", series)


def stepped(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """A step function as a line with its corners."""
    return np.repeat(x, 2)[1:].astype(float).tolist(), np.repeat(y, 2)[:-1].astype(float).tolist()


def probability_plot(predictions: Sequence[Prediction]) -> Plot:
    """Probability of each label."""
    names = tuple(predictions[0].probability)
    places = [float(k) for k in range(len(names))]
    series = {one.segment: (places, [float(v) for v in one.probability.values()]) for one in predictions}
    return Plot("Probability of the labels", "label", "probability", series, "bar", names)


def contributions_plot(prediction: Prediction) -> Plot:
    """What drove a risk, largest first."""
    shown = list(prediction.contributions.items())[:MOST]
    bars = ([float(k) for k in range(len(shown))], [float(value) for _, value in shown])
    title = f"What drove the risk of {prediction.segment}"
    return Plot(title, "input", "contribution to the risk", {"contribution": bars}, "bar", tuple(n for n, _ in shown))
