"""Images made from heads: any contrast, resolution, bias field and noise, with the truth of every voxel.

After Billot B et al. SynthSeg. Med Image Anal 2023;86:102789 (10.1016/j.media.2023.102789): every tissue gets a random
mean and spread, so that a network cannot rely on a contrast. Ours: most of the images keep the order of tissues that
real sequences have; vessels shine or are dark as in angiography and cisternography; lesions, skull stripping, cut
fields of view and wide ventricles are drawn too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.brain.prepare import normalised
from manabi.brain.structures import CLASSES, structure_of
from manabi.parameters import Parameters
from Training.brain_heads import TOP, Head

SAME = {
    41: 2, 42: 3, 43: 4, 44: 5, 46: 7, 47: 8, 49: 10, 50: 11, 51: 12, 52: 13, 53: 17, 54: 18, 58: 26, 60: 28, 62: 30,
    57: 25, 137: 136, 163: 136, 164: 136, 63: 136, 31: 136,
}  # fmt: skip
"""Right to left: both sides look the same. Choroid plexus is one tissue."""
MIRRORED = {**{right: left for right, left in SAME.items() if right not in (137, 163, 164, 63, 31)},
            137: 164, 136: 163, 31: 63}  # fmt: skip
"""The code of the other side."""
WHITE, GREY, FLUID, BLOOD = "white", "grey", "fluid", "blood"
GROUPS = {
    **{code: WHITE for code in (2, 7, 16, 28, 13, 85, 250)},
    **{code: GREY for code in (3, 8, 10, 11, 12, 17, 18, 26)},
    **{code: FLUID for code in (4, 5, 14, 15, 24, 72, 30, 136)},
}
"""Which tissues have similar signals in real sequences; those of the head have none."""
SEQUENCES = {
    "t1": {WHITE: 0.80, GREY: 0.55, FLUID: 0.15, "other": 0.45},
    "t2": {WHITE: 0.32, GREY: 0.48, FLUID: 0.95, "other": 0.35},
    "flair": {WHITE: 0.42, GREY: 0.55, FLUID: 0.12, "other": 0.35},
    "pd": {WHITE: 0.62, GREY: 0.75, FLUID: 0.80, "other": 0.50},
    "heavy_t2": {WHITE: 0.06, GREY: 0.12, FLUID: 0.95, "other": 0.10},
    "tof": {WHITE: 0.42, GREY: 0.36, FLUID: 0.22, "other": 0.30},
}
"""Signals that tissues have about, of the brightest (methods of simulation; spread is added)."""
LEAST_CONTRAST, LEAST_DARK_CONTRAST = 0.15, 0.35
"""An artery counts as shown where it differs so much from its surroundings; dark ones where those are bright fluid."""


@dataclass(frozen=True)
class Looks(Parameters):
    """How images are made."""

    real_order: float = field(default=0.8, metadata={"low": 0.0, "high": 1.0, "help": "images with a sequence's order"})
    spread: float = field(default=0.10, metadata={"low": 0.0, "help": "of a sequence's signals, standard deviation"})
    texture: float = field(default=0.08, metadata={"low": 0.0, "help": "most spread within a tissue, of the range"})
    bias: float = field(default=0.4, metadata={"low": 0.0, "help": "most spread of the field's logarithm"})
    noise: float = field(default=0.08, metadata={"low": 0.0, "help": "most noise, of the range"})
    thickest_mm: float = field(default=7.0, metadata={"low": 2.0, "help": "thickest slices"})
    blur_mm: float = field(default=3.0, metadata={"low": 1.0, "help": "coarsest equal resolution"})
    stripped: float = field(default=0.3, metadata={"low": 0.0, "high": 1.0, "help": "images without skull"})
    cut: float = field(default=0.3, metadata={"low": 0.0, "high": 1.0, "help": "images that end within the head"})
    lesions: float = field(default=0.35, metadata={"low": 0.0, "high": 1.0, "help": "images with lesions"})
    wide: float = field(default=0.25, metadata={"low": 0.0, "high": 1.0, "help": "images with widened ventricles"})
    vessels: float = field(default=0.45, metadata={"low": 0.0, "high": 1.0, "help": "images that show arteries"})
    mirror: bool = field(default=True, metadata={"help": "left-right mirrored copies, sides exchanged"})


@dataclass(frozen=True)
class Tables:
    """What the codes of heads mean, for looking up whole arrays."""

    classes: Tensor
    sides: Tensor
    tissues: Tensor
    mirrored: Tensor
    brain: Tensor
    fluid: Tensor


def tables(codes: tuple[int, ...]) -> Tables:
    """Lookup tables of a head's codes; index like :attr:`Training.brain_heads.Head.tissues`."""
    groups = {code: n for n, code in enumerate(dict.fromkeys(SAME.get(c, c) for c in codes))}
    found = [structure_of(c) for c in codes]
    side = {"left": 0.0, "right": 1.0, "": -1.0}
    return Tables(
        classes=torch.tensor([CLASSES.get(name, 0) for name, _ in found], dtype=torch.uint8),
        sides=torch.tensor([side[s] for _, s in found]),
        tissues=torch.tensor([groups[SAME.get(c, c)] for c in codes]),
        mirrored=torch.tensor(_other_side(codes), dtype=torch.uint8),
        brain=torch.tensor([bool(name) or c == 85 for c, (name, _) in zip(codes, found, strict=True)]),
        fluid=torch.tensor([c == 24 for c in codes]),
    )


