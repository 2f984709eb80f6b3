"""The source's experiment on simulated patients: ``python -m Training experiment slices --size quick|full``.

472 phantoms, 70/15/15 % to train, validate and test. Every network of the source, one extractor per marker with the
source's pipeline, tracking by rules, and ours, whose bundle must have been trained on other phantoms than these.
``full`` trains on all slices as the source did and is meant for a GPU; ``quick`` tests on the same patients after
training on fewer, smaller images, and every table says so. Settings: ``--set experiment.X=``, ``recipe.X=``
(:class:`Training.slices_paper.PaperRecipe`) and ``training.X=`` (the engine's).
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from manabi.bundle import Bundle
from manabi.device import choose_device
from manabi.io.atomic import atomic_file
from manabi.networks.classifiers import CLASSIFIERS
from manabi.parameters import Parameters
from manabi.phantoms.cohort import parse_choices
from manabi.provenance import package_versions
from manabi.slices.reading import MARKERS
from Training.cohort import SPLITS
from Training.config import TrainConfig, read_sections
from Training.experiments import (
    slices_arms,
    slices_figures,
    slices_more,
    slices_report,
    slices_tables,
    slices_whole,
)
from Training.experiments.slices_cases import Patients, parse_data, split_indices
from Training.slices_paper import PaperCase, PaperRecipe

logger = logging.getLogger(__name__)

RESULTS = "results.json"


@dataclass(frozen=True)
class Settings(Parameters):
    """Patients and methods of the experiment."""

    data: str = field(default="phantoms:2021:472", metadata={"help": "cohort of phantoms (source: 472 patients)"})
    choices: str = field(default="slice_mm=4.0;jitter=true", metadata={"help": "phantom parameters, with semicolons"})
    parts: str = field(
        default="330/71/71",
        metadata={"help": "training/validation/test (source's text: 70/15/15 %; its abstract: 400/0/72)"},
    )
    split_seed: int = 0
    train_cases: int = field(default=0, metadata={"low": 0, "help": "train on the first ones only; 0: all"})
    validation_cases: int = field(default=0, metadata={"low": 0, "help": "validate on the first ones only; 0: all"})
    test_cases: int = field(default=0, metadata={"low": 0, "help": "test on the first ones only; 0: all"})
    reader_marks: bool = field(default=True, metadata={"help": "learn from simulated readers' marks, not the truth"})
    networks: str = field(default="all", metadata={"help": "all, none, or names with commas"})
    ablation: str = field(default="efficientnet_b4", metadata={"help": "network also trained with adjacent slices"})
    ours: str = field(default="slices-default", metadata={"help": "bundle of ours, name or path; none to leave it out"})
    rules: bool = field(default=True, metadata={"help": "also track airway and lungs by rules"})
    more: str = field(
        default="phantoms:2031:330",
        metadata={"help": "cohort that ours and the rules alone are compared on too, or none"},
    )
    truncation: bool = field(default=True, metadata={"help": "also ask about truncated CTs"})


SOURCE = (
    "training.epochs=20", "training.batch_size=64", "training.optimizer=adamw", "training.lr=0.001",
    "training.schedule=step", "training.drop_at=0.5", "training.final_lr=0.0001", "training.weight_decay=0.01",
    "training.precision=bf16-mixed",
)  # fmt: skip
"""The source's schedule: 20 epochs, AdamW at 1e-3, the last ten reduced; batch, factor and decay are our choices."""
QUICK = (
    "experiment.train_cases=100", "experiment.validation_cases=12", "experiment.ablation=none",
    "experiment.networks=densenet121,resnet50,inception_v3,efficientnet_b0", "recipe.size=96",
    "recipe.items_per_epoch=900", "recipe.norm_momentum=0.1", "training.epochs=5", "training.batch_size=16",
    "training.val_every=5", "training.checkpoint_every=5",
)  # fmt: skip
"""For two processor cores: the smaller network of each of the source's families, a few thousand small images each."""
TYPES: dict[str, type[Parameters]] = {"experiment": Settings, "training": TrainConfig, "recipe": PaperRecipe}


