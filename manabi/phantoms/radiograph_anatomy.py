"""A chest painted for a film: upright, in deep inspiration, arms away, on a grid that suits the film's pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.ct.materials import MATERIALS, hu_at
from manabi.phantoms.radiograph_body import paint_person
from manabi.phantoms.radiograph_geometry import FilmGeometry
from manabi.phantoms.radiograph_middle import reshape_middle
from manabi.phantoms.radiograph_rays import Grid
from manabi.phantoms.radiograph_vessels import VesselStyle, grow_film_vessels
from manabi.phantoms.thorax_body import place_lungs
from manabi.phantoms.thorax_canvas import Canvas, edge
from manabi.phantoms.thorax_disease import LUNG_HU, apply_disease, field
from manabi.phantoms.thorax_parameters import ThoraxParameters
from manabi.phantoms.thorax_shape import Frame, Shapes
from manabi.phantoms.thorax_tree import grow_airways, paint_airways, paint_vessels

GRID_SHARE = 0.93
"""Voxels over the film's pixels, which are magnified."""
DEPTH_MM = 2.5
"""Distance of the coronal planes; edges are drawn over about that depth, so sums along rays are exact to it."""
LOWER_HU = 12.0
"""Denser by so much per 10 cm towards the bottom of an upright lung."""
EFFECTIVE_KEV = 70.0
"""Where HU are turned into tissues."""
LEAN_HU = -160.0
"""Below this a voxel is air with some lean tissue."""


@dataclass(frozen=True)
class PaintedChest:
    """What the rays go through.

    Attributes:
        canvas: HU and the lungs' share on a fine grid.
        shapes: large shapes, on their coarse grid.
        frame: measures by level.
    """

    canvas: Canvas
    shapes: Shapes
    frame: Frame

    @property
    def grid(self) -> Grid:
        """The canvas's grid."""
        return Grid(self.canvas.x, self.canvas.y, self.canvas.z)


def paint_upright(
    parameters: ThoraxParameters, geometry: FilmGeometry, device: torch.device, style: VesselStyle | None = None
) -> PaintedChest:  # fmt: skip
    """Paint a chest for a film. Scanner and couch of the parameters do not matter; arms are always down and outwards.

    Raises:
        InvalidInputError: for an unknown disease.
    """
    chest = replace(parameters.chest, arms="down", couch="none")
    rng = np.random.default_rng(parameters.texture_seed)
    frame = Frame(chest, parameters.airway, parameters.disease)
    canvas = Canvas.empty(*_axes(frame, geometry, device))
    lungs = place_lungs(canvas, chest, parameters.disease, parameters.airway, rng)
    reshape_middle(lungs, frame)
    canvas.depth = lungs.nodes.fine(lungs.lung)
    canvas.lung = edge(canvas.depth, canvas.voxel)
    paint_person(canvas, frame, lungs, rng)
    density = LUNG_HU + float(rng.normal(0, 25)) - LOWER_HU * canvas.z[:, None, None] / 100.0
    density = density + 20.0 * field(canvas, rng, 12.0)
    canvas.paint(canvas.lung, density)
    airways = grow_airways(parameters.airway, lungs.hulls)
    paint_vessels(canvas, grow_film_vessels(lungs, style or VesselStyle(), parameters.texture_seed), chest.contrast_hu)
    paint_airways(canvas, airways, parameters.airway)
    apply_disease(canvas, parameters.disease, lungs.lowest)
    return PaintedChest(canvas, lungs, frame)


def central_ray(frame: Frame) -> tuple[float, float]:
    """x and z of the central ray: the middle between the lungs' tips and the backs of their bases."""
    return 0.0, 0.5 * (max(frame.chest.apex_right, frame.chest.apex_left) + frame.lowest)


def _axes(frame: Frame, geometry: FilmGeometry, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates of a grid that holds all that the film shows."""
    step = GRID_SHARE * max(geometry.pixel_mm, 1.0)
    half = 0.5 * geometry.side_mm * (1.0 - geometry.gap_mm / geometry.source_detector_mm)
    count = int(np.ceil(half / step))
    across = torch.arange(-count, count + 1, device=device, dtype=torch.float32) * step
    chest = frame.chest
    front = frame.middle + frame.b + 50.0 + chest.fat + (chest.breast if chest.female else 0.0)
    back = frame.behind - 10.0
    deep = torch.arange(int(np.ceil((front - back) / DEPTH_MM)) + 1, device=device, dtype=torch.float32)
    return across, back + deep * DEPTH_MM, across + central_ray(frame)[1]


def tissues(hu: Tensor, lung: Tensor) -> Tensor:
    """Densities in g/cm³ ``(4, ...)`` of soft tissue, fat, bone and lung tissue from HU and the lungs' share (0 to 1).

    Between fat, muscle and cortical bone a voxel is a mixture of two neighbours that has its HU at
    :data:`EFFECTIVE_KEV`. Below fat it is air with lean tissue, which counts as lung within the lungs and as soft
    tissue elsewhere.
    """
    names = ("adipose", "muscle", "cortical_bone")
    fat_hu, soft_hu, bone_hu = (hu_at(name, EFFECTIVE_KEV) for name in names)
    densities = [MATERIALS[name].density for name in names]
    bone = ((hu - soft_hu) / (bone_hu - soft_hu)).clamp(0.0, 1.5)
    soft = ((hu - fat_hu) / (soft_hu - fat_hu)).clamp(0.0, 1.0)
    fat = ((hu - LEAN_HU) / (fat_hu - LEAN_HU)).clamp(0.0, 1.0)
    airy = (1.0 - fat) * (1.0 + hu / 1000.0).clamp(min=0.0)
    in_lung = airy * lung
    return torch.stack((soft * (1.0 - bone).clamp(min=0.0) * densities[1] + airy - in_lung,
                        fat * (1.0 - soft) * densities[0], bone * densities[2], in_lung))  # fmt: skip
