"""From a chest's parameters to its CT and truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manabi.context import Context
from manabi.device import choose_device
from manabi.errors import InvalidInputError
from manabi.phantoms.base import Case
from manabi.phantoms.thorax_body import paint_body, paint_couch, place_lungs
from manabi.phantoms.thorax_canvas import Canvas
from manabi.phantoms.thorax_disease import GRAVITY_HU, LUNG_HU, apply_disease, field
from manabi.phantoms.thorax_noise import scanned
from manabi.phantoms.thorax_parameters import Scan, ThoraxParameters
from manabi.phantoms.thorax_shape import Frame
from manabi.phantoms.thorax_tree import grow_airways, grow_vessels, paint_airways, paint_vessels, split_level
from manabi.result import LEFT, RIGHT, Cell, Code, Labelmap, Segment
from manabi.volume import Volume

SIDE_BY_SIDE = 4
"""Chests rendered at once at most; bounds the memory (our choice)."""
APEX_AREA_MM2 = 50.0
DIAPHRAGM_OFFSET_MM = 24.0
SEGMENTS = (
    Segment(1, "Right lung", (0.55, 0.75, 0.95), Code("39607008", "SCT", "Lung"), laterality=RIGHT),
    Segment(2, "Left lung", (0.95, 0.7, 0.55), Code("39607008", "SCT", "Lung"), laterality=LEFT),
    Segment(3, "Airway", (0.6, 0.9, 0.6), Code("89187006", "SCT", "Airway")),
)


def render_all(parameters: Sequence[ThoraxParameters], context: Context) -> list[Case]:
    """Render chests; on a processor side by side on one thread each, as many small operations share threads badly."""
    device = torch.device(choose_device(context.device).device)
    threads = torch.get_num_threads()
    workers = min(threads, len(parameters), SIDE_BY_SIDE) if device.type == "cpu" else 1
    torch.set_num_threads(1)
    out: list[Case] = []
    try:
        with ThreadPoolExecutor(max(workers, 1)) as pool:
            for case in pool.map(lambda one: render(one, device, context), parameters):
                out.append(case)
                context.progress(len(out) / len(parameters), "Simulating chests")
    finally:
        torch.set_num_threads(threads)
    return out


def render(parameters: ThoraxParameters, device: torch.device, context: Context) -> Case:
    """Render one chest; raises InvalidInputError where the image would hold fewer than two slices."""
    context.check_cancelled()
    with torch.no_grad():
        canvas, levels = paint(parameters, device)
        context.check_cancelled()
        return _scanned(canvas, levels, parameters)


def paint(parameters: ThoraxParameters, device: torch.device) -> tuple[Canvas, dict[str, float]]:
    """The whole chest on a fine grid, and the levels' heights in its own frame.

    The grid always reaches from below the lungs to above them, whatever the image shows of it.
    """
    chest, disease, scan = parameters.chest, parameters.disease, parameters.scan
    rng = np.random.default_rng(parameters.texture_seed)
    frame = Frame(chest, parameters.airway, disease)
    canvas = Canvas.empty(*_axes(parameters, frame, device))
    lungs = place_lungs(canvas, chest, disease, parameters.airway, rng)
    paint_body(canvas, frame, lungs, rng)
    _paint_lungs(canvas, rng)
    airways = grow_airways(parameters.airway, lungs.hulls)
    paint_vessels(canvas, grow_vessels(parameters.texture_seed, lungs.hulls), chest.contrast_hu)
    paint_airways(canvas, airways, parameters.airway)
    apply_disease(canvas, disease, lungs.lowest)
    paint_couch(canvas, frame)
    area = (canvas.lung.clamp(0, 1) * (canvas.hu < -300)).sum(dim=(1, 2)) * scan.pixel_mm**2
    top, bottom = crossings(canvas.z, area)
    carina = split_level(airways, parameters.airway)
    return canvas, {"apex": top, "carina": carina, "lowest": bottom, "diaphragm": bottom + DIAPHRAGM_OFFSET_MM}


def _axes(parameters: ThoraxParameters, frame: Frame, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates of the fine grid in the chest's frame; at least the lungs with a margin."""
    chest, scan = parameters.chest, parameters.scan
    half = (scan.matrix - 1) / 2 * scan.pixel_mm
    place = torch.linspace(-half, half, scan.matrix, device=device)
    step = scan.slice_mm / scan.subslices
    low = frame.lowest - 12.0 - max(scan.bottom_mm, 0.0) - scan.offset_mm
    high = max(chest.apex_right, chest.apex_left) + max(scan.top_mm, 8.0)
    count = max(math.ceil((high - low) / scan.slice_mm), 2) * scan.subslices
    z = low + step * (torch.arange(count, device=device, dtype=torch.float32) + 0.5)
    return place - scan.place_mm[0], place - scan.place_mm[1] + frame.middle, z


def _paint_lungs(canvas: Canvas, rng: np.random.Generator) -> None:
    """Parenchyma: denser behind, slightly mottled."""
    y = canvas.y[None, :, None]
    density = LUNG_HU + float(rng.normal(0, 40)) + GRAVITY_HU * (20.0 - y) / 90.0
    canvas.paint(canvas.lung, density + 14.0 * field(canvas, rng, 12.0))


