"""Radiographs: polarity, spacing and its provenance, colour, and what is refused."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1, generate_uid

from manabi.errors import DependencyError, InvalidInputError
from manabi.io.files import read_volume
from manabi.io.radiograph import NO_SPACING, read_radiograph

PIXELS = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16) * 5


def dicom(path, pixels=PIXELS, preamble=True, **tags):
    """A small DX file."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = tags.pop("syntax", ExplicitVRLittleEndian)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.Modality, dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "DX", "MONOCHROME2", 1
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelSpacing = [0.2, 0.15]
    dataset.WindowCenter, dataset.WindowWidth = 100, 10
    for key, value in tags.items():
        if value is None:
            delattr(dataset, key)
        else:
            setattr(dataset, key, value)
    if "PixelData" not in tags:
        dataset.PixelData = pixels.tobytes()
    if preamble:
        dataset.save_as(path, enforce_file_format=True)
    else:
        dataset.file_meta = FileMetaDataset()
        dataset.save_as(path, implicit_vr=True, little_endian=True)
    return path


def picture(path, array, vector=False):
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=vector), str(path))
    return path


# --- DICOM -----------------------------------------------------------------------------------------------


def test_stored_values_come_back_without_the_window(tmp_path):
    volume = read_radiograph(dicom(tmp_path / "a.dcm"))
    np.testing.assert_array_equal(volume.array[0], PIXELS)
    assert volume.array.dtype == np.uint16
    assert volume.modality == "DX"
    assert volume.warnings == ()
    np.testing.assert_allclose(volume.ijk_to_ras, np.diag([-0.15, -0.2, 1, 1]))


def test_monochrome1_is_turned_so_that_denser_is_brighter(tmp_path):
    volume = read_radiograph(dicom(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(volume.array[0], 4095 - PIXELS)
    assert volume.array.dtype == np.uint16


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_modality_rescale_is_applied(tmp_path, photometric):
    path = dicom(tmp_path / "a.dcm", RescaleSlope="0.5", RescaleIntercept="-7", PhotometricInterpretation=photometric)
    stored = 4095.0 - PIXELS if photometric == "MONOCHROME1" else PIXELS
    np.testing.assert_allclose(read_radiograph(path).array[0], stored * 0.5 - 7)


def test_the_modality_lut_table_is_applied(tmp_path):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4096, 0, 16], (np.arange(4096, dtype=np.uint16)[::-1] * 2).tobytes()
    table["LUTDescriptor"].VR = "US"
    table.ModalityLUTType = "US"
    path = dicom(tmp_path / "a.dcm", ModalityLUTSequence=[table])
    np.testing.assert_array_equal(read_radiograph(path).array[0], (4095 - PIXELS) * 2)


@pytest.mark.parametrize(
    ("tags", "spacing", "warning"),
    [
        ({"ImagerPixelSpacing": [0.3, 0.25]}, (0.15, 0.2), None),
        ({"ImagerPixelSpacing": [0.2, 0.15]}, (0.15, 0.2), "magnified"),
        ({"PixelSpacing": None, "ImagerPixelSpacing": [0.3, 0.25]}, (0.25, 0.3), "magnified"),
        (
            {"PixelSpacing": None, "ImagerPixelSpacing": [0.3, 0.25], "EstimatedRadiographicMagnificationFactor": 1.2},
            (0.25, 0.3),
            "about 1.20 times",
        ),
        ({"PixelSpacing": None, "NominalScannedPixelSpacing": [0.4, 0.4]}, (0.4, 0.4), "magnified"),
        ({"PixelSpacing": None}, (1, 1), "1 mm is assumed"),
        ({"PixelSpacing": [0, 0]}, (1, 1), "1 mm is assumed"),
    ],
)
def test_the_spacing_and_its_worth(tmp_path, tags, spacing, warning):
    volume = read_radiograph(dicom(tmp_path / "a.dcm", **tags))
    np.testing.assert_allclose(volume.spacing_mm[:2], spacing)
    assert (not volume.warnings) if warning is None else warning in volume.warnings[0]


def test_a_mirrored_image_is_told(tmp_path):
    volume = read_radiograph(dicom(tmp_path / "a.dcm", PatientOrientation=["R", "F"]))
    assert "mirrored" in volume.warnings[0]


def test_a_file_without_preamble_is_read(tmp_path):
    path = dicom(tmp_path / "bare", preamble=False, syntax=ImplicitVRLittleEndian)
    np.testing.assert_array_equal(read_volume(path).array[0], PIXELS)


def test_a_folder_with_one_radiograph_is_read(tmp_path):
    dicom(tmp_path / "IM0001")
    (tmp_path / "DICOMDIR").write_bytes(b"index")
    (tmp_path / ".DS_Store").write_bytes(b"hidden")
    assert read_volume(tmp_path, name="film").name == "film"


def test_what_is_no_plain_radiograph_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="is CT, not a radiograph"):
        read_radiograph(dicom(tmp_path / "ct.dcm", Modality="CT"))
    with pytest.raises(InvalidInputError, match="2 frames"):
        read_radiograph(dicom(tmp_path / "cine.dcm", NumberOfFrames=2))
    with pytest.raises(InvalidInputError, match="truncated or damaged"):
        read_radiograph(dicom(tmp_path / "short.dcm", PixelData=PIXELS.tobytes()[:100]))
    empty = pydicom.dcmread(dicom(tmp_path / "none.dcm"))
    del empty.PixelData
    empty.save_as(tmp_path / "none.dcm")
    with pytest.raises(InvalidInputError, match="no pixels"):
        read_radiograph(tmp_path / "none.dcm")


