"""What goes wrong in the simulated lungs: interstitial pneumonia, emphysema, effusion, atelectasis, nodules, caps.

Densities and sizes are those of the project's survey of the literature (our choices where it gives none). What fills a
whole part of a lung (effusion, collapse, apical cap) depends on coordinates alone; only textures are random fields.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.phantoms.thorax_canvas import Canvas, edge
from manabi.phantoms.thorax_parameters import Disease

LUNG_HU = -860.0
GRAVITY_HU = 40.0
"""Denser by so much from the front to the back of a lung, patient supine."""


def sample_disease(rng: np.random.Generator, kind: str | None = None) -> Disease:
    """Draw a disease; interstitial pneumonia, the source's patients, is the most frequent."""
    names, weights = list(KINDS), np.array([SHARES[name] for name in KINDS])
    kind = kind or str(rng.choice(names, p=weights / weights.sum()))
    fibrotic = kind in ("uip", "nsip")
    return Disease(
        kind=kind,
        severity=float(rng.uniform(0.2, 1.0)),
        side=str(rng.choice(["right", "left", "both"])),
        volume_loss=float(rng.uniform(0.02, 0.25)) if fibrotic or kind == "atelectasis" else 0.0,
        raised=float(rng.uniform(15, 45)) if rng.random() < (0.5 if kind == "atelectasis" else 0.06) else 0.0,
        seed=int(rng.integers(2**31)),
    )


def apply_disease(canvas: Canvas, disease: Disease, lowest: float) -> None:
    """Change the lungs' density, and ``canvas.lung`` where they are no longer aerated.

    Args:
        canvas: with lungs, vessels and airways painted.
        disease: what to apply.
        lowest: height of the lungs' lowest part.
    """
    KINDS[disease.kind](canvas, disease, np.random.default_rng(disease.seed), lowest)


def field(canvas: Canvas, rng: np.random.Generator, scale_mm: float) -> Tensor:
    """A smooth random field over the canvas, standard normal at the nodes of a grid ``scale_mm`` apart."""
    shape = [max(int(len(a) * float(a[1] - a[0]) / scale_mm) + 2, 2) for a in (canvas.z, canvas.y, canvas.x)]
    coarse = torch.as_tensor(rng.standard_normal(shape), dtype=torch.float32, device=canvas.hu.device)
    return F.interpolate(coarse[None, None], canvas.hu.shape, mode="trilinear", align_corners=True)[0, 0]


def _height(canvas: Canvas, lowest: float) -> Tensor:
    """0 at the lungs' bottom, 1 some 250 mm above, ``(nz, 1, 1)``."""
    return ((canvas.z - lowest) / 250.0).clamp(0.0, 1.0)[:, None, None]


def _on_side(canvas: Canvas, side: str) -> Tensor:
    x = canvas.x[None, None, :]
    if side == "both":
        return torch.ones_like(x)
    return ((x if side == "right" else -x) > 0).float()


