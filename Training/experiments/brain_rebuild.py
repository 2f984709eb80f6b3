"""Part ``labels``: whole labels rebuilt from some faulty slices, and what a network learns from them.

The source (CARS 2020 and the grant's report, section 4.1): train on slices of which no two are neighbours, predict all
slices of the same heads, and take the prediction as the label: it fills gaps (propagation) and smooths what jumps from
slice to slice (cleansing). Beside it, on the same slices: a 3-D network with nnU-Net's partial loss (cross-entropy and
Dice over labelled voxels; Gotkowski et al., arXiv:2403.12834), a 3-D U-Net with class weights, unlabelled voxels
weighing nothing (Çiçek et al., MICCAI 2016, arXiv:1606.06650), and interpolation of shapes without any image.
In two dimensions, leaving unlabelled slices out is the partial loss; therefore the two partial losses are in three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manabi.brain.between import interpolate_shape
from manabi.phantoms.brain_faults import Faults, apply_faults
from Training.brain_losses import build_loss
from Training.experiments.brain_bench import EVERY, Bench, Scores, listed, numbered, numbers, target
from Training.experiments.brain_cases import BrainCase, stacked
from Training.experiments.brain_skips import kept_slices
from Training.experiments.brain_tables import column, compared, mean_of_seeds, value_of
from Training.structure_task import Labelled, Loss, StructureTask, Summed, loss_of, predict

IMAGES = ("heavy_t2",)
METHODS = ("slices", "partial", "sparse3d", "shape")
NOISES = ("none", "edges", "shifts", "leaks", "mixed")
SHOWN = 0
"""Training head of the figure of examples."""


@dataclass(frozen=True, eq=False)
class Painted:
    """Faulty labels of a training head, and which slices are kept.

    Attributes:
        labels: ``(slices, rows, columns)`` uint8, faulty on every slice.
        slices: those that a method may learn from.
    """

    labels: np.ndarray
    slices: tuple[int, ...]

    @property
    def given(self) -> np.ndarray:
        """What is there: the labelled slices, and nothing elsewhere."""
        out = np.zeros_like(self.labels)
        out[list(self.slices)] = self.labels[list(self.slices)]
        return out


def run(bench: Bench) -> dict[str, Any]:
    """Every method at every share of labelled slices and every kind of fault."""
    settings = bench.settings
    methods = listed(settings.methods, METHODS)
    out: dict[str, Any] = {"noises": {}, "methods": methods, "heads": [len(bench.train), len(bench.test)]}
    for noise in listed(settings.noises, NOISES):
        cells = {
            f"{fraction:g}": {
                method: [_arm(bench, method, noise, fraction, seed) for seed in range(settings.seeds)]
                for method in methods
            }
            for fraction in numbers(settings.label_fractions)
        }
        out["noises"][noise] = {
            "fractions": {key: {m: _row(runs) for m, runs in arms.items()} for key, arms in cells.items()},
            "given_all": _given_all(bench, noise),
            "gains": _gains(cells),
            "rivals": {key: _rivals(arms) for key, arms in cells.items()},
        }
    return out


def painted(bench: Bench, case: BrainCase, noise: str, fraction: float, seed: int) -> Painted:
    """Labels of a head as a reader left them; faults do not depend on the share of labelled slices."""
    truth, settings = target(case, EVERY), bench.settings
    faults = Faults(
        edge_px=settings.edge_px if noise in ("edges", "mixed") else 0,
        shift_px=settings.shift_px if noise in ("shifts", "mixed") else 0,
        leaks=settings.leaks if noise in ("leaks", "mixed") else 0,
        fault_seed=7919 * case.number + seed,
    )
    return Painted(apply_faults(truth, faults)[0], kept_slices(case, fraction, seed))


def dice_of(truth: np.ndarray, found: np.ndarray) -> dict[str, dict[str, float]]:
    """Dice of every structure; nan where neither holds it."""
    rows = {}
    for name, label in numbered(EVERY).items():
        a, b = truth == label, found == label
        total = float(a.sum() + b.sum())
        rows[name] = {"dice": 2 * float((a & b).sum()) / total if total else float("nan")}
    return rows


def _arm(bench: Bench, method: str, noise: str, fraction: float, seed: int) -> dict[str, Any]:
    def work(folder: Path) -> dict[str, Any]:
        """Make the painted labels whole, and score them."""
        labels = [painted(bench, case, noise, fraction, seed) for case in bench.train]
        truth = [target(case, EVERY) for case in bench.train]
        rebuilt, scores = _rebuilt(bench, method, f"{noise} {fraction:g}", labels, seed, folder)
        if seed == 0:
            name = f"{method}-{noise}-{fraction:g}"
            bench.keep_arrays("labels", name, truth=truth[SHOWN], given=labels[SHOWN].given, rebuilt=rebuilt[SHOWN])
        return {
            "scores": scores,
            "rebuilt": [dice_of(a, b) for a, b in zip(truth, rebuilt, strict=True)],
            "slices": sum(len(one.slices) for one in labels),
            "most": sum(len(one.labels) for one in labels),
        }

    key = {name: getattr(bench.settings, name) for name in ("base_loss", "edge_px", "shift_px", "leaks")}
    return bench.arm("labels", f"{method} {noise} {fraction:g}", seed, key, work)


def _rebuilt(
    bench: Bench, method: str, name: str, labels: Sequence[Painted], seed: int, folder: Path
) -> tuple[list[np.ndarray], Scores | None]:
    """Whole labels of the training heads, and scores of the test heads where the method learns a network."""
    if method == "shape":
        return [_interpolated(case, one) for case, one in zip(bench.train, labels, strict=True)], None
    return _learned(bench, method, name, labels, seed, folder)


def _interpolated(case: BrainCase, labels: Painted) -> np.ndarray:
    if not labels.given.any():
        return labels.given
    spacing = case.spacing_mm[::-1].tolist()
    return interpolate_shape(labels.given, labels.slices, spacing, reach_mm=2 * spacing[0])


def _learned(
    bench: Bench, method: str, name: str, labels: Sequence[Painted], seed: int, folder: Path
) -> tuple[list[np.ndarray], Scores]:
    """Rebuilt labels of the training heads, and scores of the test heads against clean truth."""
    heads = [
        Labelled(stacked(case, IMAGES), one.labels, one.slices) for case, one in zip(bench.train, labels, strict=True)
    ]
    dims = 2 if method == "slices" else 3
    task = StructureTask(
        bench.recipe, heads, _loss(bench, method), len(EVERY) + 1, f"labels {method} {name}", dims=dims,
        data_hash=f"{bench.data_hash} {seed}",
    )  # fmt: skip
    config = bench.training if dims == 2 else bench.config_3d()
    model = bench.fit(task, seed, folder, config)
    rebuilt = [predict(model, head.image, bench.device, dims) for head in heads]
    images = [stacked(case, IMAGES) for case in bench.test]
    return rebuilt, bench.scores(model, bench.test, images, EVERY, dims)


def _loss(bench: Bench, method: str) -> Loss:
    if method == "slices":
        return loss_of(bench.settings.base_loss)
    if method == "partial":
        return Summed((build_loss("cross_entropy", "none"), build_loss("dice", "none", background=False)))
    return build_loss("cross_entropy", "median")


# --- tables -----------------------------------------------------------------------------------------------------------


def _row(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One method at one share: mean Dice over structures of rebuilt and of held-out labels, and every structure's."""
    rebuilt = mean_of_seeds([{"scores": run["rebuilt"]} for run in runs])
    out: dict[str, Any] = {
        "rebuilt": value_of(column(rebuilt, EVERY, "dice")),
        "rebuilt_of": {name: value_of(column(rebuilt, [name], "dice")) for name in EVERY},
        "slices": [runs[0]["slices"], runs[0]["most"]],
    }
    if runs[0]["scores"] is not None:
        test = mean_of_seeds(runs)
        out["test"] = value_of(column(test, EVERY, "dice"))
        out["test_of"] = {name: value_of(column(test, [name], "dice")) for name in EVERY}
        out["test_hd95_mm"] = value_of(column(test, EVERY, "hd95_mm"))
    return out


