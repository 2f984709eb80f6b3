#!/usr/bin/env python3
"""Most memory of one training step on a block of 128³: ``Testing/tools/pelvis_memory.py``.

The source (the last part of ``seeds/002``) needed about 18 GB for its 3-D network with blocks of 128³. Each setting
runs in a process of its own: network, loss (cross-entropy and Dice), backward pass and AdamW's step on random numbers;
its peak is the process's, less what it held before the network was made. On a processor; on a graphics card PyTorch
holds the same tensors. Writes ``docs/results/pelvis_memory.json`` and prints it.
"""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "pelvis_memory.json"
SIDE, CLASSES = 128, 5
NETWORKS = {"default": [12, 24, 48, 72, 96], "wide": [32, 64, 128, 256]}
SETTINGS = [(name, checkpointing, low) for name in NETWORKS for checkpointing in (False, True) for low in (False, True)]


def peak_gb() -> float:
    """Most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def step(name: str, checkpointing: bool, low: bool) -> dict[str, Any]:
    """One training step; called in a process of its own."""
    import torch

    from manabi.networks.skipnet import SkipNet
    from Training.structure_task import Summed, laid_out, loss_of

    torch.manual_seed(0)
    before = peak_gb()
    filters = NETWORKS[name]
    network = SkipNet(filters, pattern="horizontal", spatial_dims=3, out_channels=CLASSES, norm="instance")
    network.checkpointing = checkpointing
    optimizer = torch.optim.AdamW(laid_out(network).parameters(), 1e-3)
    image = torch.rand(1, 1, SIDE, SIDE, SIDE).contiguous(memory_format=torch.channels_last_3d)
    labels = torch.randint(0, CLASSES, (1, SIDE, SIDE, SIDE))
    known = torch.ones_like(labels, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        logits = network(image)
    loss = Summed((loss_of("cross_entropy-none"), loss_of("dice-none")))(logits.float(), labels, None, None, known)
    loss.backward()
    optimizer.step()
    weights = sum(p.numel() for p in network.parameters())
    return {"network": name, "filters": filters, "weights": weights, "checkpointing": checkpointing,
            "precision": "bf16-mixed" if low else "32-true", "peak_gb": round(peak_gb() - before, 2)}  # fmt: skip


def main() -> None:
    """Every setting in a process of its own."""
    rows = []
    for name, checkpointing, low in SETTINGS:
        command = [sys.executable, __file__, name, str(int(checkpointing)), str(int(low))]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        rows.append(json.loads(done.stdout))
        sys.stderr.write(done.stdout)
    told = json.dumps({"block": [SIDE] * 3, "batch": 1, "device": f"cpu, {platform.machine()}", "rows": rows}, indent=1)
    RESULTS.write_text(told + "\n", encoding="utf-8")
    sys.stdout.write(told + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(step(sys.argv[1], sys.argv[2] == "1", sys.argv[3] == "1")) + "\n")
    else:
        main()
