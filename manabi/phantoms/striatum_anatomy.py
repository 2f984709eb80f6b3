"""What is in the head: where every tissue lies, how much it takes up and how much it attenuates.

Two frames, both RAS in mm. The head's own frame has its origin at the centre of the brain; the patient's frame is the
camera's. Shapes are defined in the head's frame and placed by scale, tilt (pitch, roll, yaw) and shift.

Uptake is relative to the mean of grey and white matter (1.0), so that a structure's value is 1 + its binding ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from manabi.phantoms.spect_tables import Geometry, field_of_view

SUBSAMPLES = 3
"""Points per voxel edge where the striata are rendered (our choice)."""

STRIATA = (("caudate", "left"), ("caudate", "right"), ("putamen", "left"), ("putamen", "right"))
"""Order of the labels 1 to 4."""

BRAIN_SEMI_MM = (67.0, 86.0, 66.0)
"""Half the brain's size, right, anterior, superior: 134 × 172 mm in the axial plane; its height is our choice."""

HEAD_SEMI_MM = (75.0, 95.0, 88.0)
"""Half the head's size: 150 × 190 mm in the axial plane; its height is our choice."""

HEAD_CENTRE_MM = (0.0, 0.0, -12.0)
"""The head's ellipsoid reaches below the brain, to the face (our choice)."""

SKULL_MM = (1.5, 7.5)
"""Where the skull lies outside the brain's surface (our choice)."""


@dataclass(frozen=True)
class Anatomy:
    """One head's shape and pose.

    Attributes:
        scale: of the whole head.
        width: of the head from left to right, on top of ``scale``.
        tilt_deg: pitch (nose up), roll (towards the right shoulder) and yaw (towards the left).
        shift_mm: of the brain's centre from the centre of the field of view, RAS.
        skull_mm: thickness of the skull.
        ventricle: size of the lateral ventricles, 1 is usual.
        striatum: size of the striata on top of ``scale``.
        caudate_x_mm: distance of the caudate's head from the midline.
        putamen_x_mm: distance of the putamen from the midline.
        putamen_deg: by how much the putamen's front end points to the midline.
        texture: relative difference of grey and white matter from their mean.
        texture_mm: typical size of the texture.
        texture_seed: draws the texture.
    """

    scale: float = 1.0
    width: float = 1.0
    tilt_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    skull_mm: float = 6.0
    ventricle: float = 1.0
    striatum: float = 1.0
    caudate_x_mm: float = 13.0
    putamen_x_mm: float = 25.0
    putamen_deg: float = 16.5
    texture: float = 0.1
    texture_mm: float = 12.0
    texture_seed: int = 0


@dataclass(frozen=True)
class Uptake:
    """Binding ratios (uptake over background, minus 1) and other tissues' uptake.

    Attributes:
        caudate_left: mean binding ratio of the caudate nucleus; so for the other three.
        caudate_right: see ``caudate_left``.
        putamen_left: see ``caudate_left``.
        putamen_right: see ``caudate_left``.
        caudate_gradient: ratio of the caudate's tail to its head, left and right.
        putamen_gradient: ratio of the putamen's posterior to its anterior end, left and right.
        scalp: uptake of scalp and face.
        skull: uptake of bone.
        ventricle: uptake of cerebrospinal fluid.
    """

    caudate_left: float = 5.75
    caudate_right: float = 5.75
    putamen_left: float = 5.25
    putamen_right: float = 5.25
    caudate_gradient: tuple[float, float] = (0.95, 0.95)
    putamen_gradient: tuple[float, float] = (0.95, 0.95)
    scalp: float = 0.35
    skull: float = 0.1
    ventricle: float = 0.35

    def binding_ratio(self, structure: str, side: str) -> float:
        """The mean binding ratio of one structure."""
        return float(getattr(self, f"{structure}_{side}"))

    def gradient(self, structure: str, side: str) -> float:
        """Posterior over anterior binding ratio of one structure."""
        pair = self.caudate_gradient if structure == "caudate" else self.putamen_gradient
        return pair[0 if side == "left" else 1]


@dataclass(frozen=True)
class Rendered:
    """Maps over the field of view's pixels, ``(pixels, slices)``.

    Attributes:
        activity: uptake relative to the background.
        brain: share of each voxel that is brain.
        labels: 0, or 1 to 4 in the order of :data:`STRIATA`, where most of the voxel is that structure.
        volumes_ml: of the four structures, before voxels.
        binding_ratios: true means over the four structures.
    """

    activity: torch.Tensor
    brain: torch.Tensor
    labels: torch.Tensor
    volumes_ml: tuple[float, ...]
    binding_ratios: tuple[float, ...]


