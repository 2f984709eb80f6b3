"""MVCTConvert: the method against its own generator run slice by slice in float32, on 512x512x100 voxels.

``slice_by_slice`` is what a plain loop does: one whole slice after the other through the generator in float32, and
nothing else. ``converter`` is the method's own conversion of the same slices (the body's box, in batches, in the
precision that the processor is fast at). ``whole_run`` is what a user waits for after loading: checks, conversion,
way back for the cycle residual, uncertainty, tissues, tables and maps; ``without_extras`` leaves residual, uncertainty
and density out. The generator is that of ``Training/configs/mvct.json`` with random weights, on which time does not
depend, and without a pixel size of its own, so that every contestant converts the same pixels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

BASELINE = "slice_by_slice"
NAMES = (BASELINE, "converter", "without_extras", "whole_run")
CASE = "neck_100"
CONTEXT = 1
TRANSLATOR = {
    "in_channels": CONTEXT, "out_channels": 1, "filters": [16, 32, 64], "blocks": 4, "skip": "concat", "norm": "none",
    "residual": True,
}  # fmt: skip
NOTHING_MORE = {"uncertainty": "none", "residual": False, "density": False}


@cache
def neck(quick: bool) -> Any:
    """A noisy neck of fat, muscle, bone and air that fills two fifths of its slices, as a head and neck does."""
    from manabi.volume import Volume

    shape, pixel_mm = ((12, 128, 128), 3.0) if quick else ((100, 512, 512), 0.76)
    z, y, x = np.ogrid[tuple(slice(0, n) for n in shape)]
    x, y = (x - shape[2] / 2) * pixel_mm, (y - shape[1] / 2) * pixel_mm
    hu = np.full(shape, -1000.0, np.float32)
    for rx, ry, cy, value in ((150, 120, 0, -70), (135, 105, 0, 40), (22, 20, -60, 600), (12, 10, 40, -1000)):
        hu[np.broadcast_to((x / rx) ** 2 + ((y - cy) / ry) ** 2 < 1 + 0 * z, shape)] = value
    hu += 25.0 * np.random.default_rng(0).standard_normal(shape, np.float32)
    return Volume(hu, np.diag([pixel_mm, pixel_mm, 3.0, 1.0]), "CT", "HU", "neck")


def bundle(folder: Path) -> str:
    """A bundle with random weights of the shipped size; returns its folder."""
    from manabi import networks
    from manabi.store import write_bundle

    arguments = {"forward": TRANSLATOR, "backward": TRANSLATOR}
    facts = {"kind": "mvct", "window_source": [-1000, 1000], "window_target": [-1000, 1000], "context_slices": CONTEXT}
    return str(
        write_bundle(
            folder, name="bench", version="0.0.1", method="mvct",
            network={"name": "converter_pair", "arguments": arguments},
            state_dict=networks.build("converter_pair", **arguments).state_dict(), card="# Bench\nRandom weights.\n",
            metadata_extra={
                "trained_on": "nothing (random weights)", "simulated": True, "inputs": {"modality": "CT"},
                "output_channels": ["image"], "precision": ["float32", "bfloat16"], "mvct": facts,
            },
        ).folder
    )  # fmt: skip


def contestant(name: str, quick: bool) -> None:
    """Serve one contestant."""
    from common import serve

    with tempfile.TemporaryDirectory() as folder:
        work = maker(name)(bundle(Path(folder) / "bench"), quick)
        serve(work, lambda: {"slices": len(work())})


def maker(name: str) -> Callable[[str, bool], Callable[[], Any]]:
    """What makes a contestant's work from a bundle's folder."""
    return {BASELINE: slice_by_slice, "converter": converter}.get(name, lambda b, q: whole_run(b, q, name))


def slice_by_slice(folder: str, quick: bool) -> Callable[[], Any]:
    """One slice after the other, float32, nothing else."""
    import torch

    from manabi.bundle import Bundle
    from manabi.mvct.convert import context_stack
    from manabi.mvct.window import HuWindow

    network, scaled = Bundle(Path(folder)).build_network(), HuWindow().scaled(np.asarray(neck(quick).array))

    def one(k: int) -> Any:
        return network(torch.from_numpy(context_stack(scaled, np.array([k]), CONTEXT)))

    def work() -> Any:
        with torch.inference_mode():
            return [one(k) for k in range(len(scaled))]

    return work


def converter(folder: str, quick: bool) -> Callable[[], Any]:
    """The method's conversion alone."""
    from manabi.bundle import Bundle
    from manabi.context import Context
    from manabi.mvct.convert import Converter, Settings
    from manabi.mvct.prepare import crop_to_body, prepare
    from manabi.mvct.tissue_map import body_mask

    opened = Bundle(Path(folder))
    network, work_image = opened.build_network(), prepare(neck(quick))
    crop = crop_to_body(body_mask(work_image.hu, work_image.image.spacing_mm))
    settings = Settings.of(opened)
    return lambda: Converter(network, settings, work_image, crop, Context(device="cpu")).converted()


def whole_run(folder: str, quick: bool, name: str) -> Callable[[], Any]:
    """The method from a loaded volume to its result."""
    from manabi.context import Context
    from manabi.mvct.method import MVCTConvert

    method, parameters = MVCTConvert(), NOTHING_MORE if name == "without_extras" else {}
    method.load(Context(device="cpu", bundle=folder))

    def work() -> Any:
        result = method.run(neck(quick), parameters, Context(device="cpu", bundle=folder))
        return result.volumes["converted"].array

    return work


def run(quick: bool = False) -> dict:
    """Measure the case; ``quick`` on 128x128x12 voxels and two rounds: a check that it works, not a figure."""
    from common import add_ratios, machine, race

    described = machine()
    results = race(__file__, list(NAMES), ["--quick"] if quick else [], {}, 2 if quick else 3)
    add_ratios(results, BASELINE)
    return {"machine": described, "cases": {CASE: results}}


def main() -> None:
    """Run and print, or serve as one of the contestants."""
    from common import print_cases, quick_or_contestant

    quick, name = quick_or_contestant(__doc__)
    if name:
        contestant(name, quick)
        return
    print_cases(run(quick), BASELINE, ("best_s", "median_s", "best_cpu_s", "ratio_best", "ratio_median", "peak_mb"))


if __name__ == "__main__":
    main()
