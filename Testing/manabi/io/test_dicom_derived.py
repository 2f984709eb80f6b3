"""What the files of a derived series have in common: modality, references to the originals, and nothing left over."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from manabi.io.dicom import DicomSource
from manabi.io.dicom.derived import derived_dataset, describe_pixels, modality_of, save_instance, source_images
from manabi.io.dicom.quantise import quantised
from manabi.volume import Volume

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def volume_of(modality):
    return Volume(np.zeros((3, 4, 5), np.int16), np.diag([2.0, 2.0, 3.0, 1.0]), modality=modality)


def source_of(*uids, modality="CT", sop_class_uid=CT_IMAGE):
    return DicomSource((), "1.2", modality=modality, sop_class_uid=sop_class_uid, instance_uids=uids)


@pytest.mark.parametrize(
    ("own", "of_reference", "expected"),
    [("MR", "CT", "MR"), (None, "CT", "CT"), (None, None, "OT"), ("US", "CT", "OT"), ("NM", None, "NM")],
)
def test_the_modality_is_the_volume_s_then_the_reference_s_and_else_none_that_claims_anything(
    own, of_reference, expected
):
    reference = source_of(modality=of_reference) if of_reference else None
    assert modality_of(volume_of(own), reference) == expected


@pytest.mark.parametrize(
    ("uids", "index", "count", "expected"),
    [
        (("1.1", "1.2", "1.3"), 1, 3, ["1.2"]),
        (("1.1",), 2, 3, ["1.1"]),
        (("1.1",), None, 1, ["1.1"]),
        (("1.1", "1.2"), 1, 3, []),
        ((), 0, 1, []),
    ],
)
def test_a_slice_names_the_original_of_its_number_or_the_only_one(uids, index, count, expected):
    found = source_images(source_of(*uids), index, count)
    assert [item.ReferencedSOPInstanceUID for item in found] == expected
    assert {item.ReferencedSOPClassUID for item in found} <= {CT_IMAGE}


def test_originals_whose_class_is_not_known_are_not_named():
    assert source_images(source_of("1.1", sop_class_uid=""), 0, 1) == []
    assert source_images(None, 0, 1) == []


def test_a_file_does_not_name_the_originals_of_the_file_before(tmp_path):
    volume = volume_of("CT")
    dataset = derived_dataset(None, "CT", {}, "Derived")
    stored = quantised(volume.array, zero_is_zero=False)
    describe_pixels(dataset, volume, stored)
    dataset.PixelData = stored.pixels[0].tobytes()
    names = [
        save_instance(dataset, tmp_path / "1.dcm", source_images(source_of("1.1"), 0, 1)),
        save_instance(dataset, tmp_path / "2.dcm", []),
    ]
    first, second = (pydicom.dcmread(tmp_path / name) for name in names)
    assert first.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.1"
    assert "SourceImageSequence" not in second
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert (second.Rows, second.Columns, list(second.PixelSpacing)) == (4, 5, [2.0, 2.0])
