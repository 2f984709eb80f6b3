"""3-D inference: ours against MONAI's ``sliding_window_inference`` with its defaults (96³ windows, overlap 0.25).

Network: MONAI's UNet, 16 to 256 channels, two residual units, 4.8 million parameters. Volume: 256×256×200 float32,
ellipsoids in noise. Time is from the image in memory to every output in memory. With instance normalisation the window
is part of the function: windows of 96³ are normalised by 96³ voxels each, the whole volume by its own. So labels are
compared on a network that was trained (for seconds, on other phantoms), as well as on random weights, where any
difference counts, and every contestant's labels are compared with the truth.

``huge_pages`` is torch's THP_MEM_ALLOC_ENABLE, which importing manabi switches on; MONAI gets it as an extra.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

BASELINE = "monai_96_float32"
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}
PLAIN_PAGES = {"THP_MEM_ALLOC_ENABLE": "0"}
ENVIRONMENTS = {
    BASELINE: PLAIN_PAGES,
    "monai_96_bfloat16": PLAIN_PAGES,
    "monai_96_float32_huge_pages": HUGE_PAGES,
}
SHAPE, QUICK_SHAPE = (200, 256, 256), (100, 128, 128)


def network():
    """MONAI's UNet with 4.8 million parameters."""
    import torch
    from monai.networks.nets import UNet

    torch.manual_seed(0)
    return UNet(3, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2)


def phantom(shape: tuple[int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ellipsoids of value 1 in noise of standard deviation 0.5: ``(image, truth)``."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, bool)
    for _ in range(max(int(np.prod(shape)) // 200_000, 3)):
        radii = rng.uniform(6, 25, 3)
        centre = rng.uniform(0, 1, 3) * shape
        low = np.maximum(centre - radii, 0).astype(int)
        high = np.minimum(centre + radii + 1, shape).astype(int)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.ogrid[box]
        truth[box] |= sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) < 1
    image = truth + 0.5 * rng.standard_normal(shape)
    return image.astype(np.float32)[None], truth.astype(np.uint8)


def train(path: Path, steps: int) -> None:
    """A short training on windows of two sizes, so that labels are those of a network that knows its task."""
    import torch

    net = network().train()
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    for step in range(steps):
        image, truth = phantom((96, 96, 96) if step % 4 == 0 else (64, 64, 64), seed=1000 + step)
        target = torch.from_numpy(truth)[None].long()
        loss = torch.nn.functional.cross_entropy(net(torch.from_numpy(image)[None]), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    torch.save(net.state_dict(), path)


def predictor(name: str, net, image: np.ndarray):
    """A function without arguments that returns every output, (2, slices, rows, columns)."""
    import torch

    if name.startswith("manabi"):
        from manabi.context import Context
        from manabi.inference import predict_volume

        def ours() -> np.ndarray:
            context = Context(device="cpu", precision=name.rpartition("_")[2])  # type: ignore[arg-type]
            return predict_volume(net, image, context=context)

        return ours
    from monai.inferers import sliding_window_inference

    def theirs() -> np.ndarray:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in name):
            found = sliding_window_inference(torch.from_numpy(image)[None], (96, 96, 96), 1, net, overlap=0.25)
        return found[0].float().numpy()

    return theirs


def contestant(name: str, folder: Path) -> None:
    """Serve one contestant; its labels are left in the folder."""
    import torch
    from common import serve

    net = network().eval()
    net.load_state_dict(torch.load(folder / "trained.pt", weights_only=True))
    image = np.load(folder / "image.npy")
    work = predictor(name, net, image)

    def finish() -> dict[str, Any]:
        np.save(folder / f"{name}_trained.npy", work().argmax(0).astype(np.uint8))
        np.save(folder / f"{name}_random.npy", predictor(name, network().eval(), image)().argmax(0).astype(np.uint8))
        return {}

    serve(work, finish)


def run(quick: bool = False) -> dict:
    """Measure.

    Args:
        quick: half of each side, fewer training steps and runs: a check that it works, not a figure.

    Returns:
        The machine, and for every contestant its times, ratios to the baseline, memory peak and agreement.
    """
    from common import add_ratios, machine, race

    described = machine()
    names = [BASELINE, "monai_96_float32_huge_pages", "manabi_float32"]
    if described["fast_bfloat16"]:
        names += ["monai_96_bfloat16", "manabi_bfloat16"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image, truth = phantom(QUICK_SHAPE if quick else SHAPE, seed=1)
        np.save(folder / "image.npy", image)
        train(folder / "trained.pt", 20 if quick else 80)
        results = race(__file__, names, ["--folder", name], ENVIRONMENTS, rounds=2 if quick else 5)
        for key, record in results.items():
            record.update(_agreement(folder, key, truth))
    add_ratios(results, BASELINE)
    return {"machine": described, "shape": list(image.shape), "results": results}


def _agreement(folder: Path, name: str, truth: np.ndarray) -> dict[str, float]:
    """Per cent of voxels with the baseline's label, on both sets of weights, and Dice against the truth."""
    found = {}
    for weights in ("trained", "random"):
        labels, reference = (np.load(folder / f"{n}_{weights}.npy") for n in (name, BASELINE))
        found[f"equal_{weights}_pct"] = round(100 * float((labels == reference).mean()), 3)
    labels = np.load(folder / f"{name}_trained.npy")
    found["dice_truth"] = round(float(2 * (labels & truth).sum() / (labels.sum() + truth.sum())), 4)
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--contestant")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.contestant:
        contestant(arguments.contestant, arguments.folder)
        return
    from common import print_machine, print_table

    found = run(arguments.quick)
    print_machine(found["machine"])
    columns = ("best_s", "median_s", "ratio_best", "ratio_median", "peak_mb", "equal_trained_pct", "equal_random_pct",
               "dice_truth")
    print_table(f"UNet (4.8 M), image {found['shape']}, against {BASELINE}", found["results"], columns)


if __name__ == "__main__":
    main()
