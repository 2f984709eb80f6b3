"""The planes of MVCTConvert's figure: grey images in one window, maps in their own colours, a checkerboard between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib import colormaps as matplotlib_colormaps
from matplotlib.axes import Axes

from manabi.errors import InvalidInputError
from manabi.plotting import colormaps, style
from manabi.plotting.page import Page
from manabi.plotting.views import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    Look,
    canonical,
    letter,
    plane,
    scale_bar,
    show,
    size_mm,
    tilt_deg,
)
from manabi.result import Result
from manabi.volume import Volume

LEVEL, WIDTH_HU = 40.0, 350.0
"""The soft-tissue window in which contours are drawn (our choice after common practice)."""
AIR_HU = -1000.0
MARGIN_MM = 12.0
BAR_MM = 50.0
GAP, CAPTION, BAR_PX = 8, 20, 74
TALLEST_PX, ALONE_PX = 290, 420
"""Height of a plane at most, beside others and alone."""
LEAST_MM = 12.0
"""Of fewer slices than make this height only the axial plane is drawn (our choice)."""
SQUARES = 6
"""Of the checkerboard along the shorter side."""
PERCENTILE = 99.0
CAPTIONS = {
    "input": "Input",
    "converted": "Converted (synthetic)",
    "checkerboard": "Checkerboard: input and converted",
    "difference": "Difference: converted − input (HU)",
    "uncertainty": "Uncertainty (HU)",
    "residual": "Cycle residual: converted back − input (HU)",
}


@dataclass(frozen=True)
class Scene:
    """What is shown, in canonical order and cut to the body.

    Attributes:
        arrays: HU ``(slices, rows, columns)`` by name, as in :data:`CAPTIONS`.
        spacing_mm: along I, J, K.
        centre: KJI of the point that all planes pass.
        tilt_deg: of the image's axes against the patient's.
    """

    arrays: dict[str, np.ndarray]
    spacing_mm: np.ndarray
    centre: tuple[int, int, int]
    tilt_deg: float

    @classmethod
    def of(cls, volume: Volume, result: Result) -> Scene:
        """The scene of a result on its input.

        Raises:
            InvalidInputError: where the result holds no converted image on the input's grid.
        """
        converted = result.volumes.get("converted")
        if converted is None or not converted.grid.same_as(volume.grid):
            raise InvalidInputError(
                "Expected a result of MVCTConvert on this image, with a converted image on its grid. "
                "Check that input and result belong together."
            )
        straight = canonical(volume)
        shown = {"input": volume, **{name: result.volumes[name] for name in CAPTIONS if name in result.volumes}}
        arrays = {name: np.asarray(canonical(one).array, np.float32) for name, one in shown.items()}
        body = result.labelmaps.get("body")
        mask = arrays["input"] > -400 if body is None else np.asarray(canonical(body.volume).array) > 0
        if not mask.any():
            mask = np.ones(mask.shape, bool)
        box, centre = _placed(mask, arrays["difference"], straight.spacing_mm)
        cut = {name: array[box] for name, array in arrays.items()}
        return cls(cut, straight.spacing_mm, centre, tilt_deg(volume))

    @cached_property
    def limits(self) -> dict[str, float]:
        """Largest value of each map's colours, HU: a high percentile, rounded up."""
        return {
            name: _round_up(float(np.percentile(np.abs(self.arrays[name][self.arrays[name] != 0]), PERCENTILE)))
            for name in ("difference", "uncertainty", "residual")
            if name in self.arrays and (self.arrays[name] != 0).any()
        }

    def size(self, axis: int) -> tuple[float, float]:
        """Width and height of a plane in mm."""
        return size_mm(next(iter(self.arrays.values())).shape, self.spacing_mm, axis)

    @property
    def planes(self) -> tuple[int, ...]:
        """The planes that are high enough to be seen."""
        return (AXIAL, CORONAL, SAGITTAL) if self.size(CORONAL)[1] >= LEAST_MM else (AXIAL,)

    def pixels(self, name: str, axis: int) -> np.ndarray:
        """A plane of an image, or of the checkerboard."""
        if name != "checkerboard":
            return plane(self.arrays[name], axis, self.centre[axis])
        one, other = (plane(self.arrays[key], axis, self.centre[axis]) for key in ("input", "converted"))
        return np.where(checkerboard(one.shape, self.size(axis)), one, other)


