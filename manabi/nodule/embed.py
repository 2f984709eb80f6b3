"""Nodules put into a chest: area density along the film's own rays, mask and truth.

Each ray from the source through a pixel crosses the nodule's spheres in intervals; the length of their union, within
the lung, is the thickness. Thickness times density beyond that of the lung, whose place the nodule takes, is what
:func:`manabi.phantoms.radiograph_film.render_pair` adds to the soft tissue. Nothing is put on a voxel grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manabi.errors import InvalidInputError
from manabi.nodule.place import HIDDEN, SIDES, LungSpace, Place
from manabi.nodule.shapes import Layer, NoduleShape, crossings, union_length
from manabi.nodule.truth import NoduleTruth
from manabi.phantoms.radiograph_geometry import FilmGeometry

LUNG_G_CM3 = 0.20
"""Density of the lung whose place a nodule takes; that of :data:`manabi.phantoms.radiograph_beam.LUNG_DENSITY`."""
SAMPLE_MM, MOST_RAYS = 0.5, 4
"""Rays within a pixel are at most this far from each other at the detector, and at most so many to its side."""
MASK_SHARE = 0.1
"""A pixel belongs to the mask where the thickness is above this share of its greatest (methods file, PROPOSED)."""
CM = 0.1


@dataclass(frozen=True)
class Embedded:
    """What nodules add to a chest.

    Attributes:
        added: float32 ``(rows, columns)``, net area density in g/cm².
        mask: uint8, the number of the nodule, 0 for none.
        nodules: their truth, by number from 1.
    """

    added: np.ndarray
    mask: np.ndarray
    nodules: tuple[NoduleTruth, ...]


def embed(
    space: LungSpace, shapes: Sequence[NoduleShape], places: Sequence[Place], *, clip_to_lung: bool = True
) -> Embedded:
    """Put nodules into the lungs.

    Args:
        space: the chest's lungs; :meth:`LungSpace.of_projection` or :meth:`LungSpace.of_film`.
        shapes: the nodules.
        places: of their middles, one each.
        clip_to_lung: whether what would lie outside the lung is left out, as a nodule ends at pleura and heart.

    Raises:
        InvalidInputError: where the numbers of shapes and places differ.
    """
    if len(shapes) != len(places):
        raise InvalidInputError(f"Every nodule needs a place; got {len(shapes)} shapes and {len(places)} places.")
    matrix = space.geometry.matrix
    added, mask = np.zeros((matrix, matrix), np.float32), np.zeros((matrix, matrix), np.uint8)
    nodules = []
    for number, (shape, place) in enumerate(zip(shapes, places, strict=True), start=1):
        box = _box(space.geometry, shape, place)
        rays = _Rays(space, box, clip_to_lung)
        layers = shape.layers(LUNG_G_CM3)
        outline, kept = rays.outline(layers[0], place)
        grams = outline * np.float32(layers[0].density_g_cm3)
        for layer in layers[1:]:
            grams += rays.thickness(layer, place) * np.float32(layer.density_g_cm3)
        added[box] += grams * np.float32(CM)
        mask[box][outline > MASK_SHARE * max(float(outline.max(initial=0.0)), 1e-6)] = number
        nodules.append(_truth(space, shape, place, number, kept))
    return Embedded(added, mask, tuple(nodules))


def _box(geometry: FilmGeometry, shape: NoduleShape, place: Place) -> tuple[slice, slice]:
    """Pixels that a nodule may cover, cut at the film's edge."""
    radius = shape.reach_mm * float(geometry.magnification(place.distance_mm + shape.reach_mm)) / geometry.pixel_mm + 1
    return tuple(  # type: ignore[return-value]
        slice(max(int(np.floor(at - radius)), 0), max(min(int(np.ceil(at + radius)) + 1, geometry.matrix), 0))
        for at in (place.row, place.column)
    )


