"""Real images with labels to learn BrainSeg from: a site's own table, or phantoms.

A table is a CSV with the columns ``case`` (a pseudonym), ``image`` and ``labels`` (files or DICOM folders, relative to
the table; they need not share a grid), optionally ``group`` (the patient; by default the case; several rows of a
patient may be several contrasts), ``split`` and ``label_map``. What labels may be, and that they need not be complete,
says :mod:`Training.brain_labels`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.brain.prepare import normalised
from manabi.brain.structures import CLASSES, LABELS, STRUCTURES
from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.phantoms.base import Case
from manabi.volume import Volume
from Training.brain_data import Size, Subject, Subjects, by_split
from Training.brain_labels import FORMAT, UNKNOWN, Scan, labelled_scan, parse_label_map
from Training.brain_synth import Example, Looks, bias_field, resolved
from Training.cohort import PHANTOMS, CohortCase, check_cohort, read_rows, split_cases
from Training.phantom_cache import load_case, phantom_cases
from Training.slices_data import spread

if TYPE_CHECKING:
    from Training.brain import BrainRecipe

logger = logging.getLogger(__name__)

TURNED, CHANGED = 0.5, 0.7
"""Images that are turned and scaled, and that get a bias field, resolution, noise and contrast curve (our choice)."""
TURN_DEG, ZOOM = 12.0, 0.12
"""Largest turn about each axis, either way, and change of scale (our choice)."""
CONTRASTS = ("t1", "t2", "flair", "heavy_t2", "tof")
"""Images of each phantom."""
SHOWS_VESSELS = ("heavy_t2", "tof")
"""Contrasts whose vessels are learned; in the others nobody says what a vessel's voxels are."""


# --- one image --------------------------------------------------------------------------------------------------------


