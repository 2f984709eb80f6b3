"""The body around the lungs: outline, fat, muscle, bones, mediastinum, heart, abdomen, arms.

Shapes are analytic: an outline is an ellipse of changing size by level, organs are ellipsoids and cones. Sizes are our
choice after the anatomy of adults; the parameters vary them far enough that real patients lie within.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from manabi.phantoms.thorax_canvas import Canvas, edge
from manabi.phantoms.thorax_parameters import Chest, Disease

FAT, MUSCLE, CANCELLOUS, CORTICAL, SOFT = -100.0, 55.0, 230.0, 800.0, 45.0
RIB_PITCH = 27.0


@dataclass(frozen=True)
class Profile:
    """Half width, half depth and middle (front-back) of an ellipse, by height above the carina."""

    z: tuple[float, ...]
    width: tuple[float, ...]
    depth: tuple[float, ...]
    middle: tuple[float, ...]

    def at(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three at heights ``(nz,)``; linear between the given ones, smoothed over 12 mm."""
        heights = z.cpu().numpy().astype(float)
        spread = np.linspace(-12, 12, 7)
        out = []
        for values in (self.width, self.depth, self.middle):
            smooth = np.mean([np.interp(heights + s, self.z, values) for s in spread], axis=0)
            out.append(torch.as_tensor(smooth, dtype=torch.float32, device=z.device))
        return out[0], out[1], out[2]


def cage(chest: Chest, apex: float, lowest: float) -> Profile:
    """Inside of the ribs for a lung of a given height; its tip closes at ``apex``."""
    a, b = 136.0 * chest.size, 88.0 * chest.size * chest.depth
    heights = (lowest - 60, lowest, -100.0, -40.0, 0.0, 0.45 * apex, 0.72 * apex, 0.88 * apex, 0.97 * apex, apex,
               apex + 30)  # fmt: skip
    width = (0.92 * a, 0.98 * a, 1.04 * a, 1.06 * a, a, 0.83 * a, 0.64 * a, 0.5 * a, 0.4 * a, 0.27 * a, 0.1)
    depth = (0.98 * b, 1.06 * b, 1.1 * b, 1.06 * b, b, 0.82 * b, 0.6 * b, 0.42 * b, 0.3 * b, 0.16 * b, 0.1)
    back = -72.0 * chest.size * chest.depth
    shift = (-12, -16, -14, -8, 0, 4, 9, 16, 24, 32, 36)
    behind = [back + s for s in shift]
    return Profile(heights, width, depth, tuple(p + d for p, d in zip(behind, depth, strict=True)))


def skin(chest: Chest, lowest: float) -> Profile:
    """The body's outline from the abdomen to the head."""
    over = chest.fat + chest.wall
    a, b = 136.0 * chest.size, 88.0 * chest.size * chest.depth
    shoulder = 178.0 * (0.55 + 0.45 * chest.size) + 0.6 * chest.fat + (14.0 if chest.arms == "down" else 0.0)
    top = 0.5 * (chest.apex_right + chest.apex_left)
    heights = (lowest - 150, lowest - 50, -100.0, -30.0, 0.3 * top, 0.75 * top, top + 8, top + 32, top + 62, top + 100,
               top + 160)  # fmt: skip
    width = (a + over, a + over + 4, 1.05 * a + over + 6, a + over + 20, shoulder - 6, shoulder, shoulder * 0.93,
             shoulder * 0.62, chest.neck * 1.12, chest.neck, chest.neck * 1.22)  # fmt: skip
    depth = (b + over * 1.1, 1.05 * b + over, 1.1 * b + over, 1.06 * b + over, 0.95 * b + over, 0.82 * b + 0.8 * over,
             0.62 * b + 0.8 * over, chest.neck * 0.95, chest.neck * 0.9, chest.neck * 0.98,
             chest.neck * 1.5)  # fmt: skip
    back = -72.0 * chest.size * chest.depth
    middle = (back + b - 6, back + b - 4, back + 1.1 * b - 14, back + 1.06 * b - 8, back + 0.9 * b,
              back + 0.72 * b,
              back + 0.55 * b + 6, -10.0, -4.0, 0.0, 8.0)  # fmt: skip
    return Profile(heights, width, depth, middle)


