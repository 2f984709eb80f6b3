"""Which images of the original series a slice of a derived volume was made from, found by where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import ManabiError
from manabi.geometry import LPS_TO_RAS, Grid
from manabi.io.dicom.frames import Frame, frames_of
from manabi.io.dicom.headers import read_header
from manabi.io.dicom.inherit import coded
from manabi.io.dicom.source import DicomSource
from manabi.io.dicom.stack import Stack, arrange
from manabi.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

SOURCE_IMAGE = ("121322", "DCM", "Source image for image processing operation")
"""Purpose of a reference to an original image (CID 7202)."""
SAME_PLANE_MM = 0.1
"""Planes closer than this are one: as far as the slices of a regular stack may be from even spacing."""
SAME_GRID_MM = 1e-3
PARALLEL = 1e-3
"""Sine of the angle up to which planes are parallel; twice what the slices of one series may differ by."""


@dataclass(frozen=True, eq=False)
class Origin:
    """What one slice was made from.

    Attributes:
        frames: the original in the same plane, or the two that the slice lies between; none where it is not known.
        is_exact: whether the volume has the original's own voxels, so that the slice is its only frame's.
    """

    frames: tuple[Frame, ...] = ()
    is_exact: bool = False

    @property
    def same_plane(self) -> Frame | None:
        """The one original in the slice's plane, or None."""
        return self.frames[0] if len(self.frames) == 1 else None


def origins_of(reference: DicomSource | None, volume: Volume) -> list[Origin] | None:
    """The originals of every slice of a volume.

    A slice in the plane of an original is that one's, whatever happened within the plane. A slice between two was
    interpolated from them, as reading does with a tilted or uneven series. Where the volume's slices are not parallel
    to the originals, as in a reformat, each is made from many, and none is named (our choice).

    Args:
        reference: the original series.
        volume: with its slices along the normal, not left-handed.

    Returns:
        One for each slice; None where there is no reference or its files do not say where they lie.
    """
    stack = None if reference is None else _stack(reference)
    if stack is None:
        return None
    grid = Grid((len(stack.frames), *stack.frames[0].shape), LPS_TO_RAS @ stack.ijk_to_lps())
    if stack.is_regular and not stack.is_tilted and volume.grid.same_as(grid, SAME_GRID_MM):
        return [Origin((frame,), True) for frame in stack.frames]
    normal = stack.directions[2]
    along = LPS_TO_RAS[:3, :3] @ volume.grid.directions[:, 2]
    if np.linalg.norm(np.cross(normal, along)) > PARALLEL:
        return [Origin() for _ in range(volume.shape[0])]
    row, column = (np.array(volume.shape[1:]) - 1) / 2
    centres = volume.grid.ras_of(np.array([[column, row, k] for k in range(volume.shape[0])])) @ LPS_TO_RAS[:3, :3]
    return [_nearby(stack, float(height)) for height in (centres - stack.origin) @ normal]


def source_item(sop_class_uid: str, frame: Frame, *, same_place: bool) -> Dataset:
    """An item of SourceImageSequence (DICOM PS3.3 C.12.4.1).

    Args:
        sop_class_uid: of the original.
        frame: the original.
        same_place: whether every pixel lies where the original's does.
    """
    item = reference_item(sop_class_uid, frame.uid)
    if frame.n_frames > 1:
        item.ReferencedFrameNumber = frame.index + 1
    if same_place:
        item.SpatialLocationsPreserved = "YES"
    return item


def reference_item(sop_class_uid: str, uid: str) -> Dataset:
    """A reference to an image that was processed."""
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, uid
    item.PurposeOfReferenceCodeSequence = [coded(SOURCE_IMAGE)]
    return item


def _stack(reference: DicomSource) -> Stack | None:
    """The slices of the original series as reading arranges them; None where they have no place."""
    headers = [read_header(file) for file in reference.files]
    found = [header for header in headers if header is not None]
    if not found or len(found) < len(headers):
        return None
    try:
        return arrange([frame for header in found for frame in frames_of(header)], reference.modality)
    except ManabiError:
        return None


def _nearby(stack: Stack, height: float) -> Origin:
    """The original in a plane, or those around it; none beyond half a spacing outside the stack."""
    heights = stack.heights_mm
    best = int(np.abs(heights - height).argmin())
    if abs(heights[best] - height) <= SAME_PLANE_MM:
        return Origin((stack.frames[best],))
    above = int(np.searchsorted(heights, height))
    if 0 < above < len(heights):
        return Origin(stack.frames[above - 1 : above + 1])
    return Origin((stack.frames[best],)) if abs(heights[best] - height) <= stack.spacing_mm / 2 else Origin()
