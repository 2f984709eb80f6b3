"""From the parameters of a simulated head and neck to its tissue maps, scans, labels and truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.head_neck_brain import paint_brain
from manabi.phantoms.head_neck_canvas import Canvas
from manabi.phantoms.head_neck_devices import paint_devices
from manabi.phantoms.head_neck_lesion import paint_lesion
from manabi.phantoms.head_neck_mouth import paint_mouth
from manabi.phantoms.head_neck_muscles import paint_muscles, paint_temporal
from manabi.phantoms.head_neck_parameters import HeadNeckParameters
from manabi.phantoms.head_neck_pose import atlas
from manabi.phantoms.head_neck_shoulders import paint_shoulders
from manabi.phantoms.head_neck_skin import paint_skin, skin_on
from manabi.phantoms.head_neck_skull import paint_skull
from manabi.phantoms.head_neck_spine import paint_spine
from manabi.phantoms.head_neck_throat import paint_throat
from manabi.phantoms.head_neck_vessels import paint_glands, paint_vessels


@dataclass
class TissueMaps:
    """A patient before any scanner, in the images' order: slices to the head, rows to the back, columns to the left.

    Attributes:
        hu: density at kilovoltage without iodine and metal ``(n, rows, columns)``.
        iodine: share of the blood's enhancement.
        metal: share of each voxel that an alloy fills, by its name.
        label: labels of :data:`manabi.phantoms.head_neck_tissues.SEGMENTS`.
    """

    hu: Tensor
    iodine: Tensor
    metal: dict[str, Tensor]
    label: Tensor


def paint(parameters: HeadNeckParameters, device: torch.device) -> Canvas:
    """The whole patient on the fine grid."""
    build, grid, setup = parameters.build, parameters.grid, parameters.setup
    rng = np.random.default_rng(parameters.texture_seed)
    points = atlas(build, setup, grid, rng, device)
    canvas = Canvas.empty(points, (grid.pixel_mm, grid.pixel_mm, grid.slice_mm / grid.subslices), rng, build.marbling)
    depth = skin_on(canvas, build)
    paint_devices(canvas, setup, grid, depth)
    paint_skin(canvas, build, depth)
    paint_temporal(canvas, build)
    paint_muscles(canvas, build, depth)
    paint_shoulders(canvas, build, rng)
    paint_glands(canvas, build, rng)
    paint_skull(canvas, build, rng, depth)
    paint_brain(canvas, build, rng)
    paint_mouth(canvas, build, parameters.mouth, grid.metal)
    paint_spine(canvas, build, rng)
    paint_throat(canvas, build, rng)
    paint_vessels(canvas, build, rng)
    paint_lesion(canvas, parameters.lesion)
    return canvas


def tissue_maps(parameters: HeadNeckParameters, device: torch.device) -> TissueMaps:
    """The patient on the images' grid: planes of a slice averaged, labels of its middle."""
    with torch.no_grad():
        canvas = paint(parameters, device)
        count = parameters.grid.subslices
        hu, iodine = (_averaged(v, count).flip((1, 2)) for v in (canvas.hu, canvas.iodine))
        metal = {alloy: _averaged(v, count).flip((1, 2)) for alloy, v in canvas.metal.items()}
        return TissueMaps(hu, iodine, metal, canvas.label[count // 2 :: count].flip((1, 2)))


def _averaged(values: Tensor, count: int) -> Tensor:
    """Means of ``count`` planes."""
    return values.reshape(values.shape[0] // count, count, *values.shape[1:]).mean(dim=1)
