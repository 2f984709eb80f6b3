"""From a trained generator to a bundle: the test patients scored once, as the method would be run on them; the card."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from manabi.brain.contrast import Settings, normalised, synthesise
from manabi.bundle import Bundle
from manabi.context import Context
from manabi.provenance import package_versions
from manabi.store.layout import write_bundle
from manabi.volume import Volume
from Training.cohort import PHANTOMS, SPLITS, Cohort
from Training.config import TrainConfig
from Training.metrics import psnr
from Training.resampling import bootstrap_mean, patient_means
from Training.run import FitResult

if TYPE_CHECKING:
    from Training.brain_contrast import ContrastRecipe

REFERENCES = [
    "Isola P et al. CVPR 2017, 10.1109/CVPR.2017.632",
    "Sugino T. KAKENHI 20K20216, report, section 4.2",
]
SMOOTH_MM = 2.0
UNKNOWABLE = 0.5
"""Uncertainty from which a voxel counts as unknowable (our choice)."""
HIDDEN = (
    "- In heavy T2 a vessel shows as a void in fluid only. Within the brain its angiogram is guesswork; the map of",
    "  uncertainty marks where. Aneurysms and narrowings were not simulated.",
)
"""What the card says where a void is sought."""
MEANINGS = {
    "psnr_db": "peak signal-to-noise ratio in the head",
    "ssim": "structural similarity in the head, slice by slice",
    "psnr_source_db": "the same of the input taken as the answer",
    "ssim_source": "the same of the input taken as the answer",
    "bright_dice": "overlap of bright voxels (vessels of an angiogram) with the real image's",
    "bright_dice_other": "the same of another test patient's synthetic image, laid over this one's middle: what chance "
    "and the average head give (an uninformative control)",
    "bright_found_knowable": "share of bright voxels that are found where they can be known",
    "bright_found_unknowable": "the same where they cannot be known",
    "error_knowable": "mean absolute error where the image can be known, as a share of its range",
    "error_unknowable": "the same where it cannot be known",
    "bright_error_knowable": "mean absolute error of bright voxels where they can be known",
    "bright_error_unknowable": "the same where they cannot be known",
    "uncertainty_correlation": "of the uncertainty with the absolute error, in the head (Pearson)",
    "bright_uncertainty_correlation": "the same among bright voxels",
    "unknowable_share": "share of the head that cannot be known",
}
"""Every score and what it is; unknowable voxels have an uncertainty of :data:`UNKNOWABLE` and more."""


@dataclass(frozen=True)
class Measured:
    """Scores of the test patients.

    Attributes:
        metrics: means with 95 % intervals over patients.
        patients: how many.
    """

    metrics: dict[str, Any]
    patients: int


def measure(generator: nn.Module, recipe: ContrastRecipe, cohort: Cohort, device: str) -> Measured:
    """Score every test case once, each made as the method makes it."""
    settings, rows, owners, made = recipe.synthesis(), [], [], []
    for case in cohort.split("test"):
        volumes = case.load().volumes
        found = synthesise(volumes["input"], generator, settings, Context(device=device))
        source, target = (_scaled(volumes[column], settings) for column in ("input", "target"))
        image, doubt = np.asarray(found.volume.array), np.asarray(found.uncertainty.array)
        rows.append(scores(source, target, image, doubt, volumes["target"].spacing_mm, recipe.bright))
        owners.append(case.group)
        made.append((found.volume.reoriented(), target_of(volumes["target"], settings)))
    for row, other in zip(rows, control(made, owners, recipe.bright), strict=True):
        row["bright_dice_other"] = other
    return Measured(summary(rows, owners), len(set(owners)))


def target_of(volume: Volume, settings: Settings) -> np.ndarray:
    """The real image in RAS order, 0 to 1."""
    return _scaled(volume.reoriented(), settings)


def control(made: Sequence[tuple[Volume, np.ndarray]], owners: Sequence[str], bright: float) -> list[float]:
    """Overlap of every real image's bright voxels with those of the next patient's synthetic image.

    Args:
        made: synthetic image in RAS order, and the real one in the same order, of every case.
        owners: patient of every case.
        bright: level from which a voxel is bright.

    Returns:
        Dice by case; nan where there is no other patient.
    """
    out = []
    for n, (volume, target) in enumerate(made):
        others = [made[m % len(made)][0] for m in range(n + 1, n + len(made)) if owners[m % len(made)] != owners[n]]
        out.append(bright_dice(target >= bright, _centred(others[0], volume) >= bright) if others else float("nan"))
    return out


def _centred(image: Volume, onto: Volume) -> np.ndarray:
    """An image on another one's grid, their middles on each other; 0 beyond it."""
    middles = [v.ijk_to_ras @ [*((np.array(v.shape[::-1]) - 1) / 2), 1.0] for v in (image, onto)]
    moved = np.array(image.ijk_to_ras)
    moved[:3, 3] += (middles[1] - middles[0])[:3]
    return np.asarray(Volume(image.array, moved).resampled(onto.grid).array)