def rotation(tilt_deg: tuple[float, float, float]) -> np.ndarray:
    """3×3 matrix from the head's axes to the patient's: pitch about x, then roll about y, then yaw about z."""
    a, b, c = (math.radians(t) for t in tilt_deg)
    pitch = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    roll = np.array([[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]])
    yaw = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    return yaw @ roll @ pitch


def head_to_patient(anatomy: Anatomy) -> np.ndarray:
    """4×4 matrix from the head's frame to the patient's, RAS mm."""
    matrix = np.eye(4)
    size = np.diag([anatomy.scale * anatomy.width, anatomy.scale, anatomy.scale])
    matrix[:3, :3] = rotation(anatomy.tilt_deg) @ size
    matrix[:3, 3] = anatomy.shift_mm
    return matrix


def ijk_to_ras(geometry: Geometry, n_slices: int) -> np.ndarray:
    """The image's grid: columns run to the left, rows to posterior, slices upwards; its centre is at 0."""
    size = geometry.pixel_mm
    middle = (geometry.matrix - 1) / 2 * size
    matrix = np.diag([-size, -size, size, 1.0])
    matrix[:3, 3] = middle, middle, -(n_slices - 1) / 2 * size
    return matrix


def _patient_points(geometry: Geometry, n_slices: int) -> np.ndarray:
    """RAS of the voxels, ``(pixels, slices, 3)``."""
    rows, columns = field_of_view(geometry)
    matrix = ijk_to_ras(geometry, n_slices)
    points = np.empty((len(rows), n_slices, 3), np.float32)
    points[..., 0] = (matrix[0, 0] * columns + matrix[0, 3])[:, None]
    points[..., 1] = (matrix[1, 1] * rows + matrix[1, 3])[:, None]
    points[..., 2] = (matrix[2, 2] * np.arange(n_slices) + matrix[2, 3])[None]
    return points


def head_points(anatomy: Anatomy, geometry: Geometry, n_slices: int, shift_mm: tuple[float, ...] = (0, 0, 0),
                device: torch.device | str = "cpu") -> torch.Tensor:  # fmt: skip
    """Where each voxel lies in the head's frame, ``(3, pixels, slices)``, with the head moved by ``shift_mm``."""
    inverse = np.linalg.inv(head_to_patient(anatomy))
    points = torch.from_numpy(_patient_points(geometry, n_slices) - np.asarray(shift_mm, np.float32)).to(device)
    turned = points @ torch.from_numpy(inverse[:3, :3].T.astype(np.float32)).to(device)
    turned += torch.from_numpy(inverse[:3, 3].astype(np.float32)).to(device)
    return turned.permute(2, 0, 1).contiguous()


def _outside(points: torch.Tensor, semi_mm: tuple[float, ...], centre: tuple[float, ...] = (0, 0, 0)) -> torch.Tensor:
    """Distance from an ellipsoid's surface in mm, to first order; negative inside."""
    squares = torch.zeros_like(points[0])
    slopes = torch.zeros_like(points[0])
    for axis in range(3):
        scaled = (points[axis] - centre[axis]) / semi_mm[axis]
        squares += scaled.square()
        slopes += (scaled / semi_mm[axis]).square()
    radius = squares.sqrt()
    return radius * (radius - 1.0) / slopes.sqrt().clamp(min=1e-6)


def _share(outside_mm: torch.Tensor, voxel_mm: float) -> torch.Tensor:
    """Share of a voxel that lies inside a surface, from its centre's distance."""
    return (0.5 - outside_mm / voxel_mm).clamp(0.0, 1.0)


def _shells(points: torch.Tensor, anatomy: Anatomy, voxel_mm: float) -> tuple[torch.Tensor, ...]:
    """Shares of head, skull's outside, skull's inside and brain."""
    brain = _outside(points, BRAIN_SEMI_MM)
    head = _outside(points, HEAD_SEMI_MM, HEAD_CENTRE_MM)
    inner = _share(brain - SKULL_MM[0], voxel_mm)
    outer = _share(brain - SKULL_MM[0] - anatomy.skull_mm, voxel_mm)
    return _share(head, voxel_mm), outer, inner, _share(brain, voxel_mm)


