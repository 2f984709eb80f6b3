"""Volumes: exact changes of grid, interpolation, SimpleITK, immutability."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import Grid, closest_axes
from manabi.volume import Volume

ORIENTATIONS = [(p, s) for p in permutations(range(3)) for s in product((1, -1), repeat=3)]
MARK = (1, 2, 4)


def matrix_of(axes=(0, 1, 2), signs=(1, 1, 1), angles=(17, -9, 28), spacing=(0.8, 1.1, 2.5)) -> np.ndarray:
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = rotation[:, axes] * signs * spacing
    matrix[:3, 3] = (-31.0, 12.5, 77.0)
    return matrix


def noise(matrix=None, shape=(4, 5, 6), dtype=np.float32) -> Volume:
    array = np.random.default_rng(3).normal(100, 30, shape).astype(dtype)
    return Volume(array, matrix_of() if matrix is None else matrix, modality="NM", units="CNTS", warnings=("w",))


def mark_ras(volume: Volume, value: float) -> np.ndarray:
    """Where the voxel of that value lies."""
    (kji,) = np.argwhere(volume.array == value)
    return volume.grid.ras_of(kji[::-1])


def indices(shape) -> np.ndarray:
    k, j, i = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return np.stack([i, j, k], -1).astype(float)


# --- exact changes of grid -------------------------------------------------------------------------------


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_reorienting_moves_no_voxel_and_is_undone_exactly(axes, signs):
    volume = noise(matrix_of(axes, signs))
    value = volume.array[MARK]
    canonical = volume.reoriented()
    assert closest_axes(canonical.grid.directions) == ((0, 1, 2), (1, 1, 1))
    np.testing.assert_allclose(mark_ras(canonical, value), mark_ras(volume, value), atol=1e-9)
    back = canonical.reoriented_like(volume.grid)
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-9)
    assert (back.modality, back.units, back.warnings) == ("NM", "CNTS", ("w",))


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS[::5])
def test_any_orientation_can_be_asked_for(axes, signs):
    volume = noise()
    turned = volume.reoriented(axes, signs)
    for new, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        assert np.sign(turned.grid.directions[axis, new]) == sign
        assert np.abs(turned.grid.directions[:, new]).argmax() == axis
    value = volume.array[MARK]
    np.testing.assert_allclose(mark_ras(turned, value), mark_ras(volume, value), atol=1e-9)
    assert min(turned.array.strides) > 0


@pytest.mark.parametrize("angles", [(0, 0, 45), (45, 0, 0), (45, 45, 45), (0, 0, 135), (54.7356, 0, 45)])
def test_reorienting_is_undone_where_two_axes_are_equally_close(angles):
    for axes, signs in ORIENTATIONS:
        volume = noise(matrix_of(axes, signs, angles))
        back = volume.reoriented().reoriented_like(volume.grid)
        np.testing.assert_array_equal(back.array, volume.array)
        np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), left_handed=st.booleans())
def test_crop_and_pad_are_undone_exactly(data, left_handed):
    volume = noise(matrix_of(signs=(-1 if left_handed else 1, 1, 1)))
    start = tuple(data.draw(st.integers(0, n - 1)) for n in volume.shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, volume.shape, strict=True))
    cut = volume.crop(start, stop)
    expected = np.full(volume.shape, -1, np.float32)
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    expected[box] = volume.array[box]
    np.testing.assert_array_equal(cut.uncrop(volume.grid, fill=-1).array, expected)
    np.testing.assert_allclose(cut.grid.origin_ras, volume.grid.ras_of(np.array(start[::-1])), atol=1e-9)
    padded = volume.pad(start, stop, fill=7)
    assert padded.crop_to(volume.grid).grid.same_as(volume.grid, 1e-9)
    np.testing.assert_array_equal(padded.crop_to(volume.grid).array, volume.array)
    assert padded.array.sum() == pytest.approx(volume.array.sum() + 7 * (padded.array.size - volume.array.size))


def test_boxes_that_do_not_fit_are_refused():
    volume = noise()
    with pytest.raises(GeometryError, match="within shape"):
        volume.crop((0, 0, 0), (4, 5, 7))
    with pytest.raises(GeometryError, match="negative"):
        volume.pad((-1, 0, 0), (0, 0, 0))
    half = volume.grid.shifted(np.array([0.5, 0, 0]), (2, 2, 2))
    with pytest.raises(GeometryError, match="whole voxels"):
        volume.crop_to(half)
    outside = volume.grid.shifted(np.array([5, 0, 0]), (2, 2, 2))
    with pytest.raises(GeometryError, match="whole voxels"):
        volume.crop_to(outside)
    with pytest.raises(GeometryError, match="axes or spacing"):
        volume.crop_to(volume.grid.with_spacing(np.array([1.0, 1.0, 1.0])))


# --- interpolation ---------------------------------------------------------------------------------------


def sheared_matrix() -> np.ndarray:
    matrix = matrix_of((1, 0, 2), (1, -1, 1))
    matrix[:3, 2] += 0.4 * matrix[:3, 1]
    return matrix


@pytest.mark.parametrize("source", [matrix_of(), matrix_of((2, 0, 1), (-1, 1, 1)), sheared_matrix()])
@pytest.mark.parametrize("shear_target", [False, True])
def test_linear_resampling_agrees_with_scipy(source, shear_target):
    volume = noise(source, shape=(9, 10, 11))
    matrix = matrix_of((2, 1, 0), (1, -1, 1), (-12, 33, 5), (0.7, 0.9, 1.3))
    if shear_target:
        matrix[:3, 0] += 0.3 * matrix[:3, 2]
    matrix[:3, 3] = volume.grid.ras_of(np.array([5, 4.5, 4])) - matrix[:3, :3] @ [4.5, 4, 3.5]
    target = Grid((8, 9, 10), matrix)
    found = volume.resampled(target, "linear", fill=-7.0)
    at = volume.grid.ijk_of(target.ras_of(indices(target.shape)))
    inside = ((at >= 0) & (at <= np.array(volume.shape[::-1]) - 1)).all(-1)
    far = ((at < -0.5 - 1e-6) | (at > np.array(volume.shape[::-1]) - 0.5 + 1e-6)).any(-1)
    expected = map_coordinates(volume.array.astype(float), np.moveaxis(at[..., ::-1], -1, 0), order=1)
    assert inside.mean() > 0.2
    assert np.abs(found.array - expected)[inside].max() < 1e-4
    assert (found.array[far] == -7.0).all()
    assert found.array.dtype == np.float32


@pytest.mark.parametrize("thickness", [1, 2, 5])
def test_bspline_resampling_agrees_with_scipy_even_on_few_slices(thickness):
    volume = noise(np.eye(4), shape=(thickness, 9, 10))
    matrix = np.eye(4)
    matrix[:3, 3] = (0.3, 0.2, 0.25)
    target = Grid((max(thickness - 1, 1), 8, 9), matrix)
    at = target.ras_of(indices(target.shape))[..., ::-1]
    expected = map_coordinates(volume.array.astype(float), np.moveaxis(at, -1, 0), order=3, mode="mirror")
    np.testing.assert_allclose(volume.resampled(target, "bspline").array, expected, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.int32, np.int64, np.float16, np.float64])
def test_nearest_keeps_values_and_dtype(dtype):
    array = np.random.default_rng(0).integers(0, 2 if dtype is np.bool_ else 90, (4, 5, 6)).astype(dtype)
    volume = Volume(array, matrix_of((1, 2, 0), (1, 1, -1)))
    target = volume.reoriented().grid
    found = volume.resampled(target, "nearest")
    assert found.array.dtype == dtype
    np.testing.assert_array_equal(found.array, volume.reoriented().array)


def test_the_same_grid_returns_the_same_values():
    volume = noise(sheared_matrix())
    same = Grid(volume.shape, volume.ijk_to_ras)
    for kind in ("nearest", "linear", "bspline"):
        np.testing.assert_array_equal(volume.resampled(same, kind).array, volume.array)
    whole = noise(dtype=np.int16)
    assert whole.resampled(whole.grid).array.dtype == np.float32
    np.testing.assert_array_equal(whole.resampled(whole.grid).array, whole.array)


def test_a_flipped_copy_resamples_to_the_same_image():
    volume = noise(shape=(8, 9, 10))
    target = Grid((5, 6, 7), matrix_of((2, 1, 0), (1, 1, 1), (3, 5, 7), (1, 1, 1)))
    straight = volume.resampled(target).array
    for axes, signs in ORIENTATIONS[::7]:
        np.testing.assert_allclose(volume.reoriented(axes, signs).resampled(target).array, straight, atol=1e-3)


def test_what_the_voxels_cannot_hold_is_refused():
    labels = Volume(np.ones((3, 3, 3), np.uint8), np.eye(4))
    shifted = labels.grid.shifted(np.array([1, 0, 0]), (3, 3, 3))
    with pytest.raises(InvalidInputError, match="cannot be held"):
        labels.resampled(shifted, "nearest", fill=-1)
    with pytest.raises(InvalidInputError, match="cannot be held"):
        labels.pad((1, 1, 1), (1, 1, 1), fill=0.5)
    with pytest.raises(InvalidInputError, match="cannot be held"):
        labels.uncrop(labels.grid, fill=np.nan)
    with pytest.raises(InvalidInputError, match="interpolation must be"):
        labels.resampled(shifted, "cubic")


def test_straightening_says_so_and_keeps_values_in_place():
    ramp = indices((12, 14, 16)) @ [100.0, 217.0, 331.0]
    sheared = Volume(ramp.astype(np.int16), sheared_matrix())
    straight = sheared.straightened()
    assert not straight.grid.is_sheared
    assert "not perpendicular" in straight.warnings[-1]
    assert straight.array.dtype == np.int16
    at = sheared.grid.ijk_of(straight.grid.ras_of(indices(straight.shape)))
    inside = ((at >= 0) & (at <= np.array(sheared.shape[::-1]) - 1)).all(-1)
    np.testing.assert_allclose(straight.array[inside], at[inside] @ [100.0, 217.0, 331.0], atol=0.51)
    assert noise().straightened().warnings == ("w",)


def test_straightening_invents_no_label():
    labels = np.random.default_rng(1).choice([0, 2, 41], (6, 7, 8)).astype(np.uint8)
    straight = Volume(labels, sheared_matrix()).straightened()
    assert set(np.unique(straight.array)) <= {0, 2, 41}


# --- SimpleITK, values, immutability ---------------------------------------------------------------------


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS[::5])
def test_simpleitk_round_trip(axes, signs):
    volume = noise(matrix_of(axes, signs))
    image = volume.to_sitk()
    lps = np.array(image.TransformIndexToPhysicalPoint((4, 2, 1)))
    np.testing.assert_allclose(lps * [-1, -1, 1], volume.grid.ras_of(np.array([4, 2, 1])), atol=1e-9)
    back = Volume.from_sitk(image, modality="NM")
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-9)
    np.testing.assert_array_equal(back.array, volume.array)


def test_simpleitk_gets_types_it_knows():
    assert Volume.from_sitk(noise(dtype=np.bool_).to_sitk()).array.dtype == np.uint8
    assert Volume.from_sitk(noise(dtype=np.float16).to_sitk()).array.dtype == np.float32
    with pytest.raises(GeometryError, match="perpendicular"):
        noise(sheared_matrix()).to_sitk()


def test_flat_images_get_one_slice_and_colour_is_refused():
    import SimpleITK as sitk

    flat = sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4))
    flat.SetSpacing((0.2, 0.3))
    volume = Volume.from_sitk(flat)
    assert volume.shape == (1, 3, 4)
    np.testing.assert_allclose(volume.spacing_mm, (0.2, 0.3, 1.0))
    with pytest.raises(InvalidInputError, match="one value per voxel"):
        Volume.from_sitk(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True))
    with pytest.raises(InvalidInputError, match="4 dimensions"):
        Volume.from_sitk(sitk.Image([2, 2, 2, 2], sitk.sitkFloat32))


def test_the_volume_is_read_only_and_the_callers_array_is_not():
    array = np.zeros((2, 3, 4), np.float32)
    volume = Volume(array, np.eye(4))
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1
    array[0, 0, 0] = 1
    assert array.flags.writeable
    assert volume.array[0, 0, 0] == 1


def test_no_operation_changes_its_input():
    volume = noise(sheared_matrix())
    values, matrix = volume.array.copy(), volume.ijk_to_ras.copy()
    volume.reoriented()
    volume.pad((1, 1, 1), (1, 1, 1))
    volume.crop((1, 1, 1), (3, 3, 3)).uncrop(volume.grid)
    volume.resampled(noise().grid)
    volume.straightened()
    volume.like(values * 2)
    np.testing.assert_array_equal(volume.array, values)
    np.testing.assert_array_equal(volume.ijk_to_ras, matrix)


@pytest.mark.parametrize("dtype", [">i2", ">f4", ">u4", np.longdouble])
def test_foreign_byte_orders_become_native(dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    volume = Volume(array, np.eye(4))
    assert volume.array.dtype.isnative
    assert volume.array.dtype.itemsize <= 8
    np.testing.assert_array_equal(volume.array, np.arange(24).reshape(2, 3, 4))
    assert Volume.from_sitk(volume.to_sitk()).array[1, 2, 3] == 23


@pytest.mark.parametrize("array", [np.zeros((2, 3)), np.zeros((2, 3, 4, 1)), np.zeros((2, 3, 4), complex)])
def test_arrays_that_are_no_volume_are_refused(array):
    with pytest.raises(InvalidInputError):
        Volume(array, np.eye(4))


def test_like_needs_the_same_shape():
    with pytest.raises(GeometryError, match="Expected an array of shape"):
        noise().like(np.zeros((2, 2, 2)))
    assert noise().like(np.zeros((4, 5, 6)), units="HU").units == "HU"