def ellipse_depth(canvas: Canvas, profile: Profile, power: float = 2.0) -> Tensor:
    """Approximate mm below the surface of a stack of (super)ellipses, on the whole canvas."""
    width, depth, middle = (v[:, None, None] for v in profile.at(canvas.z))
    along = (canvas.x[None, None, :].abs() / width).pow(power)
    across = ((canvas.y[None, :, None] - middle).abs() / depth).pow(power)
    radius = (along + across).pow_(1.0 / power)
    return radius.neg_().add_(1.0).mul_(torch.minimum(width, depth))


@dataclass
class Lungs:
    """Shapes that the body and the diseases need.

    Attributes:
        cage: mm inside the ribs, on the canvas.
        dome: height of the diaphragm under each place, ``(ny, nx)``.
        lowest: height of the lungs' lowest part, approximately.
        hulls: extent of each lung.
    """

    cage: Tensor
    dome: Tensor
    lowest: float
    hulls: dict[str, tuple[float, float, float, float, float, float]]


def dome_tops(chest: Chest, disease: Disease) -> tuple[float, float]:
    """Heights of the right and left dome, raised by disease; negative, below the carina."""
    lift = disease.volume_loss
    right, left = (-d * (1 - lift) for d in (chest.dome_right, chest.dome_left))
    right += disease.raised if disease.side == "right" else 0.0
    left += disease.raised if disease.side == "left" else 0.0
    return right, left


def place_lungs(canvas: Canvas, chest: Chest, disease: Disease) -> Lungs:
    """Fill ``canvas.depth`` and ``canvas.lung``."""
    right, left = dome_tops(chest, disease)
    drop = chest.recess * (1 - 0.6 * disease.volume_loss)
    lowest = min(right, left) - 1.25 * drop
    fields = {s: ellipse_depth(canvas, cage(chest, apex, lowest), 2.2) for s, apex in
              (("right", chest.apex_right), ("left", chest.apex_left))}  # fmt: skip
    on_right = (canvas.x > 0)[None, None, :]
    inside = torch.where(on_right, fields["right"], fields["left"])
    dome = _dome(canvas, chest, right, left, drop)
    depth = torch.minimum(inside - 1.0, canvas.z[:, None, None] - dome[None])
    depth = torch.minimum(depth, canvas.x.abs()[None, None, :] - _mediastinum(canvas, chest))
    canvas.depth = torch.minimum(depth, -_heart_depth(canvas, chest))
    canvas.lung = edge(canvas.depth, canvas.voxel)
    a, b = 136.0 * chest.size, 88.0 * chest.size * chest.depth
    back = -72.0 * chest.size * chest.depth
    hulls = {
        side: (*sorted((s * 0.25 * a, s * 0.98 * a)), back - 6, back + 1.9 * b, top - 0.75 * drop, 0.92 * apex)
        for side, s, top, apex in (("right", 1.0, right, chest.apex_right), ("left", -1.0, left, chest.apex_left))
    }
    return Lungs(inside, dome, lowest, hulls)  # type: ignore[arg-type]


def _dome(canvas: Canvas, chest: Chest, right: float, left: float, drop: float) -> Tensor:
    a, b = 136.0 * chest.size, 88.0 * chest.size * chest.depth
    x, y = canvas.x[None, :], canvas.y[:, None]
    centre = torch.where(x > 0, torch.tensor(0.52 * a), torch.tensor(-0.54 * a))
    top = torch.where(x > 0, torch.tensor(right), torch.tensor(left))
    along = ((x - centre) / (0.52 * a)).square()
    off = y - (-72.0 * chest.size * chest.depth + 1.15 * b)
    across = torch.where(off < 0, (off / (0.95 * b)).square() * 1.25, (off / (0.95 * b)).square() * 0.75)
    return top - drop * (0.45 * along + across).clamp(max=1.8)


def _mediastinum(canvas: Canvas, chest: Chest) -> Tensor:
    """Half width by height and depth: narrow in front, as wide as the spine behind, ``(nz, ny, 1)``."""
    z = canvas.z.cpu().numpy().astype(float)
    m = chest.mediastinum
    top = max(chest.apex_right, 40.0)
    shares = (0.62, 0.8, 1.0, 1.0, 1.02, 0.95, 0.8)
    by_height = m * np.interp(z, (-160, -80, -20, 10, 45, 0.8 * top, top), shares)
    width = torch.as_tensor(by_height, dtype=torch.float32, device=canvas.z.device)[:, None, None]
    y = canvas.y[None, :, None]
    front = ((y - 28.0) / 30.0).clamp(0.0, 1.0)
    behind = ((-y - 22.0) / 25.0).clamp(0.0, 1.0)
    return width * (1.0 - 0.82 * front) * (1.0 - behind) + behind * 21.0


