"""Inside the skull of the parametric head: folded cerebrum, ventricles, deep grey matter, cerebellum, brainstem.

Places are in mm in the pons frame (:mod:`manabi.phantoms.brain_landmarks`). Sizes are our choice, held against 14
whole-head label maps: cerebrum 1000-1200 mL, cerebellum 120-150, brainstem 25-30, and their outlines in three planes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.brain_shapes import Nodes, Points, band, chain, ellipsoid, joined

HEMISPHERE_MM = (32.0, -8.0, 36.0)
"""Middle of a hemisphere, towards which its sulci point."""
SEMI_MM = (36.0, 86.0, 57.0)
CEREBELLUM_MM = (0.0, -34.0, -12.0)
"""Where the white matter of the cerebellum leaves, towards which its fissures point."""


def cerebrum(p: Points) -> Tensor:
    """Depth below the cerebrum's outline, sulci and the fissure between the hemispheres filled."""
    x, y, z = p[0].abs(), p[1], p[2]
    a = (x, y, z)
    hull = ellipsoid((x * (1.0 + 0.0012 * (y + 20.0).clamp(min=0.0)), y, z), (0.0, -8.0, 35.0), (69.0, 87.0, 59.0))
    frontal = 0.16 * (y - 35.0).clamp(min=0.0) + 3.0
    hull = torch.minimum(hull, z - frontal - 5.0 * torch.exp(-((x / 16.0).square())) * (y < 60).float() + 3.0)
    hull = torch.minimum(hull, z - (9.0 - 12.0 * ((y - 25.0) / 30.0).clamp(0.0, 1.0) - 0.02 * x.square()) + 2.0)
    front = ellipsoid(a, (43.0, 5.0, -4.0), (22.0, 33.0, 19.0))
    temporal = joined(front, ellipsoid(a, (46.0, -26.0, 2.0), (21.0, 40.0, 19.0)), 8.0)
    medial = ellipsoid(a, (28.0, -8.0, 0.0), (12.0, 26.0, 11.0))
    hull = joined(hull, joined(temporal, medial, 6.0), 4.0)
    hull = joined(hull, ellipsoid(a, (20.0, -66.0, 8.0), (30.0, 32.0, 20.0)), 6.0)
    return torch.minimum(hull, 0.85 * (z - tentorium(p)) + 0.8 * (y + 40.0).clamp(min=0.0))


def tentorium(p: Points) -> Tensor:
    """Height of the tentorium, which slopes backwards and outwards from its notch."""
    x, y = p[0].abs(), p[1]
    return 19.0 - 0.42 * (x - 8.0).clamp(0.0, 42.0) - 0.30 * (-28.0 - y).clamp(min=0.0)


def core(p: Points) -> Tensor:
    """Depth below the outer edge of the corpus callosum, seen from the side; no fissure runs within."""
    y, z = p[1], p[2]
    flat = torch.zeros_like(y)
    arch = ellipsoid((flat, y, z + 0.002 * (y - 2.0).square()), (0.0, 2.0, 27.0), (1e3, 38.0, 22.5))
    return joined(arch, ellipsoid((flat, y, z), (0.0, -4.0, 20.0), (1e3, 20.0, 13.0)), 6.0)


def joint(p: Points) -> Tensor:
    """Depth in the hemispheres' stem, where neither cortex nor fluid lies between thalamus, callosum and brainstem."""
    callosum = torch.minimum(core(p) - 0.035 * p[0].square(), p[2] - 22.0)
    return torch.maximum(ellipsoid(p, (0.0, -4.0, 21.0), (25.0, 27.0, 13.0)), callosum)


def sylvian(p: Points) -> Tensor:
    """Depth into the Sylvian fissure and the cleft over the insula; negative outside."""
    x, y, z = p[0].abs(), p[1], p[2]
    level = 13.0 + 0.28 * (8.0 - y)
    ahead = ((26.0 - y) * 0.6).clamp(max=4.0)
    behind = ((y + 34.0) * 0.6).clamp(max=4.0)
    gap = torch.minimum(1.0 - (z - level).abs(), torch.minimum(torch.minimum(ahead, behind), 0.8 * (x - 35.0)))
    wall = 37.5 - 0.004 * (y - 4.0).square() - 0.05 * (z - level).abs()
    height = torch.where(z > level, 13.0 - (z - level), 8.0 + (z - level))
    cleft = torch.minimum(1.2 - (x - wall).abs(), torch.minimum(height, torch.minimum(ahead, behind)))
    stem = torch.minimum(
        2.0 - (y - 24.0 + 0.2 * (x - 30.0)).abs(), torch.minimum(14.0 - z, torch.minimum(z + 16.0, x - 14.0))
    )
    return torch.maximum(torch.maximum(gap, cleft), stem)


