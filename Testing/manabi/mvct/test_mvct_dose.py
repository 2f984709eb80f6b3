"""The simple photon dose: depth, divergence, beams."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.mvct.dose import (
    ATTENUATION_PER_MM,
    SAD_MM,
    Beam,
    aperture,
    depth_dose,
    dose,
    even_beams,
    fan,
    water_depth,
)  # fmt: skip

SPACING = np.array([3.0, 3.0, 4.0])
SHAPE = (9, 61, 61)


def box(low=15, high=46, density=1.0):
    """A water box about the middle of the image; 31 pixels of 3 mm wide."""
    out = np.zeros(SHAPE, np.float32)
    out[:, low:high, low:high] = density
    return out


def centre_target(radius=2):
    target = np.zeros(SHAPE, bool)
    target[3:6, 30 - radius : 31 + radius, 30 - radius : 31 + radius] = True
    return target


@pytest.mark.parametrize("gantry", [0.0, 90.0, 180.0, 270.0, 37.0])
def test_the_depth_of_a_centre_in_water_is_its_distance_from_the_surface(gantry):
    depth = water_depth(box(), SPACING, (30.0, 30.0), gantry)
    expected = 46.5 / max(abs(np.cos(np.radians(gantry))), abs(np.sin(np.radians(gantry))))
    assert depth[4, 30, 30] == pytest.approx(expected, abs=0.6)


def test_a_beam_from_in_front_enters_in_front_and_one_from_the_left_at_the_left():
    """Rows rise to anterior and columns to the patient's right."""
    front, left = (water_depth(box(), SPACING, (30.0, 30.0), g)[4] for g in (0.0, 90.0))
    assert front[44, 30] < 10 < 80 < front[16, 30]
    assert left[30, 16] < 10 < 80 < left[30, 44]


def test_lung_is_shallower_and_bone_deeper_in_proportion():
    image = box()
    image[:, 33:43, 15:46] = 0.25
    assert water_depth(image, SPACING, (30.0, 30.0), 0.0)[4, 30, 30] == pytest.approx(46.5 - 0.75 * 30, abs=0.6)
    image[:, 33:43, 15:46] = 1.6
    assert water_depth(image, SPACING, (30.0, 30.0), 0.0)[4, 30, 30] == pytest.approx(46.5 + 0.6 * 30, abs=0.6)


def test_rays_diverge_from_the_source():
    rays = fan(SHAPE[1:], SPACING, (30.0, 30.0), 0.0)
    ray_far = rays.ray[10, 40] - rays.ray[10, 30]
    ray_near = rays.ray[50, 40] - rays.ray[50, 30]
    assert ray_near > ray_far > 0
    assert ray_near / ray_far == pytest.approx((SAD_MM + 60) / (SAD_MM - 60), rel=1e-6)
    assert rays.distance_mm[0] + rays.step[30, 30] * rays.step_mm == pytest.approx(SAD_MM)
    with pytest.raises(InvalidInputError, match="source of the beam"):
        fan((700, 700), SPACING, (350.0, 350.0), 0.0)


def test_dose_in_water_has_build_up_and_falls_as_a_6_mv_beam():
    depth = np.arange(0.0, 250.0, 1.0)
    curve = depth_dose(depth)
    assert 13 <= depth[curve.argmax()] <= 19 and curve[0] < 0.4
    assert curve[200] / curve[100] == pytest.approx(0.67, abs=0.03)
    assert (np.diff(curve[25:]) < 0).all()


def test_the_aperture_is_the_targets_shadow_with_margin():
    target = centre_target()
    open_part = aperture(target, SPACING, (30.0, 30.0), 0.0, 5.0)[4]
    assert open_part[30, 30] == pytest.approx(1.0, abs=0.03)
    half = float(np.interp(0.5, open_part[30, 30:45][::-1], SPACING[0] * np.arange(14, -1, -1)))
    assert half == pytest.approx(7.5 + 5.0, abs=2.0)
    assert open_part[30, 45] < 0.01 and open_part[50, 30] > open_part[10, 30]


def test_more_beams_spare_what_is_not_target():
    image, target = box(), centre_target()
    near = np.zeros(SHAPE, bool)
    near[1:8, 24:37, 24:37] = True

    def spared(beams):
        found = dose(image, SPACING, target, beams)
        return found[target].mean() / found[(image > 0) & ~near].max()

    assert spared(even_beams(7)) > 2.0 * spared((Beam(0.0),)) > 1.0


def test_twice_the_weight_is_twice_the_dose():
    image, target = box(), centre_target()
    one, two = (dose(image, SPACING, target, (Beam(20.0, w),)) for w in (1.0, 2.0))
    assert np.allclose(two, 2 * one, rtol=1e-4)
    assert one[target].min() > 0.3


def test_a_denser_entry_takes_dose_from_the_target_as_attenuation_says():
    image, target = box(), centre_target()
    dense = image.copy()
    dense[:, 36:44, :] *= 1.5
    doses = [dose(d, SPACING, target, (Beam(0.0),))[4, 30, 30] for d in (image, dense)]
    assert doses[1] / doses[0] == pytest.approx(np.exp(-ATTENUATION_PER_MM * 0.5 * 24), abs=0.025)


def test_a_little_air_in_the_target_makes_no_jump():
    image, target = box(), centre_target()
    thin, thinner = image.copy(), image.copy()
    thin[:, 30, 29:32], thinner[:, 30, 29:32] = 0.06, 0.001
    doses = [dose(d, SPACING, target, even_beams(3))[target] for d in (thin, thinner)]
    assert np.allclose(doses[0], doses[1], rtol=0.02) and doses[1].min() > 0.3


def test_the_same_fluence_for_every_image_and_even_beams_sum_to_one():
    beams = even_beams(4)
    assert [b.gantry_deg for b in beams] == [0.0, 90.0, 180.0, 270.0] and sum(b.weight for b in beams) == 1.0
    with pytest.raises(InvalidInputError):
        even_beams(0)
    with pytest.raises(InvalidInputError, match="not empty"):
        dose(box(), SPACING, np.zeros(SHAPE, bool), beams)
