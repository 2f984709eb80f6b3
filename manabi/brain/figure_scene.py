"""What the figures of BrainSeg are made of: the image cut to the head, and what lies on its grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from manabi.errors import InvalidInputError
from manabi.plotting.views import AXIAL, CORONAL, SAGITTAL, canonical, size_mm, tilt_deg
from manabi.result import Labelmap, Result
from manabi.volume import Volume

DARKEST, BRIGHTEST = 1.0, 99.7
"""Percentiles of the head's values that become black and white (our choice)."""
HEADROOM = 1.12
COARSE_MM = 4.0
"""Voxels on which the head is looked for (our choice)."""
HEAD_SHARE = 0.12
"""Of the bright values; what is above may be head (our choice)."""
MARGIN_MM = 8.0
BELOW_MM = 30.0
"""How much of the neck is shown below the lowest label (our choice)."""
WORDS = {AXIAL: ("Axial", "S", "I", 2), CORONAL: ("Coronal", "A", "P", 1), SAGITTAL: ("Sagittal", "R", "L", 0)}

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class View:
    """A plane: the array axis across which it is cut, and where."""

    axis: int
    index: int


@dataclass(frozen=True)
class Scene:
    """A result with its image.

    Attributes:
        whole: the image; columns run to the right, rows to the front, slices to the head.
        box: what of it is shown, KJI.
        result: the result.
    """

    whole: Volume
    box: Box
    result: Result

    @classmethod
    def of(cls, image: Volume, result: Result) -> Scene:
        """Cut to the head; below, to what was labelled."""
        whole = canonical(image)
        box = head_box(whole)
        for found in result.labelmaps.values():
            box = _without_neck(box, _on(whole, found.volume), float(whole.spacing_mm[2]))
        return cls(whole, box, result)

    def around(self, mask: np.ndarray, margin_mm: float) -> Scene:
        """The same cut to a mask on the shown part, with a margin; itself where the mask is empty."""
        if not mask.any():
            return self
        box = []
        for hit, own, step in zip(_profiles(mask), self.box, self.spacing_mm[::-1], strict=True):
            found, margin = np.flatnonzero(hit), round(margin_mm / step)
            box.append(slice(max(own.start + int(found[0]) - margin, own.start),
                             min(own.start + int(found[-1]) + margin + 1, own.stop)))  # fmt: skip
        return replace(self, box=(box[0], box[1], box[2]))

    @cached_property
    def image(self) -> np.ndarray:
        """KJI, float32."""
        return np.asarray(self.whole.array[self.box], np.float32)

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size along I, J, K."""
        return self.whole.spacing_mm

    @property
    def tilt_deg(self) -> float:
        """Angle between the image's axes and the patient's."""
        return tilt_deg(self.whole)

    @cached_property
    def window(self) -> tuple[float, float]:
        """Values shown as black and white."""
        return window_of(self.image)

    def layer(self, volume: Volume) -> np.ndarray:
        """Values of another volume on the image's grid, as :attr:`image`.

        Raises:
            InvalidInputError: where it lies on another grid.
        """
        return _on(self.whole, volume)[self.box]

    def labels(self, labelmap: Labelmap) -> np.ndarray:
        """A label map as :attr:`image`."""
        return self.layer(labelmap.volume)

    def size_mm(self, axis: int) -> tuple[float, float]:
        """Width and height of a plane."""
        return size_mm(self.image.shape, self.spacing_mm, axis)

    def place_mm(self, view: View) -> float:
        """RAS coordinate of the middle of a plane along the patient's axis that it is cut across."""
        middle = [(s.start + s.stop - 1) / 2 for s in self.box]
        middle[view.axis] = self.box[view.axis].start + view.index
        return float(self.whole.grid.ras_of(np.array(middle[::-1]))[WORDS[view.axis][3]])

    def title(self, view: View) -> str:
        """Plane and place, for example ``Axial · S 23 mm``."""
        name, plus, minus, _ = WORDS[view.axis]
        place = self.place_mm(view)
        return f"{name} · {plus if place >= 0 else minus} {abs(place):.0f} mm"

    def views_through(self, mask: np.ndarray) -> list[View]:
        """Axial, coronal and sagittal plane through the middle of a mask; of the image, where it is empty."""
        middle = [n // 2 for n in self.image.shape]
        if mask.any():
            middle = [int(round(float(np.average(np.arange(len(c)), weights=c)))) for c in _profiles(mask)]
        return [View(axis, middle[axis]) for axis in (AXIAL, CORONAL, SAGITTAL)]

    def spread_views(self, mask: np.ndarray, axis: int, fractions: tuple[float, ...]) -> list[View]:
        """Planes at fractions of a mask's extent across an axis; of the image's, where it is empty."""
        hit: list[int] = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))).tolist()
        low, high = (hit[0], hit[-1]) if hit else (0, self.image.shape[axis] - 1)
        return [View(axis, n) for n in sorted({round(low + f * (high - low)) for f in fractions})]


def window_of(array: np.ndarray) -> tuple[float, float]:
    """Values shown as black and white: percentiles of what is above the lowest."""
    lowest = float(array.min())
    bright = array[array > lowest]
    if not bright.size:
        return lowest, lowest + 1.0
    low, high = (float(v) for v in np.percentile(bright, (DARKEST, BRIGHTEST)))
    return (low, low + HEADROOM * (high - low)) if high > low else (lowest, high)


def head_box(volume: Volume) -> Box:
    """The box around what may be head in a canonical volume, with a margin; all of it where nothing stands out."""
    from scipy import ndimage

    small = volume.resampled(volume.grid.with_spacing(np.maximum(volume.spacing_mm, COARSE_MM)), fill=float(
        np.min(volume.array)))  # fmt: skip
    values = ndimage.gaussian_filter(small.array - small.array.min(), 1.0)
    parts, count = ndimage.label(values > HEAD_SHARE * np.percentile(values, 99.5))
    if not count:
        return tuple(slice(0, n) for n in volume.shape)  # type: ignore[return-value]
    head: np.ndarray = parts == int(np.bincount(parts.ravel())[1:].argmax()) + 1
    box = []
    for axis, hit in enumerate(_profiles(head)):
        found, step, coarse = np.flatnonzero(hit), volume.spacing_mm[2 - axis], small.spacing_mm[2 - axis]
        low, high = found[0] * coarse - MARGIN_MM, (found[-1] + 1) * coarse + MARGIN_MM
        box.append(slice(max(int(low / step), 0), min(int(np.ceil(high / step)), volume.shape[axis])))
    return box[0], box[1], box[2]


def _without_neck(box: Box, labels: np.ndarray, step_mm: float) -> Box:
    found = np.flatnonzero(labels.any(axis=(1, 2)))
    if not len(found):
        return box
    lowest = max(box[0].start, int(found[0] - BELOW_MM / step_mm))
    return slice(min(lowest, box[0].stop - 1), max(box[0].stop, int(found[-1]) + 1)), box[1], box[2]


def _on(whole: Volume, volume: Volume) -> np.ndarray:
    """A volume's values in the image's canonical order; raises InvalidInputError where it lies on another grid."""
    straight = canonical(volume)
    if not straight.grid.same_as(whole.grid, 0.01):
        raise InvalidInputError("The result does not lie on the image's grid; draw it with its own input.")
    return np.asarray(straight.array)


def _profiles(mask: np.ndarray) -> list[np.ndarray]:
    """How much of a mask lies on each plane, for the three axes."""
    return [mask.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