def folds(nodes: Nodes, p: Points, rng: np.random.Generator, wave_mm: float) -> tuple[Tensor, Tensor]:
    """Signed distance from the nearest sulcus's middle (mm), and how deep sulci are there (mm)."""
    right = (p[0] > 0).float() * 500.0
    rel = [p[0].abs() - HEMISPHERE_MM[0], p[1] - HEMISPHERE_MM[1], p[2] - HEMISPHERE_MM[2]]
    radius = torch.stack([v / s for v, s in zip(rel, SEMI_MM, strict=True)]).norm(dim=0).clamp(min=0.15)
    factor = radius**-0.75
    x, y, z = (v * factor for v in rel)
    warp = [band((x + right, y, z), rng, 1.7 * wave_mm) * 4.5 for _ in range(3)]
    q = (x + right + warp[0], y + warp[1], z + warp[2])
    noise = band(q, rng, wave_mm)
    distance = noise / nodes.slope(noise).clamp(min=0.25 * 2 * np.pi / wave_mm)
    depth = 16.0 + 6.0 * band((x + right, y, z), rng, 1.5 * wave_mm)
    return distance.clamp(-12.0, 12.0), depth.clamp(4.0, 24.0)


def ventricles(p: Points, size: float) -> Tensor:
    """Depth in the ventricles; ``size`` widens them (1 is a young adult's, 2.4 a hydrocephalus)."""
    wide = [(8.5, 33.0, 26.0, 3.4), (10.0, 27.0, 32.0, 5.6), (9.5, 8.0, 37.0, 4.8), (13.0, -14.0, 37.0, 4.8),
            (21.0, -33.0, 29.0, 6.4), (24.0, -48.0, 22.0, 3.4), (23.0, -60.0, 20.0, 1.6)]  # fmt: skip
    horn = [(22.0, -34.0, 27.0, 4.6), (31.0, -26.0, 11.0, 2.4), (34.0, -8.0, -2.0, 2.0), (32.0, 6.0, -5.0, 1.6)]
    grown = [
        [(x + 0.35 * (size - 1) * r, y, z + 0.25 * (size - 1) * r, r * size) for x, y, z, r in path]
        for path in (wide, horn)
    ]
    a = (p[0].abs(), p[1], p[2])
    lateral = torch.minimum(torch.maximum(chain(a, grown[0], 0.85), chain(a, grown[1])), a[0] - 1.2)
    third = torch.minimum(
        ellipsoid(p, (0.0, -1.0, 19.0), (2.2 * size, 15.0, 10.0)), 0.9 * size + 0.4 - p[0].abs() * 0.6
    )
    aqueduct = chain(p, ((0, -14.0, 16.0, 1.6), (0, -21.0, 6.0, 1.6), (0, -24.0, -4.0, 1.8)))
    fourth = ellipsoid((p[0], p[1] + 0.28 * p[2], p[2]), (0.0, -26.5, -13.0), (7.5 * size**0.25, 4.6 * size**0.4, 14.0))
    return torch.maximum(torch.maximum(lateral, third), torch.maximum(aqueduct, fourth))


def plexus(p: Points, size: float) -> Tensor:
    """Depth in the choroid plexus at the turn of the lateral ventricles."""
    grow = 0.25 * (size - 1.0) * 6.0
    a = (p[0].abs() - grow, p[1], p[2])
    return chain(
        a, ((13.0, -16.0, 33.5, 1.2), (19.0, -29.0, 28.0, 2.4), (22.0, -37.0, 25.0, 3.0), (28.0, -29.0, 14.0, 1.4))
    )


