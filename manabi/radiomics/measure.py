"""Features of every segment of a mask, in a form that does not depend on how the arrays are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError, ManabiError
from manabi.geometry import closest_axes
from manabi.radiomics.extract import extract
from manabi.radiomics.features import FeatureSet
from manabi.radiomics.segments import Chosen, labels_of
from manabi.radiomics.settings import ExtractionSettings
from manabi.radiomics.texture.choose import warm_for_many
from manabi.volume import Volume

PLANES = {2: ((0, 1, 2), (-1, -1, 1)), 1: ((0, 2, 1), (-1, -1, -1)), 0: ((1, 2, 0), (-1, -1, 1))}
"""Anatomical axis that slices are stacked along (2: feet to head, 1: back to front, 0: left to right) to the order and
direction of I, J, K in which scanners store such slices: axial, coronal, sagittal."""
THICK = 1.2
"""Slices this much further apart than pixels tell in which plane an image was acquired (our choice)."""
OUTSIDE_HU = -1100.0
"""Values of a CT below this are padding outside the field of view, not air (our choice)."""
LOST = 0.1
"""A segment that loses more than this share of its volume to the image's edge gets a warning (our choice)."""
SECOND = "second-"
"""Names of features of the second image begin so."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One segment's features.

    Attributes:
        segment: label and name.
        voxels: of the mask.
        volume_ml: voxels times their size, before anything is resampled.
        features: of the first image, and of the second under names that begin with ``second-``.
    """

    segment: Chosen
    voxels: int
    volume_ml: float
    features: FeatureSet


@dataclass(frozen=True, eq=False)
class Placed:
    """Images and labels on one grid in scanner order, and what that took.

    Attributes:
        images: by input name.
        mask: labels.
        warnings: what was changed.
        absent: by input name, where an image that was resampled has no values of its own, bool (slices, rows, columns).
    """

    images: dict[str, Volume]
    mask: Volume
    warnings: tuple[str, ...]
    absent: dict[str, np.ndarray]


def placed(images: Mapping[str, Volume], mask: Volume, settings: ExtractionSettings) -> Placed:
    """Bring images and labels onto the first image's grid and into the order in which a scanner stores slices.

    Directional filters and slice-wise textures depend on which axis is which. So that a patient has the same features
    however the array is stored, columns run to the left, rows to the back and slices to the head (as DICOM's axial
    slices do, and so as pyradiomics sees them); slice-wise aggregation takes the plane of acquisition instead, the one
    with the thickest slices (our choice). Nothing is interpolated by that.
    """
    first = next(iter(images.values())).straightened()
    notes = list(first.warnings)
    flat = settings.aggregation.startswith("2")
    axes, signs = order_of(first, flat)
    found: dict[str, Volume] = {}
    absent: dict[str, np.ndarray] = {}
    for name, volume in images.items():
        whole = volume.straightened()
        if not whole.grid.same_as(first.grid, 1e-3):
            there = whole.like(np.ones(whole.shape, np.uint8)).resampled(first.grid, "nearest")
            absent[name] = np.asarray(there.reoriented(axes, signs).array) == 0
            whole = whole.resampled(first.grid, "linear", fill=float(np.asarray(whole.array).min()))
            notes.append(f"The image {name} was resampled (linear) to the grid of the first image.")
        found[name] = whole.reoriented(axes, signs)
    labels = mask.like(labels_of(mask)).straightened()
    if not labels.grid.same_as(first.grid, 1e-3):
        whole_mask, labels = labels, labels.resampled(first.grid, "nearest")
        notes.append(
            "Check the segments: the mask lies on another grid and was brought to the image's (nearest voxel)."
        )
        notes += _lost(whole_mask, labels)
    onto = found[next(iter(found))].grid
    turned = replace(labels.reoriented(axes, signs), ijk_to_ras=onto.ijk_to_ras)
    return Placed(found, turned, tuple(dict.fromkeys(notes)), absent)


def _lost(before: Volume, after: Volume) -> list[str]:
    """What to say of segments of a mask that the image does not hold, or only in part.

    Raises:
        InvalidInputError: where it holds none of them.
    """
    volumes = [_volumes(one) for one in (before, after)]
    if not volumes[1]:
        raise InvalidInputError(
            "The mask does not overlap the image: no voxel of it lies within. Choose the mask that was drawn on this "
            "image, and check that both are of one patient and one series."
        )
    kept = {label: volumes[1].get(label, 0.0) / volume for label, volume in volumes[0].items()}
    return [
        f"Check the segments: {1 - share:.0%} of label {label} lies outside the image and was not measured."
        for label, share in kept.items()
        if share < 1 - LOST
    ]


def _volumes(mask: Volume) -> dict[int, float]:
    """The volume of each label above 0, mm3."""
    values = np.asarray(mask.array)
    labels, counts = np.unique(values[values > 0], return_counts=True)
    size = float(np.prod(mask.spacing_mm))
    return {int(label): float(count) * size for label, count in zip(labels, counts, strict=True)}


