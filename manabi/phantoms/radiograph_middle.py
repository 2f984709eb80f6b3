"""The outline of heart and great vessels on a film: what separates the lungs, and where lung lies behind it.

The CT phantom's chest is round where no slice shows it; on a film the left border is made, from above, by aortic arch,
pulmonary trunk and left ventricle, the right one by caval vein and right atrium, and lung reaches behind the heart up
to the vertebrae. Sizes are our choice after adults' films (heart about 0.45 of the chest's inner width).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.thorax_canvas import capsule_depth
from manabi.phantoms.thorax_nodes import Nodes, ellipse, joined, table
from manabi.phantoms.thorax_shape import Frame, Shapes

GUTTER_MM = 70.0
"""How far from the middle lung may reach behind and before the great vessels; farther below, where the heart is."""
RIB_MM = 7.0
"""From the inside of the ribs to the lung there."""


def reshape_middle(shapes: Shapes, frame: Frame) -> None:
    """Replace heart and mediastinum of the large shapes by a film's; changes ``shapes.heart`` and ``shapes.lung``."""
    nodes = shapes.nodes
    dome = nodes.z - shapes.dome
    gutter = torch.minimum(
        torch.minimum(shapes.cage - RIB_MM, 0.8 * dome), GUTTER_MM + (-nodes.z).clamp(0.0, 90.0) - nodes.x.abs()
    )
    heart = _heart(nodes, frame)
    middle = joined((_column(nodes, frame), heart + 1.0, _pad(nodes, frame, heart), *_vessels(nodes, frame)), 6.0)
    shapes.heart = heart
    shapes.lung = torch.minimum(joined((shapes.lung, gutter), 4.0), -middle)


def _heart(nodes: Nodes, frame: Frame) -> Tensor:
    """Depth of ventricles, right atrium and the vessels' roots; the tip rests on the left dome."""
    h, mid = frame.chest.heart, frame.middle
    right, left = frame.tops
    base = min(-38.0, 0.5 * (right + left) + 62.0)
    x, y, z = nodes.x, nodes.y - mid, nodes.z
    axes = (x, y, z)
    wide = 52.0 * h
    tip = capsule_depth(axes, (-10.0, 14.0, base - 8.0), (-wide, 30.0, left + 9.0), 36.0 * h, 25.0 * h, 1.0)
    floor = capsule_depth(axes, (12.0, 26.0, right + 14.0), (-wide, 30.0, left + 9.0), 26.0 * h, 24.0 * h, 1.0)
    atrium = _ball(axes, (13.0 * h, 10.0, 0.5 * (base + right) + 6.0), (29.0 * h, 34.0, 0.5 * (base - right) + 12.0))
    back = _ball(axes, (2.0, -8.0, base - 14.0), (36.0 * h, 22.0 * h, 26.0))
    root = capsule_depth(axes, (0.0, 22.0, base), (-4.0, 22.0, -22.0), 27.0 * h, 20.0, 1.0)
    return joined((tip, floor, atrium, back, root), 14.0)


def _pad(nodes: Nodes, frame: Frame, heart: Tensor) -> Tensor:
    """Depth of the fat between heart and breastbone, narrower towards the front: no lung covers the heart's middle."""
    ahead = nodes.y - frame.middle
    return torch.minimum(heart.amax(dim=1, keepdim=True) - 4.0 - 0.18 * (ahead - 10.0).clamp(min=0.0), ahead)


def _ball(axes: tuple[Tensor, Tensor, Tensor], centre: tuple[float, ...], radii: tuple[float, ...]) -> Tensor:
    """Approximate depth of an ellipsoid, right near its surface."""
    parts = [((a - c) / r) for a, c, r in zip(axes, centre, radii, strict=True)]
    radius = (parts[0].square() + parts[1].square() + parts[2].square()).clamp(min=1e-4).sqrt()
    slope = sum((p / r).square() for p, r in zip(parts, radii, strict=True))
    return (radius * (1.0 - radius) / torch.as_tensor(slope).sqrt().clamp(min=1e-4)).clamp(-60.0, 60.0)