HEART = (
    ((-34.0, 30.0, -82.0), (58.0, 44.0, 48.0)), ((16.0, 26.0, -66.0), (38.0, 36.0, 44.0)),
    ((-8.0, 2.0, -58.0), (42.0, 30.0, 34.0)),
)  # fmt: skip
"""Left ventricle, right atrium, left atrium: middle and half axes."""


def _heart_depth(canvas: Canvas, chest: Chest) -> Tensor:
    """Mm inside the heart, far outside -1000."""
    out = torch.full_like(canvas.depth, -1e3)
    for centre, radii in heart_shapes(chest):
        box = canvas.box([c - 1.35 * r - 4 for c, r in zip(centre, radii, strict=True)],
                         [c + 1.35 * r + 4 for c, r in zip(centre, radii, strict=True)])  # fmt: skip
        if box is not None:
            out[box] = torch.maximum(out[box], canvas.ellipsoid_depth(centre, radii, box))
    return out


def heart_shapes(chest: Chest) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Middles and half axes of the heart's parts."""
    h = chest.heart
    return [(tuple(c * (0.6 + 0.4 * h) for c in centre), tuple(r * h for r in radii)) for centre, radii in HEART]


def paint_body(canvas: Canvas, chest: Chest, lungs: Lungs, generator: np.random.Generator) -> None:
    """Everything but the lungs' content, trachea and couch."""
    outline = ellipse_depth(canvas, skin(chest, lungs.lowest), 2.35)
    canvas.paint(edge(outline, canvas.voxel), FAT)
    noise = float(generator.uniform(0.85, 1.15))
    canvas.paint(edge(outline - chest.fat * noise, canvas.voxel), MUSCLE)
    _paint_arms(canvas, chest)
    outside = -lungs.cage
    _paint_ribs(canvas, outside, outline)
    _paint_inside(canvas, chest, lungs)
    _paint_spine(canvas, chest, generator)
    _paint_shoulders(canvas, chest, edge(outline - 2.0, canvas.voxel))
    if chest.female:
        for sign in (1.0, -1.0):
            y = -72.0 * chest.size * chest.depth + 2.12 * 88.0 * chest.size * chest.depth + chest.wall
            air = (canvas.hu < -500).float()
            canvas.ellipsoid((sign * 70.0, y, -58.0), (58.0, 26.0 + chest.fat, 55.0), FAT, into=air)


def _paint_ribs(canvas: Canvas, outside: Tensor, outline: Tensor) -> None:
    """Hoops between 1 and 8 mm outside the lungs, that fall towards the front."""
    phase = (canvas.z[:, None, None] + 0.55 * canvas.y[None, :, None]) / RIB_PITCH
    off = ((phase - phase.floor()) - 0.5).abs() * RIB_PITCH
    thick = torch.minimum(5.2 - off, 4.2 - (outside - 5.0).abs())
    thick = torch.minimum(thick, outline - 4.0)
    canvas.paint(edge(thick, canvas.voxel), CANCELLOUS + 120)
    canvas.paint(edge(thick - 1.6, canvas.voxel), CANCELLOUS)