def mu_map(
    anatomy: Anatomy, geometry: Geometry, n_slices: int, shift_mm: tuple[float, ...] = (0, 0, 0),
    device: torch.device | str = "cpu", brain_per_cm: float = 0.148, skull_per_cm: float = 0.2,
) -> torch.Tensor:  # fmt: skip
    """Linear attenuation at 159 keV, per cm, ``(pixels, slices)``; soft tissue everywhere outside the skull."""
    points = head_points(anatomy, geometry, n_slices, shift_mm, device)
    head, outer, inner, _ = _shells(points, anatomy, geometry.pixel_mm / anatomy.scale)
    return head * (brain_per_cm + (skull_per_cm - brain_per_cm) * (outer - inner))


def texture(anatomy: Anatomy, geometry: Geometry, n_slices: int) -> np.ndarray:
    """Grey and white matter's pattern, ``(pixels, slices)``: values from -1 to 1, mean about 0."""
    from scipy.ndimage import gaussian_filter

    shape = (n_slices, geometry.side, geometry.side)
    noise = np.random.default_rng(anatomy.texture_seed).standard_normal(shape).astype(np.float32)
    # a Gaussian-filtered field whose correlation falls to a half at about texture_mm / 2
    field = gaussian_filter(noise, 0.3 * anatomy.texture_mm / geometry.pixel_mm, mode="wrap")
    pattern = np.tanh(2.0 * field / field.std())
    offset = (geometry.matrix - geometry.side) // 2
    rows, columns = field_of_view(geometry)
    return np.ascontiguousarray(pattern[:, rows - offset, columns - offset].T)


