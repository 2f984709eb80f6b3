"""Heads to learn BrainSeg from: label maps, bent and turned, as compact tissue maps of 1 mm in one orientation.

Each label map (FreeSurfer's codes, with or without the tissues around the brain) is turned to RAS, cut to its head and
deformed several times; the results are kept as files, since bending costs more than making an image of them.
The deformations are those of Billot B et al. SynthSeg. Med Image Anal 2023;86:102789 (10.1016/j.media.2023.102789).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from manabi.brain.structures import structure_of
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.io.files import read_volume
from manabi.parameters import Parameters
from manabi.volume import Volume

FORMAT = 4
TOP = 255


def three_sides(name: str, text: str) -> tuple[int, int, int]:
    """Slices, rows and columns from ``192x208x160``; raises InvalidInputError for anything else."""
    try:
        k, j, i = (int(n) for n in text.split("x"))
    except ValueError as error:
        raise InvalidInputError(f"{name} must be three numbers like 192x208x160; got {text!r}.") from error
    return k, j, i


@dataclass(frozen=True)
class Bending(Parameters):
    """How heads are deformed."""

    rotate_deg: float = field(default=18.0, metadata={"low": 0.0, "high": 180.0, "help": "either way, about each axis"})
    zoom: float = field(default=0.18, metadata={"low": 0.0, "high": 0.5, "help": "scale of each axis 1 ± this"})
    shear: float = field(default=0.02, metadata={"low": 0.0, "high": 0.3, "help": "either way"})
    bend_mm: float = field(default=4.0, metadata={"low": 0.0, "help": "most standard deviation of the bending"})
    bend_step_mm: float = field(default=28.0, metadata={"low": 4.0, "help": "distance of its control points"})
    size_mm: str = field(default="192x208x160", metadata={"help": "slices x rows x columns kept, at 1 mm"})

    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        return three_sides("size_mm", self.size_mm)


@dataclass(frozen=True)
class Head:
    """A deformed head.

    Attributes:
        tissues: (slices, rows, columns) uint8, index into ``codes``; RAS, 1 mm.
        vessels: the same shape, uint8: share of the voxel that is artery, of 255; None where none were grown.
        codes: FreeSurfer code of each index.
    """

    tissues: np.ndarray
    vessels: np.ndarray | None
    codes: tuple[int, ...]


def find_maps(folder: Path) -> list[Path]:
    """Label maps in a folder, in the order of their names; raises InvalidInputError where there are none."""
    endings = (".nii", ".nii.gz", ".mgz", ".mgh", ".nrrd")
    paths = sorted(path for path in folder.iterdir() if path.name.lower().endswith(endings)) if folder.is_dir() else []
    if not paths:
        raise InvalidInputError(
            f"labels:FOLDER needs a folder with label maps in FreeSurfer's codes (NIfTI, MGZ, NRRD); none in {folder}."
        )
    return paths


def read_map(path: Path) -> Volume:
    """A label map, in RAS order; raises InvalidInputError where it holds no cerebrum."""
    volume = read_volume(path)
    volume = volume.like(np.rint(np.asarray(volume.array)).astype(np.int32))
    codes = np.unique(volume.array)
    if not any(structure_of(int(code))[0] == "cerebrum" for code in codes):
        raise InvalidInputError(
            f"{path.name}: expected FreeSurfer's codes (2 and 41 white matter, ...); found {codes}."
        )
    return volume.reoriented()


@dataclass(frozen=True)
class CompactMap:
    """A label map with its codes numbered.

    Attributes:
        index: (slices, rows, columns) uint8, RAS order.
        codes: FreeSurfer code of each index.
        spacing_mm: along I, J, K.
        centre: KJI index of the middle of the brain's box.
    """

    index: np.ndarray
    codes: tuple[int, ...]
    spacing_mm: np.ndarray
    centre: np.ndarray


def compact(labels: Volume) -> CompactMap:
    """A label map with its codes numbered; raises InvalidInputError for more than 255 codes."""
    values = np.asarray(labels.array)
    codes = np.flatnonzero(np.bincount(values.ravel()))
    if len(codes) > TOP:
        raise InvalidInputError(f"A label map may hold {TOP} codes; this one has {len(codes)}. Merge cortical parcels.")
    lookup = np.zeros(codes[-1] + 1, np.uint8)
    lookup[codes] = np.arange(len(codes))
    index = lookup[values]
    brain = np.array([bool(structure_of(int(code))[0]) for code in codes])[index]
    box = [np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    centre = np.array([(b[0] + b[-1]) / 2 for b in box])
    return CompactMap(index, tuple(int(code) for code in codes), labels.spacing_mm, centre)


def bend(source: CompactMap, rng: np.random.Generator, bending: Bending, vessels: np.ndarray | None = None) -> Head:
    """A turned, scaled and bent copy, sampled at 1 mm around the brain (nearest voxel; vessels linearly).

    Args:
        source: the label map.
        rng: draws the deformation.
        bending: how far.
        vessels: on the grid of the map, the share of each voxel from 0 to 1.
    """
    where = _places(source, rng, bending)
    flat = _nearest(where, source.index.shape)
    outside = source.codes.index(0) if 0 in source.codes else 0
    tissues = np.where(flat < 0, np.uint8(outside), source.index.reshape(-1)[flat])
    return Head(tissues, None if vessels is None else _linear(vessels, where), source.codes)


def _nearest(where: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Flat index of the nearest voxel, -1 outside."""
    flat = np.zeros(where.shape[1:], np.int32)
    inside = np.ones(where.shape[1:], bool)
    for axis, size in enumerate(shape):
        nearest = np.rint(where[axis]).astype(np.int32)
        inside &= (nearest >= 0) & (nearest < size)
        flat = flat * np.int32(size) + nearest
    return np.where(inside, flat, -1)


