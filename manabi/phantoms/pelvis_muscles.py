"""Muscles of the simulated pelvis, each a body of its own between fat, and the floor of the pelvis.

Courses and sizes follow the anatomy of adults (our choice); the fat planes between them are what remains.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from manabi.phantoms.brain_shapes import Points
from manabi.phantoms.head_neck_canvas import SIDES, Canvas
from manabi.phantoms.head_neck_shapes import Body, ball, path, strap
from manabi.phantoms.pelvis_parameters import Build
from manabi.phantoms.pelvis_shapes import blade
from manabi.phantoms.pelvis_tissues import FAT
from manabi.phantoms.thorax_canvas import edge

BUTTOCK: tuple[Body, ...] = (
    blade((-86, 100, -60, 30, 9, 14), (-64, 96, -66, 58, 16, 16), (-30, 93, -66, 70, 14.5, 17),
          (0, 96, -65, 71, 14, 18), (30, 100, -64, 68, 15, 21), (54, 99, -66, 60, 13, 24), (78, 91, -71, 48, 10, 27),
          (102, 84, -74, 22, 6, 35), (114, 78, -76, 8, 3, 30), bend=0.0011),
    blade((-6, 145, -10, 14, 6, 76), (6, 144, -7, 26, 9, 74), (18, 141, -3, 33, 12, 78), (30, 138, -3, 36, 14, 76),
          (54, 131, -9, 43, 17, 65), (78, 121, -18, 48, 16, 51), (102, 112, -29, 46, 12, 42),
          (126, 104, -34, 34, 7, 37), (140, 101, -35, 16, 4, 35), bend=0.002),
    blade((-4, 132, -12, 12, 5, 50), (10, 122, -11, 20, 7, 50), (22, 115, -5, 29, 8.5, 60), (42, 112, 6, 36, 9, 74),
          (66, 114, 7, 38, 8, 66), (90, 122, 14, 22, 4, 72), bend=0.002),
)  # fmt: skip
"""Gluteus maximus, medius and minimus."""
HIP_FLEXORS: tuple[Body, ...] = (
    path((34, -4, 250, 19), (38, -3, 165, 21), (46, 2, 125, 19), (60, 12, 85, 18), (78, 34, 45, 16), (91, 44, 8, 14),
         (97, 31, -20, 13), (106, -2, -56, 9), stretch=(1.05, 1.0, 1.0)),
    blade((24, 92, 38, 14, 8, 10), (40, 92, 34, 24, 9, 48), (60, 90, 10, 40, 10, 58), (84, 86, -6, 54, 11, 57),
          (108, 88, -12, 52, 9, 50), (128, 92, -16, 38, 6, 44), bend=0.0022),
)  # fmt: skip
"""Psoas and iliacus."""
DEEP: tuple[Body, ...] = (
    blade((-46, 46, -18, 20, 6, 88), (-30, 46, -14, 30, 8, 88), (-12, 44, -12, 37, 7.5, 88), (6, 43, -10, 40, 6.5, 88),
          (24, 48, -8, 34, 6, 84), (42, 62, -6, 24, 4, 76), bend=-0.001),
    path((47, -46, -4, 8), (60, -57, 2, 7.5), (98, -42, 6, 6), (128, -24, 8, 4)),
    path((24, -76, 58, 9), (48, -68, 48, 11.5), (82, -52, 34, 10), (128, -24, 16, 4.5), stretch=(1.0, 0.8, 1.2)),
    path((62, -42, -48, 8), (110, -30, -48, 9), stretch=(1.0, 0.7, 1.9)),
    path((26, 18, -38, 9), (52, 4, -44, 12), (92, -24, -32, 8), (122, -22, -14, 4)),
)  # fmt: skip
"""Internal obturator, its tendon with the gemelli, piriformis, quadratus femoris, external obturator."""
THIGH: tuple[Body, ...] = (
    path((112, 62, 40, 6), (106, 70, 0, 9), (96, 68, -50, 10), (74, 60, -120, 10), (52, 40, -250, 11),
         stretch=(1.3, 0.8, 1.0)),
    path((106, 44, 22, 6), (112, 50, -20, 12), (114, 54, -70, 14), (112, 54, -160, 15), (108, 44, -300, 13),
         stretch=(1.15, 0.9, 1.0)),
    path((132, 48, 50, 8), (142, 42, 10, 12), (148, 32, -40, 11), (146, 26, -90, 6), stretch=(0.8, 1.3, 1.0)),
    path((142, 12, -32, 13), (146, 8, -70, 22), (142, 8, -150, 26), (136, 8, -300, 24), stretch=(0.9, 1.25, 1.0)),
    path((122, 16, -42, 14), (122, 20, -80, 22), (118, 24, -200, 22), (112, 22, -320, 20)),
    path((92, 14, -80, 10), (84, 24, -150, 18), (74, 22, -300, 22)),
    path((40, 46, -16, 8), (62, 34, -34, 12), (88, 8, -56, 9), (104, -12, -70, 5), stretch=(1.1, 0.9, 1.2)),
    path((20, 34, -36, 6), (40, 36, -62, 13), (66, 28, -110, 15), (88, 14, -200, 10), stretch=(1.2, 0.9, 1.0)),
    path((24, 18, -48, 8), (48, 14, -72, 14), (90, 0, -120, 9), stretch=(1.1, 0.9, 1.0)),
    path((44, -22, -66, 10), (56, -16, -90, 24), (70, -14, -160, 27), (80, -10, -300, 20), stretch=(1.1, 0.95, 1.0)),
    path((16, 16, -54, 5), (22, 8, -90, 8), (32, -6, -200, 9), (38, -14, -320, 9), stretch=(0.6, 1.6, 1.0)),
    path((60, -52, -68, 12), (74, -56, -100, 18), (80, -54, -180, 22), (84, -48, -320, 24), stretch=(1.3, 0.85, 1.0)),
)  # fmt: skip
"""Sartorius, rectus femoris, tensor, vasti, pectineus, adductors, gracilis, hamstrings."""
BACK = strap((70, 22, -92, 8, 4, 10), (90, 22, -88, 16, 8, 15), (114, 26, -76, 20, 16, 10), (138, 33, -65, 27, 20, 15),
             (165, 35, -60, 30, 22, 10), (260, 36, -58, 30, 23, 8))  # fmt: skip
GENITAL: tuple[Body, ...] = (
    ball((0, -8, -64), (9, 17, 10), pitch=-25),
    path((42, -18, -66, 5), (24, 6, -60, 7), (8, 30, -58, 8), (4, 48, -58, 8)),
)
"""Bulb and crura of the penis."""
PERINEUM = path((-34, -16, -58, 3), (0, -18, -56, 4), (34, -16, -58, 3), stretch=(1.0, 3.0, 1.0))
CORD = path((76, 62, 32, 4.5), (52, 64, 12, 5.5), (32, 70, -14, 7), (20, 66, -50, 8), (16, 60, -78, 8))
TESTIS = ball((16, 56, -92), (13, 15, 20))


PACKED: tuple[tuple[tuple[Body, ...], float, float], ...] = (
    (THIGH, 9.0, 2.4), ((*(b.grown(3.5) for b in BUTTOCK), *HIP_FLEXORS, *DEEP), 2.5, 2.8), ((BACK,), 1.0, 1.0)
)  # fmt: skip
"""Groups of muscles, how far they grow into free room, and the fat between them in mm (our choice)."""


def paint_muscles(canvas: Canvas, build: Build, depth: Tensor) -> None:
    """Muscles of wall, buttocks, hips, thighs and back; ``depth`` is that below the skin."""
    out = 6.0 * (build.muscle - 1.0)
    for group, grown, gap in PACKED:
        packed(canvas, group, grown + out, gap, depth - 0.4 * build.fat)
    _paint_wall(canvas, build, depth)


def packed(canvas: Canvas, group: Sequence[Body], grown: float, gap: float, below: Tensor) -> None:
    """Muscles that fill the room between them, but for planes of fat.

    Args:
        canvas: the grid.
        group: the muscles of the right side.
        grown: mm by which they grow where there is room.
        gap: thickness of the fat between two.
        below: depth below the fascia, which they do not pass.
    """
    for side in SIDES:
        boxes = [(body, box) for body in group if (box := canvas.near(body.grown(grown), side)) is not None]
        if not boxes:
            continue
        around = tuple(
            slice(min(b[axis].start for _, b in boxes), max(b[axis].stop for _, b in boxes)) for axis in range(3)
        )
        first = torch.full_like(canvas.hu[around], -1e3)
        second = first.clone()
        for body, box in boxes:
            here = tuple(slice(b.start - a.start, b.stop - a.start) for a, b in zip(around, box, strict=True))
            depth = body.depth(canvas.places(box, side))
            best, next_ = first[here], second[here]
            torch.maximum(next_, torch.minimum(best, depth), out=next_)
            torch.maximum(best, depth, out=best)
        room = torch.minimum(first + grown, 0.5 * (first - second) - 0.5 * gap)
        share = edge(torch.minimum(room, below[around]), canvas.voxel)
        canvas.fill(share, "muscle", around)  # type: ignore[arg-type]


def paint_floor(canvas: Canvas, half_width: float) -> None:
    """Floor of the pelvis around a prostate, external genitals and spermatic cords; painted after the bones."""
    canvas.paint(levator(half_width), "muscle")
    canvas.paint(PERINEUM, "muscle")
    for body in GENITAL:
        canvas.paint(body, "bulb", both=True)
    canvas.paint(CORD, "cord", both=True)
    canvas.paint(TESTIS, "soft", both=True)


def levator(half_width: float) -> Body:
    """Levator ani: a sling that opens upwards and to the front, around a prostate of a half width."""
    extra = max(half_width - 20.0, 0.0)

    def depth(p: Points) -> Tensor:
        """Mm below its surface, to first order."""
        x, y, z = p
        wide = 15.0 + extra + 0.52 * (z + 46.0)
        at = 3.5 + (wide - 3.5) * ((y + 60.0) / 72.0).clamp(0.0, 1.0).pow(0.75)
        sheet = 1.9 - 0.85 * (x.abs() - at).abs()
        return torch.minimum(torch.minimum(sheet, 13.0 - (y + 48.0).abs() + 48.0), 22.0 - (z + 28.0).abs())

    return Body((-60.0, -62.0, -50.0), (60.0, 14.0, -6.0), depth)


def _paint_wall(canvas: Canvas, build: Build, depth: Tensor) -> None:
    """Rectus and oblique muscles below the fat of the belly, and pelvic fat within."""
    x, y, z = canvas.points
    fat = build.fat * (1.0 - 0.3 * (x.abs() / 150.0).clamp(max=1.0)) - 2.0
    rel = depth - fat
    rel += 4.0 * ((z - 60.0) / 60.0).clamp(0.0, 1.0)
    line = z - (0.62 * x.abs() - 22.0)
    inside = torch.minimum(rel, line)
    front = torch.minimum(inside, y + 25.0 + 0.2 * (z - 140.0).clamp(max=0.0))
    whole = (slice(None), slice(None), slice(None))
    limit = canvas.limit if canvas.limit is not None else torch.ones_like(depth)
    core = torch.minimum(rel - 8.0, 150.0 - x.abs())
    canvas.fill(edge(core, canvas.voxel) * (canvas.label == FAT) * limit, "pelvic_fat", whole)
    rectus = torch.minimum(
        torch.minimum(rel, 9.0 * build.muscle - rel),
        torch.minimum(22.5 - (x.abs() - 25.0 - 0.1 * z.clamp(min=-10)).abs(), z + 22.0),
    )
    lateral = torch.minimum(torch.minimum(front, 13.0 * build.muscle - rel), x.abs() - 44.0 - 0.1 * z)
    for body in (rectus, torch.minimum(lateral, y - 10.0 * ((60.0 - z) / 30.0).clamp(min=0.0))):
        canvas.fill(edge(torch.where(y > -40.0, body, -body.abs() - 5.0), canvas.voxel) * limit, "muscle", whole)