def _caudate(points: torch.Tensor, x_mm: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Inside test and place from head (0) to tail (1) of a right caudate of unit size.

    An ovoid head, about 10 × 19 × 20 mm, and a body and tail that taper along an arc over the thalamus.
    """
    x, y, z = points
    head = ((x - x_mm) / 5.0).square() + ((y - 28.0) / 9.5).square() + ((z + 3.0) / 10.0).square() <= 1.0
    # the arc: circle of 21 mm radius in the sagittal plane about (y, z) = (6, -6), drifting outwards as it goes back
    radius = torch.hypot(y - 6.0, z + 6.0)
    turn = torch.atan2(z + 6.0, y - 6.0) / math.pi
    inside_arc = (turn > 0.05) & (turn < 0.95)
    along = ((turn - 0.05) / 0.9).clamp(0.0, 1.0)
    thickness = 4.5 - 3.0 * along
    drift = x_mm + 1.0 + 6.0 * along
    body = inside_arc & (torch.hypot(radius - 21.0, 1.15 * (x - drift)) <= thickness)
    return head | body, torch.where(body & ~head, 0.3 + 0.7 * along, 0.3 * ((37.5 - y) / 19.0).clamp(0.0, 1.0))


def _putamen(points: torch.Tensor, x_mm: float, degrees: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Inside test and place from front (0) to back (1) of a right putamen of unit size.

    A lens of about 10 × 32 × 20 mm: bulging outwards, flatter inside, thinner towards its tail, its front end turned
    towards the midline.
    """
    turn = math.radians(degrees)
    x, y, z = points[0] - x_mm, points[1] - 18.0, points[2] + 5.0
    across = math.cos(turn) * x + math.sin(turn) * y
    along = -math.sin(turn) * x + math.cos(turn) * y
    taper = 1.0 + 0.2 * (along / 16.0).clamp(-1.0, 1.0)
    half = torch.where(across > 0, 6.0, 4.0) * taper
    inside = (across / half).square() + (along / 16.0).square() + (z / (10.0 * taper)).square() <= 1.0
    return inside, ((16.0 - along) / 32.0).clamp(0.0, 1.0)


def _striata_box(points: torch.Tensor) -> torch.Tensor:
    """Voxels near the striata, flat indices."""
    x, y, z = points
    near = (x.abs() < 46) & (y > -32) & (y < 52) & (z > -34) & (z < 34)
    return near.reshape(-1).nonzero()[:, 0]


def _fine_points(points: torch.Tensor, chosen: torch.Tensor, anatomy: Anatomy, voxel_mm: float) -> torch.Tensor:
    """Head-frame points inside the chosen voxels, ``(3, voxels, SUBSAMPLES³)``."""
    steps = (np.arange(SUBSAMPLES) - (SUBSAMPLES - 1) / 2) / SUBSAMPLES * voxel_mm
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    turned = grid @ np.linalg.inv(head_to_patient(anatomy)[:3, :3]).T
    offsets = torch.from_numpy(turned.T.astype(np.float32)).to(points.device)
    return points.reshape(3, -1)[:, chosen][:, :, None] + offsets[:, None, :]


def _structure(fine: torch.Tensor, structure: str, side: str, anatomy: Anatomy) -> tuple[torch.Tensor, torch.Tensor]:
    """Inside test and head-to-tail place of one structure at fine points of the head's frame."""
    sign = -1.0 if side == "left" else 1.0
    middle = torch.tensor([anatomy.caudate_x_mm if structure == "caudate" else anatomy.putamen_x_mm, 22.0, -4.0])
    middle = middle.to(fine.device)[:, None, None]
    mirrored = torch.stack([sign * fine[0], fine[1], fine[2]])
    unit = (mirrored - middle) / anatomy.striatum + middle
    if structure == "caudate":
        return _caudate(unit, anatomy.caudate_x_mm)
    return _putamen(unit, anatomy.putamen_x_mm, anatomy.putamen_deg)


def _tissue(points: torch.Tensor, anatomy: Anatomy, uptake: Uptake, geometry: Geometry) -> tuple[torch.Tensor, ...]:
    """Uptake without striata, and the brain's share."""
    voxel_mm = geometry.pixel_mm / anatomy.scale
    head, outer, inner, brain = _shells(points, anatomy, voxel_mm)
    pattern = torch.from_numpy(texture(anatomy, geometry, points.shape[2])).to(points.device)
    mirrored = torch.stack([points[0].abs(), points[1], points[2]])
    size = anatomy.ventricle
    horn = _outside(mirrored, (4.5 * size, 30.0 * size, 8.0 * size), (8.0, 4.0, 12.0))
    fluid = _share(horn, voxel_mm)
    matter = (1.0 + anatomy.texture * pattern) * (1.0 - fluid) + uptake.ventricle * fluid
    rest = uptake.scalp * (head - torch.minimum(outer, head)) + uptake.skull * (outer - inner) * head
    gap = uptake.ventricle * (inner - brain).clamp(min=0) * head
    return rest + gap + matter * brain * head, brain * head


def render(anatomy: Anatomy, uptake: Uptake, geometry: Geometry, n_slices: int,
           device: torch.device | str = "cpu") -> Rendered:  # fmt: skip
    """Render one head."""
    points = head_points(anatomy, geometry, n_slices, device=device)
    activity, brain = _tissue(points, anatomy, uptake, geometry)
    chosen = _striata_box(points)
    fine = _fine_points(points, chosen, anatomy, geometry.pixel_mm)
    free = torch.ones(fine.shape[1:], dtype=torch.bool, device=fine.device)
    shares, added, ratios = [], torch.zeros(fine.shape[1:], device=fine.device), []
    for structure, side in STRIATA:
        inside, place = _structure(fine, structure, side, anatomy)
        inside = inside & free
        free = free & ~inside
        values = _binding(inside, place, uptake.binding_ratio(structure, side), uptake.gradient(structure, side))
        added += torch.where(inside, 1.0 + values, 0.0)
        ratios.append(float(values[inside].double().mean()) if bool(inside.any()) else 0.0)
        shares.append(inside.float().mean(1))
    share = torch.stack(shares)
    flat = activity.reshape(-1)
    flat[chosen] = flat[chosen] * (1.0 - share.sum(0)) + added.mean(1)
    labels = torch.zeros(flat.shape, dtype=torch.uint8, device=flat.device)
    best, which = share.max(0)
    labels[chosen] = torch.where(best >= 0.5, which + 1, 0).to(torch.uint8)
    ml = geometry.pixel_mm**3 / 1000.0
    volumes = tuple(float(s.double().sum()) * ml for s in shares)
    return Rendered(flat.view_as(activity), brain, labels.view(activity.shape), volumes, tuple(ratios))


def _binding(inside: torch.Tensor, place: torch.Tensor, mean: float, gradient: float) -> torch.Tensor:
    """Binding ratios that fall linearly from front to back by ``gradient`` with the given mean over the structure."""
    profile = 1.0 - (1.0 - gradient) * place
    centre = profile[inside].double().mean() if bool(inside.any()) else profile.new_ones(())
    return mean * profile / centre.to(profile.dtype)
