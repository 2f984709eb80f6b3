"""The tables of the SPECT experiment: the source's, with ours beside them, and the ones it lacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from manabi.spect.template import REGIONS
from Training.agreement import bland_altman, kappa_difference, quadratic_kappa
from Training.experiments.readers import READERS, Criteria, read_all
from Training.experiments.spect_arms import INPUT, OURS, REFERENCE, SMALL, Output
from Training.resampling import bootstrap_mean, mean_sd, patient_means
from Training.spect_evaluate import Slab, binding_errors, image_scores, relative_bias
from Training.statistics import Comparison, conover_friedman, dunn_holm, friedman, wilcoxon_holm

METRICS = ("psnr", "psnr_uint8_wrapped", "ssim", "ssim_wang", "nrmse")
PUBLISHED: dict[str, tuple[float, float, float, float]] = {
    "Original (5 min)": (30.8370, 0.7470, 0.7075, 0.0811),
    "Gaussian": (30.9803, 0.8357, 0.7466, 0.0771),
    "Bilateral": (31.0781, 0.9349, 0.7732, 0.0756),
    "U-Net(L1)": (32.2940, 1.3394, 0.8220, 0.0563),
    "U-Net(L2)": (32.3896, 1.4939, 0.8293, 0.0591),
    "U-Net(L3)": (32.3266, 1.3877, 0.8280, 0.0644),
    "U-Net(L4)": (32.6826, 1.6780, 0.8419, 0.0686),
    "U-Net(L5)": (32.6098, 1.6847, 0.8367, 0.0659),
    "V-Net": (32.3708, 1.4413, 0.8250, 0.0663),
    "U-Net++": (32.0434, 1.2038, 0.8130, 0.0671),
    "R2U-Net": (32.4902, 1.5419, 0.8326, 0.0666),
    "Attention U-Net": (32.5289, 1.5816, 0.8398, 0.0701),
    "TransUNET": (32.5168, 1.5672, 0.8305, 0.0708),
}
"""Table 1 of the source (patients, PSNR mean and SD, SSIM mean and SD), for comparison."""
PUBLISHED_KAPPA = {
    "Original (5 min)": 0.36, "U-Net(L4)": 0.66, "V-Net": 0.68, "U-Net++": 0.57, "R2U-Net": 0.59,
    "Attention U-Net": 0.67, "TransUNET": 0.62,
}  # fmt: skip
"""Table 2 of the source, mean of three readers."""


def base_name(method: str) -> str:
    """The source's name of a method, without what is said about its size."""
    return method.removesuffix(SMALL)


@dataclass(frozen=True)
class Scored:
    """Everything measured on the test patients.

    Attributes:
        patients: names, one per test patient.
        scores: method to metric to ``(n, 5)``.
        bias_percent: method to relative bias of the binding ratios per patient, ``(n,)``.
        ratios: method to measured binding ratios ``(n, 4)``.
        truth: binding ratios of the full scans ``(n, 4)``.
    """

    patients: list[str]
    scores: dict[str, dict[str, np.ndarray]]
    bias_percent: dict[str, np.ndarray]
    ratios: dict[str, np.ndarray]
    truth: np.ndarray


def score(patients: list[str], slabs: Sequence[Slab], outputs: Mapping[str, Sequence[Output]]) -> Scored:
    """Score every method's result of every patient."""
    scores: dict[str, dict[str, np.ndarray]] = {}
    bias, ratios = {}, {}
    truth = np.array([[slab.truth.sbr[r] for r in REGIONS] for slab in slabs])
    for name, results in outputs.items():
        rows = [image_scores(slab, out.images) for slab, out in zip(slabs, results, strict=True)]
        scores[name] = {metric: np.stack([row[metric] for row in rows]) for metric in METRICS}
        errors = [binding_errors(slab, out.counts) for slab, out in zip(slabs, results, strict=True)]
        bias[name] = np.array([100 * relative_bias(e, slab) for e, slab in zip(errors, slabs, strict=True)])
        off = np.array([[e[r] for r in REGIONS] for e in errors])
        ratios[name] = truth + off
    return Scored(patients, scores, bias, ratios, truth)


def image_table(scored: Scored) -> list[dict[str, Any]]:
    """Table 1: every metric, over slices and over patients."""
    per_slice = np.repeat(scored.patients, 5)
    rows = []
    for name, metrics in scored.scores.items():
        row: dict[str, Any] = {"method": name}
        for metric, values in metrics.items():
            m = mean_sd(values.ravel(), per_slice)
            row[metric] = {
                "slice_mean": float(values.mean()),
                "slice_sd": float(values.std(ddof=1)),
                "patient_mean": m.patient_mean,
                "patient_sd": m.patient_sd,
                "ci95": [m.patient_interval.low, m.patient_interval.high],
            }
        published = PUBLISHED.get(base_name(name))
        if published is not None:
            row["published"] = dict(zip(("psnr", "psnr_sd", "ssim", "ssim_sd"), published, strict=True))
        rows.append(row)
    return rows


