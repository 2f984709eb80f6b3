"""A small simulated cohort as the two tables that the panel takes, with a hazard that follows age and one feature."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from manabi.io.tables import write_table
from manabi.radiomics.presets import preset

FEATURES = ("original_firstorder_Mean", "original_firstorder_Entropy", "original_shape_Sphericity",
            "original_glcm_Contrast", "original_glrlm_RunEntropy")  # fmt: skip


def write_cohort(folder: Path, n: int = 90, seed: int = 4) -> tuple[Path, Path]:
    """Write ``features.csv`` and ``outcomes.csv`` of ``n`` patients; returns both paths."""
    rng = np.random.default_rng(seed)
    cases = [f"p{k:03d}" for k in range(n)]
    scale = np.array([40.0, 0.6, 0.08, 20.0, 0.4]), np.array([20.0, 3.0, 0.7, 60.0, 3.5])
    drawn = rng.normal(size=(n, len(FEATURES)))
    values, volume = drawn * scale[0] + scale[1], np.exp(rng.normal(2.0, 0.6, n))
    age, sex, stage = rng.normal(68, 9, n), rng.choice(["F", "M"], n), rng.choice(["IA", "IB", "II"], n)
    hazard = 0.9 * drawn[:, 3] + 0.05 * (age - 68)
    time = rng.exponential(900 * np.exp(-hazard))
    event, time = time < 1600, np.minimum(time, 1600).clip(5)
    how = json.dumps(preset("default").to_dict(), separators=(",", ":"))
    columns = ("case", "segment", "settings_label", "volume_ml", *FEATURES, "settings_preset", "settings_json")
    rows = [(case, "Tumour", 1, volume[k], *values[k], "default", how) for k, case in enumerate(cases)]
    write_table(columns, rows, folder / "features.csv")
    rows = [(case, time[k], int(event[k]), age[k], sex[k], stage[k]) for k, case in enumerate(cases)]
    write_table(("case", "time_days", "event", "age_years", "sex", "stage"), rows, folder / "outcomes.csv")
    return folder / "features.csv", folder / "outcomes.csv"
