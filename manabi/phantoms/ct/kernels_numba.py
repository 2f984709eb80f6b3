"""Compiled loops of the projector and the back-projector. Slices lie side by side in memory, as lanes of a vector.

All slices of a batch share the weights of a ray or a pixel, so each weight is computed once and applied to 16 (or 4)
neighbouring numbers in one step of the processor's vector unit. Images are worked on in tiles that stay in the cache.
The kernels hold no lock on the interpreter: threads share the work by ranges of tiles or views.

The number of lanes travels as the length of a tuple, so that it is known when a kernel is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic
from numba.np import arrayobj

TILE_ROWS, TILE_COLUMNS = 16, 64
VIEWS_TOGETHER = 8
"""Views that share one walk through the image."""


def _generated(typing: Any, out: Any, o: Any, source: Any, i: Any, j: Any, v: Any, w: Any, lanes: Any) -> Any:
    """``out[o:o+n] += v * source[i:i+n] + w * source[j:j+n]`` for the n lanes, as vectors; flat float32 arrays."""
    index, weight = types.uintp, types.float32

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        """The instructions for one call."""
        vector = ir.VectorType(ir.FloatType(), lanes.count)

        def place(array: int, at: int) -> ir.Value:
            data = arrayobj.make_array(signature.args[array])(context, builder, values[array]).data
            return builder.bitcast(builder.gep(data, [values[at]]), vector.as_pointer())

        def loaded(pointer: ir.Value) -> ir.Value:
            value = builder.load(pointer)
            value.align = 4
            return value

        def everywhere(number: ir.Value) -> ir.Value:
            none = ir.Constant(vector, ir.Undefined)
            one = builder.insert_element(none, number, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(one, none, ir.Constant(ir.VectorType(ir.IntType(32), lanes.count), None))

        target, flags = place(0, 1), ("contract",)
        total = loaded(target)
        for at, factor in ((3, 5), (4, 6)):
            part = builder.fmul(loaded(place(2, at)), everywhere(values[factor]), flags=flags)
            total = builder.fadd(total, part, flags=flags)
        builder.store(total, target).align = 4
        return context.get_dummy_value()

    return types.void(out, index, source, index, index, weight, weight, lanes), generate


_blend_add: Any = intrinsic(_generated)


def _compiled(function: Callable) -> Callable:
    """The function compiled at its first call and kept on disk, where there is a folder to keep it in."""
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # no folder can be written
        return njit(nogil=True, error_model="numpy")(function)


@_compiled
def project_rows(
    start: int,
    stop: int,
    image: np.ndarray,
    size: tuple[int, int, int],
    rays: np.ndarray,
    sums: np.ndarray,
    lanes: tuple,
) -> None:
    """Sum along rays that cross every row, between the two nearest columns of each (Joseph's method).

    Args:
        start: the first view to do.
        stop: the one after the last.
        image: rows × columns × lanes float32, flat.
        size: rows, columns, bins.
        rays: for each view, the column where ray 0 crosses row 0, columns from ray to ray, and from row to row
            ``(views, 3)`` float64.
        sums: views × bins × lanes float32, flat, zero at the start; sums of pixels come into it.
        lanes: a tuple as long as there are lanes.
    """
    rows, columns, bins = size
    n = len(lanes)
    for block in range(start, stop, VIEWS_TOGETHER):
        for row in range(rows):
            for view in range(block, min(block + VIEWS_TOGETHER, stop)):
                step, at = rays[view, 1], rays[view, 0] + rays[view, 2] * row
                a, b = -at / step, (columns - 1 - at) / step
                low, high = max(int(np.ceil(min(a, b))), 0), min(int(np.floor(max(a, b))), bins - 1)
                for ray in range(low, high + 1):
                    x = at + step * ray
                    left = min(max(int(x), 0), columns - 2)
                    w = np.float32(x - left)
                    here = np.uint64((row * columns + left) * n)
                    there = np.uint64((view * bins + ray) * n)
                    _blend_add(sums, there, image, here, here + np.uint64(n), np.float32(1) - w, w, lanes)


@_compiled
def backproject(
    start: int,
    stop: int,
    sinogram: np.ndarray,
    size: tuple[int, int, int, int],
    turns: np.ndarray,
    place: np.ndarray,
    image: np.ndarray,
    lanes: tuple,
) -> None:
    """Sum over views, between the two nearest bins of each.

    Args:
        start: the first tile to do.
        stop: the one after the last.
        sinogram: views × bins × lanes float32, flat, filtered; the outermost bins continue outwards.
        size: rows, columns, views, bins.
        turns: bins per column and bins per row of each view ``(views, 2)`` float64.
        place: column, row and bin of the axis; pixel width and height, and the radius to reconstruct, in mm.
        image: rows × columns × lanes float32, flat, zero at the start.
        lanes: a tuple as long as there are lanes.
    """
    rows, columns, views, bins = size
    n = len(lanes)
    across = (columns + TILE_COLUMNS - 1) // TILE_COLUMNS
    for tile in range(start, stop):
        top, left = (tile // across) * TILE_ROWS, (tile % across) * TILE_COLUMNS
        for view in range(views):
            for row in range(top, min(top + TILE_ROWS, rows)):
                half = place[5] ** 2 - ((row - place[1]) * place[4]) ** 2
                if half < 0:
                    continue
                half = np.sqrt(half) / place[3]
                low, high = max(left, int(np.ceil(place[0] - half))), int(np.floor(place[0] + half)) + 1
                per_column = turns[view, 0]
                at = place[2] + turns[view, 1] * (row - place[1]) - per_column * place[0]
                for column in range(low, min(high, left + TILE_COLUMNS, columns)):
                    u = at + per_column * column  # within the bins, as the circle is, but for rounding
                    near = min(max(int(u), 0), bins - 2)
                    w = np.float32(u - near)
                    here = np.uint64((view * bins + near) * n)
                    there = np.uint64((row * columns + column) * n)
                    _blend_add(image, there, sinogram, here, here + np.uint64(n), np.float32(1) - w, w, lanes)


def tiles(rows: int, columns: int) -> int:
    """How many tiles an image has."""
    return -(-rows // TILE_ROWS) * -(-columns // TILE_COLUMNS)
