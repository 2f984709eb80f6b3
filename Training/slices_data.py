"""Chest CTs as SliceMarker learns from them: body-centred planes every 2 mm, 8 bit, with the markers' true positions.

A case is rendered or read once, reduced to planes and kept as one small file; whole volumes are not kept. Eight bits
over -1024 to 500 HU are steps of 6 HU, finer than the noise.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from manabi.errors import InvalidInputError
from manabi.io.atomic import atomic_file
from manabi.slices.prepare import InputSettings, Preparer
from manabi.slices.reading import MARKERS
from manabi.slices.stack import AxialStack
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.phantoms.base import Case

STEP_MM = 2.0
"""Distance of the planes; the network's offsets are multiples of it."""
LOW_HU, HIGH_HU = -1024.0, 500.0
FORMAT = 1
JOBS_PER_PROCESS = 4
"""A process takes seconds to start: it should have this much to do (our choice)."""

Job = TypeVar("Job")


@dataclass(frozen=True)
class SliceCase:
    """A chest, ready to learn from.

    Attributes:
        name: of the case, free of patient identifiers.
        planes: ``(m, size, size)`` uint8, from the feet to the head; slab averages every 2 mm.
        z_mm: ``(m,)`` their positions.
        truth: position of each marker in mm; of a phantom also outside the image; ``inf`` above and ``-inf`` below it
            where only that is known; NaN where nothing is known.
        slice_mm: distance of the image's own slices.
        pathology: in a word, or empty.
    """

    name: str
    planes: np.ndarray
    z_mm: np.ndarray
    truth: tuple[float, float, float]
    slice_mm: float
    pathology: str = ""

    def absent_beyond(self, low_mm: float, high_mm: float) -> tuple[float, float, float]:
        """The truth of the part of the image between two positions: infinite where a marker lies outside."""
        out = [np.inf if t > high_mm else -np.inf if t < low_mm else t for t in self.truth]
        return out[0], out[1], out[2]


def to_bytes(hu: np.ndarray) -> np.ndarray:
    """HU to 8 bit."""
    return np.clip(np.rint((hu - LOW_HU) / (HIGH_HU - LOW_HU) * 255.0), 0, 255).astype(np.uint8)


def to_hu(values: Any) -> Any:
    """8 bit to HU; NumPy arrays and torch tensors."""
    return values * ((HIGH_HU - LOW_HU) / 255.0) + LOW_HU


def reduce_case(
    volume: Volume, truth: tuple[float, float, float], settings: InputSettings, name: str, pathology: str = ""
) -> SliceCase:
    """The planes of one CT.

    Args:
        volume: in HU.
        truth: as in :class:`SliceCase`.
        settings: of the network's input.
        name: of the case.
        pathology: in a word.
    """
    stack = AxialStack.of(volume)
    z = np.arange(stack.z_mm[0], stack.z_mm[-1] + 1e-6, STEP_MM)
    planes = Preparer(stack, settings).planes(z)
    return SliceCase(name, to_bytes(planes), z, truth, stack.spacing_mm, pathology)


def save(case: SliceCase, path: Path) -> None:
    """Write a case; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, overwrite=True) as aside, aside.open("wb") as file:
        np.savez(file, planes=case.planes, z_mm=case.z_mm, truth=np.array(case.truth), slice_mm=case.slice_mm,
                 name=case.name, pathology=case.pathology)  # fmt: skip


def load(path: Path) -> SliceCase:
    """Read a case that :func:`save` wrote; raises InvalidInputError for a damaged file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            a, b, c = (float(v) for v in file["truth"])
            return SliceCase(str(file["name"]), file["planes"], file["z_mm"], (a, b, c), float(file["slice_mm"]),
                             str(file["pathology"]))  # fmt: skip
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(f"The prepared case {path.name} is damaged. Delete it and run again.") from error


# --- phantoms --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PhantomJob:
    """One phantom to prepare; sent to a process."""

    seed: int
    index: int
    choices: tuple[tuple[str, Any], ...]
    settings: InputSettings
    path: Path


