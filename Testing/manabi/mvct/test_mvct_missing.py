"""Slices that a stack has lost."""

import numpy as np
import pytest

from manabi.mvct.corrupt import corrupted
from manabi.mvct.missing import Missing, missing_slices
from manabi.mvct.tissue_map import body_mask
from manabi.volume import Volume

SPACING_MM = np.array([2.0, 2.0, 4.0])


def neck(slices=24, widest=60.0, narrowest=35.0):
    """A body that narrows in the middle, with noise, in air."""
    hu = np.full((slices, 96, 96), -1000.0, np.float32)
    y, x = np.mgrid[:96, :96] - 47.5
    for k, radius_mm in enumerate(np.interp(np.arange(slices), [0, slices // 2, slices - 1], [widest, narrowest, 70])):
        hu[k][np.hypot(x, y) * 2.0 <= radius_mm] = 30.0
    return hu + np.random.default_rng(0).normal(0, 20, hu.shape).astype(np.float32)


def found(hu):
    return missing_slices(hu, body_mask(hu, SPACING_MM))


def test_a_whole_stack_misses_nothing_though_it_narrows():
    assert found(neck()) == Missing() and not found(neck()).present


def test_air_above_and_below_the_patient_is_not_missing():
    hu = neck()
    hu[:3] = hu[-4:] = -1000.0
    assert found(hu) == Missing()


@pytest.mark.parametrize("seed", range(5))
def test_the_lost_slices_of_the_experiment_are_found(seed):
    volume = Volume(neck(40), np.diag([2.0, 2.0, 4.0, 1.0]))
    hu = np.asarray(corrupted(volume, "lost_slices", seed=seed).array)
    lost = np.flatnonzero((hu == -1000.0).all((1, 2)))
    assert len(lost) == 4 and found(hu).empty == tuple(lost)


def test_a_repeated_slice_is_told_from_a_similar_one():
    hu = neck()
    hu[10] = hu[9]
    assert found(hu) == Missing(repeated=(10,))


def test_an_image_without_a_body_is_left_to_the_other_checks():
    assert missing_slices(np.full((5, 8, 8), -1000.0), np.zeros((5, 8, 8), bool)) == Missing()
