"""Real images: the mean FP-CIT scan of 174 healthy people, and a perfusion scan, which is another thing."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_spect import head_grid, quick, shipped

from manabi import registry
from manabi.io import read_volume
from manabi.spect.localise import localise
from manabi.spect.quantify import measure, regions, voxel_ml
from manabi.spect.template import REGIONS
from manabi.volume import Volume

GROUP_MEAN = "spect/DAT_fpcit_hc174_dukart_spect.nii"
PERFUSION = "spect/SPECT.nii"
SYMMETRY_PERCENT = 5.0


@pytest.fixture(scope="module")
def group_mean(data_folder):
    return read_volume(data_folder(GROUP_MEAN))


@pytest.fixture(scope="module")
def binding(group_mean):
    return measure(group_mean.array, regions(group_mean, localise(group_mean)), voxel_ml(group_mean))


def test_healthy_people_are_symmetric(binding):
    assert binding.caudate_asymmetry_percent < SYMMETRY_PERCENT
    assert binding.putamen_asymmetry_percent < SYMMETRY_PERCENT
    left, right = binding.southampton["left"], binding.southampton["right"]
    assert 200 * abs(left - right) / (left + right) < SYMMETRY_PERCENT


def test_the_caudate_binds_more_than_the_putamen(binding):
    """Published for normal people: caudate over putamen 1.75 ± 0.23 (PMC4182457, Table 2)."""
    for side in ("left", "right"):
        assert 1.0 < binding.caudate_putamen_ratio[side] < 1.75 + 3 * 0.23


def test_the_ratios_are_plausible(binding):
    """A group mean is smooth: its ratios lie below those of single scans (caudate 3.15, putamen 1.89)."""
    for region in REGIONS:
        assert 0.8 < binding.sbr[region] < 3.2
    for side in ("left", "right"):
        assert 2.0 < binding.southampton[side] < 8.0


def test_the_striatum_lies_where_it_lies_in_this_space(group_mean):
    """MNI space: midline at 0, caudate and putamen between 10 mm behind and 15 mm before the anterior commissure."""
    found = localise(group_mean)
    x, y, z = found.pose.centre_mm
    assert abs(x) < 3 and -10 < y < 15 and -12 < z < 12
    assert abs(found.pose.angles_deg[1]) < 3 and abs(found.pose.angles_deg[2]) < 3
    assert found.explained > 0.4


def test_the_reference_does_not_change_the_picture(group_mean, binding):
    places = regions(group_mean, localise(group_mean))
    whole = measure(group_mean.array, places, voxel_ml(group_mean), "whole_brain")
    assert whole.sbr == pytest.approx(binding.sbr, rel=0.15)


@pytest.mark.parametrize("denoiser", ["network", "gaussian"])
def test_it_can_be_denoised(group_mean, spect_stand_in, denoiser):
    result = registry.method("spect").run(group_mean, {"denoiser": denoiser}, quick(spect_stand_in.folder))
    assert result.volumes["denoised"].grid.same_as(group_mean.grid)
    assert result.measurements["counts_after_over_before"] == pytest.approx(1.0, abs=1e-6)
    assert len(result.tables["changes"].rows) == 4
    for percent in result.tables["changes"].column("change_percent"):
        assert percent is not None and -60 < percent < 20
    for side in ("left", "right"):
        assert 1.0 < result.measurements[f"sbr_caudate_{side}_input"] < 3.2
    assert any("does not say what spect is" in text for text in result.warnings)
    assert any("Grades use normal values from" in text for text in result.warnings)
    assert result.volumes["denoised"].array.min() >= 0


def test_the_default_bundle_says_when_it_should_not_be_believed(group_mean):
    """It was trained on noisy simulated scans; a group mean is smooth. What it changes a lot comes with warnings."""
    if not shipped("spect-default"):
        pytest.skip("the default bundle is not in the package yet")
    result = registry.method("spect").run(group_mean, {}, quick(None))
    assert result.measurements["counts_after_over_before"] == pytest.approx(1.0, abs=1e-6)
    assert any("this scan is smoother than those the bundle was trained on" in text for text in result.warnings)
    largest = max(abs(percent) for percent in result.tables["changes"].column("change_percent"))
    assert largest < 20 or any("Over-correction alert" in text for text in result.warnings)


def test_blurring_a_real_scan_raises_the_alert(group_mean):
    result = registry.method("spect").run(group_mean, {"denoiser": "gaussian"}, quick(None))
    assert sum("Over-correction alert" in text and "caudate" in text for text in result.warnings) == 2


def test_a_perfusion_scan_is_recognised_as_something_else(data_folder, spect_stand_in):
    scan = read_volume(data_folder(PERFUSION))
    result = registry.method("spect").run(scan, {}, quick(spect_stand_in.folder))
    assert any("No striatal uptake pattern" in text and "disregard" in text for text in result.warnings)
    assert result.measurements["striatal_pattern_explained"] < 0.2
    assert result.volumes["denoised"].grid.same_as(scan.grid)


def test_a_dopamine_transporter_scan_is_not_mistaken(group_mean, spect_stand_in):
    result = registry.method("spect").run(group_mean, {}, quick(spect_stand_in.folder))
    assert not any("No striatal uptake pattern" in text for text in result.warnings)
    assert result.measurements["striatal_pattern_explained"] > 0.4


def test_noise_is_not_a_striatum(spect_stand_in):
    grid = head_grid()
    noise = np.random.default_rng(1).poisson(80.0, grid.shape).astype(np.float32)
    volume = Volume(noise, grid.ijk_to_ras, "NM", "CNTS")
    result = registry.method("spect").run(volume, {}, quick(spect_stand_in.folder))
    assert any("No striatal" in t or "not computed" in t for t in result.warnings)
