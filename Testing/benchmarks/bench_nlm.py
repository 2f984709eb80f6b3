"""Non-local means: ours against ``skimage.restoration.denoise_nl_means`` (fast_mode), and BM3D's seconds per slice.

Run it alone on the machine; each side is timed in turn and the best of its runs counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
import torch
from skimage.restoration import denoise_nl_means

from manabi.filters import BM3D, non_local_means

STRENGTH, NOISE = 8.0, 10.0


def _timed(function: Callable[[], np.ndarray], runs: int) -> tuple[float, np.ndarray]:
    """Best wall time in seconds, and the answer."""
    best, answer = float("inf"), np.zeros(0)
    for _ in range(runs):
        start = time.perf_counter()
        answer = function()
        best = min(best, time.perf_counter() - start)
    return best, answer


def _volume(shape: tuple[int, int, int]) -> np.ndarray:
    z, y, x = np.indices(shape)
    clean = 100 + 50 * np.sin(x / 9) * np.cos(y / 7) + 20 * z / shape[0]
    return (clean + NOISE * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


def run(quick: bool = False) -> dict:
    """Seconds, ratio and largest relative difference for patch/distance 3/5 and 5/6.

    Args:
        quick: a 16×64×64 volume and patch 3/5 only, instead of 70×128×128.
    """
    image = _volume((16, 64, 64) if quick else (70, 128, 128))
    found: dict = {"shape": list(image.shape), "threads": torch.get_num_threads(), "cases": []}
    for patch, distance in ((3, 5),) if quick else ((3, 5), (5, 6)):
        ours, mine = _timed(lambda p=patch, d=distance: non_local_means(image, p, d, STRENGTH, NOISE), 3)
        peer, theirs = _timed(
            lambda p=patch, d=distance: denoise_nl_means(
                image, p, d, h=STRENGTH, sigma=NOISE, fast_mode=True, preserve_range=True
            ),
            1,
        )
        found["cases"].append({
            "patch_size": patch,
            "patch_distance": distance,
            "manabi_s": round(ours, 3),
            "skimage_s": round(peer, 3),
            "ratio": round(peer / ours, 2),
            "max_relative_difference": float(np.abs((mine - theirs) / theirs).max()),
        })
    seconds, _ = _timed(lambda: BM3D().apply(_volume((1, 128, 128))[0], noise_std=NOISE), 3)
    found["bm3d_128x128_s"] = round(seconds, 3)
    return found


def main() -> None:
    """Print what was measured."""
    print(json.dumps(run(), indent=2))


if __name__ == "__main__":
    main()
