"""What goes wrong in the simulated lungs: interstitial pneumonia, emphysema, effusion, atelectasis, nodules, caps.

Densities and sizes are those of the project's survey of the literature (our choices where it gives none). Everything
depends on coordinates and the disease's seed alone, so that it looks the same on any grid. A function changes the
canvas in place: ``hu``, and ``lung`` where lung is no longer aerated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from manabi.errors import InvalidInputError
from manabi.phantoms.thorax_canvas import Canvas, edge
from manabi.phantoms.thorax_masses import paint_bullae, paint_nodules
from manabi.phantoms.thorax_parameters import Disease
from manabi.phantoms.thorax_patterns import cells, cropped, field, lung_box

LUNG_HU = -860.0
GRAVITY_HU = 40.0
"""Denser by so much from the front to the back of a lung, patient supine."""
AERATED_LEFT = 0.3
"""Of its lung share, what a voxel of densest consolidation keeps (air bronchograms)."""


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

    Raises:
        InvalidInputError: for an unknown disease.
    """
    if disease.kind not in KINDS:
        raise InvalidInputError(f"A disease must be one of {', '.join(KINDS)}; got {disease.kind!r}.")
    box = lung_box(canvas)
    if box is not None:
        KINDS[disease.kind](cropped(canvas, box), disease, np.random.default_rng(disease.seed), lowest)


def _height(canvas: Canvas, lowest: float) -> Tensor:
    """0 at the lungs' bottom, 1 some 250 mm above, ``(nz, 1, 1)``."""
    return ((canvas.z - lowest) / 250.0).clamp(0.0, 1.0)[:, None, None]


def _on_side(canvas: Canvas, side: str) -> Tensor:
    x = canvas.x[None, None, :]
    if side == "both":
        return torch.ones_like(x)
    return ((x if side == "right" else -x) > 0).float()


def _tissue(canvas: Canvas) -> Tensor:
    """Share of each voxel that is lung without the airways' lumen."""
    return canvas.lung * (1.0 - canvas.lumen)


def _whole(canvas: Canvas) -> Tensor:
    """Where soft tissue replaces lung: up to the pleura, without a rim of the voxels that are lung in part."""
    return (2.0 * canvas.lung).clamp_(max=1.0) * (1.0 - canvas.lumen)


def _axes(canvas: Canvas) -> tuple[Tensor, Tensor, Tensor]:
    return canvas.x[None, None, :], canvas.y[None, :, None], canvas.z[:, None, None]


def _lines(canvas: Canvas, weight: Tensor, rng: np.random.Generator, scale_mm: float, hu: float) -> None:
    """A network of lines about 1.6 mm thick: where a random field, whose slope is about 2 per scale, crosses 0."""
    crossing = field(canvas, rng, scale_mm).abs_().mul_(-0.5 * scale_mm)
    canvas.paint(edge(crossing + 0.8, canvas.voxel) * min(1.0, 1.6 / canvas.voxel) * weight, hu)


def _comb(canvas: Canvas, weight: Tensor, rng: np.random.Generator, scale_mm: float, half_mm: float, hu: float,
          inside_hu: float) -> None:  # fmt: skip
    """Cysts and the walls between them, where ``weight`` is above 0.1."""
    where = weight > 0.1
    if not bool(where.any()):
        return
    wall, own = cells(canvas, where, rng, scale_mm)
    share = weight[where]
    here = canvas.hu[where]
    here = here + share * (inside_hu + 60.0 * own - here)
    line = edge(half_mm * (0.6 + 0.8 * own) - wall, canvas.voxel) * min(1.0, 2 * half_mm / canvas.voxel)
    canvas.hu[where] = here + share * line * (hu - here)


