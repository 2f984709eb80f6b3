"""Reconstruction and projection of CT slices: ours against ``skimage.transform.iradon`` and ``radon``.

``fbp_512``: 16 slices of 512x512 pixels from 720 views over 180°, with the ramp filter, the same views for everyone.
``skimage`` works slice by slice, as it is called; ``skimage_threads`` shares its slices out to as many threads as ours
have. ``numba`` and ``torch`` are our two engines. ``project_256``: 4 slices of 256x256 pixels to 360 views.
``inside`` and ``error`` are the mean of the disc that was projected, which is 1, and the mean absolute error there;
of projections the largest view through it, which is 200.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

BASELINE = "skimage"
CASES = {"fbp_512": (512, 720, 16), "project_256": (256, 360, 4)}
QUICK = {"fbp_512": (128, 90, 4), "project_256": (64, 45, 2)}
CASE, SIZE = "BENCH_FBP_CASE", "BENCH_FBP_QUICK"


def slices(size: int, count: int):
    """Discs of 1, a little different from slice to slice, and the pixels well within them all."""
    import numpy as np

    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = 100 * size / 256
    discs = [((x / radius) ** 2 + (y / (radius * (0.8 + 0.01 * k))) ** 2 < 1) for k in range(count)]
    return np.stack(discs).astype(np.float32), np.hypot(x, y) < 0.7 * radius


def contestant(name: str) -> None:
    """Serve one contestant."""
    from common import serve

    case, quick = os.environ[CASE], bool(os.environ.get(SIZE))
    size, views, count = (QUICK if quick else CASES)[case]
    serve(*(reconstruction if case.startswith("fbp") else projection)(name, size, views, count))


def _each(name: str, function: Callable[[Any], Any], items: Any) -> list:
    """Slice by slice, or by as many threads as torch has."""
    from concurrent.futures import ThreadPoolExecutor

    import torch

    if name != "skimage_threads":
        return [function(item) for item in items]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(function, items))


def reconstruction(name: str, size: int, views: int, count: int) -> tuple[Callable, Callable]:
    """Images from views."""
    import numpy as np
    import torch
    from skimage.transform import iradon

    from manabi.phantoms.ct.fbp import fbp
    from manabi.phantoms.ct.geometry import ParallelGeometry
    from manabi.phantoms.ct.project import project

    geometry = ParallelGeometry(views, size, 1.0)
    images, inner = slices(size, count)
    sinograms = project(torch.from_numpy(images), 1.0, geometry)
    theirs = np.ascontiguousarray(sinograms.numpy().transpose(0, 2, 1))
    angles = -np.degrees(geometry.angles)

    last: list = []

    def work() -> None:
        if name in ("numba", "torch"):
            last[:] = [fbp(sinograms, geometry, (size, size), 1.0, engine=name).numpy()]
        else:
            last[:] = [np.stack(_each(name, lambda one: iradon(one, theta=angles, output_size=size), theirs))]

    def finish() -> dict[str, Any]:
        found = last[0][:, inner]
        return {"inside": round(float(found.mean()), 4), "error": round(float(np.abs(found - 1).mean()), 4)}

    return work, finish


def projection(name: str, size: int, views: int, count: int) -> tuple[Callable, Callable]:
    """Views from images."""
    import numpy as np
    import torch
    from skimage.transform import radon

    from manabi.phantoms.ct.geometry import ParallelGeometry
    from manabi.phantoms.ct.project import project

    geometry = ParallelGeometry(views, size, 1.0)
    images = slices(size, count)[0]
    angles = np.degrees(geometry.angles)

    def work() -> Any:
        if name in ("numba", "torch"):
            return project(torch.from_numpy(images), 1.0, geometry, engine=name).numpy()
        return np.stack(_each(name, lambda one: radon(one, theta=angles), images))

    def finish() -> dict[str, Any]:
        return {"inside": round(float(work().max()) * 256 / size, 2)}

    return work, finish


def run(quick: bool = False) -> dict:
    """Measure every case; ``quick`` on few small slices and two rounds: a check that it works, not a figure."""
    from common import add_ratios, machine, race

    names, cases, described = [BASELINE, "skimage_threads", "numba", "torch"], {}, machine()
    for case in CASES:
        environment = {CASE: case, **({SIZE: "1"} if quick else {})}
        cases[case] = race(__file__, names, [], dict.fromkeys(names, environment), 2 if quick else 3)
        add_ratios(cases[case], BASELINE)
    return {"machine": described, "cases": cases}


def main() -> None:
    """Run and print, or serve as one of the contestants."""
    from common import print_cases, quick_or_contestant

    quick, name = quick_or_contestant(__doc__)
    if name:
        contestant(name)
        return
    columns = ("best_s", "median_s", "best_cpu_s", "ratio_best", "ratio_median", "inside", "error")
    print_cases(run(quick), BASELINE, columns)


if __name__ == "__main__":
    main()
