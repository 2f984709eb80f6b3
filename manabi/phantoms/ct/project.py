"""Line integrals of a batch of images along parallel rays, and the back-projection of filtered views.

On the processor, numba's kernels do the work where numba is there (the extra ``fast``); torch does the same sums
otherwise and on a graphics card. Both interpolate in the same places (P. M. Joseph, An improved algorithm for
reprojecting rays through pixel images, 1982, 10.1109/TMI.1982.4307572) and agree to rounding.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.geometry import ParallelGeometry, PixelSize, Rays, pixel_size, rays

LANES = (4, 16)
"""Slices that the compiled kernels take at once: 4 where there are no more, else 16."""
VIEWS_PER_SUM = 8
"""Views that torch adds up at once; more take more memory and no less time."""
_loading = threading.Lock()


def project(images: Tensor, pixel_mm: PixelSize, geometry: ParallelGeometry, engine: str = "auto") -> Tensor:
    """Line integrals.

    Args:
        images: ``(n, rows, columns)`` values per mm; both sides at least 2 pixels.
        pixel_mm: pixel size, one number or width and height.
        geometry: the rays; they may miss the image.
        engine: ``auto``, ``numba`` or ``torch``.

    Returns:
        ``(n, views, bins)`` float32 on the images' device.

    Raises:
        InvalidInputError: for another shape, size or engine.
    """
    images = _checked(images, "Images")
    shape = (int(images.shape[1]), int(images.shape[2]))
    out = images.new_zeros((len(images), geometry.views, geometry.bins))
    chosen = _project_numba if _takes_numba(images, engine) else _project_torch
    for part in rays(geometry, shape, pixel_mm):
        if len(part.views):
            lines = images if part.along_rows else images.transpose(1, 2)
            sums = chosen(lines, part, geometry.bins)
            sums *= torch.as_tensor(part.lengths_mm, dtype=torch.float32, device=images.device)[:, None]
            out[:, torch.as_tensor(part.views, device=images.device)] = sums
    return out


def backproject(
    sinograms: Tensor, geometry: ParallelGeometry, shape: tuple[int, int], pixel_mm: PixelSize, engine: str = "auto"
) -> Tensor:
    """The sum over views, within the circle that every view covers; 0 outside it.

    Args:
        sinograms: ``(n, views, bins)``.
        geometry: the rays.
        shape: rows and columns of the image.
        pixel_mm: pixel size, one number or width and height.
        engine: ``auto``, ``numba`` or ``torch``.

    Returns:
        ``(n, rows, columns)`` float32.
    """
    sinograms = _checked(sinograms, "Sinograms")
    if tuple(sinograms.shape[1:]) != (geometry.views, geometry.bins):
        raise InvalidInputError(
            f"Expected sinograms of {geometry.views} views and {geometry.bins} bins; got {tuple(sinograms.shape[1:])}."
        )
    width, height = pixel_size(pixel_mm)
    turns = np.stack([np.cos(geometry.angles) * width, np.sin(geometry.angles) * height], axis=1) / geometry.bin_mm
    column, row = geometry.axis(shape, pixel_mm)
    place = np.array([column, row, (geometry.bins - 1) / 2, width, height, geometry.radius_mm])
    chosen = _backproject_numba if _takes_numba(sinograms, engine) else _backproject_torch
    return chosen(sinograms, shape, turns, place)


def _checked(images: Tensor, what: str) -> Tensor:
    if images.ndim != 3 or min(images.shape) < 1 or min(images.shape[1:]) < 2:
        raise InvalidInputError(f"{what} are (n, ., .) with at least 2 × 2 values; got {tuple(images.shape)}.")
    return images.float()


def _takes_numba(images: Tensor, engine: str) -> bool:
    if engine not in ("auto", "numba", "torch"):
        raise InvalidInputError(f"The engine is auto, numba or torch; got {engine!r}.")
    if engine == "numba" and images.device.type != "cpu":
        raise InvalidInputError("The compiled kernels work on the processor; move the images there.")
    return engine == "numba" or (engine == "auto" and images.device.type == "cpu" and has_numba())


@lru_cache(maxsize=1)
def has_numba() -> bool:
    """True where numba can be imported."""
    return importlib.util.find_spec("numba") is not None


# --- compiled --------------------------------------------------------------------------------------


def _shared(kernel: Callable[..., None], count: int, step: int, *arguments: object) -> None:
    """``kernel(start, stop, *arguments)`` over ``range(count)`` by torch's number of threads, in steps."""
    kernel(0, 0, *arguments)  # compiles, once
    threads = torch.get_num_threads()
    starts = range(0, count, step)
    if threads == 1 or len(starts) == 1:
        kernel(0, count, *arguments)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda start: kernel(start, min(start + step, count), *arguments), starts))


