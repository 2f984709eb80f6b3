"""Several series in one folder: listed, chosen, never mixed."""

import numpy as np
import pytest
from dicom_phantoms import PATIENT, header, nm_file, placed, ramp, save, write_series

from manabi.errors import InvalidInputError
from manabi.io.dicom import list_series, read_dicom


@pytest.fixture
def two(tmp_path):
    write_series(tmp_path / "a", ramp(5), placed(5), SeriesInstanceUID="1.2.5", SeriesNumber=2)
    write_series(tmp_path / "b", ramp(3) + 1, placed(3), SeriesInstanceUID="1.2.6", SeriesNumber=7, modality="MR")
    return tmp_path


def test_several_series_are_refused_with_a_list_to_choose_from(two):
    with pytest.raises(InvalidInputError) as caught:
        read_dicom(two)
    assert "series=2: CT, 5 slices; series=7: MR, 3 slices" in str(caught.value)
    assert PATIENT not in str(caught.value)


@pytest.mark.parametrize("wanted", ["7", "1.2.6", " 7 "])
def test_a_series_is_chosen_by_number_or_uid(two, wanted):
    assert read_dicom(two, wanted).shape[0] == 3


def test_a_wrong_choice_says_what_there_is(two):
    with pytest.raises(InvalidInputError, match="no image series '9'.*series=2.*series=7"):
        read_dicom(two, "9")


def test_equal_numbers_are_told_apart_by_uid(two):
    write_series(two / "c", ramp(4), placed(4), SeriesInstanceUID="1.2.8", SeriesNumber=7)
    with pytest.raises(InvalidInputError, match="series=1.2.6: MR, 3 slices.*series=1.2.8: CT, 4 slices"):
        read_dicom(two)
    with pytest.raises(InvalidInputError, match="2 series have the number 7. Choose by UID"):
        read_dicom(two, "7")


def test_objects_that_are_no_images_are_passed_by_with_a_warning(tmp_path):
    write_series(tmp_path, ramp(5), placed(5))
    for modality in ("RTSTRUCT", "SR"):
        uid = f"1.{len(modality)}"
        dataset = header(ramp(1)[0], modality, PixelData=None, Rows=None, Columns=None, SeriesInstanceUID=uid)
        save(dataset, tmp_path / f"{modality}.dcm")
    volume = read_dicom(tmp_path)
    assert volume.shape[0] == 5 and "RTSTRUCT, SR" in volume.warnings[0]


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    save(header(ramp(1)[0], "SEG"), tmp_path / "seg.dcm")
    with pytest.raises(InvalidInputError, match="only SEG"):
        read_dicom(tmp_path)


def test_the_list_has_every_series_and_its_troubles(two):
    write_series(two / "gap", ramp(4), placed(4, [3.0, 6.0, 3.0]), SeriesInstanceUID="1.2.9", SeriesNumber=8)
    save(header(ramp(1)[0], "SEG", SeriesInstanceUID="1.3", SeriesNumber=9), two / "seg.dcm")
    found = list_series(two)
    assert [(s.uid, s.number, s.modality, s.n_slices, s.is_image) for s in found] == [
        ("1.2.5", 2, "CT", 5, True), ("1.2.6", 7, "MR", 3, True), ("1.2.9", 8, "CT", 4, True),
        ("1.3", 9, "SEG", 1, False),
    ]  # fmt: skip
    assert found[0].warnings == () and "missing" in found[2].warnings[0]


def test_projections_beside_their_reconstruction_are_marked_in_the_choice(tmp_path):
    raw = ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]
    nm_file(tmp_path / "a.dcm", ramp(5), ImageType=raw, SeriesInstanceUID="1.4", SeriesNumber=1)
    nm_file(tmp_path / "b.dcm", ramp(5), SeriesInstanceUID="1.5", SeriesNumber=2)
    with pytest.raises(InvalidInputError, match=r"series=1: NM, 5 slices \(projections, not reconstructed\); series=2"):
        read_dicom(tmp_path)
    assert read_dicom(tmp_path, "2").modality == "NM"


def test_files_of_other_kinds_and_directories_are_passed_by(tmp_path):
    write_series(tmp_path, ramp(5), placed(5))
    rng = np.random.default_rng(1)
    for k in range(20):
        (tmp_path / f"other{k}.bin").write_bytes(rng.bytes(5000))
    directory = b"\0" * 128 + b"DICM" + b"\x02\0\x02\0UI\x14\x001.2.840.10008.1.3.10\0"
    (tmp_path / "directory.dcm").write_bytes(directory)
    assert read_dicom(tmp_path).warnings == ()


def test_damaged_files_beside_a_series_are_said(tmp_path):
    write_series(tmp_path, ramp(5), placed(5))
    for name in ("SUZUKI_1.dcm", "SUZUKI_2.dcm"):
        (tmp_path / name).write_bytes(b"\0" * 128 + b"DICM" + b"\x02\x00")
    assert read_dicom(tmp_path).warnings[0] == "2 damaged DICOM files left out: files 6, 7 of 7 by name."