SLICE_MM = (1.25, 2.0, 2.5, 3.0, 4.0, 5.0)
SHARES = (0.06, 0.08, 0.16, 0.2, 0.34, 0.16)
"""Slice distances that phantoms are drawn with; the source's 4 mm is the most frequent (our choice)."""


def prepare_phantoms(
    seed: int, count: int, cache: Path, settings: InputSettings, *, choices: dict[str, Any] | None = None,
    processes: int | None = None,
) -> list[Path]:  # fmt: skip
    """Render and reduce the cases of a simulated cohort that are not in the cache yet.

    Args:
        seed: of the cohort; case i is drawn from ``case_rng(seed, i)``.
        count: number of cases.
        cache: folder of the prepared cases.
        settings: of the network's input.
        choices: phantom parameters to fix; without ``slice_mm`` it is drawn from :data:`SLICE_MM`.
        processes: how many render at once; by default one per core.

    Returns:
        A file per case, in the cohort's order.
    """
    fixed = tuple(sorted((choices or {}).items()))
    key = _key(settings, fixed)
    paths = [cache / f"thorax-{key}" / f"{seed}-{index:05d}.npz" for index in range(count)]
    jobs = [PhantomJob(seed, index, fixed, settings, path) for index, path in enumerate(paths) if not path.exists()]
    spread(prepare_phantom, jobs, processes)
    return paths


def spread(function: Callable[[Job], None], jobs: Sequence[Job], processes: int | None = None) -> None:
    """Call a function for every job, in several processes where that pays.

    Args:
        function: of a module, so that a process finds it.
        jobs: its arguments.
        processes: how many at most; by default one per core.
    """
    workers = min(processes or os.cpu_count() or 1, len(jobs) // JOBS_PER_PROCESS)
    if workers <= 1:
        for job in jobs:
            function(job)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        for _ in pool.map(function, jobs, chunksize=2):
            pass


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _key(settings: InputSettings, fixed: tuple[tuple[str, Any], ...]) -> str:
    from manabi.phantoms import thorax
    from Training.phantom_cache import code_hash

    code = code_hash(Path(thorax.__file__).parent)
    seen = [settings.size, settings.pixel_mm, settings.slab_mm]  # what the planes follow from
    text = json.dumps([seen, fixed, STEP_MM, FORMAT, code], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prepare_phantom(job: PhantomJob) -> None:
    """Render one phantom, reduce it, and write it."""
    case = draw_phantom(job.seed, job.index, dict(job.choices))
    levels = [float(case.truth[f"{marker}_mm"]) for marker in MARKERS]  # type: ignore[arg-type]
    name = f"thorax-{job.seed}-{job.index:05d}"
    ready = reduce_case(case.volumes["ct"], (levels[0], levels[1], levels[2]), job.settings, name,
                        str(case.truth["pathology"]))  # fmt: skip
    save(ready, job.path)


def draw_phantom(seed: int, index: int, choices: dict[str, Any] | None = None) -> Case:
    """Render case ``index`` of a cohort; see :func:`prepare_phantoms` for the choices."""
    from manabi.phantoms.base import case_rng
    from manabi.phantoms.thorax import ThoraxPhantom

    phantom, rng, fixed = ThoraxPhantom(), case_rng(seed, index), dict(choices or {})
    if "slice_mm" not in fixed:
        fixed["slice_mm"] = float(np.random.default_rng([seed, index, 1]).choice(SLICE_MM, p=SHARES))
    fixed.setdefault("subslices", 2 if fixed["slice_mm"] >= 2.5 else 1)
    return phantom.render(phantom.sample_parameters(rng, **fixed))


def data_hash(cases: Sequence[SliceCase]) -> str:
    """SHA-256 over names, planes and truth."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(f"{case.name}{case.truth}".encode())
        digest.update(case.planes.tobytes())
    return digest.hexdigest()
