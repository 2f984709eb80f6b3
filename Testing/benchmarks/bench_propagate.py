"""Propagation of painted slices: accuracy and time on a real T1 image, against the interpolation of shapes.

The image is FreeSurfer's ``norm.mgz`` and the truth its parcellation (1 mm). Every tenth axial slice of a structure is
"painted" from the truth, as it is or with the faults of quick painting (every slice a little too large or small,
shifted and with a wavy edge). Dice is of the slices that were not painted, between and beyond the painted ones.
``contours`` (ITK's morphological contour interpolation, Slicer's "fill between slices") runs where its package is
installed. Seconds are those of the processor in one thread. By default the ventricles alone and the contestants that
a user meets, which takes minutes on two busy cores; ``--all`` takes half an hour.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

STRUCTURES = {
    "ventricles": (4, 5, 31, 43, 44, 63, 14, 15),
    "cerebellum": (6, 7, 8, 45, 46, 47),
    "left_cerebrum": (2, 3, 10, 11, 12, 13, 17, 18, 19, 20, 26, 27, 28, 78, 81, 136, *range(11000, 12000)),
    "thalami": (10, 49),
}
EVERY = {"thalami": 5}
"""Distance of painted slices in mm, where it is not 10."""
SIZE = (120, 160, 160)
"""Slices, rows and columns of the part of the image that is given: a patient's usual volume."""
BASELINE = "shape"
USUAL = "ventricles"
"""What is measured by default."""
CONTESTANTS: dict[str, dict[str, Any]] = {
    "propagate": {},
    "no_prior": {"prior": False},
    "3d": {"learner": "3d", "batch": 2},
}


def data() -> tuple[Any, Any]:
    """Image and parcellation, axes towards right, anterior, superior."""
    from manabi.io.files import read_volume

    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("MANABI_TEST_DATA", root.parent / "shared" / "data")) / "brain_mr"
    image, parcels = (read_volume(folder / f).reoriented() for f in ("norm.mgz", "aparc.a2009s+aseg.mgz"))
    return image, parcels


def around(mask: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A box of :data:`SIZE` around a mask, larger where the mask is: where it begins, and ends, on every axis."""
    found = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    low, high = [], []
    for places, size, whole in zip(found, SIZE, mask.shape, strict=True):
        first, beyond = int(places[0]), int(places[-1]) + 1
        size = min(max(size, beyond - first), whole)
        low.append(int(np.clip((first + beyond - size) // 2, 0, whole - size)))
        high.append(low[-1] + size)
    return tuple(low), tuple(high)


def quickly_painted(mask: np.ndarray, seed: int = 1) -> np.ndarray:
    """Every slice grown or shrunk (SD 0.8 mm), shifted (SD 0.6 mm) and with a wavy edge, each on its own."""
    from scipy.ndimage import gaussian_filter, shift

    from manabi.brain.between import signed_distance

    rng = np.random.default_rng(seed)
    out = np.zeros_like(mask)
    for index in np.flatnonzero(mask.any((1, 2))):
        field = signed_distance(mask[index], (1.0, 1.0)) + rng.normal(0, 0.8)
        field = field + 12 * gaussian_filter(rng.normal(size=field.shape), 4)
        out[index] = shift(field, rng.normal(0, 0.6, 2), order=1, mode="nearest") > 0
    return out


def paint(mask: np.ndarray, every: int) -> tuple[np.ndarray, list[int]]:
    """The painted slices of a mask, beginning half a gap from its lower end."""
    found = np.flatnonzero(mask.any((1, 2)))
    slices = list(range(int(found[0]) + every // 2, int(found[-1]) + 1, every))
    painted = np.zeros(mask.shape, np.uint8)
    painted[slices] = mask[slices]
    return painted, slices


def found_by(name: str, image: Any, painted: np.ndarray, slices: list[int], every: int) -> tuple[np.ndarray, dict]:
    """What a contestant makes of the painted slices, and what it says of itself."""
    from manabi.brain.between import interpolate_shape
    from manabi.brain.propagate import PropagateSettings, propagate
    from manabi.context import Context

    if name == BASELINE:
        return interpolate_shape(painted, slices, (1.0, 1.0, 1.0), 0, float(every)), {}
    if name == "contours":
        import itk

        filled = itk.morphological_contour_interpolator(itk.image_from_array(painted), axis=2)
        return itk.array_from_image(filled), {}
    settings = PropagateSettings(**CONTESTANTS[name])
    result = propagate(image, image.like(painted), settings, Context(device="cpu"))
    scores = [s.dice for s in result.scores]
    unsure = result.uncertainty.array
    return result.labels.array, {"left_out": round(float(np.median(scores)), 3), "unsure": unsure}


def measure(name: str, image: Any, truth: np.ndarray, painted: np.ndarray, slices: list[int], every: int) -> dict:
    """Dice on slices without paint, CPU seconds, and how much of the error lies in the most uncertain 5 % there."""
    begun = time.process_time()
    found, more = found_by(name, image, painted, slices, every)
    seconds = time.process_time() - begun
    rest = np.setdiff1d(np.arange(len(truth)), slices)
    a, b = found[rest] > 0, truth[rest]
    record = {"dice": round(2 * int((a & b).sum()) / int(a.sum() + b.sum()), 4), "cpu_s": round(seconds, 1)}
    unsure = more.pop("unsure", None)
    if unsure is not None:
        wrong, u = (a != b), unsure[rest]
        record["errors_flagged"] = round(float((u[wrong] > 0.2).mean()), 3)
        record["voxels_flagged"] = round(float((u > 0.2).sum() / max(int(b.sum()), 1)), 3)
    return {**record, **more}


def run(structures: list[str], names: list[str], noise: tuple[bool, ...] = (False, True)) -> dict:
    """Measure the contestants on the structures, painted with care and quickly."""
    import torch
    from common import machine

    torch.set_num_threads(1)
    image, parcels = data()
    cases = {}
    for structure in structures:
        truth = np.isin(parcels.array, STRUCTURES[structure])
        low, high = around(truth)
        part, truth = image.crop(low, high), truth[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        every = EVERY.get(structure, 10)
        for quickly in noise:
            painted, slices = paint(quickly_painted(truth) if quickly else truth, every)
            size = "×".join(str(n) for n in part.shape[::-1])
            title = f"{structure}, {size}, {len(slices)} slices {'quickly painted' if quickly else 'painted with care'}"
            cases[title] = {n: measure(n, part, truth, painted, slices, every) for n in names}
    return {"machine": machine(), "cases": cases}


def main() -> None:
    """Run and print; ``--all`` with every structure and contestant, ``--quick`` on the smallest structure alone."""
    from common import print_cases

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--structure", choices=STRUCTURES)
    parser.add_argument("--only", choices=[BASELINE, "contours", *CONTESTANTS])
    arguments = parser.parse_args()
    names = [BASELINE, *CONTESTANTS] if arguments.all else [BASELINE, "propagate"]
    if importlib.util.find_spec("itk") is not None:
        names.insert(1, "contours")
    names = [arguments.only] if arguments.only else names
    usual = list(STRUCTURES) if arguments.all else ["thalami" if arguments.quick else USUAL]
    structures = [arguments.structure] if arguments.structure else usual
    found = run(structures, names, (False,) if arguments.quick else (False, True))
    print_cases(found, BASELINE, ("dice", "cpu_s", "left_out", "errors_flagged", "voxels_flagged"))


if __name__ == "__main__":
    main()
