"""Scores of converted CT: SynthRAD's, resolution, noise, contours, lesions, and how they are put together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import structural_similarity

from manabi.errors import InvalidInputError
from manabi.volume import Volume
from Training import mvct_evaluate as evaluate
from Training.mvct_evaluate_contours import border_distance, contour_scores, dice
from Training.mvct_evaluate_detail import edge_mtf, noise_power
from Training.mvct_evaluate_images import SMALLEST, mae, ms_ssim, psnr, ssim
from Training.mvct_evaluate_lesions import Lesion, lesion_scores, lesion_table, place, with_lesion
from Training.mvct_slices import TestPair

SPACING = np.array([1.0, 1.0, 3.0])
FAT, MUSCLE, BONE, AIR = -72.0, 43.0, 800.0, -1000.0


def neck(slices=6, side=160, noise=0.0, seed=0, blur_mm=0.0):
    """Fat around muscle, in it bone and an airway, in air; HU."""
    y, x = np.indices((side, side), float) - side / 2 + 0.25
    radius = np.hypot(1.1 * y, x)
    image = np.full((side, side), AIR)
    image[radius < 66] = FAT
    image[radius < 52] = MUSCLE
    image[np.hypot(y - 20, x) < 9] = BONE
    image[np.hypot(y + 25, x) < 7] = AIR
    image = ndimage.gaussian_filter(image, 0.5)
    volume = np.repeat(image[None], slices, 0)
    if blur_mm:
        volume = ndimage.gaussian_filter(volume, (0, blur_mm, blur_mm))
    return (volume + np.random.default_rng(seed).normal(0, noise, volume.shape)).astype(np.float32)


def volume(array, spacing=SPACING):
    return Volume(array, np.diag([*spacing, 1.0]), modality="CT", units="HU")


# --- image scores -----------------------------------------------------------------------------------------------------


def test_errors_outside_the_mask_count_nothing():
    true = neck()
    mask = np.zeros(true.shape, bool)
    mask[:, 40:120, 40:120] = True
    other = np.where(mask, true + 10, 9999).astype(np.float32)
    assert mae(true, other, mask) == pytest.approx(10, abs=1e-3)
    assert psnr(true, other, mask) == pytest.approx(20 * math.log10(4024 / 10), abs=1e-3)
    assert ssim(true, other, mask) == pytest.approx(ssim(true, np.where(mask, true + 10, 0), mask))
    assert ms_ssim(true, other, mask) == pytest.approx(ms_ssim(true, np.where(mask, true + 10, 0), mask))


def test_values_beyond_the_range_are_clipped_in_psnr_but_not_in_the_error():
    true = np.full((2, 8, 8), 3000.0)
    mask = np.ones(true.shape, bool)
    assert math.isinf(psnr(true, true + 500, mask)) and mae(true, true + 500, mask) == 500


def test_structural_similarity_is_scikit_images_where_the_window_fits():
    rng = np.random.default_rng(0)
    true, other = rng.normal(0, 300, (2, 20, 24, 28)).clip(-1024, 3000)
    _, local = structural_similarity(true + 1024, other + 1024, data_range=4024, full=True)
    whole = np.ones(true.shape, bool)
    inside = np.pad(np.ones([n - 6 for n in true.shape], bool), 3)
    assert ssim(true, other, whole) == pytest.approx(float(local.mean()), rel=0.05)
    assert float(ssim_map(true, other)[inside].mean()) == pytest.approx(float(local[inside].mean()), rel=1e-6)


def ssim_map(true, other):
    """Every voxel's share of our score."""
    from Training.mvct_evaluate_images import _maps

    luminance, structure = _maps(true + 1024, other + 1024)
    return luminance * structure


def test_an_image_is_most_like_itself_and_less_like_noisier_and_blurred_ones():
    true, mask = neck(), neck() > -900
    noisy, noisier, blurred = neck(noise=30), neck(noise=120), neck(blur_mm=3)
    for score in (ssim, ms_ssim):
        assert score(true, true, mask) == pytest.approx(1)
        assert 1 > score(true, noisy, mask) > score(true, noisier, mask) > 0
        assert score(true, blurred, mask) < 0.999
    assert SMALLEST == 97


@pytest.mark.parametrize("score", [mae, psnr, ssim, ms_ssim])
def test_an_empty_mask_and_other_shapes_are_refused(score):
    true = neck(2, 32)
    with pytest.raises(InvalidInputError, match="empty"):
        score(true, true, np.zeros(true.shape, bool))
    with pytest.raises(InvalidInputError, match="shape"):
        score(true, true[:1], np.ones(true.shape, bool))


