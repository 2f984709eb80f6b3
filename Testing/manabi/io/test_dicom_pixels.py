"""Decoding: every compression gives the stored values, and what is damaged says so."""

import numpy as np
import pydicom
import pytest
from dicom_phantoms import header
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from manabi.errors import DependencyError, InvalidInputError
from manabi.io.dicom import read_pixels


def with_syntax(dataset, syntax=ExplicitVRLittleEndian):
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_compressed_pixels_come_back_exactly(syntax, dtype):
    pixels = np.random.default_rng(5).integers(0, 4000, (64, 48)).astype(dtype)
    dataset = with_syntax(header(pixels))
    dataset.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(read_pixels(dataset), pixels)


def test_bits_above_bits_stored_are_cleared_with_sign(tmp_path):
    values = np.array([[5, -3], [2047, -2048]], np.int16)
    stored = values & 0x0FFF | 0x7000
    dataset = with_syntax(header(stored.astype(np.int16), BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(read_pixels(dataset), values)


def test_no_pixels_and_too_few_pixels_are_said_with_the_given_name():
    dataset = with_syntax(header(np.zeros((4, 4), np.int16), PixelData=None))
    with pytest.raises(InvalidInputError, match="slice 3 has no pixel data"):
        read_pixels(dataset, "slice 3")
    dataset.PixelData = b"\0" * 7
    with pytest.raises(InvalidInputError, match="slice 3: .*truncated"):
        read_pixels(dataset, "slice 3")


def test_an_undecodable_compression_is_named():
    dataset = with_syntax(header(np.zeros((4, 4), np.int16)), JPEGLSLossless)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8 this is no image"])
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(DependencyError, match="slice 3 is compressed as JPEG-LS Lossless"):
        read_pixels(dataset, "slice 3")


def test_jpeg_ls_frames_decode_to_the_uncompressed_ones(data_folder):
    plain = pydicom.dcmread(data_folder("dicom_edge/pydicom-data/emri_small.dcm"))
    packed = pydicom.dcmread(data_folder("dicom_edge/pydicom-data/emri_small_jpeg_ls_lossless.dcm"))
    np.testing.assert_array_equal(read_pixels(packed), read_pixels(plain))


def test_jpeg_lossless_decodes_without_rescale(data_folder):
    packed = pydicom.dcmread(data_folder("dicom_edge/pydicom-data/bad_sequence.dcm"))
    pixels = read_pixels(packed)
    assert pixels.shape == (512, 512) and pixels.min() >= 0 and pixels.max() > 1024
