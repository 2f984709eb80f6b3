"""From the parameters of a simulated pelvis to its tissue maps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_render import TissueMaps
from manabi.phantoms.pelvis_bones import paint_bones
from manabi.phantoms.pelvis_inside import paint_bladder, paint_bowel, paint_gland, paint_rectum, paint_vessels
from manabi.phantoms.pelvis_metal import paint_prosthesis, paint_seeds
from manabi.phantoms.pelvis_muscles import paint_floor, paint_muscles
from manabi.phantoms.pelvis_organs import Bodies, bodies
from manabi.phantoms.pelvis_parameters import PelvisParameters
from manabi.phantoms.pelvis_pose import atlas
from manabi.phantoms.pelvis_skin import paint_couch, paint_skin, skin_on
from manabi.phantoms.pelvis_tissues import TISSUES


def paint(parameters: PelvisParameters, device: torch.device) -> Canvas:
    """The whole patient on the fine grid; ``iodine`` is in HU."""
    build, grid = parameters.build, parameters.grid
    streams = np.random.default_rng(parameters.texture_seed).spawn(6)
    points = atlas(build, parameters.setup, grid, streams[0], device)
    spacing = (grid.pixel_mm, grid.pixel_mm, grid.slice_mm / grid.subslices)
    canvas = Canvas.empty(points, spacing, streams[1], build.marbling)
    canvas.tissues = TISSUES
    depth = skin_on(canvas, build, float(streams[2].choice((1.0, -1.0))))
    paint_couch(canvas, parameters.setup, grid, depth)
    paint_skin(canvas, depth)
    paint_muscles(canvas, build, depth)
    paint_bones(canvas, build)
    shapes = bodies(parameters.organs, build)
    _paint_inside(canvas, parameters, shapes, streams[3:])
    return canvas


def _paint_inside(
    canvas: Canvas, parameters: PelvisParameters, shapes: Bodies, streams: list[np.random.Generator]
) -> None:
    """What lies within the ring of bones and muscles, then metal."""
    organs, finds = parameters.organs, parameters.finds
    paint_floor(canvas, shapes.radii[0])
    paint_vessels(canvas, parameters.build, finds, streams[0])
    paint_bowel(canvas, shapes, streams[1])
    paint_rectum(canvas, organs, shapes, streams[2])
    paint_gland(canvas, organs, shapes, finds, streams[2])
    urine = paint_bladder(canvas, organs, shapes, finds)
    canvas.iodine *= finds.contrast_hu
    if urine is not None:
        canvas.iodine += urine
    paint_seeds(canvas, shapes, finds, streams[2])
    paint_prosthesis(canvas, finds)


def tissue_maps(parameters: PelvisParameters, device: torch.device) -> TissueMaps:
    """The patient on the image's grid: planes of a slice averaged, labels of most of its planes."""
    with torch.no_grad():
        canvas = paint(parameters, device)
        count = parameters.grid.subslices
        hu, iodine = (_averaged(v, count).flip((1, 2)) for v in (canvas.hu, canvas.iodine))
        metal = {alloy: _averaged(v, count).flip((1, 2)) for alloy, v in canvas.metal.items()}
        planes = canvas.label.reshape(-1, count, *canvas.label.shape[1:])
        label = planes[:, 0] if count == 1 else planes.mode(dim=1).values
        return TissueMaps(hu, iodine, metal, label.flip((1, 2)))


def _averaged(values: Tensor, count: int) -> Tensor:
    """Means of ``count`` planes."""
    return values if count == 1 else values.reshape(-1, count, *values.shape[1:]).mean(dim=1)
