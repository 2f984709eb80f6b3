"""Tables and figures of the SPECT experiment as a Markdown page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manabi.io.atomic import atomic_file
from manabi.spect.noise import ALERT_Z
from manabi.spect.template import REGIONS
from Training.experiments import spect_figures
from Training.experiments.spect_alert import BAD_SHARE, harm
from Training.experiments.spect_arms import INPUT, OURS, REFERENCE, Output
from Training.spect_evaluate import Slab

SHOWN = (INPUT, REFERENCE, OURS)


def write(
    folder: Path, results: dict[str, Any], patients: list[str], slabs: Sequence[Slab], outputs: dict[str, list[Output]]
) -> Path:
    """Write ``spect.md`` and its figures into ``folder``."""
    figures(folder / "images", results, patients, slabs, outputs)
    path = folder / "spect.md"
    with atomic_file(path, overwrite=True) as aside:
        aside.write_text(text(results), encoding="utf-8")
    return path


def text(results: dict[str, Any]) -> str:
    """The page, from ``results.json``."""
    parts = (_head, _aims, _images, _tests, _readers, _binding, _alert)
    return "\n".join(line for part in parts for line in part(results)) + "\n"


def _aims(results: dict[str, Any]) -> list[str]:
    """What the source reported or the project aimed at, beside what was reached."""
    ssim = {row["method"]: row["ssim"] for row in results["images"]}
    kappa = {row["method"]: row for row in results["readers"]["rows"]}
    bias = {row["method"]: row["bias_percent"] for row in results["binding"]}
    rows = [
        ("SSIM of the 5-minute image", "0.7075 ± 0.02", f"{ssim[INPUT]['slice_mean']:.3f}"),
        (f"SSIM of {OURS}", "at least 0.842", f"{ssim[OURS]['slice_mean']:.3f}"),
        ("mean kappa of simulated readers, 5 minutes", "at most 0.41", f"{kappa[INPUT]['kappa_mean']:.2f}"),
        (f"mean kappa of simulated readers, {OURS}", "at least 0.66", f"{kappa[OURS]['kappa_mean']:.2f}"),
        (f"mean grade shift, {OURS}", "within ±0.1", _f(kappa[OURS]["grade_shift"], 2)),
        (f"mean bias of the binding ratio, {OURS}", "within ±3 %", _f(bias[OURS], 1) + " %"),
    ]
    lines = ["## Aims and what was reached", "", "| quantity | aim | reached |", "|---|---|---|"]
    return [*lines, *(f"| {name} | {aim} | {value} |" for name, aim, value in rows), ""]


def _head(results: dict[str, Any]) -> list[str]:
    about = results["about"]
    return [
        "# SPECTDenoise: results on simulated patients",
        "",
        f"Written by `python -m Training experiment spect --size {about['size']}`. Patients are phantoms "
        f"(`{about['data']}`, split {about['parts']}), readers are simulated; nothing here was measured on people. "
        f"Networks of the source: {about['paper_epochs']} epochs (the source trained 200); ours: {about['our_epochs']} "
        f"epochs; seed {about['seed']}, {about['precision']}, {about['device']}, {about['versions']['platform']}, "
        f"torch {about['versions'].get('torch', '?')}; data SHA-256 `{about['data_sha256'][:16]}`.",
        "",
    ]


def _f(values: Sequence[float], digits: int = 3) -> str:
    value, low, high = values
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _images(results: dict[str, Any]) -> list[str]:
    lines = [
        "## Table 1. Likeness to the 25-minute image",
        "",
        f"Five slices of each of {results['about']['test_patients']} test patients (source's pipeline: 8 bit, 64×64, "
        "each image divided by its maximum). Mean ± SD over slices, as the source gives it; 95 % interval of the mean "
        "over patients (patients resampled). PSNR is computed in float64; the legacy column repeats 8-bit arithmetic "
        "that wraps around, which the source's figures resemble, and is not a quality measure.",
        "",
        "| method | PSNR dB | legacy 8-bit PSNR | SSIM | SSIM, 95 % interval | SSIM (Wang) | NRMSE | source's PSNR | "
        "source's SSIM |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results["images"]:
        cells = [f"{row[m]['slice_mean']:.{d}f} ± {row[m]['slice_sd']:.{d}f}" for m, d in _COLUMNS]
        low, high = row["ssim"]["ci95"]
        cells.insert(3, f"{low:.3f} to {high:.3f}")
        source = row.get("published")
        published = [f"{source['psnr']:.2f}", f"{source['ssim']:.4f}"] if source else ["", ""]
        lines.append(f"| {row['method']} | " + " | ".join([*cells, *published]) + " |")
    return [*lines, "", "![SSIM and PSNR per patient](images/scores.png)", "", "![Examples](images/examples.png)", ""]


_COLUMNS = (("psnr", 2), ("psnr_uint8_wrapped", 2), ("ssim", 3), ("ssim_wang", 3), ("nrmse", 3))


def _tests(results: dict[str, Any]) -> list[str]:
    lines = ["## Statistical tests on SSIM", ""]
    tests = results["tests"]["ssim"]
    for key, words in (("friedman_slices", "over slices, as the source"), ("friedman_patients", "over patients")):
        t = tests[key]
        lines.append(f"- Friedman {words}: χ² {t['chi2']:.1f}, p {t['p']:.2g}, n {t['n']}.")
    lines += [
        "- Dunn's test with Holm's correction treats slices as independent groups, which they are not; it is given "
        "because the source gives it. The paired test on patient means is the one to read.",
        "",
        f"| against {REFERENCE} | Dunn–Holm, slices | Wilcoxon–Holm, patients |",
        "|---|---|---|",
    ]
    paired = tests["wilcoxon_holm_patients_vs_unet4"]["pairs"]
    dunn = tests["dunn_holm_slices_vs_unet4"]["pairs"]
    for pair, p in paired.items():
        other = next(name for name in pair.split(" / ") if name != REFERENCE)
        lines.append(f"| {other} | {_p(dunn.get(pair))} | {p['p_holm']:.2g} |")
    against = tests["wilcoxon_holm_patients_vs_ours"]["pairs"]
    listed = "; ".join(f"{pair.replace(OURS, 'ours')} {p['p_holm']:.2g}" for pair, p in against.items())
    return [*lines, "", f"Against {OURS} (Wilcoxon–Holm on patient means): {listed}.", ""]


def _p(cell: dict[str, float] | None) -> str:
    return f"{cell['p_holm']:.2g}" if cell else "not in the source"


def _readers(results: dict[str, Any]) -> list[str]:
    table = results["readers"]
    lines = [
        "## Table 2. Agreement of simulated readers with their reading of the 25-minute image",
        "",
        "Quadratic weighted kappa of three simulated readers (see `Training/experiments/readers.py`), two striata per "
        "patient, 95 % interval by patient. The last row is the same reader reading the same 25-minute image again.",
        "",
        "| method | reader A | reader B | reader C | mean | source's mean | mean grade shift |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in [*table["rows"], table["repeat"]]:
        kappas = [_f(row["kappa"][reader], 2) for reader in ("A", "B", "C")]
        source = "" if row["published_mean"] is None else f"{row['published_mean']:.2f}"
        lines.append(
            f"| {row['method']} | " + " | ".join(kappas) + f" | {row['kappa_mean']:.2f} | {source} | "
            f"{_f(row['grade_shift'], 2)} |"
        )
    return [*lines, "", "![Kappa of simulated readers](images/kappa.png)", ""]


def _binding(results: dict[str, Any]) -> list[str]:
    lines = [
        "## Table 3. Binding ratios against the 25-minute image",
        "",
        "Specific binding ratios of caudate and putamen on the five slices, with the same volumes of interest in every "
        "image. Bias in percent of the patient's summed ratios; Bland–Altman in units of the ratio.",
        "",
        "| method | bias % | bias | lower limit | upper limit |",
        "|---|---|---|---|---|",
    ]
    for row in results["binding"]:
        cells = [_f(row["bias_percent"], 1), *(_f(row[k], 2) for k in ("bias", "lower_limit", "upper_limit"))]
        lines.append(f"| {row['method']} | " + " | ".join(cells) + " |")
    return [*lines, "", "![Bland-Altman](images/bland_altman.png)", ""]


def _alert(results: dict[str, Any]) -> list[str]:
    alert = results["alert"]
    rows = [f"| {limit} | {yes:.2f} | {no:.2f} |" for limit, (yes, no) in alert["operating"].items()]
    return [
        "## The over-correction alert",
        "",
        f"Over {alert['count']} results (every method, every test patient), {alert['bad']} took a binding ratio "
        f"further from the 25-minute one than the 5-minute scan had it, by more than {BAD_SHARE:.0%} of the normal "
        "ratio. The alert's score is the largest change of a binding ratio in standard errors of the scan's own "
        f"noise. Area under its ROC curve: {_f(alert['auc'])}, patients resampled.",
        "",
        f"| alert above (default {ALERT_Z}) | sensitivity | specificity |",
        "|---|---|---|",
        *rows,
        "",
        "![ROC of the alert](images/roc.png)",
        "",
        "![An over-corrected case](images/over_correction.png)",
    ]


# --- figures ------------------------------------------------------------------------------------------------------


def figures(
    folder: Path, results: dict[str, Any], patients: list[str], slabs: Sequence[Slab], outputs: dict[str, list[Output]]
) -> None:
    """Draw every figure of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = _spread_of_grades(slabs)
    cases = [(patients[n], _example(n, slabs, outputs)) for n in chosen]
    spect_figures.draw_examples(cases, folder / "examples.png")
    ssim = {row["method"]: row["per_patient"]["ssim"] for row in results["figures"]}
    psnr = {row["method"]: row["per_patient"]["psnr"] for row in results["figures"]}
    spect_figures.draw_scores(_arrays(ssim), _arrays(psnr), folder / "scores.png")
    _bland_altman(folder / "bland_altman.png", patients, slabs, outputs)
    alert = results["alert"]
    spect_figures.draw_roc(
        np.array(alert["truth"]), np.array(alert["score"]), f"AUC {_f(alert['auc'])}", ALERT_Z, folder / "roc.png"
    )
    rows = results["readers"]["rows"]
    spect_figures.draw_kappa({row["method"]: row["kappa"] for row in rows}, folder / "kappa.png")
    _over_correction(folder / "over_correction.png", results, patients, slabs, outputs)


