"""The surface of a mask by marching cubes, measured from counts of cell configurations instead of from a mesh.

A cell has a voxel centre at each of its eight corners; its surface joins the midpoints of the edges that cross the
border (Lorensen and Cline, Marching cubes, SIGGRAPH 1987, DOI 10.1145/37401.37422). All cells of one of the 256
configurations hold the same triangles, so area and volume are sums over a histogram of configurations, whatever the
size of the mask.

A face whose inside corners are diagonal can be cut in two ways. ``watertight`` always separates the inside corners,
so that neighbouring cells agree. pyradiomics (van Griethuysen et al., Computational radiomics system, 2017,
DOI 10.1158/0008-5472.CAN-17-0339) mirrors the table for cells whose corner at (slice 1, row 1, column 0) is inside,
and separates the outside corners there; its surface can have small holes. The rule, and the triangles of loops that
do not lie in a plane, were derived by comparing areas with those it computes.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

Edge = int
CORNERS = np.array(list(product((0, 1), repeat=3)))
"""Corner ``4 k + 2 j + i`` of a cell at (k, j, i)."""
EDGES = tuple((a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(CORNERS[a] - CORNERS[b]).sum() == 1)
MIDPOINTS = np.array([(CORNERS[a] + CORNERS[b]) / 2 for a, b in EDGES])
FACES = tuple(tuple(c for c in range(8) if CORNERS[c][axis] == side) for axis in range(3) for side in (0, 1))
OPPOSITE = tuple(next(f for f, other in enumerate(EDGES) if set(other) == {7 - a, 7 - b}) for a, b in EDGES)
"""For each edge the one across the centre of the cell."""
MIRRORED_CORNER = 6


def _face_cuts(code: int, face: tuple[int, ...], separate_inside: bool) -> list[tuple[Edge, Edge]]:
    """The pairs of crossed edges which the surface joins on one face."""
    crossed = [
        e for e, (a, b) in enumerate(EDGES) if a in face and b in face and (code >> a & 1) != (code >> b & 1)
    ]  # fmt: skip
    if len(crossed) == 2:
        return [(crossed[0], crossed[1])]
    alone = [c for c in face if (code >> c & 1) == separate_inside] if crossed else []
    pairs = [[e for e in crossed if c in EDGES[e]] for c in alone]
    return [(pair[0], pair[1]) for pair in pairs]


def _loops(cuts: list[tuple[Edge, Edge]]) -> list[list[Edge]]:
    """Closed loops of edges; every crossed edge lies on two faces and so in one loop."""
    beside: dict[Edge, list[Edge]] = {}
    for a, b in cuts:
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    loops, left = [], set(beside)
    while left:
        loop = [min(left)]
        left.discard(loop[0])
        while step := [n for n in beside[loop[-1]] if n in left]:
            loop.append(step[0])
            left.discard(step[0])
        loops.append(loop)
    return loops


def _apex(loop: list[Edge]) -> int:
    """The position in the loop from which its triangles fan out.

    A loop of five or six that is bent holds one pair of opposite edges and is folded along it. A loop of seven holds
    two such pairs, which a mirror swaps; its apex lies on the mirror. Other loops are flat: any apex gives the same
    surface.
    """
    pairs = [(p, loop.index(OPPOSITE[e])) for p, e in enumerate(loop) if OPPOSITE[e] in loop[p + 1 :]]
    if len(loop) != 7:
        return pairs[0][0] if pairs else 0
    (a, b), (c, d) = pairs
    total = next(s for s, t in (((a + c) % 7, (b + d) % 7), ((a + d) % 7, (b + c) % 7)) if s == t)
    return total * 4 % 7  # half of the total, modulo seven


def _triangles(code: int, mirrored: bool) -> list[tuple[Edge, Edge, Edge]]:
    """Triangles of one configuration, with normals from the inside to the outside."""
    separate_inside = not (mirrored and code >> MIRRORED_CORNER & 1)
    cuts = [cut for face in FACES for cut in _face_cuts(code, face, separate_inside)]
    triangles = []
    for loop in _loops(cuts):
        apex = _apex(loop)
        turned = loop[apex:] + loop[:apex]
        fan = [(turned[0], turned[n], turned[n + 1]) for n in range(1, len(turned) - 1)]
        ends = [EDGES[e] if code >> EDGES[e][0] & 1 else EDGES[e][::-1] for e in loop]
        outwards = sum(CORNERS[out] - CORNERS[inside] for inside, out in ends)
        points = MIDPOINTS[np.array(fan)]
        normal = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]).sum(axis=0)
        triangles += fan if normal @ outwards > 0 else [(a, c, b) for a, b, c in fan]
    return triangles


@lru_cache(maxsize=2)
def _table(mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """Corner points ``(n, 3, 3)`` of the triangles of all configurations, and the configuration of each."""
    listed = [(code, t) for code in range(256) for t in _triangles(code, mirrored)]
    return MIDPOINTS[np.array([t for _, t in listed])], np.array([code for code, _ in listed])


def cell_codes(mask: np.ndarray) -> np.ndarray:
    """The configuration of every cell of a mask ``(slices, rows, columns)`` with one voxel of nothing around it.

    Returns uint8 ``(slices + 1, rows + 1, columns + 1)``; bit ``4 k + 2 j + i`` is corner (k, j, i).
    """
    padded = np.pad(mask, 1).view(np.uint8)
    codes = padded[:, :, :-1] | padded[:, :, 1:] << 1
    codes = codes[:, :-1] | codes[:, 1:] << 2
    return codes[:-1] | codes[1:] << 4


def area_and_volume(codes: np.ndarray, spacing_mm: np.ndarray, mirrored: bool) -> tuple[float, float]:
    """Surface area (mm²) and enclosed volume (mm³).

    Args:
        codes: as :func:`cell_codes` gives them.
        spacing_mm: slice, row, column.
        mirrored: pyradiomics' surface; otherwise the watertight one. Where pyradiomics' has holes, its volume depends
            on the place of the origin, which is the first voxel of nothing before the mask's box.
    """
    points, owner = _table(mirrored)
    spacing = np.asarray(spacing_mm, float)
    counts = np.bincount(codes.ravel(), minlength=256).astype(float)
    a, b, c = (points[:, n] * spacing for n in range(3))
    normals = np.cross(b - a, c - a)
    area = np.linalg.norm(normals, axis=1) @ counts[owner] / 2
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)) @ counts[owner] / 6
    offsets = np.stack([_summed_index(codes, axis) for axis in range(3)], axis=1) * spacing
    volume += np.einsum("ij,ij->", normals, offsets[owner]) / 6
    return float(area), float(volume)


def _summed_index(codes: np.ndarray, axis: int) -> np.ndarray:
    """For each configuration, the sum of the indices along an axis of the cells that have it."""
    layers = np.moveaxis(codes, axis, 0)
    return sum(
        (n * np.bincount(layer.ravel(), minlength=256).astype(float) for n, layer in enumerate(layers)), np.zeros(256)
    )


def vertices(mask: np.ndarray) -> np.ndarray:
    """The surface's vertices ``(n, 3)`` in voxels, (slice, row, column): midpoints between inside and outside."""
    padded = np.pad(mask, 1)
    found = []
    for axis in range(3):
        low = np.moveaxis(padded, axis, 0)
        at = np.argwhere(np.moveaxis(low[:-1] != low[1:], 0, axis)).astype(float) - 1
        at[:, axis] += 0.5
        found.append(at)
    return np.concatenate(found)
