"""Films as files: DICOM of either polarity and pictures; and Slicer's DICOM database with one of them in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nodule_panel_user import SPACING, chest

DX = "1.2.840.10008.5.1.4.1.1.1.1"
MOST = 4095


def write_dicom(path: Path, monochrome1: bool = False, pixels: Any = None, **tags: Any) -> Path:
    """A DX file of the chest, or of other pixels, with a patient's name; ``monochrome1`` stores bone dark."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    pixels = chest()[0].astype(np.uint16) if pixels is None else pixels
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = DX
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.SeriesNumber = generate_uid(), generate_uid(), 3
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "4711"
    dataset.Modality, dataset.SamplesPerPixel = "DX", 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if monochrome1 else "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.ImagerPixelSpacing = [SPACING[1], SPACING[0]]
    for key, value in tags.items():
        setattr(dataset, key, value)
    dataset.PixelData = (MOST - pixels if monochrome1 else pixels).astype(np.uint16).tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_png(path: Path) -> Path:
    """The chest as a PNG of 16 bit."""
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(chest()[0].astype(np.uint16)), str(path))
    return path


class Database:
    """Slicer's DICOM database with one file in it."""

    isOpen = True  # noqa: N815  (its name in Slicer)

    def __init__(self, path: Path) -> None:
        import pydicom

        self.path, self.data = str(path), pydicom.dcmread(path, stop_before_pixels=True)

    def fileForInstance(self, uid: str) -> str:
        return self.path if uid == str(self.data.SOPInstanceUID) else ""

    def fileValue(self, path: str, tag: str) -> str:
        element = self.data.get((int(tag[:4], 16), int(tag[5:], 16)))
        return "" if element is None else str(element.value)


def as_slicer_loads(monkeypatch: Any, path: Path, negative: bool) -> Any:
    """The node that Slicer makes of a DICOM file in its database.

    Args:
        monkeypatch: the fixture.
        path: the file.
        negative: whether the stored values come through, with bone dark.
    """
    import slicer
    from nodule_panel_user import straight

    database = Database(path)
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    array = (MOST - chest()) if negative else chest()
    node = slicer.util.addVolumeFromArray(array.astype(np.int16), straight(), "3: Doe^Jane")
    node.SetAttribute("DICOM.instanceUIDs", str(database.data.SOPInstanceUID))
    return node
