"""pyradiomics mode equals pyradiomics 3.0.1: its classes are called on the same levels."""

from __future__ import annotations

import numpy as np
import pytest
from texture_fixtures import binned, largest_difference, pyradiomics_values, random_levels

from manabi.radiomics.texture import PYRADIOMICS, TextureOptions, features, features_of_bands

pytest.importorskip("radiomics")
OPTIONS = TextureOptions("pyradiomics", "3d_avg")
SPACING = (1.0, 1.0, 1.0)


def edge_cases() -> dict[str, np.ndarray]:
    one = np.zeros((3, 3, 3), np.int32)
    one[1, 1, 1] = 1
    block = np.zeros((4, 4, 4), np.int32)
    block[1:3, 1:3, 1:3] = 1
    odd = block * 3
    odd[1, 1, 1] = 1
    apart = np.zeros((4, 4, 5), np.int32)
    apart[1, 1, 1], apart[1, 1, 3] = 1, 2
    line = np.zeros((4, 4, 9), np.int32)
    line[1, 1, 1:8] = [1, 2, 2, 1, 3, 3, 3]
    dots = np.zeros((4, 4, 9), np.int32)
    dots[1, 1, 1:8:2] = [1, 2, 2, 1]
    return {"one": one, "one level": block, "odd": odd, "apart": apart, "line": line, "dots": dots}


@pytest.mark.parametrize("name", edge_cases())
def test_degenerate_regions_follow_its_rules(name):
    levels = edge_cases()[name]
    assert largest_difference(pyradiomics_values(levels), features(levels, SPACING, OPTIONS, engine="numpy")) < 1e-9


@pytest.mark.parametrize(
    ("shape", "n_levels", "smooth"),
    [((5, 6, 7), 4, 0), ((9, 12, 11), 20, 1), ((8, 20, 20), 60, 1.5), ((1, 12, 12), 9, 1), ((6, 1, 9), 5, 0),
     ((3, 3, 3), 30, 0), ((4, 4, 4), 2, 0), ((16, 16, 16), 130, 2)],
)  # fmt: skip
def test_random_regions_agree_to_rounding(shape, n_levels, smooth):
    levels = random_levels(shape, n_levels, smooth)
    assert largest_difference(pyradiomics_values(levels), features(levels, SPACING, OPTIONS, engine="numpy")) < 1e-9


def test_two_rare_levels_that_only_touch_each_other_do_not_spoil_the_correlation_coefficient():
    # The second eigenvalue is then close to 1, and what pyradiomics adds to denominators shows in the sixth digit.
    levels = random_levels((20, 30, 30), 30, 2)
    levels[:3, :3, :3] = 0
    levels[0, 0, 0], levels[0, 0, 1] = 40, 41
    found = features(levels, SPACING, OPTIONS, engine="numpy")
    assert largest_difference(pyradiomics_values(levels), found) < 1e-9


def test_the_count_of_features_is_that_of_the_default_extraction():
    assert {family: len(names) for family, names in PYRADIOMICS.items()} == {
        "glcm": 24, "glrlm": 16, "glszm": 16, "gldm": 14, "ngtdm": 5,
    }  # fmt: skip


@pytest.mark.parametrize("case", ["brain1", pytest.param("brain2", marks=pytest.mark.slow)])
def test_a_real_region_agrees_in_every_wavelet_band(case, data_folder):
    import pywt
    import SimpleITK as sitk

    values, mask = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(data_folder(f"radiomics/pyradiomics/{case}_{kind}.nrrd"))))
        for kind in ("image", "label")
    )
    inside = np.argwhere(mask > 0)
    box = tuple(slice(max(a - 4, 0), b + 5) for a, b in zip(inside.min(0), inside.max(0), strict=True))
    values, mask = values[box].astype(float), mask[box] > 0
    even = np.pad(values, [(0, size % 2) for size in values.shape], "wrap")
    bands = pywt.swtn(even, "coif1", level=1, start_level=0)[0]
    shape = tuple(slice(0, size) for size in values.shape)
    levels = {name: binned(band[shape], mask, 10) for name, band in bands.items()} | {"": binned(values, mask, 10)}
    found = features_of_bands(levels, SPACING, OPTIONS, engine="numpy")
    worst = {name: largest_difference(pyradiomics_values(one), found[name]) for name, one in levels.items()}
    assert max(worst.values()) < 1e-9, worst
