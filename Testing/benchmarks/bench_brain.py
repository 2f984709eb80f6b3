"""BrainSeg on a simulated whole head of 1 mm, loaded already: ours against MONAI's sliding window on the same network.

``monai_sliding_window`` runs both stages in windows of 128³ with an overlap of a quarter, as a user of MONAI would;
``networks`` is our run of the same weights (the head cut out, the fine stage only where there may be brain, bfloat16
where the processor is fast at it), ``networks_float32`` the same without. ``whole_run`` is what a user waits for
after loading: the method from the volume to label map, confidence and table.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

BASELINE, WHOLE_RUN = "monai_sliding_window", "whole_run"
WINDOW = (128, 128, 128)
ROUNDS = 2
"""Timed runs of each; with the warm-up, rendering and loading it is done within minutes on two busy cores."""


def write_head(path: Path, quick: bool) -> None:
    """Render a simulated head once, for all contestants."""
    from manabi.io import write_volume
    from manabi.phantoms.base import case_rng
    from manabi.phantoms.brain import BrainPhantom

    phantom = BrainPhantom()
    size = 3.0 if quick else 1.0
    drawn = phantom.sample_parameters(case_rng(3, 0), voxel_mm=size, slice_mm=size)
    write_volume(next(iter(phantom.render(drawn).volumes.values())), path)


def contestant(name: str, head: Path) -> None:
    """Serve one contestant."""
    from common import serve

    from manabi.io import read_volume

    volume = replace(read_volume(head), modality="MR")
    work, told = whole_run(volume) if name == WHOLE_RUN else part(name, volume)
    last: list[Any] = []

    def once() -> None:
        last[:] = [work()]

    serve(once, lambda: told(last[0]))


def whole_run(volume: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """The method from a loaded volume to its result, and what a result tells."""
    from manabi.brain.method import BrainSeg
    from manabi.context import Context

    method = BrainSeg()
    method.load(Context(device="cpu"))

    def work() -> Any:
        return method.run(volume, {}, Context(device="cpu"))

    def told(result: Any) -> dict[str, Any]:
        return {"voxels": volume.array.size, "cerebrum_ml": round(float(result.measurements["cerebrum_ml"] or 0))}

    return work, told


def part(name: str, volume: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """The networks on a prepared image, and what their labels tell."""
    import numpy as np
    import torch
    from monai.inferers import sliding_window_inference

    from manabi.brain import segment
    from manabi.brain.prepare import prepare
    from manabi.context import Context
    from manabi.store import BundleStore

    bundle = BundleStore().get("brain-default", method="brain")
    network = bundle.build_network()
    settings = segment.Settings.of(bundle.facts["brain"], bundle.precision)
    prepared = prepare(volume)

    def work() -> np.ndarray:
        if name == BASELINE:
            with torch.inference_mode():
                image = torch.from_numpy(prepared.image)[None, None]
                return sliding_window_inference(image, WINDOW, 1, network, overlap=0.25)[0].argmax(0).numpy()
        precision = "float32" if name == "networks_float32" else "auto"
        found = segment.find(prepared, network, settings, True, Context(device="cpu", precision=precision))
        return found.probabilities.argmax(0)

    def told(labels: np.ndarray) -> dict[str, Any]:
        return {"voxels": prepared.image.size, "cerebrum_ml": round(float((labels == 1).sum()) / 1000)}

    return work, told


def run(quick: bool = False) -> dict:
    """Measure the case; ``quick`` at 3 mm: a check that it works, not a figure."""
    from common import add_ratios, machine, race

    names = [BASELINE, "networks", "networks_float32", WHOLE_RUN]
    described = machine()
    with tempfile.TemporaryDirectory() as folder:
        head = Path(folder) / "head.nii"
        write_head(head, quick)
        results = race(__file__, names, ["--head", str(head)], {}, ROUNDS)
    add_ratios(results, BASELINE)
    return {"machine": described, "cases": {"head_3mm" if quick else "head_1mm": results}}


def main() -> None:
    """Run and print, or serve as one of the contestants."""
    from common import print_cases

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--contestant")
    parser.add_argument("--head", type=Path)
    arguments = parser.parse_args()
    if arguments.contestant:
        contestant(arguments.contestant, arguments.head)
        return
    print_cases(
        run(arguments.quick), BASELINE,
        ("best_s", "median_s", "best_cpu_s", "peak_mb", "ratio_best", "ratio_median", "voxels", "cerebrum_ml"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
