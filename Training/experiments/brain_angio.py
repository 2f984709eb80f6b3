"""Part ``contrast``: an angiogram made from heavy T2, and whether it helps to find vessels.

The source (grant's report, section 4.2): Pix2Pix turns heavy T2 into an angiogram, and vessels are segmented from both.
A second channel may help because it brings knowledge, or only because the network is another one: therefore the same
network is also given noise, and a copy of heavy T2; the real angiogram is what could be reached at most. Pix2Pix learns
from heads of its own, whose vessels nobody labelled, so that no network segments an image that Pix2Pix had by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from manabi.brain.contrast import neighbours
from manabi.brain.structures import CLASSES
from manabi.context import Context
from manabi.inference import predict_stack
from Training.brain_contrast import ContrastTask
from Training.brain_pix2pix import Pair
from Training.experiments.brain_bench import Bench, parameters_of, target
from Training.experiments.brain_cases import PLACES, BrainCase
from Training.experiments.brain_tables import Scores, column, compared, mean_of_seeds, table_of, value_of
from Training.metrics import psnr, ssim
from Training.structure_task import Labelled, StructureTask, loss_of, predict

ALONE, SYNTHETIC, NOISE, COPY, REAL = (
    "heavy T2", "heavy T2 + synthetic MRA", "heavy T2 + noise", "heavy T2 + copy", "heavy T2 + real MRA"
)  # fmt: skip
INPUTS = (ALONE, SYNTHETIC, NOISE, COPY, REAL)
PAIRS = ((SYNTHETIC, ALONE), (SYNTHETIC, NOISE), (SYNTHETIC, COPY), (NOISE, ALONE), (COPY, ALONE), (REAL, SYNTHETIC))
"""What is compared: the first minus the second."""
VESSELS = ("vessels",)
SHOWN = 0
"""Test head of the figure of examples."""


def run(bench: Bench) -> dict[str, Any]:
    """Train Pix2Pix and, on other heads, a network for every input."""
    paired, heads = halves(bench)
    makers: list[dict[str, Any]] = []
    arms: dict[str, list[dict[str, Any]]] = {name: [] for name in INPUTS}
    for seed in range(bench.settings.seeds):
        quality, images = _synthetic(bench, paired, heads, seed)
        makers.append(quality)
        for name in INPUTS:
            arms[name].append(_arm(bench, heads, name, images, seed))
    means = {name: mean_of_seeds(runs) for name, runs in arms.items()}
    return {
        "heads": [len(paired), len(heads), len(bench.test)],
        "inputs": {name: _row(scores) for name, scores in means.items()},
        "tests": {
            metric: compared(means, PAIRS, VESSELS, metric)
            for metric in ("dice", "cl_dice", *(f"recall_{place}" for place in PLACES))
        },
        "synthesis": _synthesis(makers),
    }


def halves(bench: Bench) -> tuple[list[BrainCase], list[BrainCase]]:
    """Training heads for Pix2Pix, and those whose vessels are labelled; at least one each."""
    count = int(np.clip(round(bench.settings.pairs * len(bench.train)), 1, len(bench.train) - 1))
    return list(bench.train[:count]), list(bench.train[count:])


# --- the angiogram ----------------------------------------------------------------------------------------------------


def _synthetic(
    bench: Bench, paired: Sequence[BrainCase], heads: Sequence[BrainCase], seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """How good the test heads' synthetic angiograms are, and those of all heads by name."""
    file = bench.folder / "contrast" / f"synthetic-{seed}.npz"

    def work(folder: Path) -> dict[str, Any]:
        """Train, keep the synthetic angiograms, and score those of the test heads."""
        pairs = [Pair(case.images["heavy_t2"], case.images["tof"]) for case in paired]
        task = ContrastTask(bench.pix2pix, pairs, [], bench.data_hash)
        generator = bench.fit(task, seed, folder, bench.pix2pix_training).get_submodule("generator")
        made = {case.name: synthesised(generator, case, bench) for case in (*heads, *bench.test)}
        bench.keep_arrays("contrast", file.stem, **{name: image.astype(np.float16) for name, image in made.items()})
        level = level_of(heads)
        rows = [quality_of(case, made[case.name], level) for case in bench.test]
        return {"quality": rows, "level": level}

    key = {**bench.pix2pix.to_dict(), "pairs": bench.settings.pairs, "gan": bench.pix2pix_training.what_is_learned()}
    if not file.exists():
        (file.parent / f"Pix2Pix-{seed}.json").unlink(missing_ok=True)
    quality = bench.arm("contrast", "Pix2Pix", seed, key, work)
    with np.load(file) as stored:
        return quality, {name: stored[name].astype(np.float32) for name in stored.files}


def synthesised(generator: nn.Module, case: BrainCase, bench: Bench) -> np.ndarray:
    """A head's synthetic angiogram, 0 to 1, from one pass without noise."""
    source = case.images["heavy_t2"]
    stack = neighbours(source, range(len(source)), bench.pix2pix.context)
    return predict_stack(generator, stack, context=Context(device=bench.training.device, precision="float32"))[:, 0]