def tests_table(scored: Scored, metric: str) -> dict[str, Any]:
    """Friedman, Dunn-Holm as published (slices as if independent), and the tests on patient means."""
    slices = {name: m[metric].ravel() for name, m in scored.scores.items()}
    patients = {name: patient_means(v, np.repeat(scored.patients, 5)) for name, v in slices.items()}
    published = {name: v for name, v in slices.items() if base_name(name) in PUBLISHED}
    whole, means = friedman(published), friedman(patients)
    return {
        "friedman_slices": {"chi2": whole.statistic, "p": whole.p, "n": whole.count},
        "friedman_patients": {"chi2": means.statistic, "p": means.p, "n": means.count, "kendall_w": means.kendall_w},
        "dunn_holm_slices_vs_unet4": _comparisons(dunn_holm(published, REFERENCE)),
        "conover_holm_patients_vs_unet4": _comparisons(conover_friedman(patients, REFERENCE)),
        "wilcoxon_holm_patients_vs_unet4": _comparisons(wilcoxon_holm(patients, REFERENCE)),
        "wilcoxon_holm_patients_vs_ours": _comparisons(wilcoxon_holm(patients, OURS)),
    }


def _comparisons(rows: Sequence[Comparison]) -> dict[str, Any]:
    family = rows[0].family if rows else 0
    pairs = {f"{r.first} / {r.second}": {"p": r.p, "p_holm": r.p_holm} for r in rows}
    return {"family": family, "pairs": pairs}


def reader_table(
    patients: list[str],
    slabs: Sequence[Slab],
    outputs: Mapping[str, Sequence[Output]],
    criteria: Criteria,
    seed: int,
) -> dict[str, Any]:
    """Table 2: quadratic kappa of simulated readers against their own reading of the full scan, and grade shift."""
    gold = read_all(slabs, [slab.full.images for slab in slabs], criteria, seed)
    again = read_all(slabs, [slab.full.images for slab in slabs], criteria, seed + 1)
    owner = np.repeat(patients, 2)
    readings = {
        name: read_all(slabs, [out.images for out in results], criteria, seed + 2 + n)
        for n, (name, results) in enumerate(outputs.items())
    }
    rows = [_reader_row(name, grades, gold, owner) for name, grades in readings.items()]
    gains = {
        reader: _triple(kappa_difference((gold[n].ravel(), readings[INPUT][n].ravel()),
                                         (gold[n].ravel(), readings[OURS][n].ravel()), owner))
        for n, reader in enumerate(READERS)
    }  # fmt: skip
    repeat = _reader_row("25 min, read again", again, gold, owner)
    common = {"simulated": True, "criteria": vars(criteria)}
    return {**common, "rows": rows, "repeat": repeat, "gain_ours_over_input": gains}


def _triple(estimate: Any) -> list[float]:
    return [estimate.value, estimate.low, estimate.high]


def _reader_row(name: str, grades: np.ndarray, gold: np.ndarray, owner: np.ndarray) -> dict[str, Any]:
    kappas = {
        reader: _triple(quadratic_kappa(gold[n].ravel(), grades[n].ravel(), owner)) for n, reader in enumerate(READERS)
    }
    shift = (grades - gold).mean(0).ravel()
    return {
        "method": name,
        "kappa": kappas,
        "kappa_mean": float(np.mean([k[0] for k in kappas.values()])),
        "published_mean": PUBLISHED_KAPPA.get(base_name(name)),
        "grade_shift": _triple(bootstrap_mean(shift, owner)),
    }


def binding_table(scored: Scored) -> list[dict[str, Any]]:
    """Table 3: bias of the binding ratio, and Bland-Altman limits."""
    rows = []
    for name, bias in scored.bias_percent.items():
        owner = np.repeat(scored.patients, len(REGIONS))
        limits = bland_altman(scored.ratios[name].ravel(), scored.truth.ravel(), owner)
        rows.append(
            {
                "method": name,
                "bias_percent": _triple(bootstrap_mean(bias, scored.patients)),
                "bias": _triple(limits.bias),
                "lower_limit": _triple(limits.lower_limit),
                "upper_limit": _triple(limits.upper_limit),
            }
        )
    return rows
