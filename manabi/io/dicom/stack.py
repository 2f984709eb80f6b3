"""From slices in any order to one stack, or a refusal that names the slice.

The rules, all ours where DICOM leaves the reader alone:

* Slices are sorted along the normal (row direction × column direction), whatever their InstanceNumber. The stack is
  therefore never mirrored.
* One orientation (within 5e-4, 0.03°), one size and one pixel spacing; otherwise the odd slices are named.
* Two slices in one plane (closer than 0.01 mm) are refused: as 4-D where every plane has equally many, as duplicates
  otherwise.
* **Regular**: every slice lies within 0.1 mm (or a fifth of the spacing, if that is less) of even spacing.
* **Missing slices**: a run is at least two equal intervals in a row. An interval outside the runs counts as a gap when
  it exceeds 1.5 times the spacing beside it: on each side that of the nearest run, or of the next interval if that is
  less, and of the two sides the larger; where there is no run, the smallest interval counts. Any interval counts as a
  gap when the InstanceNumber jumps in proportion to it. A gap is refused.
* **Uneven**: what is neither regular nor has a gap, such as a head scan with thin slices below and thick ones above,
  is resampled at the spacing of its finest run from the true positions of the slices, with a warning.
* **Tilted**: where the slices move sideways by more than 0.1 mm (or 0.1 % of the height of the stack, if that is
  more), as with gantry tilt, the stack is resampled to slices along the normal, with a warning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.io.dicom.frames import Frame
from manabi.io.dicom.gaps import is_regular, spacing_or_gap
from manabi.io.dicom.headers import some_of

ORIENTATION_TOLERANCE = 5e-4
SAME_PLANE_MM = 0.01
SIDEWAYS_MM = 0.1
SIDEWAYS_RATIO = 1e-3
RADIOGRAPHS = ("CR", "DX", "MG", "RG", "IO", "PX", "XA", "RF", "US", "OT", "SC")


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices sorted along their normal, with their true places.

    Attributes:
        frames: the slices.
        directions: ``(3, 3)``, unit vectors in LPS along I (a row), J (a column) and the normal, as rows.
        origin: LPS mm, centre of the first pixel of the first slice.
        pixel_mm: distances between rows and between columns.
        heights_mm: ``(n,)``, distance of every slice from the first, along the normal.
        sideways_mm: ``(n, 2)``, how far its first pixel lies along I and J from that of the first slice.
        spacing_mm: distance between slices; the one to resample to where the stack is not regular.
        is_regular: whether the slices are evenly spaced.
        is_tilted: whether they move sideways.
        warnings: what was assumed.
    """

    frames: tuple[Frame, ...]
    directions: np.ndarray
    origin: np.ndarray
    pixel_mm: tuple[float, float]
    heights_mm: np.ndarray
    sideways_mm: np.ndarray
    spacing_mm: float
    is_regular: bool
    is_tilted: bool
    warnings: tuple[str, ...] = ()

    def ijk_to_lps(self) -> np.ndarray:
        """4×4 matrix of the straight grid that starts at the first slice."""
        matrix = np.eye(4)
        rows_mm, columns_mm = self.pixel_mm
        matrix[:3, :3] = self.directions.T * [columns_mm, rows_mm, self.spacing_mm]
        matrix[:3, 3] = self.origin
        return matrix


def arrange(frames: list[Frame], modality: str | None = None) -> Stack:
    """Sort and check the slices of one series.

    Raises:
        InvalidInputError: for scout views and for 4-D series.
        GeometryError: for slices that do not form one stack; see the module's rules.
    """
    frames = sorted(frames, key=lambda f: (f.instance is None, f.instance or 0, f.index))
    _check_localizers(frames)
    _check_placed(frames, modality)
    _check_alike(frames)
    row, column = _perpendicular(frames[0])
    normal = np.cross(row, column)
    directions = np.stack([row, column, normal])
    along = np.array([directions @ f.position for f in frames])
    order = np.argsort(along[:, 2], kind="stable")
    frames, along = [frames[k] for k in order], along[order] - along[order[0]]
    _check_planes(frames, along[:, 2])
    return _stack(frames, directions, along)


def _stack(frames: list[Frame], directions: np.ndarray, along: np.ndarray) -> Stack:
    heights, sideways = along[:, 2], along[:, :2]
    limit = max(SIDEWAYS_MM, SIDEWAYS_RATIO * heights[-1])
    tilted = bool(np.abs(sideways).max() > limit)
    warnings: list[str] = []
    if len(frames) == 1:
        spacing = _thickness(frames[0], warnings)
        regular = True
    else:
        regular = is_regular(heights)
        spacing = float(heights[-1]) / (len(frames) - 1) if regular else spacing_or_gap(heights, frames)
    origin, pixel_mm = np.asarray(frames[0].position, float), frames[0].pixel_mm or (1.0, 1.0)
    sideways = sideways if tilted else np.zeros_like(sideways)
    return Stack(
        tuple(frames), directions, origin, pixel_mm, heights, sideways, spacing, regular, tilted, tuple(warnings)
    )


