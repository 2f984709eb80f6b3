"""The parametric head: tissues at every voxel of a grid, from a few numbers and a seed.

After the survey in the project's notes on simulation of brain MR: ellipsoids and folded bands of noise for cortex and
cerebellum, ventricles, tapering brainstem, CSF, skull and scalp. Shapes are in
:mod:`manabi.phantoms.brain_anatomy_inside` and :mod:`manabi.phantoms.brain_anatomy_outside`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from manabi.geometry import Grid
from manabi.phantoms import brain_anatomy_inside as inside
from manabi.phantoms import brain_anatomy_outside as outside
from manabi.phantoms.brain_pose import Pose
from manabi.phantoms.brain_shapes import Box, Nodes, Points, band
from manabi.phantoms.brain_tissues import CODE, Head

MIDDLE_MM = np.array([0.0, -8.0, 22.0])
"""The head's middle in the pons frame."""

FORAMEN_MM = -50.0
"""Height of the foramen magnum, where the brainstem ends."""


@dataclass(frozen=True)
class Anatomy:
    """One parametric head before its pose.

    Attributes:
        ventricle: width of the ventricles; 1 is a young adult's, above 2 a hydrocephalus.
        sulcus_mm: width of the sulci.
        cortex_mm: thickness of the cortex.
        fold_mm: wavelength of the folds; two sulci lie about half of it apart.
        skull_mm: thickness of the vault.
        scalp_mm: thickness of fat and skin over it.
        fold_seed: draws the folds.
    """

    ventricle: float = 1.0
    sulcus_mm: float = 1.6
    cortex_mm: float = 2.7
    fold_mm: float = 22.0
    skull_mm: float = 6.5
    scalp_mm: float = 5.0
    fold_seed: int = 0


class _Painter:
    """Labels of a fine grid, painted from depths at the nodes."""

    def __init__(self, nodes: Nodes, p: Points, tissue: Tensor) -> None:
        self.nodes, self.p, self.tissue = nodes, p, tissue

    def part(self, low: Sequence[float], high: Sequence[float]) -> tuple[_Painter, Box] | None:
        """A painter of what lies between two corners of the head, and its voxels here; None where nothing does."""
        mask = torch.ones_like(self.p[0], dtype=torch.bool)
        for axis in range(3):
            mask &= (self.p[axis] >= low[axis]) & (self.p[axis] <= high[axis])
        box = self.nodes.box(mask)
        if box is None:
            return None
        nodes, view = self.nodes.part(box)
        x, y, z = (v[box].contiguous() for v in self.p)
        return _Painter(nodes, (x, y, z), self.tissue[view]), view

    def put(self, where: Tensor, name: str) -> None:
        """Paint where a mask of voxels is true."""
        self.tissue.masked_fill_(where, CODE[name])

    def shape(self, depth: Tensor, *layers: tuple[float, str], within: Tensor | None = None) -> None:
        """Paint layers ``(above, tissue)`` of a depth at the nodes, inside ``within``; only its box is worked on."""
        box = self.nodes.box(depth > min(above for above, _ in layers))
        if box is None:
            return
        nodes, view = self.nodes.part(box)
        fine, target = nodes.fine(depth[box]), self.tissue[view]
        for above, name in layers:
            mask = fine > above
            target.masked_fill_(mask if within is None else mask & within[view], CODE[name])


def parametric_head(anatomy: Anatomy, pose: Pose, grid: Grid) -> Head:
    """Tissues of a parametric head on a grid.

    Args:
        anatomy: the head.
        pose: where it lies and how it is deformed.
        grid: any grid; also oblique ones.
    """
    nodes = Nodes(grid)
    with torch.no_grad():
        places = pose.to_atlas(nodes.ras(), MIDDLE_MM)
        p = (places[..., 0].contiguous(), places[..., 1].contiguous(), places[..., 2].contiguous())
        painter = _Painter(nodes, p, torch.zeros(grid.shape, dtype=torch.uint8))
        rng = np.random.default_rng(anatomy.fold_seed)
        _paint_outside(painter, anatomy, rng)
        shifts = [1.6 * band(p, rng, 34.0) for _ in range(3)]
        painter.p = (p[0] + 0.6 * shifts[0], p[1] + shifts[1], p[2] + shifts[2])
        x = nodes.fine(painter.p[0])
        _paint_cerebrum(painter, x, anatomy, rng)
        _paint_cerebellum(painter, rng)
        _paint_middle(painter, anatomy)
        side = torch.where(x < 0, -1, 1).to(torch.int8)
    return Head(painter.tissue.numpy(), side.numpy(), grid)