def _other_side(codes: tuple[int, ...]) -> list[int]:
    """For each code the place of its counterpart on the other side; its own where there is none."""
    pairs = {left: right for right, left in MIRRORED.items()} | MIRRORED
    place = {code: n for n, code in enumerate(codes)}
    return [place.get(pairs.get(code, code), n) for n, code in enumerate(codes)]


@dataclass(frozen=True)
class Example:
    """An image with its truth.

    Attributes:
        image: (k, j, i) float32, from 0 to 1.
        classes: (k, j, i) uint8 at 1 mm, :data:`CLASSES`; vessels only where the image shows them.
        sides: as the image, float32: 0 left, 1 right, -1 where it has no side.
    """

    image: Tensor
    classes: Tensor
    sides: Tensor


def make_example(
    head: Head, rng: np.random.Generator, looks: Looks, step: int = 1, size_mm: tuple[int, int, int] | None = None
) -> Example:
    """One image from a head, and its truth; everything random comes from ``rng``.

    Args:
        head: what is shown.
        rng: draws everything.
        looks: the ranges.
        step: voxels of the image in mm, a whole number; the truth's classes stay at 1 mm. Texture and what a scanner
            does to an image are made at this size, which is much faster.
        size_mm: slices, rows and columns of a part at a random place; all of the head by default.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    known = tables(head.codes)
    box = _part(head.tissues.shape, size_mm, rng, step)
    index, share = _cut_out(head, box, known, mirrored=looks.mirror and rng.random() < 0.5)
    if rng.random() < looks.wide:
        index = _widened(index, head.codes, int(rng.integers(1, 5)))
    index = index.int()
    classes = known.classes[index]
    means, spreads = _signals(head.codes, known, rng, looks)
    image = means[index]
    if rng.random() < looks.lesions:
        image = _with_lesions(image, classes == CLASSES["cerebrum"], rng)
    if share is not None and rng.random() < looks.vessels:
        image, classes = _with_vessels(image, classes, share, rng)
    kept = _kept(index, known, rng) if rng.random() < looks.stripped else None
    image = _textured(image, spreads[index], kept, step, generator)
    image = _scanned(image, rng, generator, looks, step)
    example = Example(normalised(image), classes, known.sides[index[::step, ::step, ::step]])
    return _ended(example, rng, step) if rng.random() < looks.cut else example


def _cut_out(head: Head, box: tuple[slice, ...], known: Tables, mirrored: bool) -> tuple[Tensor, Tensor | None]:
    """Tissues and the vessels' share of a part of a head, sides exchanged where it is mirrored."""
    index = torch.from_numpy(head.tissues[box])
    share = None if head.vessels is None else torch.from_numpy(head.vessels[box])
    if not mirrored:
        return index, share
    return known.mirrored[index.flip(2).int()], None if share is None else share.flip(2)


def _part(
    shape: tuple[int, ...], size_mm: tuple[int, int, int] | None, rng: np.random.Generator, step: int
) -> tuple[slice, ...]:
    """A box of a size at a random place, its sides multiples of the step."""
    box = []
    for n, wanted in zip(shape, size_mm or shape, strict=True):
        kept = min(wanted, n) // step * step
        low = int(rng.integers(n - kept + 1))
        box.append(slice(low, low + kept))
    return tuple(box)


def _textured(image: Tensor, spread: Tensor, kept: Tensor | None, step: int, generator: torch.Generator) -> Tensor:
    """Averaged to the step, with the tissues' texture, and zero where nothing was kept."""
    if kept is not None:
        image, spread = image * kept, spread * kept
    if step > 1:
        image = F.avg_pool3d(image[None, None], step)[0, 0]
        spread = spread[::step, ::step, ::step] / step**1.5
    return image + torch.randn(image.shape, generator=generator) * spread