def bright_dice(true: np.ndarray, found: np.ndarray) -> float:
    """Dice of two masks; nan where both are empty."""
    total = int(true.sum()) + int(found.sum())
    return 2 * int((true & found).sum()) / total if total else float("nan")


def _scaled(volume: Volume, settings: Settings) -> np.ndarray:
    return normalised(np.asarray(volume.array), settings.low, settings.high)


def scores(
    source: np.ndarray, target: np.ndarray, image: np.ndarray, doubt: np.ndarray, spacing_mm: np.ndarray, bright: float
) -> dict[str, float]:
    """What :data:`MEANINGS` names but the control, for one case; nan where there is nothing to measure.

    Args:
        source: input ``(slices, rows, columns)``, 0 to 1.
        target: real image of the wanted contrast, the same shape and range.
        image: synthetic image, the same.
        doubt: its uncertainty, the same.
        spacing_mm: along I, J and K.
        bright: level from which a voxel is bright.
    """
    head = head_mask(source, target, spacing_mm)
    true, found, unsure = target[head], image[head], doubt[head]
    error, vessel, blind = np.abs(true - found), true >= bright, unsure >= UNKNOWABLE
    seen = found >= bright
    return {
        "psnr_db": psnr(true, found, 1.0),
        "ssim": ssim_within(target, image, head),
        "psnr_source_db": psnr(true, source[head], 1.0),
        "ssim_source": ssim_within(target, source, head),
        "bright_dice": bright_dice(vessel, seen),
        "bright_found_knowable": _mean(seen[vessel & ~blind]),
        "bright_found_unknowable": _mean(seen[vessel & blind]),
        "error_knowable": _mean(error[~blind]),
        "error_unknowable": _mean(error[blind]),
        "bright_error_knowable": _mean(error[vessel & ~blind]),
        "bright_error_unknowable": _mean(error[vessel & blind]),
        "uncertainty_correlation": correlation(unsure, error),
        "bright_uncertainty_correlation": correlation(unsure[vessel], error[vessel]),
        "unknowable_share": _mean(blind),
    }


