"""Charts of the BrainSeg experiment, from ``results.json``; all say that the heads are simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font, text_width
from Training.experiments.brain_angio import INPUTS
from Training.experiments.brain_cases import PLACES

FOOTER = "Simulated heads, not patients. Bars: 95 % intervals, heads resampled."
SIDE = 24.0
Results = Mapping[str, Any]
Value = Sequence[Any]


@dataclass(frozen=True)
class Panel:
    """A chart: values by name, each ``[mean, low, high, ...]``, or lists of them along the labels of an axis."""

    title: str
    values: Mapping[str, Any]


def draw_all(results: Results, folder: Path) -> list[Path]:
    """Draw the charts of every part that was run."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"losses": draw_losses, "skips": draw_skips, "labels": draw_labels, "contrast": draw_contrast}
    return [path for part, draw in drawn.items() if part in results for path in draw(results[part], folder)]


def draw_losses(part: Results, folder: Path) -> list[Path]:
    """Mean Dice of every loss, a panel per problem."""
    panels = [
        Panel(name, {loss: row["dice"] for loss, row in problem["losses"].items()})
        for name, problem in part["problems"].items()
    ]
    return [dots(panels, "Dice by loss", folder / "brain_losses.png")]


def draw_skips(part: Results, folder: Path) -> list[Path]:
    """Mean Dice of large and small structures against the share of labelled slices."""
    order = sorted(part["fractions"], key=float)
    patterns = list(part["fractions"][order[0]]["patterns"])
    rows = [part["fractions"][key]["patterns"] for key in order]
    panels = [
        Panel(f"{group} structures", {p: [row[p][group] for row in rows] for p in patterns})
        for group in ("large", "small")
    ]
    labels = [f"{100 * float(key):g} %" for key in order]
    return [lines([panels], labels, "Dice by pattern of skips", "slices labelled", folder / "brain_skips.png")]


def draw_labels(part: Results, folder: Path) -> list[Path]:
    """Mean Dice of rebuilt labels and on held-out heads, a row per kind of fault."""
    rows = []
    for noise, cell in part["noises"].items():
        order = sorted(cell["fractions"], key=float)
        row = []
        for kind, words in (("rebuilt", "rebuilt labels"), ("test", "held-out heads")):
            values = {m: [cell["fractions"][key][m].get(kind) for key in order] for m in part["methods"]}
            values = {m: v for m, v in values.items() if any(one is not None for one in v)}
            if kind == "rebuilt":
                values["labels as painted, all slices"] = [cell["given_all"]] * len(order)
            row.append(Panel(f"{words}, faults: {noise}", values))
        rows.append(row)
    labels = [f"{100 * float(key):g} %" for key in order]
    return [lines(rows, labels, "Dice by method and labelled slices", "slices labelled", folder / "brain_labels.png")]


def draw_contrast(part: Results, folder: Path) -> list[Path]:
    """Vessels found with every input, and what the synthetic angiogram shows of vessels by place."""
    panels = [
        Panel(title, {name: part["inputs"][name]["metrics"][metric] for name in INPUTS})
        for title, metric in (("Dice", "dice"), ("clDice", "cl_dice"))
    ]
    panels += [
        Panel(f"found: {place}", {name: part["inputs"][name]["recall"][place] for name in INPUTS}) for place in PLACES
    ]
    images = part["synthesis"]["images"]
    seen = [Panel(place, {name: row[f"area_{place}"] for name, row in images.items()}) for place in PLACES]
    title = "Vessels told by brightness (area under the ROC curve)"
    return [
        dots(panels, "Vessels found, by input", folder / "brain_contrast.png"),
        dots(seen, title, folder / "brain_synthesis.png", chance=0.5),
    ]


# --- charts -----------------------------------------------------------------------------------------------------------


