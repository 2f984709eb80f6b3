"""Scoring converted CT: against the true kVCT of the patient where there is one, and by itself where there is none.

Every converter, the input itself and the classical baselines are scored by the same functions at the same places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.mvct import pipeline
from manabi.mvct.metrics import PAIRS, cnr, dig, tissue_masks, tissue_stats
from manabi.mvct.parameters import MVCTParameters
from manabi.mvct.pipeline import Model
from manabi.mvct.prepare import prepare
from manabi.mvct.tissue_map import TissueMap, body_mask
from manabi.volume import Volume
from Training.mvct_evaluate_contours import contour_scores
from Training.mvct_evaluate_detail import edge_mtf, noise_power
from Training.mvct_evaluate_images import mae, ms_ssim, psnr, ssim
from Training.mvct_slices import TestPair
from Training.mvct_truth import kvct_tissues
from Training.resampling import bootstrap_mean, patient_means

Convert = Callable[[Volume], Volume]
Summary = dict[str, dict[str, Any]]

INPUT, NETWORK, TRUTH = "input", "network", "kvct"
BASELINES = ("histogram", "polynomial", "nlm")
"""Scored beside the network; bm3d is left out, for it takes minutes a patient and comes close to nlm (our choice)."""
MEANINGS = {
    "mae_hu": "mean absolute error in the body, HU (SynthRAD)",
    "psnr_db": "peak signal-to-noise ratio in the body, range 4024 HU (SynthRAD)",
    "ssim": "structural similarity in the body, range 4024 HU",
    "ms_ssim": "multi-scale structural similarity in the body (SynthRAD)",
    "dig_a": "DIG-a: difference in gradient from the input, mean over the body, HU/mm",
    "dig_b": "DIG-b: the same in flat regions",
    "cnr_muscle_fat": "contrast-to-noise ratio of muscle and fat",
    "cnr_bone_fat": "the same of bone and fat",
    "cnr_bone_muscle": "the same of bone and muscle",
    "hu_fat": "HU of fat",
    "hu_muscle": "HU of muscle, brain and glands",
    "hu_bone": "HU of bone",
    "noise_hu": "standard deviation of the noise in flat soft tissue, HU",
    "noise_frequency": "mean frequency of the noise power, 1/mm",
    "mtf50": "frequency at which the edge MTF falls to a half, line pairs per mm",
    "mtf10": "the same to a tenth",
    "dice_air": "contour agreement with the true kVCT (Dice): air",
    "dice_fat": "the same: fat",
    "dice_soft": "the same: soft tissue",
    "dice_bone": "the same: bone",
    "border_mm_soft": "mean distance of the soft tissue's border from the true one, mm",
    "border_mm_bone": "the same of bone",
}
"""Every score of a pair and what it is; the truth's own values of the scores that need no reference are under
:data:`TRUTH`."""
ALONE = tuple(name for name in MEANINGS if name.startswith(("cnr", "hu_", "noise", "mtf")))
"""Scores that an image has by itself, at places that a reference chooses."""


# --- converters -------------------------------------------------------------------------------------------------------


def converter(model: Model, context: Context, name: str = NETWORK, way_back: str = "correction") -> Convert:
    """A converter as the method applies it, without the extras (uncertainty, residual).

    Args:
        model: network or, for a baseline, the settings and facts it needs.
        context: device and precision.
        name: ``network`` or one of the baselines.
        way_back: see :class:`manabi.mvct.parameters.MVCTParameters`.
    """
    parameters = MVCTParameters.of({"converter": name, "uncertainty": "none", "residual": False, "way_back": way_back})

    def convert(volume: Volume) -> Volume:
        work = prepare(volume, model.settings.pixel_mm)
        body = body_mask(work.hu, work.image.spacing_mm)
        return work.back(pipeline.convert(work, body, model, parameters, context).after, name)

    return convert


# --- one patient ------------------------------------------------------------------------------------------------------


def pair_scores(pair: TestPair, converted: Volume) -> dict[str, float]:
    """What :data:`MEANINGS` names, of one converted scan with its true kVCT; nan where there is nothing to measure."""
    source, target, image = (_straight(volume) for volume in (pair.source, pair.target, converted))
    truth, spacing = np.asarray(target.array), np.asarray(target.spacing_mm, float)
    tissues = kvct_tissues(truth, spacing)
    made, body = np.asarray(image.array), tissues.body
    change = dig(np.asarray(source.array), made, body, spacing)
    return {
        "mae_hu": mae(truth, made, body),
        "psnr_db": psnr(truth, made, body),
        "ssim": ssim(truth, made, body),
        "ms_ssim": ms_ssim(truth, made, body),
        "dig_a": change.dig_a,
        "dig_b": change.dig_b,
        **alone_scores(made, truth, tissues, spacing),
        **contour_scores(truth, made, body, spacing),
    }


def alone_scores(image: np.ndarray, reference: np.ndarray, tissues: TissueMap, spacing: np.ndarray) -> dict[str, float]:
    """CNR, HU of tissues, noise and resolution of an image, at places that the reference chooses.

    Args:
        image: ``(slices, rows, columns)`` HU.
        reference: true kVCT, or the image itself where there is none.
        tissues: of the reference.
        spacing: along I, J and K, mm.
    """
    stats = tissue_stats(image, tissue_masks(tissues.labels, spacing), spacing)
    scores = {f"cnr_{a}_{b}": cnr(stats[a], stats[b]) if a in stats and b in stats else float("nan") for a, b in PAIRS}
    for tissue in ("fat", "muscle", "bone"):
        scores[f"hu_{tissue}"] = stats[tissue].mean_hu if tissue in stats else float("nan")
    pixel = (float(spacing[0]), float(spacing[1]))
    noise, mtf = noise_power(image, reference, pixel), edge_mtf(image, reference, pixel)
    return {
        **scores, "noise_hu": noise.sd_hu, "noise_frequency": noise.mean_frequency, "mtf50": mtf.at(0.5),
        "mtf10": mtf.at(0.1),
    }  # fmt: skip


def unpaired_scores(source: Volume, converted: Volume) -> dict[str, float]:
    """DIG and what the converted image has by itself, where no true kVCT is known; its own tissues are measured."""
    before, after = _straight(source), _straight(converted)
    made, spacing = np.asarray(after.array), np.asarray(after.spacing_mm, float)
    tissues = kvct_tissues(made, spacing)
    change = dig(np.asarray(before.array), made, tissues.body, spacing)
    return {"dig_a": change.dig_a, "dig_b": change.dig_b, **alone_scores(made, made, tissues, spacing)}


def _straight(volume: Volume) -> Volume:
    straight = volume.reoriented()
    return straight.like(np.asarray(straight.array, np.float32))


# --- all patients -----------------------------------------------------------------------------------------------------


def evaluate_pairs(pairs: Sequence[TestPair], converters: Mapping[str, Convert]) -> dict[str, Summary]:
    """Scores of the input, of every converter and of the true kVCT, as means with 95 % intervals over patients.

    The truth has the scores of :data:`ALONE` only.
    """
    rows: dict[str, list[dict[str, float]]] = {INPUT: [], **{name: [] for name in converters}, TRUTH: []}
    owners = [pair.patient for pair in pairs]
    for pair in pairs:
        rows[INPUT].append(pair_scores(pair, pair.source))
        for name, convert in converters.items():
            rows[name].append(pair_scores(pair, convert(pair.source)))
        truth = _straight(pair.target)
        array, spacing = np.asarray(truth.array), np.asarray(truth.spacing_mm, float)
        rows[TRUTH].append(alone_scores(array, array, kvct_tissues(array, spacing), spacing))
    return {name: summary(found, owners) for name, found in rows.items()}


def evaluate_unpaired(sources: Sequence[tuple[str, Volume]], converters: Mapping[str, Convert]) -> dict[str, Summary]:
    """:func:`unpaired_scores` of the input and every converter, for (patient, scan) without a true kVCT."""
    owners = [patient for patient, _ in sources]
    steps: dict[str, Convert] = {INPUT: lambda volume: volume, **converters}
    rows = {name: [unpaired_scores(volume, step(volume)) for _, volume in sources] for name, step in steps.items()}
    return {name: summary(found, owners) for name, found in rows.items()}


def summary(rows: Sequence[Mapping[str, float]], owners: Sequence[str]) -> Summary:
    """Mean and 95 % interval of every score over patients; one patient has no interval, what is undefined no entry."""
    out: Summary = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        kept = [
            (row[name], owner) for row, owner in zip(rows, owners, strict=True) if np.isfinite(row.get(name, np.nan))
        ]
        if not kept:
            continue
        values, patients = np.array([value for value, _ in kept]), [owner for _, owner in kept]
        out[name] = {"mean": round(float(patient_means(values, patients).mean()), 4), "ci95": [None, None]}
        if len(set(patients)) > 1:
            estimate = bootstrap_mean(values, patients)
            out[name]["ci95"] = [round(estimate.low, 4), round(estimate.high, 4)]
    return out
