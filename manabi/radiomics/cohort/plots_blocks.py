"""Figures that compare: AUC over time, forest plot of the blocks, feature contributions, selection frequency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from manabi.errors import InvalidInputError
from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font, text_width, wrap
from manabi.radiomics.cohort.plots_parts import (
    HEIGHT,
    TOP,
    WIDTH,
    closing,
    color,
    dash,
    legend,
    marker,
    plain_axes,
    round_ticks,
    start,
    ticks,
    time_ticks,
)
from manabi.radiomics.cohort.scores import Score, p_text

ROW, MOST = 30, 25
"""Height of a row, and the most rows of a bar chart (our choice)."""
RAISES, LOWERS = color(1), color(0)


def draw_auc(
    blocks: Mapping[str, Sequence[Score]], times: Sequence[float], unit: str, path: Path, title: str,
    notes: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Time-dependent AUC of each block with its intervals; a time without a number is left out.

    Args:
        blocks: a score per time by name of the block.
        times: as many as scores.
        unit: of the times.
        path: PNG to write; replaced where it is there.
        title: of the figure.
        notes: below the figure.

    Raises:
        InvalidInputError: where scores and times are not as many.
    """
    if any(len(scores) != len(times) for scores in blocks.values()):
        raise InvalidInputError(f"Every block needs an AUC at each of the {len(times)} times.")
    page = start(title, "cumulative/dynamic AUC with 95 % intervals; .5 is chance")
    axes = plain_axes(page, f"time ({unit})", "AUC")
    last = max(times) * 1.12
    axes.axhline(0.5, color=style.MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for k, scores in enumerate(blocks.values()):
        shift = (k - (len(blocks) - 1) / 2) * 0.011 * last
        x = np.asarray(times, float) + shift
        y = np.array([one.estimate for one in scores])
        axes.plot(x, y, color=color(k), linestyle=dash(k), linewidth=1.5, marker=marker(k), markersize=6, zorder=4)
        for place, one in zip(x, scores, strict=True):
            axes.plot([place] * 2, [one.low, one.high], color=color(k), linewidth=1.2, zorder=3)
    bounds = [v for scores in blocks.values() for one in scores for v in (one.low, one.high, one.estimate)]
    low = min(0.4, np.floor(10 * np.nanmin([*bounds, 0.5])) / 10)
    high = max(0.8, np.ceil(10 * np.nanmax([*bounds, 0.5])) / 10)
    ticks(axes, time_ticks(last, unit), np.arange(low, high + 0.01, 0.1).round(1))
    axes.set(xlim=(0, last), ylim=(low, high))
    closing(page, legend(page, TOP + HEIGHT + 62, list(blocks)) + 4, notes)
    return page.save(path)


def draw_forest(
    scores: Mapping[str, Score], path: Path, title: str, reference: float = 0.5, notes: Sequence[str] = (),
    differences: Sequence[Score] = (),
) -> Path:  # fmt: skip
    """One score of every block with its interval, as points on one axis; differences in words below.

    Args:
        scores: by name of the block.
        path: PNG to write; replaced where it is there.
        title: of the figure.
        reference: value of knowing nothing, drawn as a line.
        notes: below the figure.
        differences: paired differences to write below the points.
    """
    name = next(iter(scores.values())).name if scores else ""
    page = start(title, f"{name} with its interval; the line at {reference:g} is knowing nothing")
    left, right = 24 + _widest(list(scores)) + 20, 230
    axes = chart(page, left, TOP, WIDTH - left - right, ROW * len(scores) + 12)
    ends = [v for one in scores.values() for v in (one.low, one.high, one.estimate)] + [reference]
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    room = 0.08 * max(high - low, 0.05)
    axes.axvline(reference, color=style.MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for k, (block, one) in enumerate(scores.items()):
        page.text(24, TOP + 6 + ROW * (k + 0.5), block, style.BODY)
        page.text(WIDTH - right + 16, TOP + 6 + ROW * (k + 0.5), _short(one), style.SMALL)
        axes.plot([one.low, one.high], [k, k], color=color(k), linewidth=2, solid_capstyle="butt")
        axes.plot([one.estimate], [k], marker(k), color=color(k), markersize=8)
    axes.set(xlim=(low - room, high + room), ylim=(len(scores) - 0.3, -0.7))
    _below(axes, round_ticks(low - room, high + room))
    top = TOP + ROW * len(scores) + 56.0
    for one in differences:
        p = f", {p_text(one.p)}" if np.isfinite(one.p) else ""
        top = page.paragraph(24, top, f"{one.name}: {one.text()}{p}", WIDTH - 48, style.SMALL) + 3
    closing(page, top + 4, notes)
    return page.save(path)


def _short(one: Score) -> str:
    """Number and interval, or ``not available``; the reason would not fit."""
    return one.text() if np.isfinite(one.estimate) else "not available"


def draw_contributions(
    names: Sequence[str], values: Sequence[float], path: Path, title: str, unit: str = "log hazard ratio",
    notes: Sequence[str] = (),
) -> Path:  # fmt: skip
    """What drives a prediction: horizontal bars, the largest first, to the right where they raise the risk.

    Args:
        names: of the features.
        values: contribution of each, against the average patient.
        path: PNG to write; replaced where it is there.
        title: of the figure.
        unit: of the contributions.
        notes: below the figure.

    Raises:
        InvalidInputError: where names and values are not as many.
    """
    shown = _largest(names, values)
    page = start(title, "to the right: raises the risk; to the left: lowers it; the largest first")
    axes, top = _bars(page, [n for n, _ in shown], [v for _, v in shown], signed=True)
    reach = 1.08 * max([abs(v) for _, v in shown] + [1e-9])
    axes.axvline(0, color=style.INK, linewidth=1)
    axes.set_xlim(-reach, reach)
    _below(axes, round_ticks(-reach, reach), f"contribution ({unit})")
    closing(page, top, _cut(names, notes))
    return page.save(path)


def draw_selection(
    names: Sequence[str], frequency: Sequence[float], path: Path, title: str, notes: Sequence[str] = ()
) -> Path:
    """In which share of the trained models each feature was selected: horizontal bars, the steadiest first.

    Args:
        names: of the features.
        frequency: share of the models, 0 to 1.
        path: PNG to write; replaced where it is there.
        title: of the figure.
        notes: below the figure.

    Raises:
        InvalidInputError: where names and shares are not as many, or a share is none.
    """
    if len(frequency) and not (min(frequency) >= 0 and max(frequency) <= 1):
        raise InvalidInputError("A selection frequency is a share between 0 and 1.")
    shown = _largest(names, frequency)
    page = start(title, "share of the cross-validation's models in which a feature was selected")
    axes, top = _bars(page, [n for n, _ in shown], [v for _, v in shown], signed=False)
    axes.set_xlim(0, 1)
    _below(axes, np.arange(0, 1.01, 0.2).round(1), "share of models")
    closing(page, top, _cut(names, notes))
    return page.save(path)


def _largest(names: Sequence[str], values: Sequence[float]) -> list[tuple[str, float]]:
    if len(names) != len(values):
        raise InvalidInputError(f"Expected a value for each of {len(names)} features; got {len(values)}.")
    pairs = zip(names, (float(v) for v in values), strict=True)
    return sorted(pairs, key=lambda pair: -abs(pair[1]))[:MOST]


def _cut(names: Sequence[str], notes: Sequence[str]) -> tuple[str, ...]:
    more = len(names) - MOST
    return (*notes, f"{more} more features, with smaller values, are not shown") if more > 0 else tuple(notes)


def _bars(page: Page, names: Sequence[str], values: Sequence[float], signed: bool) -> tuple[Axes, float]:
    """Horizontal bars with names at the left and numbers at the right; returns the axes and where they end."""
    room = min(_widest(names), 400.0)
    left, right = 24 + room + 16, 84
    axes = chart(page, left, TOP, WIDTH - left - right, 24 * len(names) + 8)
    for k, (name, value) in enumerate(zip(names, values, strict=True)):
        middle = TOP + 4 + 24 * (k + 0.5)
        lines = wrap(name, room, style.SMALL)
        page.text(24, middle, lines[0] + ("…" if len(lines) > 1 else ""), style.SMALL)
        text = f"{value:+.2f}" if signed else f"{value:.0%}"
        page.text(WIDTH - 24, middle, text.replace("-", "−"), style.SMALL, style.INK, align="right")
        axes.barh(k, value, 0.66, color=RAISES if signed and value > 0 else LOWERS, zorder=3)
    axes.set_ylim(len(names) - 0.34, -0.66)
    return axes, TOP + 24 * len(names) + 62.0


def _below(axes: Axes, places: np.ndarray, label: str = "") -> None:
    """Ticks and name of a horizontal axis."""
    axes.set_xticks(places)
    axes.set_xticklabels([f"{p:.10g}".replace("-", "−") for p in places])
    axes.grid(True, axis="x", color=style.RULE, linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    set_font(axes)
    if label:
        font = style.font(style.SMALL)
        axes.set_xlabel(style.printable(label), fontproperties=font, color=style.INK, parse_math=False)


def _widest(names: Sequence[str]) -> float:
    return max([text_width(style.printable(name), style.SMALL) for name in names] + [40.0]) * 1.18
