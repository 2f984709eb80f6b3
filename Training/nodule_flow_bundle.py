"""From a trained flow to its report and bundle."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from manabi.bundle import Bundle
from manabi.io.atomic import atomic_file
from manabi.nodule.glow import Glow
from manabi.nodule.glow_bundle import NETWORK
from manabi.provenance import package_versions
from manabi.store.layout import write_bundle
from Training.config import TrainConfig
from Training.nodule_flow import FlowInTraining
from Training.nodule_flow_evaluate import Evaluation, evaluate
from Training.nodule_flow_figures import draw_course, draw_interpolations, draw_neighbours, draw_samples
from Training.nodule_flow_films import FlowFilms
from Training.nodule_flow_recipe import FlowRecipe
from Training.run import FitResult

REFERENCES = [
    "Kingma DP, Dhariwal P. Glow. NeurIPS 2018, arXiv 1807.03039",
    "Hanaoka S et al. IJCARS 2024, 10.1007/s11548-024-03227-7",
]
FIGURES = ("samples.png", "neighbours.png", "interpolations.png", "course.png")
MEANINGS = {
    "bits_per_dimension": "bits per pixel of unseen films (lower is better)",
    "bits_per_dimension_of_training": "the same of the training films: a large gap means learning by heart",
    "round_trip_error": "largest difference after encoding and decoding, of a range of grey of 1",
    "likeness_of_samples_to_training": "highest correlation of a sample with any part of a training film",
    "likeness_of_unseen_to_training": "the same of unseen films, which cannot be copies",
    "samples_that_copy": "share of samples more like a training film than any unseen film is",
}


def finish(output: Path, recipe: FlowRecipe, config: TrainConfig, result: FitResult, films: FlowFilms) -> Bundle:
    """Score the flow, write ``report.md`` with its pictures, and the bundle.

    Args:
        output: folder of the run.
        recipe: what was trained.
        config: how.
        result: of the engine.
        films: of which those for testing are looked at here for the first time.
    """
    flow = flow_of(result)
    flow.bits = recipe.grey_bits(1.0)
    found = evaluate(flow, recipe, films)
    draw_samples(found, output / FIGURES[0])
    draw_neighbours(found, output / FIGURES[1])
    draw_interpolations(found, output / FIGURES[2])
    draw_course(result.history, output / FIGURES[3])
    text = card(recipe, config, result, films, found)
    with atomic_file(output / "report.md", overwrite=True) as aside:
        aside.write_text(text + _pictures(), encoding="utf-8")
    return export(output / "bundle", recipe, config, result, films, found, text)


def export(
    folder: Path, recipe: FlowRecipe, config: TrainConfig, result: FitResult, films: FlowFilms, found: Evaluation,
    text: str,
) -> Bundle:  # fmt: skip
    """Write the bundle; ``text`` is its card."""
    flow = flow_of(result)
    extra = {
        "trained_on": trained_on(films),
        "simulated": films.simulated,
        "inputs": {"modality": "DX", "units": "film", "spacing_mm": None, "intensity": {"kind": "none"}},
        "output_channels": ["bits_per_dimension"],
        "metrics": found.metrics,
        "flow": recipe.facts(),
        "training": {
            "recipe": recipe.to_dict(), "settings": config.to_dict(), "best_epoch": result.best_epoch,
            "data_sha256": films.sha256(), "patients": counts(films), "versions": package_versions(),
            "machine": platform.machine(),
        },
        "task": "Generation of normal chest radiographs",
        "description": "A normalising flow of normal chest radiographs",
        "intended_use": "Research: simulated training data. Not for diagnosis.",
        "authors": "The Manabi contributors",
        "copyright": "The Manabi contributors, Apache-2.0",
        "references": REFERENCES,
    }  # fmt: skip
    return write_bundle(
        folder, name=recipe.name, version=recipe.version, method="nodule",
        network={"name": NETWORK, "arguments": recipe.network_arguments()}, state_dict=flow.state_dict(), card=text,
        metadata_extra=extra, replace=True,
    )  # fmt: skip


def flow_of(result: FitResult) -> Glow:
    """The trained flow."""
    return cast(FlowInTraining, result.model).glow


def counts(films: FlowFilms) -> dict[str, int]:
    """Patients of each split."""
    parts = {"training": films.training, "validation": films.validation, "test": films.test}
    return {name: len({film.patient for film in part}) for name, part in parts.items()}


def trained_on(films: FlowFilms) -> str:
    """The training data in a sentence."""
    simulated = sum(film.simulated for film in films.training)
    kinds = [(len(films.training) - simulated, "normal chest films"), (simulated, "simulated chest films")]
    patients = counts(films)["training"]
    return f"{' and '.join(f'{n} {kind}' for n, kind in kinds if n)} of {patients} patients"


def card(recipe: FlowRecipe, config: TrainConfig, result: FitResult, films: FlowFilms, found: Evaluation) -> str:
    """The model card."""
    number, size = counts(films), sum(p.numel() for p in result.model.parameters())
    seen = f"patches of films of {recipe.matrix} x {recipe.matrix}" if recipe.what == "patch" else "whole films"
    lines = [
        f"# {recipe.name} {recipe.version}",
        "",
        f"Draws and measures {seen}, {recipe.size} x {recipe.size} pixels: a normalising flow (Glow) whose latents are",
        "mixed to blend a simulated nodule into a film. What it draws is synthetic and not for diagnosis.",
        "",
        "## Training",
        "",
        f"- Data: {trained_on(films)}; {number['validation']} validation and {number['test']} test patients.",
        f"- Glow: {recipe.levels} levels of {recipe.steps} steps, {recipe.hidden} hidden channels, {recipe.coupling} "
        f"coupling; {size:,} parameters.",
        f"- {config.epochs} epochs of {recipe.items_per_epoch} items, batch {config.batch_size}, {config.optimizer} at "
        f"{config.lr:g}, grey levels of {recipe.bits} bits, seed {config.seed}; best epoch {result.best_epoch}.",
        "- Command: `python -m Training nodule_flow`; settings in `configs/metadata.json` under `manabi.training`.",
        "",
        "## Scores",
        "",
        "| score | mean | 95 % interval over patients | meaning |",
        "|---|---|---|---|",
        *(_row(name, found.metrics[name]) for name in MEANINGS),
        "",
        "## Limits",
        "",
        "- It knows the films it was trained on: frontal, adult, normal. On others its likelihoods say little.",
        "- Likelihood is no measure of how real a sample looks, nor of what a detector learns from it.",
        "- Whether samples copy a film is checked by correlation on the samples of the report, no more.",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, entry: Mapping[str, Any]) -> str:
    low, high = entry["ci95"]
    interval = "" if low is None else f"{low} to {high}"
    return f"| {name} | {entry['mean']} | {interval} | {MEANINGS[name]} |"


def _pictures() -> str:
    return "\n## Pictures\n\n" + "\n\n".join(f"![{name.split('.')[0]}]({name})" for name in FIGURES) + "\n"