def _uncovered(ready: Placed, image: str, inside: np.ndarray, name: str) -> list[str]:
    """What to say of a segment that an image holds only in part.

    Raises:
        InvalidInputError: where it holds too little of it.
    """
    count, size = int(np.count_nonzero(ready.absent[image] & inside)), int(np.count_nonzero(inside))
    if count > LOST * size:
        raise InvalidInputError(
            f"{count:,} of the {size:,} voxels of {name} lie outside the image {image}. Choose an image of the same "
            "patient that holds the segment, in the same position as the first."
        )
    if not count:
        return []
    return [f"Check the images: {count:,} of the {size:,} voxels of {name} lie outside the image {image}."]


def _padded(image: Volume, inside: np.ndarray, name: str) -> list[str]:
    """What to say of a segment of a CT (or of an image that may be one) that reaches outside its field of view."""
    if image.modality not in (None, "CT"):
        return []
    count = int(np.count_nonzero(np.asarray(image.array)[inside] < OUTSIDE_HU))
    if not count:
        return []
    return [
        f"Check the segments: {count} voxels of {name} are below {OUTSIDE_HU:g} HU, which is padding outside the field "
        "of view of a CT and no tissue. Draw the segment within it."
    ]


def order_of(volume: Volume, flat: bool) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Anatomical axes of I, J, K and their directions in which the volume is to be read."""
    stacked = 2
    if flat:
        spacing = volume.spacing_mm
        thick = int(np.argmax(spacing))
        others = [s for k, s in enumerate(spacing) if k != thick]
        if spacing[thick] > THICK * max(others):
            stacked = int(closest_axes(volume.grid.directions)[0].index(thick))
    return PLANES[stacked]


def measure(
    images: Mapping[str, Volume],
    mask: Volume,
    segments: Sequence[Chosen],
    settings: ExtractionSettings | Mapping[str, ExtractionSettings],
    context: Context,
) -> tuple[list[Measured], list[str]]:
    """Features of every segment.

    Args:
        images: by input name, the first one without a prefix.
        mask: labels.
        segments: which of them.
        settings: for all images, or by input name.
        context: progress and cancellation.

    Returns:
        What was measured, in the order of the segments, and what was assumed, changed or left out.

    Raises:
        InvalidInputError: no segment could be measured.
        CancelledError: on request.
    """
    chosen = dict(settings) if isinstance(settings, Mapping) else dict.fromkeys(images, settings)
    ready = placed(images, mask, next(iter(chosen.values())))
    found: list[Measured] = []
    notes = list(ready.warnings)
    for number, segment in enumerate(segments):
        with context.span(number / len(segments), (number + 1) / len(segments)):
            warm_for_many()
            try:
                one = _measured(ready, segment, chosen, context)
            except InvalidInputError as error:
                if len(segments) == 1:
                    raise
                notes.append(f"No features of {segment.name}: {error}")
                continue
        found.append(one)
        inside = np.asarray(ready.mask.array) == segment.label
        notes += [text for image in ready.images.values() for text in _padded(image, inside, segment.name)]
        notes += [text for name in ready.absent for text in _uncovered(ready, name, inside, segment.name)]
        notes += [f"{segment.name}: {text}" for text in one.features.warnings]
    if not found:
        raise InvalidInputError(f"No segment could be measured. Check the mask. {notes[-1]}")
    return found, list(dict.fromkeys(notes))


def _measured(
    ready: Placed, segment: Chosen, settings: Mapping[str, ExtractionSettings], context: Context
) -> Measured:  # fmt: skip
    """One segment on all images."""
    inside = int(np.count_nonzero(np.asarray(ready.mask.array) == segment.label))
    for name in ready.absent:
        _uncovered(ready, name, np.asarray(ready.mask.array) == segment.label, segment.name)
    sets: list[FeatureSet] = []
    for number, (name, image) in enumerate(ready.images.items()):
        context.progress(number / len(ready.images), f"Features of {segment.name}")
        sets.append(extract(image, ready.mask, settings[name], segment.label))
    volume_ml = inside * float(np.prod(ready.mask.spacing_mm)) / 1000.0
    context.progress(1.0, f"Features of {segment.name}")
    return Measured(segment, inside, volume_ml, together(sets))


def together(sets: Sequence[FeatureSet]) -> FeatureSet:
    """The features of several images as one set, those of further images under their prefix."""
    if len(sets) == 1:
        return sets[0]
    names, values, warnings = list(sets[0].names), [sets[0].values], list(sets[0].warnings)
    for one in sets[1:]:
        names += [SECOND + name for name in one.names]
        values.append(one.values)
        warnings += [f"second image: {text}" for text in one.warnings]
    return replace(sets[0], names=tuple(names), values=np.concatenate(values), warnings=tuple(dict.fromkeys(warnings)))


def reason_of(error: ManabiError) -> str:
    """An error's words without its advice, for a note."""
    return str(error).split(". ")[0]
