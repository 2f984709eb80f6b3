"""Small simulated cohorts for the tests of radiomics.cohort."""

from __future__ import annotations

import numpy as np

from manabi.radiomics.cohort import ClinicalColumn, Cohort


def survival_cohort(n: int = 90, p: int = 30, effect: float = 0.9, seed: int = 0, **parts: object) -> Cohort:
    """Feature ``f0`` drives the hazard; age and sex do nothing; log volume is in ``f1``."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, p))
    volume = np.exp(rng.normal(3, 1, n))
    features[:, 1] = np.log(volume) + 0.1 * rng.normal(size=n)
    time = rng.exponential(800, n) * np.exp(-effect * features[:, 0])
    stop = rng.uniform(300, 2500, n)
    clinical = (
        ClinicalColumn("age", "numeric", rng.normal(65, 9, n)),
        ClinicalColumn.of("sex", list(rng.choice(["f", "m"], n))),
    )
    given = {"clinical": clinical, "volume_ml": volume, **parts}
    return Cohort(
        patients=tuple(f"patient-{k}" for k in range(n)),
        feature_names=tuple(f"f{k}" for k in range(p)),
        features=features,
        time_days=np.minimum(time, stop) + 1,
        event=time < stop,
        **given,
    )


def label_cohort(n: int = 90, p: int = 30, levels: int = 2, effect: float = 1.5, seed: int = 0) -> Cohort:
    """Feature ``f0`` drives the label."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, p))
    score = effect * features[:, 0] + rng.logistic(size=n)
    edges = np.quantile(score, np.linspace(0, 1, levels + 1)[1:-1])
    return Cohort(
        patients=tuple(f"patient-{k}" for k in range(n)),
        feature_names=tuple(f"f{k}" for k in range(p)),
        features=features,
        label=np.digitize(score, edges),
        label_levels=("II", "III", "IV")[-levels:],
        volume_ml=np.exp(rng.normal(3, 1, n)),
    )


def noise_cohort(n: int = 80, p: int = 700, seed: int = 0) -> Cohort:
    """Nothing has to do with the outcome."""
    rng = np.random.default_rng(seed)
    return Cohort(
        patients=tuple(f"patient-{k}" for k in range(n)),
        feature_names=tuple(f"f{k}" for k in range(p)),
        features=rng.normal(size=(n, p)),
        time_days=rng.exponential(500, n) + 1,
        event=rng.random(n) < 0.6,
    )
