"""Vertebrae, discs, canal and cord of the simulated head and neck, from the skull to the fourth thoracic vertebra."""

from __future__ import annotations

import numpy as np
import torch

from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_parameters import Build
from manabi.phantoms.head_neck_shapes import Body, ball, path, strap
from manabi.phantoms.thorax_canvas import edge

LEVELS = (("C3", -51.0, 0.0), ("C4", -68.5, 2.0), ("C5", -86.0, 1.5), ("C6", -103.5, -1.5), ("C7", -122.0, -7.0),
          ("T1", -142.5, -14.5), ("T2", -164.5, -23.5), ("T3", -187.5, -32.0), ("T4", -211.5, -38.0),
          ("T5", -236.0, -42.0), ("T6", -261.0, -45.0))  # fmt: skip
"""Name, height and y of the middle of each vertebral body."""
DISCS = (-42.0, -59.7, -77.2, -94.7, -112.6, -132.0, -153.4, -175.8, -199.5, -223.7, -248.5)
BEHIND = 17.5
"""From the middle of a body to that of the canal."""
COLUMN = strap((-18.0, 0, -3.0, 8.0, 6.0, 0), (-30.0, 0, -3.0, 9.5, 7.5, 0), (-42.0, 0, -1.5, 9.5, 8.2, 0),
               *((z, 0.0, y, 10.5 + max(-z - 90, 0) * 0.03, 8.3 + max(-z - 90, 0) * 0.035, 0.0) for _, z, y in LEVELS),
               square=0.18)  # fmt: skip
CANAL = strap((22.0, 0, -18, 13, 14, 0), (-8.0, 0, -18, 14, 14.5, 0), (-24.0, 0, -18.5, 12.5, 10.5, 0), (-36.0, 0,
               -18, 12.0, 8.6, 0),
              *((z, 0.0, y - BEHIND, 11.6, 7.6, 0.0) for _, z, y in LEVELS))  # fmt: skip
CORD = strap((16.0, 0, -15, 8.0, 6.5, 0), (-10.0, 0, -16.5, 6.2, 5.2, 0), (-36.0, 0, -18, 5.8, 4.2, 0),
             *((z, 0.0, y - BEHIND, 6.6 if -115 < z < -75 else 5.2, 4.1, 0.0) for _, z, y in LEVELS))  # fmt: skip
ATLAS = (path((0, 8, -13, 3.8), (12, 5, -14, 3.4), (18, -3, -15, 4.5), stretch=(1.0, 1.0, 1.3)), ball((21, -8,
         -14), (8, 10, 8)),
         path((26, -10, -14, 5), (38, -12, -15, 4.4)),
         path((20, -16, -14, 4), (16, -32, -15, 3.6), (7, -40, -16, 3.4), (0, -41, -16, 3.6)))  # fmt: skip
AXIS = (path((0, -2, -6, 4.6), (0, -2.5, -16, 5.2), (0, -3, -26, 6)), path((17, -6, -26, 6.5), (20, -8, -34, 6.5)),
        path((17, -14, -34, 4), (10, -26, -37, 4), (0, -34, -39, 5), (0, -44, -43, 5.5)))  # fmt: skip


def paint_spine(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    """Vertebrae with their discs, then canal and cord."""
    worn = float(np.clip((build.age - 45.0) / 40.0, 0.0, 1.0))
    for body in (*ATLAS, *AXIS):
        canvas.paint(body, "vertebra", both=True, hu=build.bone * 1050.0)
    for body in (*ATLAS, *AXIS):
        canvas.paint(body.grown(-2.0), "vertebra_marrow", both=True, hu=build.bone * 400.0)
    for number, (name, z, y) in enumerate(LEVELS):
        for arch, shell in _arches(name, z, y):
            canvas.paint(arch, "vertebra", both=True, hu=build.bone * 950.0)
            canvas.paint(arch.grown(-shell), "vertebra_marrow", both=True, hu=build.bone * 380.0)
        if number < 6 and rng.random() < 0.55 * worn:
            spur = path((0, y + 8.5, z - 8, 2.2), (5, y + 9.0, z - 9, 2.0))
            canvas.paint(spur, "vertebra", both=True, hu=900.0)
    _paint_column(canvas, build, rng, worn)
    canvas.paint(CANAL, "theca")
    canvas.paint(CANAL & strap(*((z, 0.0, y - BEHIND - 6.5, 5.0, 2.0, 0.0) for _, z, y in LEVELS)), "fat")
    canvas.paint(CORD, "cord")


def _paint_column(canvas: Canvas, build: Build, rng: np.random.Generator, worn: float) -> None:
    """Bodies with cortex and end plates, and the discs between them."""
    box = canvas.near(COLUMN)
    if box is None:
        return
    p = canvas.places(box)
    depth = COLUMN.depth(p)
    canvas.fill(edge(depth, canvas.voxel), "vertebra", box, hu=build.bone * 820.0)
    thin = [2.6 - 1.5 * worn * float(rng.random()) for _ in DISCS]
    gap = torch.full_like(depth, -1e3)
    tilted = p[2] + 0.18 * (p[1] + 2.0)
    for z, half in zip(DISCS, thin, strict=True):
        torch.maximum(gap, half - (tilted - z).abs(), out=gap)
    inner = torch.minimum(depth - 1.3, -gap - 1.2)
    canvas.fill(edge(inner, canvas.voxel), "vertebra_marrow", box, hu=build.bone * 310.0)
    canvas.fill(edge(torch.minimum(gap, depth + 1.2), canvas.voxel), "disc", box)


def _arches(name: str, z: float, y: float) -> list[tuple[Body, float]]:
    """Parts of one vertebra's arch with the thickness of their cortex: pillar, pedicle, process, lamina, spine."""
    back = y - BEHIND
    thoracic = name.startswith("T")
    tail = {"C3": 18, "C4": 17, "C5": 18, "C6": 24, "C7": 33}.get(name, 34)
    drop = {"C7": 8.0}.get(name, 26.0 if thoracic else 6.0)
    lamina = path(
        (17, back - 1, z - 2, 3.6), (9, back - 10, z - 4, 3.4), (0, back - 13, z - 5, 3.6), stretch=(1.0, 1.0, 1.55)
    )
    spine = path((0, back - 12, z - 5, 3.6), (0, back - tail, z - 5 - drop, 3.2), stretch=(0.85, 1.0, 1.3))
    if thoracic:
        process = path((14, back, z + 3, 4.5), (32, back - 9, z + 5, 4.2))
        return [
            (path((10, y - 6, z + 3, 4), (13, back + 1, z + 2, 4)), 1.5),
            (process, 1.5),
            (lamina, 1.5),
            (spine, 1.5),
        ]
    pillar = path((21, back + 4, z + 8, 5.0), (21.5, back + 1, z - 8, 5.0), stretch=(1.1, 1.0, 1.0))
    roots = path((11, y + 3, z, 2.4), (17, y + 5, z - 1, 2.2), (24, y + 1, z - 3, 2.8), (22, back + 8, z, 2.6))
    lip = path((9.5, y + 3, z + 8.5, 1.8), (10.5, y - 5, z + 9, 2.0))
    fork = (
        path((0, back - tail + 3, z - 4 - drop, 2.6), (4.5, back - tail - 1, z - 6 - drop, 2.4))
        if name != "C7"
        else spine
    )
    return [(pillar, 1.4), (roots, 1.3), (lip, 1.5), (lamina, 1.5), (spine, 1.5), (fork, 1.5)]