def _in_lanes(stack: Tensor) -> list[tuple[int, int, np.ndarray, tuple[int, ...]]]:
    """Groups of slices: the first, how many, their values flat with slices last, and the lanes as a tuple."""
    groups = []
    for first in range(0, len(stack), LANES[-1]):
        part = stack[first : first + LANES[-1]]
        lanes = next(n for n in LANES if n >= len(part))
        flat = part.new_zeros((*part.shape[1:], lanes))
        flat[..., : len(part)] = part.permute(1, 2, 0)
        groups.append((first, len(part), flat.numpy().reshape(-1), (0,) * lanes))
    return groups


def _project_numba(lines: Tensor, part: Rays, bins: int) -> Tensor:
    """Sums ``(n, views, bins)`` along rays that cross the first axis of ``lines``."""
    with _loading:
        from manabi.phantoms.ct import kernels_numba as kernels
    views, size = len(part.views), (int(lines.shape[1]), int(lines.shape[2]), bins)
    out = lines.new_empty((len(lines), views, bins))
    for first, count, image, lanes in _in_lanes(lines):
        sums = np.zeros(views * bins * len(lanes), np.float32)
        together = 2 * kernels.VIEWS_TOGETHER
        _shared(kernels.project_rows, views, together, image, size, part.rays, sums, lanes)
        result = torch.from_numpy(sums).view(views, bins, len(lanes))
        out[first : first + count] = result[..., :count].permute(2, 0, 1)
    return out


def _backproject_numba(sinograms: Tensor, shape: tuple[int, int], turns: np.ndarray, place: np.ndarray) -> Tensor:
    with _loading:
        from manabi.phantoms.ct import kernels_numba as kernels
    size = (*shape, int(sinograms.shape[1]), int(sinograms.shape[2]))
    out = sinograms.new_empty((len(sinograms), *shape))
    for first, count, flat, lanes in _in_lanes(sinograms):
        image = np.zeros(shape[0] * shape[1] * len(lanes), np.float32)
        _shared(kernels.backproject, kernels.tiles(*shape), 8, flat, size, turns, place, image, lanes)
        result = torch.from_numpy(image).view(*shape, len(lanes))
        out[first : first + count] = result[..., :count].permute(2, 0, 1)
    return out


# --- torch -----------------------------------------------------------------------------------------


def _bags(at: Tensor, length: int, start: Tensor | int, inside: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Indices and weights ``(..., 2)`` of the two neighbours of places on lines of a length that begin at ``start``."""
    low = at.floor().clamp_(0, length - 2)
    far = (at - low).float()
    near = 1 - far
    if inside is not None:
        near, far = near * inside, far * inside
    index = low.long() + start
    return torch.stack([index, index + 1], dim=-1), torch.stack([near, far], dim=-1)


def _project_torch(lines: Tensor, part: Rays, bins: int) -> Tensor:
    """As :func:`_project_numba`, with a weighted sum of rows of a table whose columns are the slices."""
    count, length, across = lines.shape
    table = lines.permute(1, 2, 0).reshape(-1, count).contiguous()
    line = torch.arange(length, dtype=torch.float64, device=lines.device)
    ray = torch.arange(bins, dtype=torch.float64, device=lines.device)[:, None]
    out = lines.new_empty((count, len(part.views), bins))
    for view, (first, step, slope) in enumerate(part.rays.tolist()):
        x = first + slope * line + step * ray
        inside = ((x >= 0) & (x <= across - 1)).float()
        index, weight = _bags(x.clamp_(0, across - 1), across, line.long() * across, inside)
        sums = embedding_bag(index.flatten(1), table, mode="sum", per_sample_weights=weight.flatten(1))
        out[:, view] = sums.T
    return out


def _backproject_torch(sinograms: Tensor, shape: tuple[int, int], turns: np.ndarray, place: np.ndarray) -> Tensor:
    """As :func:`_backproject_numba`, some views at a time."""
    device, (count, views, bins) = sinograms.device, sinograms.shape
    column = torch.arange(shape[1], dtype=torch.float64, device=device) - place[0]
    row = torch.arange(shape[0], dtype=torch.float64, device=device)[:, None] - place[1]
    inside = (column * place[3]).square() + (row * place[4]).square() <= place[5] ** 2
    y, x = (axis.expand(shape)[inside][:, None] for axis in (row, column))
    found = sinograms.new_zeros((len(x), count))
    table = sinograms.permute(1, 2, 0).reshape(-1, count).contiguous()
    angles = torch.as_tensor(turns, device=device)
    for start in range(0, views, VIEWS_PER_SUM):
        some = angles[start : start + VIEWS_PER_SUM]
        u = (place[2] + some[:, 0] * x + some[:, 1] * y).clamp_(0, bins - 1)
        index, weight = _bags(u, bins, torch.arange(start, start + len(some), device=device) * bins)
        found += embedding_bag(index.flatten(1), table, mode="sum", per_sample_weights=weight.flatten(1))
    image = sinograms.new_zeros((count, *shape))
    image[:, inside] = found.T
    return image
