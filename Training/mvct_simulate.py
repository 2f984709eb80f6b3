"""Simulated MVCT (or cone-beam CT) for training: of phantoms, and of a site's own planning CTs; cached on disk."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.volume import Volume

logger = logging.getLogger(__name__)

FILES = {"source": "source.nii", "target": "target.nii"}
AIR_HU = -1000.0
MARGIN_MM = 24.0
"""Air that is kept around the body of a planning CT before it is scanned again (our choice)."""
COARSE = 1.3
"""A planning CT whose pixels are larger than the network's by this factor is interpolated before it is scanned again:
the MVCT's noise and blur are of the scanner's pixels, not of the planning CT's (our choice)."""
BLURRED = 2.0
"""From this factor on, an interpolated planning CT is too soft to show a network what kVCT looks like (our choice)."""
HU_LIMITS = (-1024.0, 32000.0)


@dataclass(frozen=True)
class SimulationSettings:
    """How patients and scans are simulated.

    Attributes:
        kind: ``mvct`` or ``cbct``.
        pixel_mm: pixel size of phantoms, and of planning CTs that are coarser.
        matrix: rows and columns of phantoms.
        slice_mm: slice thickness of phantoms.
        length_mm: of phantoms, along the body.
        fast: image-domain noise and blur instead of projection and reconstruction.
        planning_slices: most slices of a planning CT that are scanned again, from its middle; 0 takes all.
    """

    kind: str = "mvct"
    pixel_mm: float = 1.5
    matrix: int = 256
    slice_mm: float = 4.0
    length_mm: float = 160.0
    fast: bool = False
    planning_slices: int = 0


@dataclass(frozen=True)
class PhantomJob:
    """A phantom to render: its parameters as JSON, and what it is scanned with."""

    parameters: str
    settings: SimulationSettings

    def key(self) -> str:
        """What the images follow from."""
        return f"{self.parameters}{self.settings.kind}"

    def is_coarse(self) -> bool:
        """Phantoms have the network's pixels."""
        return False

    def images(self, domains: Sequence[str]) -> dict[str, Volume]:
        """The volumes of the phantom by domain."""
        from manabi.phantoms.head_neck import HeadNeckPhantom

        phantom = HeadNeckPhantom()
        volumes = phantom.render(phantom.from_json(self.parameters)).volumes
        names = {"source": self.settings.kind, "target": "kvct"}
        return {domain: volumes[names[domain]] for domain in domains}


@dataclass(frozen=True)
class KvctJob:
    """A planning CT to scan again."""

    path: Path
    seed: int
    settings: SimulationSettings

    def digest(self) -> str:
        """SHA-256 of the bytes of the file, or of all files of the DICOM folder."""
        digest = hashlib.sha256()
        files = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
        for file in files:
            if file.is_file():
                digest.update(file.read_bytes())
        return digest.hexdigest()

    def key(self) -> str:
        """What the images follow from: the file's bytes, the seed and the settings."""
        chosen = {key: asdict(self.settings)[key] for key in ("kind", "pixel_mm", "fast", "planning_slices")}
        return f"{self.digest()}{self.seed}{json.dumps(chosen, sort_keys=True)}"

    def is_coarse(self) -> bool:
        """Whether the planning CT's pixels are larger than the network's by :data:`BLURRED`."""
        from manabi.io import read_volume

        return bool(max(read_volume(self.path).reoriented().spacing_mm[:2]) > BLURRED * self.settings.pixel_mm)

    def images(self, domains: Sequence[str]) -> dict[str, Volume]:
        """The planning CT, cut to the body, and what a simulated scanner of its own makes of it."""
        from manabi.io import read_volume
        from manabi.phantoms.ct.convert import simulate
        from manabi.phantoms.ct.scanner import sample_scanner

        kvct = planning_ct(read_volume(self.path), self.settings.pixel_mm, self.settings.planning_slices)
        made = {"target": kvct}
        if "source" in domains:
            scanner = sample_scanner(self.settings.kind, np.random.default_rng([self.seed, len(self.settings.kind)]))
            made["source"] = simulate(kvct, seed=self.seed, scanner=scanner, fast=self.settings.fast)
        return {domain: made[domain] for domain in domains}


def phantom_jobs(seed: int, count: int, settings: SimulationSettings) -> list[tuple[str, PhantomJob]]:
    """Name and job of every patient of a simulated cohort; patient i is drawn with ``case_rng(seed, i)``.

    The planning CTs are without contrast medium: what the MVCT cannot show must not be learned (our choice).
    """
    from manabi.phantoms.base import case_rng
    from manabi.phantoms.head_neck import HeadNeckPhantom

    if count < 1:
        raise InvalidInputError("A cohort needs at least one phantom.")
    phantom = HeadNeckPhantom()
    choices: dict[str, Any] = {
        "image": settings.kind, "pixel_mm": settings.pixel_mm, "matrix": settings.matrix,
        "slice_mm": settings.slice_mm, "length_mm": settings.length_mm, "fast": settings.fast, "contrast": False,
    }  # fmt: skip
    jobs = []
    for index in range(count):
        parameters = phantom.sample_parameters(case_rng(seed, index), **choices)
        jobs.append((f"head_neck-{seed}-{index:05d}", PhantomJob(phantom.to_json(parameters), settings)))
    return jobs


