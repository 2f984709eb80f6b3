"""A site's CT series and RTSTRUCTs in small, made by hand in pydicom: any orientation, order and references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

CT_CLASS, RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.481.3"
STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
NAME, NUMBER, BORN = "Yamada^Hanako", "4711-0815", "19500403"
SHAPE, PIXEL_MM, SLICE_MM = (8, 20, 24), (2.0, 1.5), 3.0
AXES = {
    "head_first": np.eye(3)[:2],
    "feet_first": np.array([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "prone": np.array([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "oblique": Rotation.from_euler("xyz", (12.0, -17.0, 31.0), degrees=True).as_matrix()[:, :2].T,
}
"""Directions of rows and columns; in ``feet_first`` the slices' normal points to the feet."""
POSITIONS = {"head_first": "HFS", "feet_first": "FFS", "prone": "HFP", "oblique": "HFS"}
Contour = np.ndarray
"""``(n, 3)``: column, row and slice of every corner, from 0, slices in the order along their normal."""


def item(**values: Any) -> Dataset:
    """A data set of attributes."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


class Ct:
    """A CT series on disk.

    Args:
        folder: for its files.
        kind: of :data:`AXES`.
        order: of the slices in files and InstanceNumbers.
        tags: further attributes.
    """

    def __init__(self, folder: Path, kind: str = "head_first", order: Sequence[int] = range(8), **tags: Any) -> None:
        self.axes, self.origin = AXES[kind], np.array([-20.0, -15.0, 100.0])
        self.patient = {"PatientName": NAME, "PatientID": NUMBER, "PatientBirthDate": BORN, "StudyInstanceUID": "1.2.3"}
        self.series, self.frame = generate_uid(), tags.pop("FrameOfReferenceUID", generate_uid())
        self.patient |= {key: tags.pop(key) for key in list(tags) if key in self.patient}
        self.images = [generate_uid() for _ in range(SHAPE[0])]
        values = np.random.default_rng(int(tags.pop("seed", 3))).integers(-900, 900, SHAPE).astype("<i2")
        for number, k in enumerate(order, 1):
            made = item(
                SOPClassUID=CT_CLASS, SOPInstanceUID=self.images[k], Modality="CT", SeriesInstanceUID=self.series,
                SeriesNumber=2, FrameOfReferenceUID=self.frame, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
                PatientPosition=POSITIONS[kind], InstanceNumber=number, SliceThickness=SLICE_MM,
                ImagePositionPatient=texts(self.lps([0, 0, k])), ImageOrientationPatient=texts(self.axes),
                PixelSpacing=list(PIXEL_MM), SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", Rows=SHAPE[1],
                Columns=SHAPE[2], BitsAllocated=16, BitsStored=16, HighBit=15, PixelRepresentation=1,
                PixelData=values[k].tobytes(), **(self.patient | tags),
            )  # fmt: skip
            save(made, folder / f"{number:03d}.dcm")

    def lps(self, ijk: Any) -> np.ndarray:
        """LPS mm of columns, rows and slices."""
        steps = np.stack([self.axes[0] * PIXEL_MM[1], self.axes[1] * PIXEL_MM[0], np.cross(*self.axes) * SLICE_MM])
        return self.origin + np.asarray(ijk, float) @ steps


def save(dataset: Dataset, path: Path) -> Path:
    """Write a file with preamble."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def texts(values: Any) -> list[str]:
    """Numbers as DICOM writes them."""
    return [f"{value:.10g}" for value in np.ravel(values)]


def structures(
    path: Path, ct: Ct, organs: Mapping[str, Sequence[Contour]], *, series: bool = True, images: bool = True,
    kind: str = "CLOSED_PLANAR", **tags: Any,
) -> Path:  # fmt: skip
    """An RTSTRUCT.

    Args:
        path: of the file.
        ct: that its contours lie on.
        organs: contours by name; names may stand twice with a ``*`` behind.
        series: whether it names the series.
        images: whether its contours name the images.
        kind: of the contours.
        tags: further attributes.
    """
    rois, drawn = [], []
    for number, (name, contours) in enumerate(organs.items(), 1):
        rois.append(item(ROINumber=number, ROIName=name.rstrip("*"), ReferencedFrameOfReferenceUID=ct.frame))
        found = [
            item(
                ContourGeometricType=kind, NumberOfContourPoints=len(corners), ContourData=texts(ct.lps(corners)),
                **({"ContourImageSequence": [_image(ct, corners)]} if images else {}),
            )
            for corners in map(np.asarray, contours)
        ]  # fmt: skip
        drawn.append(item(ReferencedROINumber=number, ContourSequence=found))
    study = item(ReferencedSOPClassUID=STUDY_CLASS, ReferencedSOPInstanceUID=ct.patient["StudyInstanceUID"])
    study.RTReferencedSeriesSequence = [item(SeriesInstanceUID=ct.series)] if series else []
    when = {"StructureSetDate": "20240103", "StructureSetTime": "090000"}
    made = item(
        SpecificCharacterSet="ISO_IR 192", SOPClassUID=RTSTRUCT_CLASS, SOPInstanceUID=generate_uid(),
        Modality="RTSTRUCT", SeriesInstanceUID=generate_uid(), StructureSetLabel="PLAN",
        StructureSetROISequence=rois, ROIContourSequence=drawn,
        ReferencedFrameOfReferenceSequence=[item(FrameOfReferenceUID=ct.frame, RTReferencedStudySequence=[study])],
        **(when | ct.patient | tags),
    )  # fmt: skip
    return save(made, path)


def _image(ct: Ct, corners: np.ndarray) -> Dataset:
    k = int(np.clip(round(float(corners[:, 2].mean())), 0, SHAPE[0] - 1))
    return item(ReferencedSOPClassUID=CT_CLASS, ReferencedSOPInstanceUID=ct.images[k])


def box(columns: tuple[int, int], rows: tuple[int, int], k: float) -> Contour:
    """The outline of a rectangle of whole voxels, both ends included, in a slice."""
    (a, b), (c, d) = columns, rows
    corners = [(a - 0.4, c - 0.4), (b + 0.4, c - 0.4), (b + 0.4, d + 0.4), (a - 0.4, d + 0.4)]
    return np.array([(x, y, k) for x, y in corners])


def keyhole(outer: Contour, inner: Contour) -> Contour:
    """One contour around a ring: the outline, a channel of no width to the hole, the hole the other way round, back."""
    return np.concatenate([outer, outer[:1], inner[:1], inner[1:][::-1], inner[:1], outer[:1]])


def four_organs() -> dict[str, list[Contour]]:
    """Four organs on slices 2 to 4 that do not touch, with names as planning systems have them."""
    places = {"Prostate": ((2, 5), (2, 5)), "SeminalVesicles": ((8, 12), (2, 4)),
              "Bladder": ((2, 8), (9, 14)), "Rectum": ((13, 18), (9, 14))}  # fmt: skip
    return {name: [box(*place, k) for k in (2, 3, 4)] for name, place in places.items()}
