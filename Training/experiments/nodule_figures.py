"""FROC curves of the NoduleSynth experiment, from ``results.json``: the source's figure 3 for what was run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font, text_width
from Training.experiments.nodule_names import DOMAINS, title

SIDE, WIDTH, HEIGHT, GAP = 24.0, 380.0, 280.0, 84.0
TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4)
EXTRA = ("#444c56",)
"""Colour after the house's series."""
FOOTER = (
    "Simulated films and nodules. Sensitivity against false positives per film, logarithmic; the dashed line is 0.2, "
    "where the source reports."
)
Results = Mapping[str, Any]


def draw_all(results: Results, folder: Path) -> list[Path]:
    """Draw the curves of every part that was run."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    if "arms" in results:
        part = results["arms"]
        panels = {DOMAINS[name]: found for name, found in part["domains"].items()}
        paths.append(draw(panels, part["arms"], "FROC of every arm", folder / "nodule_froc.png"))
    if "finetune" in results:
        part = results["finetune"]
        names = [f"{name}_tuned" for name in part["arms"]]
        panel = {"rates": part["rates"], "curves": dict(part["curves"])}
        if "arms" in results and "held_out" in results["arms"]["domains"]:
            before = results["arms"]["domains"]["held_out"]["curves"]
            panel["curves"].update({name: before[name] for name in part["arms"] if name in before})
            names += [name for name in part["arms"] if name in before]
        words = "FROC with and without fine-tuning"
        paths.append(draw({DOMAINS["held_out"]: panel}, names, words, folder / "nodule_tuned.png"))
    return paths


def draw(panels: Mapping[str, Results], names: Sequence[str], words: str, path: Path) -> Path:
    """A panel per set of films, with one legend below.

    Args:
        panels: by heading ``rates`` and ``curves`` by arm.
        names: of the arms, in the legend's order.
        words: heading of the page.
        path: of the PNG.
    """
    page = Page(int(max(2 * SIDE + 56 + len(panels) * WIDTH + (len(panels) - 1) * GAP + 20, 640)))
    page.text(SIDE, 26, words, style.TITLE, bold=True)
    for number, (heading, found) in enumerate(panels.items()):
        _panel(page, heading, found, names, SIDE + 56 + number * (WIDTH + GAP))
    end = _legend(page, names, 62 + HEIGHT + 88)
    page.paragraph(SIDE, end, FOOTER, page.width - 2 * SIDE, style.SMALL, style.MUTED)
    return page.save(path)


def _panel(page: Page, heading: str, found: Results, names: Sequence[str], left: float) -> None:
    page.text(left, 62, heading, style.BODY, bold=True)
    axes: Axes = chart(page, left, 80, WIDTH, HEIGHT, ("bottom", "left"))
    places = np.log2(found["rates"])
    for number, name in enumerate(names):
        if name in found["curves"]:
            axes.plot(places, found["curves"][name], color=color(number), linewidth=1.5, linestyle=_style(number))
    axes.axvline(np.log2(0.2), color=style.RULE, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xticks(list(np.log2(TICKS)), [f"{t:g}" for t in TICKS])
    axes.set_xlim(np.log2(TICKS[0]), np.log2(TICKS[-1]))
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", "20", "40", "60", "80", "100"])
    axes.set_xlabel("false positives per film", fontproperties=style.font(style.SMALL), color=style.INK)
    axes.set_ylabel("sensitivity, %", fontproperties=style.font(style.SMALL), color=style.INK)
    set_font(axes)


def _legend(page: Page, names: Sequence[str], top: float) -> float:
    left = SIDE
    for number, name in enumerate(names):
        wide = 30 + text_width(title(name), style.SMALL) + 20
        if left > SIDE and left + wide > page.width - SIDE:
            left, top = SIDE, top + 20
        parts = [(0.0, 24.0)] if _style(number) == "solid" else [(0.0, 9.0), (14.0, 9.0)]
        for start, width in parts:
            page.band(left + start, top - 1, width, 3, color(number))
        page.text(left + 30, top, title(name), style.SMALL)
        left += wide
    return top + 20


def color(number: int) -> str:
    """Of a curve."""
    shades = (*style.SERIES, *EXTRA)
    return shades[number % len(shades)]


def _style(number: int) -> Any:
    """Every other curve is dashed, so that two that lie on each other are both seen."""
    return "solid" if number % 2 == 0 else (0, (5, 2))
