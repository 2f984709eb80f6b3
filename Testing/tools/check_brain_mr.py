#!/usr/bin/env python3
"""BrainSeg on real head MR: ``python Testing/tools/check_brain_mr.py [--bundle NAME] [--pictures FOLDER]``.

Prints the Markdown tables of ``docs/results/brain_real.md``: Dice against a parcellation where there is one, agreement
of contrasts of the same head, volumes, seconds and memory. The images are looked for below ``MANABI_TEST_DATA``. None
of them was trained on; each is one head, so that no interval can be given.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BASE = Path(os.environ.get("MANABI_TEST_DATA", ROOT.parent / "shared" / "data")) / "brain_mr"
TRUTHS = {
    "FreeSurfer norm (T1, 1 mm, skull-stripped)": ("norm.mgz", "aparc.a2009s+aseg.mgz", "freesurfer"),
    "SPM avg152 T1 (2 mm)": ("spm/avg152T1.nii", "spm/labels_Neuromorphometrics.nii", "neuromorphometrics"),
}
"""Images with labels."""
SETS = {
    "stroke (T1, T2, FLAIR, 1 mm)": ("T1.nii.gz", "T2.nii.gz", "FLAIR.nii.gz"),
    "SPM avg152 (T1, T2, PD, 2 mm)": ("spm/avg152T1.nii", "spm/avg152T2.nii", "spm/avg152PD.nii"),
}
"""Contrasts of the same head on the same grid."""
ALONE = {"MNI ICBM152 T1 (1 mm)": "icbm152/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"}
NAMES = ("cerebrum", "cerebellum", "brainstem", "ventricles")
NEUROMORPHOMETRICS = {
    "cerebrum": (23, 30, 31, 32, 36, 37, 44, 45, 47, 48, 55, 56, 57, 58, 59, 60, 61, 62, 75, 76, *range(100, 208)),
    "cerebellum": (38, 39, 40, 41, 71, 72, 73),
    "brainstem": (35,),
    "ventricles": (4, 11, 49, 50, 51, 52),
}
"""Codes of the Neuromorphometrics map of SPM12."""


def truth_of(labels: Any, kind: str) -> Any:
    """A map of the structures without sides."""
    from manabi.brain.structures import CLASSES, classes_of_freesurfer

    codes = np.rint(np.asarray(labels.array)).astype(np.int32)
    if kind == "freesurfer":
        return labels.like(classes_of_freesurfer(codes))
    out = np.zeros(codes.shape, np.uint8)
    for name, own in NEUROMORPHOMETRICS.items():
        out[np.isin(codes, own)] = CLASSES[name]
    return labels.like(out)


def classes_of(result: Any) -> np.ndarray:
    """A result's labels without sides."""
    from manabi.brain.structures import CLASSES, LABELS

    table = np.zeros(max(label.value for label in LABELS) + 1, np.uint8)
    for label in LABELS:
        table[label.value] = CLASSES[label.structure]
    return table[np.asarray(result.labelmaps["structures"].volume.array)]


def dice(first: np.ndarray, second: np.ndarray, label: int) -> float:
    """Overlap of one label."""
    a, b = first == label, second == label
    return 2.0 * float((a & b).sum()) / max(float(a.sum() + b.sum()), 1.0)


class Runs:
    """Results by image, each computed once."""

    def __init__(self, bundle: str | None, pictures: Path | None) -> None:
        from manabi import registry

        self._method, self._bundle, self._pictures = registry.method("brain"), bundle, pictures
        self._known: dict[str, tuple[Any, float]] = {}

    def of(self, name: str, fine: bool = True) -> tuple[Any, float]:
        """Result and seconds; ``fine`` as the method's parameter."""
        from manabi.context import Context
        from manabi.io import read_volume

        key = f"{name} {fine}"
        if key not in self._known:
            volume = read_volume(BASE / name)
            started = time.perf_counter()
            result = self._method.run(volume, {"fine": fine}, Context(device="cpu", bundle=self._bundle))
            self._known[key] = result, time.perf_counter() - started
            if self._pictures and fine:
                self._method.draw({"image": volume}, result, self._pictures / name.replace("/", "_"))
        return self._known[key]


def against_truth(runs: Runs) -> list[list[str]]:
    """Dice of each structure against labels."""
    from manabi.brain.structures import CLASSES
    from manabi.io import read_volume

    rows = []
    for title, (image, labels, kind) in TRUTHS.items():
        truth = truth_of(read_volume(BASE / labels), kind)
        for fine, stage in ((True, ""), (False, ", first stage alone")):
            result, _ = runs.of(image, fine)
            there = truth.resampled(result.labelmaps["structures"].volume.grid, "nearest").array
            scores = [f"{dice(classes_of(result), there, CLASSES[name]):.3f}" for name in NAMES]
            rows.append([title + stage, *scores])
    return rows


def agreements(runs: Runs) -> list[list[str]]:
    """Dice between contrasts of the same head."""
    from manabi.brain.structures import CLASSES

    rows = []
    for title, images in SETS.items():
        for one, other in combinations(images, 2):
            first, second = (classes_of(runs.of(name)[0]) for name in (one, other))
            scores = [f"{dice(first, second, CLASSES[name]):.3f}" for name in NAMES]
            rows.append([f"{title}: {Path(one).name.split('.')[0]}, {Path(other).name.split('.')[0]}", *scores])
    return rows


def volumes(runs: Runs) -> list[list[str]]:
    """Volumes, seconds and alerts of every image."""
    images = [*(v[0] for v in TRUTHS.values()), *(n for s in SETS.values() for n in s), *ALONE.values()]
    rows = []
    for name in dict.fromkeys(images):
        result, seconds = runs.of(name)
        found = result.measurements
        sizes = [f"{found[f'{structure}_ml']:.0f}" for structure in NAMES]
        alerts = [w for w in result.warnings if w.startswith(("Check", "Not like", "The field"))]
        rows.append([name, *sizes, f"{seconds:.1f}", str(len(alerts))])
    return rows


def table(header: list[str], rows: list[list[str]]) -> None:
    """Print Markdown."""
    for line in (header, ["---"] * len(header), *rows):
        sys.stdout.write("| " + " | ".join(line) + " |\n")
    sys.stdout.write("\n")


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle")
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    runs = Runs(arguments.bundle, arguments.pictures)
    table(["image", *NAMES], against_truth(runs))
    table(["contrasts", *NAMES], agreements(runs))
    table(["image", *(f"{name} (mL)" for name in NAMES), "seconds", "alerts"], volumes(runs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    sys.stdout.write(f"Most memory of the process: {peak:.1f} GB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
