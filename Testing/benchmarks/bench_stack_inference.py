"""2-D inference over a stack of slices: ours against one slice at a time in float32.

Networks: MONAI's DenseNet121 and EfficientNet-b0 on 200 slices of 224², and U-Nets of the size that denoises SPECT on
slices of 64² and 128² with five neighbours. Random weights: outputs are compared by value.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

CASES = {
    "densenet121_224": (3, 224, 200),
    "efficientnet_b0_224": (3, 224, 200),
    "unet_64": (5, 64, 200),
    "unet_128": (5, 128, 200),
}
BASELINE = "one_by_one_float32"


def network(case: str):
    """A case's network in evaluation mode, with fixed random weights."""
    import torch
    from monai.networks.nets import DenseNet121, EfficientNetBN, UNet

    torch.manual_seed(0)
    if case.startswith("densenet"):
        return DenseNet121(2, 3, 2).eval()
    if case.startswith("efficientnet"):
        return EfficientNetBN("efficientnet-b0", pretrained=False).eval()
    return UNet(2, 5, 1, (32, 64, 128, 256), (2, 2, 2), num_res_units=2).eval()


def predictor(name: str, net, slices: np.ndarray):
    """A function without arguments that returns the outputs of all slices."""
    import torch

    from manabi.context import Context
    from manabi.inference import predict_stack

    def one_by_one() -> np.ndarray:
        with torch.no_grad():
            return np.concatenate([net(torch.from_numpy(slices[n : n + 1])).numpy() for n in range(len(slices))])

    if name == BASELINE:
        return one_by_one
    precision = name.rpartition("_")[2]
    return lambda: predict_stack(net, slices, context=Context(device="cpu", precision=precision))


def images(case: str, count: int) -> np.ndarray:
    """Smooth structure in noise, (count, channels, rows, columns)."""
    channels, side, _ = CASES[case]
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    phases = rng.uniform(0, 6, (count, channels, 1, 1))
    return (np.sin(9 * x + phases) * np.cos(7 * y) + 0.3 * rng.standard_normal((count, channels, side, side))).astype(
        np.float32
    )


def contestant(name: str, case: str, count: int, folder: str) -> None:
    """Serve one contestant; its outputs are left in the folder."""
    from pathlib import Path

    from common import serve

    work = predictor(name, network(case), images(case, count))

    def finish() -> dict[str, Any]:
        np.save(Path(folder) / f"{name}.npy", work())
        return {}

    serve(work, finish)


def run(quick: bool = False) -> dict:
    """Measure every case.

    Args:
        quick: 16 slices and two runs: a check that it works, not a figure.
    """
    from common import machine

    described = machine()
    names = [BASELINE, "manabi_float32"] + (["manabi_bfloat16"] if described["fast_bfloat16"] else [])
    cases = {case: _case(case, names, 16 if quick else CASES[case][2], 2 if quick else 5) for case in CASES}
    return {"machine": described, "cases": cases}


def _case(case: str, names: list[str], count: int, rounds: int) -> dict[str, dict[str, Any]]:
    import tempfile
    from pathlib import Path

    from common import add_ratios, race

    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--case", case, "--count", str(count), "--folder", folder]
        results = race(__file__, names, arguments, {BASELINE: {"THP_MEM_ALLOC_ENABLE": "0"}}, rounds)
        outputs = {name: np.load(Path(folder) / f"{name}.npy") for name in names}
    add_ratios(results, BASELINE)
    spread = max(float(outputs[BASELINE].std()), 1e-12)
    for name, record in results.items():
        record["slices_per_s"] = round(count / record["best_s"], 1)
        record["difference_sd"] = f"{float(np.abs(outputs[name] - outputs[BASELINE]).max()) / spread:.1e}"
    return results


def main() -> None:
    """Run and print; ``difference_sd`` is the largest difference in standard deviations of the output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for name in ("contestant", "case", "folder"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--count", type=int)
    arguments = parser.parse_args()
    if arguments.contestant:
        contestant(arguments.contestant, arguments.case, arguments.count, arguments.folder)
        return
    from common import print_cases

    columns = ("best_s", "median_s", "slices_per_s", "ratio_best", "ratio_median", "peak_mb", "difference_sd")
    print_cases(run(arguments.quick), BASELINE, columns)


if __name__ == "__main__":
    main()
