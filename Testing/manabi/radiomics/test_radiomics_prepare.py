"""Preparation: grids, interpolation, re-segmentation, and inputs that cannot be used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from manabi.errors import GeometryError, InvalidInputError
from manabi.radiomics import ExtractionSettings
from manabi.radiomics.prepare import prepare, resegmented
from manabi.radiomics.region import box_of
from manabi.radiomics.resample import Alignment, alignments, resampled
from manabi.result import Code, Labelmap, Segment
from manabi.volume import Volume

SPACING = (3.0, 1.0, 1.5)


def volume(array: np.ndarray, spacing: tuple[float, float, float] = SPACING, shift: float = 0.0) -> Volume:
    """A volume of an array, spacing as slice, row, column."""
    matrix = np.diag([*spacing[::-1], 1.0])
    matrix[0, 3] = shift
    return Volume(array, matrix)


def case(seed: int = 0) -> tuple[Volume, Volume]:
    """A noisy image with a ball of label 2 and a corner of label 7."""
    rng = np.random.default_rng(seed)
    k, j, i = np.indices((14, 30, 24))
    labels = ((k - 7) ** 2 * 9 + (j - 14) ** 2 + (i - 12) ** 2 * 2 < 90).astype(np.uint8) * 2
    labels[:2, :3, :4] = 7
    return volume(np.rint(rng.normal(0, 100, labels.shape)).astype(np.int16)), volume(labels)


def test_region_is_the_box_of_its_label_and_nothing_is_changed():
    image, mask = case()
    before = image.array.copy()
    ready = prepare(image, mask, ExtractionSettings(), label=2)
    assert ready.region.shape_mask.sum() == (mask.array == 2).sum()
    assert all(ready.region.shape_mask.any(axis=a).any() for a in range(3))
    assert np.array_equal(ready.region.inside, image.array[mask.array == 2])
    assert ready.spacing_mm == SPACING and np.array_equal(image.array, before)


def test_labels_are_taken_one_at_a_time_and_from_label_maps():
    image, mask = case()
    segments = tuple(Segment(n, str(n), (1, 0, 0), Code("1", "x", "y")) for n in (2, 7))
    found = prepare(image, Labelmap(mask, segments), ExtractionSettings(), label=7)
    assert found.region.mask.shape == (2, 3, 4) and "24 voxels" in found.warnings[0]


def test_missing_label_and_empty_mask_are_refused():
    image, mask = case()
    with pytest.raises(InvalidInputError, match=r"Label 1 is nowhere in the mask; it holds \[2, 7\]"):
        prepare(image, mask, ExtractionSettings())
    with pytest.raises(InvalidInputError, match="it is empty"):
        prepare(image, mask.like(np.zeros(mask.shape, np.uint8)), ExtractionSettings())


def test_other_grid_is_refused_with_advice_or_resampled_with_a_warning():
    image, mask = case()
    moved = volume(mask.array, shift=1.5)
    with pytest.raises(GeometryError, match="set resample_mask"):
        prepare(image, moved, ExtractionSettings(), 2)
    ready = prepare(image, moved, ExtractionSettings(resample_mask=True), 2)
    assert "nearest voxels were taken" in ready.warnings[0]
    assert ready.box[2].start == prepare(image, mask, ExtractionSettings(), 2).box[2].start + 1


def test_sheared_image_and_fractional_mask_are_refused():
    image, mask = case()
    matrix = image.ijk_to_ras.copy()
    matrix[0, 2] = 1.0
    with pytest.raises(GeometryError, match="straightened"):
        prepare(Volume(image.array, matrix), Volume(mask.array, matrix), ExtractionSettings(), 2)
    with pytest.raises(InvalidInputError, match="Threshold it first"):
        prepare(image, mask.like(mask.array * 0.3), ExtractionSettings(), 2)


def test_values_that_are_no_numbers_matter_only_inside():
    image, mask = case()
    array = image.array.astype(np.float32)
    array[0, -1, -1] = np.nan
    prepare(image.like(array), mask, ExtractionSettings(), 2)
    array[mask.array == 2] = np.inf
    with pytest.raises(InvalidInputError, match="not finite numbers"):
        prepare(image.like(array), mask, ExtractionSettings(), 2)


def test_resegmentation_keeps_the_shape():
    image, mask = case()
    settings = ExtractionSettings(resegment_hu=(-100, 50), outlier_sigma=1.5)
    region = prepare(image, mask, settings, 2).region
    inside = image.array[mask.array == 2]
    inside = inside[(inside >= -100) & (inside <= 50)]
    near = np.abs(inside - inside.mean()) <= 1.5 * inside.std()
    assert np.array_equal(region.inside, inside[near])
    assert region.shape_mask.sum() == (mask.array == 2).sum()


def test_resegmentation_that_leaves_nothing_says_what_there_was():
    values = np.full((2, 2, 2), 7.0)
    with pytest.raises(InvalidInputError, match="run from 7 to 7"):
        resegmented(values, np.ones((2, 2, 2), bool), ExtractionSettings(resegment_hu=(100, 200)))


@pytest.mark.parametrize("interpolator", ["linear", "cubic"])
def test_interpolation_keeps_a_slope(interpolator: str):
    k, j, i = np.indices((18, 40, 28))
    array = 5.0 * k * 3.0 - 2.0 * j + 0.5 * i * 1.5
    margin = 3 if interpolator == "linear" else 7
    axes = alignments(array.shape, SPACING, (2.0, 2.0, None))
    found = resampled(array, axes, tuple(slice(0, a.new_size) for a in axes), interpolator)
    inner = tuple(slice(margin, n - margin) for n in found.shape)
    at = [axis.places(0, axis.new_size) for axis in axes]
    wanted = 5.0 * at[0][:, None, None] * 3.0 - 2.0 * at[1][None, :, None] + 0.5 * at[2] * 1.5
    tolerance = 1e-9 if interpolator == "linear" else 0.02
    assert np.allclose(found[inner], wanted[inner], atol=tolerance)


def test_cubic_interpolation_is_scipy_spline():
    from scipy.ndimage import map_coordinates

    array = np.random.default_rng(0).normal(0, 1, (9, 16, 13))
    axes = alignments(array.shape, SPACING, (2.0, 1.3, 1.1))
    found = resampled(array, axes, tuple(slice(0, a.new_size) for a in axes), "cubic")
    at = np.meshgrid(*(np.clip(a.places(0, a.new_size), 0, a.size - 1) for a in axes), indexing="ij")
    assert np.allclose(found, map_coordinates(array, at, order=3, mode="mirror"), atol=1e-12)


@pytest.mark.parametrize("interpolator", ["nearest", "linear", "cubic"])
def test_a_box_of_the_new_grid_needs_only_its_surroundings(interpolator: str):
    array = np.random.default_rng(0).normal(0, 100, (70, 90, 80))
    axes = alignments(array.shape, SPACING, (2.0, 2.0, 2.0))
    whole = resampled(array, axes, tuple(slice(0, a.new_size) for a in axes), interpolator)
    box = (slice(40, 60), slice(0, 9), slice(30, 33))
    assert np.allclose(resampled(array, axes, box, interpolator), whole[box], rtol=0, atol=1e-11)


def test_grids_share_their_centre_and_cover_the_image():
    axis = Alignment.of(60, 3.0, 2.0)
    assert axis.new_size == 90
    assert axis.places(0, 90).mean() == pytest.approx(59 / 2)
    assert Alignment.of(201, 0.977, 2.0).new_size == 99
    assert Alignment.of(5, 3.0, None).places(0, 5).tolist() == [0, 1, 2, 3, 4]


def test_resampled_mask_covers_the_same_volume():
    image, mask = case()
    settings = ExtractionSettings(resample_mm=1.0)
    found = prepare(image, mask, settings, 2).region
    assert found.shape_mask.sum() == pytest.approx((mask.array == 2).sum() * 4.5, rel=0.05)
    assert found.spacing_mm == (1.0, 1.0, 1.0)


def test_one_voxel_survives_finer_and_is_refused_where_it_vanishes():
    image, mask = case()
    one = np.zeros(mask.shape, np.uint8)
    one[7, 14, 12] = 1
    ready = prepare(image, mask.like(one), ExtractionSettings(resample_mm=1.0))
    assert ready.region.mask.sum() >= 1
    with pytest.raises(InvalidInputError, match="smaller resample_mm"):
        prepare(image, mask.like(one), ExtractionSettings(resample_mm=(3.0, 4.0, 4.0)))


def test_border_region_is_cut_at_the_image():
    image, mask = case()
    ready = prepare(image, mask, ExtractionSettings(resample_mm=1.0), 7, margin_mm=1e5)
    assert ready.box[0].start == ready.box[1].start == ready.box[2].start == 0
    assert ready.image.shape == (42, 30, 36)


def test_rounding_makes_whole_numbers():
    image, mask = case()
    settings = ExtractionSettings(resample_mm=1.0, round_hu=True)
    inside = prepare(image, mask, settings, 2).region.inside
    assert np.array_equal(inside, np.rint(inside))
    loose = prepare(image, mask, replace(settings, round_hu=False), 2).region.inside
    assert np.array_equal(np.rint(loose), inside)


def test_box_of_a_mask():
    mask = np.zeros((4, 5, 6), bool)
    assert box_of(mask) is None
    mask[1, 2, 3] = mask[2, 4, 3] = True
    assert box_of(mask) == (slice(1, 3), slice(2, 5), slice(3, 4))