def _normal(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Nothing."""


def _uip(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Honeycomb of 3 to 10 mm and reticulation, subpleural and basal (weight exp(-d / 12 mm))."""
    reach = 6.0 + 12.0 * disease.severity
    low = (1.2 - 1.1 * _height(canvas, lowest)).clamp(0.08, 1.0)
    below = torch.exp(-canvas.depth.clamp(min=0.0) / reach) * low
    patchy = below * (1.0 + 0.45 * field(canvas, rng, 28.0))
    tissue = _tissue(canvas)
    canvas.paint((1.6 * patchy).clamp_(0, 1) * tissue * (0.15 + 0.35 * disease.severity), -620.0)
    lines = (2.2 * patchy - 0.1).clamp_(0, 1) * tissue
    _lines(canvas, lines, rng, float(rng.uniform(4, 8)), float(rng.uniform(-350, -150)))
    comb = ((patchy - 0.6 + 0.4 * disease.severity) * 6.0).clamp_(0, 1) * tissue
    _comb(canvas, comb, rng, float(rng.uniform(5.5, 10.5)), float(rng.uniform(0.8, 1.3)), -90.0, -975.0)


def _nsip(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Ground glass with fine lines, basal, sparing nothing or the outermost lung."""
    low = 1.25 - 1.6 * _height(canvas, lowest)
    fields = 0.8 * field(canvas, rng, 40.0) + 0.45 * field(canvas, rng, 12.0)
    near = torch.exp(-canvas.depth.clamp(min=0.0) / 35.0)
    weight = torch.sigmoid(2.6 * (fields + 1.6 * low + 0.8 * near - 2.2 + 1.5 * disease.severity)) * _tissue(canvas)
    canvas.paint(weight * 0.9, float(rng.uniform(-700, -450)))
    _lines(canvas, weight * 0.5, rng, float(rng.uniform(4, 7)), float(rng.uniform(-400, -200)))


def _consolidation(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Patches of soft tissue with a halo of ground glass, more below the pleura; airways stay open in them."""
    patches = field(canvas, rng, float(rng.uniform(22, 45))) + 0.35 * field(canvas, rng, 9.0)
    patches += 0.6 * torch.exp(-canvas.depth.clamp(min=0.0) / 15.0)
    patches -= 1.9 - 1.2 * disease.severity
    tissue = _tissue(canvas)
    canvas.paint(torch.sigmoid(6.0 * (patches + 0.35)) * tissue * 0.7, float(rng.uniform(-650, -500)))
    solid = torch.sigmoid(14.0 * patches)
    canvas.paint(solid * _whole(canvas) * 0.95, float(rng.uniform(-60, 40)))
    canvas.lung *= 1.0 - solid * tissue * (1.0 - AERATED_LEFT)


def _emphysema(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Centrilobular holes, most of them above, lower density, and bullae at the tips."""
    above = (0.35 + _height(canvas, lowest)).clamp(0, 1)
    tissue = _tissue(canvas)
    canvas.hu -= 55.0 * disease.severity * above * tissue * (canvas.hu < -600)
    holes = field(canvas, rng, float(rng.uniform(5, 9))) + 0.5 * field(canvas, rng, 30.0)
    holes = (holes - 2.2 + 1.9 * disease.severity * above) * 1.6
    canvas.paint(holes.clamp_(0, 1) * tissue * (canvas.hu < -500), -985.0)
    paint_bullae(canvas, rng, int(rng.integers(0, 3 + round(5 * disease.severity))))


def _effusion(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Fluid behind a lying patient's lung, thickest at the base, with a meniscus; collapsed lung in front of it."""
    x, y, z = _axes(canvas)
    back = float(canvas.y[canvas.lung.amax(dim=(0, 2)) > 0.5][0])
    reach = 60.0 + 170.0 * disease.severity
    thick = (10.0 + 105.0 * disease.severity) * (1.0 - (z - lowest) / reach).clamp(0.0, 1.0).sqrt()
    rise = 0.25 * ((x.abs() - 75.0) / 45.0).square() * thick
    fluid = back + thick + rise - y - 6.0 * (thick <= 0.0)
    fluid = torch.where(thick > 0, fluid, torch.full_like(fluid, -1e3)) + (_on_side(canvas, disease.side) - 1.0) * 1e3
    squeezed = edge(fluid + float(rng.uniform(4, 16)), canvas.voxel) * 0.92
    canvas.paint(squeezed * _whole(canvas), float(rng.uniform(-80, 50)))
    wet = edge(fluid, canvas.voxel) * edge(canvas.depth + 1.0, canvas.voxel)
    canvas.paint(wet, float(rng.uniform(3, 20)))
    canvas.lung *= 1.0 - torch.maximum(wet, squeezed)
    canvas.lumen *= 1.0 - wet


def _atelectasis(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """A collapsed lower lobe beside the spine, a collapsed upper lobe beside the mediastinum, or plates at the base."""
    sign = {"right": 1.0, "left": -1.0}.get(disease.side, float(rng.choice([-1.0, 1.0])))
    x, y, z = _axes(canvas)
    out = sign * x
    form = rng.choice(["lower", "upper", "plates"], p=[0.5, 0.25, 0.25])
    if form == "lower":
        depth = 30.0 + 75.0 * disease.severity - 0.55 * out - 0.5 * (y + 60.0) - 0.4 * (z - lowest - 20.0)
    elif form == "upper":
        beside = 30.0 + 50.0 * disease.severity - 0.75 * out + 0.2 * (y - 20.0)
        depth = torch.minimum(beside, z - 5.0 + 0.3 * y)
    else:
        tilt = rng.uniform(-0.25, 0.25, 2)
        heights = lowest + rng.uniform(45, 120, 3)
        levels = [(z - h - tilt[0] * (out - 70.0) - tilt[1] * y - 0.002 * (out - 70.0).square()).abs() for h in heights]
        depth = 1.0 + 2.5 * disease.severity - torch.stack(torch.broadcast_tensors(*levels)).amin(dim=0)
        depth = depth - (45.0 - canvas.depth).clamp(max=0.0).abs()
    solid = edge(depth, canvas.voxel) * (out > 0)
    canvas.paint(solid * _whole(canvas), float(rng.uniform(30, 60)))
    canvas.lung *= 1.0 - solid


def _nodules(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """One large mass, maybe at the hilum, or several nodules."""
    paint_nodules(canvas, rng, lowest)


def _cap(canvas: Canvas, disease: Disease, rng: np.random.Generator, lowest: float) -> None:
    """Scar tissue over the tips of the lungs."""
    z = canvas.z[:, None, None]
    there = torch.nonzero(canvas.lung.amax(dim=(1, 2)) > 0.5)
    tip = float(canvas.z[there.max()]) if len(there) else 0.0
    thick = (3.0 + 9.0 * disease.severity) * ((z - tip + 45.0) / 40.0).clamp(0, 1)
    ragged = thick * (1.0 + 0.35 * field(canvas, rng, 12.0))
    scar = edge(ragged - canvas.depth, canvas.voxel) * _on_side(canvas, disease.side) * (thick > 0.5)
    canvas.paint(scar * _whole(canvas), 30.0)
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