def level_of(heads: Sequence[BrainCase]) -> float:
    """Brightness from which the real angiograms of these heads agree best with their vessels (Dice, all voxels)."""
    image = np.concatenate([case.images["tof"].ravel() for case in heads])
    vessel = np.concatenate([(case.classes == CLASSES["vessels"]).ravel() for case in heads])
    levels = np.linspace(0.05, 0.95, 37)
    scores = [2 * (vessel & (image >= t)).sum() / max(vessel.sum() + (image >= t).sum(), 1) for t in levels]
    return float(levels[int(np.argmax(scores))])


def quality_of(case: BrainCase, made: np.ndarray, level: float) -> dict[str, dict[str, float]]:
    """Likeness to the real angiogram, and what is seen of vessels by place, for the synthetic one and two others.

    ``seen`` is the share of vessel voxels at least as bright as ``level``. ``area`` is that under the ROC curve of
    brightness for vessels among all voxels of the same place; ½ is chance. Heavy T2 is taken inverted, as vessels are
    dark there.
    """
    real, source = case.images["tof"], case.images["heavy_t2"]
    vessel = case.classes == CLASSES["vessels"]
    out = {}
    for name, image in (("synthetic", made), ("heavy T2", source), ("real", real)):
        bright = image >= level
        row = {"overlap": _dice(bright, real >= level), "vessel_dice": _dice(bright, vessel)}
        if name != "real":
            row |= {"psnr": psnr(real, image, 1.0), "ssim": _ssim(real, image)}
        for n, place in enumerate(PLACES):
            here = case.place == n
            row[f"seen_{place}"] = _share(bright[vessel & here])
            row[f"area_{place}"] = area(1 - image if name == "heavy T2" else image, vessel, here)
        out[name] = row
    return out


def area(image: np.ndarray, vessel: np.ndarray, here: np.ndarray) -> float:
    """Area under the ROC curve within a place (Mann and Whitney's U over its largest value); nan without vessels."""
    from scipy.stats import rankdata

    inside, outside = int((vessel & here).sum()), int((~vessel & here).sum())
    if not inside or not outside:
        return float("nan")
    ranks = rankdata(image[here])
    return float((ranks[vessel[here]].sum() - inside * (inside + 1) / 2) / (inside * outside))


def _ssim(real: np.ndarray, image: np.ndarray) -> float:
    """Mean over slices."""
    return float(np.mean([ssim(a, b, 1.0) for a, b in zip(real, image, strict=True)]))


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    total = float(a.sum() + b.sum())
    return 2 * float((a & b).sum()) / total if total else float("nan")


def _synthesis(makers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Quality over test heads, seeds averaged first."""
    scores = mean_of_seeds([{"scores": maker["quality"]} for maker in makers])
    rows = {
        image: {metric: value_of(column(scores, [image], metric)) for metric in values}
        for image, values in scores[0].items()
    }
    return {"images": rows, "level": makers[0]["level"]}


# --- vessels ----------------------------------------------------------------------------------------------------------


def channels(case: BrainCase, name: str, images: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a network is given, ``(1 or 2, slices, rows, columns)`` float32."""
    source = case.images["heavy_t2"]
    if name == ALONE:
        return source[None]
    rng = np.random.default_rng([17, case.number])
    second = {
        SYNTHETIC: lambda: images[case.name],
        NOISE: lambda: rng.random(source.shape, np.float32),
        COPY: lambda: source,
        REAL: lambda: case.images["tof"],
    }[name]()
    return np.stack([source, second]).astype(np.float32)


def _arm(
    bench: Bench, heads: Sequence[BrainCase], name: str, images: Mapping[str, np.ndarray], seed: int
) -> dict[str, Any]:
    epochs = bench.settings.contrast_epochs or bench.training.epochs

    def work(folder: Path) -> dict[str, Any]:
        """Train on these images, and score the test heads."""
        known = [
            Labelled(channels(case, name, images), target(case, VESSELS), tuple(range(len(case.classes))))
            for case in heads
        ]
        loss = loss_of(bench.settings.vessel_loss)
        task = StructureTask(bench.recipe, known, loss, 2, f"contrast {name}", data_hash=f"{bench.data_hash} {seed}")
        model = bench.fit(task, seed, folder, replace(bench.training, epochs=epochs))
        inputs = [channels(case, name, images) for case in bench.test]
        scores = bench.scores(model, bench.test, inputs, VESSELS)
        found = [predict(model, image, bench.device) for image in inputs]
        for row, case, prediction in zip(scores, bench.test, found, strict=True):
            row["vessels"] |= recall(case, prediction)
        if seed == 0:
            bench.keep_arrays("contrast", name.replace(" ", "_"), found=found[SHOWN])
        return {"scores": scores, "parameters": parameters_of(task)}

    key = {"loss": bench.settings.vessel_loss, "pairs": bench.settings.pairs, "vessel_epochs": epochs}
    if name == SYNTHETIC:
        key |= {**bench.pix2pix.to_dict(), **bench.pix2pix_training.what_is_learned()}
    return bench.arm("contrast", name, seed, key, work)


def recall(case: BrainCase, found: np.ndarray) -> dict[str, float]:
    """Share of vessel voxels that were found, by place."""
    vessel = case.classes == CLASSES["vessels"]
    return {f"recall_{place}": _share(found[vessel & (case.place == n)] > 0) for n, place in enumerate(PLACES)}


def _row(scores: Scores) -> dict[str, Any]:
    places = {place: value_of(column(scores, VESSELS, f"recall_{place}")) for place in PLACES}
    return {"metrics": table_of(scores)["vessels"], "recall": places}
