"""Binding ratios: exact on images of known uptake, the same on any grid, refused where they cannot be had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures_spect import BACKGROUND, STRIATUM_IN_BRAIN_MM, head, head_grid, localisation

from manabi.errors import InvalidInputError
from manabi.spect.quantify import (
    STRIATUM_ML,
    Regions,
    asymmetry_percent,
    binding_table,
    measure,
    regions,
    voxel_ml,
)
from manabi.spect.template import REGIONS, SIDES, Pose
from manabi.volume import Volume

SIDED = {(name, side): 3.0 if side == "left" else 1.5 for name, side in REGIONS}


def boxes():
    """Regions of whole voxels on a 20³ grid that do not touch each other."""

    def box(*corner):
        mask = np.zeros((20, 20, 20))
        k, j, i = corner
        mask[k : k + 3, j : j + 2, i : i + 2] = 1.0
        return mask

    structures = {region: box(4, 4, 3 + 4 * n) for n, region in enumerate(REGIONS)}
    large = {side: box(3, 12, 2 + 8 * n) for n, side in enumerate(SIDES)}
    return Regions(structures, large, box(12, 2, 2), np.ones((20, 20, 20)) * (np.indices((20,) * 3)[0] > 15))


def painted(places, ratios, reference=50.0, brain=50.0):
    """An image with these binding ratios in the regions."""
    image = np.full((20, 20, 20), 7.0)
    image[places.occipital > 0], image[places.whole_brain > 0] = reference, brain
    for region, mask in places.structures.items():
        image[mask > 0] = reference * (1.0 + ratios[region])
    return image


# --- arithmetic -------------------------------------------------------------------------------------------------------


def test_binding_ratios_are_exact():
    places, ratios = boxes(), dict(zip(REGIONS, (2.0, 3.0, 1.0, 1.5), strict=True))
    found = measure(painted(places, ratios), places, 0.5)
    assert found.sbr == pytest.approx(ratios)
    assert found.reference == 50.0
    assert found.caudate_asymmetry_percent == pytest.approx(200 * 1.0 / 5.0)
    assert found.putamen_asymmetry_percent == pytest.approx(200 * 0.5 / 2.5)
    assert found.caudate_putamen_ratio == pytest.approx({"left": 2.0, "right": 2.0})
    assert found.sd == {}


def test_the_whole_brain_can_be_the_reference():
    places = boxes()
    image = painted(places, dict.fromkeys(REGIONS, 1.0), reference=50.0, brain=40.0)
    assert measure(image, places, 1.0, "whole_brain").sbr == pytest.approx(dict.fromkeys(REGIONS, 1.5))
    assert measure(image, places, 1.0, "whole_brain").reference == 40.0


def test_the_southampton_ratio_counts_everything_above_background():
    """Tossici-Bolt et al. 2006: (counts of the large region / background density - its volume) / striatal volume."""
    places, voxel = boxes(), 0.8
    image = painted(places, dict.fromkeys(REGIONS, 0.0), brain=40.0)
    image[places.large["left"] > 0] = 120.0
    image[places.large["right"] > 0] = 40.0
    found = measure(image, places, voxel).southampton
    volume = places.large["left"].sum() * voxel
    assert found["left"] == pytest.approx((120.0 / 40.0 * volume - volume) / STRIATUM_ML)
    assert found["right"] == pytest.approx(0.0, abs=1e-9)


def test_counts_and_calibration_do_not_matter():
    places, ratios = boxes(), dict.fromkeys(REGIONS, 1.7)
    image = painted(places, ratios)
    for factor in (1e-3, 1e4):
        scaled = measure(image * factor, places, 1.0)
        assert scaled.sbr == pytest.approx(measure(image, places, 1.0).sbr)
        assert scaled.southampton == pytest.approx(measure(image, places, 1.0).southampton)


def test_ratios_of_nothing_are_none():
    places = boxes()
    ratios = {**dict.fromkeys(REGIONS, 0.0), ("caudate", "left"): 2.0}
    found = measure(painted(places, ratios), places, 1.0)
    assert found.caudate_putamen_ratio == {"left": None, "right": None}
    assert found.putamen_asymmetry_percent is None
    assert found.caudate_asymmetry_percent == pytest.approx(200.0)
    assert asymmetry_percent(-0.2, 0.1) is None


def test_a_reference_without_counts_is_refused():
    places = boxes()
    image = painted(places, dict.fromkeys(REGIONS, 1.0), reference=0.0)
    with pytest.raises(InvalidInputError, match="no counts"):
        measure(image, places, 1.0)


def test_the_table_has_a_row_for_every_image_and_region():
    places = boxes()
    found = measure(painted(places, dict.fromkeys(REGIONS, 0.0)), places, 1.0)
    table = binding_table({"input": found, "denoised": replace(found, sd=dict.fromkeys(REGIONS, 0.1))})
    assert len(table.rows) == 8
    assert table.column("sbr_sd") == [None] * 4 + [0.1] * 4
    assert table.column("southampton_sbr")[:2] == [None, None]
    assert table.column("caudate_putamen_ratio") == [None] * 8


# --- regions on heads -------------------------------------------------------------------------------------------------


def measured(grid=None, pose=None, reference="occipital", sbr=SIDED):
    volume = head(grid, pose, sbr, blur_mm=0.0, grown_mm=2.5)
    return measure(volume.array, regions(volume, localisation(volume, pose)), voxel_ml(volume), reference)


@pytest.mark.parametrize("reference", ["occipital", "whole_brain"])
def test_a_head_of_known_uptake_is_measured_exactly(reference):
    found = measured(head_grid(2.0), reference=reference)
    assert found.reference == pytest.approx(BACKGROUND, rel=1e-6)
    assert found.sbr == pytest.approx(SIDED, rel=1e-5)
    assert found.putamen_asymmetry_percent == pytest.approx(200 * 1.5 / 4.5, rel=1e-5)
    assert found.caudate_putamen_ratio["left"] == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("spacing", [2.2, 3.29, (3.0, 3.0, 4.0)])
def test_a_turned_head_is_measured_the_same(spacing):
    pose = Pose((4.0, 14.0, -9.0), (6.0, -5.0, 8.0))
    assert measured(head_grid(spacing), pose).sbr == pytest.approx(SIDED, rel=0.03)


def test_the_orientation_of_the_grid_does_not_matter():
    volume = head(sbr=SIDED)
    turned = volume.reoriented((1, 2, 0), (1, -1, -1))
    first, second = (measure(v.array, regions(v, localisation(v)), voxel_ml(v)) for v in (volume, turned))
    assert second.sbr == pytest.approx(first.sbr, rel=1e-9)
    assert second.southampton == pytest.approx(first.southampton, rel=1e-9)


def test_references_stay_clear_of_the_striata_and_the_rim():
    volume = head(sbr=SIDED, blur_mm=0.0)
    places = regions(volume, localisation(volume))
    striatal = np.maximum.reduce(list(places.large.values())) > 0
    assert not (striatal & (places.whole_brain > 0)).any()
    assert not (striatal & (places.occipital > 0)).any()
    assert np.asarray(volume.array)[places.occipital > 0].min() == pytest.approx(BACKGROUND)
    k, j, i = np.nonzero(places.occipital)
    assert volume.grid.ras_of(np.stack([i, j, k], -1))[:, 1].max() < STRIATUM_IN_BRAIN_MM[1] - 40.0


def test_the_large_region_holds_the_small_ones():
    volume = head()
    places = regions(volume, localisation(volume))
    for name, side in REGIONS:
        assert (places.large[side] >= places.structures[name, side] - 1e-9).all()


def test_the_southampton_ratio_hardly_depends_on_blur():
    """That is what the large region is for; the small ones lose half of their ratio."""
    sharp, blurred = (head(sbr=4.0, blur_mm=blur) for blur in (0.0, 10.0))
    values = [measure(v.array, regions(v, localisation(v)), voxel_ml(v)) for v in (sharp, blurred)]
    assert values[1].southampton["left"] == pytest.approx(values[0].southampton["left"], rel=0.1)
    assert values[1].sbr["putamen", "left"] < 0.65 * values[0].sbr["putamen", "left"]


def test_the_label_map_shows_each_region_on_its_side():
    volume = head()
    labels = regions(volume, localisation(volume)).labelmap(volume)
    found = np.asarray(labels.volume.array)
    assert set(np.unique(found)) == {0, 1, 2, 3, 4, 5}
    for segment in labels.segments[:4]:
        k, j, i = np.nonzero(found == segment.label)
        right = volume.grid.ras_of(np.stack([i, j, k], -1))[:, 0].mean()
        assert (right > 0) == segment.name.startswith("right")
    assert labels.volume.grid.same_as(volume.grid)


def test_a_striatum_beyond_the_image_is_refused_by_name():
    volume = head()
    cut = volume.crop((0, 0, 0), (volume.shape[0], volume.shape[1], 27))
    with pytest.raises(InvalidInputError, match=r"right (caudate|putamen) lies partly outside.*export all slices"):
        regions(cut, localisation(cut))


def test_a_missing_reference_is_refused_with_a_way_out():
    volume = head()
    front = volume.crop((0, 30, 0), volume.shape)
    with pytest.raises(InvalidInputError, match="occipital reference region.*whole_brain"):
        regions(front, replace(localisation(front), brain=np.indices(front.shape)[0] < 3))


@pytest.mark.parametrize("spacing", [3.29, (2.0, 3.0, 5.0)])
def test_the_volume_of_a_voxel_is_in_millilitres(spacing):
    grid = head_grid(spacing)
    assert voxel_ml(Volume(np.zeros(grid.shape), grid.ijk_to_ras)) == pytest.approx(np.prod(grid.spacing_mm) / 1000)