# --- resolution and noise ---------------------------------------------------------------------------------------------


def test_the_edge_mtf_is_that_of_the_blur():
    sharp = neck()
    for sigma in (1.0, 1.6):
        found = edge_mtf(neck(blur_mm=sigma), sharp, (1.0, 1.0))
        total = math.hypot(sigma, 0.5)
        expected = math.sqrt(math.log(2) / 2) / math.pi / total
        assert found.edges > 500
        assert found.at(0.5) == pytest.approx(expected, rel=0.08)
    assert edge_mtf(sharp, sharp, (1.0, 1.0)).at(0.5) > 1.5 * found.at(0.5)


def test_noise_hardly_changes_the_edge_mtf_and_an_image_without_an_edge_has_none():
    sharp = neck()
    clean, noisy = (edge_mtf(neck(blur_mm=1.2, noise=n), sharp, (1.0, 1.0)).at(0.5) for n in (0, 25))
    assert noisy == pytest.approx(clean, rel=0.05)
    flat = np.full((3, 64, 64), 40.0)
    assert edge_mtf(flat, flat, (1.0, 1.0)).edges == 0 and math.isnan(edge_mtf(flat, flat, (1.0, 1.0)).at(0.5))


def test_the_noise_power_of_white_noise_is_flat_and_of_blurred_noise_low():
    flat = np.full((4, 120, 120), 40.0, np.float32)
    noise = np.random.default_rng(1).normal(0, 20, flat.shape)
    white = noise_power(flat + noise, flat, (1.0, 1.0))
    assert white.sd_hu == pytest.approx(20, rel=0.03) and white.squares == 60
    np.testing.assert_allclose(white.power[2:], 400, rtol=0.25)
    soft = noise_power(flat + ndimage.gaussian_filter(noise, (0, 2, 2)), flat, (1.0, 1.0))
    assert soft.mean_frequency < 0.5 * white.mean_frequency


def test_a_ramp_is_no_noise_and_an_image_without_flat_tissue_has_none():
    ramp = np.full((2, 60, 60), 40.0) + 0.2 * np.arange(60)
    assert noise_power(ramp, np.full_like(ramp, 40.0), (1.0, 1.0)).sd_hu < 1e-6
    assert math.isnan(noise_power(ramp, np.full_like(ramp, AIR), (1.0, 1.0)).sd_hu)


# --- contours ---------------------------------------------------------------------------------------------------------


def test_contours_agree_with_themselves_and_less_in_noise():
    true, mask = neck(), neck() > -900
    mask = np.stack([ndimage.binary_fill_holes(m) for m in mask])
    same, noisy = contour_scores(true, true, mask, SPACING), contour_scores(true, neck(noise=120), mask, SPACING)
    assert same["dice_fat"] == same["dice_bone"] == 1 and same["border_mm_soft"] == 0
    assert noisy["dice_fat"] < 0.95 and noisy["border_mm_soft"] > 0.2
    assert set(same) <= set(evaluate.MEANINGS)


def test_a_shifted_border_is_as_far_as_it_was_shifted():
    a, b = np.zeros((2, 2, 60, 60), bool)
    a[:, 10:50, 10:50] = True
    b[:, 10:50, 13:53] = True
    assert border_distance(a, b, np.array([3.0, 1.0, 2.0])) == pytest.approx(3.0, rel=0.35)
    assert dice(a, b) == pytest.approx(37 / 40)
    assert math.isnan(dice(a & False, b & False)) and math.isnan(border_distance(a & False, b, np.ones(3)))


# --- lesions ----------------------------------------------------------------------------------------------------------


def scanner(image):
    """Half the contrast, with the same noise at every call."""
    noise = np.random.default_rng(3).normal(0, 25, image.shape)
    return image.like((0.5 * np.asarray(image.array) + noise).astype(np.float32))


def test_a_faithful_converter_recovers_a_lesion_and_invents_none():
    kvct = volume(neck(slices=14))
    body = np.asarray(kvct.array) > -900
    rows = lesion_table(kvct, scanner, lambda v: v.like(2 * np.asarray(v.array)), body, 1,
                        [Lesion(7, 50), Lesion(7, -50)])  # fmt: skip
    assert len(rows) == 2
    for row in rows:
        assert row["recovered"] == pytest.approx(1, abs=0.01) and row["recovered_input"] == pytest.approx(0.5, abs=0.01)
        assert abs(row["invented_hu"]) < 8 and row["elsewhere_hu"] < 0.01


