"""Inside the skull of the simulated head: brain with cortex, ventricles, brainstem, dura and blood sinuses."""

from __future__ import annotations

import numpy as np
import torch

from manabi.phantoms import brain_anatomy_inside as inside
from manabi.phantoms.brain_shapes import Points, band
from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_parameters import Build
from manabi.phantoms.head_neck_shapes import Body, ball, path
from manabi.phantoms.head_neck_skull import CAVITY_BOX, SCALE, cavity, pons
from manabi.phantoms.thorax_canvas import edge

FOLD_MM = 20.0
CISTERN = ball((0, 30, 46), (14, 14, 11))
"""Fluid over the saddle of the skull base."""
PITUITARY = path((0, 30, 36, 4.5), (0, 30, 38, 4.0), stretch=(1.5, 1.1, 1.0))
CHIASM = path((-9, 36, 45, 1.8), (0, 30, 47, 2.2), (9, 36, 45, 1.8))
SINUSES = (path((0, 88, 78, 1.5), (0, 60, 124, 2.5), (0, 10, 138, 3.2), (0, -50, 118, 3.6), (0, -84, 66, 4.2),
                (0, -86, 30, 4.5), stretch=(1.3, 1.0, 1.0)),
           path((0, -86, 26, 4), (34, -72, 24, 4), (52, -42, 22, 4), (52, -24, 10, 4.4), (34, -10, -2, 4)))  # fmt: skip


def paint_brain(canvas: Canvas, build: Build, rng: np.random.Generator) -> None:
    """Everything below the inner table."""
    box = canvas.near(Body(*CAVITY_BOX, cavity))
    if box is None:
        return
    p = canvas.places(box)
    inner = cavity(p)
    share = edge(inner, canvas.voxel)
    canvas.fill(share, "csf", box)
    q = pons(p)
    tissue = _Brain(canvas, box, q, rng, build)
    tissue.paint(inner)
    falx = edge(0.7 - p[0].abs(), canvas.voxel) * edge(inner, canvas.voxel) * (inside.core(q) < -8.0) * (q[2] > 12)
    canvas.fill(0.7 * falx, "dura", box)
    canvas.paint(CISTERN, "csf")
    canvas.paint(CHIASM, "white")
    canvas.paint(PITUITARY, "pituitary")
    for body, both in zip(SINUSES, (False, True), strict=True):
        canvas.paint(body & Body(*CAVITY_BOX, lambda p: cavity(p) - 0.3), "blood", both, hu=55.0)


class _Brain:
    """Paints brain tissue into a box, given the places in the brain's own frame."""

    def __init__(self, canvas: Canvas, box: tuple[slice, slice, slice], q: Points, rng: np.random.Generator,
                 build: Build) -> None:  # fmt: skip
        self.canvas, self.box, self.q, self.rng, self.build = canvas, box, q, rng, build

    def fill(self, depth: torch.Tensor, tissue: str, hu: float | None = None) -> None:
        """Paint a depth in the brain's frame."""
        self.canvas.fill(edge(SCALE * depth, self.canvas.voxel), tissue, self.box, hu)

    def paint(self, inner: torch.Tensor) -> None:
        """Cerebrum, cerebellum, brainstem, deep grey matter and ventricles."""
        q, size = self.q, self.build.ventricle
        gap = 1.2 + 0.035 * max(self.build.age - 40.0, 0.0)
        outline = torch.minimum(inside.cerebrum(q), inner / SCALE - gap)
        folds = self._folds()
        wide = 0.7 + 0.022 * max(self.build.age - 30.0, 0.0)
        sulcus = torch.maximum(folds - 0.5 * wide, outline - 11.0)
        depth = torch.minimum(torch.minimum(outline, sulcus), -inside.sylvian(q))
        self.fill(depth, "grey")
        self.fill(depth - 3.0, "white")
        small = torch.minimum(inside.cerebellum(q), inner / SCALE - 1.5)
        self.fill(small, "grey", 36.0)
        self.fill(small - 9.0, "white", 31.0)
        stem = torch.minimum(torch.maximum(inside.brainstem(q), inside.peduncles(q)), 23.0 - q[2])
        self.fill(torch.minimum(stem, inner / SCALE), "stem")
        self.fill(inside.joint(q), "white")
        self.fill(torch.minimum(inside.deep_grey(q, size), outline - 2.0), "grey")
        self.fill(inside.ventricles(q, size), "csf")
        plexus = torch.minimum(inside.plexus(q, size), inside.ventricles(q, size) - 0.5)
        self.fill(plexus, "grey", 70.0 + 160.0 * float(self.rng.random() < 0.5))

    def _folds(self) -> torch.Tensor:
        """Distance from the nearest sulcus's middle in mm, about."""
        step = max(round(2.5 / self.canvas.spacing_mm[0]), 1)
        coarse = tuple(v[:, ::step, ::step] for v in self.q)
        right = (coarse[0] > 0).float() * 400.0
        noise = band((coarse[0] + right, coarse[1], coarse[2]), self.rng, FOLD_MM)
        near = noise.abs() * (FOLD_MM / (2 * np.pi * 0.8))
        shape = self.q[0].shape
        full = torch.nn.functional.interpolate(near[None], shape[1:], mode="bilinear", align_corners=False)
        return full[0]