def run(
    output: Path, size: str, overrides: Sequence[str], resume: bool = True, cache: Path | None = None
) -> dict[str, Any]:
    """Run the experiment, or go on with it; writes results.json, tables.md, slices.md and figures to ``output``."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    sections = read_sections(None, [*SOURCE, *(QUICK if size == "quick" else ()), *overrides], TYPES)
    settings, recipe, config = sections["experiment"], sections["recipe"], sections["training"]
    seed, count = parse_data(settings.data)
    bundle = slices_whole.open_bundle(settings.ours, seed) if _listed(settings.ours, ",") else None
    choices = parse_choices(_listed(settings.choices, ";"))
    patients = Patients(seed, choices, recipe, cache or output / "cache", settings.reader_marks)
    limits = {name: getattr(settings, key) for name, key in zip(SPLITS, LIMITS, strict=True)}
    split = split_indices(count, settings.parts, settings.split_seed, limits)
    read = _read_patients(settings, bundle, config, patients, split["test"], output / "patients", resume)
    cases, digest = _cases(settings, patients, split)
    arms = _extractors(settings, recipe, config, cases, digest, output / "runs", resume)
    results = slices_tables.results(cases["test"], [patients.truth(i) for i in split["test"]], read, arms)
    results["more"] = _more(settings, bundle, config, patients, output / "more", resume)
    results["about"] = {
        "size": size,
        "experiment": settings.to_dict(),
        "recipe": recipe.recorded(),
        "training": config.to_dict(),
        "data_sha256": digest,
        "patients": {name: len(rows) for name, rows in split.items()},
        "device": choose_device(config.device).device,
        "versions": package_versions(),
        "bundle": bundle.provenance() if bundle else {},
        "ours_training": slices_whole.training_facts(bundle) if bundle else {},
        "duration_s": _durations(read, arms),
    }
    _write(output, results, cases["test"])
    return {"results": str(output / RESULTS), "report": str(output / slices_report.PAGE)}


LIMITS = ("train_cases", "validation_cases", "test_cases")


def plan(settings: Settings) -> list[tuple[str, str, bool]]:
    """Every extractor to train: network, marker, whether it sees adjacent slices."""
    names = list(CLASSIFIERS) if settings.networks == "all" else _listed(settings.networks, ",")
    pairs = [(name, False) for name in names] + [(name, True) for name in _listed(settings.ablation, ",")]
    return [(name, marker, neighbours) for name, neighbours in pairs for marker in MARKERS]


def _listed(text: str, separator: str) -> list[str]:
    """Names of a setting; ``none`` and nothing are an empty list."""
    return [] if text in ("", "none") else [part.strip() for part in text.split(separator) if part.strip()]


def _cases(
    settings: Settings, patients: Patients, split: dict[str, list[int]]
) -> tuple[dict[str, list[PaperCase]], str]:
    """Prepared cases by split (only the test's where no network is trained), and a digest of all."""
    wanted = SPLITS if plan(settings) else ("test",)
    keys = {name: [patients.key(i) for i in split[name]] for name in SPLITS}
    cases = {name: [patients.prepared(i) for i in split[name]] if name in wanted else [] for name in SPLITS}
    text = json.dumps([keys, settings.reader_marks], sort_keys=True)
    return cases, hashlib.sha256(text.encode()).hexdigest()


def _read_patients(
    settings: Settings,
    bundle: Bundle | None,
    config: TrainConfig,
    patients: Patients,
    indices: list[int],
    folder: Path,
    resume: bool,
) -> list[dict[str, Any]]:
    """Ours and the rules on every test patient."""
    reader = slices_whole.bundle_reader(bundle, config.device) if bundle else None
    chosen = slices_whole.reading_settings(bundle, settings.rules, settings.truncation)
    return slices_whole.read_patients(
        patients, indices, folder, chosen, resume,
        lambda index: slices_whole.read_patient(patients, index, reader, settings.rules, settings.truncation),
    )  # fmt: skip


def _more(
    settings: Settings, bundle: Bundle | None, config: TrainConfig, patients: Patients, folder: Path, resume: bool
) -> dict[str, Any]:
    """Ours and the rules on further patients, of whom no method learned anything."""
    if bundle is None or settings.more in ("", "none"):
        return {}
    seed, count = parse_data(settings.more)
    slices_whole.refuse_learned(bundle, seed, "more")
    others = Patients(seed, patients.choices, patients.recipe, patients.cache, settings.reader_marks)
    reader = slices_whole.bundle_reader(bundle, config.device)
    chosen = slices_whole.reading_settings(bundle, True, False)
    read = slices_whole.read_patients(
        others, list(range(count)), folder, chosen, resume, lambda index: slices_more.read_more(others, index, reader)
    )
    return slices_more.more_table(settings.more, read)


def _durations(read: Sequence[dict[str, Any]], arms: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Seconds that finished work took, whichever call did it: training the extractors, reading the patients."""
    runs = [done["run"] for markers in arms.values() for done in markers.values()]
    return {
        "training": round(sum(run["duration_s"] for run in runs), 1),
        "reading": round(sum(row["duration_s"] for row in read), 1),
    }


def _extractors(
    settings: Settings,
    recipe: PaperRecipe,
    config: TrainConfig,
    cases: dict[str, list[PaperCase]],
    digest: str,
    folder: Path,
    resume: bool,
) -> dict[str, dict[str, Any]]:
    """The source's extractors, trained one after the other: method to marker to answers and run."""
    arms: dict[str, dict[str, Any]] = {}
    todo = plan(settings)
    for n, (network, marker, neighbours) in enumerate(todo):
        mark = "_neighbours" if neighbours else ""
        logger.info("extractor %d of %d: %s%s, %s", n + 1, len(todo), network, mark, marker)
        chosen = replace(recipe, network=network, marker=marker, neighbours=neighbours)
        place = folder / f"{network}{mark}_{marker}"
        done = slices_arms.extractor(chosen, config, cases, digest, place, resume)
        name = slices_arms.title(network) + (slices_arms.NEIGHBOURS if neighbours else "")
        arms.setdefault(name, {})[marker] = done
    return arms


def _write(output: Path, results: dict[str, Any], tests: Sequence[PaperCase]) -> None:
    with atomic_file(output / RESULTS, overwrite=True) as aside:
        aside.write_text(json.dumps(_finite(results), indent=1) + "\n", encoding="utf-8")
    kept = json.loads((output / RESULTS).read_text(encoding="utf-8"))
    slices_figures.draw_examples(kept, tests, output / "images" / slices_report.EXAMPLES)
    slices_report.write_page(kept, output)


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is not a number becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