def _bland_altman(path: Path, patients: list[str], slabs: Sequence[Slab], outputs: dict[str, list[Output]]) -> None:
    """Binding ratios of the methods in ``SHOWN`` against the full scans'."""
    measured, truth, groups, owners = [], [], [], []
    for name in (shown for shown in SHOWN if shown in outputs):
        for patient, slab, out in zip(patients, slabs, outputs[name], strict=True):
            sbr = slab.binding(out.counts).sbr
            measured += [sbr[r] for r in REGIONS]
            truth += [slab.truth.sbr[r] for r in REGIONS]
            groups += [name] * len(REGIONS)
            owners += [patient] * len(REGIONS)
    spect_figures.draw_bland_altman(np.array(measured), np.array(truth), groups, path, owners)


def _arrays(table: dict[str, list[float]]) -> dict[str, np.ndarray]:
    return {name: np.array(values) for name, values in table.items()}


def _spread_of_grades(slabs: Sequence[Slab], count: int = 4) -> list[int]:
    """Patients from the lowest to the highest putamen uptake."""
    order = np.argsort([slab.truth.sbr["putamen", "left"] + slab.truth.sbr["putamen", "right"] for slab in slabs])
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [int(order[p]) for p in places]


def _example(number: int, slabs: Sequence[Slab], outputs: dict[str, list[Output]]) -> dict[str, np.ndarray]:
    shown = {name: outputs[name][number].images for name in outputs}
    return {**shown, "25 min": slabs[number].full.images}


