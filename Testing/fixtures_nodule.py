"""Films, detectors and bundles that the tests of NoduleSynth share. Everything is seeded and small."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from manabi import networks
from manabi.bundle import Bundle
from manabi.context import Context
from manabi.nodule import lung_shape
from manabi.nodule.lung_mask import _filled
from manabi.nodule.operating import Curve, Point
from manabi.store import write_bundle
from manabi.volume import Volume

POINTS = ((0.05, 0.9, 0.2), (0.2, 0.7, 0.4), (1.0, 0.4, 0.6), (4.0, 0.1, 0.8))
"""False positives per film, threshold and sensitivity of the stand-in's card."""
ARGUMENTS = {"in_channels": 1, "out_channels": 1, "filters": [4, 8], "spatial_dims": 2, "output_activation": "linear"}


@cache
def chest(side: int = 256) -> np.ndarray:
    """A drawn frontal film: body, lungs of the usual shape with ribs, spine and heart; float32 in [0, 1], not to scale.

    The left lung is smaller (heart), so that left and right differ.
    """
    rows, columns = np.indices((side, side)) / side
    film = np.full((side, side), 0.05)
    body = ((columns - 0.5) / 0.46) ** 2 + ((rows - 0.75) / 0.72) ** 2 < 1
    film[body] = 0.72
    numbers = lung_shape.MEAN.copy()
    outlines, _ = lung_shape.outlines(numbers)
    lungs = _filled(outlines[0], (side, side))
    ribs = 0.06 * (np.sin(2 * np.pi * (rows + 0.15 * np.abs(columns - 0.5)) * 14) > 0.5)
    film[lungs > 0] = 0.28
    film = ndimage.gaussian_filter(film, 0.006 * side) + np.where(lungs > 0, ribs, 0.0)
    film[(np.abs(columns - 0.5) < 0.035) & body] += 0.12
    film += 0.01 * np.random.default_rng(4).standard_normal(film.shape)
    film = np.clip(film, 0.0, 1.0).astype(np.float32)
    film.setflags(write=False)
    return film


def with_blob(film: np.ndarray, row: float, column: float, radius: float, height: float = 0.25) -> np.ndarray:
    """The film with a bright disc with soft edges; places and radius as shares of its longer side."""
    side = max(film.shape)
    rows, columns = (np.indices(film.shape) + 0.5) / side
    away = np.hypot(rows - row, columns - column)
    return np.clip(film + height / (1 + np.exp((away - radius) / (0.1 * radius))), 0.0, 1.0).astype(np.float32)


def film_volume(film: np.ndarray, spacing_mm: tuple[float, float] = (1.4, 1.4), **attributes: Any) -> Volume:
    """A film as radiographs are read: 12 bits, one slice, modality DX."""
    array = np.rint(4095 * np.asarray(film)).astype(np.uint16)[None]
    rows, columns = spacing_mm
    return Volume(array, np.diag([-columns, -rows, 1.0, 1.0]), **{"modality": "DX", "name": "film", **attributes})


class BlobFinder(torch.nn.Module):
    """A detector without training: bright blobs of about ``sigma`` pixels, as logits."""

    def __init__(self, sigma: float = 4.0, gain: float = 12.0) -> None:
        super().__init__()
        reach = int(4 * sigma)
        x = torch.arange(-reach, reach + 1, dtype=torch.float32)
        r2 = x[:, None] ** 2 + x[None] ** 2
        narrow, wide = torch.exp(-r2 / (2 * sigma**2)), torch.exp(-r2 / (2 * (2 * sigma) ** 2))
        self.register_buffer("kernel", (narrow / narrow.sum() - wide / wide.sum())[None, None])
        self.gain, self.reach = gain, reach

    def forward(self, films: torch.Tensor) -> torch.Tensor:
        """Logits ``(b, 1, rows, columns)``."""
        padded = torch.nn.functional.pad(films, [self.reach] * 4, mode="replicate")
        return self.gain * torch.nn.functional.conv2d(padded, self.kernel) - 4.0


def curve() -> Curve:
    """The stand-in's operating points."""
    return Curve(tuple(Point(f, t, s, (s - 0.1, s + 0.1)) for f, t, s in POINTS))


def write_stand_in(folder: Path, seed: int = 0, matrix: int = 64, **facts: Any) -> Bundle:
    """A bundle of an untrained detector with the facts that ``Training.nodule`` writes.

    Args:
        folder: the bundle's.
        seed: of the weights.
        matrix: of the films it looks at.
        **facts: replace those of the section ``nodule``.
    """
    torch.manual_seed(seed)
    network = networks.build("unet", **ARGUMENTS)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.mul_(2.0)
    points = [
        {"false_positives": f, "threshold": t, "sensitivity": s, "ci95": [s - 0.1, s + 0.1]} for f, t, s in POINTS
    ]  # fmt: skip
    return write_bundle(
        folder,
        name="nodule-default",
        version="0.0.1",
        method="nodule",
        network={"name": "unet", "arguments": ARGUMENTS},
        state_dict=network.state_dict(),
        card="# Stand-in\nUntrained, for tests.\n",
        metadata_extra={
            "trained_on": "nothing (untrained, for tests)",
            "simulated": True,
            "inputs": {"modality": "DX", "units": "film", "spacing_mm": None},
            "output_channels": ["heat"],
            "precision": ["float32"],
            "nodule": {"matrix": matrix, "operating_points": points, "peak_distance": 6.0, **facts},
        },
    )  # fmt: skip


def quick(bundle: Bundle | str | None = None, **attributes: Any) -> Context:
    """A context on the processor in float32."""
    name = bundle if bundle is None or isinstance(bundle, str) else str(bundle.folder)
    return Context(device="cpu", precision="float32", bundle=name, **{"seed": 5, **attributes})