def _given_all(bench: Bench, noise: str) -> list[float]:
    """Dice of the faulty labels themselves where every slice of the structures has one."""
    runs = []
    for seed in range(bench.settings.seeds):
        pairs = [(target(case, EVERY), painted(bench, case, noise, 1.0, seed)) for case in bench.train]
        runs.append({"scores": [dice_of(truth, one.given) for truth, one in pairs]})
    return value_of(column(mean_of_seeds(runs), EVERY, "dice"))


def _rivals(arms: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The source's method minus every other on the same slices; empty where it was not tried."""
    if "slices" not in arms:
        return {}
    rebuilt = {name: mean_of_seeds([{"scores": run["rebuilt"]} for run in runs]) for name, runs in arms.items()}
    test = {name: mean_of_seeds(runs) for name, runs in arms.items() if runs[0]["scores"] is not None}
    pairs = {kind: [("slices", name) for name in found if name != "slices"] for kind, found in
             (("rebuilt", rebuilt), ("test", test))}  # fmt: skip
    return {"rebuilt": compared(rebuilt, pairs["rebuilt"], EVERY), "test": compared(test, pairs["test"], EVERY)}


def _gains(cells: dict[str, dict[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """Fewer slices minus all slices, of the source's method, on rebuilt labels and on held-out heads.

    Empty where not all slices were tried, or where the source's method was not.
    """
    if "slices" not in cells.get("1", {}):
        return {}
    arms = {key: runs["slices"] for key, runs in cells.items()}
    rebuilt = {key: mean_of_seeds([{"scores": run["rebuilt"]} for run in runs]) for key, runs in arms.items()}
    test = {key: mean_of_seeds(runs) for key, runs in arms.items()}
    pairs = [(key, "1") for key in cells if key != "1"]
    return {"rebuilt": compared(rebuilt, pairs, EVERY), "test": compared(test, pairs, EVERY)}
