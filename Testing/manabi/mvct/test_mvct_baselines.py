"""The baselines: maps of Hounsfield units, and filters before them."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct import NOISE_HU, grid, patient, quick, textured, write_stand_in

from manabi.errors import InvalidInputError
from manabi.mvct import baselines
from manabi.mvct.baselines import KV_HU, MV_HU, Histogram, matching, physical_coefficients, polynomial
from manabi.mvct.convert import Settings
from manabi.mvct.method import MVCTConvert
from manabi.mvct.prepare import crop_to_body, prepare
from manabi.mvct.tissue_map import body_mask
from manabi.mvct.window import HuWindow

WINDOW = HuWindow(-1000.0, 1000.0)


@pytest.fixture(scope="module")
def scan():
    return textured(patient(grid((2.0, 2.0, 5.0), (6, 90, 96)), noise_hu=0.5))


@pytest.fixture(scope="module")
def kv_histogram():
    image = patient(grid((2.0, 2.0, 5.0), (6, 90, 96)), kind="kvct", noise_hu=8.0)
    hu = np.asarray(image.array)
    return Histogram.measured(hu[body_mask(hu, image.spacing_mm)], HuWindow(-1000.0, 1500.0))


def converted(scan, name, facts=None, settings=None):
    """HU of a baseline in all slices, and the crop."""
    work = prepare(scan)
    body = body_mask(work.hu, work.image.spacing_mm)
    crop = crop_to_body(body)
    return baselines.converted(name, work, crop, body, settings or Settings(), facts or {}, quick(None)), work, crop


def tissue(scan, hu, crop, x_mm, y_mm):
    """Mean and deviation around a place in the crop of a converted stack."""
    i, j, _ = np.round(scan.grid.ijk_of(np.array([x_mm, y_mm, 0.0]))).astype(int)
    part = hu[:, j - crop.rows[0] - 2 : j - crop.rows[0] + 3, i - crop.columns[0] - 2 : i - crop.columns[0] + 3]
    return part.mean(), part.std()


# --- maps ------------------------------------------------------------------------------------------------------------


def test_the_polynomial_follows_the_physics_and_rises():
    change = polynomial(None, WINDOW)
    found = change(np.array(MV_HU, np.float32))
    soft = [n for n, hu in enumerate(MV_HU) if -60 < hu < 60]
    assert np.abs(found - KV_HU)[soft].max() < 12
    assert np.abs(found - KV_HU).max() < 60
    assert (np.diff(change(np.linspace(-1000, 1000, 400))) > 0).all()
    assert len(physical_coefficients()) == 4


def test_a_bundles_polynomial_is_used_as_it_stands():
    change = polynomial([10.0, 1000.0, 0.0, 0.0], WINDOW)
    np.testing.assert_allclose(change(np.array([-500.0, 0.0, 250.0])), [-490.0, 10.0, 260.0], atol=1e-3)


def test_beyond_the_window_a_polynomial_keeps_its_end_value():
    change = polynomial([0.0, 1000.0, 0.0, 500.0], WINDOW)
    np.testing.assert_allclose(change(np.array([3000.0])), change(np.array([1000.0])))


def test_matching_gives_one_histogram_the_shape_of_another():
    rng = np.random.default_rng(1)
    source = rng.normal(0, 40, 40000)
    target = np.concatenate([rng.normal(-90, 10, 20000), rng.normal(60, 10, 20000)])
    change = matching(Histogram.measured(source, WINDOW), Histogram.measured(target, WINDOW))
    found = change(source)
    np.testing.assert_allclose(np.percentile(found, [5, 25, 75, 95]), np.percentile(target, [5, 25, 75, 95]), atol=6)
    assert (np.diff(change(np.linspace(-200, 200, 300))) >= 0).all()


def test_a_histogram_goes_into_a_bundle_and_back():
    one = Histogram.measured(np.array([-2000.0, 0.0, 0.4, 3000.0]), WINDOW, bins=4)
    assert one.counts == (1.0, 0.0, 2.0, 1.0)  # what lies outside counts in the end bins
    assert Histogram.of(one.to_dict()) == one
    assert Histogram.of(None) is None


def test_an_empty_histogram_is_refused():
    with pytest.raises(InvalidInputError, match="without any voxel"):
        Histogram(-1000.0, 1000.0, (0.0, 0.0)).quantiles(np.array([0.5]))


# --- on an image -----------------------------------------------------------------------------------------------------


def test_the_polynomial_widens_the_gap_of_fat_and_bone(scan):
    hu, _, crop = converted(scan, "polynomial")
    assert tissue(scan, hu, crop, 0, -28)[0] > 1000
    assert 20 < tissue(scan, hu, crop, 0, 8)[0] < 70


def test_histogram_matching_gives_tissues_their_kilovoltage_values(scan, kv_histogram):
    hu, _, crop = converted(scan, "histogram", {"target_histogram": kv_histogram.to_dict()})
    assert tissue(scan, hu, crop, 0, -28)[0] == pytest.approx(1200, abs=60)
    assert tissue(scan, hu, crop, 0, 8)[0] == pytest.approx(45, abs=12)


@pytest.mark.parametrize("name", ["nlm", "bm3d"])
def test_filters_take_noise_away_and_keep_the_node(scan, name):
    plain, _, crop = converted(scan, "polynomial")
    smooth, _, _ = converted(scan, name)
    assert tissue(scan, smooth, crop, 0, 8)[1] < 0.6 * tissue(scan, plain, crop, 0, 8)[1]
    node = tissue(scan, smooth, crop, -34, 8)[0] - tissue(scan, smooth, crop, 0, 8)[0]
    assert 5 < node < 35  # 20 HU in the input; filters flatten some of it


def test_the_filters_noise_is_that_of_tissue_not_of_the_finest_detail(scan):
    from manabi.mvct.noise_level import noise_hu

    work = prepare(scan)
    assert noise_hu(work.hu, work.image.spacing_mm, body_mask(work.hu, work.image.spacing_mm)) == pytest.approx(
        NOISE_HU, rel=0.2
    )


def test_a_baseline_that_lacks_what_it_needs_is_refused(scan):
    with pytest.raises(InvalidInputError, match="histogram of kilovoltage CT"):
        converted(scan, "histogram")
    with pytest.raises(InvalidInputError, match="cone-beam"):
        converted(scan, "polynomial", settings=Settings(kind="cbct"))
    hu, _, _ = converted(scan, "polynomial", {"polynomial": [0.0, 1000.0]}, Settings(kind="cbct"))
    assert hu.shape[0] == 6


@pytest.mark.parametrize("name", ["histogram", "polynomial", "nlm", "bm3d"])
def test_every_baseline_gives_the_same_result_as_the_network_does(scan, kv_histogram, tmp_path, name):
    bundle = write_stand_in(tmp_path / "b", target_histogram=kv_histogram.to_dict())
    result = MVCTConvert().run({"ct": scan}, {"converter": name, "density": False}, quick(bundle))
    assert list(result.volumes) == ["converted", "difference", "gradient_difference"]
    assert {"hu_check", "quality"} <= set(result.tables) and "histogram" in result.plots
    assert any("baseline for comparison" in text for text in result.warnings)
    assert result.volumes["converted"].grid.same_as(scan.grid)


@pytest.mark.parametrize("name", ["polynomial", "nlm"])
def test_some_baselines_need_no_bundle(scan, name):
    result = MVCTConvert().run({"ct": scan}, {"converter": name, "density": False}, quick(None))
    assert result.provenance["bundle"] is None
    assert not any("simulated" in text for text in result.warnings)
