"""From trained weights to a bundle: calibration on the validation patients, scores on the test patients, the card."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from manabi.bundle import Bundle
from manabi.context import Context
from manabi.inference import predict_stack
from manabi.provenance import package_versions
from manabi.spect import denoise
from manabi.store.layout import write_bundle
from Training.cohort import Cohort, CohortCase
from Training.config import TrainConfig
from Training.resampling import bootstrap_mean
from Training.run import FitResult
from Training.spect_data import Pair, read_pair
from Training.spect_evaluate import Slab, binding_errors, image_scores, relative_bias, slab_of

if TYPE_CHECKING:
    from Training.spect import SPECTRecipe

SCALES_MM = (0.0, 60.0, 45.0, 35.0, 28.0)
"""Candidates of the scale above which the input's counts are kept (FWHM); 0 switches it off."""
TRIAL_GAIN = 1.1
GAIN_LIMITS = (0.9, 1.3)
"""Contrast gains that calibration may choose (our choice)."""


@dataclass(frozen=True)
class Measured:
    """What calibration found.

    Attributes:
        settings: how the network is to be applied.
        noise_range: 1st and 99th percentile of the noise removed from training-like scans.
        candidates: validation scores of each scale that was tried.
        metrics: scores on the test patients with 95 % intervals (patients resampled).
        test_patients: how many.
    """

    settings: denoise.Settings
    noise_range: tuple[float, float]
    candidates: list[dict[str, float]]
    metrics: dict[str, Any]
    test_patients: int


def calibrate(model: torch.nn.Module, recipe: SPECTRecipe, cohort: Cohort) -> Measured:
    """Choose on validation patients how the network is applied, then score it once on the test patients."""
    settings = denoise.Settings(recipe.context)
    noise: tuple[float, float] = (0.0, 0.0)
    candidates: list[dict[str, float]] = []
    if recipe.pipeline == "ours":
        settings, noise, candidates = _choose(model, settings, cohort.split("validation"))
    scores = [_score(model, recipe, settings, read_pair(case)) for case in cohort.split("test")]
    return Measured(settings, noise, candidates, _summary(scores), len(scores))


def _choose(
    model: torch.nn.Module, settings: denoise.Settings, cases: list[CohortCase]
) -> tuple[denoise.Settings, tuple[float, float], list[dict[str, float]]]:
    """Scale, contrast gain and variance factor from the validation patients: the best SSIM without bias."""
    patients = []
    for case in cases:
        pair = read_pair(case)
        seen = denoise.predict(pair.short, model, settings.context, Context(precision="float32"))
        patients.append((pair, slab_of(pair), seen))
    plain = [denoise.finish(pair.short, seen, settings) for pair, _, seen in patients]
    squares = [_variance_ratio(pair, done, slab) for (pair, slab, _), done in zip(patients, plain, strict=True)]
    factor = float(np.mean(squares)) if np.isfinite(squares).all() else 1.0
    low, high = (float(np.percentile([done.relative_noise for done in plain], p)) for p in (1, 99))
    table = [_unbiased(replace(settings, consistency_mm=scale), patients) for scale in SCALES_MM]
    best = max(table, key=lambda row: row["ssim"])
    chosen = replace(
        settings,
        consistency_mm=best["consistency_mm"],
        variance_calibration=factor,
        contrast_gain=best["contrast_gain"],
    )
    return chosen, (low, high), table


def _unbiased(settings: denoise.Settings, patients: list[tuple[Pair, Slab, denoise.Prediction]]) -> dict[str, float]:
    """The contrast gain with which the mean binding ratio of a setting has no bias, and the scores it then has."""
    _, plain = _validation_scores(settings, patients)
    trial = replace(settings, contrast_gain=TRIAL_GAIN)
    _, raised = _validation_scores(trial, patients)
    gain = 1.0 - plain * (TRIAL_GAIN - 1.0) / (raised - plain) if raised > plain else 1.0
    gain = round(float(np.clip(gain, *GAIN_LIMITS)), 4)
    ssim, bias = _validation_scores(replace(settings, contrast_gain=gain), patients)
    return {
        "consistency_mm": settings.consistency_mm,
        "contrast_gain": gain,
        "ssim": ssim,
        "bias": bias,
        "bias_without_gain": plain,
    }


