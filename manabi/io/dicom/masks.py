"""Structures and segmentations of an image as one label map on its grid: RTSTRUCT contours and DICOM SEG.

A label map has one label per voxel, and structures overlap: the larger are drawn first, so that where two meet the
smaller one counts (a tumour stays whole inside the body's outline), and a warning says which have lost how much of
themselves. Both are our choice.
"""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import GeometryError, InvalidInputError
from manabi.geometry import LPS_TO_RAS
from manabi.io.dicom.frames import floats, frames_of
from manabi.io.dicom.headers import read_header
from manabi.io.dicom.pixels import complete_syntax, damage, read_pixels, settle
from manabi.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

OFF_PLANE = 0.25
"""Part of a slice spacing that a contour or frame may lie off its slice (our choice)."""
OFF_GRID = 0.1
"""Part of a pixel that a frame may lie off the image's pixels (our choice)."""
SAME = 0.9
"""Two contours of one slice with this overlap (intersection over union) are one drawn twice, not an edge and a hole."""
CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


@dataclass(frozen=True)
class MaskSource:
    """Where a label map came from, and what its labels are called; paths are kept out of ``repr``."""

    segment_names: Mapping[int, str]
    files: tuple[Path, ...] = field(default=(), repr=False)


def read_mask(path: Path, image: Volume) -> Volume:
    """The structures of an RTSTRUCT, or the segments of a SEG, as a label map on the grid of their image.

    Args:
        path: the file.
        image: that they were drawn on.

    Returns:
        A volume of modality ``SEG``; its source has ``segment_names``. Labels are the numbers of the structures.

    Raises:
        InvalidInputError: where the file is neither, is damaged, or holds nothing that can be drawn.
        GeometryError: where contours or frames do not lie on the image's slices.
    """
    header = read_header(path)
    if header is None or header.modality not in ("RTSTRUCT", "SEG"):
        raise InvalidInputError("Expected an RTSTRUCT or a DICOM SEG to read structures from. Choose another series.")
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            if header.modality == "RTSTRUCT":
                masks, names, notes = _structures(path, image)
            else:
                masks, names, notes = _segments(path, image)
    except damage() as error:
        if isinstance(error, (InvalidInputError, GeometryError)):
            raise
        raise InvalidInputError("The structures are damaged or incomplete. Export them again.") from error
    masks = {label: mask for label, mask in masks.items() if mask.any()}
    if not masks:
        raise InvalidInputError("None of the structures lies in the image. Choose the series they were drawn on.")
    array, lost = _one_map(masks, image.shape)
    kept = {label: names[label] for label in masks}
    return Volume(
        array, image.ijk_to_ras, modality="SEG", name="mask", warnings=(*notes, *_overlaps(lost, kept)),
        source=MaskSource(kept, (path,)),
    )  # fmt: skip


def read_structures(
    path: Path, image: Volume, chosen: Mapping[int, Sequence[int]], titles: Mapping[int, str]
) -> Volume:  # fmt: skip
    """Some structures of an RTSTRUCT as the labels that are asked for; the others take nothing from them.

    Args:
        path: the file.
        image: that they were drawn on.
        chosen: numbers of the structures (ROINumber) by label; several are one label together.
        titles: what messages call each label.

    Returns:
        A volume of modality ``SEG`` whose warnings say which label is cut by the image's ends, has slices without
        contours between its own, or has lost voxels to a smaller one.

    Raises:
        InvalidInputError: where the file is damaged, or a label has no closed contour in the image.
        GeometryError: where contours do not lie on the image's slices.
    """
    import pydicom

    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            closed = closed_contours(pydicom.dcmread(path, force=True))
            masks, notes = _chosen(closed, image, chosen, titles)
    except damage() as error:
        if isinstance(error, (InvalidInputError, GeometryError)):
            raise
        raise InvalidInputError("The structures are damaged or incomplete. Export them again.") from error
    array, lost = _one_map(masks, image.shape)
    names = {label: titles[label] for label in masks}
    return Volume(
        array, image.ijk_to_ras, modality="SEG", name="mask", warnings=(*notes, *_overlaps(lost, names)),
        source=MaskSource(names, (path,)),
    )  # fmt: skip


def _chosen(
    closed: Mapping[int, Sequence[Dataset]], image: Volume, chosen: Mapping[int, Sequence[int]],
    titles: Mapping[int, str],
) -> tuple[dict[int, np.ndarray], list[str]]:  # fmt: skip
    """The mask of every label that is asked for, and what is odd about it."""
    to_ijk = np.linalg.inv(image.ijk_to_ras) @ LPS_TO_RAS
    masks: dict[int, np.ndarray] = {}
    notes: list[str] = []
    for label, numbers in chosen.items():
        parts = [closed.get(number, []) for number in numbers]
        drawn = [_drawn(part, to_ijk, image.shape, titles[label]) for part in parts]
        masks[label] = np.logical_or.reduce(drawn) if drawn else np.zeros(image.shape, bool)
        if not masks[label].any():
            raise InvalidInputError(
                f"The structure chosen as {titles[label]} has no closed contour that encloses a voxel of the image. "
                "Choose another structure or image, or leave it out."
            )
        notes += _oddities(masks[label], [c for part in parts for c in part], to_ijk, titles[label])
    return masks, notes