def test_an_unknown_compression_is_named(tmp_path):
    from pydicom.encaps import encapsulate

    path = dicom(tmp_path / "a.dcm", syntax=JPEGLosslessSV1, PixelData=encapsulate([b"\xff\xd8\xff\xd9"]))
    with pytest.raises(DependencyError, match="JPEG Lossless.*Export it uncompressed"):
        read_radiograph(path)


def test_colour_dicom_is_grey_only_where_its_channels_agree(tmp_path):
    grey = np.repeat((PIXELS[..., None] // 4).astype(np.uint8), 3, axis=2)
    tags = {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "PlanarConfiguration": 0, "BitsAllocated": 8,
            "BitsStored": 8, "HighBit": 7}  # fmt: skip
    np.testing.assert_array_equal(read_radiograph(dicom(tmp_path / "a.dcm", grey, **tags)).array[0], grey[..., 0])
    grey[3, 4, 0] += 100
    with pytest.raises(InvalidInputError, match="in colour"):
        read_radiograph(dicom(tmp_path / "b.dcm", grey, **tags))


# --- pictures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_pictures_are_exact(tmp_path, suffix, dtype):
    pixels = (PIXELS // (4 if dtype is np.uint8 else 1)).astype(dtype)
    volume = read_volume(picture(tmp_path / f"日本語 é{suffix}", pixels))
    np.testing.assert_array_equal(volume.array[0], pixels)
    assert volume.array.dtype == dtype
    assert volume.warnings == (NO_SPACING,)
    assert volume.modality is None


def test_jpeg_is_read_as_grey(tmp_path):
    volume = read_volume(picture(tmp_path / "a.jpg", np.full((16, 16), 77, np.uint8)))
    assert volume.shape == (1, 16, 16)
    assert np.abs(volume.array.astype(int) - 77).max() <= 2


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_equal_channels_are_grey(tmp_path, channels, dtype):
    pixels = np.repeat((PIXELS // 4).astype(dtype)[..., None], channels, axis=2)
    if channels == 4:
        pixels[..., 3] = np.iinfo(dtype).max
    volume = read_volume(picture(tmp_path / "a.png", pixels, vector=True))
    np.testing.assert_array_equal(volume.array[0], pixels[..., 0])
    assert volume.array.dtype == dtype


def test_true_colour_and_transparency_are_refused(tmp_path):
    pixels = np.repeat((PIXELS // 4).astype(np.uint8)[..., None], 4, axis=2)
    pixels[..., 3] = 255
    pixels[2, 3] = (200, 0, 0, 255)
    with pytest.raises(InvalidInputError, match="in colour"):
        read_volume(picture(tmp_path / "a.png", pixels, vector=True))
    pixels[2, 3] = (9, 9, 9, 0)
    with pytest.raises(InvalidInputError, match="partly transparent"):
        read_volume(picture(tmp_path / "b.png", pixels, vector=True))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero_in_tiff_is_turned_round(tmp_path, dtype):
    import tifffile

    pixels = (PIXELS // 4).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.tif").array[0], np.iinfo(dtype).max - pixels)


def test_several_pages_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="3 pages"):
        read_volume(picture(tmp_path / "a.tif", np.stack([PIXELS] * 3)))


# --- real films ------------------------------------------------------------------------------------------


def test_a_real_fuji_film_without_preamble(data_folder):
    volume = read_volume(data_folder("cxr/CR-MONO1-10-chest"))
    assert (volume.shape, volume.modality, volume.warnings) == ((1, 440, 440), "CR", (NO_SPACING,))
    assert volume.array.max() <= 1023
    corner, spine = volume.array[0, :15, :15].mean(), volume.array[0, 200:400, 200:240].mean()
    assert spine > corner + 100


def test_a_real_jpeg2000_film(data_folder):
    volume = read_volume(data_folder("dicom_edge/pydicom-data/RG3_J2KI.dcm"))
    assert (volume.shape, volume.modality) == ((1, 1760, 1760), "CR")
    assert 0 <= volume.array.min() < volume.array.max() <= 1023
    assert any("mirrored" in text for text in volume.warnings)


def test_a_real_dx_image_with_unequal_spacing(data_folder):
    volume = read_volume(data_folder("dicom_edge/highdicom/dx_image.dcm"))
    np.testing.assert_allclose(volume.spacing_mm, (1.2012, 1.2, 1.0), atol=1e-6)
    assert "magnified" in volume.warnings[0]


def test_a_real_lossless_jpeg_is_decoded_as_a_film(data_folder, tmp_path):
    dataset = pydicom.dcmread(next(data_folder("dicom_edge").rglob("bad_sequence.dcm")))
    dataset.Modality = "DX"
    dataset.save_as(tmp_path / "film.dcm")
    volume = read_radiograph(tmp_path / "film.dcm")
    assert volume.shape == (1, 512, 512)
    assert (volume.array.min(), volume.array.max()) == (-1011, 1243)


@pytest.mark.parametrize("name", ["cxr/CR-MONO1-10-chest", "dicom_edge/pydicom-data/RG3_J2KI.dcm"])
def test_both_decoders_agree_on_polarity(data_folder, name):
    path = data_folder(name)
    np.testing.assert_array_equal(read_radiograph(path).array, sitk.GetArrayFromImage(sitk.ReadImage(str(path))))


def test_every_nih_film_is_grey(data_folder):
    films = sorted(data_folder("cxr/nih").glob("*.png"))
    assert len(films) >= 40
    channels = set()
    for film in films:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(film))
        reader.ReadImageInformation()
        if reader.GetNumberOfComponents() != 1 or not channels:
            channels.add(reader.GetNumberOfComponents())
            assert read_volume(film).shape == (1, 1024, 1024)
    assert channels == {1, 4}
