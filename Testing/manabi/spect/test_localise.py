"""Finding the striatum in simulated scans of every grade, and in what is no such scan.

Measured on 36 scans (6 heads, grades 4, 2 and 1, 5 and 25 minutes): all within 4 mm of the truth, median 1.9 mm,
largest 3.9 mm. The found size is up to 14 % too large in small heads and the nod is not told by the image, so that
regions of 5-minute scans can differ by half a unit of binding ratio from regions at the true place.
"""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_spect import head, head_grid, render, true_pose

from manabi.errors import InvalidInputError
from manabi.spect.localise import Localisation, brain_mask, localise
from manabi.spect.quantify import measure, regions, voxel_ml
from manabi.spect.template import REGIONS, Pose

WITHIN_MM = 4.0
MEAN_ERROR = 0.20
"""Mean difference of the four binding ratios to those of regions at the true place, as a share of their mean."""


@pytest.fixture(scope="module", params=[4, 3, 2, 1])
def graded(request):
    """A head with both striata of one grade."""
    return render(12, grade_left=request.param, grade_right=request.param)


def distance_mm(found, parameters):
    return float(np.linalg.norm(np.array(found.pose.centre_mm) - true_pose(parameters).centre_mm))


@pytest.mark.parametrize("minutes", [5, 25])
def test_every_grade_is_found_and_its_binding_ratios_hold(graded, minutes):
    case, parameters = graded
    volume = case.volumes[f"spect_{minutes}min"]
    found = localise(volume)
    assert distance_mm(found, parameters) < WITHIN_MM
    truth = Localisation(true_pose(parameters), 1.0, {}, found.brain)
    got, wanted = (measure(volume.array, regions(volume, f), voxel_ml(volume)).sbr for f in (found, truth))
    mean = np.mean([wanted[r] for r in REGIONS])
    assert abs(np.mean([got[r] - wanted[r] for r in REGIONS])) < MEAN_ERROR * mean
    for region in REGIONS:
        assert got[region] == pytest.approx(wanted[region], abs=0.6)


def test_the_sides_are_told_apart(striatum_case):
    case, parameters = striatum_case
    assert (parameters.grade_left, parameters.grade_right) == (4, 2)
    uptake = localise(case.volumes["spect_25min"]).uptake
    assert uptake["putamen", "left"] > 1.5 * uptake["putamen", "right"]
    assert set(uptake) == set(REGIONS)


def test_more_counts_are_explained_better(striatum_case):
    case, _ = striatum_case
    short, full = (localise(case.volumes[name]).explained for name in ("spect_5min", "spect_25min"))
    assert 0.1 < short < full < 1.0


@pytest.mark.slow
def test_nine_of_ten_scans_are_found_within_4_mm():
    errors = []
    for seed in (11, 12, 13, 14, 15, 16):
        for grade in (4, 2, 1):
            case, parameters = render(seed, grade_left=grade, grade_right=grade)
            errors += [distance_mm(localise(case.volumes[f"spect_{m}min"]), parameters) for m in (5, 25)]
    assert np.mean(np.array(errors) < WITHIN_MM) >= 0.9
    assert np.median(errors) < 2.5


# --- hand-made heads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [2.5, 3.29, (4.4, 4.4, 6.0)])
def test_spacing_does_not_matter(spacing):
    pose = Pose((3.0, 15.0, -8.0), (0.0, 5.0, -6.0))
    found = localise(head(head_grid(spacing), pose, blur_mm=11.0))
    assert np.linalg.norm(np.array(found.pose.centre_mm) - pose.centre_mm) < 2.0
    assert found.pose.angles_deg[2] == pytest.approx(-6.0, abs=2.0)
    assert found.explained > 0.5


def test_a_head_that_lies_across_the_camera_is_found():
    """The patient's axes are matched first, so that no head has to lie in RAS order."""
    volume = head(blur_mm=11.0)
    straight, turned = localise(volume), localise(volume.reoriented((1, 2, 0), (-1, 1, -1)))
    np.testing.assert_allclose(turned.pose.centre_mm, straight.pose.centre_mm, atol=1e-6)
    assert turned.brain.shape == volume.reoriented((1, 2, 0), (-1, 1, -1)).shape


def test_the_brain_mask_holds_the_brain_without_holes():
    volume = head()
    mask = brain_mask(volume)
    inside = np.asarray(volume.array) > 50
    assert (mask & inside).sum() / (mask | inside).sum() > 0.9
    assert mask.dtype == bool


def test_only_the_largest_piece_is_the_head():
    volume = head()
    array = np.array(volume.array)
    array[2:5, 2:5, 2:5] = 100.0
    assert not brain_mask(volume.like(array))[:6, :6, :6].any()


@pytest.mark.parametrize(("low", "high", "cut"), [(0, 61, False), (0, 36, True), (24, 61, True), (4, 61, False)])
def test_an_image_that_ends_within_the_brain_is_known(low, high, cut):
    volume = head().crop((low, 0, 0), (high, *head().shape[1:]))
    assert localise(volume).cut == cut
    assert localise(volume.reoriented((2, 0, 1), (-1, 1, 1))).cut == cut


def test_an_image_without_uptake_is_refused():
    nothing = head().like(np.zeros(head_grid().shape, np.float32))
    with pytest.raises(InvalidInputError, match="No head was found.*right series"):
        localise(nothing)


def test_a_sliver_of_the_head_is_refused():
    volume = head()
    top = volume.crop((54, 0, 0), (57, *volume.shape[1:]))
    with pytest.raises(InvalidInputError, match="field of view|almost no slices"):
        localise(top)