def _widened(index: Tensor, codes: tuple[int, ...], steps: int) -> Tensor:
    """The lateral ventricles grown by some voxels into the cerebrum, as in hydrocephalus."""
    place = {code: n for n, code in enumerate(codes)}
    out = index.clone()
    for code, own in ((4, (2, 3, 10, 11, 25)), (43, (41, 42, 49, 50, 57))):
        if code not in place:
            continue
        ventricle = out == place[code]
        box = _box(ventricle, steps)
        if box is None:
            continue
        grown = ventricle[box].float()[None, None]
        for _ in range(steps):
            grown = F.max_pool3d(grown, 3, 1, 1)
        room = torch.zeros(len(codes), dtype=torch.bool)
        room[[place[c] for c in own if c in place]] = True
        new = torch.tensor(place[code], dtype=index.dtype)
        out[box] = torch.where((grown[0, 0] > 0) & room[out[box].int()], new, out[box])
    return out


def _box(mask: Tensor, margin: int) -> tuple[slice, ...] | None:
    """The box around a mask, or None where it is empty."""
    box = []
    for axis in range(3):
        found = _line(mask, axis).nonzero()
        if not len(found):
            return None
        box.append(slice(max(int(found[0]) - margin, 0), int(found[-1]) + margin + 1))
    return tuple(box)


def _line(mask: Tensor, axis: int) -> Tensor:
    """Whether anything is true at each place along an axis."""
    return mask.movedim(axis, 0).flatten(1).any(1)


def _signals(codes: tuple[int, ...], known: Tables, rng: np.random.Generator, looks: Looks) -> tuple[Tensor, Tensor]:
    """Mean and spread of the signal of every code."""
    count = int(known.tissues.max()) + 1
    means = rng.uniform(0.05, 1.0, count)
    if rng.random() < looks.real_order:
        signals = SEQUENCES[str(rng.choice(list(SEQUENCES)))]
        for code, tissue in zip(codes, known.tissues.tolist(), strict=True):
            group = GROUPS.get(SAME.get(code, code))
            if group is not None:
                means[tissue] = signals[group]
            elif rng.random() < 0.3:
                means[tissue] = signals["other"]
        means = np.clip(means + rng.normal(0.0, looks.spread, count), 0.02, 1.2)
    spreads = rng.uniform(0.0, looks.texture, count)
    air = int(known.tissues[codes.index(0)])
    means[air] = 0.0 if rng.random() < 0.8 else rng.uniform(0.0, 0.1)
    spreads[air] *= 0.1
    return torch.from_numpy(means).float()[known.tissues], torch.from_numpy(spreads).float()[known.tissues]


def _with_lesions(image: Tensor, inside: Tensor, rng: np.random.Generator) -> Tensor:
    """Up to four blobs of another signal in the cerebrum, of 4 to 35 mm, with uneven borders."""
    places = inside.nonzero()
    for _ in range(int(rng.integers(1, 5))):
        centre = places[int(rng.integers(len(places)))].tolist()
        radii = rng.uniform(2.0, 18.0) * rng.uniform(0.6, 1.4, 3)
        box = tuple(slice(max(int(c - 1.5 * r), 0), int(c + 1.5 * r) + 2) for c, r in zip(centre, radii, strict=True))
        part = image[box]
        axes = [torch.arange(s.start, s.start + n).float() for s, n in zip(box, part.shape, strict=True)]
        square = [((a - c) / r).square() for a, c, r in zip(axes, centre, radii, strict=True)]
        distance = (square[0][:, None, None] + square[1][None, :, None] + square[2][None, None, :]).sqrt()
        bumps = torch.from_numpy(rng.normal(0.0, 0.25, (1, 1, 4, 4, 4))).float()
        distance = distance + F.interpolate(bumps, part.shape, mode="trilinear", align_corners=True)[0, 0]
        weight = torch.sigmoid((1.0 - distance) * rng.uniform(4.0, 15.0)) * inside[box]
        image[box] = part + weight * (rng.uniform(0.0, 1.1) - part)
    return image


