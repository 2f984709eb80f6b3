"""The source's extractors in the SliceMarker experiment: trained here, one network per marker, then asked.

What is finished is kept in JSON files, so that a stopped experiment goes on.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manabi.device import choose_device
from manabi.io.atomic import atomic_file
from Training.config import TrainConfig
from Training.engine import fit
from Training.experiments.slices_cases import Range, absent_side, beyond_mm, half_mm
from Training.experiments.slices_scores import Answer, answer_of
from Training.slices_paper import PaperCase, PaperRecipe, PaperTask, predict

logger = logging.getLogger(__name__)

NEIGHBOURS = ", neighbours"
"""Follows the name of a network that sees adjacent slices."""
FAMILIES = {
    "densenet": "DenseNet-", "resnet": "ResNet-", "efficientnet_": "EfficientNet-", "inception_v": "Inception-V"
}  # fmt: skip
"""How the source writes what a name begins with."""


def title(network: str) -> str:
    """A network as the source writes it: ``efficientnet_b4`` is EfficientNet-b4."""
    for prefix, written in FAMILIES.items():
        if network.startswith(prefix):
            return written + network.removeprefix(prefix)
    return network


# --- the extractors ---------------------------------------------------------------------------------------------------


def extractor(
    recipe: PaperRecipe,
    config: TrainConfig,
    cases: Mapping[str, Sequence[PaperCase]],
    data_hash: str,
    folder: Path,
    resume: bool = True,
) -> dict[str, Any]:
    """Train one extractor and ask it about every test case.

    Args:
        recipe: network and marker.
        config: of the engine.
        cases: by split.
        data_hash: digest of all of them.
        folder: of the run; its ``answers.json`` ends the work.
        resume: go on with what is in the folder.

    Returns:
        ``answers`` (JSON values of :class:`Answer`) and ``run`` (weights, epochs, seconds, device, ...).
    """
    learned = {"recipe": recipe.recorded(), "training": config.what_is_learned(), "data": data_hash}
    key = digest(learned, [case.name for case in cases["test"]])
    kept = found(folder / "answers.json", key) if resume else None
    if kept is not None:
        return kept
    task = PaperTask(recipe, cases["training"], cases["validation"], data_hash)
    result = fit(task, config, folder, resume=resume)
    device = choose_device(config.device).device
    model = result.model.to(device).eval()
    answers = [_extracted(predict(model, case, recipe.neighbours), case, recipe.marker) for case in cases["test"]]
    run = {
        "network": recipe.network,
        "marker": recipe.marker,
        "weights": sum(p.numel() for p in model.parameters()),
        "epochs": config.epochs,
        "best_epoch": result.best_epoch,
        "items_per_epoch": task.train_size(),
        "device": device,
        "seed": config.seed,
        "duration_s": round(result.duration_s, 1),
        "validation": {k.removeprefix("val_"): v for k, v in result.best_metrics.items() if k.startswith("val_")},
    }
    return keep(folder / "answers.json", key, {"answers": [a.to_dict() for a in answers], "run": run})


def _extracted(probability: np.ndarray, case: PaperCase, marker: str) -> Answer:
    return answer_of(probability, case.truth[marker], case.levels_mm[marker], case.z_mm, case.name, marker)


def truncated_extracted(answer: Answer, case: PaperCase, kept: Range) -> Answer:
    """What an extractor says of a truncated CT: its slices are judged one by one, so those left keep their answer.

    Where a slice above ½ is left, it answers the most probable one. Where none is, it says that the marker is missing;
    it cannot say on which side, and is given that.
    """
    level = case.levels_mm[answer.marker]
    inside = (case.z_mm >= kept[0]) & (case.z_mm <= kept[1])
    left = tuple(k for k in answer.predicted if inside[k])
    side = absent_side(level, kept, half_mm(case.z_mm))
    beyond = beyond_mm(level, kept) if side else 0.0
    top = max(left, key=lambda k: answer.probability[k]) if left else None
    truth = None if side else answer.truth
    error = None if top is None or truth is None else float(abs(case.z_mm[top] - level))
    sure = None if top is None else answer.probability[top]
    return Answer(answer.case, answer.marker, truth, left, top, error, sure, "" if left else side, side, beyond)


# --- files of what is finished ----------------------------------------------------------------------------------------


def digest(settings: Mapping[str, Any], more: Any) -> str:
    """Of JSON values."""
    return hashlib.sha256(json.dumps([settings, more], sort_keys=True).encode()).hexdigest()


def found(path: Path, key: str) -> dict[str, Any] | None:
    """What :func:`keep` wrote under the same key; None where there is nothing, or other work."""
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["content"] if content["key"] == key else None


def keep(path: Path, key: str, content: dict[str, Any]) -> dict[str, Any]:
    """Write finished work; gives it back as it will be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(json.dumps({"key": key, "content": content}) + "\n", encoding="utf-8")
    return json.loads(json.dumps(content))
