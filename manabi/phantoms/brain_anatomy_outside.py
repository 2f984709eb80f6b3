"""Around the brain of the parametric head: cranial cavity, skull, scalp, face and neck; see also the module inside.

Places are in mm in the pons frame (:mod:`manabi.phantoms.brain_landmarks`); sizes are our choice.
"""

from __future__ import annotations

import torch
from torch import Tensor

from manabi.phantoms.brain_shapes import Points, chain, ellipsoid, joined


def cavity(p: Points) -> Tensor:
    """Depth below the inner table of the skull."""
    x, y, z = p[0].abs(), p[1], p[2]
    vault = ellipsoid((x * (1.0 + 0.0012 * (y + 20.0).clamp(min=0.0)), y, z), (0.0, -8.0, 35.0), (72.5, 91.0, 63.0))
    floor = 12.0 - 13.0 * ((y - 22.0) / 26.0).clamp(0.0, 1.0) + 0.14 * (y - 40.0).clamp(min=0.0)
    vault = torch.minimum(vault, z - floor + 6.0)
    a = (x, y, z)
    middle = joined(
        ellipsoid(a, (44.0, 4.0, -3.0), (25.0, 37.0, 23.0)), ellipsoid(a, (46.0, -28.0, 2.0), (25.0, 44.0, 22.0)), 8.0
    )
    rear = ellipsoid(p, (0.0, -46.0, -8.0), (60.0, 36.5, 26.5))
    clivus = chain(
        p,
        (
            (0.0, -12.0, 6.0, 19.0),
            (0.0, -17.0, -14.0, 18.0),
            (0.0, -24.0, -34.0, 14.0),
            (0.0, -29.0, -52.0, 11.0),
            (0.0, -32.0, -95.0, 9.0),
        ),
        1.1,
    )
    sella = ellipsoid(p, (0.0, 14.0, 10.0), (18.0, 16.0, 9.0))
    inner = joined(joined(vault, middle, 5.0), joined(rear, clivus, 6.0), 6.0)
    return joined(inner, sella, 4.0)


def skin(p: Points, scalp_mm: float) -> Tensor:
    """Depth below the skin."""
    x, y, z = p[0].abs(), p[1], p[2]
    out = 6.5 + scalp_mm
    vault = ellipsoid(
        (x * (1.0 + 0.0010 * (y + 20.0).clamp(min=0.0)), y, z), (0.0, -8.0, 33.0), (73.0 + out, 92.0 + out, 65.0 + out)
    )
    base = ellipsoid(p, (0.0, -14.0, -8.0), (67.0 + out, 76.0 + out, 62.0))
    face = ellipsoid((x, y, z), (0.0, 30.0, -38.0), (62.0, 59.0, 78.0))
    nose = chain(p, ((0.0, 84.0, -12.0, 6.0), (0.0, 98.0, -38.0, 10.0)))
    neck = ellipsoid((x, y - 0.15 * z, z), (0.0, -22.0, -110.0), (62.0, 66.0, 110.0))
    ear = ellipsoid((x, y, z), (80.0, -22.0, -14.0), (6.0, 14.0, 26.0))
    out_depth = joined(joined(vault, base, 14.0), joined(face, neck, 16.0), 14.0)
    return torch.maximum(joined(out_depth, nose, 7.0), ear)


def face_air(p: Points) -> Tensor:
    """Depth in nasal cavity, sinuses and pharynx."""
    a = (p[0].abs(), p[1], p[2])
    sphenoid = ellipsoid(a, (7.0, 26.0, -8.0), (8.0, 11.0, 8.5))
    ethmoid = ellipsoid(a, (7.0, 52.0, -9.0), (6.0, 16.0, 9.0))
    frontal = ellipsoid(a, (10.0, 79.0, 8.0), (11.0, 3.5, 10.0))
    maxilla = ellipsoid(a, (27.0, 55.0, -42.0), (13.0, 15.0, 15.0))
    passage = ellipsoid(a, (6.0, 52.0, -35.0), (3.0, 34.0, 17.0))
    throat = ellipsoid(p, (0.0, 12.0, -50.0), (12.0, 6.0, 34.0))
    out = sphenoid
    for part in (ethmoid, frontal, maxilla, passage, throat):
        out = torch.maximum(out, part)
    return out


