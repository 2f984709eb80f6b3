"""Convolution by one-dimensional kernels along the axes, for many kernels at once and only where it is wanted.

Kernels that share a factor along an axis share its pass: the eight bands of a wavelet take 2 + 4 + 8 passes. A pass
adds the shifted image, weight by weight, in pieces that stay in the processor's cache. Weights are added from the
first to the last without fused operations and the axes are taken x, y, z, as PyWavelets does for pyradiomics: so even
the rounding is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, permutations, product
from typing import Any

import numpy as np

from manabi.radiomics.filters.boundary import EVEN, Box, Reach, extended, source_box, whole

PIECE = 16384
"""Voxels of a pass worked on at once: three such rows of float64 stay in a second-level cache (measured)."""


@dataclass(frozen=True)
class Kernel:
    """Weights along one axis: the response at n is the sum over j of weights[j] * image[n + centre - j].

    Attributes:
        weights: of a convolution.
        centre: which weight falls on the voxel itself.
    """

    weights: tuple[float, ...]
    centre: int

    @classmethod
    def odd(cls, weights: np.ndarray) -> Kernel:
        """Weights whose middle falls on the voxel; an even number gets a zero at its end (IBSI's convention)."""
        return cls(tuple(float(w) for w in weights), len(weights) // 2)

    @property
    def reach(self) -> tuple[int, int]:
        """Voxels read before and after."""
        return len(self.weights) - 1 - self.centre, self.centre

    def flipped(self) -> Kernel:
        """The mirror image about the voxel."""
        return Kernel(self.weights[::-1], len(self.weights) - 1 - self.centre)

    def dilated(self, step: int) -> Kernel:
        """With step - 1 zeros between the weights (a trous)."""
        weights = np.zeros((len(self.weights) - 1) * step + 1)
        weights[::step] = self.weights
        return Kernel(tuple(float(w) for w in weights), self.centre * step)


NOTHING = Kernel((1.0,), 0)
"""Leaves an axis as it is."""

Triple = tuple[Kernel, Kernel, Kernel]
"""Kernels along slices, rows and columns."""


Jobs = Mapping[Any, list[Triple]]
"""Name -> the kernels of each link of a chain of convolutions."""


@dataclass(frozen=True)
class _Link:
    """Where one link of a chain is computed, what its widest kernel reads, and of what image."""

    box: Box
    reach: Reach
    shape: tuple[int, ...]
    boundary: str


def rotated(kernels: Triple, planar: bool) -> list[Triple]:
    """The kernel in all its right-angle rotations: 24 in space, 4 in the plane.

    IBSI reference manual on filters (arXiv:2006.05470), section on rotational invariance of separable kernels.
    """
    found: list[Triple] = []
    for order, signs in _rotations(planar):
        k, j, i = (
            kernels[old] if sign == 1 else kernels[old].flipped() for old, sign in zip(order, signs, strict=True)
        )
        found.append((k, j, i))
    return found


def _rotations(planar: bool) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Orders and signs of the axes that turn and do not mirror; in the plane, the first axis stays."""
    for order in permutations(range(3)):
        swaps = sum(order[a] > order[b] for a, b in combinations(range(3), 2))
        for signs in product((1, -1), repeat=3):
            stays = order[0] == 0 and signs[0] == 1
            if (-1) ** swaps * np.prod(signs) == 1 and (stays or not planar):
                yield order, signs


def staged(
    array: np.ndarray, box: Box, boundary: str, jobs: Jobs, dtype: type[np.floating] = np.float64
) -> Iterator[tuple[Any, np.ndarray]]:
    """Responses to chains of convolutions, the boundary condition applied before each link.

    Args:
        array: the whole image, any real type, (slices, rows, columns); only what is read of it is converted.
        box: where responses are wanted.
        boundary: see :func:`manabi.radiomics.filters.boundary.sources`.
        jobs: name -> the kernels of each link; all chains are equally long.
        dtype: float32 or float64, to compute in.

    Yields:
        Name and response (of the box's shape and that type). A response lasts until the next one is asked for: its
        memory is used again. See :func:`kept`.
    """
    links: list[_Link] = []
    shape, further = array.shape, boundary
    if boundary == EVEN:
        # The first link reads the image with its voxel more; the next ones read responses, whose length is even.
        shape, further = tuple(size + size % 2 for size in shape), "periodize"
    for number in reversed(range(len(next(iter(jobs.values()))))):
        reach = widest([chain[number] for chain in jobs.values()])
        links.insert(0, _Link(box, reach, shape, further))
        box = source_box(box, reach, shape, further)
    links[0] = replace(links[0], shape=array.shape, boundary=boundary)
    yield from _linked(array, whole(array.shape), links, jobs, dtype)


def _linked(
    part: np.ndarray, origin: Box, links: list[_Link], jobs: Jobs, dtype: type[np.floating]
) -> Iterator[tuple[Any, np.ndarray]]:
    """The first link of all chains, then the rest of those that share it."""
    link = links[0]
    shared: dict[Triple, dict[Any, list[Triple]]] = {}
    for name, (first, *rest) in jobs.items():
        shared.setdefault(first, {})[name] = rest
    around = extended(part, origin, link.box, link.reach, link.shape, link.boundary).astype(dtype, copy=False)
    for first, response in branches(around, link.box, link.reach, list(shared)):
        if len(links) == 1:
            yield from ((name, response) for name in shared[first])
        else:
            yield from _linked(response, link.box, links[1:], shared[first], dtype)


def on_part(
    part: np.ndarray, origin: Box, shape: tuple[int, ...], box: Box, boundary: str, kernels: Triple
) -> np.ndarray:
    """One convolution of an image of which only a part is at hand: what the box needs, lying at ``origin``."""
    link = _Link(box, widest([kernels]), shape, boundary)
    ((_, response),) = _linked(part, origin, [link], {None: [kernels]}, np.float64)
    return response.copy()


def kept(responses: Iterator[tuple[Any, np.ndarray]], count: int) -> dict[Any, np.ndarray]:
    """So many responses of :func:`staged`, copied.

    They lie in one block of memory, which the system hands out much faster than several (measured).
    """
    found: dict[Any, np.ndarray] = {}
    for number, (name, response) in enumerate(responses):
        if not number:
            block = np.empty((count, *response.shape), response.dtype)
        block[number] = response
        found[name] = block[number]
    return found


def branches(around: np.ndarray, box: Box, reach: Reach, triples: list[Triple]) -> Iterator[tuple[Triple, np.ndarray]]:
    """The responses of a box to several kernels, sharing passes.

    Args:
        around: the box with ``reach`` around it, contiguous.
        box: gives the size of the responses.
        reach: of the widest kernel on each side.
        triples: kernels along slices, rows, columns.

    Yields:
        Each of the triples and its response, which lasts until the next one is asked for.
    """
    sizes = tuple(side.stop - side.start for side in box)
    # Fresh memory costs as much as a pass, so three buffers are used again and again.
    room_i, room_j, room_k = (np.empty_like(around) for _ in range(3))
    for i in dict.fromkeys(t[2] for t in triples):
        along_i = one_pass(around, 2, i, room_i)
        for j in dict.fromkeys(t[1] for t in triples if t[2] == i):
            along_j = one_pass(along_i, 1, j, room_j)
            for k in dict.fromkeys(t[0] for t in triples if t[1:] == (j, i)):
                starts = [before - kernel.reach[0] for (before, _), kernel in zip(reach, (k, j, i), strict=True)]
                inside = tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
                yield (k, j, i), one_pass(along_j, 0, k, room_k)[inside]


def one_pass(array: np.ndarray, axis: int, kernel: Kernel, out: np.ndarray | None = None) -> np.ndarray:
    """Convolve along one axis; place n of the result holds the response of place n + the kernel's first reach.

    The last places along the axis, for which the array is too short, hold nothing of use.

    Args:
        array: contiguous float32 or float64, (slices, rows, columns).
        axis: 0, 1 or 2.
        kernel: its weights are taken in the array's type.
        out: memory for the result, like the array but not it; None takes new.

    Returns:
        ``out``, or the array itself where the kernel changes nothing.
    """
    if kernel == NOTHING:
        return array
    result = np.empty_like(array) if out is None else out
    stride = int(np.prod(array.shape[axis + 1 :]))
    last = len(kernel.weights) - 1
    taps = [((last - n) * stride, array.dtype.type(w)) for n, w in enumerate(kernel.weights) if w]
    flat, total = array.reshape(-1), result.reshape(-1)
    count = max(flat.size - last * stride, 0)
    total[count:] = 0
    scratch = np.empty(min(PIECE, count), array.dtype)
    for start in range(0, count, PIECE):
        stop = min(start + PIECE, count)
        _weighted(flat, taps, total, scratch, start, stop)
    return result


def _weighted(
    flat: np.ndarray, taps: list[tuple[int, Any]], total: np.ndarray, scratch: np.ndarray, start: int, stop: int
) -> None:
    """One piece of a pass: the sum of the shifted, weighted image, in the order of the taps."""
    piece, term = total[start:stop], scratch[: stop - start]
    if not taps:
        piece[...] = 0
        return
    (shift, weight), *others = taps
    np.multiply(flat[start + shift : stop + shift], weight, out=piece)
    for shift, weight in others:
        np.multiply(flat[start + shift : stop + shift], weight, out=term)
        piece += term


def widest(triples: list[Triple]) -> Reach:
    """What the widest of several kernels reads before and after a voxel, along each axis."""
    k, j, i = ((max(t[axis].reach[0] for t in triples), max(t[axis].reach[1] for t in triples)) for axis in range(3))
    return k, j, i


def pooled(responses: Iterator[np.ndarray], pooling: str) -> np.ndarray:
    """Average or largest of responses, voxel by voxel, as a new array."""
    result, count = next(responses).copy(), 1
    for response in responses:
        count += 1
        if pooling == "max":
            np.maximum(result, response, out=result)
        else:
            result += response
    if pooling != "max" and count > 1:
        result /= count
    return result
