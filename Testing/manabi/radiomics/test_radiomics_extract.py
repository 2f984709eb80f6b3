"""Extraction: names, tables, filters, and regions at the edge of what can be measured."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.radiomics import ExtractionSettings, FeatureSet, preset
from manabi.radiomics.extract import extract
from manabi.radiomics.filters.spec import FilterSpec
from manabi.radiomics.names import lookup, split, table
from manabi.volume import Volume

VALUES = ("shape", "local", "firstorder", "histogram", "ivh")
BOTH = [ExtractionSettings("ibsi"), ExtractionSettings("pyradiomics")]
COUNT = {"ibsi": 174, "pyradiomics": 107}


def case(dtype: type = np.int16) -> tuple[Volume, Volume]:
    """A noisy ball, label 1, and a neighbour, label 2."""
    rng = np.random.default_rng(5)
    k, j, i = np.indices((10, 20, 22))
    labels = ((k - 5) ** 2 * 4 + (j - 10) ** 2 + (i - 10) ** 2 < 60).astype(np.uint8)
    labels[:, :2, :2] = 2
    image = np.rint(rng.normal(0, 60, labels.shape) + 3 * i).astype(dtype)
    matrix = np.diag([1.0, 1.0, 2.0, 1.0])
    return Volume(image, matrix), Volume(labels, matrix)


def only(mask: Volume, *places: tuple[int, int, int]) -> Volume:
    """A mask of these voxels."""
    array = np.zeros(mask.shape, np.uint8)
    for place in places:
        array[place] = 1
    return mask.like(array)


@pytest.mark.parametrize("settings", BOTH, ids=lambda s: s.mode)
def test_every_feature_has_a_name_a_value_and_no_surprise(settings: ExtractionSettings):
    found = extract(*case(), settings)
    assert len(found.names) == COUNT[settings.mode]
    assert np.isfinite(found.values).all() and found.warnings == ()
    assert {split(name)[0] for name in found.names} == {"original"}
    assert list(dict.fromkeys(lookup(split(name)[1]).family for name in found.names)) == list(settings.families)
    if settings.mode == "ibsi":
        assert all(split(name)[1] in table() and table()[split(name)[1]].tag for name in found.names)


def test_table_is_tidy_and_numeric():
    found = extract(*case(), ExtractionSettings(families=VALUES))
    rows = found.to_table()
    assert rows.columns == ("feature", "value", "unit", "ibsi", "filter", "family")
    assert all(isinstance(value, float) for value in rows.column("value"))
    assert all(cell not in ("", None) for row in rows.rows for cell in row)
    assert len(set(rows.column("feature"))) == len(rows.rows)
    by_name = dict(zip(rows.column("feature"), rows.column("ibsi"), strict=True))
    assert by_name["original_firstorder_Mean"] == "stat_mean"


def test_output_says_how_it_was_made():
    found = extract(*case(), ExtractionSettings(families=("firstorder",)))
    record = json.loads(found.to_json())
    assert record["settings"]["mode"] == "ibsi" and record["settings_sha256"] == found.settings.digest()
    assert {"python", "manabi", "numpy", "scipy"} <= set(record["versions"])


def test_pyradiomics_tables_claim_no_ibsi_tag():
    found = extract(*case(), ExtractionSettings("pyradiomics", families=("firstorder",)))
    assert set(found.to_table().column("ibsi")) == {"none"}


def test_paper_preset_gives_744_named_features():
    found = extract(*case(), preset("paper-744"))
    assert len(found.names) == 744 and np.isfinite(found.values).all()
    assert "wavelet-LHH_glszm_LargeAreaEmphasis" in found.names
    bands = {split(name)[0] for name in found.names}
    assert bands == {f"wavelet-{a}{b}{c}" for a in "LH" for b in "LH" for c in "LH"}


def test_bands_are_those_of_the_whole_image():
    from manabi.radiomics import filters

    image, mask = case()
    spec = FilterSpec("wavelet")
    whole = filters.apply(image.array, (2.0, 1.0, 1.0), spec)
    settings = ExtractionSettings("pyradiomics", families=("firstorder",), filters=(spec,), original=False)
    found = extract(image, mask, settings)
    for name, values in whole.items():
        assert found[f"{name}_firstorder_Mean"] == pytest.approx(values[mask.array == 1].mean(), rel=1e-9)


def test_filters_after_resampling_are_those_of_the_whole_image():
    from manabi.radiomics import filters
    from manabi.radiomics.resample import alignments, resampled

    rng = np.random.default_rng(2)
    image = Volume(rng.normal(0, 50, (60, 70, 66)), np.diag([1.0, 1.0, 2.0, 1.0]))
    labels = np.zeros(image.shape, np.uint8)
    labels[28:32, 33:39, 30:37] = 1
    spec = FilterSpec("log", mode="ibsi", sigma_mm=2.0)
    settings = ExtractionSettings(families=("firstorder",), resample_mm=1.5, filters=(spec,))
    found = extract(image, image.like(labels), settings)
    axes = alignments(image.shape, (2.0, 1.0, 1.0), (1.5, 1.5, 1.5))
    box = tuple(slice(0, axis.new_size) for axis in axes)
    inside = resampled(labels, axes, box, "linear") >= 0.5
    ((name, whole),) = filters.apply(resampled(image.array, axes, box, "linear"), (1.5, 1.5, 1.5), spec).items()
    assert found[f"{name}_firstorder_Maximum"] == pytest.approx(whole[inside].max(), rel=1e-9)
    assert found[f"{name}_firstorder_Energy"] == pytest.approx((whole[inside] ** 2).sum(), rel=1e-9)


@pytest.mark.parametrize("settings", BOTH, ids=lambda s: s.mode)
def test_one_voxel_gives_what_one_voxel_has(settings: ExtractionSettings):
    image, mask = case()
    found = extract(image, only(mask, (5, 10, 10)), settings)
    value = float(image.array[5, 10, 10])
    assert found["original_firstorder_Mean"] == found["original_firstorder_Maximum"] == value
    assert found["original_shape_VoxelVolume"] == 2.0
    assert "The region has 1 voxel;" in found.warnings[0]
    undefined = [name for name, v in found.as_dict().items() if np.isnan(v)]
    assert all(any(name in text for text in found.warnings) for name in undefined)


@pytest.mark.parametrize("settings", BOTH, ids=lambda s: s.mode)
def test_constant_region_has_reasons_for_what_is_undefined(settings: ExtractionSettings):
    image, mask = case()
    found = extract(image.like(np.full(image.shape, -7, np.int16)), mask, settings)
    assert found["original_firstorder_Variance"] == 0 and found["original_firstorder_Mean"] == -7
    assert not np.isinf(found.values).any()
    if settings.mode == "ibsi":
        assert np.isnan(found["original_firstorder_Skewness"])
        assert any("all values of the region are equal" in text for text in found.warnings)


@pytest.mark.parametrize("settings", BOTH, ids=lambda s: s.mode)
def test_region_at_the_border_and_a_flat_one(settings: ExtractionSettings):
    image, mask = case()
    border = extract(image, mask, settings, label=2)
    assert border["original_shape_VoxelVolume"] == 10 * 4 * 2
    flat = extract(image, only(mask, *[(4, j, i) for j in range(6, 12) for i in range(7, 15)]), settings)
    assert flat["original_shape_LeastAxisLength"] == 0 and flat["original_shape_MeshVolume"] > 0


def test_labels_do_not_see_each_other():
    image, mask = case()
    alone = mask.like((mask.array == 1).astype(np.uint8))
    settings = ExtractionSettings()
    assert extract(image, mask, settings).as_dict() == extract(image, alone, settings).as_dict()


def test_the_same_features_in_whatever_type_and_without_changing_it():
    image, mask = case()
    settings = ExtractionSettings("pyradiomics")
    first = extract(image, mask, settings)
    second = extract(image.like(image.array.astype(np.float64)), mask, settings)
    assert first.as_dict() == second.as_dict()


def test_voxels_without_a_value_near_the_region_take_only_the_filter_away():
    image, mask = case()
    array = image.array.astype(np.float64)
    array[5, 10, 19] = np.nan
    settings = ExtractionSettings("pyradiomics", families=("firstorder",), filters=(FilterSpec("wavelet"),))
    found = extract(image.like(array), mask, settings)
    assert "original_firstorder_Mean" in found.names
    assert any("without a finite value" in text for text in found.warnings)
    with pytest.raises(InvalidInputError, match="No image is left"):
        extract(image.like(np.where(mask.array == 1, array, np.nan)), mask, replace(settings, original=False))


def test_feature_sets_check_themselves():
    settings = ExtractionSettings()
    with pytest.raises(InvalidInputError, match="one value for each"):
        FeatureSet(("a_b_c", "a_b_c"), np.zeros(2), settings)
    found = FeatureSet.of({"original_firstorder_Skewness": float("inf"), "original_glcm_Id": 1.0}, settings)
    assert np.isnan(found["original_firstorder_Skewness"]) and "Undefined, because all values" in found.warnings[0]
    with pytest.raises(InvalidInputError, match="No feature"):
        found["nothing"]
    with pytest.raises(ValueError, match="read-only"):
        found.values[0] = 1.0
