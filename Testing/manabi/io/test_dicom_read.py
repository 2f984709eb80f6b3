"""Straight series: place, order, values, units, and agreement with SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_phantoms import AXIAL, PATIENT, header, oblique, placed, ramp, save, write_series

from manabi.io.dicom import read_dicom
from manabi.volume import Volume


def by_itk(folder):
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    return Volume.from_sitk(sitk.ReadImage(files))


@pytest.mark.parametrize("axes", [AXIAL, oblique(), oblique((95.0, 3.0, -4.0)), np.array([[0, 1, 0], [0, 0, -1]])])
def test_a_straight_series_lies_where_simpleitk_puts_it(tmp_path, axes):
    write_series(tmp_path, ramp(), placed(5, axes=axes), axes)
    volume, expected = read_dicom(tmp_path), by_itk(tmp_path)
    np.testing.assert_allclose(volume.ijk_to_ras, expected.ijk_to_ras, atol=1e-6)
    np.testing.assert_array_equal(volume.array, expected.array)
    assert volume.warnings == ()


def test_the_first_pixel_is_at_its_position_and_axes_follow_the_header(tmp_path):
    axes = oblique()
    positions = placed(4, spacing=2.5, axes=axes)
    write_series(tmp_path, ramp(4), positions, axes, pixel_mm=(2.0, 1.5))
    volume = read_dicom(tmp_path)
    np.testing.assert_allclose(volume.grid.origin_ras, positions[0] * [-1, -1, 1], atol=1e-7)
    expected = positions[2] + 3 * 1.5 * axes[0] + 4 * 2.0 * axes[1]
    np.testing.assert_allclose(volume.grid.ras_of([3, 4, 2]), expected * [-1, -1, 1], atol=1e-7)
    assert volume.array[2, 4, 3] == ramp(4)[2, 4, 3]


@pytest.mark.parametrize("numbers", [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [3, 1, 5, 2, 4], [1, 1, 1, 1, 1]])
def test_order_follows_position_whatever_the_instance_number(tmp_path, numbers):
    write_series(tmp_path, ramp(), placed(5), numbers=numbers)
    np.testing.assert_array_equal(read_dicom(tmp_path).array, ramp())


def test_slices_stored_against_the_normal_are_not_mirrored(tmp_path):
    positions = placed(5, spacing=-3.0)
    write_series(tmp_path, ramp(), positions)
    volume = read_dicom(tmp_path)
    assert not volume.grid.is_left_handed
    for k in range(5):
        index = volume.grid.ijk_of(positions[k] * [-1, -1, 1])
        assert volume.array[tuple(np.rint(index[::-1]).astype(int))] == ramp()[k, 0, 0]


def test_rescale_is_applied_slice_by_slice(tmp_path):
    each = {k: {"RescaleSlope": f"{0.5 + k}", "RescaleIntercept": f"{-0.25 * k}"} for k in range(5)}
    write_series(tmp_path, ramp(), placed(5), each=each, modality="PT", Units="BQML")
    volume = read_dicom(tmp_path)
    factors = np.arange(5)[:, None, None]
    np.testing.assert_allclose(volume.array, ramp() * (0.5 + factors) - 0.25 * factors, rtol=1e-6)
    assert (volume.array.dtype, volume.units, volume.modality) == (np.float32, "BQML", "PT")


def test_decimal_rescale_agrees_with_simpleitk(tmp_path):
    write_series(tmp_path, ramp(), placed(5), RescaleSlope="0.3141592653589", RescaleIntercept="-12.5")
    np.testing.assert_allclose(read_dicom(tmp_path).array, by_itk(tmp_path).array, rtol=1e-6)


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [("1", "0", np.uint16), ("1", "-1024", np.int16), ("500", "7", np.int32)]
)
def test_integers_stay_integers_where_that_is_exact(tmp_path, slope, intercept, dtype):
    stored = ramp(dtype=np.uint16)
    write_series(tmp_path, stored, placed(5), RescaleSlope=slope, RescaleIntercept=intercept)
    volume = read_dicom(tmp_path)
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, stored.astype(int) * int(slope) + int(intercept))


def test_rescaled_values_beyond_32_bits_do_not_wrap(tmp_path):
    write_series(tmp_path, ramp() + 30000, placed(5), RescaleSlope="100000", RescaleIntercept="0")
    np.testing.assert_allclose(read_dicom(tmp_path).array, (ramp() + 30000.0) * 1e5, rtol=1e-6)


@pytest.mark.parametrize(
    ("modality", "tags", "units"),
    [("CT", {}, "HU"), ("CT", {"RescaleType": "US"}, "US"), ("MR", {}, None), ("PT", {"Units": "CNTS"}, "CNTS")],
)
def test_units_are_those_of_the_modality(tmp_path, modality, tags, units):
    write_series(tmp_path, ramp(), placed(5), modality=modality, **tags)
    assert read_dicom(tmp_path).units == units


def test_a_file_without_preamble_is_read(tmp_path):
    dataset = header(ramp(1)[0], ImagePositionPatient=[0, 0, 0], PixelSpacing=[1, 1], SliceThickness=5)
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    path = save(dataset, tmp_path / "IM0001", preamble=False)
    np.testing.assert_array_equal(read_dicom(path).array, ramp(1))


def test_folders_are_searched_through_and_other_files_passed_by(tmp_path):
    write_series(tmp_path / "été 検査" / "deep", ramp(), placed(5))
    (tmp_path / "notes.txt").write_text("nothing DICOM about this " * 20)
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    assert read_dicom(tmp_path).shape == ramp().shape


def test_the_only_slice_takes_its_thickness_and_says_when_it_has_none(tmp_path):
    (known,) = write_series(tmp_path / "a", ramp(1), placed(1), SliceThickness=4.5)
    (unknown,) = write_series(tmp_path / "b", ramp(1), placed(1))
    assert read_dicom(known).spacing_mm[2] == 4.5 and read_dicom(known).warnings == ()
    assert "1 mm is assumed" in read_dicom(unknown).warnings[0]


def test_rounded_positions_of_thin_slices_are_even(tmp_path):
    positions = placed(30, spacing=0.625)
    positions[:, 2] = np.round(positions[:, 2], 1)
    write_series(tmp_path, ramp(30), positions)
    volume = read_dicom(tmp_path)
    assert volume.warnings == () and volume.spacing_mm[2] == pytest.approx(0.625, abs=0.004)


def test_a_missing_modality_is_taken_from_the_sop_class_and_said(tmp_path):
    write_series(tmp_path, ramp(), placed(5), Modality=None)
    volume = read_dicom(tmp_path)
    assert volume.modality == "CT" and "modality" in volume.warnings[0]


def test_copies_of_files_are_left_out_with_a_warning(tmp_path):
    paths = write_series(tmp_path, ramp(), placed(5))
    (tmp_path / "zz copy.dcm").write_bytes(paths[2].read_bytes())
    volume = read_dicom(tmp_path)
    assert volume.shape[0] == 5 and "1 file left out, being copies of others: file 6 of 6 by name" in volume.warnings[0]


def test_several_frames_of_reference_are_said(tmp_path):
    write_series(tmp_path, ramp(), placed(5), each={k: {"FrameOfReferenceUID": f"1.2.{k}"} for k in range(5)})
    assert "frames of reference" in read_dicom(tmp_path).warnings[0]


def test_name_repr_and_warnings_hold_no_identifiers(tmp_path):
    folder = tmp_path / "Yamada Hanako"
    write_series(folder, ramp(), placed(5, spacing=[3, 3, 3.8, 3]))
    volume = read_dicom(folder)
    assert volume.name == "CT_series_4" and volume.warnings
    text = f"{volume.name} {volume.warnings} {volume.source!r}".lower()
    assert "yamada" not in text and PATIENT.lower() not in text and "1.2.3" not in text


def test_the_source_names_files_in_slice_order(tmp_path):
    paths = write_series(tmp_path, ramp(), placed(5, spacing=-2.0))
    source = read_dicom(tmp_path).source
    assert source.files == tuple(reversed(paths)) and source.series_uid == "1.2.3.4"
    assert (source.series_number, source.modality, source.n_slices, len(source.instance_uids)) == (4, "CT", 5, 5)


def test_values_that_break_their_type_do_not_stop_reading(tmp_path):
    paths = write_series(tmp_path, ramp(), placed(5), EchoTime="12.5")
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"12.5", b"abcd"))
    assert read_dicom(tmp_path).shape == ramp().shape