def mastoid(p: Points) -> Tensor:
    """Depth in the air cells behind the ear."""
    return ellipsoid((p[0].abs(), p[1], p[2]), (54.0, -30.0, -26.0), (7.0, 10.0, 11.0))


def face_bone(p: Points) -> Tensor:
    """Depth in brow and cheek bones."""
    a = (p[0].abs(), p[1], p[2])
    return chain(a, ((14.0, 76.0, 4.0, 6.0), (36.0, 72.0, 5.0, 6.0), (50.0, 56.0, -6.0, 5.0), (50.0, 50.0, -28.0, 5.0),
                     (66.0, 20.0, -28.0, 4.0), (64.0, -4.0, -26.0, 5.0)))  # fmt: skip


def skull_base(p: Points) -> Tensor:
    """Depth in petrous bones, clivus, first vertebrae and jaw; their marrow is told apart by depth."""
    a = (p[0].abs(), p[1], p[2])
    petrous = chain(a, ((14.0, 4.0, -22.0, 9.0), (38.0, -16.0, -20.0, 10.0), (56.0, -28.0, -24.0, 14.0)))
    clivus = chain(p, ((0.0, 12.0, -8.0, 9.0), (0.0, 2.0, -32.0, 8.0)))
    axis = ellipsoid(p, (0.0, -12.0, -78.0), (11.0, 8.0, 26.0))
    atlas = ellipsoid(a, (20.0, -26.0, -58.0), (11.0, 10.0, 7.0))
    jaw = chain(a, ((52.0, 10.0, -34.0, 5.0), (50.0, 14.0, -80.0, 6.0)))
    out = petrous
    for part in (clivus, axis, atlas, jaw):
        out = torch.maximum(out, part)
    return out


def nose(p: Points) -> Tensor:
    """Depth in the block of nasal cavity and sinuses: bone outside, mucosa and air inside."""
    high = ellipsoid(p, (0.0, 50.0, -16.0), (17.0, 36.0, 22.0))
    low = ellipsoid((p[0].abs(), p[1], p[2]), (14.0, 52.0, -40.0), (24.0, 30.0, 18.0))
    return joined(high, low, 5.0)


def orbit(p: Points) -> tuple[Tensor, Tensor]:
    """Depth in the fat behind the eye, and in the eyeball."""
    a = (p[0].abs(), p[1], p[2])
    fat = chain(a, ((16.0, 34.0, -3.0, 3.0), (31.0, 62.0, -9.0, 16.0), (32.0, 72.0, -9.0, 15.0)))
    return fat, ellipsoid(a, (32.0, 66.0, -9.0), (12.0, 12.0, 12.0))


def eye_muscles(p: Points) -> Tensor:
    """Depth in the optic nerve and four straight muscles."""
    a = (p[0].abs(), p[1], p[2])
    out = chain(a, ((14.0, 30.0, 0.0, 2.0), (31.0, 56.0, -9.0, 2.0)))
    for dx, dz in ((10.0, 0.0), (-10.0, 0.0), (0.0, 10.0), (0.0, -10.0)):
        middle = (26.0 + 0.9 * dx, 54.0, -7.0 + 0.9 * dz, 2.4)
        out = torch.maximum(out, chain(a, ((16.0, 34.0, -3.0, 1.2), middle, (31.0 + dx, 64.0, -9.0 + dz, 1.2))))
    return out


def muscle(p: Points) -> Tensor:
    """Depth in the temporal, chewing, neck and tongue muscles."""
    a = (p[0].abs(), p[1], p[2])
    temporal = ellipsoid(a, (68.0, 22.0, 8.0), (10.0, 36.0, 36.0))
    chewing = ellipsoid(a, (54.0, 18.0, -52.0), (14.0, 20.0, 34.0))
    wing = ellipsoid(a, (34.0, 20.0, -44.0), (12.0, 16.0, 26.0))
    neck = ellipsoid(a, (24.0, -58.0, -68.0), (26.0, 24.0, 38.0))
    front = ellipsoid(a, (30.0, -8.0, -72.0), (16.0, 14.0, 38.0))
    tongue = ellipsoid(p, (0.0, 42.0, -84.0), (24.0, 32.0, 22.0))
    out = temporal
    for part in (chewing, wing, neck, front, tongue):
        out = torch.maximum(out, part)
    return out
