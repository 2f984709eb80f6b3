"""MVCTConvert's source and its aims on simulated patients: ``python -m Training experiment mvct --size quick|full``.

Six parts, each on its own with ``--set experiment.parts=amount`` (``quality``, ``hallucination``, ``gate``, ``dose``,
``cbct``): distortion against the number of megavoltage slices, as the source has it; how good every converter's images
are; lesions lost and invented; the gate's ROC; dose and density; and cone-beam CT. ``full`` has the source's numbers of
slices and is meant for a GPU; ``quick`` is coarse patients and small networks for two processor cores, and the page
says so. Settings: ``--set experiment.X=`` (:class:`Training.experiments.mvct_bench.Settings`), ``recipe.X=``
(:class:`Training.mvct_cycle_base.ConverterRecipe`) and ``training.X=`` (the engine's).
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
from manabi.parameters import Parameters
from manabi.provenance import package_versions
from Training.config import TrainConfig, read_sections
from Training.experiments import (
    mvct_amount,
    mvct_dose,
    mvct_examples,
    mvct_gate,
    mvct_hallucination,
    mvct_quality,
    mvct_report,
)
from Training.experiments.brain_bench import listed
from Training.experiments.mvct_bench import PARTS, TEST, TRAINING, VALIDATION, Plan, Settings, finite, site_of
from Training.mvct_cycle_base import ConverterRecipe

logger = logging.getLogger(__name__)

RESULTS = "results.json"
FULL = (
    "training.batch_size=8", "training.optimizer=adam", "training.beta1=0.5", "training.lr=0.0002",
    "training.schedule=cosine", "training.final_lr=0.000001", "training.precision=bf16-mixed",
    "recipe.filters=32-64-128", "recipe.judge_filters=64-128-256", "recipe.blocks=9", "recipe.crop=160",
    "recipe.items_per_epoch=2000",
)  # fmt: skip
"""Our choices where they are not the source's (:mod:`Training.mvct_cycle_base`)."""
QUICK = (
    "experiment.data=phantoms:2031:64", "experiment.split=52/4/8", "experiment.pixel_mm=2.0", "experiment.matrix=144",
    "experiment.length_mm=84", "experiment.amounts=16,64,256,512", "experiment.steps=900",
    "experiment.long_steps=3000", "experiment.places=2", "experiment.probes=60", "experiment.workers=2",
    "training.batch_size=1", "training.lr=0.001", "training.final_lr=0.00001", "training.precision=32-true",
    "recipe.filters=8-16-32", "recipe.judge_filters=8-16-32", "recipe.blocks=2", "recipe.crop=64",
    "recipe.items_per_epoch=300",
)  # fmt: skip
"""For two processor cores: sixty short and coarse patients, and networks that train in less than a minute."""
TYPES: dict[str, type[Parameters]] = {"experiment": Settings, "recipe": ConverterRecipe, "training": TrainConfig}
RUNS: dict[str, Callable[[Plan], dict[str, Any]]] = {
    "amount": mvct_amount.run, "quality": mvct_quality.run, "hallucination": mvct_hallucination.run,
    "gate": mvct_gate.run, "dose": mvct_dose.run, "cbct": mvct_quality.run_cbct,
}  # fmt: skip


def run(
    output: Path, size: str, overrides: Sequence[str], resume: bool = True, cache: Path | None = None
) -> dict[str, Any]:
    """Run the chosen parts, or go on with them; writes results.json, mvct.md and figures to ``output``.

    Parts that an earlier call left in results.json stay there (with ``resume``), each with what it was made with.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    sections = read_sections(None, [*FULL, *(QUICK if size == "quick" else ()), *overrides], TYPES)
    settings: Settings = sections["experiment"]
    plan = Plan(settings, sections["recipe"], sections["training"], output / "arms", cache or output / "cache")
    if not resume:
        shutil.rmtree(plan.folder, ignore_errors=True)
        (output / RESULTS).unlink(missing_ok=True)
    for part in listed(settings.parts, PARTS):
        started = time.perf_counter()
        logger.info("part %s", part)
        found = RUNS[part](plan)
        about = _about(plan, size, part, time.perf_counter() - started)
        _keep(output / RESULTS, part, {"about": about, **found})
    results = json.loads((output / RESULTS).read_text(encoding="utf-8"))
    mvct_examples.draw(results, plan.folder, output / "images")
    return {"results": str(output / RESULTS), "report": str(mvct_report.write_page(results, output))}


def _about(plan: Plan, size: str, part: str, seconds: float) -> dict[str, Any]:
    """What a part was made with."""
    site = site_of(plan, "cbct" if part == "cbct" else "mvct")
    return {
        "size": size,
        "experiment": {**plan.settings.to_dict(), "parts": part, **_without_paths(plan.settings)},
        "recipe": plan.recipe.recorded(),
        "training": plan.training.to_dict(),
        "patients": {split: len(site.patients(split)) for split in (TRAINING, VALIDATION, TEST)},
        "data_sha256": site.data_hash,
        "device": str(choose_device(plan.training.device).device),
        "versions": package_versions(),
        "duration_s": round(seconds, 1),
    }


def _without_paths(settings: Settings) -> dict[str, str]:
    """Data and bundles without folders' names, which may name people."""
    return {
        "data": "+".join("kvct:FOLDER" if part.startswith("kvct:") else part for part in settings.data.split("+")),
        "bundle": Path(settings.bundle).name,
        "cbct_bundle": Path(settings.cbct_bundle).name,
    }


def _keep(path: Path, part: str, content: Mapping[str, Any]) -> None:
    """Put a part into results.json, beside the others that are there."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(json.dumps(finite({**before, part: content}), indent=1) + "\n", encoding="utf-8")
