"""One frame: a slice's pixels and where they lie, from a single-frame file or one frame of a multi-frame file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import GeometryError, InvalidInputError, ManabiError
from manabi.io.dicom.headers import ALONE, Header, Place
from manabi.io.dicom.pixels import damage

if TYPE_CHECKING:
    from pydicom import Dataset

MOMENTS = ("TemporalPositionIdentifier", "TriggerTime", "FrameReferenceTime", "EchoNumbers", "EchoTime",
           "DiffusionBValue", "AcquisitionNumber", "AcquisitionTime")  # fmt: skip
"""What can tell apart images of one place, most telling first."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice, not yet decoded. Positions and directions are LPS, in mm; None where the file does not say.

    Attributes:
        path: its file.
        index: which frame of the file.
        n_frames: how many frames the file has.
        shape: rows, columns.
        orientation: ``(2, 3)``, directions along a row (columns increase) and along a column (rows increase).
        position: centre of the first pixel.
        pixel_mm: distances between rows and between columns.
        between_mm: SpacingBetweenSlices.
        thickness_mm: SliceThickness.
        slope: rescale slope.
        intercept: rescale intercept.
        instance: InstanceNumber, or the number of the frame in a multi-frame file.
        uid: SOPInstanceUID.
        localizer: whether it is a scout view.
        moments: values of :data:`MOMENTS`, to explain several images at one place.
        place: which file of the folder, for messages.
    """

    path: Path = field(repr=False)
    index: int
    n_frames: int
    shape: tuple[int, int]
    orientation: np.ndarray | None = None
    position: np.ndarray | None = None
    pixel_mm: tuple[float, float] | None = None
    between_mm: float | None = None
    thickness_mm: float | None = None
    slope: float = 1.0
    intercept: float = 0.0
    instance: int | None = None
    uid: str = field(default="", repr=False)
    localizer: bool = False
    moments: dict[str, str] = field(default_factory=dict)
    place: Place = ALONE

    def named(self, number: int) -> str:
        """How a message calls this slice when it is the ``number``-th (from 1)."""
        if self.n_frames > 1:
            known = f"frame {self.index + 1}"
        else:
            known = "" if self.instance is None else f"InstanceNumber {self.instance}"
        remark = self.place.after(known)
        return f"slice {number} ({remark})" if remark else f"slice {number}"


def frames_of(header: Header) -> list[Frame]:
    """The frames of a file with their geometry.

    Raises:
        GeometryError: where a multi-frame file contradicts itself.
        InvalidInputError: for gated or dynamic nuclear medicine.
    """
    try:
        return _frames(header, header.whole("NumberOfFrames") or 1)
    except ManabiError:
        raise
    except damage() as error:
        raise GeometryError(f"The geometry in {header.place} is damaged. Export the file again.") from error


def _frames(header: Header, count: int) -> list[Frame]:
    if header.get("PerFrameFunctionalGroupsSequence"):
        return _enhanced_frames(header, count)
    if count > 1 and header.modality == "NM":
        return _nuclear_frames(header, count)
    orientation, position = _nuclear_place(header) if header.modality == "NM" else _place(header.dataset)
    if count > 1:
        return [_frame(header, k, orientation=None, position=None) for k in range(count)]
    return [_frame(header, 0, orientation=orientation, position=position)]


def floats(value: Any, count: int) -> np.ndarray | None:
    """Exactly ``count`` finite numbers, or None for anything else."""
    try:
        numbers = np.array([float(v) for v in value])
    except (TypeError, ValueError):
        return None
    return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None


def number(value: Any) -> float | None:
    """One finite number, or None for anything else."""
    found = floats([value], 1)
    return None if found is None else float(found[0])


def _frame(header: Header, index: int, **changes: Any) -> Frame:
    """A frame with what the top level of the file says, and ``changes``."""
    dataset = header.dataset
    count = header.whole("NumberOfFrames") or 1
    values: dict[str, Any] = {
        "shape": (header.whole("Rows") or 0, header.whole("Columns") or 0),
        "pixel_mm": _pair(dataset.get("PixelSpacing")),
        "between_mm": number(dataset.get("SpacingBetweenSlices")),
        "thickness_mm": number(dataset.get("SliceThickness")),
        "slope": _or(number(dataset.get("RescaleSlope")), 1.0),
        "intercept": _or(number(dataset.get("RescaleIntercept")), 0.0),
        "instance": index + 1 if count > 1 else header.whole("InstanceNumber"),
        "uid": header.text("SOPInstanceUID"),
        "localizer": "LOCALIZER" in header.image_type,
        "moments": {name: header.text(name) for name in MOMENTS if header.text(name)},
    }
    return Frame(header.path, index, count, **{**values, **changes}, place=header.place)


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _pair(value: Any) -> tuple[float, float] | None:
    pair = floats(value, 2)
    return None if pair is None or pair.min() <= 0 else (float(pair[0]), float(pair[1]))


def _place(dataset: Dataset) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Orientation ``(2, 3)`` and position from the attributes of the same names."""
    orientation = floats(dataset.get("ImageOrientationPatient"), 6)
    position = floats(dataset.get("ImagePositionPatient"), 3)
    return None if orientation is None else orientation.reshape(2, 3), position