def _paint_outside(painter: _Painter, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Skin, fat, muscle, face, skull and the fluid inside."""
    surface = outside.skin(painter.p, anatomy.scalp_mm)
    skin = painter.nodes.fine(surface)
    painter.put(skin > 0, "skin")
    painter.put(skin > 1.6, "fat")
    lower = painter.part((-90.0, -130.0, -150.0), (90.0, 120.0, 45.0))
    if lower is not None:
        _paint_below(lower[0], skin[lower[1]], anatomy, rng)
    face = painter.part((-72.0, -5.0, -110.0), (72.0, 110.0, 25.0))
    if face is not None:
        _paint_face(face[0], skin[face[1]], rng)
    _paint_skull(painter, skin, anatomy, rng)


def _paint_below(painter: _Painter, skin: Tensor, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Muscles, and the bones of skull base and neck."""
    p = painter.p
    planes = 2.0 * (band(p, rng, 22.0).abs() - 0.35)
    depth = torch.minimum(
        outside.skin(p, anatomy.scalp_mm) - anatomy.scalp_mm - 3.0, torch.minimum(-22.0 - p[2], planes)
    )
    painter.shape(torch.maximum(depth, outside.muscle(p)), (0.0, "muscle"), within=skin > 1.6)
    painter.shape(outside.skull_base(p), (0.0, "bone"), (2.6, "marrow"), within=skin > 6.0)
    painter.shape(outside.mastoid(p), (0.0, "air"), within=skin > 6.0)


def _paint_face(painter: _Painter, skin: Tensor, rng: np.random.Generator) -> None:
    """Nose, sinuses, facial bones and eyes."""
    p, within = painter.p, skin > 1.6
    nose = outside.nose(p)
    cells = torch.minimum(nose - 3.0, 3.0 * (band(p, rng, 16.0) - 0.3))
    painter.shape(nose, (0.0, "bone"), (1.2, "muscle"), within=within)
    painter.shape(cells, (-1.6, "mucosa"), (0.0, "air"), within=within)
    painter.shape(outside.face_bone(p), (0.0, "bone"), (2.6, "marrow"), within=skin > 6.0)
    fat, eye = outside.orbit(p)
    painter.shape(fat, (-1.5, "bone"), (0.0, "fat"), within=within)
    painter.shape(outside.eye_muscles(p), (0.0, "muscle"), within=within)
    painter.shape(eye, (-1.0, "muscle"), (0.0, "eye"))
    painter.shape(outside.face_air(p), (-1.2, "mucosa"), (0.0, "air"), within=skin > 5.0)


def _paint_skull(painter: _Painter, skin: Tensor, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Vault with its marrow, dura and the fluid inside."""
    p = painter.p
    thick = anatomy.skull_mm * (1.0 + 0.18 * band(p, rng, 60.0)).clamp(0.5, 1.6)
    thick = thick * (1.0 - 0.55 * torch.exp(-(((p[2] + 8.0) / 16.0).square())) * (p[1] > -60).float())
    cavity, shell = painter.nodes.fine(outside.cavity(p)), painter.nodes.fine(thick)
    vault = (cavity > -shell) & (skin > 2.5) & (painter.nodes.fine(p[2]) > FORAMEN_MM)
    marrow = (cavity <= -2.0) & (cavity >= 1.6 - shell) & (shell >= 4.4)
    painter.put(vault & ~marrow, "bone")
    painter.put(vault & marrow, "marrow")
    painter.put(cavity > -0.2, "bone")
    painter.put(cavity > 0.6, "csf")


def _paint_cerebrum(painter: _Painter, x: Tensor, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Cortex and white matter: depth below the outline, sulci and fissures, whichever is nearest."""
    fine, p = painter.nodes.fine, painter.p
    distance, sulcal = inside.folds(painter.nodes, p, rng, anatomy.fold_mm)
    outline = torch.minimum(inside.cerebrum(p), outside.cavity(p) - 2.6)
    filled, core = fine(outline + 0.7 * band(p, rng, 30.0)), fine(inside.core(p))
    away = x.abs()
    fissure = torch.maximum(away - 0.8, core)
    hull = torch.minimum(filled, fissure)
    depth = torch.maximum(fine(distance).abs_() - 0.5 * anatomy.sulcus_mm, hull - fine(sulcal))
    torch.minimum(depth, hull, out=depth)
    torch.minimum(depth, fine(-inside.sylvian(p)), out=depth)
    painter.put(depth > 0, "grey")
    painter.put(depth > anatomy.cortex_mm, "white")
    painter.put((away < 0.5) & (fissure < 0) & (filled > -2.0) & (core < -12.0), "bone")
    painter.shape(inside.joint(p), (0.0, "white"), within=(filled > -2.0) & (depth < anatomy.cortex_mm))


def _paint_cerebellum(painter: _Painter, rng: np.random.Generator) -> None:
    """Cerebellum with its fissures and white matter."""
    found = painter.part((-75.0, -95.0, -60.0), (75.0, -5.0, 30.0))
    if found is None:
        return
    part = found[0]
    fine, p = part.nodes.fine, part.p
    hull = fine(torch.minimum(inside.cerebellum(p), outside.cavity(p) - 2.2))
    distance, fissure = inside.foliation(part.nodes, p, rng)
    depth = torch.minimum(hull, torch.maximum(fine(distance).abs_() - 0.35, hull - fine(fissure)))
    part.put(depth > 0, "cerebellar_grey")
    part.put((depth > 2.4) & (hull > 3.5), "cerebellar_white")
    part.shape(inside.peduncles(p), (0.0, "cerebellar_white"), within=hull > 4.0)


def _paint_middle(painter: _Painter, anatomy: Anatomy) -> None:
    """Brainstem, deep grey matter, ventricles."""
    found = painter.part((-62.0, -85.0, -150.0), (62.0, 55.0, 70.0))
    if found is None:
        return
    part = found[0]
    p = part.p
    arms = torch.minimum(inside.peduncles(p), p[1] + 27.0)
    stem = torch.maximum(torch.minimum(inside.brainstem(p), 23.0 - p[2]), arms)
    part.shape(stem, (0.0, "stem"))
    part.shape(torch.minimum(stem, FORAMEN_MM - p[2]), (0.0, "cord"))
    inner = torch.minimum(inside.deep_grey(p, anatomy.ventricle), inside.cerebrum(p) - 2.0)
    part.shape(inner, (0.0, "deep"))
    part.shape(inside.pallidum(p), (0.0, "pallidum"))
    ventricles = inside.ventricles(p, anatomy.ventricle)
    part.shape(ventricles, (0.0, "ventricle"))
    part.shape(torch.minimum(ventricles - 1.0, inside.plexus(p, anatomy.ventricle)), (0.0, "plexus"))