def checkerboard(shape: tuple[int, ...], size: tuple[float, float]) -> np.ndarray:
    """True on every other square; ``SQUARES`` of them along the shorter side in mm."""
    side = min(size) / SQUARES
    rows, columns = ((np.arange(n) + 0.5) * length / n // side for n, length in zip(shape, size[::-1], strict=True))
    return (rows[:, None] + columns[None, :]) % 2 == 0


def draw_planes(page: Page, scene: Scene, left: float, top: float, width: float) -> tuple[float, float]:
    """All rows; returns where they end, at the right and below."""
    sizes = [scene.size(axis) for axis in scene.planes]
    room = width - BAR_PX - GAP * len(sizes)
    scale = min(room / sum(w for w, _ in sizes), (TALLEST_PX if len(sizes) > 1 else ALONE_PX) / sizes[0][1])
    scale = min(scale, TALLEST_PX / max(h for _, h in sizes[1:])) if len(sizes) > 1 else scale
    for name in CAPTIONS:
        if name == "checkerboard" or name in scene.arrays:
            top = _draw_row(page, scene, name, left, top, scale)
    return left + sum(w for w, _ in sizes) * scale + GAP * len(sizes) + BAR_PX, top


def _draw_row(page: Page, scene: Scene, name: str, left: float, top: float, scale: float) -> float:
    page.text(left, top + 9, CAPTIONS[name], style.BODY, bold=True)
    look, start = _look(scene, name), top + CAPTION
    tallest = max(scene.size(axis)[1] for axis in scene.planes) * scale
    for axis in scene.planes:
        size = scene.size(axis)
        axes = page.axes(left, start, size[0] * scale, size[1] * scale)
        show(axes, scene.pixels(name, axis), size, look)
        _cross(axes, scene, axis, size)
        letter(axes, axis, look.letters)
        if axis == AXIAL:
            scale_bar(axes, size, BAR_MM)
        left += size[0] * scale + GAP
    label = "HU" if name in ("input", "converted", "checkerboard") else ""
    page.color_bar(left + 4, start, tallest, look.colors, (look.low, look.high), label)
    return start + tallest + GAP + 2


def _look(scene: Scene, name: str) -> Look:
    limit = scene.limits.get(name, 1.0)
    looks: dict[str, Callable[[], Look]] = {
        "difference": lambda: Look(colormaps.change(), -limit, limit, style.INK),
        "residual": lambda: Look(colormaps.change(), -limit, limit, style.INK),
        "uncertainty": lambda: Look(colormaps.spread(), 0.0, limit),
    }
    grey = Look(matplotlib_colormaps["gray"], LEVEL - WIDTH_HU / 2, LEVEL + WIDTH_HU / 2)
    return looks[name]() if name in looks else grey


def _cross(axes: Axes, scene: Scene, axis: int, size: tuple[float, float]) -> None:
    """Short marks at the borders where the two other planes cut this one; none where there are no others."""
    if len(scene.planes) == 1:
        return
    shape = next(iter(scene.arrays.values())).shape
    down, across = (a for a in (AXIAL, CORONAL, SAGITTAL) if a != axis)
    x = (1 - (scene.centre[across] + 0.5) / shape[across]) * size[0]
    y = (1 - (scene.centre[down] + 0.5) / shape[down]) * size[1]
    tick = 0.035 * min(size)
    for xs, ys in (([x, x], [0, tick]), ([x, x], [size[1] - tick, size[1]]), ([0, tick], [y, y]),
                   ([size[0] - tick, size[0]], [y, y])):  # fmt: skip
        axes.plot(xs, ys, color="#ffd35c", linewidth=1.2)
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))


def _placed(
    mask: np.ndarray, change: np.ndarray, spacing_mm: np.ndarray
) -> tuple[tuple[slice, slice, slice], tuple[int, int, int]]:
    """The body's box with a margin, and in it the slices with the most body; the axial one where most has changed."""
    ends, centre = [], []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        present = np.flatnonzero(mask.any(others))
        margin = int(np.ceil(MARGIN_MM / spacing_mm[2 - axis])) if axis else 0
        first = max(int(present[0]) - margin, 0)
        ends.append(slice(first, min(int(present[-1]) + 1 + margin, mask.shape[axis])))
        weight = np.abs(change).sum(others, dtype=np.float64) if axis == 0 else mask.sum(others)
        middle = np.average(np.arange(len(weight)), weights=weight) if weight.sum() else present.mean()
        centre.append(int(np.clip(round(float(middle)) - first, 0, ends[-1].stop - first - 1)))
    return (ends[0], ends[1], ends[2]), (centre[0], centre[1], centre[2])


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... HU."""
    for power in range(0, 5):
        for step in (1, 2, 5):
            if value <= step * 10**power:
                return float(step * 10**power)
    return 1e5
