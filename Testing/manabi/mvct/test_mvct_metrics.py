"""DIG, CNR and robust tissue statistics."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct_head import SPACING, head

from manabi.errors import InvalidInputError
from manabi.mvct.metrics import (
    TissueStats,
    cnr,
    cnr_table,
    dig,
    dig_map,
    flat_regions,
    gradient_magnitude,
    region_stats,
    tissue_masks,
    tissue_stats,
)  # fmt: skip
from manabi.mvct.tissue_map import tissue_map


def test_the_gradient_of_a_ramp_is_its_slope_in_either_unit():
    k, j, i = np.mgrid[:3, :9, :9]
    ramp = 6.0 * i * SPACING[0] + 8.0 * j * SPACING[1] + 100.0 * k
    inner = (slice(None), slice(1, -1), slice(1, -1))
    assert np.allclose(gradient_magnitude(ramp, SPACING)[inner], 10.0, atol=1e-4)
    assert np.allclose(gradient_magnitude(ramp)[inner], 10.0 * SPACING[0], atol=1e-4)


def test_slices_do_not_mix():
    stack = np.random.default_rng(0).normal(size=(4, 12, 12))
    assert np.array_equal(gradient_magnitude(stack)[2], gradient_magnitude(stack[2:3])[0])


def test_the_gradient_is_the_sobel_filter_of_others():
    from skimage.filters import sobel_h, sobel_v

    image = np.random.default_rng(1).normal(size=(20, 20))
    ours = gradient_magnitude(image[None])[0]
    theirs = np.hypot(sobel_h(image), sobel_v(image)) * 4 / 8
    assert np.allclose(ours[1:-1, 1:-1], theirs[1:-1, 1:-1], atol=1e-4)


def test_dig_is_nothing_for_the_input_itself_and_for_an_offset():
    case = head("kvct")
    body = case.truth > 0
    same, moved = dig(case.hu, case.hu, body, SPACING), dig(case.hu, case.hu + 50.0, body, SPACING)
    assert same.dig_a == same.dig_b == 0.0
    assert moved.dig_a < 1e-3


def test_an_invented_edge_in_a_flat_region_counts_more_in_dig_b():
    case = head("kvct", noise=3.0)
    body, flat = case.truth > 0, flat_regions(case.hu, case.truth > 0, SPACING)
    assert 0.1 < flat.sum() / body.sum() < 0.3 and body[flat].all()
    k, j, i = np.argwhere(flat)[len(np.argwhere(flat)) // 2]
    changed = case.hu.copy()
    changed[:, j - 4 : j + 4, i - 4 : i + 4] += 200.0
    found = dig(case.hu, changed, body, SPACING)
    assert found.dig_a > 0.3 and found.unit == "HU/mm"
    wrong = dig_map(case.hu, changed, SPACING)
    assert wrong[k, j - 6 : j + 6, i - 6 : i + 6].max() > 20.0
    per_pixel = dig(case.hu, changed, body, SPACING, per_pixel=True)
    assert per_pixel.dig_a == pytest.approx(found.dig_a * SPACING[0], rel=1e-4)


def test_dig_refuses_other_shapes_and_no_body():
    case = head("kvct")
    with pytest.raises(InvalidInputError, match="one shape"):
        dig(case.hu, case.hu[1:], case.truth > 0, SPACING)
    with pytest.raises(InvalidInputError, match="empty"):
        dig(case.hu, case.hu, case.truth > 9, SPACING)


def test_cnr_is_the_contrast_over_the_pooled_noise():
    assert cnr(TissueStats(40, 3, 3, 9), TissueStats(-60, 4, 4, 9)) == pytest.approx(100 / np.sqrt(12.5))
    assert cnr(TissueStats(1, 0, 0, 9), TissueStats(0, 0, 0, 9)) == np.inf


@pytest.mark.parametrize("kind", ["mvct", "kvct"])
def test_automatic_regions_give_the_true_means_noise_and_cnr(kind):
    case = head(kind)
    masks = tissue_masks(tissue_map(case.hu, SPACING, kind).labels, SPACING)
    stats = tissue_stats(case.hu, masks, SPACING)
    noise = {"mvct": 30.0, "kvct": 9.0}[kind]
    fat, muscle = {"mvct": (-49.0, 40.0), "kvct": (-90.0, 45.0)}[kind]
    assert stats["fat"].mean_hu == pytest.approx(fat, abs=0.35 * noise)
    assert stats["muscle"].mean_hu == pytest.approx(muscle, abs=0.25 * noise)
    assert stats["muscle"].sd_hu == pytest.approx(noise, rel=0.15)
    assert cnr(stats["muscle"], stats["fat"]) == pytest.approx((muscle - fat) / noise, rel=0.25)


def test_given_masks_are_taken_as_they_are_and_missing_tissue_is_blank():
    case = head("kvct")
    masks = {"fat": case.truth == 3, "muscle": case.truth == 4, "bone": case.truth == 99}
    stats = tissue_stats(case.hu, masks, SPACING)
    assert set(stats) == {"fat", "muscle"} and stats["fat"].voxels == (case.truth == 3).sum()
    table = cnr_table({"input": stats})
    assert table.column("cnr") == ["muscle-fat", "bone-fat", "bone-muscle"]
    first, *others = table.column("input")
    assert first > 8 and others == [None, None]


def test_a_tiny_region_has_its_own_spread_for_noise():
    hu = np.zeros((1, 10, 10), np.float32)
    mask = np.zeros(hu.shape, bool)
    mask[0, 5, 2:8] = True
    hu[0, 5, 2:8] = [1, 2, 3, 4, 5, 6]
    stats = region_stats(hu, mask, SPACING)
    assert stats is not None and stats.sd_hu == stats.spread_hu == pytest.approx(1.4826 * 1.5)
