"""From a head's parameters to its images, labels and truth."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from manabi.brain.structures import CLASSES, LABELS, SIDED, STRUCTURES, segments
from manabi.context import Context
from manabi.geometry import Grid
from manabi.phantoms.base import Case
from manabi.phantoms.brain_anatomy import parametric_head
from manabi.phantoms.brain_contrast import blood_signal, signals, tissue_values
from manabi.phantoms.brain_faults import apply_faults
from manabi.phantoms.brain_grid import check, fine_grid, parts_of, scan_grid
from manabi.phantoms.brain_label_maps import labelled_head, load_head
from manabi.phantoms.brain_scanner import imaged, mean_of_parts, textured
from manabi.phantoms.brain_tissues import CODE, Head
from manabi.phantoms.brain_vessels import Tree, grow, landmarks_of, paint, paint_values
from manabi.result import Cell, Labelmap
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.phantoms.brain import BrainParameters, Scan

SIDE_BY_SIDE = 4
"""Heads rendered at once at most; bounds the memory (our choice)."""
WHOLE_MM = (160.0, 200.0, 165.0)
"""An image this large shows all of the brain, so that its own labels can lead the vessels."""
LARGE_MM = (190.0, 230.0, 200.0)
COARSE_MM = 2.5
FULL = 0.5
"""A voxel is a vessel where at least so much of it is (our choice)."""
BRAIN = ("grey", "white", "csf")
"""Tissues among which the noise's reference, the brightest one, is sought."""


@dataclass(frozen=True)
class Scene:
    """What lies on one grid.

    Attributes:
        grid: of the image.
        parts: sub-voxels per voxel along slices, rows and columns.
        head: tissues of the sub-voxels.
        arteries: share of each voxel, ``(slices, rows, columns)``.
        pulses: pulses that its arterial blood has lived through.
        veins: share of each voxel.
    """

    grid: Grid
    parts: tuple[int, int, int]
    head: Head
    arteries: np.ndarray
    pulses: np.ndarray
    veins: np.ndarray


def render_cases(
    parameters: Sequence[BrainParameters], records: Sequence[dict[str, Any]], context: Context
) -> list[Case]:  # fmt: skip
    """Render heads side by side on one thread each, as their many small operations share threads badly."""
    for one in parameters:
        check(one)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    out: list[Case] = []
    try:
        with ThreadPoolExecutor(max(min(threads, len(parameters), SIDE_BY_SIDE), 1)) as pool:
            for case in pool.map(lambda pair: render(pair[0], pair[1], context), zip(parameters, records, strict=True)):
                out.append(case)
                context.progress(len(out) / len(parameters), "Simulating heads")
    finally:
        torch.set_num_threads(threads)
    return out


def render(parameters: BrainParameters, record: dict[str, Any], context: Context) -> Case:
    """Render one head."""
    context.check_cancelled()
    tree: Tree | None = None
    scenes: dict[int, Scene] = {}
    volumes = {}
    for contrast in parameters.contrasts:
        scan = _scan_of(parameters, contrast)
        if id(scan) not in scenes:
            scene, tree = _scene(parameters, scan, tree)
            scenes[id(scan)] = scene
            context.check_cancelled()
        volumes[contrast] = _image(scenes[id(scan)], contrast, parameters)
        context.check_cancelled()
    first = scenes[id(_scan_of(parameters, parameters.contrasts[0]))]
    labels = labels_of(first)
    labelmaps = {"structures": Labelmap(Volume(labels, first.grid.ijk_to_ras, "SEG", None, "structures"), segments())}
    truth = _truth(parameters, labels, first)
    if parameters.painted:
        painted, kept = apply_faults(labels, parameters.faults)
        labelmaps["painted"] = Labelmap(Volume(painted, first.grid.ijk_to_ras, "SEG", None, "painted"), segments())
        truth["painted_slices"] = " ".join(str(n) for n in np.flatnonzero(kept))
    return Case(volumes, labelmaps, truth, record)


def head_on(parameters: BrainParameters, grid: Grid) -> Head:
    """The case's tissues on any grid."""
    if parameters.source == "labels":
        return labelled_head(load_head(parameters.head), parameters.pose, grid)
    return parametric_head(parameters.anatomy, parameters.pose, grid)


def tree_of(parameters: BrainParameters, head: Head | None = None) -> Tree:
    """The case's vessels; ``head`` saves time where it shows the whole brain."""
    if head is None:
        head = head_on(parameters, _around(parameters))
    marks = landmarks_of(head.classes, head.grid)
    return grow(np.random.default_rng(parameters.vessel_seed), marks, parameters.vessels)


