"""Feature maps of BrainSeg's own networks as volumes on the patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from manabi.brain.prepare import Prepared, prepare
from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.geometry import Grid
from manabi.result import Result, Table
from manabi.volume import Volume

if TYPE_CHECKING:
    import torch

    from manabi.networks.coarse_to_fine import CoarseToFine

STAGES = ("coarse", "fine")
FINE_SIDE = 96
"""Side of the part, in mm, that the fine network's maps are computed on (our choice: memory)."""
LAYER_COLUMNS = ("layer", "channels", "scale")
FEATURE_COLUMNS = ("rank", "channel", "contribution")


def stages(network: CoarseToFine) -> tuple[str, ...]:
    """The stages that a network has."""
    return tuple(stage for stage in STAGES if getattr(network, stage) is not None)


def layer_table(network: CoarseToFine) -> Table:
    """Names of all layers, ``coarse`` before ``fine``; ``scale`` is the size of their voxels in mm."""
    from manabi.brain.features import layers
    from manabi.networks.coarse_to_fine import STEP

    rows = []
    for stage in stages(network):
        voxel = STEP if stage == "coarse" else 1
        rows += [(f"{stage}.{one.name}", one.channels, one.scale * voxel) for one in layers(getattr(network, stage))]
    return Table(LAYER_COLUMNS, tuple(rows))


def feature_result(
    network: CoarseToFine, image: Volume, layer: str, structure_index: int, structure: str, count: int,
    context: Context,
) -> Result:  # fmt: skip
    """The feature maps of a layer that contribute most to a structure, on the image's grid.

    Raises:
        InvalidInputError: for an unknown layer, or a structure that is not found in the image.
    """
    from manabi.brain.features import feature_maps

    stage, _, name = layer.partition(".")
    if stage not in stages(network):
        raise InvalidInputError(f"Unknown layer {layer!r}. Leave layer empty to list them.")
    context.progress(0.05, "Preparing")
    prepared = prepare(image)
    x, grid = _coarse_input(prepared) if stage == "coarse" else _fine_input(prepared, network, structure_index)
    where = _where(network, x, stage, structure_index)
    context.progress(0.2, "Looking inside")
    own = getattr(network, stage)
    found = feature_maps(own, x, name, structure_index, top=count, inside=where, context=context)
    result = Result()
    for rank, values in enumerate(found.maps, start=1):
        context.progress(0.5 + 0.45 * rank / len(found.maps), "Back to the image")
        key = f"feature_{rank:02d}"
        result.volumes[key] = Volume(values.astype(np.float32), grid.ijk_to_ras).resampled(image.grid)
        result.volumes[key] = result.volumes[key].like(result.volumes[key].array, name=key)
    rows = [
        (rank, int(channel), round(float(share), 6))
        for rank, (channel, share) in enumerate(zip(found.channels, found.contributions, strict=True), start=1)
    ]
    result.tables["features"] = Table(FEATURE_COLUMNS, tuple(rows))
    result.measurements = {"layer": layer, "structure": structure, "feature_count": len(rows)}
    return result


def _where(network: CoarseToFine, x: torch.Tensor, stage: str, structure_index: int) -> np.ndarray:
    """Where the stage finds the structure: the coarse one answers with the side too, the fine one with a correction."""
    import torch

    with torch.inference_mode():
        given = x.to(next(network.parameters()).device)
        if stage == "coarse":
            logits, _ = network.eval().answer(given)
        else:
            logits = network.eval().sharpen(given[:, : network.in_channels], given[:, network.in_channels :])
    return (logits[0].argmax(0) == structure_index).cpu().numpy()


def _coarse_input(prepared: Prepared) -> tuple[torch.Tensor, Grid]:
    """The image at 2 mm, its sides multiples of 32 mm, and its grid."""
    import torch
    import torch.nn.functional as F

    from manabi.networks.coarse_to_fine import STEP

    image = torch.from_numpy(prepared.image)[None, None]
    pads = [p for n in reversed(image.shape[2:]) for p in (0, -n % (16 * STEP))]
    small = F.avg_pool3d(F.pad(image, pads), STEP)
    grid = prepared.volume.grid
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] = grid.ras_of(np.full(3, (STEP - 1) / 2))
    matrix[:3, :3] *= STEP
    return small, Grid(tuple(small.shape[2:]), matrix)  # type: ignore[arg-type]


def _fine_input(prepared: Prepared, network: CoarseToFine, structure_index: int) -> tuple[torch.Tensor, Grid]:
    """A part around the structure at 1 mm with the coarse probabilities, and its grid."""
    import torch

    image = torch.from_numpy(prepared.image)[None, None]
    with torch.inference_mode():
        logits, _ = network.eval().look(image.to(next(network.parameters()).device))
        probabilities = network.enlarged(logits, tuple(image.shape[2:])).cpu()
    where = (probabilities[0].argmax(0) == structure_index).nonzero().float()
    if not len(where):
        raise InvalidInputError("The structure was not found in this image; order the maps for another one.")
    centre = where.mean(0).round().int().tolist()
    low = [max(min(c - FINE_SIDE // 2, n - FINE_SIDE), 0) for c, n in zip(centre, prepared.image.shape, strict=True)]
    sides = [min(FINE_SIDE, n - a) // 4 * 4 for a, n in zip(low, prepared.image.shape, strict=True)]
    k, j, i = (slice(a, a + n) for a, n in zip(low, sides, strict=True))
    x = torch.cat([image[..., k, j, i], probabilities[..., k, j, i]], 1).clone()
    grid = prepared.volume.grid.shifted(np.array(low[::-1], float), tuple(sides))
    return x, grid
