"""Figures of groups and of single models: Kaplan-Meier with numbers at risk, calibration, decision curve.

All are PNGs of 900 pixels in width, drawn with an Agg canvas of their own. Nothing in them names a patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from manabi.errors import InvalidInputError
from manabi.plotting import style
from manabi.plotting.page import Page, text_width
from manabi.radiomics.cohort.calibration_parts import Calibration
from manabi.radiomics.cohort.decision import DecisionCurve
from manabi.radiomics.cohort.plots_parts import (
    HEIGHT,
    SIDE,
    TOP,
    WIDTH,
    closing,
    color,
    dash,
    legend,
    plain_axes,
    round_ticks,
    start,
    ticks,
    time_ticks,
)
from manabi.radiomics.cohort.scores_km import Curve

PATIENT = "this patient, predicted"
PATIENT_COLOR = style.INK


def draw_kaplan_meier(
    curves: Mapping[str, Curve], path: Path, title: str, patient: tuple[np.ndarray, np.ndarray] | None = None,
    notes: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Survival of groups with pointwise intervals, marks where patients are censored, and numbers at risk below.

    Args:
        curves: one to four by name of the group.
        path: PNG to write; replaced where it is there.
        title: of the figure.
        patient: ``(times, survival)`` predicted for one patient, drawn over the groups in black.
        notes: log-rank p, hazard ratio and what else a reader must know; below the figure.

    Raises:
        InvalidInputError: where there is no curve.
    """
    if not curves:
        raise InvalidInputError("A Kaplan-Meier figure needs at least one curve.")
    first = next(iter(curves.values()))
    unit, last = first.follow.unit, max(float(c.times[-1]) for c in curves.values())
    page = start(title, f"bands: pointwise {first.level:.0%} intervals (log-log); small bars: end of follow-up")
    room = _label_room(curves)
    axes = plain_axes(page, f"time ({unit})", "survival", width=WIDTH - room - 40)
    if room > SIDE:
        _move(axes, page, room)
    for k, curve in enumerate(curves.values()):
        _survival_line(axes, curve, k)
    if patient is not None:
        _patient_line(axes, np.asarray(patient[0], float), np.asarray(patient[1], float), last)
    places = time_ticks(last, unit)
    ticks(axes, places, np.arange(0, 1.01, 0.2).round(1))
    axes.set(xlim=(0, last), ylim=(0, 1.02))
    bottom = _at_risk(page, curves, places, last, room)
    bottom = legend(page, bottom + 28, list(curves), 24)
    if patient is not None:
        for k in range(7):
            page.band(24 + 4 * k, bottom + 3, 2.4, 2.4, PATIENT_COLOR)
        page.text(58, bottom + 4, PATIENT, style.SMALL)
        bottom += 18
    closing(page, bottom + 4, notes)
    return page.save(path)


def _patient_line(axes: Axes, times: np.ndarray, survival: np.ndarray, last: float) -> None:
    inside = times <= last
    x, y = np.append(0, times[inside]), np.append(1, survival[inside])
    axes.step(x, y, where="post", color=PATIENT_COLOR, linewidth=2.4, linestyle=(0, (1, 1)), zorder=5)


def _label_room(curves: Mapping[str, Curve]) -> int:
    """Pixels left of the axes: enough for the groups' names at the numbers at risk."""
    return max(SIDE, 62 + int(max(text_width(style.printable(name), style.SMALL) for name in curves)))


def _move(axes: Axes, page: Page, left: float) -> None:
    box = axes.get_position()
    axes.set_position((left / page.width, box.y0, box.width, box.height))


def _survival_line(axes: Axes, curve: Curve, number: int) -> None:
    axes.step(
        curve.times, curve.survival, where="post", color=color(number), linestyle=dash(number), linewidth=2, zorder=4
    )
    known = np.isfinite(curve.low)
    low, high = np.where(known, curve.low, curve.survival), np.where(known, curve.high, curve.survival)
    axes.fill_between(curve.times, low, high, step="post", color=color(number), alpha=0.16, linewidth=0, zorder=2)
    ends = np.unique(curve.follow.time[~curve.follow.event])
    heights = curve.survival[np.searchsorted(curve.times, ends, side="right") - 1]
    axes.plot(
        ends, heights, linestyle="none", marker="|", markersize=7, markeredgewidth=1.1, color=color(number), zorder=4
    )


