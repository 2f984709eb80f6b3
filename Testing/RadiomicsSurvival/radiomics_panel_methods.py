"""RadiomicsSurvival as the panel sees it, without computing features; loaded by worker and batch processes by name."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from manabi.errors import InvalidInputError
from manabi.method import Method
from manabi.radiomics.method import FromTables, RadiomicsSurvival
from manabi.radiomics.parameters import RadiomicsParameters
from manabi.radiomics.segments import choose, labelled, labels_of
from manabi.result import Plot, Result, Table

NAMES = {"quick-radiomics": "Quick", "slow-radiomics": "Slow"}
REGISTERED = ",".join(f"{name}=radiomics_panel_methods:{cls}" for name, cls in NAMES.items())
INPUTS = ("age_years", "sex=M", "original_glcm_Contrast")
TIDY = ("segment", "label", "image", "filter", "family", "feature", "value", "unit", "ibsi", "settings_preset",
        "settings_mode", "settings_sha256", "version_manabi")  # fmt: skip
YEARS = (1.0, 2.0, 3.0, 5.0)
VERDICT = "Out of fold, the combined model has Harrell C 0.61 (0.52 to 0.70) on 90 patients (60 events)."
FAMILIES = {"firstorder_Mean": "1", "firstorder_Entropy": "1", "glcm_Contrast": "1", "shape_Sphericity": "1",
            "shape_MaximumDiameter": "mm"}  # fmt: skip


class Quick(Method[RadiomicsParameters]):
    """Results of the right shape in a moment; what they are follows from inputs and parameters."""

    name = "quick-radiomics"
    title = "RadiomicsSurvival"
    summary = "a quick stand-in"
    source = "no study"
    inputs = RadiomicsSurvival.inputs
    parameters_type = RadiomicsParameters
    phantom = "tumour"
    alert_prefixes = RadiomicsSurvival.alert_prefixes

    def run(self, inputs, parameters=None, context=None):
        settings = RadiomicsParameters.of(parameters)
        if settings.task == "fit" and not isinstance(self, QuickFit):
            return QuickFit().run(inputs, settings, context)
        return super().run(inputs, settings, context)

    def _run(self, inputs, parameters, context):
        context.progress(0.5, "Looking")
        if "mask" not in inputs:
            raise InvalidInputError("missing: mask. Choose the segmentation of the tumour.")
        result = self._features(inputs, parameters)
        return result if parameters.task == "features" else self._risk(result, parameters)

    def _features(self, inputs, parameters):
        mask, image = inputs["mask"], np.asarray(inputs["image"].array, float)
        labels, chosen = labels_of(mask), choose(mask, parameters)
        ml = float(np.prod(mask.spacing_mm)) / 1000.0
        rows, wide, volumes = [], [], []
        for one in chosen:
            inside = image[labels == one.label]
            volumes.append(inside.size * ml)
            values = (inside.mean(), 2.5 + one.label, inside.std(), None, 30.0)
            wide.append((one.name, one.label, volumes[-1], *values))
            for (name, unit), value in zip(FAMILIES.items(), values, strict=True):
                rows.append((one.name, one.label, "image", "original", name.partition("_")[0], f"original_{name}",
                             value, unit, "none", parameters.preset, "ibsi", "ab" * 32, "0"))  # fmt: skip
        places = [float(k) for k in range(len(chosen))]
        chart = Plot("Volume", "segment", "volume (mL)", {"volume": (places, volumes)}, "bar",
                     tuple(one.name for one in chosen))  # fmt: skip
        keys = Table(("segment", "label", "volume_ml"), tuple((*row[:2], row[2]) for row in wide))
        return Result(
            labelmaps={"segments": labelled(mask.like(labels), chosen, labels)},
            tables={"key_features": keys, "features": Table(TIDY, tuple(rows)),
                    "features_wide": Table(("segment", "settings_label", "volume_ml", *FAMILIES), tuple(wide))},
            plots={"volumes": chart},
            measurements={"segments": len(chosen), "volume_ml": volumes[0], "bins": parameters.bin_count or 0},
        )  # fmt: skip

    def _risk(self, result, parameters):
        names = [row[0] for row in result.tables["key_features"].rows]
        known = parameters.clinical_values()
        risk = float(known.get("age_years", 60)) / 100.0
        survival = tuple(round(0.9 - 0.1 * year * risk, 4) for year in YEARS)
        group = "high risk" if risk > 0.65 else "low risk"
        columns = (
            "segment",
            "risk",
            "percentile",
            "group",
            *(f"survival_{y:g}_years" for y in YEARS),
            "outside_cohort",
        )
        years = [(name, group, y, s, s - 0.05, s - 0.2, s + 0.1) for name in names
                 for y, s in zip(YEARS, survival, strict=True)]  # fmt: skip
        parts = [(name, one, 0.4 - 0.3 * k, "raises" if k < 2 else "lowers") for name in names
                 for k, one in enumerate(INPUTS)]  # fmt: skip
        result.tables = {
            "risk": Table(columns, tuple((name, risk, 100 * risk, group, *survival, "yes") for name in names)),
            "contributions": Table(("segment", "input", "contribution", "effect_on_risk"), tuple(parts)),
            "survival": Table(("segment", "group", "years", "predicted", "observed_in_group", "observed_low",
                               "observed_high"), tuple(years)),
            **result.tables,
        }  # fmt: skip
        curve = ([0.0, *YEARS], [1.0, *survival])
        result.plots = {
            "survival": Plot("Survival", "time (years)", "survival", {
                "cohort, low risk (n=45)": ([0.0, 1.0, 1.0, 5.0], [1.0, 1.0, 0.9, 0.9]),
                "cohort, high risk (n=45)": ([0.0, 1.0, 1.0, 5.0], [1.0, 1.0, 0.6, 0.6]),
                "this patient, predicted": curve}),
            "contributions": Plot("Drivers", "input", "contribution",
                                  {"contribution": ([0.0, 1.0, 2.0], [0.4, 0.1, -0.2])}, "bar", INPUTS),
            **result.plots}  # fmt: skip
        result.measurements = {"risk": risk, "risk_group": group, **result.measurements}
        missing = [] if known else ["Clinical values are missing: age_years. They were filled."]
        result.warnings = [
            "Outside the cohort: Tumour is further from the mean training patient than 99 % of them are.",
            "No better than the volume alone was this model in its own validation.", *missing, VERDICT,
        ]  # fmt: skip
        return result


class QuickFit(Quick):
    """The task ``fit``."""

    inputs = FromTables.inputs

    def _run(self, inputs, parameters, context):
        context.progress(0.5, "Fitting")
        blocks = ("clinical", "volume", "radiomics", "combined")
        columns = ("block", "score", "estimate", "low", "high", "p", "n", "events", "interval", "reason")
        scores = [(block, score, 0.55 + 0.02 * k, 0.45, 0.7, None, 90, 60, "bootstrap", "")
                  for k, block in enumerate(blocks) for score in ("Harrell C", "Uno C")]  # fmt: skip
        if parameters.bundle_folder:
            Path(parameters.bundle_folder).mkdir(parents=True)
        lines = {"low risk": ([0.0, 5.0], [1.0, 0.8]), "high risk": ([0.0, 5.0], [1.0, 0.5])}
        forest = {"estimate": ([0.0, 1.0, 2.0, 3.0], [0.55, 0.57, 0.59, 0.61])}
        return Result(
            tables={"scores": Table(columns, tuple(scores)),
                    "differences": Table(columns[1:], (("combined - volume: Harrell C", -0.02, -0.1, 0.06, None,
                                                        90, 60, "bootstrap", ""),))},
            plots={"blocks": Plot("Harrell C", "block", "C", forest, "bar", blocks),
                   "survival": Plot("Groups", "time (years)", "survival", lines)},
            measurements={"patients": 90, "events": 60, "candidate_features": 5, "model_inputs": 3,
                          "block": parameters.block, "clinical": parameters.clinical_columns},
            warnings=["No better than the volume alone was this model in its own validation.", VERDICT],
        )  # fmt: skip


class Slow(Quick):
    """Takes its time, a cohort's fit too."""

    name = "slow-radiomics"

    def run(self, inputs, parameters=None, context=None):
        for step in range(200):
            context.progress(step / 200, f"Step {step}")
            context.check_cancelled()
            time.sleep(0.05)
        return super().run(inputs, parameters, context)
