"""Scan of the simulated pelvis, its labels, the observers' contours, and what is true of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.context import Context
from manabi.device import choose_device
from manabi.phantoms.base import Case
from manabi.phantoms.ct.finish import LOWEST_HU
from manabi.phantoms.ct.materials import MATERIALS
from manabi.phantoms.ct.scan import scan_densities
from manabi.phantoms.ct.scanner import Scanner, sample_scanner
from manabi.phantoms.ct.tissue import HARD, Densities
from manabi.phantoms.head_neck_render import TissueMaps
from manabi.phantoms.head_neck_scan import densities, ideal, inner
from manabi.phantoms.pelvis_parameters import PelvisParameters
from manabi.phantoms.pelvis_readers import contour
from manabi.phantoms.pelvis_render import tissue_maps
from manabi.phantoms.pelvis_tissues import BONE, FAT, MUSCLE, ORGANS, SEGMENTS
from manabi.phantoms.side_by_side import side_by_side
from manabi.phantoms.slab import matrix
from manabi.result import Cell, Labelmap
from manabi.volume import Volume

AT_ONCE = 4
"""Patients painted at once at most; bounds the memory (our choice)."""
EMPTY_ML = 50.0
"""A bladder with less is called empty (our choice)."""
METAL_SHARE = 0.002
"""A slice with more metal than this in a voxel is projected, so that its streaks are there (our choice)."""
REPORTED_VOXELS = 30
"""A tissue with fewer voxels has no mean in the truth."""
NAMES = {segment.label: segment.name.lower().replace(" ", "_") for segment in SEGMENTS}


def scanner_of(parameters: PelvisParameters) -> Scanner:
    """The scanner of a case: an individual planning CT with the case's noise."""
    drawn = sample_scanner("kvct", np.random.default_rng([parameters.scanner_seed, 9]))
    return drawn.with_(noise_hu=parameters.grid.noise_hu, slice_mm=max(drawn.slice_mm, parameters.grid.slice_mm))


def render_all(parameters: Sequence[PelvisParameters], context: Context) -> list[Case]:
    """Render cases; on a processor the patients are painted side by side, then scanned one after the other."""
    device = torch.device(choose_device(context.device).device)
    out: list[Case] = []
    for start in range(0, len(parameters), AT_ONCE):
        context.check_cancelled()
        group = parameters[start : start + AT_ONCE]
        for one, maps in zip(group, side_by_side(lambda p: tissue_maps(p, device), group, device), strict=True):
            with context.span(len(out) / len(parameters), (len(out) + 1) / len(parameters)):
                out.append(_case(one, maps, device, context))
    return out


def _case(parameters: PelvisParameters, maps: TissueMaps, device: torch.device, context: Context) -> Case:
    scanner, found = scanner_of(parameters), densities(maps, 1.0)
    with torch.no_grad():
        image = scanned(found, maps, parameters, scanner, device, context)
        means = ideal(found, scanner)
    array = image.round_().clamp_(-1024, 3071).to(torch.int16).cpu().numpy()
    label = np.ascontiguousarray(maps.label.cpu().numpy())
    places = matrix(parameters.grid, parameters.setup)
    organs = np.where(np.isin(label, ORGANS), label, 0).astype(np.uint8)
    labelmaps = {"organs": _labelmap(organs, places, "organs"), "anatomy": _labelmap(label, places, "anatomy")}
    for number in range(parameters.contours.readers):
        name = f"contours_{number + 1}"
        labelmaps[name] = _labelmap(contour(organs, parameters, number), places, name)
    volume = Volume(array, places, "CT", "HU", name="ct")
    return Case({"ct": volume}, labelmaps, _truth(parameters, maps, means, organs, scanner), {})


def _labelmap(array: np.ndarray, places: np.ndarray, name: str) -> Labelmap:
    segments = SEGMENTS if name == "anatomy" else SEGMENTS[: len(ORGANS)]
    return Labelmap(Volume(array, places, name=name), segments)


