"""The projection of a simulated chest: what every ray of a film passes, before beam, scatter, detector and processing.

One projection serves any number of films; it is the costly part.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.radiograph_anatomy import PaintedChest, central_ray, paint_upright, tissues
from manabi.phantoms.radiograph_geometry import FilmGeometry
from manabi.phantoms.radiograph_rays import Beam, along_rays, node_grid, ray_sums, step_lengths
from manabi.phantoms.radiograph_vessels import VesselStyle
from manabi.phantoms.thorax_parameters import ThoraxParameters

CLEAR, BEHIND_HEART, BELOW_DOME, BEHIND_BONE = 0, 1, 2, 3
"""Codes of ``hidden``."""
LUNG_SHARE = 0.5
"""Of a voxel, from which on a ray is in lung."""
LEAST_LUNG_MM = 3.0
"""Way through lung from which on a pixel shows lung."""
HEART_MM, DOME_MM = 30.0, 12.0
"""Way through mediastinum, and below a dome inside the ribs, from which on lung is hidden (our choice)."""
BONE_GRAMS = 0.9
"""g/cm² of bone from which on the lungs' tips are hidden behind collarbone and ribs (our choice)."""
TIP_SHARE = 0.45
"""Lung above this share of its height over the carina counts as its tip."""


@dataclass(frozen=True)
class ChestProjection:
    """One chest along the rays of one film; arrays are read-only.

    Attributes:
        maps: float32 ``(4, rows, columns)``, g/cm² of soft tissue, fat, bone and lung tissue.
        lung_range_mm: float32 ``(2, rows, columns)``, nearest and farthest distance from the detector's plane where the
            ray is in lung; NaN where it is not.
        lung_path_mm: float32 ``(rows, columns)``, way through lung.
        lungs: uint8 ``(rows, columns)``, 0 none, 1 right, 2 left lung, also behind heart and below the domes.
        hidden: uint8 ``(rows, columns)``, within ``lungs`` 0 clear, 1 behind heart or mediastinum, 2 below a dome of
            the diaphragm, 3 behind collarbone and ribs at the tips.
        geometry: of the film.
        parameters_json: what it was made from.
    """

    maps: np.ndarray
    lung_range_mm: np.ndarray
    lung_path_mm: np.ndarray
    lungs: np.ndarray
    hidden: np.ndarray
    geometry: FilmGeometry
    parameters_json: str

    def __post_init__(self) -> None:
        """Lock the arrays."""
        for name in ("maps", "lung_range_mm", "lung_path_mm", "lungs", "hidden"):
            getattr(self, name).setflags(write=False)


def project(
    parameters: ThoraxParameters,
    geometry: FilmGeometry | None = None,
    device: torch.device | str = "cpu",
    style: VesselStyle | None = None,
) -> ChestProjection:
    """Project a chest on a film (PA).

    Args:
        parameters: the chest; its scanner and couch do not matter, and its arms are out of the way.
        geometry: of the film; 256 pixels of 1.5 mm without.
        device: where it is worked out.
        style: how the vessels grow; the default one without.

    Raises:
        InvalidInputError: for an unknown disease.
    """
    geometry = geometry or FilmGeometry()
    with torch.no_grad():
        painted = paint_upright(parameters, geometry, torch.device(device), style)
        beam = place_beam(painted, geometry)
        maps, path, reach = _through(painted, beam)
        hidden = _hidden(painted, beam, maps)
    lungs = _sides(path, reach, beam)
    outside = torch.as_tensor(lungs == 0, device=path.device)
    return ChestProjection(
        maps=maps.cpu().numpy(),
        lung_range_mm=reach.masked_fill(outside, torch.nan).cpu().numpy(),
        lung_path_mm=path.masked_fill(outside, 0.0).cpu().numpy(),
        lungs=lungs,
        hidden=np.where(lungs > 0, hidden, CLEAR).astype(np.uint8),
        geometry=geometry,
        parameters_json=json.dumps(
            {**dataclasses.asdict(parameters), "vessels": dataclasses.asdict(style or VesselStyle())}
        ),
    )


def place_beam(painted: PaintedChest, geometry: FilmGeometry) -> Beam:
    """Detector before the foremost skin on the film, central ray through the middle of the lungs."""
    canvas = painted.canvas
    middle = canvas.hu[:, :, len(canvas.x) // 8 : -len(canvas.x) // 8]
    solid = (middle > -300).any(dim=2).any(dim=0)
    front = float(canvas.y[torch.nonzero(solid)[-1]])
    x, z = central_ray(painted.frame)
    return Beam(geometry, x, z, front + geometry.gap_mm)


def _through(painted: PaintedChest, beam: Beam) -> tuple[Tensor, Tensor, Tensor]:
    """Area densities (g/cm²), way through lung and its range (mm)."""
    canvas, grid = painted.canvas, painted.grid
    aerated = canvas.lung * (1.0 - canvas.lumen)

    def planes(chosen: slice) -> Tensor:
        hu, lung = (v[:, chosen].transpose(0, 1) for v in (canvas.hu, aerated))
        return torch.cat((tissues(hu, lung), lung[None])).transpose(0, 1)

    matrix = beam.geometry.matrix
    total = torch.zeros((5, matrix, matrix), device=canvas.hu.device)
    near, far = (torch.full((matrix, matrix), v, device=canvas.hu.device) for v in (torch.inf, -torch.inf))
    for values, distance in along_rays(planes, grid, beam):
        total += values.sum(dim=0)
        inside = values[:, 4] > LUNG_SHARE
        away = distance[:, None, None]
        near = torch.minimum(near, torch.where(inside, away, torch.inf).amin(dim=0))
        far = torch.maximum(far, torch.where(inside, away, -torch.inf).amax(dim=0))
    total *= step_lengths(grid, beam)
    reach = torch.stack((near, far))
    return total[:4] / 10.0, total[4], torch.where(torch.isfinite(reach), reach, torch.nan)


def _sides(path: Tensor, reach: Tensor, beam: Beam) -> np.ndarray:
    """1 for the right, 2 for the left lung, by the x of the middle of the ray's way through it."""
    x = beam.x + beam.geometry.offsets_mm()[None, :]
    there = ((path > LEAST_LUNG_MM) & torch.isfinite(reach[0])).cpu().numpy()
    return np.where(there, np.where(x > 0, 1, 2), 0).astype(np.uint8)


def _hidden(painted: PaintedChest, beam: Beam, maps: Tensor) -> np.ndarray:
    """What covers the lungs at each pixel."""
    shapes = painted.shapes
    nodes = shapes.nodes
    inside = (shapes.cage > 0).float()
    below = inside * (nodes.z < shapes.dome)
    middle = (inside - below) * (shapes.lung < 0)
    both = torch.stack((middle, below)).permute(2, 0, 1, 3)
    ways = ray_sums(lambda chosen: both[chosen], node_grid(nodes), beam).cpu().numpy()
    height = beam.z + beam.geometry.offsets_mm()[:, None] / float(beam.geometry.magnification(150.0))
    apex = max(painted.frame.chest.apex_right, painted.frame.chest.apex_left)
    tips = (maps[2].cpu().numpy() > BONE_GRAMS) & (height > TIP_SHARE * apex)
    out = np.where(tips, BEHIND_BONE, CLEAR)
    out = np.where(ways[0] > HEART_MM, BEHIND_HEART, out)
    return np.where(ways[1] > DOME_MM, BELOW_DOME, out)
