"""Part ``losses``: twelve losses, one structure at a time and all at once, ranked as the source did and corrected.

Sugino T et al., Healthcare 2021;9:938, 10.3390/healthcare9080938. Images are heavy T2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manabi.brain.structures import STRUCTURES
from Training.experiments.brain_bench import (
    EVERY,
    LOSSES,
    READINGS,
    Bench,
    Settings,
    labelled,
    listed,
    parameters_of,
)
from Training.experiments.brain_cases import stacked
from Training.experiments.brain_tables import column, mean_of_seeds, rankings, spread, table_of, value_of
from Training.structure_task import StructureTask, loss_of

IMAGES = ("heavy_t2",)
MULTI = "multi-class"


def problems(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Name of every segmentation problem to its structures."""
    single = [] if settings.single in ("", "none") else listed(settings.single, STRUCTURES)
    return {**{name: (name,) for name in single}, **({MULTI: EVERY} if settings.multi else {})}


def arms_of(settings: Settings) -> list[str]:
    """Losses to train: those chosen of the twelve, then other readings."""
    return [*listed(settings.losses, LOSSES), *(READINGS if settings.readings else ())]


def run(bench: Bench) -> dict[str, Any]:
    """Train every loss on every problem; tables, rankings, and what is stable."""
    out: dict[str, Any] = {"problems": {}}
    for problem, structures in problems(bench.settings).items():
        arms = {
            loss: [_arm(bench, problem, structures, loss, seed) for seed in range(bench.settings.seeds)]
            for loss in arms_of(bench.settings)
        }
        out["problems"][problem] = _summary(arms, structures)
    return out


def _arm(bench: Bench, problem: str, structures: Sequence[str], loss: str, seed: int) -> dict[str, Any]:
    def work(folder: Path) -> dict[str, Any]:
        """Train with the loss, and score the test heads."""
        heads = labelled(bench.train, structures, IMAGES)
        task = StructureTask(
            bench.recipe, heads, loss_of(loss), len(structures) + 1, f"{problem} {loss}", data_hash=bench.data_hash
        )
        model = bench.fit(task, seed, folder)
        images = [stacked(case, IMAGES) for case in bench.test]
        return {"scores": bench.scores(model, bench.test, images, structures), "parameters": parameters_of(task)}

    return bench.arm("losses", f"{problem} {loss}", seed, {"structures": list(structures)}, work)


def _summary(arms: Mapping[str, Sequence[dict[str, Any]]], structures: Sequence[str]) -> dict[str, Any]:
    """Tables of one problem; only the twelve are ranked."""
    means = {name: mean_of_seeds(runs) for name, runs in arms.items()}
    ranked = {name: scores for name, scores in means.items() if name in LOSSES}
    return {
        "structures": list(structures),
        "heads": len(next(iter(means.values()))),
        "losses": {
            name: {
                "dice": value_of(column(means[name], structures, "dice")),
                "hd95_mm": value_of(column(means[name], structures, "hd95_mm")),
                "metrics": table_of(means[name]),
                **spread(arms[name], structures),
            }
            for name in arms
        },
        "rankings": rankings(ranked),
    }