def save_scan(scan: Scan, path: Path) -> None:
    """Write a prepared image as one file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, overwrite=True) as aside, aside.open("wb") as file:
        np.savez_compressed(file, image=scan.image, classes=scan.classes, sides=scan.sides,
                            labelled=np.array(scan.labelled, np.uint8), digest=scan.digest())  # fmt: skip


def load_scan(path: Path) -> Scan:
    """An image from :func:`save_scan`; raises InvalidInputError for a damaged file."""
    try:
        with np.load(path) as file:
            return Scan(file["image"], file["classes"], file["sides"], tuple(int(c) for c in file["labelled"]))
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(f"The prepared image {path.name} is damaged. Delete it and run again.") from error


@dataclass(frozen=True)
class ScanSubject:
    """One image to learn from, see :class:`Training.brain_data.Subject`.

    Attributes:
        file: of :func:`save_scan`.
        least: smallest side of a whole image in mm; smaller ones are padded.
    """

    name: str
    patient: str
    file: Path
    least: int
    simulated: bool = False

    def example(self, rng: np.random.Generator, looks: Looks, step: int, size_mm: Size | None = None) -> Example:
        """The image with random changes, so that training keeps to generalise; everything follows from ``rng``.

        Half of the copies are mirrored, with the sides exchanged; some are turned and scaled; most get a bias field, a
        lower resolution, noise and another contrast curve from the ranges of ``looks``. Outside the image is
        background.
        """
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        scan = load_scan(self.file)
        image = torch.from_numpy(scan.image).float()
        labels = torch.from_numpy(np.stack([scan.classes, scan.sides + 1]).astype(np.float32))
        if looks.mirror and rng.random() < 0.5:
            image, labels = image.flip(2), labels.flip(3)
            labels[1] = torch.where(labels[1] > 0, 3 - labels[1], labels[1])
        place = _part(scan.image.shape, size_mm, self.least, rng, step)
        if rng.random() < TURNED:
            image, labels = _turned(image, labels, place, rng)
        else:
            image, labels = _padded(image, place), _padded(labels, place)
        if step > 1:
            image = F.avg_pool3d(image[None], step)[0]
        if rng.random() < CHANGED:
            image = image * bias_field(image.shape, rng, looks)
            image = resolved(image, rng, generator, looks, step)
            image = image.clamp(min=0.0) ** float(np.exp(rng.normal(0.0, 0.25)))
        return Example(normalised(image), labels[0].to(torch.uint8), labels[1, ::step, ::step, ::step] - 1)

    def digest(self) -> str:
        """Of image and labels."""
        with np.load(self.file) as file:
            return str(file["digest"])


def _part(
    shape: tuple[int, ...], size_mm: Size | None, least: int, rng: np.random.Generator, step: int
) -> list[tuple[int, int]]:
    """First index, negative where there is padding, and length along each axis; lengths are multiples of the step."""
    place = []
    wanted = size_mm or tuple(-(-max(n, least) // step) * step for n in shape)
    for n, size in zip(shape, wanted, strict=True):
        length = size // step * step
        low = int(rng.integers(n - length + 1)) if length <= n else -((length - n) // 2)
        place.append((low, length))
    return place


def _padded(values: Tensor, place: Sequence[tuple[int, int]]) -> Tensor:
    """A box of the last three axes, with zeros where it leaves them."""
    pads: list[int] = []
    for (low, length), n in zip(reversed(place), reversed(values.shape[-3:]), strict=True):
        pads += [-low, low + length - n]
    return F.pad(values, pads)


def _turned(
    image: Tensor, labels: Tensor, place: Sequence[tuple[int, int]], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A turned and scaled box; the image linearly, labels by the nearest voxel."""
    from scipy.spatial.transform import Rotation

    angles, size = rng.uniform(-TURN_DEG, TURN_DEG, 3), 1.0 + rng.uniform(-ZOOM, ZOOM)
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() / size
    low, length = np.array(place, float).T[:, ::-1]
    whole = np.array(image.shape, float)[::-1]
    # torch counts from -1 to 1 over each image, columns first; the box turns about its own middle
    shift = (2 * low + length - whole) / whole
    theta = np.column_stack([matrix * length / whole[:, None], shift])
    form = [1, 1, *(n for _, n in place)]
    where = F.affine_grid(torch.from_numpy(theta[None]).float(), form, align_corners=False)
    image = F.grid_sample(image[None, None], where, mode="bilinear", align_corners=False)[0, 0]
    return image, F.grid_sample(labels[None], where, mode="nearest", align_corners=False)[0]


# --- many images ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScanCase(CohortCase):
    """A row of the table, or a contrast of a phantom.

    Attributes:
        label_map: what its values are; empty where they explain themselves.
        contrast: of a phantom.
        prepared: file of the prepared image.
    """

    label_map: str = ""
    contrast: str = ""
    prepared: Path = field(default_factory=Path)

    def load(self) -> Case:
        """The prepared image."""
        return Case({"image": Volume(load_scan(self.prepared).image, np.eye(4), modality="MR")})


def open_scans(data: str, recipe: BrainRecipe, cache: Path) -> Subjects:
    """The images of a CSV or of ``phantoms:SEED:COUNT``, prepared once and split by patient.

    Args:
        data: path of the table, or the phantoms.
        recipe: says how patients are split, and what the networks begin from.
        cache: folder of the prepared images; they are found again by their files and settings.

    Raises:
        InvalidInputError: naming the case that cannot be used; for a patient or an image in two splits; for a
            structure that nobody labelled where training begins from nothing.
        GeometryError: as :func:`manabi.io.read_volume`, naming the case.
    """
    match = PHANTOMS.fullmatch(data)
    if match is None and data.startswith("phantoms:"):
        raise InvalidInputError(f"Expected phantoms:SEED:COUNT, for example phantoms:1:20; got {data!r}.")
    cases = _phantoms(int(match[1]), int(match[2]), cache) if match else read_scans(Path(data), cache)
    if not any(case.split for case in cases):
        chosen = {c.name: c.split for c in split_cases(cases, recipe.parts, recipe.split_seed)}
        cases = [replace(case, split=chosen[case.name]) for case in cases]
    missing = [case for case in cases if not case.prepared.is_file()]
    if missing:
        logger.info("preparing %d of %d images", len(missing), len(cases))
        spread(prepare_scan, missing)
    for warning in check_cohort(cases).warnings:
        logger.warning(warning)
    _check_taught([load_scan(case.prepared) for case in cases if case.split == "training"], recipe.start)
    subjects: list[Subject] = [
        ScanSubject(case.name, case.group, case.prepared, recipe.patch, match is not None) for case in cases
    ]
    patients = len({case.group for case in cases})
    source = f"{len(cases)} {'simulated ' if match else ''}images of {patients} {'heads' if match else 'patients'}"
    return by_split(subjects, [case.split for case in cases], source)