def head_mask(source: np.ndarray, target: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """The head without air around it: where either contrast, smoothed, exceeds half its mean; holes filled by slice.

    Two contrasts, because fluid is dark in one and brain in the other. Our choice; not taken where nothing exceeds it.
    """
    from scipy import ndimage

    step = np.asarray(spacing_mm, float)[::-1]
    smooth = ndimage.gaussian_filter(np.maximum(source, target).astype(np.float32), SMOOTH_MM / step)
    inside = smooth > 0.5 * smooth.mean()
    return np.stack([ndimage.binary_fill_holes(plane) for plane in inside])


def ssim_within(target: np.ndarray, image: np.ndarray, head: np.ndarray) -> float:
    """Mean over the head of each slice's structural similarity, scikit-image's convention (7×7 uniform window)."""
    from skimage.metrics import structural_similarity

    values = []
    for true, other, mask in zip(target, image, head, strict=True):
        if mask.any():
            _, local = structural_similarity(true, other, data_range=1.0, full=True)
            values.append(local[mask])
    return float(np.concatenate(values).mean())


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation; nan where either does not vary."""
    if len(first) < 2 or not (np.ptp(first) > 0 and np.ptp(second) > 0):
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")


def summary(rows: Sequence[dict[str, float]], owners: Sequence[str]) -> dict[str, Any]:
    """Mean and 95 % interval of every score over patients; one patient has no interval, what is undefined no entry."""
    out: dict[str, Any] = {}
    for name in rows[0] if rows else ():
        kept = [(row[name], owner) for row, owner in zip(rows, owners, strict=True) if np.isfinite(row[name])]
        if not kept:
            continue
        values, patients = np.array([value for value, _ in kept]), [owner for _, owner in kept]
        out[name] = {"mean": round(float(patient_means(values, patients).mean()), 4), "ci95": [None, None]}
        if len(set(patients)) > 1:
            estimate = bootstrap_mean(values, patients)
            out[name]["ci95"] = [round(estimate.low, 4), round(estimate.high, 4)]
    return out


# --- the bundle -------------------------------------------------------------------------------------------------------


def export(
    folder: Path, recipe: ContrastRecipe, config: TrainConfig, result: FitResult, cohort: Cohort, measured: Measured,
    data: str,
) -> Bundle:  # fmt: skip
    """Write the bundle of a training: the generator, how it is applied, and what it scored."""
    simulated = bool(PHANTOMS.fullmatch(data))
    counts = {name: len({case.group for case in cohort.split(name)}) for name in SPLITS}
    source = f"simulated heads in heavy T2 and as angiogram ({data})" if simulated else "a local cohort"
    trained_on = f"{source}: {counts['training']} patients"
    extra = {
        **_facts(recipe, measured), "trained_on": trained_on, "simulated": simulated,
        "training": {
            "recipe": recipe.to_dict(), "settings": config.to_dict(), "best_epoch": result.best_epoch,
            "data_sha256": cohort.data_hash, "patients": counts, "versions": package_versions(),
            "machine": platform.machine(),
        },
    }  # fmt: skip
    return write_bundle(
        folder, name=recipe.name, version=recipe.version, method="brain",
        network={"name": "pix2pix_generator", "arguments": recipe.network_arguments()},
        state_dict=result.model.get_submodule("generator").state_dict(),
        card=_card(recipe, config, result, measured, trained_on, counts), metadata_extra=extra,
        inference=_inference(recipe.synthesis()), replace=True,
    )  # fmt: skip


def _facts(recipe: ContrastRecipe, measured: Measured) -> dict[str, Any]:
    """What the metadata say of the network, whosever images it learned from."""
    settings = recipe.synthesis()
    return {
        "inputs": {
            "modality": "MR", "context_slices": recipe.context, "orientation": "RAS",
            "spacing_mm": [recipe.pixel_mm, recipe.pixel_mm, None],
            "intensity": {"kind": "percentiles", "low": settings.low, "high": settings.high},
        },
        "output_channels": [recipe.made],
        "precision": ["float32", "bfloat16"],
        "metrics": measured.metrics,
        "brain": {"kind": "translation", **asdict(settings)},
        "task": "A missing contrast of MR images of the head",
        "description": "A contrast computed from another one, with a map of where it cannot be known",
        "intended_use": "Research. Not for diagnosis: the image was not measured.",
        "authors": "The Manabi contributors",
        "copyright": "The Manabi contributors, Apache-2.0",
        "references": REFERENCES,
    }  # fmt: skip


def _inference(settings: Settings) -> dict[str, Any]:
    """How ``python -m monai.bundle run`` prepares an image: percentiles to 0 and 1, the network's pixels; one pass."""
    return {
        "inferer": {
            "_target_": "manabi.store.monai_run.SliceStackInferer", "context_slices": settings.context,
            "intensity": {"kind": "none"},
        },
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
                {
                    "_target_": "ScaleIntensityRangePercentilesd", "keys": "image", "lower": settings.low,
                    "upper": settings.high, "b_min": 0.0, "b_max": 1.0, "clip": True,
                },
                {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
                # A slice distance of -1 is the image's own.
                {
                    "_target_": "Spacingd", "keys": "image", "pixdim": [settings.pixel_mm, settings.pixel_mm, -1.0],
                    "mode": "bilinear",
                },
            ],
        },
    }  # fmt: skip


def _card(
    recipe: ContrastRecipe, config: TrainConfig, result: FitResult, measured: Measured, trained_on: str,
    counts: dict[str, int],
) -> str:  # fmt: skip
    """The model card."""
    rows = [f"| {MEANINGS[k]} | {v['mean']} | {_interval(v['ci95'])} |" for k, v in measured.metrics.items()]
    lines = [
        f"# {recipe.name} {recipe.version}",
        "",
        f"Computes one MR contrast of the head from another (`{recipe.made}`), with a map of where it cannot be known.",
        "For research use. The image was not measured: do not read findings from it.",
        "",
        "## Training",
        "",
        f"- Data: {trained_on}; {counts['validation']} for validation, {counts['test']} for the test.",
        f"- Pix2Pix; generator {recipe.network_arguments()}, judge {recipe.judge_filters}.",
        f"- {config.epochs} epochs, batch {config.batch_size}, {config.optimizer}, seed {config.seed}; "
        f"best epoch {result.best_epoch}. Crops of {recipe.crop} pixels, {recipe.bright_share:.0%} at bright voxels.",
        "- Command: `python -m Training brain_contrast`; settings in `configs/metadata.json` under `manabi.training`.",
        "",
        f"## Scores on {measured.patients} test patients (mean, 95 % interval over patients)",
        "",
        f"Bright is {recipe.bright:g} of the range and more; unknowable is an uncertainty of {UNKNOWABLE:g} and more.",
        "",
        "| score | mean | 95 % interval |",
        "|---|---|---|",
        *rows,
        "",
        "## Limits",
        "",
        *(HIDDEN if recipe.voids else ()),
        "- Scores on phantoms say nothing certain about patients.",
        f"- Mean of {recipe.samples} passes with dropout; fine detail that the passes disagree on is blurred.",
        "",
    ]
    return "\n".join(lines)


def _interval(ends: Sequence[float | None]) -> str:
    low, high = ends
    return "not known" if low is None else f"{low} to {high}"