def labels_of(scene: Scene) -> np.ndarray:
    """Labels of :data:`manabi.brain.structures.LABELS` on the scene's grid, uint8."""
    classes = scene.head.classes
    if max(scene.parts) > 1:
        shares = [mean_of_parts((classes == value).astype(np.float32), scene.parts) for value in CLASSES.values()]
        most = np.argmax(shares, axis=0)
        empty = 1.0 - np.sum(shares, axis=0)
        classes = np.where(np.max(shares, axis=0) > empty, most + 1, 0)
    middle = tuple(slice(part // 2, None, part) for part in scene.parts)
    right = scene.head.side[middle] > 0
    classes = np.where(scene.arteries >= FULL, CLASSES["vessels"], classes)
    table = np.zeros((2, len(STRUCTURES) + 1), np.uint8)
    for label in LABELS:
        rows = slice(None) if label.structure not in SIDED else int(label.side == "right")
        table[rows, CLASSES[label.structure]] = label.value
    return table[right.astype(np.uint8), classes.astype(np.uint8)]


def _scan_of(parameters: BrainParameters, contrast: str) -> Scan:
    slab = not parameters.same_grid and contrast in ("heavy_t2", "tof")
    return parameters.angio if slab else parameters.scan


def _scene(parameters: BrainParameters, scan: Scan, tree: Tree | None) -> tuple[Scene, Tree]:
    grid, parts = scan_grid(scan, parameters.pose), parts_of(scan)
    head = head_on(parameters, fine_grid(grid, parts))
    if tree is None:
        whole = all(have >= need for have, need in zip(scan.field_mm, WHOLE_MM, strict=True))
        tree = tree_of(parameters, head if whole else None)
    arteries, pulses = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    paint_values(tree.arteries, grid, arteries, _since_entry(tree.arteries, grid), pulses)
    return Scene(grid, parts, head, arteries, pulses, paint(tree.veins, grid, 1)), tree


def _around(parameters: BrainParameters) -> Grid:
    """A coarse upright grid around the head."""
    size = np.array(LARGE_MM) * np.maximum(parameters.pose.scale, 1.0) + 20.0
    count = np.ceil(size / COARSE_MM).astype(int)
    matrix = np.diag([COARSE_MM, COARSE_MM, COARSE_MM, 1.0])
    matrix[:3, 3] = np.array(parameters.pose.shift_mm) - (count - 1) / 2 * COARSE_MM
    return Grid((int(count[2]), int(count[1]), int(count[0])), matrix)


def _since_entry(arteries: Tree, grid: Grid) -> np.ndarray:
    """Pulses since the blood entered the image: those of its freshest blood are not counted."""
    at = grid.ijk_of(arteries.start_mm)
    inside = ((at > -0.5) & (at < np.array(grid.shape[::-1]) - 0.5)).all(axis=1)
    fresh = float(arteries.pulses_at[inside].min()) if inside.any() else 0.0
    return np.maximum(arteries.pulses_at - fresh, 0.0)


def _image(scene: Scene, contrast: str, parameters: BrainParameters) -> Volume:
    """One contrast's image, 16-bit integers."""
    protocol = getattr(parameters.protocols, contrast)
    table = signals(contrast, protocol, tissue_values(parameters.tissue_spread, parameters.tissue_seed))
    tissue = scene.head.tissue
    fine = textured(table[tissue], scene.head.grid, parameters.tissue_seed)
    image = mean_of_parts(fine, scene.parts)
    fluid = float(table[CODE["csf"]])
    image += scene.veins * (table[CODE["vein"]] - image)
    blood = partial(blood_signal, contrast, protocol, fluid=fluid)
    if contrast == "heavy_t2":
        # Against tissue, which is dark itself, a void cannot be told apart: it only takes away the voxel's fluid.
        wet = mean_of_parts(np.isin(tissue, [CODE["csf"], CODE["ventricle"]]).astype(np.float32), scene.parts)
        image -= scene.arteries * wet * (fluid - blood(scene.pulses))
    else:
        image += scene.arteries * (blood(scene.pulses) - image)
    brightest = max(float(table[CODE[name]]) for name in BRAIN)
    array = imaged(image, protocol, brightest)
    return Volume(array, scene.grid.ijk_to_ras, "MR", None, contrast)


def _truth(parameters: BrainParameters, labels: np.ndarray, scene: Scene) -> dict[str, Cell]:
    voxel_ml = float(np.prod(scene.grid.spacing_mm)) / 1000.0
    counts = np.bincount(labels.ravel(), minlength=len(LABELS) + 1)
    truth: dict[str, Cell] = {
        "contrast": parameters.contrasts[0], "pathology": parameters.pathology, "source": parameters.source,
    }  # fmt: skip
    for label in LABELS:
        truth[f"volume_{label.name.replace(' ', '_')}_ml"] = float(counts[label.value]) * voxel_ml
    truth["artery_ml"] = float(scene.arteries.sum(dtype=np.float64)) * voxel_ml
    return truth
