"""Heads, bundles and scans that the tests of the SPECT method share. Everything is seeded and small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from manabi import networks, registry
from manabi.bundle import Bundle
from manabi.context import Context
from manabi.geometry import Grid
from manabi.phantoms.base import Case, case_rng
from manabi.phantoms.striatum import StriatumParameters
from manabi.phantoms.striatum_anatomy import head_to_patient
from manabi.spect.localise import Localisation
from manabi.spect.template import REGIONS, STRUCTURES, Pose, ellipsoid_frame, weights
from manabi.store import BundleStore, write_bundle
from manabi.volume import Volume

FAST = {"views": 60, "iterations": 5, "subsets": 10}
"""A camera with half the views and a shorter reconstruction: a case takes half a second."""
BRAIN_SEMI_MM = np.array([67.0, 86.0, 66.0])
STRIATUM_IN_BRAIN_MM = np.array([0.0, 18.0, -5.0])
"""Where the putamina's middle lies in a head whose brain is centred at 0."""
BACKGROUND = 100.0


def render(seed: int = 11, **choices: Any) -> tuple[Case, StriatumParameters]:
    """A rendered DAT-SPECT phantom and its parameters."""
    phantom = registry.phantom("striatum")
    parameters = phantom.sample_parameters(case_rng(seed, 0), **{**FAST, **choices})
    return phantom.render(parameters), parameters


def true_pose(parameters: StriatumParameters) -> Pose:
    """Where the template has to lie on a phantom: the middle of its putamina, the head's tilt and size."""
    anatomy = parameters.anatomy
    middle = np.array([0.0, 22.0, -4.0])
    putamina = middle + anatomy.striatum * (STRIATUM_IN_BRAIN_MM - middle)
    x, y, z = (head_to_patient(anatomy) @ [*putamina, 1.0])[:3]
    return Pose((float(x), float(y), float(z)), anatomy.tilt_deg, anatomy.scale * anatomy.striatum)


# --- hand-made heads ---------------------------------------------------------------------------------------------


def head_grid(spacing_mm: float | tuple[float, float, float] = 3.29, size_mm: float = 220.0) -> Grid:
    """A grid in RAS order whose middle is at 0; spacing along I, J, K."""
    spacing = np.broadcast_to(np.asarray(spacing_mm, float), 3)
    count = np.round(np.array([size_mm - 30.0, size_mm, size_mm - 20.0]) / spacing).astype(int)
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = -spacing * (count - 1) / 2
    return Grid((int(count[2]), int(count[1]), int(count[0])), matrix)


def brain_share(grid: Grid, pose: Pose) -> np.ndarray:
    """Share of each voxel inside the brain's ellipsoid, which moves with the striatal frame; from its distance."""
    centre = np.asarray(pose.centre_mm) - pose.matrix @ STRIATUM_IN_BRAIN_MM
    k, j, i = np.indices(grid.shape, np.float32)
    local = (grid.ras_of(np.stack([i, j, k], -1)) - centre) @ pose.matrix / BRAIN_SEMI_MM
    radius = np.sqrt((local**2).sum(-1))
    return np.clip(0.5 - (radius - 1.0) * BRAIN_SEMI_MM.mean() / grid.spacing_mm.mean(), 0.0, 1.0)


def head(
    grid: Grid | None = None,
    pose: Pose | None = None,
    sbr: dict[tuple[str, str], float] | float = 2.0,
    blur_mm: float = 8.0,
    grown_mm: float = 0.0,
) -> Volume:
    """A brain of even uptake with striata of known binding ratios.

    Args:
        grid: by default 3.29 mm in RAS order.
        pose: of the striatal frame.
        sbr: true ratio, of all or per (structure, side).
        blur_mm: FWHM of a Gaussian blur; 0 for none.
        grown_mm: growth of the structures; with 2 mm the template's volumes of interest see nothing else.
    """
    grid, pose = grid or head_grid(), pose or Pose(tuple(STRIATUM_IN_BRAIN_MM))
    ratios = sbr if isinstance(sbr, dict) else dict.fromkeys(REGIONS, sbr)
    image = BACKGROUND * brain_share(grid, pose)
    for structure in STRUCTURES:
        for side in ("left", "right"):
            share = weights(grid, pose, structure, side, grown_mm)
            image = np.maximum(image, BACKGROUND * (1.0 + ratios[structure.name, side] * (share > 0)) * (share > 0)) \
                if grown_mm else image + BACKGROUND * ratios[structure.name, side] * share
    if blur_mm:
        image = ndimage.gaussian_filter(image, (blur_mm / 2.3548 / grid.spacing_mm)[::-1])
    return Volume(image.astype(np.float32), grid.ijk_to_ras, "NM", "CNTS", "head")


def localisation(volume: Volume, pose: Pose | None = None) -> Localisation:
    """The truth about a hand-made head, as :func:`manabi.spect.localise.localise` would give it."""
    pose = pose or Pose(tuple(STRIATUM_IN_BRAIN_MM))
    return Localisation(pose, 1.0, dict.fromkeys(REGIONS, 1.0), brain_share(volume.grid, pose) >= 0.5)


def structure_centre(pose: Pose, name: str, side: str) -> np.ndarray:
    """RAS mm of a structure's middle."""
    structure = next(s for s in STRUCTURES if s.name == name)
    return np.asarray(pose.centre_mm) + pose.scale * (pose.matrix @ ellipsoid_frame(structure, side)[0])


# --- bundles -----------------------------------------------------------------------------------------------------


def write_stand_in(folder: Path, pipeline: str = "ours", **facts: Any) -> Bundle:
    """A bundle with seeded, untrained weights and the facts that ``Training.spect_bundle.export`` writes."""
    ours = pipeline == "ours"
    arguments: dict[str, Any] = {"in_channels": 5, "out_channels": 2, "filters": [4, 8], "residual": True}
    if not ours:
        arguments = {"in_channels": 1, "out_channels": 1, "filters": [4, 8], "output_activation": "sigmoid"}
    torch.manual_seed(0)
    spect = {
        "pipeline": pipeline, "context_slices": 5 if ours else 1, "consistency_mm": 45.0 if ours else 0.0,
        "variance_calibration": 1.0, "training_noise_range": None, **facts,
    }  # fmt: skip
    return write_bundle(
        folder,
        name="spect-default" if ours else "spect-paper-unet4",
        version="0.0.1",
        method="spect",
        network={"name": "unet", "arguments": arguments},
        state_dict=networks.build("unet", **arguments).state_dict(),
        card="# Stand-in\nUntrained, for tests.\n",
        metadata_extra={
            "trained_on": "nothing (untrained, for tests)",
            "simulated": True,
            "inputs": {
                "modality": "NM", "units": "CNTS", "context_slices": 5 if ours else 1, "orientation": "RAS",
                "spacing_mm": [3.29] * 3 if ours else None,
                "intensity": {"kind": "head_mean"} if ours else {"kind": "maximum", "per": "slice"},
            },
            "output_channels": ["image", "log_variance"] if ours else ["image"],
            "precision": ["float32", "bfloat16"],
            "spect": spect,
        },
    )  # fmt: skip


def shipped(name: str | None) -> bool:
    """Whether a bundle of that name comes with the package."""
    return name is not None and (BundleStore().shipped_folder / name).is_dir()


def quick(bundle: str | Path | None, **attributes: Any) -> Context:
    """A context on the processor in float32."""
    return Context(device="cpu", precision="float32", bundle=None if bundle is None else str(bundle), **attributes)
