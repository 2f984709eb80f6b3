"""The source's experiment on simulated patients: ``python -m Training experiment spect --size quick|full``.

207 phantoms, 120 to train, 37 to validate, 50 to test. Every network of the source's table 1 with the source's image
pipeline, the classical filters tuned on validation images, and ours. ``full`` trains as the source did (200 epochs) and
is meant for a GPU; ``quick`` trains fewer epochs on the same patients and says so in every table.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from manabi.device import choose_device
from manabi.io.atomic import atomic_file
from manabi.networks import PAPER_NETWORKS
from manabi.parameters import Parameters
from manabi.provenance import package_versions
from manabi.spect.grade import load_norms
from Training.cohort import Cohort, CohortCase, open_cohort
from Training.config import TrainConfig, read_sections
from Training.experiments import readers, spect_arms, spect_report
from Training.experiments.spect_alert import study_alert
from Training.experiments.spect_arms import FILTER_ARMS, INPUT, OURS, Output
from Training.experiments.spect_tables import METRICS, binding_table, image_table, reader_table, score, tests_table
from Training.spect import SPECTRecipe
from Training.spect_data import PHANTOM_PAIR, read_pair
from Training.spect_evaluate import Slab, slab_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings(Parameters):
    """Size of the experiment; ``parts`` and ``seed`` choose the patients."""

    data: str = field(default="phantoms:2024:207", metadata={"help": "cohort of phantoms"})
    parts: str = "120/37/50"
    split_seed: int = 0
    paper_epochs: int = field(default=200, metadata={"low": 1})
    our_epochs: int = field(default=50, metadata={"low": 1})
    networks: str = field(default="all", metadata={"help": "all, or names of the source's networks with commas"})
    seed: int = field(default=0, metadata={"help": "of the networks' training and of the readers"})
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    small_transunet: bool = field(default=False, metadata={"help": "4 layers of 192 instead of 12 of 768"})


QUICK = ("paper_epochs=12", "our_epochs=50", "precision=bf16-mixed", "small_transunet=true")


def run(
    output: Path, size: str, overrides: Sequence[str], resume: bool = True, cache: Path | None = None
) -> dict[str, Any]:
    """Run the experiment, or go on with it; writes results.json, tables.md and figures to ``output``."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    types = {"experiment": Settings, "training": TrainConfig, "recipe": SPECTRecipe}
    quick = [f"experiment.{text}" for text in QUICK] if size == "quick" else []
    sections = read_sections(None, [*quick, *overrides], types)
    settings: Settings = sections["experiment"]
    cohort = open_cohort(
        settings.data,
        cache or output / "cache",
        phantom="striatum",
        seed=settings.split_seed,
        parts=settings.parts,
        keep=PHANTOM_PAIR,
    )
    started = time.perf_counter()
    arms = _arms(settings, cohort, output / "runs", resume)
    patients, slabs, outputs = _outputs(arms, cohort.split("test"))
    results = _results(settings, cohort, patients, slabs, outputs)
    results["about"] = {
        **settings.to_dict(),
        "size": size,
        "data_sha256": cohort.data_hash,
        "device": choose_device("auto").device,
        "versions": package_versions(),
        "test_patients": len(patients),
        "duration_s": round(time.perf_counter() - started, 1),
    }
    with atomic_file(output / "results.json", overwrite=True) as aside:
        aside.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    spect_report.write(output, results, patients, slabs, outputs)
    return {"results": str(output / "results.json"), "report": str(output / "spect.md")}


def _configs(settings: Settings) -> tuple[TrainConfig, TrainConfig]:
    """Engine settings of the source's networks and of ours."""
    common = [f"training.seed={settings.seed}", f"training.precision={settings.precision}"]
    types = {"training": TrainConfig, "recipe": SPECTRecipe}
    every = max(settings.paper_epochs // 20, 1)
    paper_set = [*common, f"epochs={settings.paper_epochs}", f"val_every={every}", f"checkpoint_every={every}"]
    paper = read_sections("spect_paper", paper_set, types)["training"]
    ours = read_sections("spect", [*common, f"epochs={settings.our_epochs}"], types)["training"]
    return paper, ours


def _arms(settings: Settings, cohort: Cohort, folder: Path, resume: bool) -> dict[str, spect_arms.Arm]:
    """Every method, trained and tuned, in the order of the source's table."""
    names = list(PAPER_NETWORKS) if settings.networks == "all" else settings.networks.split(",")
    if settings.small_transunet:
        names = [name + spect_arms.SMALL if name == "TransUNET" else name for name in names]
    paper, ours = _configs(settings)
    validation = [slab_of(read_pair(case)) for case in cohort.split("validation")]
    arms: dict[str, spect_arms.Arm] = {INPUT: spect_arms.input_arm}
    for name in FILTER_ARMS:
        arms[name] = spect_arms.filter_arm(name, validation)
    for name in names:
        logger.info("training %s", name)
        arms[name] = spect_arms.paper_arm(name, cohort, paper, folder / _slug(name), settings.data, resume)
    recipe = SPECTRecipe(name="spect-default", parts=settings.parts, split_seed=settings.split_seed)
    logger.info("training %s", OURS)
    arms[OURS] = spect_arms.our_arm(cohort, recipe, ours, folder / "ours", settings.data, resume)
    return arms


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name.lower().replace("+", "p")).strip("_")


def _outputs(
    arms: dict[str, spect_arms.Arm], cases: list[CohortCase]
) -> tuple[list[str], list[Slab], dict[str, list[Output]]]:
    """Every method on every test patient."""
    patients, slabs = [], []
    outputs: dict[str, list[Output]] = {name: [] for name in arms}
    for case in cases:
        pair = read_pair(case)
        slab = slab_of(pair)
        for name, arm in arms.items():
            outputs[name].append(arm(pair, slab))
        patients.append(case.name)
        slabs.append(slab)
    return patients, slabs, outputs


def _results(
    settings: Settings,
    cohort: Cohort,
    patients: list[str],
    slabs: list[Slab],
    outputs: dict[str, list[Output]],
) -> dict[str, Any]:
    """All tables."""
    scored = score(patients, slabs, outputs)
    treated = {name: rows for name, rows in outputs.items() if name != INPUT}
    alert = study_alert(slabs, treated, load_norms().mean)
    return {
        "figures": [
            {"method": name, "per_patient": {m: [round(float(x), 5) for x in v[m].mean(1)] for m in ("ssim", "psnr")}}
            for name, v in scored.scores.items()
        ],
        "images": image_table(scored),
        "tests": {metric: tests_table(scored, metric) for metric in METRICS[:3]},
        "readers": reader_table(patients, slabs, outputs, _criteria(cohort, settings.seed), settings.seed),
        "binding": binding_table(scored),
        "alert": {
            "auc": [alert.auc.value, alert.auc.low, alert.auc.high],
            "operating": {str(limit): list(pair) for limit, pair in alert.operating.items()},
            "bad": alert.bad,
            "count": alert.count,
            "truth": alert.truth.tolist(),
            "score": [round(float(s), 4) for s in alert.score],
        },
    }


def _criteria(cohort: Cohort, seed: int) -> readers.Criteria:
    """The simulated readers' thresholds, from validation patients with known grades."""
    seen, grades = [], []
    for case in cohort.split("validation"):
        loaded = case.load()
        slab = slab_of(read_pair(case))
        seen.append(readers.brightness(slab, slab.full.images))
        grades.append([int(loaded.truth["grade_left"] or 4), int(loaded.truth["grade_right"] or 4)])
    return readers.fit_criteria(np.stack(seen), np.array(grades), seed)