def dots(panels: Sequence[Panel], title: str, path: Path, chance: float | None = None) -> Path:
    """A row per name with its value and interval, panels side by side."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.values))
    gutter = max(text_width(name, style.SMALL) for name in names) + 14
    width, gap, row = (250.0 if len(panels) < 4 else 170.0), 24.0, 22.0
    across = max(gutter + len(panels) * (width + gap), text_width(title, style.TITLE, True))
    page = Page(int(2 * SIDE + across))
    page.text(SIDE, 26, title, style.TITLE, bold=True)
    top, height = 78.0, row * len(names)
    for n, name in enumerate(names):
        page.text(SIDE + gutter - 10, top + row * (n + 0.5), name, style.SMALL, align="right")
    for p, panel in enumerate(panels):
        left = SIDE + gutter + p * (width + gap)
        page.text(left, 60, panel.title, style.BODY, bold=True)
        axes = chart(page, left, top, width, height)
        for n, name in enumerate(names):
            axes.axhline(n, color=style.BAND, linewidth=0.8, zorder=0)
            _point(axes, panel.values.get(name), n, style.SERIES[0])
        if chance is not None:
            axes.axvline(chance, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.xaxis.set_major_locator(_locator())
        set_font(axes)
    return _finish(page, top + height + 34, path)


def lines(rows: Sequence[Sequence[Panel]], labels: Sequence[str], title: str, x_label: str, path: Path) -> Path:
    """Lines with intervals along an axis of labels; a row of panels per entry of ``rows``."""
    width, height, gap = 330.0, 220.0, 70.0
    page = Page(int(2 * SIDE + 40 + max(len(row) for row in rows) * (width + gap)))
    page.text(SIDE, 26, title, style.TITLE, bold=True)
    top, names = 62.0, list(dict.fromkeys(name for row in rows for panel in row for name in panel.values))
    for row in rows:
        for p, panel in enumerate(row):
            left = SIDE + 40 + p * (width + gap)
            page.text(left, top, panel.title, style.BODY, bold=True)
            axes = chart(page, left, top + 18, width, height, ("bottom", "left"))
            for name, values in panel.values.items():
                _line(axes, values, names.index(name), len(names))
            axes.set_xticks(range(len(labels)), labels)
            axes.set_xlim(-0.4, len(labels) - 0.6)
            axes.yaxis.set_major_locator(_locator())
            axes.set_xlabel(x_label, fontproperties=style.font(style.SMALL), color=style.INK)
            axes.set_ylabel("Dice", fontproperties=style.font(style.SMALL), color=style.INK)
            set_font(axes)
        top += height + 84
    left = SIDE + 40
    for n, name in enumerate(names):
        page.band(left, top - 6, 16, 3, style.SERIES[n % len(style.SERIES)])
        page.text(left + 22, top - 5, name, style.SMALL)
        left += 22 + text_width(name, style.SMALL) + 24
    return _finish(page, top + 14, path)


def _line(axes: Axes, values: Sequence[Value | None], number: int, count: int) -> None:
    """One series, moved a little aside so that intervals do not lie on each other."""
    color, aside = style.SERIES[number % len(style.SERIES)], 0.05 * (number - (count - 1) / 2)
    known = [(x + aside, value[0], value[1:3]) for x, value in enumerate(values) if value and value[0] is not None]
    axes.plot([x for x, *_ in known], [y for _, y, _ in known], "-o", color=color, markersize=4, linewidth=1.4)
    for x, _, ends in known:
        if None not in ends:
            axes.plot([x, x], ends, color=color, linewidth=1.1)


def _point(axes: Axes, value: Value | None, row: int, color: str) -> None:
    if value is None or value[0] is None:
        return
    axes.plot([value[0]], [row], "o", color=color, markersize=5)
    if value[1] is not None and value[2] is not None:
        axes.plot([value[1], value[2]], [row, row], color=color, linewidth=1.4)


def _locator() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def _finish(page: Page, top: float, path: Path) -> Path:
    page.paragraph(SIDE, top, FOOTER, page.width - 2 * SIDE, style.SMALL, style.MUTED)
    return page.save(path)
