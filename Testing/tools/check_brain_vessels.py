"""How well BrainSeg finds vessels on simulated angiograms, and whether it draws any where no image shows them.

    python Testing/tools/check_brain_vessels.py [--heads 12] [--seed 78] [--labels FOLDER]

Every head is rendered as time-of-flight angiogram, T1, T2 and FLAIR at 0.8 mm; half of the heads are parametric, half
come from label maps of real heads where a folder of them is given. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from manabi import registry
from manabi.brain.bright_vessels import VESSELS
from manabi.context import Context
from manabi.phantoms.base import Case, case_rng

CONTRASTS = ("tof", "t1", "t2", "flair")
VOXEL_MM = 0.8


def head(seed: int, index: int, maps: list[Path]) -> Case:
    """One head in all contrasts on one grid; odd ones from the label maps where there are any."""
    phantom = registry.phantom("brain")
    source = {"head": str(maps[(index // 2) % len(maps)])} if maps and index % 2 else {"anatomy": "parametric"}
    choices = {"contrasts": CONTRASTS, "same_grid": True, "voxel_mm": VOXEL_MM, "slice_mm": VOXEL_MM, **source}
    return phantom.render(phantom.sample_parameters(case_rng(seed, index), **choices))


def scores(found: np.ndarray, true: np.ndarray) -> tuple[float, float, float]:
    """Dice, share of what was found that is right, share of the truth that was found."""
    both = float((found & true).sum())
    return 2 * both / max(found.sum() + true.sum(), 1), both / max(found.sum(), 1), both / max(true.sum(), 1)


def interval(values: np.ndarray, rng: np.random.Generator) -> str:
    """Mean with a 95 % bootstrap interval over heads."""
    draws = values[rng.integers(0, len(values), (2000, len(values)))].mean(1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    """Render, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--seed", type=int, default=78)
    parser.add_argument("--labels", type=Path)
    arguments = parser.parse_args()
    maps = sorted(arguments.labels.glob("*.nii*")) if arguments.labels else []
    method, rows, drawn, seconds = registry.method("brain"), [], dict.fromkeys(CONTRASTS, 0), []
    for index in range(arguments.heads):
        case = head(arguments.seed, index, maps)
        true = np.asarray(case.labelmaps["structures"].volume.array) == VESSELS
        for contrast in CONTRASTS:
            began = time.perf_counter()
            result = method.run({"image": case.volumes[contrast]}, None, Context(device="cpu", seed=0))
            seconds.append(time.perf_counter() - began)
            found = np.asarray(result.labelmaps["structures"].volume.array) == VESSELS
            drawn[contrast] += bool(found.any())
            if contrast == "tof":
                rows.append(scores(found, true))
    table, rng = np.array(rows), np.random.default_rng(0)
    print(f"{arguments.heads} heads, seed {arguments.seed}, {VOXEL_MM} mm; {np.median(seconds):.1f} s per image\n")  # noqa: T201
    print("| Dice | right of what was found | found of what is there | drawn in T1, T2, FLAIR |\n|---|---|---|---|")  # noqa: T201
    others = ", ".join(f"{drawn[name]} of {arguments.heads}" for name in CONTRASTS[1:])
    print(f"| {' | '.join(interval(table[:, n], rng) for n in range(3))} | {others} |")  # noqa: T201


if __name__ == "__main__":
    main()