def test_a_converter_that_ignores_the_image_loses_the_lesion_or_invents_one():
    kvct = volume(neck(slices=14))
    placed = place(kvct, Lesion(7, 50), np.random.default_rng(0))
    body = np.asarray(kvct.array) > -900
    blank = lesion_scores(kvct, scanner, lambda v: v.like(np.full(v.shape, 43.0, np.float32)), placed, body)
    assert blank["recovered"] == 0 and blank["recovered_input"] == pytest.approx(0.5, abs=0.01)
    hallucinated = lesion_scores(kvct, scanner, lambda v: with_lesion(kvct, placed), placed, body)
    assert hallucinated["invented_hu"] > 45 and hallucinated["recovered"] == 0


def test_a_lesion_lies_in_soft_tissue_or_nowhere():
    kvct = volume(neck(slices=14))
    placed = place(kvct, Lesion(6, 50), np.random.default_rng(5))
    around = np.asarray(kvct.array)[placed.distance_mm <= 8]
    assert around.min() > -120 and around.max() < 150
    assert place(kvct, Lesion(60, 50), np.random.default_rng(5)) is None
    changed = np.asarray(with_lesion(kvct, placed).array) - np.asarray(kvct.array)
    assert changed.max() == pytest.approx(50, abs=1e-3) and changed[placed.distance_mm > 7].max() == 0


# --- together ---------------------------------------------------------------------------------------------------------


def pair(seed):
    true, noisy = neck(noise=5, seed=seed), neck(noise=60, seed=seed + 50, blur_mm=0.8)
    return TestPair(f"p{seed}", f"p{seed}", volume(noisy), volume(true))


def smooth(source):
    return source.like(ndimage.gaussian_filter(np.asarray(source.array), (0, 1.0, 1.0)))


def test_every_converter_is_scored_beside_the_input_and_the_truth():
    found = evaluate.evaluate_pairs([pair(1), pair(2)], {"smooth": smooth})
    assert list(found) == ["input", "smooth", "kvct"]
    assert set(found["smooth"]) == set(evaluate.MEANINGS)
    assert found["smooth"]["mae_hu"]["mean"] < found["input"]["mae_hu"]["mean"]
    assert found["input"]["dig_a"]["mean"] == 0 < found["smooth"]["dig_a"]["mean"]
    assert found["kvct"]["cnr_muscle_fat"]["mean"] > 3 * found["input"]["cnr_muscle_fat"]["mean"]
    assert found["smooth"]["mtf50"]["mean"] < found["input"]["mtf50"]["mean"] < found["kvct"]["mtf50"]["mean"]
    assert found["input"]["noise_hu"]["mean"] == pytest.approx(60, rel=0.1)
    assert found["kvct"]["hu_muscle"]["mean"] == pytest.approx(MUSCLE, abs=4)
    low, high = found["smooth"]["mae_hu"]["ci95"]
    assert low <= found["smooth"]["mae_hu"]["mean"] <= high
    assert set(found["kvct"]) == set(evaluate.ALONE)


def test_scores_do_not_depend_on_the_orientation_of_the_files():
    first = pair(1)
    turned = TestPair("p", "p", *(v.reoriented(signs=(-1, -1, -1)) for v in (first.source, first.target)))
    assert evaluate.pair_scores(turned, turned.source) == pytest.approx(evaluate.pair_scores(first, first.source))


def test_without_a_true_kvct_the_image_is_measured_by_itself():
    found = evaluate.evaluate_unpaired([("a", pair(1).source), ("b", pair(2).source)], {"smooth": smooth})
    assert found["smooth"]["dig_a"]["mean"] > 0 == found["input"]["dig_a"]["mean"]
    assert found["smooth"]["noise_hu"]["mean"] < found["input"]["noise_hu"]["mean"]
    assert "mae_hu" not in found["smooth"]


def test_intervals_are_over_patients_and_what_is_undefined_is_left_out():
    rows = [{"a": 1.0, "b": np.nan}, {"a": 1.0, "b": 2.0}, {"a": 3.0, "b": np.nan}]
    found = evaluate.summary(rows, ["p", "p", "q"])
    assert found["a"] == {"mean": 2.0, "ci95": [1.0, 3.0]} and found["b"] == {"mean": 2.0, "ci95": [None, None]}
    assert evaluate.summary([], []) == {}
