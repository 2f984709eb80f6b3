"""A planning CT as a megavoltage or cone-beam scanner would have shown it, on the same voxels."""

from __future__ import annotations

import numpy as np
import torch

from manabi.context import Context
from manabi.device import choose_device
from manabi.errors import InvalidInputError
from manabi.phantoms.ct.outside import cleaned
from manabi.phantoms.ct.scan import scan_volume
from manabi.phantoms.ct.scanner import PRESETS, Scanner
from manabi.volume import Volume


def simulate(
    volume: Volume,
    kind: str = "mvct",
    seed: int = 0,
    scanner: Scanner | None = None,
    fast: bool = False,
    context: Context | None = None,
) -> Volume:
    """Scan a planning CT again.

    The scan runs on the volume's own slices, turned to lie along right, anterior and superior, and comes back in the
    volume's own order; nothing is resampled. Fillers (below -1000 HU, or one constant value around the image) are air.

    Args:
        volume: a CT in HU, in any orientation.
        kind: ``mvct``, ``cbct`` or ``kvct``; ignored where ``scanner`` is given.
        seed: all noise follows from it.
        scanner: a scanner of one's own; None takes the preset of ``kind``.
        fast: the quick scan, see :mod:`manabi.phantoms.ct.surrogate`.
        context: device, progress and cancellation.

    Returns:
        float32 HU on the volume's grid, without the source of the input.

    Raises:
        InvalidInputError: for an unknown kind, or an image that is not in HU.
        CancelledError: the context was cancelled.
    """
    if scanner is None:
        if kind not in PRESETS:
            raise InvalidInputError(f"The kind of scanner is one of {', '.join(PRESETS)}; got {kind!r}.")
        scanner = PRESETS[kind]
    if volume.grid.is_sheared:
        raise InvalidInputError("The image's axes are not perpendicular; use volume.straightened() first.")
    work = volume.reoriented()
    hu = torch.from_numpy(cleaned(work.array))
    device = "cpu" if context is None else choose_device(context.device).device
    if device == "mps":  # it has no double precision, which the geometry needs
        device = "cpu"
    scanned = scan_volume(hu, work.spacing_mm, scanner, seed, device, context, fast).cpu().numpy()
    out = work.like(np.ascontiguousarray(scanned)).reoriented_like(volume.grid)
    return volume.like(out.array, modality="CT", units="HU", name=f"{volume.name}_{scanner.kind}", source=None)
