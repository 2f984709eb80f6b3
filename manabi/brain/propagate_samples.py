"""What the network sees: slices (or slabs) of the crop with their image, prior and start.

The prior of a slice that is learned from never uses that slice: it comes from its painted neighbours alone. This is the
source's idea, train on a non-adjacent subset and predict all (see :mod:`manabi.brain.propagate`), put into the input.
A slice between two painted ones is nearer to them than a painted slice is to its neighbours, so part of the priors
learned from are moved towards the truth as far as interpolation theory says: the error of linear interpolation grows
with the product of the distances to both neighbours (our choice).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manabi.brain.propagate_frame import CLIP_PIXELS, Frame, View

NEAR_PART = 0.5
"""Part of the samples whose prior is as good as one between two painted slices (our choice)."""
SECOND_PART = 0.25
"""Part of the samples whose prior skips a painted neighbour (our choice)."""
SLAB = 4
"""Slices on either side of the middle of a slab for the 3-D network."""


@dataclass(frozen=True)
class Layout:
    """Order and number of the input channels: signed distances, distance to paint, start, image."""

    labels: int
    start: bool
    images: int

    @property
    def channels(self) -> int:
        """Input channels without the position."""
        return self.labels + 1 + (self.labels if self.start else 0) + self.images

    @property
    def image_from(self) -> int:
        """The first channel that holds the image."""
        return self.channels - self.images


class Sampler:
    """Builds the network's input for any slice of a frame.

    Args:
        frame: the working crop.
        dims: 2 for slices with their two neighbours, 3 for slabs.
        prior: False leaves the signed distances and the distance at 0.
    """

    def __init__(self, frame: Frame, dims: int, prior: bool) -> None:
        self.frame, self.dims, self.prior = frame, dims, prior
        labels = frame.views[0].between.fields.shape[1]
        self.layout = Layout(labels, frame.views[0].start is not None, 3 if dims == 2 else 1)
        self.items = [(v, p) for v, view in enumerate(frame.views) for p in range(len(view.slices))]
        self._crossing = [self._whole(v) for v in range(len(frame.views))] if len(frame.views) > 1 else []

    def _whole(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Prior and distance of every slice of a view, with the crop's own axes after the labels."""
        view = self.frame.views[number]
        fields, distances = zip(*(view.prior(i) for i in range(len(view.image))), strict=True)
        far = np.broadcast_to(np.array(distances, np.float32)[:, None, None], view.image.shape)
        return np.moveaxis(np.stack(fields, 1), 1, 1 + view.axis), np.moveaxis(far, 0, view.axis)

    def prior_at(self, number: int, index: int, without: Sequence[int] = ()) -> tuple[np.ndarray, np.ndarray]:
        """Signed distances ``(labels, rows, columns)`` and distance to the nearest paint ``(rows, columns)``, pixels.

        Where slices are painted along two axes, both views are averaged, weighted by the squared nearness.
        """
        view = self.frame.views[number]
        field, distance = view.prior(index, without)
        far = np.full(view.image.shape[1:], distance, np.float32)
        if not self._crossing:
            return field, far
        total, weights = field / (far + 1) ** 2, 1 / (far + 1) ** 2
        for other, (fields, distances) in enumerate(self._crossing):
            if other != number:
                more = distances.take(index, view.axis)
                weight = 1 / (more + 1) ** 2
                total = total + fields.take(index, 1 + view.axis) * weight
                weights, far = weights + weight, np.minimum(far, more)
        return (total / weights).astype(np.float32), far

    def learned_prior(self, number: int, position: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A prior of a painted slice to learn from, drawn as the module says."""
        view = self.frame.views[number]
        index, without = view.slices[position], {position}
        if rng.random() < SECOND_PART:
            without.add(position + int(rng.choice((-1, 1))))
        field, far = self.prior_at(number, index, tuple(without))
        if rng.random() < NEAR_PART:
            place = rng.uniform(0.05, 0.95)
            truth = np.clip(view.prior(index)[0], -2 * CLIP_PIXELS, 2 * CLIP_PIXELS)
            known = place * (1 - place)
            field = truth + np.float32(known) * (np.clip(field, -2 * CLIP_PIXELS, 2 * CLIP_PIXELS) - truth)
            far = far * np.float32(min(place, 1 - place))
        return field, far

    def stack(self, number: int, index: int, without: Sequence[int] = ()) -> np.ndarray:
        """The input channels at a slice: ``(channels, rows, columns)``, or ``(channels, depth, rows, columns)``."""
        if self.dims == 2:
            return self._slice(number, index, *self.prior_at(number, index, without))
        places = self._slab(number, index)
        return np.stack([self._slice(number, i, *self.prior_at(number, i, without)) for i in places], 1)

    def learned(self, number: int, position: int, rng: np.random.Generator) -> np.ndarray:
        """The input channels of a painted slice (or of the slab around it) to learn from."""
        view = self.frame.views[number]
        if self.dims == 3:
            return self.stack(number, view.slices[position], (position,))
        return self._slice(number, view.slices[position], *self.learned_prior(number, position, rng))

    def _slab(self, number: int, index: int) -> list[int]:
        last = len(self.frame.views[number].image) - 1
        return [min(max(i, 0), last) for i in range(index - SLAB, index + SLAB)]

    def _slice(self, number: int, index: int, field: np.ndarray, far: np.ndarray) -> np.ndarray:
        view = self.frame.views[number]
        around = (index - 1, index, index + 1) if self.dims == 2 else (index,)
        image = [view.image[min(max(i, 0), len(view.image) - 1)] for i in around]
        start = [] if view.start is None else list(view.start[index])
        if not self.prior:
            field, far = np.zeros_like(field), np.zeros_like(far)
        field = np.clip(field, -2 * CLIP_PIXELS, 2 * CLIP_PIXELS)
        return np.stack([*field, far, *start, *image]).astype(np.float32)

    def target(self, number: int, position: int) -> np.ndarray:
        """Classes of a painted slice, ``(classes, rows, columns)``."""
        return self.frame.views[number].maps[position]


def reachable(view: View, reach: float) -> range:
    """The slices of a view that are predicted: up to ``reach`` (in pixels) beyond its outermost painted slices."""
    more = int(np.floor(reach / view.step + 1e-6))
    if view.start is not None:
        return range(len(view.image))
    return range(max(view.slices[0] - more, 0), min(view.slices[-1] + more + 1, len(view.image)))
