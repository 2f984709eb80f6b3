"""What cannot be read rightly is refused, and the message names the slice."""

import numpy as np
import pytest
from dicom_phantoms import AXIAL, PATIENT, enhanced_file, header, nm_file, oblique, placed, ramp, save, write_series

from manabi.errors import GeometryError, InvalidInputError, ManabiError
from manabi.io import read_volume
from manabi.io.dicom import read_dicom


def refused(path, *words, error=GeometryError):
    with pytest.raises(error) as caught:
        read_dicom(path)
    text = str(caught.value)
    for word in words:
        assert word in text, text
    assert PATIENT not in text and str(path) not in text and ".dcm" not in text
    return text


def without(folder, gone, n=8, numbers=None, **tags):
    """A series of ``n`` slices from which some are missing."""
    kept = [k for k in range(n) if k not in gone]
    write_series(folder, ramp(n)[kept], placed(n)[kept], numbers=[k + 1 for k in kept], **tags)


def test_a_missing_slice_is_named_by_its_neighbours(tmp_path):
    without(tmp_path, [4])
    refused(tmp_path, "slice 4 (InstanceNumber 4, file 4 of 7 by name) and slice 5", "6.00 mm", "1 slice is")


def test_several_missing_slices_are_counted(tmp_path):
    without(tmp_path, [2, 3])
    refused(tmp_path, "9.00 mm", "3.00 mm", "2 slices are missing")


def test_every_other_slice_missing_in_a_part_is_no_second_spacing(tmp_path):
    """Two equal intervals in a row look like a coarser part; the InstanceNumbers say that slices are missing."""
    without(tmp_path, [4, 6], n=9)
    refused(tmp_path, "slice 4 (InstanceNumber 4", "missing")


def test_a_gap_in_a_stack_of_two_spacings_is_found(tmp_path):
    steps = [2.0, 2.0, 4.0, 2.0, 5.0, 5.0, 5.0]
    write_series(tmp_path, ramp(8), placed(8, steps))
    refused(tmp_path, "slice 3", "slice 4", "4.00 mm")


def test_a_gap_that_is_no_whole_number_of_slices_is_refused_too(tmp_path):
    write_series(tmp_path, ramp(5), placed(5, [3.0, 3.0, 5.3, 3.0]))
    text = refused(tmp_path, "slice 3", "5.30 mm")
    assert "missing" not in text


def test_a_gap_among_three_slices_is_found(tmp_path):
    write_series(tmp_path, ramp(3), placed(3, [5.0, 10.0]))
    refused(tmp_path, "slice 2 (InstanceNumber 2", "1 slice is missing")


def test_slices_of_another_orientation_are_named(tmp_path):
    each = {3: {"ImageOrientationPatient": [f"{v:.8g}" for v in oblique().ravel()]}}
    write_series(tmp_path, ramp(), placed(5), each=each)
    refused(tmp_path, "several orientations", "slice 4 (InstanceNumber 4, file 4 of 5 by name)")


def test_images_of_another_size_are_named(tmp_path):
    write_series(tmp_path, ramp(), placed(5))
    write_series(tmp_path / "z", ramp(1, 4, 4), placed(1) + [[0, 0, 30]], numbers=[9])
    refused(tmp_path, "several sizes", "6 rows × 7 columns", "InstanceNumber 9")


def test_images_of_another_pixel_spacing_are_named(tmp_path):
    write_series(tmp_path, ramp(), placed(5), each={2: {"PixelSpacing": [2.0, 2.0]}})
    refused(tmp_path, "several sizes", "slice 3 (InstanceNumber 3")


def test_a_scout_among_the_slices_is_named(tmp_path):
    write_series(tmp_path, ramp(), placed(5), each={0: {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}})
    refused(tmp_path, "scout", "slice 1 (InstanceNumber 1")


