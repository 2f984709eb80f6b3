"""From a patient's parameters to images, outlines and truth."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.phantoms.base import Case
from manabi.phantoms.tumour_glioma import render_glioma
from manabi.phantoms.tumour_lung import BLOOD_HU, paint_wall, parenchyma, vessels, wall_distance
from manabi.phantoms.tumour_parameters import Lesion, Scan, TumourParameters
from manabi.phantoms.tumour_scanner import scanned
from manabi.phantoms.tumour_shapes import Blob, Space, axis_mm, grow_blob, paint_tube
from manabi.result import Cell, Code, Labelmap, Segment
from manabi.volume import Volume

FINE_MM = 1.0
"""About the distance of the planes that are averaged in a slice."""
HALO_HU, SPICULE_HU = -600.0, -20.0
CONE_BEAM: dict[str, Any] = {"psf_mm": 0.9, "noise_hu": 32.0, "sharpness": 0.0, "shift_hu": -15.0}
"""Cone-beam CT, the same machine for all, resampled to the planning CT's grid (our choice)."""
TUMOUR = Segment(
    1, "Tumour", (0.85, 0.35, 0.25), Code("108369006", "SCT", "Neoplasm"),
    Code("49755003", "SCT", "Morphologically Abnormal Structure"),
)  # fmt: skip


def render_all(parameters: Sequence[TumourParameters], context: Context) -> list[Case]:
    """Render cases one after the other."""
    out = []
    for n, case in enumerate(parameters):
        context.check_cancelled()
        out.append(render(case))
        context.progress((n + 1) / len(parameters), "Simulating tumours")
    return out


def render(parameters: TumourParameters) -> Case:
    """Render one patient; raises InvalidInputError for a modality that is not known."""
    if parameters.modality not in ("ct", "mr"):
        raise InvalidInputError(f"modality must be ct or mr; got {parameters.modality!r}.")
    scan = parameters.scan
    if parameters.modality == "mr":
        images, share = render_glioma(parameters, fine_space(scan), subslices(scan))
        volumes = {name: as_volume(array, scan, name, "MR") for name, array in images.items()}
        labelmaps = {"tumour": outline(share, scan, "tumour")}
        return Case(volumes, labelmaps, _truth(parameters, {}), json.loads(json.dumps(asdict(parameters))))
    image, share = render_lung(parameters, scan, parameters.lesion.volume_ml, 0)
    volumes, labelmaps = {"ct": as_volume(image, scan, "ct", "CT")}, {"tumour": outline(share, scan, "tumour")}
    weekly = {}
    beam = replace(scan, **CONE_BEAM)
    for week in range(1, parameters.weeks + 1):
        volume_ml = parameters.lesion.volume_ml * math.exp(-parameters.lesion.shrink_per_week * week)
        image, share = render_lung(parameters, beam, volume_ml, week)
        volumes[f"cbct_week{week}"] = as_volume(image, beam, f"cbct_week{week}", "CT")
        labelmaps[f"tumour_week{week}"] = outline(share, beam, f"tumour_week{week}")
        weekly[f"volume_ml_week{week}"] = round(volume_ml, 4)
    return Case(volumes, labelmaps, _truth(parameters, weekly), json.loads(json.dumps(asdict(parameters))))


def subslices(scan: Scan) -> int:
    """Planes that are averaged in a slice."""
    return max(round(scan.slice_mm / FINE_MM), 1)


def fine_space(scan: Scan) -> Space:
    """The grid on which the truth is painted."""
    pixels, planes = round(scan.field_mm / scan.pixel_mm), max(round(scan.field_mm / scan.slice_mm), 2)
    count = subslices(scan)
    across = axis_mm(pixels, scan.pixel_mm)
    return Space(axis_mm(planes * count, scan.slice_mm / count), across, across)


