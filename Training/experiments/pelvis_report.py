"""The page of the PelvicSeg experiment, written from its ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manabi.pelvis.structures import ORGANS, PELVIS
from Training.experiments import page
from Training.experiments.brain_bench import Scores
from Training.experiments.brain_tables import Value, column, compared, value_of
from Training.experiments.slices_markdown import table
from Training.experiments.survival_figures import Panel, dots

PAGE = "pelvis_experiment.md"
METRICS = {
    "dice": ("Dice", 3), "hd95_mm": ("HD95, mm", 1), "surface_dice_2mm": ("surface Dice, 2 mm", 3),
    "surface_dice_3mm": ("surface Dice, 3 mm", 3), "volume_error_percent": ("volume, absolute error, %", 1),
    "volume_difference_percent": ("volume, difference, %", 1),
}  # fmt: skip
KINDS = {"slice": "one slice", "slices": "four slices", "volume": "blocks"}
PUBLISHED = {"prostate": 0.866, "seminal_vesicles": 0.740, "bladder": 0.957, "rectum": 0.853}
"""Dice of a two-step axial cross-attention U-Net, 275 patients to train, 15 to test (10.1117/12.2653387)."""
TITLES = {"kinds": "One slice, four slices, or blocks", "curve": "How many patients it takes"}
FOOTER = "Simulated patients. Bars: 95 % intervals, patients resampled."
ALPHA = 0.05
Results = Mapping[str, Any]


def write_page(results: Results, folder: Path) -> Path:
    """Write the page and the charts that follow from results.json into ``folder``."""
    return page.write_page(results, folder, PAGE, draw_all, text)


def text(results: Results, pictures: set[str]) -> str:
    """The page.

    Args:
        results: of results.json.
        pictures: file names of the pictures that are there; others are left out.
    """
    writers = {"kinds": _kinds, "curve": _curve}
    lines = page.parts(results, TITLES, writers, lambda _, about: _made_with(about))
    return page.shown([*_head(results), *lines], pictures)


def _head(results: Results) -> list[str]:
    about = next(iter(results.values()))["about"]
    whose = "Every CT is simulated (`manabi/phantoms/pelvis.py`); nothing here was measured on people." if about[
        "simulated"] else "The patients are those of a table."  # fmt: skip
    lines = [
        "# PelvicSeg: the source's comparison of inputs", "",
        f"Written by `python -m Training experiment pelvis`. {whose} Nakagawa's study (20 planning CTs) says that "
        "blocks looked better than slices, and gives no number.", "",
    ]  # fmt: skip
    quick = [name for name, part in results.items() if part["about"]["size"] == "quick"]
    if quick:
        lines += [f"**Quick size** ({', '.join(quick)}): small networks, little training. It shows what large effects "
                  "look like; the study's size is `--size full`, on a GPU.", ""]  # fmt: skip
    missing = [TITLES[name] for name in TITLES if name not in results]
    return [*lines, *([f"Not run: {', '.join(missing)}.", ""] if missing else [])]


def _made_with(about: Results) -> str:
    experiment, said = about["experiment"], []
    for kind, parts in about["kinds"].items():
        network, training = parts["network"], parts["training"]
        three = kind == "volume"
        size = network["crop_3d"] if three else f"{network['crop']}x{network['crop']}"
        items = network["items_3d"] if three else network["items_per_epoch"]
        filters = network["filters_3d"] if three else network["filters"]
        said.append(f"{KINDS[kind]}: {training['epochs']} epochs of {items} crops of {size}, batches of "
                    f"{training['batch_size']}, filters {filters}")  # fmt: skip
    return (
        f"{about['patients']} patients (`{experiment['data']}`), {experiment['folds']} folds with seed "
        f"{experiment['split_seed']}, {experiment['seeds']} training(s) of every arm; nobody chooses an epoch, the "
        f"last one is kept. {'; '.join(said)}. Device {about['device']}, torch {about['versions'].get('torch', '?')}. "
        "Scores on the images' own grids; mean and 95 % interval over patients."
    )


# --- tables -----------------------------------------------------------------------------------------------------------


def _kinds(part: Results) -> list[str]:
    arms = part["arms"]
    lines = []
    for organ in ORGANS:
        lines += [f"**{PELVIS[organ].words.capitalize()}**", ""]
        lines += table(["input", *(words for words, _ in METRICS.values())],
                       [[KINDS[kind], *_row(arm["scores"], [organ])] for kind, arm in arms.items()])  # fmt: skip
    lines += _compared(arms)
    lines += _published(arms)
    lines += table(["input", "weights", "minutes to train, all folds"],
                   [[KINDS[k], f"{a['weights']:,}", f"{a['seconds'] / 60:.0f}"] for k, a in arms.items()])  # fmt: skip
    return [*lines, "![Dice by input](images/pelvis_kinds.png)", ""]


def _row(scores: Scores, organs: Sequence[str]) -> list[str]:
    return [shown(value_of(column(scores, organs, name)), digits) for name, (_, digits) in METRICS.items()]


def shown(value: Value, digits: int) -> str:
    """A mean with its interval; a dash where there is none."""
    mean, low, high, _ = value
    if not np.isfinite(mean):
        return "–"
    if not np.isfinite(low):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _compared(arms: Results) -> list[str]:
    """The source's claim, and what was found: blocks above four slices above one."""
    wanted = [("volume", "slices"), ("slices", "slice"), ("volume", "slice")]
    pairs = [(a, b) for a, b in wanted if a in arms and b in arms]
    if not pairs:
        return []
    scores = {kind: arm["scores"] for kind, arm in arms.items()}
    rows = []
    for organs, words in [([o], PELVIS[o].words) for o in ORGANS] + [(list(ORGANS), "mean of all")]:
        for found in compared(scores, pairs, organs):
            verdict = _verdict(found["difference"], found["p_holm"])
            rows.append([words, f"{KINDS[found['first']]} − {KINDS[found['second']]}",
                         shown(found["difference"], 3), f"{found['p_holm']:.2g}", verdict])  # fmt: skip
    said = "Differences of Dice on the same patients; Wilcoxon's test, p adjusted by Holm over the pairs of an organ."
    return [said, "", *table(["organ", "comparison", "difference", "p", "first is"], rows)]