def _at_risk(page: Page, curves: Mapping[str, Curve], places: np.ndarray, last: float, left: float) -> float:
    """Numbers under observation below the ticks; returns where they end."""
    top = float(TOP + HEIGHT + 56)
    page.text(24, top, "number at risk", style.SMALL, style.MUTED)
    width = WIDTH - left - 40
    for k, (name, curve) in enumerate(curves.items()):
        top += 20
        page.text(24, top, name, style.SMALL, color(k))
        for place, n in zip(places, curve.at_risk(places), strict=True):
            page.text(left + width * place / last, top, str(int(n)), style.SMALL, style.INK, align="center")
    return top


def draw_calibration(calibration: Calibration, path: Path, title: str, notes: Sequence[str] = ()) -> Path:
    """Observed against predicted risk: smooth curve with its band, fifths of the patients with intervals, diagonal.

    Args:
        calibration: of survival at a time, or of a label.
        path: PNG to write; replaced where it is there.
        title: of the figure.
        notes: below the figure.
    """
    page = start(title, f"predicted against observed risk: {calibration.title}; on the line, predictions come true")
    axes = plain_axes(page, "predicted risk", "observed risk", 480, 480)
    axes.plot([0, 1], [0, 1], color=style.MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    x, known = calibration.predicted, np.isfinite(calibration.low)
    axes.fill_between(
        x[known], calibration.low[known], calibration.high[known], color=color(0), alpha=0.16, linewidth=0
    )
    axes.plot(x, calibration.observed, color=color(0), linewidth=2, zorder=3)
    for one in calibration.bins:
        value = one.observed.estimate
        if not np.isfinite(value):
            continue
        if np.isfinite(one.observed.low):
            axes.plot(
                [one.predicted] * 2, [one.observed.low, one.observed.high], color=color(1), linewidth=1.3, zorder=4
            )
        axes.plot([one.predicted], [value], "s", color=color(1), markersize=6, zorder=5)
    ticks(axes, np.arange(0, 1.01, 0.2).round(1), np.arange(0, 1.01, 0.2).round(1))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    _calibration_words(page, calibration, SIDE + 480 + 34)
    closing(page, TOP + 480 + 60, notes)
    return page.save(path)


def _calibration_words(page: Page, calibration: Calibration, left: float) -> None:
    top = float(TOP + 8)
    for one in calibration.scores:
        page.text(left, top, one.name, style.SMALL, style.MUTED)
        top = page.paragraph(left, top + 8, one.text(2), WIDTH - left - 20, style.SMALL) + 14
    page.band(left, top - 1, 28, 2, color(0))
    page.text(left + 36, top, "smooth curve, 95 % band", style.SMALL)
    page.band(left + 11, top + 17, 6, 6, color(1))
    page.text(left + 36, top + 20, "fifths of the patients", style.SMALL)


def draw_decision(curve: DecisionCurve, path: Path, title: str, notes: Sequence[str] = ()) -> Path:
    """Net benefit over the threshold for every model, against treating all and none.

    Args:
        curve: from :mod:`decision`.
        path: PNG to write; replaced where it is there.
        title: of the figure.
        notes: below the figure.
    """
    page = start(title, f"net benefit per patient: {curve.title}; the highest line at a threshold is the best choice")
    axes = plain_axes(page, "threshold: risk at which one would act", "net benefit")
    every = curve.treat_all.value
    peak = max([float(np.nanmax(line.value)) for line in (*curve.models, curve.treat_all)] + [0.02])
    low, high = -0.2 * peak, 1.15 * peak
    axes.plot(curve.thresholds, every, color=style.MUTED, linewidth=1.4, zorder=2)
    axes.axhline(0, color=style.INK, linewidth=1.2, zorder=2)
    for k, line in enumerate(curve.models):
        axes.plot(curve.thresholds, line.value, color=color(k), linestyle=dash(k), linewidth=2, zorder=4)
        axes.fill_between(curve.thresholds, line.low, line.high, color=color(k), alpha=0.10, linewidth=0, zorder=1)
    ticks(axes, np.arange(0, 1.01, 0.2).round(1), round_ticks(low, high))
    axes.set(xlim=(0, 1), ylim=(low, high))
    bottom = legend(page, TOP + HEIGHT + 62, [line.name for line in curve.models])
    page.band(SIDE, bottom + 3, 28, 1.6, style.MUTED)
    page.text(SIDE + 34, bottom + 4, "treat all", style.SMALL)
    page.band(SIDE + 134, bottom + 3, 28, 1.6, style.INK)
    page.text(SIDE + 168, bottom + 4, "treat none", style.SMALL)
    closing(page, bottom + 20, (*notes, f"bands: {curve.how}"))
    return page.save(path)
