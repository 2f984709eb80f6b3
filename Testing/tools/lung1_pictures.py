"""Pictures of the primary analysis of LUNG1 for ``docs/results/radiomics_real.md``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from manabi.radiomics.cohort import Cohort, Evaluation

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "results" / "images"
NAME = "radiomics_lung1"
TITLE = "LUNG1"
HEADS = {"radiomics": "groups by the risk of the radiomics model", "volume": "groups by tumour volume alone"}


def draw_all(evaluation: Evaluation, cohort: Cohort, folder: Path = IMAGES) -> list[Path]:
    """C of the blocks, AUC over time, risk groups, calibration, selected features, risk against volume."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        *draw_discrimination(evaluation, folder),
        *draw_groups(evaluation, folder),
        draw_volume(evaluation, cohort, folder),
    ]


def draw_discrimination(evaluation: Evaluation, folder: Path) -> list[Path]:
    """C with differences, and AUC at one, two and three years."""
    from check_lung1 import SCORED_YEARS

    from manabi.radiomics.cohort.plots_blocks import draw_auc, draw_forest
    from manabi.radiomics.cohort.scores_blocks import score_survival
    from manabi.radiomics.cohort_study import CONTRASTS, followup, predictions

    scored = score_survival(followup(evaluation), predictions(evaluation), SCORED_YEARS, contrasts=CONTRASTS)
    harrell = {block: scored.of(block, "Harrell C") for block in evaluation.blocks}
    gains = [one for one in scored.differences if one.name.endswith(": Harrell C")]
    auc = {b: [one for one in scored.blocks[b] if one.name.startswith("AUC")] for b in evaluation.blocks}
    note = said(evaluation)
    return [
        draw_forest(harrell, folder / f"{NAME}_c.png", f"{TITLE}: out-of-fold discrimination", 0.5, note, gains),
        draw_auc(auc, SCORED_YEARS, "years", folder / f"{NAME}_auc.png", f"{TITLE}: AUC over time", note),
    ]


def draw_groups(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Risk groups of radiomics and of volume, calibration of the combined model, features that were selected."""
    from check_lung1 import CALIBRATED_YEARS, risk_groups

    from manabi.radiomics.cohort.calibration import calibrate
    from manabi.radiomics.cohort.plots import draw_calibration, draw_kaplan_meier
    from manabi.radiomics.cohort.plots_blocks import draw_selection
    from manabi.radiomics.cohort.scores import p_text
    from manabi.radiomics.cohort_study import followup, predictions

    note, out = said(evaluation), []
    for block in ("radiomics", "volume"):
        split = risk_groups(evaluation, block)
        words = (f"Hazard ratio {split.ratio.text(2)}; log-rank {p_text(split.log_rank.p)}.", *note)
        path = folder / f"{NAME}_km_{block}.png"
        out.append(draw_kaplan_meier(split.curves, path, f"{TITLE}: {HEADS[block]}", None, words))
    found = calibrate(followup(evaluation), predictions(evaluation)["combined"], CALIBRATED_YEARS)
    path = folder / f"{NAME}_calibration.png"
    out.append(draw_calibration(found, path, f"{TITLE}: calibration of the combined model", note))
    often = dict(list(evaluation.frequency("radiomics").items())[:15])
    path = folder / f"{NAME}_selection.png"
    out.append(draw_selection(list(often), list(often.values()), path, f"{TITLE}: features in the models", note))
    return out


def draw_volume(evaluation: Evaluation, cohort: Cohort, folder: Path) -> Path:
    """Out-of-fold radiomics risk of each patient against tumour volume."""
    from check_lung1 import mean_risk

    from manabi.radiomics.cohort.groups_volume import spearman
    from manabi.radiomics.cohort.plots_parts import HEIGHT, TOP, closing, color, plain_axes, round_ticks, start, ticks

    volume, risk = np.asarray(cohort.volume_ml), mean_risk(evaluation, "radiomics")
    rho = spearman(risk, volume)
    page = start(f"{TITLE}: what the radiomics risk follows", "each point a patient; the risk is out of fold")
    axes: Any = plain_axes(page, "tumour volume (mL), logarithmic", "log hazard ratio against the training median")
    low, high = room(risk)
    died, shown = np.asarray(cohort.event), np.clip(risk, low, high)
    for k, rows in enumerate((died, ~died)):
        axes.plot(volume[rows], shown[rows], "os"[k], color=color(k), markersize=5, alpha=0.75, linestyle="none")
    axes.set_xscale("log")
    ticks(axes, [1, 3, 10, 30, 100, 300], round_ticks(low, high))
    axes.set(ylim=(low - 0.02, high + 0.02), xlim=(volume.min() * 0.8, volume.max() * 1.25))
    axes.minorticks_off()
    beyond = [f"{value:.2g}" for value in risk[(risk < low) | (risk > high)]]
    marks = "Blue circles: died; vermilion squares: alive at the end of follow-up."
    edge = [f"Drawn at the edge, but really at {', '.join(beyond)}: {len(beyond)} of {len(risk)}."] if beyond else []
    closing(page, TOP + HEIGHT + 60, (f"Spearman correlation {rho.text(2)}. {marks}", *edge, *said(evaluation)))
    return page.save(folder / f"{NAME}_volume.png")


def room(values: np.ndarray) -> tuple[float, float]:
    """Ends of an axis on which all but far outliers lie: three interquartile ranges beyond the quartiles."""
    low, high = np.quantile(values, [0.25, 0.75])
    near = values[(values >= low - 3 * (high - low)) & (values <= high + 3 * (high - low))]
    return float(np.floor(near.min() * 10) / 10), float(np.ceil(near.max() * 10) / 10)


def said(evaluation: Evaluation) -> tuple[str, ...]:
    """Below each picture: how many, and how validated."""
    plan, outcome = evaluation.plan, evaluation.outcome
    return (f"{len(outcome)} patients, {outcome.n_events} deaths; {plan.folds} folds x {plan.n_repeats} repeats, "
            f"nested, seed {plan.seed}.",)  # fmt: skip
