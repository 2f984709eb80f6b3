"""Charts of the survival and the grade experiment, from ``results.json``; all say that the patients are simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font, text_width

FOOTER = "Simulated cohorts, not patients. Bars: 95 % intervals over cohorts."
SIDE, ROW, WIDTH, GAP = 24.0, 22.0, 270.0, 28.0
Results = Mapping[str, Any]
Value = Sequence[float | None]


@dataclass(frozen=True)
class Panel:
    """A chart: ``[value, low, high]`` by name, and a level to compare them with."""

    title: str
    values: Mapping[str, Value]
    level: float | None = None


def draw_all(results: Results, folder: Path) -> list[Path]:
    """Draw the charts of every part that was run."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        "coverage": _coverage, "concordance": _concordance, "null": _null, "source": _source, "batch": _batch,
        "delta": _delta,
    }  # fmt: skip
    return [draw(results[part], folder / f"survival_{part}.png") for part, draw in drawn.items() if part in results]


def _coverage(part: Results, path: Path) -> Path:
    rows = part["ratios"].items()
    words = {"known": "the texture itself", "measured": "its best feature"}
    panels = [Panel(w, {f"HR {hr}": row[key]["covered"] for hr, row in rows}, 0.95) for key, w in words.items()]
    return dots(panels, "Intervals that hold the true effect", path)


def _concordance(part: Results, path: Path) -> Path:
    values: dict[str, Value] = {}
    for hr, row in part["ratios"].items():
        values |= {f"HR {hr}: oracle": [row["formula"], None, None], f"HR {hr}: oracle, censored": row["censored"],
                   f"HR {hr}: achieved": row["achieved"]}  # fmt: skip
    return dots([Panel("concordance", values, 0.5)], "What there is to be had, and what is achieved", path)


def _null(part: Results, path: Path) -> Path:
    words = {"named": "named beforehand", "best": "best of the training set", "peeped": "chosen with a peep"}
    panels = [
        Panel("log-rank p < .05", {words[k]: v for k, v in part["log_rank"].items()}, 0.05),
        Panel("permutation p ≤ .05", {words[k]: v for k, v in part["permutation"].items()}, 0.05),
    ]
    return dots(panels, "Found where there is nothing", path)


def _source(part: Results, path: Path) -> Path:
    words = {"named": "one feature, named", "best": "best of the training set", "two": "either of two",
             "top": "any of ten", "significant": "any significant", "peeped": "chosen with a peep"}  # fmt: skip
    panels = [Panel(name, {w: row[k] for k, w in words.items()}, part["p"]) for name, row in part["truths"].items()]
    return dots(panels, f"How often p ≤ {part['p']} in the validation set, by what is true", path)


def _batch(part: Results, path: Path) -> Path:
    keys = [f"{how}, {where}" for where in ("all", "within centres") for how in ("as they are", "ComBat")]
    panels = [Panel(name, {key: row[key] for key in keys}, 0.5) for name, row in part["truths"].items()]
    return dots(panels, "Concordance with four centres, by what is true", path)


def _delta(part: Results, path: Path) -> Path:
    words = {"best": "best of 17 sets", "inside": "chosen within the folds", "named": "one set, named",
             "oracle": "true hazard"}  # fmt: skip
    panels = [Panel(name, {w: row[k] for k, w in words.items()}, 0.5) for name, row in part["truths"].items()]
    return dots(panels, "C of changes in 26 patients, by what is true", path)


def dots(panels: Sequence[Panel], title: str, path: Path, footer: str = FOOTER) -> Path:
    """A row per name with its value and interval, panels side by side."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.values))
    gutter = max(text_width(name, style.SMALL) for name in names) + 14
    across = max(gutter + len(panels) * (WIDTH + GAP), text_width(title, style.TITLE, True))
    page = Page(int(2 * SIDE + across))
    page.text(SIDE, 26, title, style.TITLE, bold=True)
    top, height, limits = 78.0, ROW * len(names), _limits(panels)
    for n, name in enumerate(names):
        page.text(SIDE + gutter - 10, top + ROW * (n + 0.5), name, style.SMALL, align="right")
    for p, panel in enumerate(panels):
        left = SIDE + gutter + p * (WIDTH + GAP)
        page.text(left, 60, panel.title, style.BODY, bold=True)
        _panel(page, panel, names, left, top, height, limits)
    page.paragraph(SIDE, top + height + 34, footer, page.width - 2 * SIDE, style.SMALL, style.MUTED)
    return page.save(path)


def _limits(panels: Sequence[Panel]) -> tuple[float, float]:
    """One scale for all panels, with a little room."""
    numbers = [x for panel in panels for value in panel.values.values() for x in value if x is not None]
    numbers += [panel.level for panel in panels if panel.level is not None]
    low, high = min(numbers), max(numbers)
    room = 0.04 * max(high - low, 1e-3)
    return low - room, high + room


def _panel(
    page: Page, panel: Panel, names: Sequence[str], left: float, top: float, height: float,
    limits: tuple[float, float],
) -> None:  # fmt: skip
    axes = chart(page, left, top, WIDTH, height)
    for n, name in enumerate(names):
        axes.axhline(n, color=style.BAND, linewidth=0.8, zorder=0)
        value = panel.values.get(name)
        if value is None or value[0] is None:
            continue
        axes.plot([value[0]], [n], "o", color=style.SERIES[0], markersize=5)
        if value[1] is not None and value[2] is not None:
            axes.plot([value[1], value[2]], [n, n], color=style.SERIES[0], linewidth=1.4)
    if panel.level is not None:
        axes.axvline(panel.level, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(*limits)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    set_font(axes)
