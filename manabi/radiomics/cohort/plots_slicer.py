"""The same charts as :class:`manabi.result.Plot`, which Slicer shows and every report can draw. No matplotlib here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from manabi.radiomics.cohort.calibration_parts import Calibration
from manabi.radiomics.cohort.decision import DecisionCurve
from manabi.radiomics.cohort.scores import Score
from manabi.radiomics.cohort.scores_km import Curve
from manabi.result import Plot

Line = tuple[list[float], list[float]]


def kaplan_meier_plot(
    curves: Mapping[str, Curve], title: str, patient: tuple[np.ndarray, np.ndarray] | None = None
) -> Plot:
    """Survival of groups as steps, with the patient's predicted curve.

    Args:
        curves: by name of the group.
        title: of the chart.
        patient: ``(times, survival)`` predicted for one patient.
    """
    unit = next(iter(curves.values())).follow.unit
    series = {name: stepped(curve.times, curve.survival) for name, curve in curves.items()}
    if patient is not None:
        times, survival = (np.asarray(x, float) for x in patient)
        series["this patient, predicted"] = stepped(np.append(0, times), np.append(1, survival))
    return Plot(title, f"time ({unit})", "survival", series)


def stepped(x: np.ndarray, y: np.ndarray) -> Line:
    """A step function as a line with its corners."""
    return np.repeat(x, 2)[1:].astype(float).tolist(), np.repeat(y, 2)[:-1].astype(float).tolist()


def calibration_plot(calibration: Calibration, title: str) -> Plot:
    """Observed over predicted risk: smooth curve, fifths of the patients, diagonal."""
    bins = [one for one in calibration.bins if np.isfinite(one.observed.estimate)]
    series: dict[str, Line] = {"predictions come true": ([0.0, 1.0], [0.0, 1.0])}
    series |= _known({"smooth curve": (calibration.predicted, calibration.observed)})
    series["fifths of the patients"] = ([b.predicted for b in bins], [b.observed.estimate for b in bins])
    return Plot(title, "predicted risk", "observed risk", series)


def decision_plot(curve: DecisionCurve, title: str) -> Plot:
    """Net benefit over the threshold."""
    lines = {line.name: (curve.thresholds, line.value) for line in curve.models}
    everybody = curve.treat_all.value
    # It falls without end and would flatten all other lines.
    lines["treat all"] = (curve.thresholds, np.where(everybody > -0.1, everybody, np.nan))
    lines["treat none"] = (curve.thresholds, np.zeros(len(curve.thresholds)))
    return Plot(title, "threshold: risk at which one would act", "net benefit", _known(lines))


def auc_plot(blocks: Mapping[str, Sequence[Score]], times: Sequence[float], unit: str, title: str) -> Plot:
    """Time-dependent AUC of each block."""
    lines = {name: (np.asarray(times, float), np.array([s.estimate for s in ones])) for name, ones in blocks.items()}
    return Plot(title, f"time ({unit})", "AUC", _known(lines))


def forest_plot(scores: Mapping[str, Score], title: str) -> Plot:
    """One score of every block as bars, with the ends of its interval as marks."""
    places = [float(k) for k in range(len(scores))]
    parts = {"estimate": [s.estimate for s in scores.values()], "interval, low": [s.low for s in scores.values()],
             "interval, high": [s.high for s in scores.values()]}  # fmt: skip
    series = {
        name: (
            [p for p, v in zip(places, values, strict=True) if np.isfinite(v)],
            [v for v in values if np.isfinite(v)],
        )
        for name, values in parts.items()
    }
    name = next(iter(scores.values())).name if scores else ""
    return Plot(title, "", name, series, "bar", tuple(scores), ("interval, low", "interval, high"))


def bars_plot(names: Sequence[str], values: Sequence[float], title: str, y_label: str, most: int = 12) -> Plot:
    """Contributions or selection frequencies as bars, the largest first."""
    order = np.argsort(-np.abs(np.asarray(values, float)), kind="stable")[:most]
    series = {y_label: ([float(k) for k in range(len(order))], [float(values[k]) for k in order])}
    return Plot(title, "", y_label, series, "bar", tuple(names[k] for k in order))


def _known(lines: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Line]:
    """Lines without the points that are no numbers."""
    return {
        name: (x[np.isfinite(y)].tolist(), np.asarray(y)[np.isfinite(y)].tolist()) for name, (x, y) in lines.items()
    }
