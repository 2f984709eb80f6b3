"""Grey levels, their histogram, the intensity-volume histogram and local intensity."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.radiomics import discretise, histogram, ivh, local
from manabi.radiomics.region import grown


def test_bins_of_a_width_start_at_the_lower_bound():
    values = np.array([-500.0, -476, -475, 0, 400])
    assert discretise.by_width(values, 25.0, -500.0).inside.tolist() == [1, 1, 2, 21, 37]
    assert discretise.by_width(values + 10, 25.0).inside.tolist() == [1, 1, 2, 21, 37]


def test_bins_in_number_put_the_maximum_into_the_last():
    values = np.array([0.0, 0.99, 1.0, 3.999, 4.0])
    assert discretise.by_count(values, 4).inside.tolist() == [1, 1, 2, 4, 4]
    assert discretise.by_count(np.full(3, 5.0), 32).inside.tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("width", [25.0, 0.7, 0.1])
def test_pyradiomics_bins_are_those_of_digitize(width: float, dtype: type):
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(5, 60, 4000), np.arange(-90, 90) * width, [0.0]]).astype(dtype)
    low, high = values.min(), values.max()
    edges = np.arange(low - (low % width), high + 2 * width, width)
    found = discretise.by_width_pyradiomics(values, width)
    assert np.array_equal(found.inside, np.digitize(values, edges))
    assert found.inside.min() == 1 and found.count == found.inside.max()


def test_pyradiomics_bins_in_number_are_those_of_digitize():
    values = np.random.default_rng(3).normal(5, 60, 4000)
    edges = np.histogram(values, 16)[1]
    edges[-1] += 1
    assert np.array_equal(discretise.by_count_pyradiomics(values, 16).inside, np.digitize(values, edges))


def test_a_width_that_cannot_be_meant_is_refused():
    with pytest.raises(InvalidInputError, match="Choose a larger bin_width"):
        discretise.by_width(np.array([0.0, 1e6]), 1.0)


def test_painted_levels_stand_in_their_places():
    mask = np.zeros((2, 2, 2), bool)
    mask[0, 1, 0] = mask[1, 0, 1] = True
    painted = discretise.by_width(np.array([0.0, 30.0]), 25.0).painted(mask)
    assert painted.dtype == np.int32 and painted[0, 1, 0] == 1 and painted[1, 0, 1] == 2 and painted.sum() == 3


def test_mode_of_equal_counts_is_the_one_near_the_mean():
    found = histogram.features(np.array([1, 1, 5, 5, 6], np.int32), 6)
    assert found["histogram_Mode"] == 5
    assert found["histogram_MaximumGradient"] == 1 and found["histogram_MaximumGradientLevel"] == 4
    assert found["histogram_MinimumGradient"] == -2 and found["histogram_MinimumGradientLevel"] == 1


def test_one_level_has_no_gradient():
    found = histogram.features(np.ones(9, np.int32), 1)
    assert np.isnan(found["histogram_MaximumGradient"]) and found["histogram_Entropy"] == 0


def test_volume_histogram_of_a_ramp_is_a_line():
    found = ivh.features(np.arange(1, 1002, dtype=np.int32), np.arange(0.0, 1001))
    assert found["ivh_V10"] == pytest.approx(0.9, abs=1e-3)
    assert found["ivh_V90"] == pytest.approx(0.1, abs=1e-3)
    assert found["ivh_I10"] == pytest.approx(900, abs=1) and found["ivh_I90"] == pytest.approx(100, abs=2)
    assert found["ivh_AreaUnderCurve"] == pytest.approx(0.5, abs=1e-3)


def test_local_peaks_are_means_of_a_sphere():
    rng = np.random.default_rng(2)
    image, spacing = rng.normal(0, 1, (9, 16, 14)), (3.0, 1.0, 1.5)
    box = (slice(2, 7), slice(1, 12), slice(4, 14))
    mask = rng.random((5, 11, 10)) > 0.5
    found = local.features(image, box, mask, spacing)
    places = np.argwhere(np.ones(image.shape, bool)) * spacing
    centres = (np.argwhere(mask) + [2, 1, 4]) * spacing
    near = np.linalg.norm(centres[:, None] - places[None], axis=2) <= local.RADIUS_MM
    means = near @ image.ravel() / near.sum(axis=1)
    assert found["local_PeakGlobal"] == pytest.approx(means.max())
    assert found["local_PeakLocal"] == pytest.approx(means[image[box][mask].argmax()])


def test_local_peaks_need_only_their_margin():
    rng = np.random.default_rng(2)
    image, spacing = rng.normal(0, 1, (30, 30, 30)), (2.0, 2.0, 2.0)
    box, mask = (slice(10, 14), slice(12, 15), slice(9, 20)), np.ones((4, 3, 11), bool)
    wide = grown(box, local.margin(spacing), image.shape)
    inner = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide, strict=True))
    assert local.features(image[wide], inner, mask, spacing) == local.features(image, box, mask, spacing)
