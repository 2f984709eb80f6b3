"""What a study allows to be said, in plain words: no more than its intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

import manabi
from manabi.radiomics.cohort.checklist import Checklist, fill_in
from manabi.radiomics.cohort.scores import Score
from manabi.radiomics.cohort_study import RISK, Study
from manabi.radiomics.model_file import Group, Verdict

KM_POINTS = 120
"""Points of a stored curve at most."""
CALLED = {"combined": "the combined model (clinical data, volume and radiomics)", "radiomics": "the radiomics model",
          "clinical": "the clinical model", "volume": "the volume alone"}  # fmt: skip

UNADJUSTED = (
    "The intervals of these differences are not adjusted for their number and leave out the luck of the training sets: "
    "where no block is better, one of them is found so in more than one study of twenty. Another cohort must show it."
)
"""Said where a block is shown to be better."""


def verdict(study: Study) -> Verdict:
    """What the validation shows of the fitted block."""
    own = study.concordance(study.block)
    chance = None if not np.isfinite(own.low) else bool(own.low > 0.5)
    volume, clinical = _shown(study, "volume"), _shown(study, "clinical")
    return Verdict(" ".join(sentences(study)), f"{own.name} {own.text(2)}", chance, volume, clinical)


def _shown(study: Study, other: str) -> bool | None:
    """Whether the block is shown to be better than another one; None where that was not compared."""
    if study.block in ("clinical", "volume"):
        return None
    found = study.difference(study.block, other)
    if found is None or not np.isfinite(found.low):
        return None
    return bool(found.low > 0)


def sentences(study: Study) -> list[str]:
    """The verdict, a sentence for each claim."""
    own = study.concordance(study.block)
    said = [f"Out of fold, {CALLED[study.block]} has {own.name} {own.text(2)} on {_who(study)}."]
    if np.isfinite(own.low) and own.low <= 0.5:
        where = "includes one half" if own.high >= 0.5 else "lies below one half"
        said.append(f"Its interval {where}: it is not shown to predict anything.")
    compared = [(pair, found) for pair in _contrasts(study) if (found := study.difference(*pair)) is not None]
    said += [_compared(*pair, found) for pair, found in compared]
    if len(compared) > 1 and any(found.low > 0 for _, found in compared):
        said.append(UNADJUSTED)
    p = study.evaluation.p_value(study.block)
    if np.isfinite(p):
        count = len(study.evaluation.null[study.block])
        said.append(f"With the outcome permuted {count} times, as good a result came by chance with p = {p:.3g}.")
    return said


def _contrasts(study: Study) -> list[tuple[str, str]]:
    """Which blocks are held against each other in the verdict."""
    if study.block == "combined":
        return [("combined", "volume"), ("combined", "clinical"), ("radiomics", "volume")]
    return [(study.block, "volume"), (study.block, "clinical")]


def _compared(first: str, second: str, found: Score) -> str:
    """One difference in words."""
    measure = found.name.rpartition(": ")[2]
    number = found.text(3)
    if not np.isfinite(found.low):
        return f"Whether {CALLED[first]} is better than {CALLED[second]} cannot be told ({number})."
    if found.low > 0:
        return f"It is shown to be better: {CALLED[first]} exceeds {CALLED[second]} by {number} in {measure}."
    if found.high < 0:
        return f"It is shown to be worse: {CALLED[first]} differs from {CALLED[second]} by {number} in {measure}."
    return (
        f"It is not shown that {CALLED[first]} is better than {CALLED[second]}: "
        f"the difference in {measure} is {number}, an interval that includes no difference."
    )


def _who(study: Study) -> str:
    """How many patients and events."""
    cohort = study.cohort
    rows = "" if len(cohort) == cohort.n_patients else f"{len(cohort)} tumours of "
    what = "events" if cohort.kind == "survival" else "not of the commonest label"
    return f"{rows}{cohort.n_patients} patients ({cohort.n_events} {what})"


def groups(study: Study) -> tuple[Group, ...]:
    """The risk groups' curves as plain numbers, at most :data:`KM_POINTS` points each."""
    if study.split is None:
        return ()
    found = []
    for name, curve in study.split.curves.items():
        keep = np.unique(np.linspace(0, len(curve.times) - 1, KM_POINTS).astype(int))
        times = curve.times[keep]
        found.append(
            Group(name, curve.follow.n, curve.follow.events, _plain(times), _plain(curve.survival[keep]),
                  _gaps(curve.low[keep]), _gaps(curve.high[keep]), tuple(int(n) for n in curve.at_risk(times)))
        )  # fmt: skip
    return tuple(found)


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(v), 5) for v in values)


def _gaps(values: np.ndarray) -> tuple[float | None, ...]:
    return tuple(round(float(v), 5) if np.isfinite(v) else None for v in values)


def checklist(study: Study, extraction: dict[str, Any] | None, modality: str = "") -> Checklist:
    """The reporting checklist, filled in from what was run."""
    return fill_in({**_data_facts(study), **_feature_facts(extraction, modality), **_model_facts(study)})


def _data_facts(study: Study) -> dict[str, Any]:
    cohort = study.cohort
    parts = [cohort.features, *(c.values for c in cohort.clinical), *([] if (v := cohort.volume_ml) is None else [v])]
    gaps = sum(int(np.isnan(part).sum()) for part in parts)
    survival = cohort.kind == "survival"
    return {
        "patients": cohort.n_patients, "rows": len(cohort), "events": cohort.n_events,
        "outcome": "time to the event in days" if survival else f"label of {len(cohort.label_levels)} levels",
        "median_follow_up": _median_follow_up(cohort.time_days, cohort.event) if survival else None,
        "candidates": len(cohort.feature_names), "missing_values": gaps,
        "missing_handling": "none needed" if not gaps else "median of the training patients (categories: their "
        "commonest), with an indicator for clinical data that are missing often enough",
        "event_share": round(cohort.n_events / len(cohort), 3), "balance_altered": "not altered",
        "centres": None if cohort.centre is None else len(set(cohort.centre)),
    }  # fmt: skip


