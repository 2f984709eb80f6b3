"""A projected chest: sides, hidden lung, ranges along the rays, tissues, sizes."""

import json

import numpy as np
import pytest
import torch
from fixtures_radiograph import FEW, SMALL, small_chest

from manabi.errors import InvalidInputError
from manabi.phantoms.base import case_rng
from manabi.phantoms.ct.materials import MATERIALS, mass_attenuation
from manabi.phantoms.radiograph_anatomy import EFFECTIVE_KEV, paint_upright, tissues
from manabi.phantoms.radiograph_beam import SUBSTANCES
from manabi.phantoms.radiograph_chest import BEHIND_HEART, BELOW_DOME, CLEAR, place_beam, project
from manabi.phantoms.radiograph_sampling import TALL, sample_chest
from manabi.phantoms.thorax_shape import HALF_WIDTH

CHESTS = [0, 1, 2]


@pytest.mark.parametrize("index", CHESTS)
def test_both_lungs_are_there_the_right_one_on_the_images_left(index):
    chest = small_chest(index)
    right, left = (np.argwhere(chest.lungs == value) for value in (1, 2))
    assert len(right) > 200
    assert len(left) > 200
    assert right[:, 1].max() < left[:, 1].min() + 3
    assert right[:, 1].mean() < 28
    assert left[:, 1].mean() > 36


@pytest.mark.parametrize("index", CHESTS)
def test_lung_behind_the_heart_and_below_the_domes_counts_as_lung(index):
    chest = small_chest(index)
    inside = chest.lungs > 0
    assert not chest.hidden[~inside].any()
    share = {code: float((chest.hidden[inside] == code).mean()) for code in range(4)}
    assert share[CLEAR] > 0.4
    assert 0.05 < share[BEHIND_HEART] < 0.4
    assert 0.03 < share[BELOW_DOME] < 0.45
    assert np.argwhere(chest.hidden == BELOW_DOME)[:, 0].mean() > np.argwhere(chest.hidden == BEHIND_HEART)[:, 0].mean()


@pytest.mark.parametrize("index", CHESTS)
def test_the_heart_hides_more_of_the_left_lung(index):
    chest = small_chest(index)
    lower = np.arange(64)[:, None] > 32
    behind = (chest.hidden == BEHIND_HEART) & lower
    assert (behind & (chest.lungs == 2)).sum() > (behind & (chest.lungs == 1)).sum()


@pytest.mark.parametrize("index", CHESTS)
def test_ranges_hold_the_way_through_lung(index):
    chest = small_chest(index)
    near, far = chest.lung_range_mm
    inside = chest.lungs > 0
    assert np.isfinite(near[inside]).all()
    assert (near[inside] <= far[inside]).all()
    assert near[inside].min() > chest.geometry.gap_mm
    assert np.nanmax(far) < chest.geometry.gap_mm + 330
    longest = (far - near + 2.5) * chest.geometry.obliquity()
    edges = 2 * chest.geometry.pixel_mm  # where lung begins and ends, voxels are lung in part
    assert (chest.lung_path_mm[inside] <= longest[inside] + edges).mean() > 0.96
    assert np.isnan(near[~inside]).all()
    assert not chest.lung_path_mm[~inside].any()
    assert np.median(chest.lung_path_mm[inside & (chest.hidden == CLEAR)]) > 80


@pytest.mark.parametrize("index", CHESTS)
def test_lungs_have_the_density_of_deep_inspiration(index):
    chest = small_chest(index)
    clear = (chest.lungs > 0) & (chest.hidden == CLEAR) & (chest.lung_path_mm > 60)
    density = chest.maps[3][clear] / (chest.lung_path_mm[clear] / 10)
    assert 0.08 < np.median(density) < 0.25


