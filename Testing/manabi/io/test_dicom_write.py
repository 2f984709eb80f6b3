"""Derived series: they lie where the volume lies, keep its values, and belong to the original's patient and study."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_phantoms import PATIENT, enhanced_file, nm_file, oblique, placed, ramp, write_series

from manabi.errors import GeometryError, InvalidInputError
from manabi.io.dicom import read_dicom, write, write_dicom
from manabi.volume import Volume

PROVENANCE = {"method": "spect", "bundle": {"name": "small", "version": "1.0", "sha256": "abc"}}
MODALITIES = [("CT", "HU"), ("MR", None), ("PT", "BQML"), ("NM", "CNTS"), (None, None)]
JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def save(volume, folder, reference=None, provenance=PROVENANCE):
    return write_dicom(volume, folder, reference, series_description="Denoised", provenance=provenance)


def make(array, modality="CT", units="HU", left_handed=False):
    matrix = np.eye(4)
    matrix[:3, :2] = oblique().T * [1.5, 2.0]
    matrix[:3, 2] = np.cross(*oblique()) * (-3.3 if left_handed else 3.3)
    matrix[:3, 3] = [10.123456, -40.5, 77.0]
    return Volume(array, matrix, modality=modality, units=units)


def noise(low=-400.0, high=900.0, dtype=np.float32):
    return np.random.default_rng(3).uniform(low, high, (6, 9, 11)).astype(dtype)


def header(path):
    return pydicom.dcmread(path, stop_before_pixels=True)


@pytest.mark.parametrize("left_handed", [False, True])
@pytest.mark.parametrize(("modality", "units"), MODALITIES)
def test_geometry_and_values_survive(tmp_path, modality, units, left_handed):
    volume = make(noise(), modality, units, left_handed)
    files = save(volume, tmp_path / "out")
    back = read_dicom(tmp_path / "out")
    assert (back.modality, back.units) == (modality or "OT", units)
    assert len(files) == (1 if modality == "NM" else 6) and all(file.is_file() for file in files)
    back = back.reoriented_like(volume.grid)
    assert back.grid.same_as(volume.grid, 1e-4)
    step = float(header(files[0]).RescaleSlope)
    assert step < 0.03 and np.abs(back.array - volume.array).max() <= 0.51 * step


@pytest.mark.parametrize(("modality", "units"), MODALITIES)
def test_simpleitk_sees_the_same(tmp_path, modality, units):
    """A second reader: values too, for nuclear medicine as well (acceptance check 16)."""
    files = save(make(noise(), modality, units), tmp_path / "out")
    other = Volume.from_sitk(sitk.ReadImage(str(files[0]) if len(files) == 1 else [str(f) for f in files]))
    ours = read_dicom(tmp_path / "out")
    np.testing.assert_allclose(other.ijk_to_ras, ours.ijk_to_ras, atol=1e-4)
    np.testing.assert_allclose(other.array, ours.array, atol=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(-1024, 3071, np.int16), (0, 60000, np.uint16), (0, 255, np.uint8), (-100, 100, np.int64), (0, 2, bool)],
)
@pytest.mark.parametrize("modality", ["CT", "NM"])
def test_whole_numbers_are_exact_with_slope_one(tmp_path, modality, low, high, dtype):
    array = np.random.default_rng(4).integers(low, high, (4, 5, 6)).astype(dtype)
    (first, *_) = save(make(array, modality), tmp_path / "out")
    assert (header(first).RescaleSlope, header(first).RescaleIntercept) == (1, 0)
    np.testing.assert_array_equal(read_dicom(tmp_path / "out").array, array.astype(int))


@pytest.mark.parametrize("scale", [1e-7, 1.0, 3e9])
@pytest.mark.parametrize("modality", ["MR", "PT", "NM"])
def test_any_range_of_values_keeps_16_bits(tmp_path, modality, scale):
    volume = make(noise(-0.3, 1.0) * np.float32(scale), modality, None)
    save(volume, tmp_path / "out")
    error = np.abs(read_dicom(tmp_path / "out").array - volume.array).max()
    assert error <= 1.1 * scale / (32767 if modality != "MR" else 65535)


@pytest.mark.parametrize("value", [0.0, 0.37, -5.5])
@pytest.mark.parametrize("modality", ["MR", "PT"])
def test_constant_images_survive(tmp_path, modality, value):
    save(make(np.full((3, 4, 5), value, np.float32), modality, None), tmp_path / "out")
    np.testing.assert_allclose(read_dicom(tmp_path / "out").array, value, rtol=1e-4)


def test_pet_and_nm_have_no_intercept(tmp_path):
    for modality in ("PT", "NM"):
        (first, *_) = save(make(noise(), modality, None), tmp_path / modality)
        assert header(first).RescaleIntercept == 0


def test_patient_study_and_frame_are_inherited_and_the_series_is_new(tmp_path):
    write_series(
        tmp_path / "in", ramp(4), placed(4), FrameOfReferenceUID="1.2.77", PatientID="P1", StudyDate="20200102",
        PatientPosition="HFS", KVP="120", SeriesDescription="original",
    )  # fmt: skip
    volume = read_dicom(tmp_path / "in")
    files = save(volume, tmp_path / "out", volume.source)
    headers = [header(file) for file in files]
    for k, found in enumerate(headers):
        assert (found.StudyInstanceUID, found.PatientName, found.PatientID) == ("1.2.3", PATIENT, "P1")
        assert (found.FrameOfReferenceUID, found.PatientPosition, found.KVP) == ("1.2.77", "HFS", 120)
        assert found.SeriesInstanceUID == headers[0].SeriesInstanceUID != "1.2.3.4"
        assert list(found.ImageType[:2]) == ["DERIVED", "SECONDARY"] and found.SeriesDescription == "Denoised"
        source = found.SourceImageSequence[0].ReferencedSOPInstanceUID
        assert source == volume.source.instance_uids[k]
    assert len({found.SOPInstanceUID for found in headers}) == 4
    np.testing.assert_array_equal(read_dicom(tmp_path / "out").array, volume.array)


def test_the_header_says_what_made_it_and_for_which_use(tmp_path):
    (first, *_) = save(make(noise()), tmp_path / "out")
    found = header(first)
    assert "Manabi" in found.DerivationDescription and "research use" in found.DerivationDescription
    tool = found.ContributingEquipmentSequence[0]
    assert "method spect" in tool.ContributionDescription and "sha256 abc" in tool.ContributionDescription


def test_without_a_reference_there_is_a_new_study_and_no_patient(tmp_path):
    first, *_ = save(make(noise()), tmp_path / "out", provenance={})
    found = header(first)
    assert str(found.PatientName) == "" and found.PatientID == "" and found.StudyInstanceUID


def test_japanese_names_survive_whatever_the_original_encoding(tmp_path):
    write_series(
        tmp_path / "in", ramp(3), placed(3), SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=JAPANESE
    )
    volume = read_dicom(tmp_path / "in")
    (first, *_) = save(volume, tmp_path / "出力", volume.source)
    name = header(first).PatientName
    assert (name.ideographic, name.phonetic, name.alphabetic) == ("山田^太郎", "やまだ^たろう", "Yamada^Tarou")


def test_spect_is_written_beside_its_reconstruction(tmp_path):
    axes = oblique()
    path = nm_file(tmp_path / "in.dcm", ramp(6), axes, spacing=-3.3)
    volume = read_dicom(path)
    denoised = volume.like(volume.array * np.float32(0.77))
    (written,) = save(denoised, tmp_path / "out", volume.source)
    found, back = header(written), read_dicom(written)
    assert (found.FrameOfReferenceUID, found.StudyInstanceUID) == ("1.2.3.9", "1.2.3")
    assert found.ImageType[2] == "RECON TOMO" and found.NumberOfFrames == found.NumberOfSlices == 6
    assert found.SourceImageSequence[0].ReferencedSOPInstanceUID == volume.source.instance_uids[0]
    mapping = found.RealWorldValueMappingSequence[0]
    assert mapping.RealWorldValueSlope == float(found.RescaleSlope)
    assert back.grid.same_as(volume.grid, 1e-4)
    np.testing.assert_allclose(back.array, denoised.array, atol=float(found.RescaleSlope))


def test_nuclear_medicine_in_other_units_says_so(tmp_path):
    save(make(noise(0, 1), "NM", "BQML"), tmp_path / "out")
    assert read_dicom(tmp_path / "out").units == "BQML"


def test_an_enhanced_original_gives_its_patient_and_study(tmp_path):
    volume = read_dicom(enhanced_file(tmp_path / "in.dcm", ramp(4), placed(4)))
    (first, *_) = save(volume, tmp_path / "out", volume.source)
    assert header(first).PatientName == PATIENT and read_dicom(tmp_path / "out").grid.same_as(volume.grid)


def test_pet_keeps_what_standardised_uptake_needs(tmp_path):
    drug = pydicom.Dataset()
    drug.RadionuclideTotalDose = "370000000"
    write_series(
        tmp_path / "in", ramp(3), placed(3), modality="PT", Units="BQML", PatientWeight="61", DecayCorrection="START",
        SeriesTime="101500", RadiopharmaceuticalInformationSequence=[drug], AcquisitionTime="101700",
    )  # fmt: skip
    volume = read_dicom(tmp_path / "in")
    (first, *_) = save(volume, tmp_path / "out", volume.source)
    found = header(first)
    assert (found.Units, found.PatientWeight) == ("BQML", 61)
    assert (found.DecayCorrection, found.SeriesTime, found.AcquisitionTime) == ("START", "101500", "101700")
    assert found.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose == 370000000


def test_nothing_is_left_when_writing_fails(tmp_path, monkeypatch):
    real, count = write.save_instance, []

    def failing(*arguments):
        count.append(1)
        if len(count) == 3:
            raise OSError("disk trouble")
        return real(*arguments)

    monkeypatch.setattr(write, "save_instance", failing)
    with pytest.raises(OSError, match="disk trouble"):
        save(make(noise()), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    volume = make(noise())
    broken = noise()
    broken[0, 0, 0] = np.nan
    with pytest.raises(InvalidInputError, match="NaN"):
        save(volume.like(broken), tmp_path / "out")
    sheared = volume.ijk_to_ras.copy()
    sheared[0, 2] += 1
    with pytest.raises(GeometryError, match="perpendicular"):
        save(replace(volume, ijk_to_ras=sheared), tmp_path / "out")
    with pytest.raises(InvalidInputError, match="DicomSource"):
        save(volume, tmp_path / "out", reference="somewhere")
    assert list(tmp_path.iterdir()) == []


def test_an_original_that_is_gone_and_a_folder_in_use_are_refused(tmp_path):
    paths = write_series(tmp_path / "in", ramp(3), placed(3))
    volume = read_dicom(tmp_path / "in")
    with pytest.raises(InvalidInputError, match="exists"):
        save(volume, tmp_path / "in", volume.source)
    for path in paths:
        path.unlink()
    with pytest.raises(InvalidInputError, match="original DICOM files"):
        save(volume, tmp_path / "out", volume.source)
    assert not (tmp_path / "out").exists()


def test_a_second_derivation_still_belongs_to_the_study(tmp_path):
    write_series(tmp_path / "in", ramp(3), placed(3))
    first = read_dicom(tmp_path / "in")
    save(first, tmp_path / "one", first.source)
    second = read_dicom(tmp_path / "one")
    (path, *_) = save(second, tmp_path / "two", second.source)
    assert header(path).StudyInstanceUID == "1.2.3"
