"""Our numbers against scikit-survival's and scikit-learn's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohort_fixtures import label_cohort, survival_cohort
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sksurv.ensemble import GradientBoostingSurvivalAnalysis, RandomSurvivalForest
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis
from sksurv.metrics import concordance_index_censored
from sksurv.util import Surv

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort import models, models_trees
from manabi.radiomics.cohort.association import association, concordance, cox_score, pairs, rank_z
from manabi.radiomics.cohort.cox import RiskSets, breslow, log_partial_likelihood, ridge_cox
from manabi.radiomics.cohort.logistic import lasso_start, logistic_paths


@pytest.fixture
def tied():
    """A cohort with many tied times."""
    cohort = survival_cohort(n=70, p=5)
    return replace(cohort, time_days=np.ceil(cohort.time_days / 150) * 150)


def surv(cohort):
    return Surv.from_arrays(cohort.event, cohort.time_days)


@pytest.mark.parametrize("ridge", [0.1, 10.0])
def test_ridge_cox_equals_scikit_survival_with_ties(tied, ridge):
    peer = CoxPHSurvivalAnalysis(alpha=ridge, ties="breslow", n_iter=200, tol=1e-14).fit(tied.features, surv(tied))
    ours = ridge_cox(tied.features, RiskSets.of(tied.time_days, tied.event), ridge)
    assert np.allclose(ours, peer.coef_, atol=1e-7)


def test_baseline_hazard_equals_scikit_survival(tied):
    peer = CoxPHSurvivalAnalysis(alpha=1.0).fit(tied.features, surv(tied))
    times, hazard = breslow(tied.features @ peer.coef_, tied.time_days, tied.event)
    assert np.array_equal(times, peer.unique_times_)
    assert np.allclose(hazard, peer.cum_baseline_hazard_.y, rtol=1e-10)


def test_score_test_is_the_slope_over_the_root_of_the_curvature_of_the_likelihood(tied):
    sets, step = RiskSets.of(tied.time_days, tied.event), 1e-4
    x = tied.features
    up, here, down = (log_partial_likelihood(x * size, sets) for size in (step, 0.0, -step))
    slope, curve = (up - down) / (2 * step), -(up - 2 * here + down) / step**2
    assert np.allclose(cox_score(x, tied.time_days, tied.event), slope / np.sqrt(curve), rtol=1e-4)


def test_wilcoxon_and_concordance_equal_scipy_and_scikit_survival(tied):
    from scipy.stats import mannwhitneyu, norm

    binary = label_cohort(n=60, p=4)
    p = [mannwhitneyu(x[binary.label == 1], x[binary.label == 0], use_continuity=False, method="asymptotic").pvalue
         for x in binary.features.T.round(1)]  # fmt: skip
    assert np.allclose(2 * norm.sf(np.abs(rank_z(binary.features.round(1), binary.label))), p)
    risk = tied.features[:, 0].round(1)
    peer = concordance_index_censored(tied.event, tied.time_days, risk)[0]
    assert concordance(risk, pairs(tied)) == pytest.approx(peer, abs=1e-12)
    assert association(tied.features, tied, "concordance")[0] == pytest.approx(
        abs(concordance_index_censored(tied.event, tied.time_days, tied.features[:, 0])[0] - 0.5)
    )


def test_elastic_net_predicts_as_scikit_survival():
    cohort = survival_cohort(n=70, p=10)
    x = (cohort.features - cohort.features.mean(0)) / cohort.features.std(0)
    candidate = {"l1_ratio": 0.5, "alpha": 0.05}
    fitted = models.ElasticNetCox((0.5,)).fit_many(x, cohort, 0, [candidate], 0)[0].freeze()
    peer = CoxnetSurvivalAnalysis(l1_ratio=0.5, alphas=[0.05], tol=1e-6, fit_baseline_model=True).fit(x, surv(cohort))
    assert np.allclose(fitted.risk(x), peer.predict(x), atol=1e-9)
    times = np.quantile(cohort.time_days, [0.2, 0.5, 0.8])
    theirs = [[curve(t) for t in times] for curve in peer.predict_survival_function(x[:5])]
    assert np.allclose(fitted.survival(x[:5], times), theirs, atol=1e-9)


def test_frozen_survival_forest_predicts_as_scikit_survival():
    cohort = survival_cohort(n=80, p=6)
    new = np.random.default_rng(5).normal(size=(30, 6))
    peer = RandomSurvivalForest(30, min_samples_leaf=5, max_features="sqrt", random_state=3)
    peer.fit(cohort.features, surv(cohort))
    ours = models_trees.frozen_forest(peer)
    assert np.allclose(ours.risk(new), peer.predict(new), rtol=0, atol=1e-9)
    theirs = peer.predict_survival_function(new, return_array=True)
    assert np.allclose(ours.survival(new, peer.unique_times_), theirs, atol=1e-9)
    assert np.isnan(ours.survival(new[:1], np.array([cohort.time_days.max() + 1]))).all()


def test_frozen_boosting_predicts_as_scikit_survival_at_every_stage():
    cohort = survival_cohort(n=80, p=6)
    new = np.random.default_rng(5).normal(size=(30, 6))
    peer = GradientBoostingSurvivalAnalysis(
        learning_rate=models_trees.RATE, n_estimators=40, max_depth=2, subsample=0.5, random_state=3
    ).fit(cohort.features, surv(cohort))
    ours = models_trees.staged(peer, 40, 6, cohort.features, cohort).freeze()
    assert np.allclose(ours.risk(new), peer.predict(new), atol=1e-9)
    times = np.quantile(cohort.time_days, [0.2, 0.5, 0.8])
    theirs = [[curve(t) for t in times] for curve in peer.predict_survival_function(new)]
    assert np.allclose(ours.survival(new, times), theirs, atol=1e-9)
    early = models_trees.staged(peer, 10, 6, cohort.features, cohort).freeze()
    assert np.allclose(early.risk(new), list(peer.staged_predict(new))[9], atol=1e-9)


def test_frozen_label_forest_predicts_as_scikit_learn():
    cohort = label_cohort(n=80, p=6, levels=3)
    peer = RandomForestClassifier(25, min_samples_leaf=5, random_state=3).fit(cohort.features, cohort.label)
    new = np.random.default_rng(5).normal(size=(30, 6))
    ours = models_trees.frozen_label_forest(peer, 3)
    assert np.allclose(ours.probability(new), peer.predict_proba(new), atol=1e-9)


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_logistic_paths_equal_scikit_learn(ratio):
    cohort = label_cohort(n=80, p=10)
    y = cohort.label.astype(float)
    alpha = lasso_start(cohort.features, y, np.ones(10)) * np.array([0.5, 0.1])
    ours, intercepts = logistic_paths(cohort.features, y, alpha * ratio, alpha * (1 - ratio), np.ones(10))
    for k, a in enumerate(alpha):
        peer = LogisticRegression(l1_ratio=ratio, C=1 / (a * 80), solver="saga", tol=1e-10, max_iter=100_000)
        peer.fit(cohort.features, y)
        assert np.allclose(ours[:, k], peer.coef_[0], atol=1e-4)
        assert intercepts[k] == pytest.approx(peer.intercept_[0], abs=1e-4)


def test_path_attributions_add_up_to_the_risk():
    cohort = survival_cohort(n=80, p=6)
    for learner in (models_trees.SurvivalForest(), models_trees.Boosting()):
        candidate = learner.candidates(cohort.features, cohort, 0)[-1]
        frozen = learner.fit_many(cohort.features, cohort, 0, [candidate], 0)[0].freeze()
        base = frozen.risk(cohort.features) - frozen.contributions(cohort.features).sum(1)
        assert np.ptp(base) < 1e-9


def test_boosting_for_labels_is_refused():
    with pytest.raises(InvalidInputError, match="survival"):
        models.learner("boosting", "binary")
