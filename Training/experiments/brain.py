"""BrainSeg's sources on simulated heads: ``python -m Training experiment brain --size quick|full``.

Four parts, each on its own with ``--set experiment.parts=losses`` (``skips``, ``labels``, ``contrast``): what the
papers and the report of Sugino claim of losses, skip connections, imperfect labels and a missing contrast, on heads of
:class:`manabi.phantoms.brain.BrainPhantom`, in slices as there, split by patient. ``full`` is meant for a GPU;
``quick`` is a handful of coarse heads, small networks and few images, and the page says so. Settings:
``--set experiment.X=`` (:class:`Training.experiments.brain_bench.Settings`), ``recipe.X=``
(:class:`Training.structure_task.StructureRecipe`), ``training.X=`` (the engine's), ``pix2pix.X=`` and
``pix2pix_training.X=``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from manabi.io.atomic import atomic_file
from manabi.parameters import Parameters
from manabi.phantoms.cohort import parse_choices
from manabi.provenance import package_versions
from Training.brain_contrast import ContrastRecipe
from Training.config import TrainConfig, read_sections
from Training.experiments import brain_angio, brain_examples, brain_losses, brain_rebuild, brain_report, brain_skips
from Training.experiments.brain_bench import PARTS, Bench, Settings, listed
from Training.experiments.brain_cases import load_heads, parse_data, split_heads
from Training.structure_task import StructureRecipe

logger = logging.getLogger(__name__)

RESULTS = "results.json"
FULL = (
    "training.epochs=20", "training.batch_size=16", "training.optimizer=adamw", "training.lr=0.001",
    "training.schedule=cosine", "training.weight_decay=0.0001", "training.precision=bf16-mixed",
    "training.checkpoint_every=5", "pix2pix.filters=32-64-128-256", "pix2pix.judge_filters=64-128-256-512",
    "pix2pix.bright_share=0", "pix2pix.bright_weight=1", "pix2pix_training.epochs=60", "pix2pix_training.batch_size=8",
    "pix2pix_training.lr=0.0002", "pix2pix_training.precision=bf16-mixed", "pix2pix_training.checkpoint_every=10",
)  # fmt: skip
"""Our choices; the sources' schedules are not stated in what we could read."""
QUICK = (
    "experiment.data=phantoms:2027:20", "experiment.split=12/8", "experiment.choices=voxel_mm=2.0;slice_mm=2.5",
    "experiment.seeds=1", "experiment.readings=false", "experiment.single=brainstem", "experiment.noises=none,mixed",
    "experiment.label_fractions=0.05,0.33,1", "experiment.skip_fractions=0.05", "experiment.contrast_epochs=8",
    "experiment.methods=slices,shape",
    "recipe.filters=8-16-32-64", "recipe.stream=8", "recipe.crop=64", "recipe.items_per_epoch=400",
    "recipe.filters_3d=8-16-32", "recipe.crop_3d=12x48x48", "recipe.items_3d=50", "training.epochs=4",
    "training.batch_size=8", "training.lr=0.003", "training.checkpoint_every=4",
    "pix2pix.filters=16-32-64-128", "pix2pix.judge_filters=16-32-64", "pix2pix.crop=64", "pix2pix.slices_per_case=32",
    "pix2pix.bright_share=0.75", "pix2pix.bright_weight=20", "pix2pix_training.epochs=24",
    "pix2pix_training.batch_size=8", "pix2pix_training.lr=0.001", "pix2pix_training.checkpoint_every=8",
)  # fmt: skip
"""For two processor cores: twenty coarse heads and 200 steps per arm, in bfloat16, which recent processors compute fast
(``training.precision=32-true`` on others). Pix2Pix weighs bright vessels more than the source does, as
:class:`Training.brain_contrast.ContrastRecipe` does and for its reason.
"""
TYPES: dict[str, type[Parameters]] = {
    "experiment": Settings, "recipe": StructureRecipe, "training": TrainConfig, "pix2pix": ContrastRecipe,
    "pix2pix_training": TrainConfig,
}  # fmt: skip
RUNS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "losses": brain_losses.run, "skips": brain_skips.run, "labels": brain_rebuild.run, "contrast": brain_angio.run
}  # fmt: skip


def run(
    output: Path, size: str, overrides: Sequence[str], resume: bool = True, cache: Path | None = None
) -> dict[str, Any]:
    """Run the chosen parts, or go on with them; writes results.json, brain.md and figures to ``output``.

    Parts that an earlier call left in results.json stay there (with ``resume``), each with what it was made with.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    sections = read_sections(None, [*FULL, *(QUICK if size == "quick" else ()), *overrides], TYPES)
    settings: Settings = sections["experiment"]
    parts = listed(settings.parts, PARTS)
    seed, count = parse_data(settings.data)
    chosen = split_heads(count, settings.split, settings.split_seed)
    choices = parse_choices([text for text in settings.choices.split(";") if text.strip()])
    heads, digest = load_heads(seed, count, choices, cache or output / "cache")
    training, test = ([heads[n] for n in side] for side in chosen)
    gan = replace(sections["pix2pix_training"], device=sections["training"].device)
    data_hash = hashlib.sha256(json.dumps([digest, chosen]).encode()).hexdigest()
    bench = Bench(
        settings, sections["recipe"], sections["training"], sections["pix2pix"], gan, training, test, data_hash,
        output / "arms", resume,
    )  # fmt: skip
    for part in parts:
        bench.spent.clear()
        found = RUNS[part](bench)
        about = _about(bench, size, part)
        _keep(output / RESULTS, part, {"about": about, **found}, resume or part != parts[0])
    results = json.loads((output / RESULTS).read_text(encoding="utf-8"))
    brain_examples.draw(results, bench, output / "images")
    return {"results": str(output / RESULTS), "report": str(brain_report.write_page(results, output))}


def _about(bench: Bench, size: str, part: str) -> dict[str, Any]:
    """What a part was made with."""
    spacing = bench.test[0].spacing_mm.tolist()
    return {
        "size": size,
        "experiment": {**bench.settings.to_dict(), "parts": part},
        "recipe": bench.recipe.to_dict(),
        "training": bench.training.to_dict(),
        "pix2pix": bench.pix2pix.to_dict() if part == "contrast" else None,
        "pix2pix_training": bench.pix2pix_training.to_dict() if part == "contrast" else None,
        "heads": {"training": len(bench.train), "test": len(bench.test)},
        "grid": {"shape": list(bench.test[0].classes.shape), "spacing_mm": [round(v, 3) for v in spacing]},
        "data_sha256": bench.data_hash,
        "device": bench.device,
        "versions": package_versions(),
        "duration_s": round(sum(bench.spent), 1),
    }


def _keep(path: Path, part: str, content: dict[str, Any], go_on: bool) -> None:
    """Put a part into results.json, beside the others that are there."""
    before = json.loads(path.read_text(encoding="utf-8")) if go_on and path.is_file() else {}
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(json.dumps(_finite({**before, part: content}), indent=1) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is not a number becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