def _oddities(mask: np.ndarray, contours: Sequence[Dataset], to_ijk: np.ndarray, title: str) -> list[str]:
    """Texts about contours beyond the first or last slice, and slices without any between those that have some."""
    middles = [np.asarray(c.ContourData, float).reshape(-1, 3).mean(axis=0) for c in contours]
    places = [round(float(to_ijk[2, :3] @ middle + to_ijk[2, 3])) for middle in middles]
    outside = sum(not 0 <= k < len(mask) for k in places)
    drawn = np.flatnonzero(mask.any(axis=(1, 2)))
    empty = int(drawn[-1] - drawn[0]) + 1 - len(drawn)
    texts = [f"{outside} of {len(places)} contours of the {title} lie beyond the image's ends."] if outside else []
    if empty:
        texts.append(f"The {title} has no contour on {empty} slices between its ends; they were left without it.")
    return texts


def _one_map(masks: Mapping[int, np.ndarray], shape: tuple[int, ...]) -> tuple[np.ndarray, dict[int, float]]:
    """One label per voxel, and which part of each structure was lost to smaller ones."""
    array = np.zeros(shape, np.uint16)
    sizes = {label: int(mask.sum()) for label, mask in masks.items()}
    for label in sorted(masks, key=lambda one: (-sizes[one], one)):
        array[masks[label]] = label
    left = np.bincount(array.ravel(), minlength=max(masks) + 1)
    return array, {label: 1 - left[label] / sizes[label] for label in masks if left[label] < sizes[label]}


def _overlaps(lost: Mapping[int, float], names: Mapping[int, str]) -> list[str]:
    if not lost:
        return []
    parts = ", ".join(f"{names[label]} {100 * part:.0f} %" for label, part in lost.items())
    return [f"Structures overlap; where they do, the smaller one counts. Not whole, with the part lost: {parts}."]


# --- RTSTRUCT ---------------------------------------------------------------------------------------------------------


def _structures(path: Path, image: Volume) -> tuple[dict[int, np.ndarray], dict[int, str], list[str]]:
    import pydicom

    dataset = pydicom.dcmread(path, force=True)
    names = {int(roi.ROINumber): str(roi.get("ROIName") or "") for roi in dataset.get("StructureSetROISequence") or []}
    to_ijk = np.linalg.inv(image.ijk_to_ras) @ LPS_TO_RAS
    masks: dict[int, np.ndarray] = {}
    for label, closed in closed_contours(dataset).items():
        if closed and label > 0:
            masks[label] = _drawn(closed, to_ijk, image.shape, names.get(label, str(label)))
            names.setdefault(label, f"structure {label}")
    return masks, names, []


def closed_contours(dataset: Dataset) -> dict[int, list[Dataset]]:
    """The closed contours of every structure of an RTSTRUCT, by its number; none for points and open lines."""
    found: dict[int, list[Dataset]] = {}
    for roi in dataset.get("ROIContourSequence") or []:
        closed = [c for c in roi.get("ContourSequence") or [] if str(c.get("ContourGeometricType")) in CLOSED]
        found.setdefault(int(roi.ReferencedROINumber), []).extend(closed)
    return found


def _drawn(contours: Sequence[Dataset], to_ijk: np.ndarray, shape: tuple[int, int, int], name: str) -> np.ndarray:
    """The voxels whose centres lie within a structure's contours.

    Contours of one slice are combined by exclusive or, which gives holes; one that is drawn twice counts once.
    """
    mask = np.zeros(shape, bool)
    drawn: dict[int, list[np.ndarray]] = {}
    for contour in contours:
        points = np.asarray(contour.ContourData, float).reshape(-1, 3)
        columns, rows, slices = (points @ to_ijk[:3, :3].T + to_ijk[:3, 3]).T
        k = round(float(slices.mean()))
        if not 0 <= k < shape[0]:
            continue
        if np.abs(slices - k).max() > OFF_PLANE:
            raise GeometryError(
                f"A contour of {name} does not lie in a slice of the image. Choose the series it was drawn on."
            )
        _add(mask[k], _filled(rows, columns, shape[1:]), drawn.setdefault(k, []))
    return mask


