"""Part ``skips``: five patterns of skip connections where fewer and fewer slices are labelled.

Sugino T et al., Med Phys 2021;48:7215, 10.1002/mp.15192, and the follow-up on basal ganglia: vertical skips help small,
blurred structures, and both kinds together are best. Images are heavy T2; labels are clean; slices of the training
heads are left out so that no two labelled ones are neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manabi.networks.skipnet import PATTERNS
from manabi.phantoms.brain_faults import drop_slices
from Training.experiments.brain_bench import EVERY, Bench, listed, numbers, parameters_of, target
from Training.experiments.brain_cases import BrainCase, stacked
from Training.experiments.brain_tables import Scores, column, compared, mean_of_seeds, table_of, value_of
from Training.structure_task import Labelled, StructureTask, loss_of

IMAGES = ("heavy_t2",)
GROUPS = {"large": ("cerebrum", "cerebellum"), "small": ("brainstem", "ventricles", "vessels")}
"""Structures by size; the source names small and blurred ones, which of ours these are is our choice."""
REFERENCE = "horizontal"
"""U-Net."""


def run(bench: Bench) -> dict[str, Any]:
    """Train every pattern at every share of labelled slices."""
    patterns = listed(bench.settings.patterns, PATTERNS)
    out: dict[str, Any] = {"fractions": {}, "parameters": {}}
    for fraction in numbers(bench.settings.skip_fractions):
        arms = {
            pattern: [_arm(bench, pattern, fraction, seed) for seed in range(bench.settings.seeds)]
            for pattern in patterns
        }
        means = {pattern: mean_of_seeds(runs) for pattern, runs in arms.items()}
        out["fractions"][f"{fraction:g}"] = _summary(means)
        out["parameters"] = {pattern: runs[0]["parameters"] for pattern, runs in arms.items()}
        out["slices"] = {**out.get("slices", {}), f"{fraction:g}": arms[patterns[0]][0]["slices"]}
    return out


def kept_slices(case: BrainCase, fraction: float, seed: int) -> tuple[int, ...]:
    """Labelled slices of a head, no two neighbours where the share allows; the same for every arm of a seed."""
    rng = np.random.default_rng([seed, case.number, round(1000 * fraction)])
    return tuple(int(k) for k in np.flatnonzero(drop_slices(case.classes, fraction, rng)[1]))


def _arm(bench: Bench, pattern: str, fraction: float, seed: int) -> dict[str, Any]:
    def work(folder: Path) -> dict[str, Any]:
        """Train on the painted slices, and score the test heads."""
        heads = [
            Labelled(stacked(case, IMAGES), target(case, EVERY), kept_slices(case, fraction, seed))
            for case in bench.train
        ]
        loss = loss_of(bench.settings.base_loss)
        name = f"skips {pattern} {fraction:g} {bench.settings.base_loss}"
        task = StructureTask(
            bench.recipe, heads, loss, len(EVERY) + 1, name, pattern=pattern, data_hash=f"{bench.data_hash} {seed}"
        )
        model = bench.fit(task, seed, folder)
        images = [stacked(case, IMAGES) for case in bench.test]
        scores = bench.scores(model, bench.test, images, EVERY)
        return {"scores": scores, "parameters": parameters_of(task), "slices": sum(len(h.slices) for h in heads)}

    return bench.arm("skips", f"{pattern} {fraction:g}", seed, {"loss": bench.settings.base_loss}, work)


def _summary(means: dict[str, Scores]) -> dict[str, Any]:
    """Tables at one share."""
    rows = {
        pattern: {
            "metrics": table_of(scores),
            **{group: value_of(column(scores, names, "dice")) for group, names in GROUPS.items()},
            **{f"{group}_hd95_mm": value_of(column(scores, names, "hd95_mm")) for group, names in GROUPS.items()},
        }
        for pattern, scores in means.items()
    }
    return {"patterns": rows, "tests": {group: _tests(means, names) for group, names in GROUPS.items()}}


def _tests(means: dict[str, Scores], structures: Sequence[str]) -> list[dict[str, Any]]:
    """Every other pattern against U-Net, crossover against every other, and vertical against none."""
    pairs = [(name, REFERENCE) for name in means if name != REFERENCE and REFERENCE in means]
    if "crossover" in means:
        pairs += [("crossover", name) for name in means if name not in ("crossover", REFERENCE)]
    if {"vertical", "none"} <= set(means):
        pairs.append(("vertical", "none"))
    return compared(means, pairs, structures)