def crossings(z: Tensor, area: Tensor) -> tuple[float, float]:
    """Highest and lowest position at which the lungs' area passes 50 mm², between planes by interpolation."""
    values, heights = area.cpu().numpy().astype(float), z.cpu().numpy().astype(float)
    inside = np.flatnonzero(values > APEX_AREA_MM2)
    if not len(inside):
        raise InvalidInputError("This chest has no aerated lung; choose a less severe disease.")
    out = []
    for k, step in ((int(inside[-1]), 1), (int(inside[0]), -1)):
        other = k + step
        share = 0.0
        if 0 <= other < len(values):
            share = (values[k] - APEX_AREA_MM2) / max(values[k] - values[other], 1e-6)
        out.append(float(heights[k] + share * step * abs(heights[1] - heights[0])))
    return out[0], out[1]


def _scanned(canvas: Canvas, levels: dict[str, float], parameters: ThoraxParameters) -> Case:
    """Slices of the scanner from the fine grid, cut to what the image shows."""
    scan = parameters.scan
    rng = np.random.default_rng([parameters.texture_seed, 1])
    fields = {"hu": canvas.hu, "lung": canvas.lung, "lumen": canvas.lumen}
    turned = _turned({name: _averaged(values, scan.subslices) for name, values in fields.items()}, parameters)
    slices, labels = turned["hu"], _labels(turned["lung"], turned["lumen"], canvas)
    z = _averaged(canvas.z[:, None, None], scan.subslices)[:, 0, 0].cpu().numpy().astype(float)
    first, last = _shown(z, levels, scan)
    image = scanned(slices[first:last], scan.pixel_mm, scan.psf_mm, scan.noise_hu, rng) + scan.shift_hu
    array = image.round_().clamp_(-1024, 3071).to(torch.int16).cpu().numpy()
    matrix = _matrix(canvas, z[first], scan)
    flip = (slice(None), slice(None, None, -1), slice(None, None, -1))
    ct = Volume(np.ascontiguousarray(array[flip]), matrix, "CT", "HU", name="ct")
    anatomy = Volume(np.ascontiguousarray(labels[first:last].cpu().numpy()[flip]), matrix, name="anatomy")
    truth = _truth(levels, z[first:last], parameters)
    return Case({"ct": ct}, {"anatomy": Labelmap(anatomy, SEGMENTS)}, truth, {})


def _turned(fields: dict[str, Tensor], parameters: ThoraxParameters) -> dict[str, Tensor]:
    """The body turned about its long axis (a patient who lies askew); levels stay. Beyond the grid is air."""
    angle = math.radians(parameters.chest.turn_deg)
    if abs(angle) < 1e-3:
        return fields
    turn = torch.tensor([[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]])
    size = [1, 1, *fields["hu"].shape[1:]]
    grid = torch.nn.functional.affine_grid(turn[None].to(fields["hu"].device), size, align_corners=False)
    out = {}
    for key, values in fields.items():
        shift = 1000.0 if key == "hu" else 0.0
        moved = torch.nn.functional.grid_sample(values[None] + shift, grid, mode="bilinear", align_corners=False)[0]
        out[key] = moved - shift
    return out


def _averaged(values: Tensor, count: int) -> Tensor:
    """Means of ``count`` planes."""
    return values.reshape(values.shape[0] // count, count, *values.shape[1:]).mean(dim=1)


def _labels(lung: Tensor, lumen: Tensor, canvas: Canvas) -> Tensor:
    side = torch.where(canvas.x > 0, 1, 2).to(torch.uint8)[None, None, :]
    out = torch.where(lung > 0.5, side, torch.zeros((), dtype=torch.uint8, device=lung.device))
    return torch.where(lumen > 0.5, torch.full((), 3, dtype=torch.uint8, device=lung.device), out)


def _shown(z: np.ndarray, levels: dict[str, float], scan: Scan) -> tuple[int, int]:
    """First slice shown and one beyond the last."""
    keep = np.flatnonzero((z <= levels["apex"] + scan.top_mm) & (z >= levels["lowest"] - scan.bottom_mm))
    if len(keep) < 2:
        raise InvalidInputError("The image would hold fewer than two slices; choose larger top_mm and bottom_mm.")
    return int(keep[0]), int(keep[-1]) + 1


def _matrix(canvas: Canvas, z_first: float, scan: Scan) -> np.ndarray:
    """Columns to the left, rows to the back, slices to the head."""
    matrix = np.diag([-scan.pixel_mm, -scan.pixel_mm, scan.slice_mm, 1.0])
    half = (scan.matrix - 1) / 2 * scan.pixel_mm
    matrix[:3, 3] = [half, half, z_first + scan.place_mm[2]]
    return matrix


def _truth(levels: dict[str, float], z: np.ndarray, parameters: ThoraxParameters) -> dict[str, Cell]:
    scan = parameters.scan
    truth: dict[str, Any] = {"pathology": parameters.disease.kind}
    for name, off in zip(("apex", "carina", "diaphragm"), parameters.reader_slices, strict=True):
        height = levels[name]
        k = int(np.abs(z - height).argmin())
        there = abs(z[k] - height) <= scan.slice_mm / 2 + 1e-6
        truth[f"{name}_mm"] = round(float(height) + scan.place_mm[2], 3)
        truth[f"{name}_slice"] = k if there else None
        truth[f"read_{name}_slice"] = int(np.clip(k + off, 0, len(z) - 1)) if there else None
    truth["lowest_lung_mm"] = round(float(levels["lowest"]) + scan.place_mm[2], 3)
    return truth