def _verdict(difference: Value, p: float) -> str:
    if p >= ALPHA:
        return "cannot be told"
    return "better" if difference[0] > 0 else "worse"


def _published(arms: Results) -> list[str]:
    """Beside published Dice on patients; an aim on phantoms, no comparison of methods."""
    rows = []
    for organ in ORGANS:
        cells = []
        for arm in arms.values():
            value = value_of(column(arm["scores"], [organ], "dice"))
            cells.append(f"{shown(value, 3)}: {_reached(value, PUBLISHED[organ])}")
        rows.append([PELVIS[organ].words, f"{PUBLISHED[organ]:.3f}", *cells])
    head = ["organ", "published, on patients", *(KINDS[kind] for kind in arms)]
    said = ("The aim, on phantoms: above the Dice that a two-step axial cross-attention U-Net reached on 15 patients "
            "(10.1117/12.2653387). Phantoms are not patients: reaching it says nothing about the methods' order. ?: "
            "the interval holds it.")  # fmt: skip
    return [said, "", *table(head, rows)]


def _reached(value: Value, aim: float) -> str:
    if value[1] > aim:
        return "reached"
    return "not reached" if value[2] < aim else "?"


def _curve(part: Results) -> list[str]:
    rows = []
    for count, arm in part["arms"].items():
        cells = [shown(value_of(column(arm["scores"], [organ], "dice")), 3) for organ in ORGANS]
        rows.append([count, *cells, shown(value_of(column(arm["scores"], list(ORGANS), "dice")), 3)])
    head = ["patients to train", *(PELVIS[organ].words for organ in ORGANS), "mean"]
    return ["Blocks; Dice. The same folds, and as many steps whatever the number of patients.", "", *table(head, rows),
            "![Dice by patients](images/pelvis_curve.png)", ""]  # fmt: skip


# --- charts -----------------------------------------------------------------------------------------------------------


def draw_all(results: Results, folder: Path) -> list[Path]:
    """Draw the charts of every part that was run."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for part, title in (("kinds", "Dice by what the network sees"), ("curve", "Dice by patients to train on")):
        if part not in results:
            continue
        arms = results[part]["arms"]
        names = {key: KINDS.get(key, f"{key} patients") for key in arms}
        panels = [Panel(PELVIS[organ].words.capitalize(), {
            names[key]: value_of(column(arm["scores"], [organ], "dice"))[:3] for key, arm in arms.items()
        }) for organ in ORGANS]  # fmt: skip
        drawn.append(dots(panels, title, folder / f"pelvis_{part}.png", FOOTER))
    return drawn
