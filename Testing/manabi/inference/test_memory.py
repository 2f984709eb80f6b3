"""Real memory, measured in a process of its own, stays below the limit that was set."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak is read from /proc (Linux)")

SCRIPT = """
import json, sys
import numpy as np
from monai.networks.nets import UNet
from manabi.context import Context
from manabi.inference import predict_volume

def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024

shape, limit, precision, dtype = json.loads(sys.argv[1])
network = UNet(3, 1, 3, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2)
image = np.random.default_rng(0).integers(-1000, 1000, size=(1, *shape), dtype=np.int16).astype(dtype)
context = Context(device="cpu", precision=precision, memory_limit_mb=limit)
before = status("VmRSS")
labels = predict_volume(network, image, context=context, reduce="argmax")
print(json.dumps({"taken_mb": status("VmHWM") - before, "peak_mb": status("VmHWM"), "shape": labels.shape,
                  "warnings": context.warnings}))
"""


def _measured(shape, limit, precision="float32", dtype="float32"):
    request = json.dumps([shape, limit, precision, dtype])
    done = subprocess.run([sys.executable, "-c", SCRIPT, request], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1500, 700])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_unet_over_200_slices_stays_below_the_limit(limit, precision):
    found = _measured((200, 256, 256), limit, precision)
    assert found["shape"] == [200, 256, 256]
    assert found["taken_mb"] <= limit


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_8_gb_machine_finishes_a_500_slice_ct():
    found = _measured((500, 512, 512), 5500, "auto", "int16")
    assert found["shape"] == [500, 512, 512]
    assert found["peak_mb"] <= 7000
    assert "overlapping parts" in found["warnings"][0]
