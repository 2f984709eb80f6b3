"""The steps of the preparation do what they say, on training rows and on new ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohort_fixtures import survival_cohort
from scipy.stats import norm, spearmanr

from manabi.radiomics.cohort import ClinicalColumn, Preparation
from manabi.radiomics.cohort.clinical import ClinicalEncoder, VolumeTerm
from manabi.radiomics.cohort.design import Design, FeatureChain
from manabi.radiomics.cohort.filters import not_redundant, varying
from manabi.radiomics.cohort.steps import (
    MedianImputer,
    RankScaler,
    StandardScaler,
    VolumeResidual,
    YeoJohnsonScaler,
    yeo_johnson,
)


def test_gaps_get_the_training_median_and_are_told():
    values = np.array([[1.0, np.nan], [3.0, 4.0], [np.nan, 6.0], [100.0, 5.0]])
    imputer = MedianImputer.fit(values, indicate=True)
    out = imputer.transform(np.array([[np.nan, 7.0]]))
    assert np.array_equal(out, [[3.0, 7.0, 1.0, 0.0]])


def test_scalers_use_training_rows_only():
    rng = np.random.default_rng(0)
    train, new = rng.lognormal(size=(200, 3)), rng.lognormal(size=(50, 3)) * 3
    for scaler in (StandardScaler, RankScaler, YeoJohnsonScaler):
        fitted = scaler.fit(train)
        inside = fitted.transform(train)
        assert np.allclose(inside.mean(0), 0, atol=0.05) and np.allclose(inside.std(0), 1, atol=0.1)
        assert np.array_equal(fitted.transform(new)[:7], fitted.transform(new[:7]))
        assert np.array_equal(fitted.take(np.array([2])).transform(new[:, [2]]), fitted.transform(new)[:, [2]])


def test_normal_scores_are_those_of_the_ranks_and_end_at_the_training_range():
    train = np.random.default_rng(0).lognormal(size=(50, 1))
    scores = RankScaler.fit(train).transform(train)[:, 0]
    ranks = train[:, 0].argsort().argsort()
    assert np.allclose(scores, norm.ppf((ranks + 0.5) / 50))
    assert RankScaler.fit(train).transform(np.array([[1e9]]))[0, 0] == scores.max()


def test_yeo_johnson_equals_scipy():
    from scipy.stats import yeojohnson

    x = np.random.default_rng(0).normal(size=(40, 1)) * 2
    for power in (-1.0, 0.0, 0.5, 2.0, 3.0):
        assert np.allclose(yeo_johnson(x, np.array([power]))[:, 0], yeojohnson(x[:, 0], power))


def test_residuals_have_nothing_of_volume_left():
    cohort = survival_cohort()
    residual = VolumeResidual.fit(cohort.features, cohort.volume_ml)
    out = residual.transform(cohort.features, cohort.volume_ml)
    log = np.log(cohort.volume_ml)
    assert np.abs([np.corrcoef(log, column)[0, 1] for column in out.T]).max() < 1e-10
    assert np.corrcoef(log, cohort.features[:, 1])[0, 1] > 0.9


def test_features_that_hardly_vary_or_are_mostly_missing_are_dropped():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(100, 5))
    values[:, 1] = 3.0
    values[:97, 2] = 0.0
    values[:60, 3] = np.nan
    values[:40, 4] = np.nan
    assert varying(values).tolist() == [True, False, False, False, True]


def test_of_redundant_features_the_one_of_higher_priority_stays():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 1))
    values = np.hstack([x, np.exp(x), rng.normal(size=(80, 2))])
    kept = not_redundant(values, np.array([0.5, 0.9, 0.1, np.nan]), 0.9)
    assert kept.tolist() == [False, True, True, True]
    rho = np.abs(spearmanr(values[:, kept]).statistic - np.eye(3))
    assert rho.max() <= 0.9


def test_stability_filters_and_decides_between_redundant_features():
    cohort = survival_cohort(n=60, p=6)
    features = cohort.features.copy()
    features[:, 3] = features[:, 0] + 1e-3 * np.random.default_rng(0).normal(size=60)
    icc = {"f0": 0.8, "f1": 0.5, "f2": 0.9, "f3": 0.95, "f4": 0.9}
    chain = FeatureChain.fit(replace(cohort, features=features, icc=icc), Preparation())
    assert set(chain.names) == {"f2", "f3", "f4"}, "f1 is unstable, f5 unknown, f3 steadier than its double f0"


def test_stability_from_repeated_measures_is_that_of_the_rows_given():
    cohort = survival_cohort(n=60, p=4)
    rng = np.random.default_rng(0)
    repeated = cohort.features[:, None, :] + 0.1 * rng.normal(size=(60, 3, 4))
    repeated[30:, :, 2] = rng.normal(size=(30, 3))
    both = replace(cohort, repeated=repeated)
    assert "f2" in FeatureChain.fit(both.take(np.arange(30)), Preparation()).names
    assert "f2" not in FeatureChain.fit(both, Preparation()).names


def test_clinical_levels_gaps_and_unknown_levels():
    n = 40
    stage = ClinicalColumn.of("stage", ["I", "II", "III", ""] * 10, "ordinal", ["I", "II", "III"])
    site = ClinicalColumn.of("site", (["left"] * 20 + ["right"] * 14 + ["both"] * 6))
    cohort = replace(survival_cohort(n=n, p=2), clinical=(stage, site))
    encoder = ClinicalEncoder.fit(cohort)
    assert encoder.columns == ("stage", "site=both", "site=right", "stage missing")
    assert np.allclose(encoder.transform(cohort).mean(0), 0)
    told: list[str] = []
    new = replace(cohort.take([0]), clinical=(ClinicalColumn.of("site", ["above"]), stage.take(np.array([3]))))
    row = encoder.scale.means + encoder.transform(new, told.append)[0] * encoder.scale.scales
    assert np.allclose(row, [1.0, 0.0, 0.0, 1.0])
    assert told == ["site: 1 rows hold a level that training did not have; they count as missing."]


def test_missing_volume_is_the_median():
    cohort = survival_cohort(n=40)
    volume = cohort.volume_ml.copy()
    volume[3] = np.nan
    out = VolumeTerm.fit(replace(cohort, volume_ml=volume)).transform(replace(cohort, volume_ml=volume))
    assert out[3, 0] == pytest.approx(np.median(np.delete(out, 3)))


@pytest.mark.parametrize("scale", ["standard", "rank", "yeo-johnson"])
def test_a_chain_finds_the_driving_feature_and_does_the_same_for_one_row(scale):
    cohort = survival_cohort(centre=tuple("AB"[k % 2] for k in range(90)))
    preparation = Preparation(scale=scale, residualise_volume=True, harmonise_keep=("volume_ml", "age"), max_features=5)
    design = Design.fit(cohort, "combined", preparation)
    assert design.columns[:4] == ("age", design.columns[1], "log volume", "f0")
    every = design.matrix(cohort.blind())
    assert every.shape == (90, 8)
    one = design.matrix(cohort.take(np.array([7])).blind())
    assert np.allclose(one, every[[7]])
    order = np.random.default_rng(0).permutation(30)
    shuffled = replace(
        cohort, feature_names=tuple(cohort.feature_names[k] for k in order), features=cohort.features[:, order]
    )
    assert np.allclose(design.matrix(shuffled.blind()), every)