def _column(nodes: Nodes, frame: Frame) -> Tensor:
    """Vertebrae, the upper mediastinum, and the thin plates where the lungs meet."""
    z, m = nodes.z[:, 0, 0], frame.chest.mediastinum / 30.0
    ys = frame.spine(z)[:, None, None]
    _, cy, _, deep = (v[:, None, None] for v in frame.section(z, frame.apex))
    top = max(frame.apex, 50.0)
    up = z - frame.chest.vessels_up
    at = (-160, -70, -40, -10, 20, 45, 0.75 * top, top + 10)
    half = m * table(up, at, (16, 18, 20, 24, 23, 22, 24, 30))[:, None, None]
    thick = table(up, at, (22, 26, 30, 36, 38, 34, 30, 30))[:, None, None]
    ahead = table(up, at, (-12, -10, -4, 4, 8, 10, 12, 12 + 50 * frame.lean))[:, None, None]
    lean = table(up, at, (0, 0, 0, 2, 3, 2, 1, 0))[:, None, None]
    spine = joined((ellipse(nodes.x, nodes.y - ys, (18.0, 17.0)), ellipse(nodes.x, nodes.y - ys + 30.0, (31.0, 15.0)),
                    ellipse(nodes.x + 3.0, nodes.y - ys - 22.0, (10.0, 16.0))), 8.0)  # fmt: skip
    centre = ellipse(nodes.x - lean, nodes.y - ahead, (half, thick), 0.15)
    near = ((nodes.y - cy - deep + 22.0) / 22.0).clamp(0.0, 1.0)
    front = torch.minimum(2.0 + 10.0 * near.square() - (nodes.x + 5.0).abs(), nodes.y - 15.0)
    rear = torch.minimum(7.0 - (nodes.x + 2.0).abs(), torch.minimum(nodes.y - ys, 20.0 - nodes.y))
    return joined((spine, centre, front, rear), 7.0)


def _vessels(nodes: Nodes, frame: Frame) -> list[Tensor]:
    """Aortic arch and descending aorta, pulmonary trunk, superior caval vein, left subclavian artery."""
    m, up = float(np.clip(frame.chest.mediastinum / 30.0, 0.75, 1.3)), frame.chest.vessels_up
    heights = torch.tensor([22.0, -20.0, -110.0, -230.0])
    arch, lower, low, lowest = frame.spine(heights).tolist()
    top, axes = frame.apex, (nodes.x, nodes.y, nodes.z)
    cones = (
        ((-2.0, 22.0, 26.0), (-22.0 * m, arch + 24, 23.0), 14.0 * m, 15.0 * m),
        ((-22.0 * m, arch + 22, 22.0), (-23.0 * m, lower + 18, -20.0), 15.0 * m, 12.5 * m),
        ((-23.0 * m, lower + 18, -20.0), (-18.0, low + 18, -110.0), 12.5 * m, 12.0 * m),
        ((-18.0, low + 18, -110.0), (-8.0, lowest + 28, -230.0), 12.0 * m, 11.0),
        ((-14.0, 30.0, -40.0), (-25.0 * m, 16.0, -12.0), 15.0 * m, 13.0 * m),
        ((22.0 * m, 20.0, -45.0), (20.0 * m, 18.0, 35.0), 10.5, 9.0),
        ((-18.0 * m, 0.0, 26.0), (-24.0, 2.0, 0.9 * top), 7.0, 5.0),
    )
    out = []
    for (x0, y0, z0), (x1, y1, z1), r0, r1 in cones:
        out.append(capsule_depth(axes, (x0, y0, z0 + up), (x1, y1, z1 + up), r0 + 1.5, r1 + 1.5, 1.0))
    return out