def deep_grey(p: Points, size: float) -> Tensor:
    """Depth in thalamus, caudate nucleus, putamen, hippocampus and amygdala, pushed outwards by the ventricles."""
    push = 2.6 * (size - 1.0)
    x = p[0].abs() - push * torch.exp(-(((p[2] - 28.0) / 18.0).square()))
    y, z = p[1], p[2]
    a = (x, y, z)
    turned = x + 0.35 * (y + 6.0)
    thalamus = ellipsoid((turned, y, z), (11.0, -8.0, 21.0), (8.5, 15.5, 9.0))
    caudate = chain(a, ((13.0, 31.0, 20.0, 5.0), (15.5, 26.0, 29.0, 5.6), (17.0, 12.0, 36.0, 3.6),
                        (20.5, -10.0, 37.0, 2.6), (27.0, -30.0, 28.0, 2.0)))  # fmt: skip
    wedge = x - 0.22 * (10.0 - y).abs()
    putamen = ellipsoid((wedge, y, z), (25.5, 10.0, 20.0), (5.2, 18.5, 11.5))
    hippocampus = chain(
        a, ((25.0, 2.0, -5.0, 5.0), (26.0, -8.0, -2.0, 4.6), (25.0, -20.0, 5.0, 3.6), (21.0, -30.0, 13.0, 2.4))
    )
    amygdala = ellipsoid(a, (23.0, 11.0, -3.0), (7.5, 8.0, 7.0))
    ventral = ellipsoid(a, (10.0, -6.0, 9.5), (6.5, 9.0, 5.0))
    parts = (caudate, putamen, hippocampus, amygdala, ventral)
    out = thalamus
    for part in parts:
        out = torch.maximum(out, part)
    return out


def pallidum(p: Points) -> Tensor:
    """Depth in the globus pallidus."""
    a = (p[0].abs() - 0.22 * (8.0 - p[1]).abs(), p[1], p[2])
    return ellipsoid(a, (18.0, 8.0, 17.5), (4.2, 10.5, 7.0))


def brainstem(p: Points) -> Tensor:
    """Depth in midbrain, pons and medulla, with the cord below."""
    x, y, z = p[0].abs(), p[1], p[2]
    pons = ellipsoid(p, (0.0, -12.5, -4.0), (17.0, 12.5, 13.5))
    midbrain = joined(
        ellipsoid(p, (0.0, -20.0, 12.0), (13.0, 10.0, 13.0)),
        chain((x, y, z), ((8.0, -12.0, 4.0, 6.0), (11.5, -9.0, 14.0, 5.0))),
        3.0,
    )
    tectum = chain((x, y, z), ((5.0, -27.0, 13.0, 4.0), (5.0, -27.0, 6.0, 3.6)))
    medulla = chain(
        p,
        ((0.0, -18.0, -14.0, 10.0), (0.0, -19.5, -27.0, 8.2), (0.0, -25.0, -44.0, 6.0), (0.0, -31.0, -90.0, 5.6)),
        1.15,
    )
    return joined(joined(pons, joined(midbrain, tectum, 2.0), 4.0), medulla, 4.0)


def cerebellum(p: Points) -> Tensor:
    """Depth below the cerebellum's outline."""
    x, y, z = p[0].abs(), p[1], p[2]
    half = ellipsoid((x, y + 0.25 * (x - 24.0), z + 0.10 * (y + 46.0)), (25.0, -47.0, -9.0), (30.0, 28.5, 23.0))
    vermis = ellipsoid(p, (0.0, -47.0, -6.0), (12.0, 23.0, 24.0))
    tonsil = ellipsoid((x, y, z), (9.0, -40.0, -29.0), (8.0, 10.0, 9.0))
    whole = joined(joined(half, vermis, 5.0), tonsil, 3.0)
    return torch.minimum(whole, tentorium(p) - 2.5 - z)


def peduncles(p: Points) -> Tensor:
    """Depth in the white matter that joins pons and cerebellum."""
    a = (p[0].abs(), p[1], p[2])
    return chain(
        a, ((12.0, -17.0, -6.0, 8.0), (17.0, -29.0, -11.0, 7.5), (20.0, -40.0, -14.0, 8.0), (24.0, -50.0, -15.0, 6.0))
    )


def foliation(nodes: Nodes, p: Points, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Signed distance from the nearest fissure of the cerebellum (mm), and the fissures' depth (mm)."""
    y, z = p[1] - CEREBELLUM_MM[1], p[2] - CEREBELLUM_MM[2]
    angle = torch.atan2(z, -y + 4.0)
    radius = (y.square() + z.square()).sqrt()
    lobules = torch.sin(angle * 13.0 + 0.8 * band(p, rng, 34.0) + 0.012 * p[0].abs())
    distance = lobules / nodes.slope(lobules).clamp(min=0.12)
    depth = 7.0 + 5.0 * band(p, rng, 30.0) + 0.15 * radius
    return distance.clamp(-8.0, 8.0), depth.clamp(3.0, 15.0)
