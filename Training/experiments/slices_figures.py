"""Figures of the SliceMarker experiment, from ``results.json``; all say that the patients are simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from manabi.plotting import style
from manabi.plotting.page import Page, chart, set_font, text_width
from manabi.slices.reading import MARKERS, NAMES
from Training.experiments.slices_whole import OURS, PARTS, RULES
from Training.slices_paper import PaperCase

FOOTER = "Simulated phantoms, not patients."
REACH = 5
"""Offsets beyond are drawn together at the figure's ends."""
FULL_BIN = 10
"""A bin of the reliability with fewer answers is drawn hollow and apart."""
SIDE = 24.0
CASES = 4
"""Rows of the figure of examples."""
Results = Mapping[str, Any]


def shown_methods(results: Results, most: int = 4) -> list[str]:
    """Ours, the networks that are most often within one slice, and the rules: as many as a figure holds."""
    known = list(results["offsets"])
    trained = [name for name in known if name not in (OURS, RULES, *PARTS)]
    networks = sorted(trained, key=lambda name: -_score(results, name))
    rules = [RULES] if RULES in known else []
    ours = [OURS] if OURS in known else []
    return [*ours, *networks[: most - len(ours) - len(rules)], *rules]


def _score(results: Results, name: str) -> float:
    shares = [row["within_1"][0] or 0.0 for row in results["distance"][name].values()]
    return float(np.mean(shares)) if shares else 0.0


def draw_offsets(results: Results, path: Path) -> Path:
    """How far predicted slices lie from the true one, per marker (the source's figure 5).

    Every predicted slice counts, so a method may have more or fewer than one per case. Offsets are in slices of 4 mm,
    towards the head.
    """
    methods = shown_methods(results)
    width, height, gap = 300.0, 250.0, 66.0
    page = Page(int(SIDE + 40 + len(MARKERS) * (width + gap)))
    page.text(SIDE, 26, "Predicted slices around the true one", style.TITLE, bold=True)
    for n, marker in enumerate(MARKERS):
        left = SIDE + 40 + n * (width + gap)
        page.text(left, 66, NAMES[marker], style.HEADING, bold=True)
        axes = chart(page, left, 86, width, height, ("bottom", "left"))
        for m, name in enumerate(methods):
            found = results["offsets"][name].get(marker, {})
            axes.plot(range(-REACH, REACH + 1), _ends_together(found), "-o", color=style.SERIES[m], markersize=4,
                      linewidth=1.5, zorder=len(methods) - m)  # fmt: skip
        axes.axvspan(-1.5, 1.5, color=style.BAND, zorder=0)
        axes.set_xticks([-REACH, -3, -1, 0, 1, 3, REACH], [f"≤−{REACH}", "−3", "−1", "0", "1", "3", f"≥{REACH}"])
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_ylim(bottom=0)
        axes.set_xlabel("slices towards the head", fontproperties=style.font(style.SMALL), color=style.INK)
        if n == 0:
            axes.set_ylabel("predicted slices", fontproperties=style.font(style.SMALL), color=style.INK)
        set_font(axes)
    top = 86 + height + 62
    left = SIDE + 40
    for m, name in enumerate(methods):
        page.band(left, top - 1, 16, 3, style.SERIES[m])
        page.text(left + 22, top, name, style.SMALL)
        left += 22 + text_width(name, style.SMALL) + 26
    return _finish(page, top + 16, path, "Grey: within one slice, which counts as right (1-Up-Down).")


def _ends_together(found: Mapping[Any, int]) -> list[int]:
    """Counts from ``-REACH`` to ``REACH``, the ends holding everything beyond."""
    counts = [0] * (2 * REACH + 1)
    for offset, count in found.items():
        counts[int(np.clip(int(offset), -REACH, REACH)) + REACH] += int(count)
    return counts