def _filled(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie within a polygon, by the even-odd rule.

    Every edge crosses the rows between its ends; a row's pixels change sides at each crossing.
    """
    next_rows, next_columns = np.roll(rows, -1), np.roll(columns, -1)
    first = np.ceil(np.minimum(rows, next_rows)).clip(0, shape[0]).astype(int)
    last = np.ceil(np.maximum(rows, next_rows)).clip(0, shape[0]).astype(int)
    counts = last - first
    edge = np.repeat(np.arange(len(rows)), counts)
    crossed = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    slope = (next_columns - columns)[edge] / (next_rows - rows)[edge]
    places = columns[edge] + (crossed - rows[edge]) * slope
    turns = np.zeros((shape[0], shape[1] + 1), np.int32)
    np.add.at(turns, (crossed, np.ceil(places).clip(0, shape[1]).astype(int)), 1)
    return np.cumsum(turns, axis=1)[:, :-1] % 2 == 1


def _add(plane: np.ndarray, filled: np.ndarray, before: list[np.ndarray]) -> None:
    """Add a filled contour to its slice."""
    for other in before:
        union = int((other | filled).sum())
        if union and int((other & filled).sum()) >= SAME * union:
            plane |= filled & ~other
            return
    before.append(filled)
    plane ^= filled


# --- SEG --------------------------------------------------------------------------------------------------------------


def _segments(path: Path, image: Volume) -> tuple[dict[int, np.ndarray], dict[int, str], list[str]]:
    import pydicom

    dataset = pydicom.dcmread(path, force=True)
    complete_syntax(dataset)
    settle(dataset)
    names = {int(s.SegmentNumber): str(s.get("SegmentLabel") or "") for s in dataset.get("SegmentSequence") or []}
    header = read_header(path)
    frames = [] if header is None else frames_of(header)
    pixels = read_pixels(dataset, "The segmentation").reshape(len(frames), *(frames[0].shape if frames else (0, 0)))
    inside, notes = _inside(dataset, pixels)
    masks: dict[int, np.ndarray] = {}
    for frame, plane, label in zip(frames, inside, _labels(dataset, len(frames)), strict=True):
        k, row, column = _corner(frame, image)
        if not 0 <= k < image.shape[0]:
            continue
        mask = masks.setdefault(label, np.zeros(image.shape, bool))
        _paste(mask[k], plane, row, column)
    return masks, names | {label: f"segment {label}" for label in masks if label not in names}, notes


def _inside(dataset: Dataset, pixels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Which voxels belong to their segment, and what had to be decided for that."""
    if str(dataset.get("SegmentationType")) != "FRACTIONAL":
        return pixels > 0, []
    least = 0.5 * float(dataset.get("MaximumFractionalValue") or 255)
    return pixels >= least, ["The segmentation is fractional; voxels of one half and more were taken."]


def _labels(dataset: Dataset, count: int) -> list[int]:
    """The segment of every frame."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    name = "SegmentIdentificationSequence"
    found = [group.get(name) or shared.get(name) for group in groups]
    if len(found) != count or not all(found):
        raise InvalidInputError("The segmentation does not say to which segments its frames belong. Export it again.")
    return [int(one[0].ReferencedSegmentNumber) for one in found if one]


def _corner(frame: Any, image: Volume) -> tuple[int, int, int]:
    """Slice, row and column of the image at which a frame's first pixel lies."""
    axes = None if frame.orientation is None else floats(np.ravel(frame.orientation), 6)
    if axes is None or frame.position is None or frame.pixel_mm is None:
        raise GeometryError("The segmentation does not say where its frames lie. Export it again.")
    rows_mm, columns_mm = frame.pixel_mm
    steps = np.stack([axes[:3] * columns_mm, axes[3:] * rows_mm], axis=1)
    to_ijk = np.linalg.inv(image.ijk_to_ras) @ LPS_TO_RAS
    turned = to_ijk[:3, :3] @ steps
    size = max(frame.shape)
    if np.abs(turned - np.eye(3)[:, :2]).max() * size > OFF_PLANE:
        raise GeometryError("The segmentation has other pixels than the image. Choose the series it was drawn on.")
    place = to_ijk[:3, :3] @ frame.position + to_ijk[:3, 3]
    whole = np.round(place)
    if np.abs(place - whole)[:2].max() > OFF_GRID or abs(place[2] - whole[2]) > OFF_PLANE:
        raise GeometryError("The segmentation lies between the image's voxels. Choose the series it was drawn on.")
    column, row, k = whole.astype(int)
    return int(k), int(row), int(column)


def _paste(target: np.ndarray, plane: np.ndarray, row: int, column: int) -> None:
    """Add a frame to a slice, cut to it."""
    rows, columns = target.shape
    top, left = max(row, 0), max(column, 0)
    part = plane[top - row : rows - row, left - column : columns - column]
    target[top : top + part.shape[0], left : left + part.shape[1]] |= part
