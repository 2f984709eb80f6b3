"""A run through the worker against a new process per run, on one 64³ pass of a 4.8 M-parameter MONAI UNet.

What a user would otherwise run is a script: import torch and MONAI, load a state dict, one forward pass. ``manabi run``
in a fresh process is measured, too. The worker is measured from call to result in the client, arrays included, from
its second request on; what it adds is that time less the same run in this process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.io import write_volume
from manabi.method import InputSpec, Method
from manabi.parameters import Parameters
from manabi.registry import SITE_METHODS
from manabi.result import Result
from manabi.volume import Volume
from manabi.worker_client import WorkerClient

SIZE = 64
UNET = {
    "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": (16, 32, 64, 128, 256),
    "strides": (2, 2, 2, 2), "num_res_units": 2,
}  # fmt: skip
SCRIPT = f"""
import sys, numpy as np, torch
from monai.networks.nets import UNet
net = UNet(**{UNET!r})
net.load_state_dict(torch.load(sys.argv[1], weights_only=True))
net.eval()
x = torch.from_numpy(np.load(sys.argv[2]))[None, None]
with torch.inference_mode():
    np.save(sys.argv[3], net(x)[0].numpy())
"""


@dataclass(frozen=True)
class UNetParameters(Parameters):
    weights: str = ""


class UNetPass(Method[UNetParameters]):
    """One pass of the UNet over the whole volume; the network is kept."""

    name, title, summary, source, phantom = "unet-pass", "UNet pass", "for this benchmark", "none", "none"
    inputs = (InputSpec("image", "any image", ("CT",)),)
    parameters_type = UNetParameters

    def __init__(self) -> None:
        self._net: Any = None

    def _run(self, inputs: dict[str, Volume], parameters: UNetParameters, context: Context) -> Result:
        import torch

        if self._net is None:
            self._net = unet()
            self._net.load_state_dict(torch.load(parameters.weights, weights_only=True))
            self._net.eval()
        image = inputs["image"]
        with torch.inference_mode():
            out = self._net(torch.from_numpy(np.array(image.array))[None, None])[0]
        return Result(volumes={f"class {n}": image.like(out[n].numpy()) for n in range(2)})


def unet() -> Any:
    from monai.networks.nets import UNet

    return UNet(**UNET)


def timed(*works: Callable[[], Any], repeats: int) -> list[float]:
    """Best seconds of each, measured in turns, so that other load on the machine meets all of them."""
    best = [float("inf")] * len(works)
    for _ in range(repeats):
        for index, work in enumerate(works):
            started = time.perf_counter()
            work()
            best[index] = min(best[index], time.perf_counter() - started)
    return best


def run() -> dict[str, float]:
    """Measure; seconds and ratios by name."""
    import torch

    here = str(Path(__file__).parent)
    os.environ[SITE_METHODS] = "unet-pass=bench_worker:UNetPass"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        torch.save(unet().state_dict(), base / "model.pt")
        array = np.random.default_rng(0).normal(size=(SIZE,) * 3).astype(np.float32)
        volume = Volume(array, np.eye(4), modality="CT")
        np.save(base / "in.npy", array)
        write_volume(volume, base / "in.nii.gz")
        return measure(base, volume)


def measure(base: Path, volume: Volume) -> dict[str, float]:
    settings = {"weights": str(base / "model.pt")}
    method = UNetPass()
    files = [str(base / name) for name in ("model.pt", "in.npy", "out.npy")]
    started = time.perf_counter()
    with WorkerClient() as client:
        client.wait_ready()
        ready = time.perf_counter() - started
        in_worker = lambda: client.run("unet-pass", {"image": volume}, settings)  # noqa: E731
        in_process = lambda: method.run(volume, settings)  # noqa: E731
        in_process()
        (first,) = timed(in_worker, repeats=1)
        here, second = timed(in_process, in_worker, repeats=30)
    script, fresh = timed(
        lambda: subprocess.run([sys.executable, "-c", SCRIPT, *files], check=True),
        lambda: fresh_run(base, settings),
        repeats=3,
    )
    return {
        "pass_in_this_process_s": here,
        "worker_ready_s": ready,
        "worker_first_request_s": first,
        "worker_second_request_s": second,
        "worker_adds_s": second - here,
        "script_per_request_s": script,
        "manabi_run_per_request_s": fresh,
        "script_over_worker": script / second,
        "manabi_run_over_worker": fresh / second,
    }


def fresh_run(base: Path, settings: dict[str, str]) -> None:
    command = [sys.executable, "-m", "manabi", "run", "unet-pass", str(base / "in.nii.gz"), "--json", "--overwrite"]
    command += ["--output", str(base / "out"), "--set", f"weights={settings['weights']}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:28s} {value:.4f}" if name.endswith("_s") else f"{name:28s} {value:.0f}x")
