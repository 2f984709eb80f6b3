"""Slices that stand for a chest: at the markers, and between them.

ILD-Slider (Zhang et al., J Imaging 2025, 10.3390/jimaging11100353) takes 3, 5 or 9 slices from the markers; which ones
is not published. Our reading: the markers (3), also the middles between neighbouring markers (5), also the quarters
(9). Imports nothing heavy: it also runs inside Slicer while a marker is dragged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from manabi.errors import InvalidInputError
from manabi.slices.reading import MARKERS, NAMES, PLACES

if TYPE_CHECKING:
    from manabi.result import Table
    from manabi.slices.stack import AxialStack
    from manabi.volume import Volume

Kind = Literal["3", "5", "9", "count", "spacing"]
PARTS = {"3": 1, "5": 2, "9": 4}
"""Parts that the way from one marker to the next is divided into."""
FRACTION = {"apex": 0.0, "carina": 0.5, "diaphragm": 1.0}
LUNG_WINDOW = (-550.0, 700.0)
"""Level and width in HU of 8-bit images (width: ILD-Slider; level: our choice, it is not published)."""


@dataclass(frozen=True)
class Plan:
    """Which slices are wanted.

    Attributes:
        kind: ``3``, ``5`` or ``9`` as ILD-Slider; ``count`` equally spaced ones; ``spacing`` one every so many mm.
        count: how many, both ends included (``count``).
        spacing_mm: their distance, from the highest marker down (``spacing``).
    """

    kind: Kind = "3"
    count: int = 9
    spacing_mm: float = 20.0

    def __post_init__(self) -> None:
        """Refuse what cannot be chosen."""
        if self.kind not in (*PARTS, "count", "spacing"):
            raise InvalidInputError(f"Representative slices must be 3, 5, 9, count or spacing; got {self.kind!r}.")
        if self.count < 1 or not self.spacing_mm > 0:
            raise InvalidInputError(
                f"Expected at least one slice and a positive spacing; got {self.count} and {self.spacing_mm} mm."
            )


@dataclass(frozen=True)
class Chosen:
    """One representative slice.

    Attributes:
        number: from 1, from the head to the feet.
        index: slice of the stack.
        z_mm: its position.
        fraction: 0 at the apex, 0.5 at the carina, 1 at the diaphragm; NaN where the markers do not say.
        marker: the marker on this slice, or empty.
    """

    number: int
    index: int
    z_mm: float
    fraction: float
    marker: str


def choose(levels_mm: Mapping[str, float], z_mm: np.ndarray, plan: Plan) -> tuple[Chosen, ...]:
    """The slices nearest to the wanted positions, from the head to the feet, each once.

    Where a marker is not in the image, only what lies between the others is chosen; without markers nothing is.
    :func:`choice_notes` says so in words.

    Args:
        levels_mm: positions of the markers, by name; those beyond the image do not count.
        z_mm: ``(n,)`` positions of the slices, increasing.
        plan: which are wanted.
    """
    z = np.asarray(z_mm, float)
    known = _known(levels_mm, z)
    marked: dict[int, str] = {}
    for name, level in known:
        marked.setdefault(_nearest(z, level), name)
    out: list[Chosen] = []
    for index in dict.fromkeys(_nearest(z, position) for position in _positions(known, plan)):
        marker = marked.get(index, "")
        fraction = FRACTION[marker] if marker else _fraction(float(z[index]), known)
        out.append(Chosen(len(out) + 1, index, float(z[index]), fraction, marker))
    return tuple(out)


def choice_notes(
    levels_mm: Mapping[str, float], z_mm: np.ndarray, plan: Plan, chosen: Sequence[Chosen]
) -> tuple[str, ...]:
    """What a reader should know about a choice: missing markers, fewer slices than wanted, a strange order.

    Args:
        levels_mm: as for :func:`choose`.
        z_mm: as for :func:`choose`.
        plan: as for :func:`choose`.
        chosen: what :func:`choose` gave for them.
    """
    z = np.asarray(z_mm, float)
    known = _known(levels_mm, z)
    names = [name for name, _ in known]
    missing = [PLACES[name] for name in MARKERS if name not in names]
    if not known:
        return ("No representative slices: none of the three markers is in the image.",)
    notes = []
    if missing:
        between = " and ".join(PLACES[name] for name in dict.fromkeys((names[0], names[-1])))
        where = f"lie between {between} only" if len(names) > 1 else f"are at {between} only"
        are = "is" if len(missing) == 1 else "are"
        notes.append(f"Representative slices {where}, as {' and '.join(missing)} {are} missing.")
    if names != sorted(names, key=MARKERS.index):
        notes.append("The markers are not in their order from the head to the feet; fractions are left out.")
    wanted = len(_positions(known, plan))
    if len(chosen) < wanted:
        notes.append(
            f"{wanted} representative slices were asked for, but they fall on {len(chosen)} of the image's slices; "
            "each was taken once."
        )
    return tuple(notes)


def chosen_of(table: Table, stack: AxialStack) -> tuple[Chosen, ...]:
    """The representative slices that a result's table of them lists, for another use of them.

    Args:
        table: ``tables["representative"]`` of SliceMarker.
        stack: of the result's input.

    Raises:
        InvalidInputError: where the table is of another image or another method.
    """
    wanted = ("number", "slice", "position_mm", "fraction", "marker")
    if not set(wanted) <= set(table.columns):
        raise InvalidInputError(f"Expected a table with the columns {', '.join(wanted)}; got {table.columns}.")
    by_name = {shown: name for name, shown in NAMES.items()}
    out = []
    for number, index, position, fraction, marker in zip(*(table.column(c) for c in wanted), strict=True):
        k = stack.input_index(int(index or 0))
        if not 0 <= k < stack.n or abs(stack.z_mm[k] - float(position or 0)) > max(stack.spacing_mm / 2, 0.1):
            raise InvalidInputError(f"Slice {index} at {position} mm is not one of this image; take the result's own.")
        share = float("nan") if fraction is None else float(fraction)
        out.append(Chosen(int(number or 0), k, float(stack.z_mm[k]), share, by_name.get(str(marker), "")))
    return tuple(out)


def _known(levels_mm: Mapping[str, float], z: np.ndarray) -> list[tuple[str, float]]:
    """Markers within the image, from the highest down."""
    half = (float(z[-1] - z[0]) / (len(z) - 1) if len(z) > 1 else 0.0) / 2 + 1e-6
    inside = [(name, float(levels_mm[name])) for name in MARKERS if name in levels_mm]
    inside = [(name, level) for name, level in inside if z[0] - half <= level <= z[-1] + half]
    return sorted(inside, key=lambda pair: -pair[1])


def _nearest(z: np.ndarray, level: float) -> int:
    return int(np.abs(z - level).argmin())


def _positions(known: list[tuple[str, float]], plan: Plan) -> list[float]:
    """Wanted positions in mm, from the head to the feet."""
    if not known:
        return []
    top, bottom = known[0][1], known[-1][1]
    if plan.kind == "count":
        return np.linspace(top, bottom, plan.count if top > bottom else 1).tolist()
    if plan.kind == "spacing":
        return np.arange(top, bottom - 1e-6, -plan.spacing_mm).tolist()
    out = [top]
    for (_, upper), (_, lower) in zip(known, known[1:], strict=False):
        out += np.linspace(upper, lower, PARTS[plan.kind] + 1)[1:].tolist()
    return out


def _fraction(z: float, known: list[tuple[str, float]]) -> float:
    """Where a position lies between apex (0), carina (0.5) and diaphragm (1); NaN where the markers do not say."""
    shares = [FRACTION[name] for name, _ in reversed(known)]
    if len(known) < 2 or shares != sorted(shares, reverse=True):
        return float("nan")
    return float(np.interp(z, [level for _, level in reversed(known)], shares))


def representative_volume(volume: Volume, stack: AxialStack, chosen: Sequence[Chosen]) -> Volume:
    """The input's own grid with all slices but the chosen ones at the image's lowest value, exactly in place.

    Of a stack that had to be resampled, the reformatted grid.

    Args:
        volume: the input.
        stack: of the input.
        chosen: which slices.
    """
    source = stack.volume if stack.resampled else volume
    axis = 0 if stack.resampled else stack.input_axis
    keep = [one.index if stack.resampled else stack.input_index(one.index) for one in chosen]
    array = np.asarray(source.array)
    out = np.full_like(array, array.min())
    place = tuple(keep if a == axis else slice(None) for a in range(3))
    out[place] = array[place]
    return source.like(out, name="representative")


def stack_of(stack: AxialStack, chosen: Sequence[Chosen]) -> np.ndarray:
    """The chosen slices one after the other, ``(n, rows, columns)``, as a reader sees them.

    The patient's right is on the left, the front above. For 2-D models; the distances between slices vary, so this is
    no volume: :func:`planes_to_ras` says where each lies.
    """
    if not chosen:
        return np.empty((0, *stack.volume.shape[1:]), stack.volume.array.dtype)
    return np.stack([np.asarray(stack.plane(one.index))[::-1, ::-1] for one in chosen])


def planes_to_ras(stack: AxialStack, chosen: Sequence[Chosen]) -> np.ndarray:
    """For each slice of :func:`stack_of` the 4×4 matrix from (column, row, 0, 1) to RAS mm, ``(n, 4, 4)``.

    The third axis is the stack's own step from slice to slice, so that each matrix is that of a volume of one slice.
    """
    matrix = stack.volume.ijk_to_ras
    _, rows, columns = stack.volume.shape
    out = np.tile(np.eye(4), (len(chosen), 1, 1))
    for place, one in zip(out, chosen, strict=True):
        place[:3, :3] = matrix[:3, :3] * (-1.0, -1.0, 1.0)
        place[:3, 3] = stack.ras(one.index, rows - 1, columns - 1)
    return out


def as_8bit(array: np.ndarray, window: tuple[float, float] = LUNG_WINDOW) -> np.ndarray:
    """HU as 8-bit grey values in a window (level, width): black at ``level - width / 2``, white at the other end."""
    level, width = window
    if not width > 0:
        raise InvalidInputError(f"The window's width must be positive; got {width}.")
    grey = (np.asarray(array, np.float32) - (level - width / 2)) * (255.0 / width)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
