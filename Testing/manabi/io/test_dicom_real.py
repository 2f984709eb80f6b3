"""Real series with known troubles."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import LPS_TO_RAS, Grid
from manabi.io.dicom import list_series, read_dicom
from manabi.volume import Volume

EDGE = "dicom_edge"


def agrees_with_itk(path, volume, atol=1e-6):
    files = [str(path)] if path.is_file() else sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path))
    other = Volume.from_sitk(sitk.ReadImage(files if len(files) > 1 else files[0]))
    np.testing.assert_allclose(volume.array, other.array, rtol=1e-6)
    np.testing.assert_allclose(volume.ijk_to_ras[:3, [0, 1, 3]], other.ijk_to_ras[:3, [0, 1, 3]], atol=atol)
    return other


def test_the_tilted_ct_of_two_spacings_keeps_every_slice_in_place(data_folder):
    """18.5° and two spacings; ITK reads it with one spacing of 5.63 mm and no tilt."""
    folder = data_folder(f"{EDGE}/ge_head_tilt_varspacing_j2k")
    volume = read_dicom(folder)
    assert "18.5°" in volume.warnings[0] and "1.08 mm from slice 14 to 15" in volume.warnings[0]
    assert not volume.grid.is_sheared and volume.spacing_mm[2] == pytest.approx(4.0, abs=0.01)
    for name in ("03", "14", "15", "20", "27"):
        dataset = pydicom.dcmread(folder / f"{name}.dcm")
        axes = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([*axes, np.cross(*axes)], 1) * [*np.array(dataset.PixelSpacing, float), 1]
        matrix[:3, 3] = np.array(dataset.ImagePositionPatient, float)
        grid = Grid((1, 512, 512), LPS_TO_RAS @ matrix)
        there = volume.resampled(grid, fill=-1500).array[0]
        stored = np.maximum(dataset.pixel_array, -1024)
        inside = np.s_[40:-40, 40:-40]
        assert np.corrcoef(np.maximum(there, -1024)[inside].ravel(), stored[inside].ravel())[0, 1] > 0.98, name


def test_the_siemens_tilted_ct_is_straightened(data_folder):
    volume = read_dicom(data_folder(f"{EDGE}/dicom2nifti/gantrytilting"))
    assert "14.0°" in volume.warnings[0]
    assert volume.spacing_mm[2] == pytest.approx(5 * np.cos(np.radians(14)), abs=1e-3)


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("dicom2nifti/sliceincrement", GeometryError, "InstanceNumber 9.*InstanceNumber 10.*1 slice is missing"),
        ("dicom2nifti/sliceorientation", GeometryError, "several orientations.*InstanceNumber 1"),
        ("dicom2nifti/rgb", InvalidInputError, "colour"),
        ("highdicom", InvalidInputError, "series=1: CT.*series=1001: DX"),
        ("fo-dicom", InvalidInputError, "2 image series"),
        ("dcmqi", InvalidInputError, "only SEG"),
        ("rt-utils/rt.dcm", InvalidInputError, "only RTSTRUCT"),
        ("highdicom/sr_document.dcm", InvalidInputError, "only SR"),
        ("pydicom-data/emri_small.dcm", GeometryError, "ImageOrientationPatient is missing"),
        ("pydicom-data/emri_small_jpeg_2k_lossless_too_short.dcm", GeometryError, "missing"),
        ("pydicom-data/RG3_J2KI.dcm", GeometryError, "radiograph, open it as one"),
        ("highdicom/dx_image.dcm", GeometryError, "radiograph, open it as one"),
        ("pydicom-data/vlut_04.dcm", GeometryError, "radiograph, open it as one"),
    ],
)
def test_troubles_are_refused_by_name(data_folder, path, error, words):
    with pytest.raises(error, match=f"(?s){words}"):
        read_dicom(data_folder(f"{EDGE}/{path}"))


def test_a_whole_body_scan_is_recognised_as_raw(data_folder):
    with pytest.raises(InvalidInputError, match="planar images.*WHOLE BODY"):
        read_dicom(data_folder("spect/JPEG-LL.dcm"))


@pytest.mark.parametrize(
    "path",
    [
        "dicom2nifti/slicecount", "rt-utils_oriented", "lungmask/0.dcm", "highdicom/ct_image.dcm",
        "pydicom-data/693_J2KR.dcm", "pydicom-data/MR2_J2KI.dcm", "pydicom-data/bad_sequence.dcm",
        "pydicom-data/explicit_VR-UN.dcm", "fo-dicom/CT1_J2KI", "fo-dicom/D_CLUNIE_CT1_RLE_FRAGS.dcm",
        "nibabel/slicethickness_empty_string.dcm",
    ],
)  # fmt: skip
def test_values_and_place_agree_with_simpleitk(data_folder, path):
    """JPEG 2000, RLE and JPEG lossless; oblique; broken sequences; missing modality; several rescales."""
    path = data_folder(f"{EDGE}/{path}")
    agrees_with_itk(path, read_dicom(path))


def test_decimal_rescale_in_a_file_without_sop_class(data_folder):
    path = data_folder(f"{EDGE}/nibabel/decimal_rescale.dcm")
    dataset = pydicom.dcmread(path, force=True)
    volume = read_dicom(path)
    np.testing.assert_array_equal(volume.array[0], dataset.pixel_array.astype(int) * 2 - 4096)


def test_the_enhanced_mr_is_sorted_and_rescaled(data_folder):
    path = data_folder(f"{EDGE}/dicom2nifti/philips_enhanced") / "IM-0001-0170-0001.dcm"
    volume = read_dicom(path)
    stored = pydicom.dcmread(path).pixel_array
    np.testing.assert_allclose(volume.array, stored * 4.25885225885225, rtol=1e-6)
    np.testing.assert_allclose(volume.spacing_mm, [1, 1, 1.2], atol=1e-4)
    np.testing.assert_allclose(volume.grid.origin_ras, [-100.293579, 150.604593, 116.949244], atol=1e-4)


def test_contours_beside_the_images_are_passed_by(data_folder):
    volume = read_dicom(data_folder(f"{EDGE}/rt-utils"))
    assert volume.shape == (2, 512, 512) and "RTSTRUCT" in volume.warnings[0]


def test_a_whole_chest_is_listed_from_its_headers(data_folder):
    found = {(s.modality, s.n_slices, s.is_image) for s in list_series(data_folder("chest_ct/LUNG1-002_dicom_j2k"))}
    assert ("CT", 111, True) in found and ("RTSTRUCT", 1, False) in found


@pytest.mark.slow
def test_a_whole_chest_agrees_with_simpleitk(data_folder):
    folder = data_folder("chest_ct/LUNG1-002_dicom_j2k")
    volume = read_dicom(folder)
    files = volume.source.files
    other = Volume.from_sitk(sitk.ReadImage([str(file) for file in files]))
    np.testing.assert_array_equal(volume.array, other.array)
    np.testing.assert_allclose(volume.ijk_to_ras, other.ijk_to_ras, atol=1e-6)