def _with_vessels(image: Tensor, classes: Tensor, share: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Arteries bright everywhere, as in angiography, or dark; the truth where they fill half a voxel.

    They are part of the truth only where they differ from the tissue in whose place they lie.
    """
    part = share.float() / TOP
    if rng.random() < 0.6:
        bright = rng.uniform(0.9, 1.6)
        shown = (part > 0.5) & ((image - bright).abs() > LEAST_CONTRAST)
        image = image * (1 - part) + part * bright
        return image, torch.where(shown, torch.tensor(CLASSES["vessels"], dtype=torch.uint8), classes)
    dark = rng.uniform(0.0, 0.08)
    shown = (image - dark).abs() > LEAST_DARK_CONTRAST
    image = image * (1 - part) + part * dark
    truth = (part > 0.5) & shown & (classes == 0)
    return image, torch.where(truth, torch.tensor(CLASSES["vessels"], dtype=torch.uint8), classes)


# --- how a scanner sees it --------------------------------------------------------------------------------------------


def _scanned(image: Tensor, rng: np.random.Generator, generator: torch.Generator, looks: Looks, step: int) -> Tensor:
    """Bias field, resolution, noise, contrast curve."""
    image = image * bias_field(image.shape, rng, looks)
    image = resolved(image, rng, generator, looks, step)
    return image.clamp(min=0.0) ** float(np.exp(rng.normal(0.0, 0.25)))


def _kept(index: Tensor, known: Tables, rng: np.random.Generator) -> Tensor:
    """What a skull stripping keeps: the brain, with or without fluid around it, to within some millimetres."""
    brain = known.brain[index]
    if rng.random() < 0.5:
        brain = brain | known.fluid[index]
    grow = int(rng.integers(0, 3))
    mask = brain.float()[None, None]
    mask = F.max_pool3d(mask, 2 * grow + 1, 1, grow) if grow else mask
    return mask[0, 0]


def bias_field(shape: torch.Size, rng: np.random.Generator, looks: Looks) -> Tensor:
    """A smooth factor of the signal, of a shape, around 1."""
    nodes = tuple(int(rng.integers(2, 6)) for _ in range(3))
    values = torch.from_numpy(rng.standard_normal((1, 1, *nodes))).float() * rng.uniform(0.0, looks.bias)
    return F.interpolate(values, shape, mode="trilinear", align_corners=True)[0, 0].exp()


def resolved(image: Tensor, rng: np.random.Generator, generator: torch.Generator, looks: Looks, step: int) -> Tensor:
    """Averaged to the voxels of a scan, with noise there, and back."""
    voxel = np.ones(3)
    kind = rng.random()
    if kind < 0.35:
        voxel[:] = rng.uniform(1.0, looks.blur_mm)
    elif kind < 0.75:
        voxel[:] = rng.uniform(1.0, 1.5)
        voxel[int(rng.integers(3))] = rng.uniform(2.0, looks.thickest_mm)
    shape = image.shape
    voxel = np.maximum(voxel / step, 1.0)
    for axis, size in enumerate(voxel):
        if size > 1.0:
            image = _blurred(image, axis, 0.42 * float(np.sqrt(size**2 - 1.0 + 0.05)))
    coarse = tuple(max(int(round(n / v)), 4) for n, v in zip(shape, voxel, strict=True))
    if coarse != tuple(shape):
        image = F.interpolate(image[None, None], coarse, mode="trilinear", align_corners=False)[0, 0]
    sd = rng.uniform(0.0, looks.noise) * float(rng.random() < 0.9) / step
    noise = torch.randn((2, *image.shape), generator=generator) * sd
    image = torch.sqrt((image + noise[0]).square() + noise[1].square())
    if coarse != tuple(shape):
        image = F.interpolate(image[None, None], shape, mode="trilinear", align_corners=False)[0, 0]
    return image


def _blurred(image: Tensor, axis: int, sigma: float) -> Tensor:
    """Gaussian blur along one axis, sigma in voxels."""
    radius = max(int(np.ceil(2.5 * sigma)), 1)
    x = torch.arange(-radius, radius + 1).float()
    kernel = torch.exp(-0.5 * (x / sigma).square())
    kernel = kernel / kernel.sum()
    form = [1, 1, 1, 1, 1]
    form[2 + axis] = len(kernel)
    pad = [0, 0, 0, 0, 0, 0]
    pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = radius
    padded = F.pad(image[None, None], pad, mode="replicate")
    return F.conv3d(padded, kernel.reshape(form))[0, 0]


def _gone(shape: torch.Size, rng: np.random.Generator, step: int) -> list[tuple[slice, ...]]:
    """Up to 45 mm missing at one or two of the six sides, as boxes of the truth's voxels of 1 mm."""
    boxes = []
    for _ in range(int(rng.integers(1, 3))):
        axis, end, lost = int(rng.integers(3)), rng.random() < 0.5, (int(rng.integers(5, 46)) // step + 1) * step
        box = [slice(None)] * 3
        box[axis] = slice(max(shape[axis] - lost, 0), None) if end else slice(0, lost)
        boxes.append(tuple(box))
    return boxes


def _ended(example: Example, rng: np.random.Generator, step: int) -> Example:
    """A field of view that ends within the head: neither image nor truth beyond."""
    image, classes, sides = example.image.clone(), example.classes.clone(), example.sides.clone()
    for box in _gone(classes.shape, rng, step):
        classes[box] = 0
        small = tuple(slice(*(None if n is None else n // step for n in (s.start, s.stop))) for s in box)
        image[small], sides[small] = 0.0, -1.0
    return Example(image, classes, sides)