def _median_follow_up(time: Any, event: Any) -> str | None:
    """Reverse Kaplan-Meier: median time to censoring."""
    from manabi.radiomics.cohort.scores_data import Followup
    from manabi.radiomics.cohort.scores_km import kaplan_meier

    months = np.asarray(time) / 365.25 * 12
    median = kaplan_meier(Followup(months, ~np.asarray(event), None, "months")).median()
    return f"{median:.1f} months" if np.isfinite(median) else None


def _feature_facts(extraction: dict[str, Any] | None, modality: str) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "software": f"Manabi {manabi.__version__}", "version": f"Manabi {manabi.__version__}",
        "modality": modality or None, "model_file": "the bundle's models/model.pt and configs/metadata.json",
        "code": "Manabi is open source (Apache-2.0)",
    }  # fmt: skip
    if not extraction:
        return facts
    first = extraction.get("image", extraction)
    bins = first.get("bin_width"), first.get("bin_count")
    filters = [str(spec.get("kind") or spec.get("name") or "filter") for spec in first.get("filters", [])]
    return facts | {
        "standard": f"mode {first.get('mode')}",
        "resampling": f"voxels {first.get('resample_mm') or 'as they are'}, {first.get('interpolator')}",
        "discretisation": f"bins of {bins[0]:g}" if bins[0] else f"{bins[1]} bins",
        "extraction_settings": first,
        "feature_families": first.get("families"),
        "filters": [*(["original"] if first.get("original") else []), *filters],
    }


def _model_facts(study: Study) -> dict[str, Any]:
    plan, own = study.plan, study.concordance(study.block)
    ready, volume = plan.preparation, next((e for e in study.effects if e.name == RISK), None)
    folds = study.cohort.n_patients if plan.scheme == "loo" else plan.folds
    p = study.evaluation.p_value(study.block)
    known = [] if study.calibration is None else [s for s in study.calibration.scores if np.isfinite(s.estimate)]
    return {
        "stability_filter": _stability_filter(study),
        "redundancy_filter": f"|rho| at most {ready.max_correlation:g}" if ready.max_correlation < 1 else False,
        "harmonisation": "ComBat inside each training part" if harmonised(study) else False,
        "volume_correlation": volume.rho.text(2) if volume else None,
        "volume_adjusted": volume.adjusted.text(2) if volume else None,
        "model": study.fitted.model, "tuning": f"inner {plan.inner_folds}-fold cross-validation",
        "validation": validated(study), "split_by_patient": True, "leak_free": not study.evaluation.leaky,
        "steps_inside": steps_inside(study), "folds": folds, "repeats": plan.n_repeats, "external_validation": False,
        "blocks": list(study.evaluation.blocks), "seed": plan.seed,
        "discrimination": f"{own.name} {own.text(2)}", "intervals": own.how if np.isfinite(own.low) else False,
        "calibration": "; ".join(f"{s.name} {s.text(2)}" for s in known) or False,
        "decision_curve": study.decision is not None,
        "permutation_null": f"{plan.n_permutations} permutations, p {p:.3g}" if plan.n_permutations else False,
        "multiple_testing": _adjusted(study),
        "threshold": "median risk of the training patients" if study.split is not None else "none: no risk groups",
        "subgroups": False,
    }  # fmt: skip


def validated(study: Study) -> str:
    """The scheme of the validation."""
    plan = study.plan
    if plan.scheme == "loo":
        return "nested leave-one-out"
    return f"nested cross-validation, {plan.folds} folds, {plan.repeats} repeats"


def harmonised(study: Study) -> bool:
    """Whether there was something to harmonise, and it was."""
    return study.plan.preparation.harmonise and len(set(study.cohort.centre or ())) > 1 and _features_used(study)


def steps_inside(study: Study) -> list[str]:
    """The steps that were fitted on each training part by itself: only those that were taken."""
    ready, features = study.plan.preparation, _features_used(study)
    taken = {
        "filling": True,
        "harmonising": harmonised(study),
        "taking volume out": features and ready.residualise_volume,
        "scaling": True,
        "filter by stability": features and study.cohort.repeated is not None,
        "filter by redundancy": features and ready.max_correlation < 1,
        "selection": features and ready.selection != "none",
        "tuning": True,
    }
    return [name for name, done in taken.items() if done]


def _features_used(study: Study) -> bool:
    """Whether any block has radiomic features."""
    return any(block in ("radiomics", "combined") for block in study.evaluation.blocks)


def _stability_filter(study: Study) -> str | bool:
    """Which filter by stability, and whose measurements it goes by."""
    cohort, limit = study.cohort, f"ICC at least {study.plan.preparation.min_icc:g}"
    if cohort.repeated is not None:
        return f"{limit}, of the training patients' repeated measures"
    return f"{limit}, as given with the cohort: not computed inside the training parts" if cohort.icc else False


def _adjusted(study: Study) -> str | bool:
    """What was adjusted for its number, and what was not."""
    if all(one.name == RISK for one in study.effects):
        return False
    return (
        f"features beside volume: Bonferroni over all {len(study.cohort.feature_names)} candidates; "
        "intervals of scores and differences: not adjusted"
    )