def _validation_scores(
    settings: denoise.Settings, patients: list[tuple[Pair, Slab, denoise.Prediction]]
) -> tuple[float, float]:
    """Mean SSIM and mean relative bias of the binding ratio."""
    ssim, bias = [], []
    for pair, slab, seen in patients:
        images = slab.images_of(denoise.finish(pair.short, seen, settings).volume)
        ssim.append(float(image_scores(slab, images.images)["ssim"].mean()))
        bias.append(relative_bias(binding_errors(slab, np.asarray(images.box.array)), slab))
    return float(np.mean(ssim)), float(np.mean(bias))


def _variance_ratio(pair: Pair, done: denoise.Denoised, slab: Slab) -> float:
    """Observed over predicted variance in the head of the slab; NaN where the network predicts none."""
    if done.uncertainty is None:
        return float("nan")
    scale = float(np.sum(pair.short.array)) / float(np.sum(pair.full.array))
    error = np.asarray(pair.full.array, float) * scale - done.volume.array
    head = np.asarray(done.volume.array) > 0.3 * float(np.asarray(slab.short.box.array).mean())
    spread = np.asarray(done.uncertainty.array, float)[head]
    return float(np.mean(error[head] ** 2) / np.mean(spread**2))


def apply(model: torch.nn.Module, pair: Pair, settings: denoise.Settings) -> denoise.Denoised:
    """The network on a case's short scan."""
    return denoise.denoise_with_network(pair.short, model, settings, Context(precision="float32"))


def paper_output(model: torch.nn.Module, slab: Slab) -> np.ndarray:
    """The network of the source's pipeline on a case's five images, 0 to 1."""
    out = predict_stack(model, slab.short.images[:, None], context=Context(precision="float32"))
    return np.clip(out[:, 0], 0.0, 1.0)


def _score(model: torch.nn.Module, recipe: SPECTRecipe, settings: denoise.Settings, pair: Pair) -> dict[str, float]:
    slab = slab_of(pair)
    if recipe.pipeline == "ours":
        images = slab.images_of(apply(model, pair, settings).volume)
        shown, counts = images.images, np.asarray(images.box.array)
    else:
        shown = paper_output(model, slab)
        counts = slab.short.to_counts(shown)
    scores = {name: float(values.mean()) for name, values in image_scores(slab, shown).items()}
    noisy = image_scores(slab, slab.short.images)
    scores["ssim_input"] = float(noisy["ssim"].mean())
    scores["binding_ratio_bias_percent"] = 100.0 * relative_bias(binding_errors(slab, counts), slab)
    return scores


def _summary(scores: list[dict[str, float]]) -> dict[str, Any]:
    """Mean and 95 % interval of every score over patients; a single patient has no interval."""
    if not scores:
        return {}
    summary: dict[str, Any] = {}
    for name in scores[0]:
        values = np.array([s[name] for s in scores])
        summary[name] = {"mean": round(float(values.mean()), 4), "ci95": [None, None]}
        if len(values) > 1:
            estimate = bootstrap_mean(values, np.arange(len(values)))
            summary[name]["ci95"] = [round(estimate.low, 4), round(estimate.high, 4)]
    return summary