def _thickness(frame: Frame, warnings: list[str]) -> float:
    """Height of the only slice: its thickness, else the spacing it states, else 1 mm with a warning."""
    for value in (frame.thickness_mm, frame.between_mm):
        if value:
            return abs(value)
    warnings.append("There is one slice, and its thickness is not stated; 1 mm is assumed. Do not trust volumes.")
    return 1.0


def listed(frames: list[Frame], chosen: list[int]) -> str:
    """The slices at these places of ``frames``, for a message."""
    return some_of([frames[k].named(k + 1) for k in chosen])


def _check_localizers(frames: list[Frame]) -> None:
    scouts = [k for k, frame in enumerate(frames) if frame.localizer]
    if len(scouts) == len(frames):
        raise InvalidInputError("These are localizers (scout views), not a volume. Choose another series.")
    if scouts:
        raise GeometryError(
            f"The series mixes slices with localizers (scout views): {listed(frames, scouts)}. "
            "Remove them, or export the slices alone."
        )


def _check_placed(frames: list[Frame], modality: str | None) -> None:
    """Refuse slices that do not say where they lie."""
    for name, keyword in (
        ("orientation", "ImageOrientationPatient"), ("position", "ImagePositionPatient"), ("pixel_mm", "PixelSpacing")
    ):  # fmt: skip
        lost = [k for k, frame in enumerate(frames) if getattr(frame, name) is None]
        if lost:
            flat = modality is None or modality in RADIOGRAPHS
            advice = "If it is a radiograph, open it as one; otherwise export" if flat else "Export"
            raise GeometryError(
                f"The file does not say where the image lies in the patient: {keyword} is missing or broken in "
                f"{listed(frames, lost)}. {advice} the series again with its geometry."
            )


def _check_alike(frames: list[Frame]) -> None:
    """Refuse slices that differ in orientation, size or pixel spacing."""
    axes = np.stack([frame.orientation for frame in frames])  # type: ignore[misc]
    middle = int(np.abs(axes - np.median(axes, axis=0)).max(axis=(1, 2)).argmin())
    odd = np.flatnonzero(np.abs(axes - axes[middle]).max(axis=(1, 2)) >= ORIENTATION_TOLERANCE)
    if odd.size:
        raise GeometryError(
            f"The series mixes slices of several orientations: {listed(frames, odd.tolist())} lie differently from "
            f"{frames[middle].named(middle + 1)}. Export each orientation as its own series."
        )
    sizes = [frame.shape for frame in frames]
    usual = max(sizes, key=sizes.count)
    _refuse_odd(frames, [k for k, size in enumerate(sizes) if size != usual], f"{usual[0]} rows × {usual[1]} columns")
    pixels = np.array([frame.pixel_mm for frame in frames])
    odd = np.flatnonzero(np.abs(pixels / pixels[0] - 1).max(axis=1) > ORIENTATION_TOLERANCE)
    _refuse_odd(frames, odd.tolist(), f"pixels of {pixels[0][0]:g} × {pixels[0][1]:g} mm")


def _refuse_odd(frames: list[Frame], odd: list[int], usual: str) -> None:
    if odd:
        raise GeometryError(
            f"The series mixes images of several sizes: the others have {usual}, but not {listed(frames, odd)}. "
            "Remove these images, or export them as a series of their own."
        )


def _perpendicular(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors along a row and a column."""
    axes = np.asarray(frame.orientation, float)
    lengths = np.linalg.norm(axes, axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(axes[0] @ axes[1]) > 1e-3:
        raise GeometryError(
            f"ImageOrientationPatient of {frame.named(1)} is not a pair of perpendicular unit vectors "
            f"({np.round(axes, 4).ravel().tolist()}). Export the series again."
        )
    return axes[0] / lengths[0], axes[1] / lengths[1]


def _check_planes(frames: list[Frame], heights: np.ndarray) -> None:
    """Refuse several images in one plane."""
    starts = np.flatnonzero(np.diff(heights, prepend=-np.inf) > SAME_PLANE_MM)
    counts = np.diff(np.append(starts, len(frames)))
    if counts.max() == 1:
        return
    if counts.min() == counts.max():
        raise InvalidInputError(
            f"The series is 4-D: {counts[0]} images lie at each of {len(counts)} places"
            f"{_difference(frames, int(starts[0]))}. "
            "Manabi reads one volume at a time: export the one you need (one time point, echo or phase) as its own "
            "series."
        )
    first = int(starts[np.argmax(counts > 1)])
    double = [k for start, n in zip(starts, counts, strict=True) if n > 1 for k in range(start, start + n)]
    raise GeometryError(
        f"{len(double)} images share their place with another one, the first at {heights[first]:.2f} mm: "
        f"{listed(frames, double)}. Remove the duplicates, or export each acquisition as its own series."
    )


def _difference(frames: list[Frame], start: int) -> str:
    """By which attribute two images of one place differ, in parentheses; empty where none is known."""
    one, other = frames[start].moments, frames[start + 1].moments
    for name, value in one.items():
        if other.get(name, value) != value:
            return f" (they differ in {name})"
    return ""