def render_lung(
    parameters: TumourParameters, scan: Scan, volume_ml: float, week: int
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """CT of the tumour in the lung and the share of each voxel that the tumour fills.

    Args:
        parameters: the patient.
        scan: scanner of this image.
        volume_ml: of the tumour at the time.
        week: of treatment, 0 for the planning CT; from 1 on it is a cone-beam CT.
    """
    space, lung, lesion = fine_space(scan), parameters.lung, parameters.lesion
    rng = np.random.default_rng([lung.seed, 0])
    wall = wall_distance(lung, space)
    blob = grow_blob(lesion, space, wall, volume_ml)
    hu = parenchyma(lung, space, rng)
    radius = float(np.cbrt(3e3 * volume_ml / (4 * math.pi)))
    feeding = 0.6 * radius * _directions(np.random.default_rng([lung.seed, 1]), 3)
    hu += vessels(lung, space, np.random.default_rng([lung.seed, 4]), feeding) * (BLOOD_HU - hu)
    _paint_lesion(hu, lesion, blob, space)
    paint_wall(hu, lung, space, wall, np.random.default_rng([lung.seed, 2]))
    image = scanned(averaged(hu, scan), scan, np.random.default_rng([scan.seed, week]), week > 0)
    share = np.zeros(space.shape, np.float32)
    share[blob.box] = blob.share
    return image, averaged(share, scan)


def _paint_lesion(hu: np.ndarray, lesion: Lesion, blob: Blob, space: Space) -> None:
    """Halo, strands and the solid tumour, one over the other."""
    part = hu[blob.box]
    if lesion.halo_mm > 0:
        haze = np.exp(-np.clip(-blob.depth_mm, 0.0, None) / lesion.halo_mm)
        part += np.float32(0.9) * haze * np.clip(HALO_HU - part, 0.0, None)
    if lesion.spicules:
        strands = np.zeros(space.shape, np.float32)
        _paint_spicules(strands, lesion, blob, space)
        hu += strands * np.clip(SPICULE_HU - hu, 0.0, None)
    part += blob.share * (lesion.density_hu + lesion.texture_hu * blob.texture - part)


def _paint_spicules(strands: np.ndarray, lesion: Lesion, blob: Blob, space: Space) -> None:
    """Thin strands that leave the surface outwards and end within some millimetres."""
    rng = np.random.default_rng([lesion.seed, 2])
    part, blur = space.part(blob.box), float(np.mean(space.spacing_mm))
    radius = float(np.cbrt(3e3 * lesion.volume_ml / (4 * math.pi)))
    steps = np.arange(0.0, 2.4 * radius, 0.5)
    for direction in _directions(rng, lesion.spicules):
        line = steps[:, None] * direction
        at = [
            np.clip(np.searchsorted(a, p), 0, len(a) - 1) for a, p in zip((part.z, part.y, part.x), line.T, strict=True)
        ]
        inside = np.flatnonzero(blob.share[tuple(at)] > 0.5)
        length, bend = rng.uniform(4.0, 13.0), rng.normal(0.0, 0.25, 3)
        if not inside.size:
            continue
        start = line[inside[-1]] - direction
        middle = start + 0.5 * length * direction
        end = middle + 0.5 * length * (direction + bend)
        thick = rng.uniform(0.5, 1.2)
        paint_tube(strands, space, start, middle, (thick, 0.6 * thick), blur)
        paint_tube(strands, space, middle, end, (0.6 * thick, 0.25), blur)


def _directions(rng: np.random.Generator, count: int) -> np.ndarray:
    found = rng.standard_normal((count, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def averaged(values: np.ndarray, scan: Scan) -> np.ndarray:
    """Slices from fine planes."""
    count = subslices(scan)
    return values.reshape(values.shape[0] // count, count, *values.shape[1:]).mean(axis=1)


def as_volume(image: np.ndarray, scan: Scan, name: str, modality: str) -> Volume:
    """A volume in the middle of the patient: columns to the left, rows to the back, slices to the head."""
    low = -1024 if modality == "CT" else 0
    array = np.clip(np.rint(image), low, 3071).astype(np.int16)
    return Volume(array, matrix(image.shape, scan), modality, "HU" if modality == "CT" else None, name=name)


def matrix(shape: tuple[int, ...], scan: Scan) -> np.ndarray:
    """From (column, row, slice) to RAS mm; the middle of the image is the origin."""
    out = np.diag([-scan.pixel_mm, -scan.pixel_mm, scan.slice_mm, 1.0])
    middle = np.array([shape[2] - 1, shape[1] - 1, shape[0] - 1]) / 2
    out[:3, 3] = -out[:3, :3] @ middle
    return out


def outline(share: np.ndarray, scan: Scan, name: str) -> Labelmap:
    """Voxels that the tumour fills by more than half; at least the fullest one."""
    inside = share > min(0.5, float(share.max()) * 0.999)
    return Labelmap(Volume(inside.astype(np.uint8), matrix(share.shape, scan), name=name), (TUMOUR,))


def _truth(parameters: TumourParameters, weekly: dict[str, float]) -> dict[str, Cell]:
    """What features should find, and what became of the patient."""
    patient, lesion = parameters.patient, parameters.lesion
    parts = {name: value for name, value in asdict(patient).items() if name.startswith("hazard_")}
    grade: dict[str, Cell] = {"grade": parameters.glioma.grade} if parameters.glioma.grade else {}
    return {
        "z": patient.z, "v": patient.v, "volume_ml": round(lesion.volume_ml, 4),
        "length_mm": round(lesion.length_mm, 4), **parts, "log_hazard": sum(parts.values()),
        "time_days": patient.time_days, "event": patient.event, "centre": parameters.scan.centre,
        "age_years": patient.age_years, "sex": patient.sex, "stage": patient.stage or None, **grade, **weekly,
    }  # fmt: skip