@pytest.mark.parametrize("index", CHESTS)
def test_area_densities_are_those_of_adults(index):
    chest = small_chest(index)
    clear = (chest.lungs > 0) & (chest.hidden == CLEAR)
    total = chest.maps.sum(axis=0)
    assert 5 < np.median(total[clear]) < 15
    assert 15 < total[30:40, 30:34].mean() < 32
    assert 0.3 < chest.maps[2][30:40, 31:33].mean() < 2.5  # g/cm² of bone in the spine
    assert (chest.maps >= 0).all()


def test_a_projection_follows_from_its_parameters_alone():
    drawn = sample_chest(case_rng(21, 0))
    again = project(drawn, SMALL, style=FEW)
    for name in ("maps", "lung_range_mm", "lung_path_mm", "lungs", "hidden"):
        np.testing.assert_array_equal(getattr(again, name), getattr(small_chest(0), name))
    assert json.loads(again.parameters_json)["texture_seed"] == drawn.texture_seed


def test_a_projections_arrays_are_locked():
    with pytest.raises(ValueError, match="read-only"):
        small_chest(0).maps[0, 0, 0] = 1.0


def test_the_detector_stands_before_the_chest_by_the_gap():
    painted = paint_upright(sample_chest(case_rng(21, 0)), SMALL, torch.device("cpu"), FEW)
    beam = place_beam(painted, SMALL)
    solid = (painted.canvas.hu[:, :, 10:-10] > -300).any(dim=2).any(dim=0)
    front = float(painted.canvas.y[solid].max())
    assert beam.detector_y >= front - 15
    assert beam.detector_y - SMALL.gap_mm <= front + 1e-3


@pytest.mark.parametrize("hu", [-900.0, -500.0, -90.0, 0.0, 60.0, 300.0, 1000.0, 1500.0])
def test_tissues_attenuate_as_their_hounsfield_units_say(hu):
    for lung in (0.0, 1.0):
        grams = tissues(torch.tensor([hu]), torch.tensor([lung]))[:, 0].numpy()
        found = sum(g * float(mass_attenuation(s, EFFECTIVE_KEV)) for g, s in zip(grams, SUBSTANCES, strict=True))
        expected = (1 + hu / 1000) * float(mass_attenuation("water", EFFECTIVE_KEV))
        assert found == pytest.approx(expected, rel=0.04, abs=0.01)


def test_pure_tissues_are_taken_for_themselves():
    from manabi.phantoms.ct.materials import hu_at

    for number, name in enumerate(("muscle", "adipose", "cortical_bone")):
        grams = tissues(torch.tensor([hu_at(name, EFFECTIVE_KEV)]), torch.zeros(1))[:, 0]
        assert float(grams[number]) == pytest.approx(MATERIALS[name].density, rel=1e-4)
        assert float(grams.sum()) == pytest.approx(MATERIALS[name].density, rel=1e-4)
    air = tissues(torch.tensor([-1000.0]), torch.zeros(1))
    assert float(air.abs().sum()) == 0.0


def test_chests_are_drawn_upright_in_inspiration_and_as_wide_as_tall():
    drawn = [sample_chest(case_rng(5, n)) for n in range(40)]
    for one in drawn:
        chest = one.chest
        tall = max(chest.apex_right, chest.apex_left) + 0.5 * (chest.dome_right + chest.dome_left)
        assert TALL[0] - 1e-6 <= tall / (2 * HALF_WIDTH * chest.size) <= TALL[1] + 1e-6
        assert (one.disease.kind, chest.arms, one.disease.raised) == ("normal", "down", 0.0)
    assert {one.chest.female for one in drawn} == {True, False}


def test_a_chest_can_be_drawn_with_a_disease():
    assert sample_chest(case_rng(5, 0), pathology="effusion").disease.kind == "effusion"


@pytest.mark.parametrize("wrong", [{"domain": "other"}, {"pathology": "other"}])
def test_an_unknown_domain_or_disease_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        sample_chest(case_rng(0, 0), **wrong)
