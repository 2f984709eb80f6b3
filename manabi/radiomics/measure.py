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
    """Images and labels on one grid in scanner order, and what that took."""

    images: dict[str, Volume]
    mask: Volume
    warnings: tuple[str, ...]


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
    for name, volume in images.items():
        whole = volume.straightened()
        if not whole.grid.same_as(first.grid, 1e-3):
            whole = whole.resampled(first.grid, "linear", fill=float(np.asarray(whole.array).min()))
            notes.append(f"The image {name} was resampled (linear) to the grid of the first image.")
        found[name] = whole.reoriented(axes, signs)
    labels = mask.like(labels_of(mask)).straightened()
    if not labels.grid.same_as(first.grid, 1e-3):
        labels = labels.resampled(first.grid, "nearest")
        notes.append(
            "Check the segments: the mask lies on another grid and was brought to the image's (nearest voxel)."
        )
    onto = found[next(iter(found))].grid
    turned = replace(labels.reoriented(axes, signs), ijk_to_ras=onto.ijk_to_ras)
    return Placed(found, turned, tuple(dict.fromkeys(notes)))


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
        notes += [f"{segment.name}: {text}" for text in one.features.warnings]
    if not found:
        raise InvalidInputError(f"No segment could be measured. Check the mask. {notes[-1]}")
    return found, list(dict.fromkeys(notes))


def _measured(
    ready: Placed, segment: Chosen, settings: Mapping[str, ExtractionSettings], context: Context
) -> Measured:  # fmt: skip
    """One segment on all images."""
    inside = int(np.count_nonzero(np.asarray(ready.mask.array) == segment.label))
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