def test_a_scout_alone_is_refused(tmp_path):
    write_series(tmp_path, ramp(1), placed(1), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    refused(tmp_path, "scout", error=InvalidInputError)


def test_two_images_at_one_place_are_named(tmp_path):
    positions = placed(5)
    positions[3] = positions[2]
    positions[4] = placed(4)[3]
    write_series(tmp_path, ramp(), positions)
    refused(tmp_path, "2 images share their place", "InstanceNumber 3", "InstanceNumber 4")


def test_several_time_points_are_4d_and_the_difference_is_told(tmp_path):
    positions = np.concatenate([placed(4), placed(4)])
    each = {k: {"TemporalPositionIdentifier": 1 + k // 4} for k in range(8)}
    write_series(tmp_path, ramp(8), positions, each=each, modality="MR")
    refused(tmp_path, "4-D", "2 images lie at each of 4 places", "TemporalPositionIdentifier", error=InvalidInputError)


def test_an_image_without_pixels_is_named(tmp_path):
    write_series(tmp_path, ramp(), placed(5), each={2: {"PixelData": None}})
    refused(tmp_path, "slice 3 (InstanceNumber 3, file 3 of 5 by name) has no pixel data", error=InvalidInputError)


def test_truncated_pixels_are_named(tmp_path):
    write_series(tmp_path, ramp(), placed(5), each={1: {"PixelData": b"\0" * 20}})
    refused(tmp_path, "slice 2 (InstanceNumber 2", "truncated", error=InvalidInputError)


def test_a_file_cut_in_its_header_is_refused_without_a_traceback(tmp_path):
    (path,) = write_series(tmp_path, ramp(1), placed(1))
    path.write_bytes(path.read_bytes()[:300])
    refused(path, "truncated or damaged", error=InvalidInputError)


def test_damaged_files_are_counted_and_found_by_their_place_without_being_named(tmp_path):
    for name in ("Pat1/SUZUKI_HANAKO_001.dcm", "Pat1/SUZUKI_HANAKO_000.dcm", "readme.txt", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0" * 128 + b"DICM" + b"junk" * 9 if "SUZUKI" in name else b"x")
    text = refused(tmp_path, "Every DICOM file", "(files 1, 2 of 3 by name)", error=InvalidInputError)
    assert "SUZUKI" not in text and "Pat1" not in text


def test_the_only_file_of_a_folder_is_not_named_unless_it_was_asked_for(tmp_path):
    """A radiograph; its reader names the file that it is given."""
    path = save(header(ramp(1)[0], "DX", PixelData=b"\0" * 3), tmp_path / "case" / "SUZUKI HANAKO.dcm")
    with pytest.raises(ManabiError, match="the only file of") as caught:
        read_volume(tmp_path / "case")
    assert "SUZUKI" not in str(caught.value)
    with pytest.raises(ManabiError, match="SUZUKI HANAKO"):
        read_volume(path)


@pytest.mark.parametrize("keyword", ["ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"])
def test_a_slice_without_geometry_is_named(tmp_path, keyword):
    write_series(tmp_path, ramp(), placed(5), each={4: {keyword: None}})
    refused(tmp_path, keyword, "InstanceNumber 5")


def test_directions_that_are_not_perpendicular_are_refused(tmp_path):
    write_series(tmp_path, ramp(), placed(5), ImageOrientationPatient=[1, 0, 0, 0.5, 0.9, 0])
    refused(tmp_path, "perpendicular")


def test_colour_is_refused(tmp_path):
    pixels = np.zeros((4, 5, 3), np.uint8)
    dataset = header(pixels[..., 0], SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    dataset.PixelData = pixels.tobytes()
    dataset.ImagePositionPatient, dataset.PixelSpacing = [0, 0, 0], [1, 1]
    dataset.ImageOrientationPatient = list(AXIAL.ravel())
    refused(save(dataset, tmp_path / "rgb.dcm"), "is in colour (RGB):", error=InvalidInputError)


def test_a_mosaic_is_refused(tmp_path):
    write_series(tmp_path, ramp(1), placed(1), modality="MR", ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    refused(tmp_path, "mosaic", error=InvalidInputError)


def test_what_is_no_dicom_is_refused(tmp_path):
    text = tmp_path / "readme.txt"
    text.write_text("hello " * 100)
    refused(text, "This is no DICOM file", error=InvalidInputError)
    refused(tmp_path, "no DICOM files", error=InvalidInputError)
    refused(tmp_path / "absent", "no such file", error=InvalidInputError)


def test_damaged_bytes_give_a_plain_error_or_a_volume(tmp_path):
    rng = np.random.default_rng(11)
    sources = [
        write_series(tmp_path / "a", ramp(1), placed(1), oblique())[0], nm_file(tmp_path / "b.dcm", ramp(4)),
        enhanced_file(tmp_path / "c.dcm", ramp(4), placed(4)),
    ]  # fmt: skip
    outcomes = set()
    for k in range(240):
        content = bytearray(sources[k % 3].read_bytes())
        for _ in range(rng.integers(1, 20)):
            content[rng.integers(128, len(content))] = rng.integers(256)
        damaged = tmp_path / "damaged.dcm"
        damaged.write_bytes(content[: len(content) if k % 5 else rng.integers(len(content))])
        try:
            outcomes.add(type(read_dicom(damaged)).__name__)
        except ManabiError as error:
            outcomes.add(type(error).__name__)
    assert outcomes >= {"Volume", "InvalidInputError", "GeometryError"}
