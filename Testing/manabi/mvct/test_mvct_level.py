"""The couch tells a tilt of the gantry that was lost; a leaning patient does not."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.mvct.level import couch_slope

SPACING = np.array([2.0, 2.0, 4.0])
SHAPE = (24, 96, 80)


def scan(couch=0.0, lean=0.0, noise=25.0, seed=0):
    """A cylinder that leans, over a couch with two thin skins that climbs; and the cylinder's mask."""
    k, j, i = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    z = (k - SHAPE[0] / 2) * SPACING[2]
    y, x = (j - 55) * SPACING[1] - lean * z, (i - 40) * SPACING[0]
    body = np.hypot(x, y) <= 45.0
    deep = (j - 22) * SPACING[1] - couch * z
    skin = (np.abs(deep) < 2.0) | (np.abs(deep + 20.0) < 2.0)
    hu = np.where(skin & (np.abs(x) < 70.0), -450.0, -1000.0) + np.where(np.abs(deep + 10.0) < 8.0, 60.0, 0.0)
    hu = np.where(body, 40.0, np.broadcast_to(hu, SHAPE))
    return (hu + np.random.default_rng(seed).normal(0.0, noise, SHAPE)).astype(np.float32), body


@pytest.mark.parametrize("slope", [0.0, 0.2, 0.47, -0.6])
def test_the_slope_is_measured(slope):
    hu, body = scan(couch=slope)
    assert couch_slope(hu, SPACING, body) == pytest.approx(slope, abs=0.03)


def test_a_patient_who_leans_on_a_level_couch_is_not_taken_for_a_tilt():
    hu, body = scan(lean=0.4)
    assert abs(couch_slope(hu, SPACING, body)) < 0.03


def test_no_couch_or_few_slices_say_nothing():
    hu, body = scan()
    alone = np.where(body, hu, np.random.default_rng(1).normal(-1000.0, 25.0, SHAPE)).astype(np.float32)
    assert couch_slope(alone, SPACING, body) is None
    assert couch_slope(np.where(body, 40.0, -1000.0).astype(np.float32), SPACING, body) is None
    assert couch_slope(hu[:6], SPACING, body[:6]) is None