def _linear(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 at index coordinates, uint8 of :data:`TOP`; 0 outside."""
    import torch
    import torch.nn.functional as F

    scaled = [torch.from_numpy((2 * where[axis] + 1) / values.shape[axis] - 1) for axis in (2, 1, 0)]
    places = torch.stack(scaled, dim=-1)
    image = torch.from_numpy(np.array(values, np.float32))[None, None]
    found = F.grid_sample(image, places[None], mode="bilinear", padding_mode="zeros", align_corners=False)
    return (found[0, 0] * TOP + 0.5).to(torch.uint8).numpy()


def _places(source: CompactMap, rng: np.random.Generator, bending: Bending) -> np.ndarray:
    """Index coordinates in the map of every voxel of the bent copy, float32 (3, k, j, i)."""
    shape = bending.shape()
    matrix = _matrix(rng, bending) / source.spacing_mm[::-1][:, None]
    shift = rng.uniform(-1.0, 1.0, 3) * np.array([12.0, 12.0, 8.0])
    axes = [np.arange(n, dtype=np.float32) - (n - 1) / 2 + s for n, s in zip(shape, shift, strict=True)]
    field_ = _bends(rng, bending, shape)
    out = np.empty((3, *shape), np.float32)
    for row in range(3):
        line = [np.float32(matrix[row, a]) * axes[a] for a in range(3)]
        out[row] = (
            line[0][:, None, None] + line[1][None, :, None] + line[2][None, None, :] + np.float32(source.centre[row])
        )
        out[row] += field_[row] / np.float32(source.spacing_mm[2 - row])
    return out


def _matrix(rng: np.random.Generator, bending: Bending) -> np.ndarray:
    """A random affine matrix on KJI offsets in mm."""
    from scipy.spatial.transform import Rotation

    angles = rng.uniform(-bending.rotate_deg, bending.rotate_deg, 3)
    turn = Rotation.from_euler("zyx", angles, degrees=True).as_matrix()
    size = np.diag(1.0 / (1.0 + rng.uniform(-bending.zoom, bending.zoom) * 0.6
                          + rng.uniform(-bending.zoom, bending.zoom, 3) * 0.4))  # fmt: skip
    shear = np.eye(3) + rng.uniform(-bending.shear, bending.shear, (3, 3)) * (1 - np.eye(3))
    return turn @ shear @ size


def _bends(rng: np.random.Generator, bending: Bending, shape: tuple[int, int, int]) -> np.ndarray:
    """A smooth displacement field in mm, float32 (3, k, j, i)."""
    import torch
    import torch.nn.functional as F

    nodes = tuple(max(int(round(n / bending.bend_step_mm)), 2) for n in shape)
    values = rng.standard_normal((1, 3, *nodes)) * rng.uniform(0.0, bending.bend_mm)
    fine = tuple(4 * n for n in nodes)
    smooth = F.interpolate(torch.from_numpy(values).float(), fine, mode="trilinear", align_corners=True)
    smooth = F.avg_pool3d(F.pad(smooth, (2,) * 6, mode="replicate"), 5, 1)
    return F.interpolate(smooth, shape, mode="trilinear", align_corners=True)[0].numpy()


def prepare_heads(
    maps: Sequence[Path], cache: Path, seed: int, copies: int, bending: Bending, trees: int = 3
) -> list[Path]:
    """Deform every map ``copies`` times and keep the heads that are not in the cache yet.

    Args:
        maps: label maps.
        cache: folder for the heads.
        seed: of the deformations and of the arteries.
        copies: per map.
        bending: how far.
        trees: different trees of arteries per map; 0 for none.

    Returns:
        A file per head, maps first in order, for :func:`load_head`.
    """
    from Training.slices_data import spread

    jobs: list[HeadJob] = []
    paths: list[Path] = []
    for path in maps:
        folder = cache / f"head-{_key(path, bending, trees, seed)}"
        paths.extend(folder / f"{copy:03d}.npz" for copy in range(copies))
        for tree in range(max(trees, 1)):
            wanted = tuple(copy for copy in range(tree, copies, max(trees, 1)) if not _there(folder, copy))
            if wanted:
                jobs.append(HeadJob(path, folder, seed, wanted, bending, tree if trees else None))
    spread(prepare_head, jobs)
    return paths


def _there(folder: Path, copy: int) -> bool:
    return (folder / f"{copy:03d}.npz").exists()


@dataclass(frozen=True)
class HeadJob:
    """Copies of a map with the same arteries; sent to a process."""

    source: Path
    folder: Path
    seed: int
    copies: tuple[int, ...]
    bending: Bending
    tree: int | None


def prepare_head(job: HeadJob) -> None:
    """Read a map, grow its arteries, bend copies of both, and write them."""
    labels = read_map(job.source)
    number = int(hashlib.sha256(job.source.name.encode()).hexdigest()[:8], 16)
    vessels = None if job.tree is None else grown(labels, np.random.default_rng([job.seed, number, 1000 + job.tree]))
    source = compact(labels)
    for copy in job.copies:
        head = bend(source, np.random.default_rng([job.seed, number, copy]), job.bending, vessels)
        save_head(head, job.folder / f"{copy:03d}.npz")


def grown(labels: Volume, rng: np.random.Generator) -> np.ndarray:
    """Arteries for the map's own brain: the share of each voxel from 0 to 1, float32."""
    from manabi.brain.structures import classes_of_freesurfer
    from manabi.phantoms import brain_vessels

    landmarks = brain_vessels.landmarks_of(classes_of_freesurfer(labels.array), labels.grid)
    tree = brain_vessels.grow(rng, landmarks)
    return np.clip(brain_vessels.paint(tree.arteries, labels.grid), 0.0, 1.0)


def _key(path: Path, bending: Bending, trees: int, seed: int) -> str:
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    text = json.dumps([content, bending.to_dict(), trees, seed, FORMAT])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save_head(head: Head, path: Path) -> None:
    """Write a head as one file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"tissues": head.tissues, "codes": np.array(head.codes, np.int32)}
    if head.vessels is not None:
        arrays["vessels"] = head.vessels
    with atomic_file(path, overwrite=True) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_head(path: Path) -> Head:
    """A head from :func:`save_head`."""
    with np.load(path) as file:
        return Head(file["tissues"], file.get("vessels"), tuple(int(c) for c in file["codes"]))
