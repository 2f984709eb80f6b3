"""Signatures, kinds and distances from the training images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fixtures_mvct_head import SPACING, head

from manabi.errors import CorruptModelError, InvalidInputError
from manabi.mvct.ood import Reference, fit_reference, mahalanobis, oddities, ood_score
from manabi.mvct.signature import EDGES_HU, NUMBERS, Signature, likely_kind, signature, wasserstein_hu
from manabi.mvct.tissue_map import tissue_map


def sign(hu, kind="mvct"):
    return signature(hu, SPACING, tissue_map(hu, SPACING, kind))


@pytest.fixture(scope="module")
def training():
    return [sign(head("mvct", seed).hu) for seed in range(6)]


def test_the_distance_of_histograms_is_the_shift_in_hu():
    def spike(hu):
        return np.histogram([hu], EDGES_HU)[0].astype(float)

    assert wasserstein_hu(spike(0.0), spike(200.0)) == pytest.approx(200.0)
    assert wasserstein_hu(spike(0.0) * 5, spike(0.0)) == 0.0
    assert wasserstein_hu(spike(0.0), 0.5 * spike(-100.0) + 0.5 * spike(100.0)) == pytest.approx(100.0, abs=20.0)


@pytest.mark.parametrize("taken_for", ["mvct", "kvct"])
@pytest.mark.parametrize("kind", ["mvct", "cbct", "kvct"])
def test_the_kind_is_told_by_contrast_bone_and_noise(kind, taken_for):
    assert likely_kind(sign(head(kind, 3).hu, taken_for)) == kind


def test_without_bone_and_peaks_noise_decides():
    unknown = dict.fromkeys(NUMBERS, float("nan"))
    histogram = np.zeros(len(EDGES_HU) - 1)
    assert likely_kind(Signature({**unknown, "noise_hu": 40.0}, histogram)) == "mvct"
    assert likely_kind(Signature({**unknown, "noise_hu": 9.0}, histogram)) == "kvct"


def test_new_patients_of_the_same_scanner_are_usual(training):
    reference = fit_reference(training)
    assert max(ood_score(oddities(sign(head("mvct", seed).hu), reference)) for seed in (20, 21)) < 2.5


def test_another_scanner_is_odd_and_the_oddest_comes_first(training):
    found = oddities(sign(head("kvct", 20).hu), fit_reference(training))
    z = [abs(oddity.z) for oddity in found]
    assert z == sorted(z, reverse=True) and ood_score(found) == z[0] > 4
    assert {"noise_hu", "dense_hu"} & {oddity.name for oddity in found[:2]}
    assert found[0].words != found[0].name


def test_less_than_usual_is_no_fault_where_less_is_better(training):
    reference = fit_reference(training, residual_hu=[20.0, 21.0, 22.0, 23.0, 24.0, 25.0])
    better, worse = (
        next(o for o in oddities(training[0], reference, residual_hu=hu) if o.name == "residual") for hu in (1.0, 60.0)
    )
    assert better.z == 0.0 and worse.z > 8


def test_features_far_from_training_are_odd(training):
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(8, 8))
    features = rng.normal(size=(60, 8)) @ mixing
    reference = fit_reference(training, features=features)
    usual = rng.normal(size=(5, 8)) @ mixing
    odd = usual + 10.0 * np.linalg.svd(mixing)[2][-1]

    def z(rows):
        return next(o for o in oddities(training[0], reference, features=rows) if o.name == "features").z

    assert z(usual) < 3.0 and z(odd) > z(usual) + 3.0
    with pytest.raises(InvalidInputError, match="features were"):
        oddities(training[0], reference, features=np.zeros(5))


def test_mahalanobis_counts_in_standard_deviations():
    precision = np.diag([1.0 / 4.0, 1.0])
    assert mahalanobis(np.array([4.0, 0.0]), np.zeros(2), precision) == pytest.approx(2.0 / np.sqrt(2.0))


def test_what_is_written_is_read_back(training):
    features = np.random.default_rng(1).normal(size=(20, 3))
    reference = fit_reference(training, features=features, residual_hu=[1, 2, 3, 4, 5, 6])
    back = Reference.of(json.loads(json.dumps(reference.facts())))
    probe = sign(head("kvct", 9).hu)
    args = {"features": features[0], "residual_hu": 3.0}
    first, second = (oddities(probe, ref, **args) for ref in (reference, back))
    assert [o.name for o in first] == [o.name for o in second]
    assert np.allclose([o.z for o in first], [o.z for o in second], rtol=1e-3, atol=1e-3)
    again = Signature.of(json.loads(json.dumps(probe.facts())))
    assert again.numbers == pytest.approx(dict(probe.numbers), rel=1e-4)


def test_damaged_facts_and_too_few_images_are_refused(training):
    facts = fit_reference(training).facts()
    del facts["sd"]
    with pytest.raises(CorruptModelError, match="Install the bundle again"):
        Reference.of(facts)
    with pytest.raises(InvalidInputError, match="Three training images"):
        fit_reference(training[:2])


def test_an_empty_image_is_infinitely_odd(training):
    empty = sign(np.full((4, 40, 40), -1000.0, np.float32))
    assert ood_score(oddities(empty, fit_reference(training))) == float("inf")