# --- enhanced CT, MR, PET: functional groups -----------------------------------------------------------


def _enhanced_frames(header: Header, count: int) -> list[Frame]:
    groups = header.get("PerFrameFunctionalGroupsSequence")
    shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
    if len(groups) != count:
        raise GeometryError(
            f"The image{header.place.note} has {count} frames but describes {len(groups)} of them. Export it again."
        )
    return [_enhanced_frame(header, index, group, shared) for index, group in enumerate(groups)]


def _enhanced_frame(header: Header, index: int, group: Dataset, shared: Dataset) -> Frame:
    """One frame from its own functional groups, and the shared ones where it has none of its own."""

    def macro(name: str) -> Any:
        found = group.get(name) or shared.get(name) or [{}]
        return found[0]

    measures, rescale = macro("PixelMeasuresSequence"), macro("PixelValueTransformationSequence")
    orientation = floats(macro("PlaneOrientationSequence").get("ImageOrientationPatient"), 6)
    changes: dict[str, Any] = {
        "orientation": None if orientation is None else orientation.reshape(2, 3),
        "position": floats(macro("PlanePositionSequence").get("ImagePositionPatient"), 3),
        "moments": _enhanced_moments(macro),
    }
    found = {
        "pixel_mm": _pair(measures.get("PixelSpacing")),
        "thickness_mm": number(measures.get("SliceThickness")),
        "slope": number(rescale.get("RescaleSlope")),
        "intercept": number(rescale.get("RescaleIntercept")),
    }
    changes.update({key: value for key, value in found.items() if value is not None})
    return _frame(header, index, **changes)


def _enhanced_moments(macro: Any) -> dict[str, str]:
    content = macro("FrameContentSequence")
    values = {
        "TemporalPositionIndex": content.get("TemporalPositionIndex"),
        "EffectiveEchoTime": macro("MREchoSequence").get("EffectiveEchoTime"),
        "DiffusionBValue": macro("MRDiffusionSequence").get("DiffusionBValue"),
        "TriggerTime": macro("CardiacSynchronizationSequence").get("NominalCardiacTriggerDelayTime"),
        "FrameAcquisitionNumber": content.get("FrameAcquisitionNumber"),
    }
    return {name: str(value) for name, value in values.items() if value is not None}


# --- nuclear medicine: geometry of the detector ----------------------------------------------------------


def _nuclear_place(header: Header) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Orientation and position from the top level, else from the first detector that has them.

    A reconstructed tomogram keeps them in DetectorInformationSequence (DICOM PS3.3 C.8.4.11); some systems write
    them at the top level.
    """
    places = [_place(header.dataset), *(_place(item) for item in header.get("DetectorInformationSequence") or [])]
    orientation = next((o for o, _ in places if o is not None), None)
    position = next((p for _, p in places if p is not None), None)
    return orientation, position


def _nuclear_frames(header: Header, count: int) -> list[Frame]:
    """Frames of a reconstructed tomogram, stacked along the normal by SpacingBetweenSlices, which may be negative.

    The sign "determines the direction of stacking": positive is behind the first slice, where the normal, row ×
    column, points to, negative in front of it (DICOM PS3.3 C.8.4.15). Where the spacing is missing the slice thickness
    is taken, and where the position is missing the first pixel lies at the origin: our choice, said in the volume's
    warnings by :func:`manabi.io.dicom.read.read_dicom`.
    """
    orientation, position = _nuclear_place(header)
    order = _nuclear_order(header, count)
    step = number(header.get("SpacingBetweenSlices")) or number(header.get("SliceThickness"))
    if not step:
        raise GeometryError(
            f"The image{header.place.note} does not say how far apart its {count} slices are (SpacingBetweenSlices and "
            "SliceThickness are missing). Export it again with its geometry."
        )
    places: list[np.ndarray | None] = [None] * count
    if orientation is not None:
        normal = np.cross(orientation[0], orientation[1])
        origin = np.zeros(3) if position is None else position
        places = [origin + (k - 1) * step * normal for k in order]
    times = floats(header.get("TimeSlotVector"), count)
    return [
        _frame(
            header, k, orientation=orientation, position=places[k],
            moments={} if times is None else {"TimeSlotVector": f"{times[k]:g}"},
        )
        for k in range(count)
    ]  # fmt: skip


def _nuclear_order(header: Header, count: int) -> np.ndarray:
    """The number (from 1) of each frame's slice: SliceVector, else the order of the frames."""
    vector = header.get("SliceVector")
    if vector is not None:
        order = floats([vector] if count == 1 else vector, count)
        if order is None:
            raise GeometryError(
                f"The image{header.place.note} has {count} frames, its SliceVector differs. Export it again."
            )
        return order
    slices = header.whole("NumberOfSlices") or count
    if slices != count or any("GATED" in kind for kind in header.image_type):
        raise InvalidInputError(
            f"The image{header.place.note} is 4-D: it has {count} frames of {slices} slices (gated, dynamic or of "
            "several energy windows). Manabi reads one volume at a time: export the one you need as its own series."
        )
    return np.arange(1.0, count + 1)
