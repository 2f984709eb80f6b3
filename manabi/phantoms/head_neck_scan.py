"""Scans of the simulated head and neck: tissue maps to densities, densities to images, and what is true of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.context import Context
from manabi.device import choose_device
from manabi.phantoms.base import Case
from manabi.phantoms.ct.materials import MATERIALS, mass_attenuation
from manabi.phantoms.ct.scan import scan_densities
from manabi.phantoms.ct.scanner import Scanner, sample_scanner
from manabi.phantoms.ct.surrogate import contrasts, sum_of
from manabi.phantoms.ct.tissue import KVCT_KEV, SOFT, Densities, densities_of_hu
from manabi.phantoms.head_neck_lesion import SITES
from manabi.phantoms.head_neck_parameters import HeadNeckParameters
from manabi.phantoms.head_neck_render import TissueMaps, tissue_maps
from manabi.phantoms.head_neck_tissues import LESION, METAL, SEGMENTS
from manabi.phantoms.side_by_side import side_by_side
from manabi.phantoms.slab import matrix
from manabi.result import Cell, Labelmap
from manabi.volume import Volume

SIDE_BY_SIDE = 4
"""Patients painted at once at most; bounds the memory (our choice)."""
REPORTED_VOXELS = 30
"""A tissue with fewer voxels has no mean in the truth."""


def densities(maps: TissueMaps, contrast_hu: float) -> Densities:
    """Basis substances of a patient in g/cm³; ``contrast_hu`` is what iodine adds to the blood at kilovoltage."""
    found = densities_of_hu(maps.hu)
    if contrast_hu:
        per_gram = 1000.0 * float(mass_attenuation("iodine", KVCT_KEV) / mass_attenuation(SOFT, KVCT_KEV))
        found["iodine"] = maps.iodine * (contrast_hu / per_gram)
    for alloy, share in maps.metal.items():
        if bool((share > 0).any()):
            for image in found.values():
                image *= 1.0 - share
            found[alloy] = share * MATERIALS[alloy].density
    return found


def scanners(parameters: HeadNeckParameters) -> dict[str, Scanner]:
    """The scanner of each image."""
    rng = np.random.default_rng([parameters.scanner_seed, 7])
    kvct = sample_scanner("kvct", rng)
    return {parameters.grid.image: sample_scanner(parameters.grid.image, rng), "kvct": kvct}


def ideal(found: Densities, scanner: Scanner) -> Tensor:
    """HU of a scanner without blur, noise and errors."""
    return 1000.0 * (sum_of(found, contrasts(scanner.spectrum, found)) - 1.0)


def render_all(parameters: Sequence[HeadNeckParameters], context: Context) -> list[Case]:
    """Render cases; on a processor the patients are painted side by side, then scanned one after the other."""
    device = torch.device(choose_device(context.device).device)
    out: list[Case] = []
    for start in range(0, len(parameters), SIDE_BY_SIDE):
        context.check_cancelled()
        group = parameters[start : start + SIDE_BY_SIDE]
        for one, maps in zip(group, painted(group, device), strict=True):
            with context.span(len(out) / len(parameters), (len(out) + 1) / len(parameters)):
                out.append(_scanned(one, maps, device, context))
    return out


def painted(parameters: Sequence[HeadNeckParameters], device: torch.device) -> list[TissueMaps]:
    """Tissue maps of patients, on one thread each."""
    return side_by_side(lambda one: tissue_maps(one, device), parameters, device)


def _scanned(parameters: HeadNeckParameters, maps: TissueMaps, device: torch.device, context: Context) -> Case:
    """A painted patient, scanned twice and described."""
    grid, used = parameters.grid, scanners(parameters)
    spacing = (grid.pixel_mm, grid.pixel_mm, grid.slice_mm)
    plain, enhanced = densities(maps, 0.0), densities(maps, grid.contrast_hu)
    volumes, means = {}, {}
    with torch.no_grad():
        for number, (name, scanner) in enumerate(used.items()):
            found = enhanced if name == "kvct" else plain
            seed = int(np.random.default_rng([parameters.noise_seed, number]).integers(2**31))
            with context.span(number / len(used), (number + 1) / len(used)):
                image = scan_densities(found, spacing, scanner, seed, device, context, fast=grid.fast)
            array = image.round_().clamp_(-1024, 3071).to(torch.int16).cpu().numpy()
            volumes[name] = Volume(array, matrix(parameters.grid, parameters.setup), "CT", "HU", name=name)
            means[name] = ideal(found, scanner)
    label = np.ascontiguousarray(maps.label.cpu().numpy())
    anatomy = Labelmap(Volume(label, matrix(parameters.grid, parameters.setup), name="anatomy"), SEGMENTS)
    return Case(volumes, {"anatomy": anatomy}, _truth(parameters, maps, means, used), {})


def _truth(
    parameters: HeadNeckParameters, maps: TissueMaps, means: dict[str, Tensor], used: dict[str, Scanner]
) -> dict[str, Cell]:
    grid, mouth, lesion = parameters.grid, parameters.mouth, parameters.lesion
    truth: dict[str, Cell] = {"contrast_hu": grid.contrast_hu, "lesion": lesion.kind}
    teeth = mouth.upper + mouth.lower
    for kind, name in (("f", "fillings"), ("c", "metal_crowns"), ("i", "implants")):
        truth[name] = teeth.count(kind) if grid.metal else 0
    truth["alloy"] = mouth.alloy if grid.metal and set(teeth) & set("fc") else None
    truth["metal_ml"] = round(float(sum(float(m.sum()) for m in maps.metal.values())) * _voxel_ml(parameters), 4)
    for name, scanner in used.items():
        truth[f"{name}_noise_hu"] = round(scanner.noise_hu, 3)
        truth[f"{name}_fov_mm"] = round(scanner.fov_mm, 1)
        truth[f"{name}_slice_mm"] = round(scanner.slice_mm, 2)
    pure = inner(maps.label)
    for segment in SEGMENTS:
        where = pure & (maps.label == segment.label)
        if segment.label in (METAL, LESION) or int(where.sum()) < REPORTED_VOXELS:
            continue
        for name, image in means.items():
            key = segment.name.lower().replace(" ", "_")
            truth[f"{name}_{key}_hu"] = round(float(image[where].mean()), 1)
    return {**truth, **_lesion_truth(parameters, maps, means)}


def inner(label: Tensor) -> Tensor:
    """Voxels whose neighbours in the slice all have their label: whole tissue, no edges."""
    values = label[:, None].float()
    most = F.max_pool2d(values, 3, 1, 1)
    return ((most == values) & (-F.max_pool2d(-values, 3, 1, 1) == values))[:, 0]


def _voxel_ml(parameters: HeadNeckParameters) -> float:
    grid = parameters.grid
    return grid.pixel_mm**2 * grid.slice_mm / 1000.0


def _lesion_truth(parameters: HeadNeckParameters, maps: TissueMaps, means: dict[str, Tensor]) -> dict[str, Cell]:
    """Where the lesion is, how large and how dense; nothing where there is none in the image."""
    where = maps.label == LESION
    count = int(where.sum())
    if not count:
        return {}
    k, j, i = (v.double().mean().item() for v in torch.nonzero(where).unbind(1))
    place = matrix(parameters.grid, parameters.setup) @ np.array([i, j, k, 1.0])
    lesion = parameters.lesion
    out: dict[str, Cell] = {"lesion_place": lesion.place, "lesion_in_bone": int(SITES[lesion.place].bone)}
    out.update({f"lesion_{axis}_mm": round(float(v), 2) for axis, v in zip("ras", place, strict=False)})
    out["lesion_diameter_mm"] = round(lesion.diameter_mm, 2)
    out["lesion_ml"] = round(count * _voxel_ml(parameters), 3)
    out["lesion_contrast_hu"] = round(lesion.contrast_hu, 1)
    core = where & inner(maps.label)
    core = core if bool(core.any()) else where
    out.update({f"{name}_lesion_hu": round(float(image[core].mean()), 1) for name, image in means.items()})
    return out
