"""Charts of the MVCTConvert experiment, from ``results.json``; all say that patients and scanners are simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font, text_width
from Training.experiments.mvct_names import title

FOOTER = "Simulated patients and scanners."
BARS = "Bars: 95 % intervals, patients resampled."
SIDE, WIDTH, HEIGHT, GAP = 24.0, 300.0, 210.0, 84.0
EXTRA = ("#5b8fbf", "#d99a6c", "#7fae8b", "#444c56", "#b9770e")
"""Colours after the house's series, for a page of many converters."""
Results = Mapping[str, Any]


@dataclass(frozen=True)
class Series:
    """One line: values at places, with the ends of intervals where there are any."""

    x: Sequence[float]
    y: Sequence[float | None]
    ends: Sequence[Sequence[float | None]] = ()
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """A chart of several lines; ``ticks`` are the labelled places of the x axis."""

    title: str
    x_label: str
    y_label: str
    series: Mapping[str, Series]
    ticks: Mapping[float, str] | None = None
    logarithmic: bool = False


def draw_all(results: Results, folder: Path) -> list[Path]:
    """Draw the charts of every part that was run."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"amount": draw_amount, "quality": draw_quality, "hallucination": draw_lesions, "gate": draw_gate}
    paths = [draw(results[part], folder) for part, draw in drawn.items() if part in results]
    return [*paths, draw_cbct(results["cbct"], folder)] if "cbct" in results else paths


def draw_amount(part: Results, folder: Path) -> Path:
    """DIG, CNR and MAE against the number of slices."""
    amounts = part["amounts"]
    places = list(np.log2(amounts))
    ticks = dict(zip(places, (str(n) for n in amounts), strict=True))
    panels = []
    for metric, words in (("dig_a", "DIG-a, HU/mm"), ("dig_b", "DIG-b, HU/mm"), ("cnr_muscle_fat", "CNR muscle–fat"),
                          ("mae_hu", "MAE, HU")):  # fmt: skip
        series = {
            method: _series(places, [row[str(n)][metric] for n in amounts]) for method, row in part["rows"].items()
        }
        for name in ("input", "truth"):
            value = part[name].get(metric)
            if value and value[0] is not None and value[0] > 0:
                key = "kvct" if name == "truth" else name
                series[key] = Series([places[0], places[-1]], [value[0]] * 2, dashed=True)
        panels.append(Panel(words, "megavoltage slices", words, series, ticks))
    text = f"{BARS} {part['seeds']} trainings averaged first."
    return lines(panels, "Distortion against the number of slices", folder / "mvct_amount.png", text, across=2)


def draw_quality(part: Results, folder: Path) -> Path:
    """Noise power and edge MTF of every converter."""
    return _curves(part, folder / "mvct_curves.png", "Noise and resolution, megavoltage CT")


def draw_cbct(part: Results, folder: Path) -> Path:
    """The same for cone-beam CT."""
    return _curves(part, folder / "mvct_cbct_curves.png", "Noise and resolution, cone-beam CT")


def _curves(part: Results, path: Path, words: str) -> Path:
    """The lowest frequency holds the mean, which is taken off before: it is left out."""
    found = part["curves"]
    noise = {
        n: Series(c["noise"]["frequency"][1:], [max(v, 1e-3) for v in c["noise"]["value"][1:]])
        for n, c in found.items()
    }
    mtf = {n: Series(c["mtf"]["frequency"], c["mtf"]["value"]) for n, c in found.items()}
    panels = [
        Panel("Noise power in flat soft tissue", "1/mm", "HU² mm²", noise, logarithmic=True),
        Panel("Edge MTF at the skin", "line pairs per mm", "transfer", mtf),
    ]
    return lines(panels, words, path, "Means over test patients.", across=2)


def draw_lesions(part: Results, folder: Path) -> Path:
    """Share of contrast recovered against diameter, a panel per contrast."""
    panels = []
    sizes = part["sizes"]
    ticks = {float(size): f"{size:g}" for size in sizes}
    for hu in part["contrasts"]:
        series = {
            name: _series(sizes, [cells[f"{size:g}|{hu:g}"]["recovered"] for size in sizes])
            for name, cells in part["recovered"].items()
        }
        panels.append(Panel(f"{hu:+g} HU", "diameter, mm", "share recovered", series, ticks))
    return lines(panels, "Contrast of inserted lesions", folder / "mvct_lesions.png", BARS, across=3)


def draw_gate(part: Results, folder: Path) -> Path:
    """ROC of the gate, before and after converting."""
    words = {"before": "input alone", "after": "with the conversion"}
    series = {}
    for stage, name in words.items():
        x, y = roc(part["cases"], stage)
        auc = part["auc"][stage][0]
        series[f"{name} (area {auc:.3f})"] = Series(x, y)
    series["chance"] = Series([0.0, 1.0], [0.0, 1.0], dashed=True)
    panel = Panel("Bad inputs against good ones", "false alarms", "caught", series)
    text = f"{part['patients']} good inputs, {part['auc']['before'][3]} others."
    return lines([panel], "ROC of the gate", folder / "mvct_gate.png", text, across=1)


def roc(cases: Sequence[Mapping[str, Any]], stage: str) -> tuple[list[float], list[float]]:
    """False alarms and share caught, as the limit falls."""
    good = np.array([case[stage]["score"] for case in cases if case["name"] == "good"])
    bad = np.array([case[stage]["score"] for case in cases if case["name"] != "good"])
    limits = np.r_[np.inf, np.sort(np.unique(np.r_[good, bad]))[::-1]]
    return [float((good >= v).mean()) for v in limits], [float((bad >= v).mean()) for v in limits]


# --- charts -----------------------------------------------------------------------------------------------------------


def lines(panels: Sequence[Panel], words: str, path: Path, text: str, across: int) -> Path:
    """Panels of lines in rows, with one legend below."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.series))
    columns = min(across, len(panels))
    page = Page(int(2 * SIDE + 56 + columns * WIDTH + (columns - 1) * GAP + 20))
    page.text(SIDE, 26, words, style.TITLE, bold=True)
    top = 62.0
    for n, panel in enumerate(panels):
        if n and n % columns == 0:
            top += HEIGHT + 84
        _panel(page, panel, SIDE + 56 + (n % columns) * (WIDTH + GAP), top, names)
    end = _legend(page, names, top + HEIGHT + 72)
    page.paragraph(SIDE, end, f"{FOOTER} {text}", page.width - 2 * SIDE, style.SMALL, style.MUTED)
    return page.save(path)


