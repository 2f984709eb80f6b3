#!/usr/bin/env python3
"""Hold the model ``radiomics-grade`` against simulated patients that it never saw.

``Testing/tools/check_radiomics_grade.py [PATIENTS]`` renders gliomas of seed 9001 (the model's are of seed 2027),
grades each and prints the AUC with a 95 % interval over patients (bootstrap, seed 0).
"""

from __future__ import annotations

import json
import sys

import numpy as np
from sklearn.metrics import roc_auc_score

from manabi.context import Context
from manabi.phantoms.base import case_rng
from manabi.phantoms.tumour import TumourPhantom
from manabi.radiomics.method import RadiomicsSurvival

SEED, DRAWS = 9001, 2000


def check(patients: int) -> dict[str, object]:
    """AUC of grade IV against III on so many new patients."""
    grades, risks = zip(*(_graded(index) for index in range(patients)), strict=True)
    high, risk = np.array(grades) == 4, np.array(risks)
    rng, draws = np.random.default_rng(0), []
    while len(draws) < DRAWS:
        some = rng.integers(0, patients, patients)
        if 0 < high[some].sum() < patients:
            draws.append(roc_auc_score(high[some], risk[some]))
    low, top = np.percentile(draws, [2.5, 97.5])
    interval = [round(float(low), 3), round(float(top), 3)]
    return {"patients": patients, "grade_4": int(high.sum()), "auc": round(float(roc_auc_score(high, risk)), 3),
            "ci95": interval, "seed": SEED}  # fmt: skip


def _graded(index: int) -> tuple[int, float]:
    """True grade and predicted risk of one new patient."""
    phantom, method = TumourPhantom(), RadiomicsSurvival()
    case = phantom.render(phantom.sample_parameters(case_rng(SEED, index), modality="mr"))
    clinical = f"age_years={case.truth['age_years']},sex={case.truth['sex']}"
    context = Context(device="cpu", bundle="radiomics-grade")
    result = method.run(method.sample_inputs(case), {"clinical": clinical}, context)
    return int(str(case.truth["grade"])), float(str(result.tables["risk"].column("risk")[0]))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(check(int(sys.argv[1]) if len(sys.argv) > 1 else 60), indent=1) + "\n")