def planning_ct(volume: Volume, pixel_mm: float, most_slices: int = 0) -> Volume:
    """A planning CT ready to be scanned again: axial, cut to the body's box, its pixels not coarser than wanted.

    Slices without a body are cut off at both ends; values are limited to what a CT can hold.

    Args:
        volume: in HU, any grid.
        pixel_mm: see :data:`COARSE`.
        most_slices: from the middle of those with a body; 0 takes all.

    Raises:
        InvalidInputError: when it shows no body.
    """
    straight = volume.reoriented()
    straight = straight.like(np.clip(np.asarray(straight.array, np.float32), *HU_LIMITS))
    cut = to_body(straight, most_slices)
    if cut is None:
        raise InvalidInputError("A planning CT shows no body: no tissue was found in it. Is it in HU?")
    if max(cut.spacing_mm[:2]) <= COARSE * pixel_mm:
        return cut
    fine = cut.grid.with_spacing(np.array([pixel_mm, pixel_mm, cut.spacing_mm[2]]))
    smooth = cut.resampled(fine, "bspline", AIR_HU)
    low_hu, high_hu = float(np.min(cut.array)), float(np.max(cut.array))
    return smooth.like(np.clip(np.asarray(smooth.array), low_hu, high_hu))


def to_body(straight: Volume, most_slices: int = 0) -> Volume | None:
    """A volume of axial slices cut to the body's box with :data:`MARGIN_MM` around; None where there is no body.

    Args:
        straight: in closest-to-RAS order.
        most_slices: from the middle of those with a body; 0 takes all.
    """
    from manabi.mvct.tissue_map import body_mask

    body = body_mask(np.asarray(straight.array), straight.spacing_mm)
    if not body.any():
        return None
    margin = [0, *(int(np.ceil(MARGIN_MM / s)) for s in straight.spacing_mm[[1, 0]])]
    low, high = [], []
    for axis, (extra, size) in enumerate(zip(margin, body.shape, strict=True)):
        held = np.flatnonzero(body.any(tuple(a for a in range(3) if a != axis)))
        low.append(max(int(held[0]) - extra, 0))
        high.append(min(int(held[-1]) + 1 + extra, size))
    if most_slices and high[0] - low[0] > most_slices:
        low[0] += (high[0] - low[0] - most_slices) // 2
        high[0] = low[0] + most_slices
    return straight.crop(tuple(low), tuple(high))  # type: ignore[arg-type]


# --- the cache --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """A job, the folder of its images, and which are wanted; sent to a process."""

    job: PhantomJob | KvctJob
    folder: Path
    domains: tuple[str, ...]


def simulated(
    jobs: Sequence[tuple[PhantomJob | KvctJob, tuple[str, ...]]], cache: Path, processes: int | None = None
) -> list[dict[str, Path]]:
    """Files of every job's wanted images, each simulated once and found again by what it follows from.

    A change of the simulators' code simulates anew; comments and docstrings do not count.

    Args:
        jobs: what to simulate, and the domains wanted of it.
        cache: folder of the images.
        processes: how many simulate at once; by default one per core.
    """
    from Training.slices_data import spread

    code = _code()
    orders = []
    for job, domains in jobs:
        key = hashlib.sha256(f"{job.key()}{sorted(domains)}{code}".encode()).hexdigest()[:24]
        orders.append(Order(job, cache / f"ct-{key}", domains))
    missing = [order for order in orders if not all((order.folder / FILES[d]).is_file() for d in order.domains)]
    if missing:
        logger.info("simulating %d of %d patients", len(missing), len(orders))
    spread(simulate_order, missing, processes)
    return [{domain: order.folder / FILES[domain] for domain in order.domains} for order in orders]


def simulate_order(order: Order) -> None:
    """Simulate one patient and write the images in whole HU; the folder appears whole or not at all."""
    from manabi.io import write_volume
    from manabi.io.atomic import atomic_folder

    images = order.job.images(order.domains)
    with atomic_folder(order.folder, overwrite=True) as aside:
        for domain, volume in images.items():
            whole = np.rint(np.clip(np.asarray(volume.array), *HU_LIMITS)).astype(np.int16)
            write_volume(volume.like(whole), aside / FILES[domain])


def _code() -> str:
    """Digest of the simulators' code."""
    from manabi import phantoms
    from Training.phantom_cache import code_hash

    folder = Path(phantoms.__file__).parent
    return code_hash(folder) + code_hash(folder / "ct")