def _over_correction(
    path: Path, results: dict[str, Any], patients: list[str], slabs: Sequence[Slab], outputs: dict[str, list[Output]]
) -> None:
    """The result whose binding ratio is furthest from the truth among those the alert caught."""
    methods = [name for name in outputs if name != INPUT]
    size = len(slabs)
    caught = [n for n, (bad, z) in enumerate(zip(results["alert"]["truth"], results["alert"]["score"], strict=True))
              if bad and z > ALERT_Z]  # fmt: skip
    if not caught:
        return
    normal = {"caudate": 1.0, "putamen": 1.0}

    def error(n: int) -> float:
        return harm(slabs[n % size], outputs[methods[n // size]][n % size].counts, normal)

    worst = max(caught, key=error)
    slab, name = slabs[worst % size], methods[worst // size]
    output = outputs[name][worst % size]
    binding = [slab.truth, slab.binding(np.asarray(slab.short.box.array, float)), slab.binding(output.counts)]
    numbers = {f"{s} {side}": [b.sbr[s, side] for b in binding] for s, side in REGIONS}
    panels = [("25 min", slab.full.images), ("5 min", slab.short.images), (name, output.images)]
    score = results["alert"]["score"][worst]
    text = f"{patients[worst % size]}: a binding ratio moved by {score:.1f} standard errors (alert above {ALERT_Z})"
    spect_figures.draw_over_correction(panels, numbers, text, path)