class _Rays:
    """The rays of a box of pixels, several to each pixel."""

    def __init__(self, space: LungSpace, box: tuple[slice, slice], clip: bool) -> None:
        self._geometry = geometry = space.geometry
        self._shape = (box[0].stop - box[0].start, box[1].stop - box[1].start)
        self._fine = int(np.clip(np.ceil(geometry.pixel_mm / SAMPLE_MM), 1, MOST_RAYS))
        part = (np.arange(self._fine) + 0.5) / self._fine - 0.5
        rows, columns = ((np.arange(s.start, s.stop)[:, None] + part).ravel() for s in box)
        grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
        self._source = np.array([0.0, 0.0, geometry.source_detector_mm])
        ways = geometry.to_beam(grid, 0.0) - self._source
        self._directions = ways / np.linalg.norm(ways, axis=1, keepdims=True)
        self._limits = self._lung(space, box) if clip else None
        self._weight = _border(space, box) if clip else np.ones(self._shape, np.float32)

    def _lung(self, space: LungSpace, box: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        """Lengths from the source between which each ray is in lung; beyond its border, as at the nearest pixel."""
        from scipy import ndimage

        there = np.isfinite(space.near_mm[box]) & np.isfinite(space.far_mm[box])
        nearest = ndimage.distance_transform_edt(~there, return_distances=False, return_indices=True)
        distances = []
        for values in (space.far_mm, space.near_mm):
            filled = np.asarray(values[box], float)[tuple(nearest)] if there.any() else np.zeros(there.shape)
            fine = np.repeat(np.repeat(filled, self._fine, 0), self._fine, 1).ravel()
            distances.append((fine - self._geometry.source_detector_mm) / self._directions[:, 2])
        return distances[0][:, None], distances[1][:, None]

    def thickness(self, layer: Layer, place: Place) -> np.ndarray:
        """Mean length within the lung of a layer's spheres on the rays of each pixel, mm, float32."""
        return self._mean(self._within(*self._crossed(layer, place))) * self._weight

    def outline(self, layer: Layer, place: Place) -> tuple[np.ndarray, float]:
        """The same, and the share that lies within the lung of the whole."""
        crossed = self._crossed(layer, place)
        inside = self._mean(self._within(*crossed)) * self._weight
        whole = inside if self._limits is None else self._mean(crossed)
        return inside, float(inside.sum() / max(float(whole.sum()), 1e-9))

    def _crossed(self, layer: Layer, place: Place) -> tuple[np.ndarray, np.ndarray]:
        at = self._geometry.to_beam(np.array([[place.row, place.column]]), place.distance_mm)[0]
        return crossings(self._source, self._directions, layer.centres_mm + at, layer.radii_mm)

    def _within(self, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._limits is None:
            return starts, ends
        return np.clip(starts, *self._limits), np.clip(ends, *self._limits)

    def _mean(self, crossed: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        rows, columns = self._shape
        fine = union_length(*crossed).reshape(rows, self._fine, columns, self._fine)
        return fine.mean(axis=(1, 3)).astype(np.float32)


def _border(space: LungSpace, box: tuple[slice, slice]) -> np.ndarray:
    """1 within the lung and 0 outside, with a ramp of three pixels, float32: the lung's border is known by pixels."""
    from scipy import ndimage

    wide = tuple(slice(max(part.start - 2, 0), part.stop + 2) for part in box)
    there = np.isfinite(space.near_mm[wide]).astype(np.float32)
    inner = tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip(box, wide, strict=True))
    return ndimage.uniform_filter(there, 3, mode="nearest")[inner]


def _truth(space: LungSpace, shape: NoduleShape, place: Place, number: int, kept: float) -> NoduleTruth:
    pixel = space.at(place)
    magnified = shape.diameter_mm * float(space.geometry.magnification(place.distance_mm))
    return NoduleTruth(
        number=number,
        row=round(float(place.row), 3),
        column=round(float(place.column), 3),
        distance_mm=round(float(place.distance_mm), 2),
        diameter_mm=round(shape.diameter_mm, 3),
        diameter_px=round(magnified / space.geometry.pixel_mm, 3),
        volume_mm3=round(shape.volume_mm3(), 1),
        density=shape.density,
        density_g_cm3=round(shape.mean_density_g_cm3, 4),
        spiculated=bool(shape.spicules),
        lung=SIDES[int(space.lungs[pixel])],
        hidden=HIDDEN[int(space.hidden[pixel])],
        kept=round(kept, 4),
    )