def _normal(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Nothing."""


def _peripheral(canvas: Canvas, lowest: float, reach_mm: float) -> Tensor:
    """Weight of a change that is strongest below the pleura and at the bases."""
    low = (1.15 - _height(canvas, lowest)).clamp(0, 1)
    return torch.exp(-canvas.depth.clamp(min=0.0) / reach_mm) * low * canvas.lung


def _uip(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Honeycomb and reticulation, subpleural and basal (weight exp(-d / 12 mm))."""
    weight = (_peripheral(canvas, lowest, 10.0 + 14.0 * disease.severity) * (0.7 + 0.8 * disease.severity)).clamp_(0, 1)
    cells = field(canvas, rng, float(rng.uniform(5, 9)))
    where = edge((weight - 0.35) * 12.0, 4.0)
    canvas.paint(where * edge((cells - 0.1) * 4, 2.0), -950.0)
    canvas.paint(where * edge(1.2 - (cells + 0.25).abs() * 4, 1.5) * 0.9, -150.0)
    lines = field(canvas, rng, float(rng.uniform(6, 11)))
    canvas.paint(weight * edge(1.0 - lines.abs() * 6, 1.5) * 0.8, -250.0)
    canvas.paint(weight * 0.35 * disease.severity, -500.0)


def _nsip(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Ground glass with fine lines, basal."""
    patches = torch.sigmoid(2.0 * field(canvas, rng, 35.0) + 2.0 * disease.severity - 0.5)
    weight = patches * (1.2 - _height(canvas, lowest)).clamp(0, 1) * canvas.lung
    canvas.paint(weight * 0.85, float(rng.uniform(-700, -500)))
    lines = field(canvas, rng, 7.0)
    canvas.paint(weight * edge(0.8 - lines.abs() * 6, 1.5) * 0.6, -300.0)


def _consolidation(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Patches of soft tissue with a halo of ground glass."""
    patches = field(canvas, rng, float(rng.uniform(25, 55)))
    limit = 1.7 - 1.1 * disease.severity
    canvas.paint(edge((patches - limit + 0.35) * 12, 4.0) * canvas.lung * 0.8, -550.0)
    canvas.paint(edge((patches - limit) * 14, 3.0) * canvas.lung * 0.93, float(rng.uniform(-60, 40)))


def _emphysema(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Centrilobular holes, most of them above, and bullae at the tips."""
    canvas.hu -= 45.0 * disease.severity * canvas.lung * (canvas.hu < -600)
    holes = field(canvas, rng, float(rng.uniform(7, 13)))
    above = (0.25 + _height(canvas, lowest)).clamp(0, 1)
    canvas.paint(edge((holes * above - 1.15 + 0.6 * disease.severity) * 6, 2.0) * canvas.lung * 0.9, -975.0)
    for _ in range(int(rng.integers(0, 5))):
        sign, r = rng.choice([-1.0, 1.0]), float(rng.uniform(8, 26))
        centre = (sign * rng.uniform(25, 60), rng.uniform(-45, 0), rng.uniform(35, 75))
        canvas.ellipsoid(centre, (r + 1.0, r + 1.0, r + 1.0), -300.0, into=canvas.lung)
        canvas.ellipsoid(centre, (r, r, r), -985.0, into=canvas.lung)


def _effusion(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Fluid behind and below with a level that rises to the wall, and collapsed lung in front of it."""
    level = lowest + (25.0 + 95.0 * disease.severity)
    x, y, z = canvas.x[None, None, :], canvas.y[None, :, None], canvas.z[:, None, None]
    surface = (-95.0 + 75.0 * disease.severity) - 0.30 * (z - lowest) + 0.0012 * x.square()
    fluid = torch.minimum((surface - y) * 0.9, level - z + 10.0 - canvas.depth.clamp(min=0) * 0.2)
    fluid = fluid + (_on_side(canvas, disease.side) - 1.0) * 1e3
    collapsed = edge(fluid + float(rng.uniform(6, 16)), canvas.voxel) * canvas.lung
    canvas.paint(collapsed * 0.85, float(rng.uniform(-150, 30)))
    wet = edge(fluid, canvas.voxel) * edge(canvas.depth + 1, canvas.voxel)
    canvas.paint(wet, float(rng.uniform(3, 20)))
    canvas.lung *= 1.0 - torch.maximum(wet, collapsed * 0.85)


def _atelectasis(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """A collapsed lower part, beside the spine."""
    side = disease.side if disease.side != "both" else "left"
    sign = 1.0 if side == "right" else -1.0
    x, y, z = canvas.x[None, None, :], canvas.y[None, :, None], canvas.z[:, None, None]
    wedge = 35.0 + 70.0 * disease.severity - 0.55 * (sign * x) - 0.5 * (y + 60.0) - 0.45 * (z - lowest)
    solid = edge(wedge, canvas.voxel) * canvas.lung * ((sign * x) > 0)
    canvas.paint(solid, float(rng.uniform(30, 60)))
    canvas.lung *= 1.0 - solid


def _nodules(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """One large mass or several nodules; a mass may sit at the hilum."""
    count = 1 if rng.random() < 0.5 else int(rng.integers(2, 9))
    for _ in range(count):
        r = float(rng.uniform(18, 45) if count == 1 else rng.uniform(3, 11))
        sign = rng.choice([-1.0, 1.0])
        hilar = count == 1 and rng.random() < 0.5
        centre = (sign * (35.0 if hilar else rng.uniform(45, 115)), rng.uniform(-50, 40),
                  rng.uniform(-40, 10) if hilar else rng.uniform(lowest + 30, 60))  # fmt: skip
        radii = r * rng.uniform(0.8, 1.2, 3)
        canvas.ellipsoid(centre, radii.tolist(), float(rng.uniform(20, 60)), into=canvas.lung)


def _cap(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Scar tissue over the tips of the lungs."""
    z = canvas.z[:, None, None]
    tip = float(canvas.z[torch.nonzero(canvas.lung.amax(dim=(1, 2)) > 0.5).max()]) if canvas.lung.max() > 0.5 else 0.0
    thick = (3.0 + 9.0 * disease.severity) * ((z - tip + 45.0) / 40.0).clamp(0, 1)
    scar = edge(thick - canvas.depth, canvas.voxel) * canvas.lung * _on_side(canvas, disease.side)
    scar *= (thick > 0.5).float()
    canvas.paint(scar, 30.0)
    canvas.lung *= 1.0 - scar


Change = Callable[[Canvas, Disease, np.random.Generator, float], None]

KINDS: dict[str, Change] = {
    "normal": _normal,
    "uip": _uip,
    "nsip": _nsip,
    "consolidation": _consolidation,
    "emphysema": _emphysema,
    "effusion": _effusion,
    "atelectasis": _atelectasis,
    "nodules": _nodules,
    "apical_cap": _cap,
}
"""Disease to what it does to a canvas."""

SHARES = {
    "normal": 3.0, "uip": 4.0, "nsip": 3.0, "consolidation": 1.5, "emphysema": 2.0, "effusion": 1.5, "atelectasis": 1.0,
    "nodules": 1.5, "apical_cap": 1.0,
}  # fmt: skip
"""How often each is drawn (our choice)."""