def scanned(
    found: Densities, maps: TissueMaps, parameters: PelvisParameters, scanner: Scanner, device: torch.device,
    context: Context,
) -> Tensor:  # fmt: skip
    """The image; with ``fast`` only slices near metal are projected.

    The streaks of metal are those of hardened beams, as the physics gives them. Rays that it starves of photons are
    taken as mended by the scanner (our choice): the noise is that of the patient with bone in the metal's place, since
    two hips of solid metal would otherwise leave nothing of the image between them.
    """
    grid = parameters.grid
    spacing = (grid.pixel_mm, grid.pixel_mm, grid.slice_mm)
    seed = int(np.random.default_rng([parameters.noise_seed, 0]).integers(2**31))
    plain = without_metal(found, maps)
    image = scan_densities(plain, spacing, scanner, seed, device, context, fast=grid.fast)
    margin = math.ceil(1.5 * scanner.slice_mm / grid.slice_mm)
    for start, stop in metal_runs(maps, margin):
        first, last = max(start - margin, 0), min(stop + margin, image.shape[0])
        one, other = ({name: values[first:last] for name, values in part.items()} for part in (found, plain))
        quiet = scanner.noiseless()
        streaked = scan_densities(one, spacing, quiet, seed, device, context)
        streaked -= scan_densities(other, spacing, quiet, seed, device, context, fast=grid.fast)
        image[start:stop] += streaked[start - first : stop - first]
    return image.clamp_(min=LOWEST_HU)


def without_metal(found: Densities, maps: TissueMaps) -> Densities:
    """The patient with cortical bone in the metal's place."""
    plain = {name: values for name, values in found.items() if name not in maps.metal}
    for share in maps.metal.values():
        plain[HARD] = plain.get(HARD, torch.zeros_like(share)) + share * MATERIALS[HARD].density
    return plain


def metal_runs(maps: TissueMaps, margin: int) -> list[tuple[int, int]]:
    """First slice of every run that metal reaches, widened by a margin, and the slice beyond its last."""
    touched = torch.zeros(maps.hu.shape[0], dtype=torch.bool)
    for share in maps.metal.values():
        touched |= (share > METAL_SHARE).flatten(1).any(dim=1).cpu()
    if not bool(touched.any()):
        return []
    wide = F.max_pool1d(touched.float()[None, None], 2 * margin + 1, 1, margin)[0, 0].numpy()
    steps = np.flatnonzero(np.diff(np.concatenate(([0.0], wide, [0.0]))))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def _truth(
    parameters: PelvisParameters, maps: TissueMaps, means: Tensor, organs: np.ndarray, scanner: Scanner
) -> dict[str, Cell]:
    grid, finds = parameters.grid, parameters.finds
    voxel_ml = grid.pixel_mm**2 * grid.slice_mm / 1000.0
    truth: dict[str, Cell] = {}
    for label in ORGANS:
        here = organs == label
        truth[f"{NAMES[label]}_ml"] = round(int(here.sum()) * voxel_ml, 3)
        truth[f"{NAMES[label]}_whole"] = int(bool(here.any()) and not _cut(here))
    truth["bladder_empty"] = int(parameters.organs.bladder_ml < EMPTY_ML)
    pure = inner(maps.label)
    for label in (*ORGANS, BONE, MUSCLE, FAT):
        where = pure & (maps.label == label)
        if int(where.sum()) >= REPORTED_VOXELS:
            truth[f"{NAMES[label]}_hu"] = round(float(means[where].median()), 1)
    truth["prosthesis"], truth["seeds"] = finds.prosthesis, finds.seeds
    truth["calcifications"] = finds.calcifications
    truth["bladder_contrast_hu"], truth["contrast_hu"] = finds.bladder_contrast_hu, finds.contrast_hu
    truth["metal_ml"] = round(sum(float(m.sum()) for m in maps.metal.values()) * voxel_ml, 4)
    truth["truncated"] = int(bool((maps.label[:, :, [0, -1]] > 0).any()) or bool((maps.label[:, 0] > 0).any()))
    truth["noise_hu"], truth["kvp"] = round(scanner.noise_hu, 3), scanner.kvp
    truth["scanner_slice_mm"] = round(scanner.slice_mm, 2)
    return truth


def _cut(where: np.ndarray) -> bool:
    """Whether a mask reaches the image's border."""
    sides = (where[0], where[-1], where[:, 0], where[:, -1], where[:, :, 0], where[:, :, -1])
    return any(bool(side.any()) for side in sides)
