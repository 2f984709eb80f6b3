"""Tables and charts of a study."""

from __future__ import annotations

import numpy as np

from manabi.radiomics.cohort.plots_slicer import (
    bars_plot,
    calibration_plot,
    decision_plot,
    forest_plot,
    kaplan_meier_plot,
)
from manabi.radiomics.cohort_study import RISK, Study
from manabi.radiomics.cohort_words import checklist, groups
from manabi.radiomics.predict import groups_table
from manabi.result import Cell, Plot, Table

MOST = 40
ALPHA = 0.05
NOT_TESTED = "no test: risks of a cross-validation depend on each other"


def tables(study: Study, extraction: dict[str, object] | None) -> dict[str, Table]:
    """Scores, differences, calibration, selected features, risk groups, checklist."""
    scores = study.scores.table()
    found = {
        "scores": Table(scores.columns, tuple(r for r in scores.rows if r[0] != "difference")),
        "differences": Table(scores.columns[1:], tuple(r[1:] for r in scores.rows if r[0] == "difference")),
    }
    if study.calibration is not None:
        found["calibration"] = study.calibration.table()
    found["selected_features"] = selected_table(study)
    if study.split is not None:
        found["risk_groups"] = study.split.table()
        found["cohort_survival"] = groups_table(groups(study))
    found["checklist"] = checklist(study, extraction).table()
    return {name: table for name, table in found.items() if table.rows}


def selected_table(study: Study) -> Table:
    """How often each input was selected, whether the final model uses it, and its relation to volume.

    The features shown were chosen among all candidates by the outcome that they are tested with, so p are multiplied
    by the number of candidates (Bonferroni). The risk is not tested: rows of a cross-validation depend on each other.
    """
    effects, count = {one.name: one for one in study.effects}, max(len(study.cohort.feature_names), 1)
    used = set(_used(study))
    rows: list[tuple[Cell, ...]] = []
    for name, share in list(study.evaluation.frequency(study.block).items())[:MOST]:
        effect = effects.get(name)
        numbers = (effect.rho.estimate, effect.alone.estimate, effect.adjusted.estimate) if effect else (None,) * 3
        cells = tuple(None if v is None or not np.isfinite(v) else round(float(v), 4) for v in numbers)
        p = None if effect is None or not np.isfinite(effect.adjusted.p) else min(1.0, effect.adjusted.p * count)
        reading = effect.reading(ALPHA / count) if effect else ""
        rows.append((name, round(share, 4), "yes" if name in used else "no", *cells, p, reading))
    if (risk := effects.get(RISK)) is not None:
        cells = tuple(
            round(float(s.estimate), 4) if np.isfinite(s.estimate) else None
            for s in (risk.rho, risk.alone, risk.adjusted)
        )
        rows.append((risk.name, None, "", *cells, None, NOT_TESTED))
    columns = (
        "input",
        "selected_share",
        "in_model",
        "rho_volume",
        "hr_per_sd",
        "hr_beside_volume",
        "p_beside_volume_bonferroni",
        "reading_adjusted",
    )
    return Table(columns, tuple(rows))


def _used(study: Study) -> list[str]:
    """Columns that the final model uses."""
    return [study.fitted.design.columns[k] for k in study.fitted.predictor.used]


def plots(study: Study) -> dict[str, Plot]:
    """Forest of the blocks, risk groups, calibration, net benefit, selection."""
    name = study.main_score
    found = {"blocks": forest_plot({b: study.concordance(b) for b in study.evaluation.blocks}, f"{name} out of fold")}
    if study.split is not None:
        found["survival"] = kaplan_meier_plot(study.split.curves, "Survival by out-of-fold risk")
    if study.calibration is not None and len(study.calibration.predicted):
        found["calibration"] = calibration_plot(study.calibration, f"Calibration: {study.calibration.title}")
    if study.decision is not None:
        found["decision"] = decision_plot(study.decision, f"Net benefit: {study.decision.title}")
    share = study.evaluation.frequency(study.block)
    if share:
        found["selection"] = bars_plot(
            list(share), list(share.values()), "How often each input was selected", "share of models"
        )
    return found


def measurements(study: Study) -> dict[str, Cell]:
    """The numbers a reader looks at first."""
    cohort = study.cohort
    found: dict[str, Cell] = {
        "patients": cohort.n_patients, "rows": len(cohort), "events": cohort.n_events,
        "candidate_features": len(cohort.feature_names), "block": study.block, "model": study.fitted.model,
        "model_inputs": len(_used(study)),
    }  # fmt: skip
    for block in study.evaluation.blocks:
        one = study.concordance(block)
        for part, value in (("", one.estimate), ("_low", one.low), ("_high", one.high)):
            key = f"{study.main_score.lower().replace(' ', '_')}_{block}{part}"
            found[key] = round(float(value), 4) if np.isfinite(value) else None
    p = study.evaluation.p_value(study.block)
    found["permutation_p"] = round(p, 5) if np.isfinite(p) else None
    return found
