"""Slices of a volume as a radiologist looks at them: the patient's right on the left, anterior or superior on top."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from manabi.geometry import closest_axes
from manabi.plotting import style
from manabi.volume import Volume

AXIAL, CORONAL, SAGITTAL = 0, 1, 2
"""Array axis (KJI) across which each plane is cut."""
FLAT_PX = 50
"""Planes lower than this carry no letters above and below."""
LETTERS = {AXIAL: ("R", "L", "A", "P"), CORONAL: ("R", "L", "S", "I"), SAGITTAL: ("A", "P", "S", "I")}
"""Directions at the left, right, top and bottom edge."""


def canonical(volume: Volume) -> Volume:
    """The volume with I to the right, J to anterior, K to superior, as closely as its axes allow.

    Nothing is interpolated unless the axes are not perpendicular.
    """
    return volume.straightened().reoriented()


def tilt_deg(volume: Volume) -> float:
    """Largest angle between the volume's axes and the patient's."""
    directions = volume.grid.directions
    axes, _ = closest_axes(directions)
    cosines = [abs(directions[row, axis]) for row, axis in enumerate(axes)]
    return float(np.degrees(np.arccos(np.clip(min(cosines), -1, 1))))


def plane(array: np.ndarray, axis: int, index: int) -> np.ndarray:
    """A slice of a canonical array, rows from the top and columns from the left of the display.

    Args:
        array: KJI of a :func:`canonical` volume.
        axis: ``AXIAL``, ``CORONAL`` or ``SAGITTAL``.
        index: which slice.
    """
    return np.take(array, index, axis)[::-1, ::-1]


def size_mm(shape: tuple[int, ...], spacing_mm: np.ndarray, axis: int) -> tuple[float, float]:
    """Width and height in mm of a plane of an array of ``shape`` (KJI) with spacing along I, J, K."""
    extent = [float(n * s) for n, s in zip(shape, spacing_mm[::-1], strict=True)]
    height, width = [e for n, e in enumerate(extent) if n != axis]
    return width, height


@dataclass(frozen=True)
class Look:
    """How values become colours."""

    colors: Colormap
    low: float
    high: float
    letters: str = "#ffffff"


def show(axes: Axes, pixels: np.ndarray, size: tuple[float, float], look: Look) -> None:
    """Draw a plane on axes whose box has the plane's proportions; axes units are mm from the top left corner.

    Pixels are blended bilinearly, as nuclear images are usually shown.
    """
    width, height = size
    axes.imshow(
        pixels, cmap=look.colors, vmin=look.low, vmax=look.high, extent=(0, width, height, 0),
        interpolation="bilinear", aspect="auto", origin="upper",
    )  # fmt: skip
    axes.set(xlim=(0, width), ylim=(height, 0))


def letter(axes: Axes, axis: int, color: str, size: float = style.SMALL) -> None:
    """Write the directions at the edges, with a thin edge of the opposite lightness."""
    edge = style.INK if color == "#ffffff" else "#ffffff"
    left, right, top, bottom = LETTERS[axis]
    places = ((left, 0.02, 0.5, "left", "center"), (right, 0.98, 0.5, "right", "center"),
              (top, 0.5, 0.985, "center", "top"), (bottom, 0.5, 0.015, "center", "bottom"))  # fmt: skip
    flat = axes.get_window_extent().height < FLAT_PX
    for text, x, y, horizontal, vertical in places[: 2 if flat else 4]:
        axes.text(
            x, y, text, transform=axes.transAxes, ha=horizontal, va=vertical, color=color,
            fontproperties=style.font(size), path_effects=[effects.withStroke(linewidth=1.5, foreground=edge)],
        )  # fmt: skip


def outline(axes: Axes, mask: np.ndarray, size: tuple[float, float], color: str, width: float = 1.4) -> bool:
    """The edge of a region on a shown plane, with a dark halo; returns whether the plane meets the region."""
    if not mask.any():
        return False
    rows, columns = mask.shape
    padded = np.pad(mask.astype(float), 1)
    x = (np.arange(-1, columns + 1) + 0.5) * size[0] / columns
    y = (np.arange(-1, rows + 1) + 0.5) * size[1] / rows
    lines = axes.contour(x, y, padded, levels=[0.5], colors=[color], linewidths=width, linestyles="solid")
    lines.set_path_effects([effects.withStroke(linewidth=width + 1.2, foreground="#000000b0")])
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
    return True


def scale_bar(
    axes: Axes, size: tuple[float, float], length_mm: float, at: tuple[float, float, float] = (0.03, 0.965, 0.015)
) -> None:  # fmt: skip
    """A white bar at the lower left of a shown plane, with its length in cm above.

    Args:
        axes: where the plane is shown.
        size: width and height of the plane in mm.
        length_mm: of the bar.
        at: start from the left, height from the top, and gap below the words, as fractions of the plane.
    """
    width, height = size
    left, y = at[0] * width, at[1] * height
    halo = [effects.withStroke(linewidth=4, foreground="#000000")]
    axes.plot(
        [left, left + length_mm], [y, y], color="#ffffff", linewidth=2.5, solid_capstyle="butt", path_effects=halo
    )
    axes.text(
        left + length_mm / 2, y - at[2] * height, f"{length_mm / 10:.0f} cm", color="#ffffff", ha="center", va="bottom",
        fontproperties=style.font(style.SMALL), path_effects=[effects.withStroke(linewidth=2, foreground="#000000")],
    )  # fmt: skip
    axes.set(xlim=(0, width), ylim=(height, 0))