def read_scans(path: Path, cache: Path) -> list[ScanCase]:
    """The rows of a table, with where their prepared images are or will be."""
    cases = []
    for row in read_rows(path, ("image", "labels")):
        known, label_map = row.case, row.cells.get("label_map", "")
        case = ScanCase(known.name, known.group, known.split, known.files, label_map=label_map)
        if case.label_map:
            parse_label_map(case.name, case.label_map)
        cases.append(replace(case, prepared=cache / "scans" / f"{_key(case)}.npz"))
    return cases


def _key(case: ScanCase) -> str:
    """What a prepared image is made from: no path of the site's is written into it."""
    parts: list[object] = [case.name, case.label_map, FORMAT]
    for place in case.files.values():
        files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
        parts.append([(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _phantoms(seed: int, count: int, cache: Path) -> list[ScanCase]:
    """Every contrast of every phantom, the phantoms rendered where they are not there."""
    hidden = ",".join(f"{v.value}:{f'{v.structure}_{v.side}'.rstrip('_')}" for v in LABELS if v.structure != "vessels")
    vessels = next(label.value for label in LABELS if label.structure == "vessels")
    folders = phantom_cases("brain", seed, count, cache, choices={"contrasts": CONTRASTS})
    return [
        ScanCase(f"brain-{seed}-{n:05d}-{contrast}", f"brain-{seed}-{n:05d}", folder=folder, contrast=contrast,
                 label_map="" if contrast in SHOWS_VESSELS else f"{hidden},{vessels}:unknown",
                 prepared=cache / "scans" / f"{folder.name}-{contrast}-{FORMAT}.npz")
        for n, folder in enumerate(folders) for contrast in CONTRASTS
    ]  # fmt: skip


def prepare_scan(case: ScanCase) -> None:
    """Read an image and its labels, prepare them, and write them."""
    if case.folder is not None:
        phantom = load_case(case.folder)
        labels = phantom.labelmaps["structures"].volume
        scan = labelled_scan(case.name, phantom.volumes[case.contrast], labels, case.label_map, complete=True)
    else:
        volumes = CohortCase.load(case).volumes
        scan = labelled_scan(case.name, volumes["image"], volumes["labels"], case.label_map)
    save_scan(scan, case.prepared)


def _check_taught(scans: Sequence[Scan], start: str) -> None:
    """Say how many slices are unlabelled; raise where a structure is in no label and no bundle knows it."""
    held = {c for scan in scans for c in scan.labelled}
    never = [name for name in STRUCTURES if CLASSES[name] not in held]
    sparse = sum(bool((scan.classes == UNKNOWN).mean() > 0.01) for scan in scans)
    if sparse:
        logger.warning("In %d of %d training images only some slices are labelled; the others teach nothing. "
                       "BrainSeg's own propagation can label them first.", sparse, len(scans))  # fmt: skip
    if never and not start:
        raise InvalidInputError(
            f"No training case labels {', '.join(never)}: a network that begins from nothing would not learn it. Begin "
            "from a bundle that knows it (start=brain-default, or --config brain_site), or label it in some cases."
        )
    if never:
        logger.warning("No training case labels %s: only %s says what it is.", ", ".join(never), start)
