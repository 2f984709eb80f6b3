"""NoduleSynth's source, its figure 3, on simulated films: ``python -m Training experiment nodule --size quick|full``.

Three parts, each on its own with ``--set experiment.parts=arms`` (``finetune``, ``real``): the U-Net with Dice alone,
with each paired term, with both and with cross-entropy, beside RetinaNet and SSD; the same after fine-tuning,
leave-one-case-out; and real films. ``full`` has the source's network and number of pairs and is meant for a GPU;
``quick`` is for a processor core, and the page says so. Settings: ``--set experiment.X=``
(:class:`Training.experiments.nodule_bench.Settings`), and ``recipe.X=``, ``loss.X=``, ``augment.X=``, ``boxes.X=``,
``finetune.X=`` and ``training.X=``.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from manabi.device import choose_device
from manabi.io.atomic import atomic_file
from manabi.provenance import package_versions
from Training.config import read_sections
from Training.experiments import nodule_arms, nodule_examples, nodule_real, nodule_report, nodule_tuned
from Training.experiments.mvct_bench import finite
from Training.experiments.nodule_bench import PARTS, TYPES, Plan, Settings, data_of, listed
from Training.nodule_data import facts

logger = logging.getLogger(__name__)

RESULTS = "results.json"
FULL = (
    "training.epochs=60", "training.batch_size=16", "training.optimizer=adam", "training.lr=0.001",
    "training.schedule=cosine", "training.final_lr=0.00001", "training.clip_norm=5", "training.precision=bf16-mixed",
    "training.val_every=10", "training.num_workers=8", "recipe.items_per_epoch=8000",
    "recipe.filters=32-64-128-256-512", "recipe.chests=512", "recipe.workers=8", "boxes.widths=32-64-128-256-512",
    "boxes.out_channels=256",
)  # fmt: skip
"""The source's U-Net and number of pairs; schedule and steps are our choice (``methods/nodule.md``)."""
QUICK = (
    "experiment.data=phantoms:5001:1600", "experiment.held_out=160", "experiment.test_pairs=160", "experiment.seeds=1",
    "training.epochs=8", "training.batch_size=8", "training.val_every=8", "training.precision=32-true",
    "training.num_workers=0", "training.checkpoint_steps=50", "training.lr=0.002", "training.warmup_epochs=0.5",
    "training.ema_decay=0.99", "recipe.items_per_epoch=800", "recipe.filters=12-24-48-64-96", "recipe.crop=0",
    "recipe.shrink=2", "recipe.peak_distance=3", "recipe.chests=64", "recipe.workers=2", "recipe.parts=70/10/20",
    "recipe.validation_pairs=48", "loss.follows=true", "boxes.widths=12-24-48-64-96", "boxes.out_channels=48",
    "finetune.folds=4", "finetune.crop=0",
)  # fmt: skip
"""For a processor: 1,600 pairs, films averaged to 128 pixels, narrow networks, 800 steps each."""
RUNS: dict[str, Callable[[Plan], dict[str, Any]]] = {
    "arms": nodule_arms.run, "finetune": nodule_tuned.run, "real": nodule_real.run
}  # fmt: skip


def run(
    output: Path, size: str, overrides: Sequence[str], resume: bool = True, cache: Path | None = None
) -> dict[str, Any]:
    """Run the chosen parts, or go on with them; writes results.json, nodule.md and figures to ``output``.

    Parts that an earlier call left in results.json stay there (with ``resume``), each with what it was made with.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    plan = plan_of(output, size, overrides, cache)
    if not resume:
        shutil.rmtree(plan.folder, ignore_errors=True)
        (output / RESULTS).unlink(missing_ok=True)
    for part in listed(plan.settings.parts, PARTS, "parts"):
        started = time.perf_counter()
        logger.info("part %s", part)
        found = RUNS[part](plan)
        _keep(output / RESULTS, part, {"about": _about(plan, size, time.perf_counter() - started), **found})
    results = json.loads((output / RESULTS).read_text(encoding="utf-8"))
    nodule_examples.draw(plan, results, output / "images")
    return {"results": str(output / RESULTS), "report": str(nodule_report.write_page(results, output))}


def plan_of(output: Path, size: str, overrides: Sequence[str], cache: Path | None = None) -> Plan:
    """The plan of a size with what the command line changes."""
    sections = read_sections(None, [*FULL, *(QUICK if size == "quick" else ()), *overrides], TYPES)
    settings: Settings = sections["experiment"]
    return Plan(
        settings, sections["training"], sections["recipe"], sections["loss"], sections["augment"], sections["boxes"],
        sections["finetune"], output / "work", cache or output / "cache",
    )  # fmt: skip


def _about(plan: Plan, size: str, seconds: float) -> dict[str, Any]:
    """What a part was made with; folders are left out, for their names may name people."""
    data, settings = data_of(plan), plan.settings.to_dict()
    settings.update(data=data.source, real="", seen=bool(plan.settings.seen), bundle=Path(plan.settings.bundle).name)
    return {
        "size": size, "experiment": settings, "recipe": {**plan.recipe.to_dict(), "start": "", "flow": ""},
        "flow": Path(plan.recipe.flow).name, "loss": plan.loss.to_dict(), "boxes": plan.boxes.to_dict(),
        "training": plan.config.to_dict(), "pairs": facts(data), "matrix": data.matrix, "data_sha256": data.digest,
        "device": str(choose_device(plan.config.device).device), "versions": package_versions(),
        "duration_s": round(seconds, 1),
    }  # fmt: skip


def _keep(path: Path, part: str, content: Mapping[str, Any]) -> None:
    """Put a part into results.json, beside the others that are there."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(json.dumps(finite({**before, part: content}), indent=1) + "\n", encoding="utf-8")