def _paint_inside(canvas: Canvas, chest: Chest, lungs: Lungs) -> None:
    """Mediastinal fat, heart and vessels, liver, spleen and stomach below the domes."""
    z, blood = canvas.z[:, None, None], chest.contrast_hu
    chest_room = edge(lungs.cage, canvas.voxel) * edge(z - lungs.dome[None] + 2.0, canvas.voxel)
    canvas.paint(chest_room, -70.0)
    belly = edge(lungs.cage - 2.0, canvas.voxel) * edge(lungs.dome[None] - z - 3.0, canvas.voxel)
    canvas.paint(belly, SOFT + 5)
    liver = belly * ((canvas.x + 25.0) / 15.0).clamp(0, 1)[None, None, :]
    canvas.paint(liver, 60.0 + 0.25 * (blood - 40.0))
    for centre, radii in heart_shapes(chest):
        canvas.ellipsoid(centre, [r + 1.5 for r in radii], 20.0 + 0.85 * blood)
    _great_vessels(canvas, chest, blood)
    if chest.bowel_gas:
        r = chest.bowel_gas
        centre = (-0.5 * 136 * chest.size, 30.0, float(lungs.dome.min()) + 0.35 * chest.recess)
        top = float(lungs.dome[len(canvas.y) // 2, len(canvas.x) // 4]) - 1.15 * r - 6.0
        canvas.ellipsoid((centre[0], centre[1], top), (1.6 * r, 1.2 * r, r), -950.0, into=belly)
        canvas.ellipsoid((40.0, 55.0, lungs.lowest - 30.0), (1.5 * r, r, r), -900.0, into=belly)


def _great_vessels(canvas: Canvas, chest: Chest, blood: float) -> None:
    """Aorta with its arch, pulmonary trunk, caval veins, vessels to the head, oesophagus."""
    m, top = chest.mediastinum / 30.0, chest.apex_right
    cones = (
        ((12.0, 30.0, -55.0), (14.0, 34.0, 8.0), 15.0), ((14.0, 34.0, 8.0), (0.0, 20.0, 26.0), 14.0),
        ((0.0, 20.0, 26.0), (-20.0, -12.0, 22.0), 13.0), ((-20.0, -12.0, 22.0), (-20.0, -30.0, -20.0), 12.5),
        ((-20.0, -30.0, -20.0), (-10.0, -38.0, -230.0), 12.0), ((-6.0, 36.0, -40.0), (-12.0, 14.0, -16.0), 13.0),
        ((-12.0, 14.0, -16.0), (-36.0, 2.0, -14.0), 10.0), ((-12.0, 14.0, -18.0), (36.0, 6.0, -24.0), 10.0),
        ((24.0, 22.0, -40.0), (26.0, 16.0, 40.0), 10.0), ((26.0, 16.0, 40.0), (40.0, 4.0, top + 20), 8.0),
        ((26.0, 18.0, 42.0), (-38.0, 8.0, top), 7.0), ((4.0, 22.0, 30.0), (22.0, 4.0, top + 10), 6.5),
        ((-10.0, 8.0, 30.0), (-18.0, 4.0, top + 30), 5.5), ((-18.0, -8.0, 28.0), (-34.0, -8.0, top + 4), 6.0),
        ((22.0, 6.0, -100.0), (26.0, 0.0, -160.0), 12.0),
    )  # fmt: skip
    numbers = np.array([(*a, *b, r) for a, b, r in cones]) * m
    numbers[:, [2, 5]] /= m
    t = torch.as_tensor(numbers, dtype=torch.float32, device=canvas.hu.device)
    canvas.capsules(t[:, :3], t[:, 3:6], t[:, 6], t[:, 6], blood)
    gullet = torch.tensor([[-6.0, -20.0, 160.0], [-8.0, -24.0, -160.0]], device=canvas.hu.device)
    seven = torch.tensor([8.0], device=canvas.hu.device)
    canvas.capsules(gullet[:1], gullet[1:], seven, seven, 35.0)
    if chest.oesophagus_air:
        r = chest.oesophagus_air
        canvas.ellipsoid((-7.0, -21.0, 14.0), (r, r * 0.8, 26.0), -900.0)
    canvas.ellipsoid((0.0, 8.0, top + 55), (26.0, 12.0, 22.0), 110.0)


def _paint_spine(canvas: Canvas, chest: Chest, generator: np.random.Generator) -> None:
    """Vertebral bodies with discs, canal, processes."""
    back = -72.0 * chest.size * chest.depth
    y0 = back + 29.0
    box = canvas.box((-50, y0 - 62, float(canvas.z[0])), (50, y0 + 26, float(canvas.z[-1]) + 1))
    if box is None:
        return
    x, y, z = canvas.axes(box)
    bend = ((z - 40.0) / 140.0).square() * 8.0
    bend = torch.where(z > 40, bend * 1.6, bend * 0.3) - 3.0
    yb = y - (y0 + bend * 0.5)
    soft = 1.0 - ((x / 40.0).square() + ((yb + 18.0) / 30.0).square()).sqrt()
    canvas.paint(edge(soft * 30.0, canvas.voxel), MUSCLE, box)
    body = (1.0 - ((x / 18.0).square() + (yb / 15.0).square()).sqrt()) * 15.0
    phase = (z + float(generator.uniform(0, 24))) / 25.0
    disc = (((phase - phase.floor()) - 0.5).abs() * 25.0 - 9.8).clamp(-1, 1) * 0.5 + 0.5
    canvas.paint(edge(body, canvas.voxel), CANCELLOUS * (1 - disc) + 80.0 * disc + 100 * edge(2.0 - body, 2.0), box)
    arch = 8.0 - ((x.abs() - 14.0).square() + (yb + 22.0).square() * 0.6).sqrt()
    arch = torch.minimum(arch, 12.0 - (yb + 22.0).abs())
    wing = torch.minimum(5.0 - (yb + 26.0 + 0.35 * x.abs()).abs(), 34.0 - x.abs())
    spine = torch.minimum(4.0 - x.abs(), 16.0 - (yb + 40.0).abs())
    solid = torch.maximum(torch.maximum(arch, spine), wing - 6.0 * disc)
    canvas.paint(edge(solid, canvas.voxel) * (1 - 0.6 * disc), CORTICAL * 0.55, box)
    canal = (1.0 - ((x / 9.5).square() + ((yb + 21.0) / 8.5).square()).sqrt()) * 8.5
    canvas.paint(edge(canal, canvas.voxel), 25.0, box)


def _paint_shoulders(canvas: Canvas, chest: Chest, body: Tensor) -> None:
    """Sternum, clavicles, shoulder blades, heads of the upper arms, within the body."""
    top = 0.5 * (chest.apex_right + chest.apex_left)
    b = 88.0 * chest.size * chest.depth
    front = -72.0 * chest.size * chest.depth + 2.0 * b
    device = canvas.hu.device
    canvas.ellipsoid((0.0, front + 5.0, -45.0), (17.0, 7.0, 75.0), CANCELLOUS)
    up = 1.0 if chest.arms == "up" else 0.0
    for sign in (1.0, -1.0):
        ends = torch.tensor([
            [sign * 16.0, 0.62 * front, top - 26.0, sign * 138.0, 6.0, top + 4 + 22.0 * up, 7.0],
            [sign * (96 - 18 * up), -84.0, top - 14.0 + 16 * up, sign * (118 + 12 * up), -80.0, -70 + 30 * up, 7.0],
            [sign * (80 - 10 * up), -90.0, top - 30.0, sign * (112 + 12 * up), -92.0, -60 + 30 * up, 5.0],
            [sign * 92.0, -78.0, top - 4.0, sign * 152.0, -16.0, top + 2 + 20.0 * up, 6.5],
        ], device=device)  # fmt: skip
        canvas.capsules(ends[:, :3], ends[:, 3:6], ends[:, 6], ends[:, 6] * 0.9, CORTICAL * 0.6, into=body)
        canvas.ellipsoid((sign * 152.0, -6.0, top - 6.0 + 30.0 * up), (24.0, 24.0, 25.0), CANCELLOUS + 60, into=body)


def _paint_arms(canvas: Canvas, chest: Chest) -> None:
    """Upper arms beside the chest, or raised beside the head; clipped where the image ends."""
    top = 0.5 * (chest.apex_right + chest.apex_left)
    side = 136.0 * chest.size + chest.fat + chest.wall
    radius = 34.0 + 0.7 * chest.fat
    device = canvas.hu.device
    for sign in (1.0, -1.0):
        down = chest.arms == "down" or (chest.arms == "one" and sign > 0)
        begin = (sign * 158.0, -6.0, top - 8.0)
        end = (sign * (side + radius + 16.0), -15.0, -330.0) if down else (sign * 128.0, 12.0, top + 330.0)
        start = torch.tensor([begin], device=device)
        stop = torch.tensor([end], device=device)
        for r, hu in ((radius + 6.0, FAT), (radius - 0.35 * chest.fat, MUSCLE), (11.0, CORTICAL), (6.0, 60.0)):
            size = torch.tensor([r], device=device)
            canvas.capsules(start, stop, size, size * 0.92, hu)


def paint_couch(canvas: Canvas, chest: Chest) -> None:
    """A curved shell below the back, and the mattress."""
    y = canvas.y[None, :, None]
    back = -72.0 * chest.size * chest.depth - 16.0 - 1.3 * (chest.fat + chest.wall)
    curve = back - 14.0 + 0.0011 * canvas.x.square()[None, None, :]
    shell = 2.0 - (y - curve).abs()
    outside = (canvas.hu < -600).float()
    width = edge(215.0 - canvas.x.abs(), canvas.voxel)[None, None, :]
    canvas.paint(edge(shell, canvas.voxel) * width * outside, 40.0)
    pad = torch.minimum(curve + 12.0 - y, y - curve - 2.0)
    canvas.paint(edge(pad, canvas.voxel) * width * outside, -900.0)