def draw_reliability(results: Results, path: Path) -> Path | None:
    """How often our answers of a confidence are right; None where ours was left out."""
    table = results["calibration"]
    if not table:
        return None
    kinds = [kind for kind in ("whole", "truncated") if kind in table]
    width, height, gap = 300.0, 300.0, 90.0
    page = Page(int(max(SIDE + 50 + len(kinds) * (width + gap), 480)))
    page.text(SIDE, 26, "Confidence and how often it is right", style.TITLE, bold=True)
    for n, kind in enumerate(kinds):
        left, row = SIDE + 50 + n * (width + gap), table[kind]
        page.text(left, 66, f"{kind} CTs, ECE {row['ece']:.3f}", style.HEADING, bold=True)
        axes = chart(page, left, 86, width, height, ("bottom", "left"))
        axes.plot([0, 1], [0, 1], color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        bins = list(zip(row["confidence"], row["right"], row["count"], strict=True))
        full = [(x, y) for x, y, count in bins if count >= FULL_BIN]
        axes.plot([x for x, *_ in bins], [y for _, y, _ in bins], "o", color=style.AFTER, mfc="white", markersize=5)
        axes.plot([x for x, _ in full], [y for _, y in full], "-o", color=style.AFTER, markersize=5, linewidth=1.5)
        for x, y, count in bins:
            axes.annotate(str(count), (x, y), (0, -12), textcoords="offset points", ha="center",
                          fontproperties=style.font(style.SMALL), color=style.MUTED)  # fmt: skip
        axes.set(xlim=(-0.02, 1.05), ylim=(-0.08, 1.05))
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
        axes.set_xlabel("mean confidence", fontproperties=style.font(style.SMALL), color=style.INK)
        if n == 0:
            axes.set_ylabel("share that is right", fontproperties=style.font(style.SMALL), color=style.INK)
        set_font(axes)
    note = f"Numbers: answers in the bin; hollow where fewer than {FULL_BIN}. Dashed: perfect calibration."
    return _finish(page, 86 + height + 54, path, note)


def draw_examples(results: Results, tests: Sequence[PaperCase], path: Path) -> Path:
    """Test patients (rows, of different pathology where there are) at the slices a method chose for each marker.

    Shown is ours where it ran, else the first method.
    """
    method = next(iter(shown_methods(results, 4)))
    rows = _examples(results, CASES)
    tile, gap, left = 200.0, 8.0, SIDE + 24
    page = Page(int(left + len(MARKERS) * (tile + gap) + SIDE))
    page.text(SIDE, 26, f"Chosen slices: {method}", style.TITLE, bold=True)
    top = 56.0
    for m, marker in enumerate(MARKERS):
        page.text(left + m * (tile + gap) + tile / 2, top, NAMES[marker], style.HEADING, bold=True, align="center")
    top += 18
    for row in rows:
        page.text(SIDE + 4, top + tile / 2, results["patients"][row]["pathology"], align="center", rotation=90)
        for m, marker in enumerate(MARKERS):
            x = left + m * (tile + gap)
            answer = results["answers"][method][marker][row] if marker in results["answers"][method] else None
            _example(page, x, top, tile, tests[row], answer)
        top += tile + 26
    return _finish(page, top, path, "Below: slices of 4 mm from the true one, and confidence. R: the patient's right.")


def _examples(results: Results, count: int) -> list[int]:
    """Patients of as many different pathologies as there are rows, then the first ones."""
    kinds = [row["pathology"] for row in results["patients"]]
    first = [kinds.index(kind) for kind in dict.fromkeys(kinds)]
    rest = [n for n in range(len(kinds)) if n not in first]
    return sorted([*first, *rest][:count])


def _example(page: Page, x: float, top: float, tile: float, case: PaperCase, answer: Mapping[str, Any] | None) -> None:
    """One slice from the feet: the patient's right on the left, the front at the top."""
    axes = page.axes(x, top, tile, tile)
    axes.set_facecolor("black")
    if answer is None or answer["top"] is None:
        page.text(x + tile / 2, top + tile / 2, "no answer", color=style.RULE, align="center")
        return
    axes.imshow(case.images[answer["top"]][::-1, ::-1], cmap="gray", vmin=0, vmax=255, aspect="equal")
    axes.text(0.03, 0.94, "R", color="white", transform=axes.transAxes, fontproperties=style.font(style.SMALL))
    page.text(x + tile / 2, top + tile + 9, _caption(answer), style.SMALL, align="center")


def _caption(answer: Mapping[str, Any]) -> str:
    sure = "" if answer["confidence"] is None else f", {answer['confidence']:.0%} sure"
    if answer["truth"] is None:
        return f"not in the image{sure}"
    return f"{answer['top'] - answer['truth']:+d}{sure}".replace("+0", "0").replace("-", "−")


def _finish(page: Page, top: float, path: Path, text: str) -> Path:
    page.paragraph(SIDE, top, f"{text} {FOOTER}", page.width - 2 * SIDE, style.SMALL, style.MUTED)
    path.parent.mkdir(parents=True, exist_ok=True)
    return page.save(path)
