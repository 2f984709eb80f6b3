"""Patients, bundles and contexts that the tests of MVCTConvert share. Everything is seeded and small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from manabi import networks
from manabi.bundle import Bundle
from manabi.context import Context
from manabi.geometry import Grid
from manabi.store import write_bundle
from manabi.volume import Volume

SHIFT_HU = 30.0
"""What the hand-set converter adds to every voxel of the body."""
WINDOW = (-1000.0, 1000.0)
NOISE_HU = 25.0
ARGUMENTS = {"filters": [4, 8], "blocks": 1, "norm": "none", "residual": True}
"""A tiny translator; without normalisation, so that a hand-set one is exact."""


# --- patients ------------------------------------------------------------------------------------------------------


def grid(spacing_mm: tuple[float, float, float] = (3.0, 3.0, 5.0), shape: tuple[int, int, int] = (14, 76, 84)) -> Grid:
    """A grid in RAS order whose middle is at 0; spacing along I, J, K, shape KJI."""
    matrix = np.diag([*spacing_mm, 1.0])
    matrix[:3, 3] = [-s * (n - 1) / 2 for s, n in zip(spacing_mm, shape[::-1], strict=True)]
    return Grid(shape, matrix)


def patient(
    where: Grid | None = None, kind: str = "mvct", noise_hu: float = NOISE_HU, metal_hu: float = 0.0, seed: int = 3
) -> Volume:  # fmt: skip
    """A neck that is not symmetric: fat, muscle, a spine, an airway, a bright node on the left, a couch below.

    Args:
        where: any grid, oblique ones too; tissues are placed in the patient.
        kind: ``mvct`` or ``kvct``, for the tissues' HU.
        noise_hu: standard deviation of normal noise, everywhere.
        metal_hu: of a small filling on the right; 0 leaves it out.
        seed: of the noise.
    """
    where = where or grid()
    fat, muscle, bone, node = (-49.0, 40.0, 650.0, 60.0) if kind == "mvct" else (-90.0, 45.0, 1200.0, 70.0)
    x, y, z = np.moveaxis(where.ras_of(np.stack(np.indices(where.shape)[::-1], -1)), -1, 0)
    hu = np.full(where.shape, -1000.0)
    skin = (x / (72 - 0.1 * z)) ** 2 + ((y - 5) / 60) ** 2
    hu[skin < 1] = fat
    hu[(x / 62) ** 2 + ((y - 5) / 50) ** 2 < 1] = muscle
    hu[(x / 17) ** 2 + ((y + 28) / 15) ** 2 < 1] = bone
    hu[(x / 9) ** 2 + ((y - 28) / 8) ** 2 < 1] = -1000.0
    hu[((x + 34) / 11) ** 2 + ((y - 8) / 9) ** 2 + ((z - 6) / 14) ** 2 < 1] = node
    if metal_hu:
        hu[((x - 30) / 6) ** 2 + ((y - 20) / 6) ** 2 + (z / 12) ** 2 < 1] = metal_hu
    hu[(y > -84) & (y < -80) & (np.abs(x) < 110)] = -300.0
    hu += noise_hu * np.random.default_rng(seed).standard_normal(where.shape)
    return Volume(np.clip(hu, -1024, 3071).astype(np.float32), where.ijk_to_ras, "CT", "HU", "scan")


def textured(volume: Volume, noise_hu: float = NOISE_HU, seed: int = 3) -> Volume:
    """The volume with noise that has the grain of a CT: correlated over about a voxel in its slices."""
    rough = np.random.default_rng(seed).standard_normal(volume.shape)
    grain = ndimage.gaussian_filter(rough, (0.0, 0.7, 0.7))
    return volume.like((volume.array + noise_hu * grain / grain.std()).astype(np.float32))


# --- bundles -------------------------------------------------------------------------------------------------------


def write_stand_in(
    folder: Path, shift_hu: float | None = None, backward: bool = True, dropout: float = 0.0, seed: int = 0,
    **facts: Any,
) -> Bundle:  # fmt: skip
    """A bundle of a converter pair with the facts that ``Training.mvct_bundle`` writes.

    Args:
        folder: the bundle's.
        shift_hu: a hand-set converter that adds so many HU, and takes them off on the way back; None for seeded,
            untrained weights.
        backward: whether there is a way back.
        dropout: of the untrained network.
        seed: of its weights.
        **facts: replace those of the section ``mvct``; the name ends in the kind where that is not ``mvct``.
    """
    mvct = {
        "kind": "mvct", "window_source": list(WINDOW), "window_target": list(WINDOW), "spacing_mm": None,
        "context_slices": 3, "uncertainty_calibration": 1.0, **facts,
    }  # fmt: skip
    one = {**ARGUMENTS, "in_channels": mvct["context_slices"], "dropout": dropout}
    arguments = {"forward": one, "backward": one if backward else None}
    torch.manual_seed(seed)
    network = networks.build("converter_pair", **arguments)
    _set(network, shift_hu, seed)
    return write_bundle(
        folder,
        name="mvct-default" if mvct["kind"] == "mvct" else f"mvct-{mvct['kind']}",
        version="0.0.1",
        method="mvct",
        network={"name": "converter_pair", "arguments": arguments},
        state_dict=network.state_dict(),
        card="# Stand-in\nUntrained, for tests.\n",
        metadata_extra={
            "trained_on": "nothing (untrained, for tests)",
            "simulated": True,
            "inputs": {"modality": "CT", "units": "HU", "context_slices": mvct["context_slices"], "orientation": "RAS"},
            "output_channels": ["image"],
            "precision": ["float32"],
            "mvct": mvct,
        },
    )  # fmt: skip


def _set(network: torch.nn.Module, shift_hu: float | None, seed: int) -> None:
    """Weights of the last layers: zero but for a bias, or large enough to be seen in HU."""
    per_hu = 2.0 / (WINDOW[1] - WINDOW[0])
    rng = torch.Generator().manual_seed(seed)
    for sign, name in ((1.0, "converter"), (-1.0, "returner")):
        one = getattr(network, name)
        if one is None:
            continue
        with torch.no_grad():
            if shift_hu is None:
                one.head.weight.copy_(0.02 * torch.randn(one.head.weight.shape, generator=rng))
            else:
                one.head.weight.zero_()
                one.head.bias.fill_(sign * shift_hu * per_hu)


def quick(bundle: Bundle | str | None, **attributes: Any) -> Context:
    """A context on the processor in float32."""
    name = bundle if bundle is None or isinstance(bundle, str) else str(bundle.folder)
    return Context(device="cpu", precision="float32", bundle=name, **{"seed": 5, **attributes})