def export(
    folder: Path,
    recipe: SPECTRecipe,
    config: TrainConfig,
    result: FitResult,
    cohort: Cohort,
    measured: Measured,
    data: str,
) -> Bundle:
    """Write the bundle of a training."""
    simulated = any(case.folder is not None for case in cohort.cases)
    counts = [len(cohort.split(name)) for name in ("training", "validation", "test")]
    trained_on = f"{'simulated DAT-SPECT (' + data + ')' if simulated else 'a local cohort'}: {counts[0]} patients"
    extra = {
        "trained_on": trained_on,
        "simulated": simulated,
        "inputs": _inputs(recipe),
        "output_channels": ["image", "log_variance"][: recipe.network_arguments()["out_channels"]],
        "precision": ["float32", "bfloat16"],
        "metrics": measured.metrics,
        "spect": {
            "pipeline": recipe.pipeline,
            "context_slices": measured.settings.context,
            "consistency_mm": measured.settings.consistency_mm,
            "variance_calibration": round(measured.settings.variance_calibration, 5),
            "contrast_gain": measured.settings.contrast_gain,
            "training_noise_range": [round(v, 5) for v in measured.noise_range] if any(measured.noise_range) else None,
            "scale_candidates": measured.candidates,
        },
        "training": {
            "recipe": recipe.to_dict(),
            "settings": config.to_dict(),
            "best_epoch": result.best_epoch,
            "data_sha256": cohort.data_hash,
            "patients": dict(zip(("training", "validation", "test"), counts, strict=True)),
            "versions": package_versions(),
            "machine": platform.machine(),
        },
        "task": "Denoising of short dopamine-transporter SPECT",
        "description": "5-minute 123I-ioflupane SPECT to the quality of 25 minutes",
        "intended_use": "Research. Not for diagnosis without reading the scan that was not denoised.",
        "authors": "The Manabi contributors",
        "copyright": "The Manabi contributors, Apache-2.0",
        "references": ["Ishiwata Y. KAKENHI 20K16705; Jpn J Radiol 2025, 10.1007/s11604-025-01933-z"],
    }
    network = {"name": recipe.network, "arguments": recipe.network_arguments()}
    return write_bundle(
        folder,
        name=recipe.name,
        version=recipe.version,
        method="spect",
        network=network,
        state_dict=result.model.state_dict(),
        card=_card(recipe, config, result, measured, trained_on, counts),
        metadata_extra=extra,
        replace=True,
    )


def _inputs(recipe: SPECTRecipe) -> dict[str, Any]:
    ours = recipe.pipeline == "ours"
    return {
        "modality": "NM",
        "units": "CNTS",
        "context_slices": recipe.context if ours else 1,
        "orientation": "RAS",
        "spacing_mm": [3.29, 3.29, 3.29] if ours else None,
        "intensity": {"kind": "head_mean"} if ours else {"kind": "maximum", "per": "slice"},
    }


def _card(
    recipe: SPECTRecipe, config: TrainConfig, result: FitResult, measured: Measured, trained_on: str, counts: list[int]
) -> str:
    """The model card."""
    lines = [
        f"# {recipe.name} {recipe.version}",
        "",
        "Denoises reconstructed 123I-ioflupane (dopamine-transporter) SPECT of about 5 minutes towards the quality of",
        "25 minutes. For research use; read the scan that was not denoised as well.",
        "",
        "## Training",
        "",
        f"- Data: {trained_on}; {counts[1]} validation and {counts[2]} test patients, split by patient.",
        f"- Pipeline `{recipe.pipeline}`, network {recipe.network} {recipe.network_arguments()}.",
        f"- {config.epochs} epochs, batch {config.batch_size}, {config.optimizer}, seed {config.seed}; "
        f"best epoch {result.best_epoch}.",
        "- Command: `python -m Training spect`; settings in `configs/metadata.json` under `manabi.training`.",
        "",
        f"## Scores on {measured.test_patients} test patients (mean, 95 % interval over patients)",
        "",
        "On the source's five 64×64 images per patient, against the full-time scan.",
        "",
        "| score | mean | 95 % interval |",
        "|---|---|---|",
        *(f"| {k} | {v['mean']} | {v['ci95'][0]} to {v['ci95'][1]} |" for k, v in measured.metrics.items()),
        "",
        "## Limits",
        "",
        "- Scores on phantoms say nothing certain about patients. The method flags input that is noisier or smoother",
        "  than its training data, and binding ratios that move by more than noise allows.",
        "- Head only; other tracers and regions were not seen in training.",
        "",
        f"Applied with: {asdict(measured.settings)}",
        "",
    ]
    return "\n".join(lines)
