"""What hospitals feed in: padding of any kind, small fields of view, slabs of the skull, references that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_mvct import grid, patient, quick
from scipy import ndimage

from manabi.errors import InvalidInputError, ModelNotFoundError
from manabi.mvct.gate import Evidence, judge
from manabi.mvct.hu_check import EXPECTED, check_hu
from manabi.mvct.method import MVCTConvert
from manabi.mvct.padding import find_padding
from manabi.mvct.prepare import prepare
from manabi.mvct.tissue_map import tissue_map
from manabi.mvct.truncation import distance_from_centre, find_truncation

METHOD = MVCTConvert()
SPACING = np.array([3.0, 3.0, 5.0])


@pytest.fixture(scope="module")
def scan():
    return patient(grid((3.0, 3.0, 5.0), (6, 84, 84)), noise_hu=15.0)


@pytest.fixture(scope="module")
def small_field():
    """A radius in pixels that cuts the body at the sides."""
    return 19.0


def padded(scan, radius, value):
    outside = distance_from_centre(scan.shape[1:]) > radius
    return scan.like(np.where(outside, np.float32(value), scan.array)), np.broadcast_to(outside, scan.shape)


# --- padding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1024, -2000, -3024, 0, -32768])
def test_padding_around_the_body_changes_nothing_and_comes_back_as_it_was(scan, mvct_shift, value):
    radius = 41.0
    image, outside = padded(scan, radius, value)
    plain = METHOD.run({"ct": padded(scan, radius, -1000)[0]}, {}, quick(mvct_shift))
    result = METHOD.run({"ct": image}, {}, quick(mvct_shift))
    converted = np.asarray(result.volumes["converted"].array)
    assert (converted[outside] == value).all()
    assert np.array_equal(converted[~outside], np.asarray(plain.volumes["converted"].array)[~outside])
    assert result.measurements["verdict"] == plain.measurements["verdict"]


@pytest.mark.parametrize("value", [-1000, 0, -3000])
def test_a_small_round_field_is_called_truncated_whatever_fills_it(scan, mvct_shift, small_field, value):
    image, outside = padded(scan, small_field, value)
    result = METHOD.run({"ct": image}, {}, quick(mvct_shift))
    assert any(text.startswith("Truncated field of view") for text in result.warnings)
    assert (np.asarray(result.volumes["converted"].array)[outside] == value).all()
    body = np.asarray(result.labelmaps["body"].volume.array) > 0
    assert body.any() and not (body & outside).any()


def test_truncation_is_found_though_the_network_works_with_other_pixels(scan, mvct_shift, small_field):
    image, _ = padded(scan, small_field, -3000)
    work = prepare(image, (1.0, 1.0))
    assert work.resampled and work.hu.min() > -1200
    from manabi.context import Context
    from manabi.mvct.convert import Settings
    from manabi.mvct.pipeline import Model
    from manabi.mvct.safety import check_input

    found = check_input(work, Model(Settings(kind="mvct"), {}), Context(device="cpu")).evidence.truncation
    assert len(found.cut) == len(work.hu)


def test_empty_slices_at_the_ends_stay_empty(scan, mvct_shift):
    array = np.array(scan.array)
    array[[0, -1]] = 0.0
    result = METHOD.run({"ct": scan.like(array)}, {}, quick(mvct_shift))
    converted = np.asarray(result.volumes["converted"].array)
    assert (converted[[0, -1]] == 0).all() and not np.array_equal(converted[2], array[2])
    assert not np.asarray(result.labelmaps["body"].volume.array)[[0, -1]].any()


def test_an_image_without_padding_has_none(scan):
    assert find_padding(np.asarray(scan.array)) is None
    assert prepare(scan).image is prepare(scan).straight or not prepare(scan).resampled


# --- what the checks say ----------------------------------------------------------------------------------------------


def brain(kind):
    """Slices of the skull: brain in bone under a thin scalp, hardly any fat."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[-48:48, -48:48] * 2.0
    distance = np.hypot(x / 70, y / 85)
    bone, fat = (500.0, -49.0) if kind == "mvct" else (1000.0, -90.0)
    image = np.select([distance < 0.85, distance < 0.96, distance < 1.0], [35.0, bone, fat], -1000.0)
    noise = ndimage.gaussian_filter(rng.standard_normal((6, 96, 96)), (0, 0.7, 0.7))
    return image + 25 * noise / noise.std()


@pytest.mark.parametrize("kind", ["mvct", "kvct"])
def test_brain_is_not_taken_for_fat_that_is_off_scale(kind):
    hu, spacing = brain(kind), np.array([2.0, 2.0, 4.0])
    tissues = tissue_map(hu, spacing, kind)
    lines = check_hu(hu, tissues, spacing, EXPECTED[kind])
    assert not [line.tissue for line in lines if not line.within]
    assert tissues.mask("muscle").sum() > 5 * tissues.mask("fat").sum()


def test_an_image_cropped_tightly_to_the_body_is_not_called_unusable():
    y, x = np.mgrid[:61, :81]
    body = ((x - 40) / 40.5) ** 2 + ((y - 30) / 30.5) ** 2 <= 1
    hu = np.where(body, 40.0, -1000.0)[None].repeat(2, 0)
    found = find_truncation(hu, SPACING, body[None].repeat(2, 0))
    verdict = judge(Evidence(truncation=found))
    assert verdict.level != "refuse"
    assert all("about 0 %" not in reason.text for reason in verdict.reasons)


def test_refusing_names_the_missing_rescale_first(scan, mvct_shift):
    raw = scan.like(np.asarray(scan.array) + 1024.0)
    with pytest.raises(InvalidInputError) as refused:
        METHOD.run({"ct": raw}, {"gate": "refuse"}, quick(mvct_shift))
    assert "rescale intercept" in str(refused.value)
    assert str(refused.value).index("Hounsfield units") < 200


# --- references -------------------------------------------------------------------------------------------------------


def about_the_reference(scan, reference, bundle):
    result = METHOD.run({"ct": scan, "reference": reference}, {}, quick(bundle))
    return [text for text in result.warnings if text.startswith("The reference") and "another grid" not in text]


def test_a_registered_reference_raises_nothing(scan, mvct_shift):
    planning = patient(scan.grid, "kvct", noise_hu=8.0, seed=9)
    assert about_the_reference(scan, planning, mvct_shift) == []


def test_a_reference_that_is_not_registered_is_told(scan, mvct_shift):
    planning = patient(scan.grid, "kvct", noise_hu=8.0, seed=9)
    moved = planning.like(np.roll(np.asarray(planning.array), (7, 8), (1, 2)))
    (text,) = about_the_reference(scan, moved, mvct_shift)
    assert "does not match" in text and "register" in text


def test_the_input_given_as_its_own_reference_is_told(scan, mvct_shift):
    (text,) = about_the_reference(scan, scan, mvct_shift)
    assert "is the input itself" in text


def test_a_missing_model_is_told_in_whole_sentences(scan, tmp_path):
    from manabi.context import Context

    with pytest.raises(ModelNotFoundError, match=r"FOLDER_OR_ZIP\. MVCTConvert"):
        METHOD.run({"ct": scan}, {}, Context(bundle=str(tmp_path / "none")))
