"""A real CT in any orientation is scanned again on its own voxels; what lies around it is air."""

from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.convert import simulate
from manabi.phantoms.ct.outside import cleaned
from manabi.phantoms.ct.scanner import MVCT
from manabi.volume import Volume


def head(slices=3, matrix=72, pixel=3.0, air=-1000.0):
    """An ellipse of muscle with a bone off its middle; LPS axes, as DICOM has them."""
    at = (np.arange(matrix) - (matrix - 1) / 2) * pixel
    image = np.full((matrix, matrix), air, np.float32)
    image[(at / 70) ** 2 + (at[:, None] / 90) ** 2 < 1] = 40.0
    image[np.hypot(at - 30, at[:, None] + 40) < 12] = 900.0
    matrix_ras = np.diag([-pixel, -pixel, 2.5, 1.0])
    matrix_ras[:3, 3] = 100.0, 90.0, -40.0
    return Volume(np.repeat(image[None], slices, 0), matrix_ras, modality="CT", units="HU", name="head")


def test_scan_is_on_the_volumes_own_grid_and_says_what_it_is():
    volume = head()
    found = simulate(volume, "mvct", seed=3)
    assert found.grid.same_as(volume.grid, 0.0)
    assert (found.modality, found.units, found.name, found.source) == ("CT", "HU", "head_mvct", None)
    assert found.array.dtype == np.float32
    muscle, bone = volume.array == 40, volume.array == 900
    assert float(found.array[muscle].mean()) == pytest.approx(38, abs=12)
    assert 350 < float(found.array[bone].mean()) < 550
    assert float(volume.array.max()) == 900.0


@pytest.mark.parametrize(
    ("axes", "signs"),
    [((0, 1, 2), (-1, 1, -1)), ((1, 0, 2), (1, -1, 1)), ((0, 2, 1), (1, -1, -1)), ((2, 1, 0), (1, 1, 1))],
)
@pytest.mark.parametrize("fast", [False, True])
def test_orientation_of_the_array_does_not_change_the_scan(axes, signs, fast):
    scanner = MVCT.with_(views=60)
    volume = head()
    turned = simulate(volume.reoriented(axes, signs), seed=2, scanner=scanner, fast=fast)
    straight = simulate(volume, seed=2, scanner=scanner, fast=fast)
    assert turned.grid.same_as(volume.reoriented(axes, signs).grid, 1e-9)
    assert np.array_equal(turned.reoriented_like(volume.grid).array, straight.array)


@pytest.mark.parametrize("pixel", [0.98, 3.9])
def test_scan_follows_the_pixel_size(pixel):
    matrix = int(216 / pixel)
    found = simulate(head(1, matrix, pixel), "mvct", seed=1)
    at = (np.arange(matrix) - (matrix - 1) / 2) * pixel
    muscle = np.hypot(at, at[:, None]) < 22
    noise = found.array[0][muscle].std()
    # Coarse pixels average what fine ones show.
    assert (12 < noise < 30) if pixel < 1 else (1.5 < noise < 10)
    assert float(found.array[0][muscle].mean()) == pytest.approx(38, abs=12)


def test_zeros_around_a_cut_out_head_are_air_and_inside_they_are_water():
    volume = head(air=0.0)
    array = volume.array.copy()
    array[:, 34:38, 34:38] = 0.0
    clean = cleaned(array)
    assert clean[0, 0, 0] == -1000.0
    assert clean[0, 36, 36] == 0.0
    assert (clean[volume.array == 40].reshape(-1) >= 0).all()
    found = simulate(volume.like(array), "mvct", seed=1)
    assert float(found.array[:, :6, :6].mean()) == pytest.approx(-1000, abs=10)


def test_fillers_below_air_are_air_and_whole_water_is_kept():
    array = head().array.copy()
    array[:, :9], array[:, -9:] = -3024.0, -2048.0
    assert cleaned(array).min() == -1000.0
    found = simulate(head().like(array), "mvct", seed=1)
    assert np.isfinite(found.array).all()
    assert found.array.min() >= -1024.0
    textured = np.random.default_rng(0).normal(0, 5, (1, 16, 16)).astype(np.float32)
    assert np.array_equal(cleaned(textured), textured)


def test_integers_and_floats_give_the_same_scan():
    scanner = MVCT.with_(views=40)
    one, other = (
        simulate(head(1).like(head(1).array.astype(kind)), scanner=scanner) for kind in (np.int16, np.float64)
    )
    assert np.array_equal(one.array, other.array)


def test_what_cannot_be_scanned_is_refused():
    with pytest.raises(InvalidInputError, match="mvct"):
        simulate(head(), "pet")
    broken = head().array.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(InvalidInputError, match="not numbers"):
        simulate(head().like(broken))
    sheared = head().ijk_to_ras.copy()
    sheared[0, 2] = 1.0
    with pytest.raises(InvalidInputError, match="straightened"):
        simulate(Volume(head().array, sheared))


@pytest.mark.parametrize(
    ("name", "first"), [("head_neck_ex1_20may03_shrink221", 40), ("openkbp_pt_200_CT", 70), ("ct_brain_atlas_1mm", 60)]
)
def test_real_head_scanned_again_keeps_its_anatomy_and_changes_its_values(data_folder, name, first):
    from scipy import ndimage

    from manabi.io import read_volume

    whole = read_volume(data_folder(f"ct_headneck/{name}.nii.gz")).reoriented()
    volume = whole.crop((first, 0, 0), (first + 2, *whole.shape[1:]))
    clean = cleaned(volume.array)
    found = simulate(volume, "mvct", seed=1, scanner=MVCT.noiseless().with_(slice_mm=0.0))
    body = ndimage.binary_erosion((clean > -200) & (found.array > -999.9), np.ones((1, 3, 3)))
    assert np.corrcoef(found.array[body], clean[body])[0, 1] > 0.85
    soft, bone = body & (np.abs(clean - 30) < 40), body & (clean > 700)
    assert float(np.median(found.array[soft])) == pytest.approx(float(np.median(clean[soft])), abs=25)
    if bone.sum() > 50:
        assert float(np.median(found.array[bone])) < 0.75 * float(np.median(clean[bone]))
