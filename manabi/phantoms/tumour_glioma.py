"""A glioma in contrast-enhanced T1 and in T2: necrotic core, enhancing rim, oedema, in a brain with its cortex.

Signals are multiples of white matter's (our choices, after the usual look of both contrasts at 3 T).
"""

from __future__ import annotations

import math

import numpy as np

from manabi.phantoms.tumour_parameters import TumourParameters
from manabi.phantoms.tumour_scanner import blurred
from manabi.phantoms.tumour_shapes import Blob, Space, coarse_field, grow_blob

WHITE = 600.0
"""Signal of white matter."""
TISSUES = {
    "t1ce": {"white": 1.0, "grey": 0.78, "csf": 0.3, "oedema": 0.8, "solid": 0.72, "core": 0.45, "skull": 0.15},
    "t2": {"white": 1.0, "grey": 1.35, "csf": 3.0, "oedema": 1.9, "solid": 1.7, "core": 2.4, "skull": 0.2},
}
TEXTURE = {"t1ce": 0.12, "t2": 0.2}
"""Standard deviation of the texture."""
BIAS = 0.06
NOISE = {"A": 0.035, "B": 0.06, "C": 0.03, "D": 0.05}
"""Of each centre, as a share of white matter's signal."""
BRAIN_MM = 68.0
"""From the falx to the cortex."""


def render_glioma(
    parameters: TumourParameters, space: Space, planes: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:  # fmt: skip
    """Images by name (``t1ce``, ``t2``), and the share of each voxel that the tumour without its oedema fills.

    Args:
        parameters: the patient.
        space: the fine grid.
        planes: how many planes of it a slice is averaged from.
    """
    scan = parameters.scan
    brain = _brain(parameters, space)
    blob = grow_blob(parameters.lesion, space, brain["depth"])
    zones = _zones(parameters, blob)
    images = {}
    for n, (name, tissues) in enumerate(TISSUES.items()):
        rng = np.random.default_rng([scan.seed, n])
        signal = _tissue(brain, tissues)
        _paint(signal, parameters, blob, zones, name)
        signal *= 1.0 + BIAS * coarse_field(rng, space.shape, space.spacing_mm, 60.0)
        slices = blurred(_averaged(signal, planes), scan)
        noise = NOISE[scan.centre] * rng.standard_normal((2, *slices.shape), dtype=np.float32)
        images[name] = WHITE * np.hypot(slices + noise[0], noise[1])  # magnitude images: Rician noise
    share = np.zeros(space.shape, np.float32)
    share[blob.box] = blob.share
    return images, _averaged(share, planes)


def _averaged(values: np.ndarray, planes: int) -> np.ndarray:
    return values.reshape(values.shape[0] // planes, planes, *values.shape[1:]).mean(axis=1)


def _brain(parameters: TumourParameters, space: Space) -> dict[str, np.ndarray]:
    """Depth under the brain's surface, and shares of grey matter and fluid."""
    rng = np.random.default_rng([parameters.lung.seed, 3])
    side = 1.0 if math.cos(math.radians(parameters.lung.wall_deg)) > 0 else -1.0
    z, y, x = space.offsets(np.zeros(3))
    away = side * x + parameters.glioma.midline_mm
    blur = float(np.mean(space.spacing_mm))
    folds = coarse_field(rng, space.shape, space.spacing_mm, 8.0)
    surface = BRAIN_MM - np.sqrt(away**2 + (y * 0.75) ** 2 + (z * 0.8) ** 2)
    deep = np.minimum(surface, np.abs(away) + 1.5)
    sulci = np.clip(0.5 + (1.1 - np.abs(folds) * 2.2 - 0.09 * np.maximum(deep, 0.0)) / blur, 0.0, 1.0)
    ribbon = np.clip(0.5 + (3.4 - np.abs(folds) * 2.2 - 0.16 * np.maximum(deep, 0.0)) / blur, 0.0, 1.0)
    ventricle = 8.0 - np.sqrt((away - 9.0) ** 2 + ((y - 4.0) * 0.4) ** 2 + ((z - 2.0) * 0.55) ** 2)
    fluid = np.maximum(sulci, np.clip(0.5 + ventricle / blur, 0.0, 1.0))
    falx = np.clip(0.5 + (0.8 - np.abs(away)) / blur, 0.0, 1.0)
    return {"depth": np.minimum(surface - 3.0, away - 1.5), "surface": surface, "grey": ribbon,
            "fluid": np.maximum(fluid, falx)}  # fmt: skip


def _tissue(brain: dict[str, np.ndarray], tissues: dict[str, float]) -> np.ndarray:
    out = tissues["white"] + brain["grey"] * (tissues["grey"] - tissues["white"])
    out += brain["fluid"] * (tissues["csf"] - out)
    out += np.clip(0.5 - brain["surface"], 0.0, 1.0) * (tissues["csf"] - out)
    out += np.clip(-brain["surface"] - 2.5, 0.0, 1.0) * (tissues["skull"] - out)
    return out.astype(np.float32)


def _zones(parameters: TumourParameters, blob: Blob) -> dict[str, np.ndarray]:
    """Shares of core and rim in the tumour's box, and of oedema round it."""
    glioma, lesion = parameters.glioma, parameters.lesion
    rng = np.random.default_rng([lesion.seed, 3])
    blur = 1.2
    spacing = _spacing(blob, lesion.volume_ml)
    uneven = coarse_field(rng, blob.share.shape, spacing, 9.0)
    inside = blob.depth_mm[blob.share > 0.5]
    deep = float(np.quantile(inside + 0.0, 1.0 - glioma.necrosis)) if inside.size else 1e3
    core_depth = blob.depth_mm + 0.8 * uneven - max(deep, 1.5)
    core = np.clip(0.5 + core_depth / blur, 0.0, 1.0) * blob.share
    rim = np.clip(1.0 - np.abs(core_depth + glioma.rim_mm / 2) / glioma.rim_mm, 0.0, 1.0) * (blob.share - core)
    oedema = np.clip(0.5 + (blob.depth_mm + glioma.oedema_mm * (1.0 + 0.5 * uneven)) / 3.0, 0.0, 1.0)
    return {"core": core, "rim": np.clip(rim * (1.0 + 0.35 * uneven), 0.0, 1.0), "oedema": oedema}


def _spacing(blob: Blob, volume_ml: float) -> tuple[float, float, float]:
    """Voxel size from the volume that the shares add up to."""
    step = float(np.cbrt(volume_ml * 1e3 / max(float(blob.share.sum()), 1.0)))
    return step, step, step


def _paint(
    signal: np.ndarray, parameters: TumourParameters, blob: Blob, zones: dict[str, np.ndarray], name: str
) -> None:  # fmt: skip
    """Oedema, solid tumour with its texture, rim and core."""
    tissues, part = TISSUES[name], signal[blob.box]
    fluid = zones["oedema"] * (tissues["oedema"] - part)
    part += np.maximum(fluid, 0.0) if name == "t2" else np.minimum(fluid, 0.0)  # never towards the healthy side
    solid = tissues["solid"] + TEXTURE[name] * blob.texture
    if name == "t1ce":
        solid = solid + zones["rim"] * parameters.glioma.enhancement * 1.6
    part += blob.share * (solid - part)
    part += zones["core"] * (tissues["core"] - part)