def _panel(page: Page, panel: Panel, left: float, top: float, names: Sequence[str]) -> None:
    page.text(left, top, panel.title, style.BODY, bold=True)
    axes = chart(page, left, top + 18, WIDTH, HEIGHT, ("bottom", "left"))
    for name, series in panel.series.items():
        _line(axes, series, color(names.index(name)), panel.ticks is not None)
    if panel.logarithmic:
        axes.set_yscale("log")
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    if panel.ticks is None:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    else:
        axes.set_xticks(list(panel.ticks), list(panel.ticks.values()))
    axes.set_xlabel(panel.x_label, fontproperties=style.font(style.SMALL), color=style.INK)
    axes.set_ylabel(panel.y_label, fontproperties=style.font(style.SMALL), color=style.INK)
    set_font(axes)


def _line(axes: Axes, series: Series, shade: str, marked: bool) -> None:
    known = [(x, y, k) for k, (x, y) in enumerate(zip(series.x, series.y, strict=True)) if y is not None]
    mark = "o" if marked and not series.dashed else None
    kind = (0, (4, 3)) if series.dashed else "solid"
    xs, ys = np.array([x for x, *_ in known]), np.array([y for _, y, _ in known], float)
    axes.plot(xs, ys, marker=mark, markersize=4, color=shade, linewidth=1.4,
              linestyle=kind)  # fmt: skip
    for x, _, k in known:
        ends = series.ends[k] if series.ends else (None, None)
        if None not in ends:
            axes.plot([x, x], np.array(ends, float), color=shade, linewidth=1.0)


def _series(places: Sequence[float], values: Sequence[Sequence[float | None]]) -> Series:
    return Series(list(places), [value[0] for value in values], [value[1:3] for value in values])


def _legend(page: Page, names: Sequence[str], top: float) -> float:
    left = SIDE
    for n, name in enumerate(names):
        wide = 22 + text_width(title(name), style.SMALL) + 20
        if left > SIDE and left + wide > page.width - SIDE:
            left, top = SIDE, top + 20
        page.band(left, top - 1, 16, 3, color(n))
        page.text(left + 22, top, title(name), style.SMALL)
        left += wide
    return top + 14


def color(number: int) -> str:
    """Of a line."""
    shades = (*style.SERIES, *EXTRA)
    return shades[number % len(shades)]
