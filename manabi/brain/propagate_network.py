"""The small network that learns one structure from a few slices of one image, and how it is trained.

It corrects the prior: its logits are the prior's, signed distance over a width that grows with the distance from the
nearest painted slice, plus what a U-Net makes of image, prior and start. Where the image says nothing the correction
is small and the prior stays; near a painted slice the prior is narrow and hard to overrule.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manabi.brain.propagate_frame import CLIP_PIXELS
from manabi.brain.propagate_samples import Layout, Sampler
from manabi.networks.unet import UNet

LOGIT_LIMIT = 10.0
FAR_SCALE = 20.0
"""Pixels by which the channel of the distance is divided."""
WIDTH0, WIDTH_GROWTH = 0.7, 0.25
"""Width of the prior's edge in pixels, at a painted slice and per pixel of distance, before training (our choices)."""
DECAY = 1e-3
"""Weight decay of AdamW (our choice)."""
TURN, ZOOM, BEND = 0.2, 0.12, 1.5
"""Spread of the random rotation (rad), scale (part) and bending (pixels; our choices)."""
MISPLACED, SWOLLEN = 0.15, 0.08
"""Spread of the prior's random shift and growth in pixels per pixel of distance (our choices): painted slices that
happen to resemble each other must not teach that those between do."""
WINDOW, ON_LABEL = 64, 0.7
"""Pixels along an edge of the window that is learned from at a time; part of windows around a labelled pixel."""


class PriorNetwork(nn.Module):
    """Prior logits and the correction to them.

    Args:
        layout: of the input channels.
        filters: channels of the U-Net's levels, finest first.
        dims: 2 or 3.
        prior: False gives prior logits of 0.
    """

    def __init__(self, layout: Layout, filters: tuple[int, ...], dims: int, prior: bool) -> None:
        super().__init__()
        self.layout, self.prior = layout, prior
        self.unet = UNet(
            filters, in_channels=layout.channels + 2, out_channels=layout.labels + 1, spatial_dims=dims, norm="batch"
        )
        nn.init.normal_(self.unet.head.get_parameter("weight"), std=0.02)
        self.width = nn.Parameter(torch.tensor([np.log(WIDTH0), np.log(WIDTH_GROWTH)], dtype=torch.float32))

    def forward(self, x: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, channels, *size)`` and the in-plane position ``(batch, 2, *size)`` to two times logits."""
        k = self.layout.labels
        fields, far, rest = x[:, :k], x[:, k : k + 1], x[:, k + 1 :]
        start, image = rest[:, : -self.layout.images], rest[:, -self.layout.images :]
        seen = torch.cat([_squeezed(fields), far / FAR_SCALE, _squeezed(start), image, place], 1)
        if x.ndim == 4:
            seen = seen.contiguous(memory_format=torch.channels_last)
        correction = self.unet(seen)
        logits = fields / (self.width[0].exp() + self.width[1].exp() * far)
        logits = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT) * float(self.prior)
        return F.pad(logits, (0, 0) * (x.ndim - 2) + (1, 0)), correction


def _squeezed(fields: Tensor) -> Tensor:
    return torch.tanh(fields / (CLIP_PIXELS / 2))


def positions(x: Tensor) -> Tensor:
    """Place in the plane, -1 to 1 along rows and columns, for every pixel: ``(batch, 2, *size)``."""
    height, width = x.shape[-2:]
    rows = torch.linspace(-1, 1, height, device=x.device)[:, None].expand(height, width)
    columns = torch.linspace(-1, 1, width, device=x.device)[None].expand(height, width)
    both = torch.stack([columns, rows])
    if x.ndim == 5:
        both = both[:, None].expand(2, x.shape[2], height, width)
    return both[None].expand(x.shape[0], *both.shape)


class Trainer:
    """Trains one member of the ensemble.

    Args:
        sampler: of the frame.
        network: to train, in place.
        seed: of everything random.
        batch: samples per step.
        device: where the network is.
    """

    def __init__(self, sampler: Sampler, network: PriorNetwork, seed: int, batch: int, device: str) -> None:
        self.sampler, self.network, self.batch, self.device = sampler, network, batch, device
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)

    def run(self, allowed: list[int], steps: int, rate: float, tell: Callable[[], None]) -> None:
        """Train on the allowed items of the sampler; the rate rises to ``rate`` and falls to 0 (one cycle)."""
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=rate, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _cycle(step / steps))
        self.network.train()
        for _ in range(steps):
            tell()
            loss = self.loss(allowed)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            optimiser.step()
            schedule.step()

    def loss(self, allowed: list[int]) -> Tensor:
        """Of a batch of the allowed items."""
        x, target = self._batch(allowed)
        x, place, target = self._varied(x, target)
        prior, correction = self.network(x, place)
        logits = prior + correction
        if self.sampler.dims == 3:
            logits = logits[:, :, logits.shape[2] // 2]
            target = target[:, :, target.shape[2] // 2]
        return _loss(logits, target)

    def _batch(self, allowed: list[int]) -> tuple[Tensor, Tensor]:
        """Samples of one view, chosen in turn at random."""
        items = self.sampler.items
        first = items[allowed[int(self.rng.integers(len(allowed)))]][0]
        same = [n for n in allowed if items[n][0] == first]
        order = np.concatenate([self.rng.permutation(same) for _ in range(-(-self.batch // len(same)))])[: self.batch]
        x = np.stack([self.sampler.learned(items[n][0], items[n][1], self.rng) for n in order])
        target = np.stack([self.sampler.target(*items[n]) for n in order])
        if self.sampler.dims == 3:
            target = np.repeat(target[:, :, None], x.shape[2], 2)
        return torch.from_numpy(x), torch.from_numpy(target)

    def _varied(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A window of each, turned, scaled and bent; contrast, brightness and noise of the image changed."""
        n, size = len(x), x.shape[2:]
        grid = self._grid(target.flatten(2) if x.ndim == 4 else target[:, :, 0].flatten(2), size[-2], size[-1])
        both = torch.cat([x, positions(x), target], 1)
        flat = both if x.ndim == 4 else both.transpose(1, 2).flatten(0, 1)
        grid = grid if x.ndim == 4 else grid.repeat_interleave(size[0], 0)
        flat = F.grid_sample(flat, grid, padding_mode="border", align_corners=True)
        both = flat if x.ndim == 4 else flat.unflatten(0, (n, size[0])).transpose(1, 2)
        both = self._misplaced(both)
        x, place, target = both.split([x.shape[1], 2, target.shape[1]], 1)
        first = self.sampler.layout.image_from
        shape = (n,) + (1,) * (x.ndim - 1)
        image = x[:, first:] * (1 + 0.15 * self._normal(shape)) + 0.15 * self._normal(shape)
        image = image + 0.08 * self._uniform(shape) * self._normal(image.shape)
        x = torch.cat([x[:, :first], image], 1)
        return x.to(self.device), place.to(self.device), target.to(self.device)

    def _misplaced(self, x: Tensor) -> Tensor:
        """The prior shifted and swollen at random, the more the further it comes from (in place)."""
        k = self.sampler.layout.labels
        for one in x:
            far = float(one[k].max())
            step = (MISPLACED * far * self._normal((2,))).round().long().tolist()
            one[:k] = _shifted(one[:k], step) + SWOLLEN * far * self._normal((1,))
        return x

    def _grid(self, target: Tensor, height: int, width: int) -> Tensor:
        """Where to sample from, ``(n, rows, columns, 2)`` in torch's -1 to 1."""
        n, window = len(target), (min(WINDOW, height), min(WINDOW, width))
        scale = torch.tensor([max(width - 1, 1) / 2, max(height - 1, 1) / 2])
        angle, zoom = TURN * self._normal((n,)), torch.exp(ZOOM * self._normal((n,)))
        stretch = torch.exp(0.5 * ZOOM * self._normal((n,)))
        sine, cosine = torch.sin(angle), torch.cos(angle)
        matrix = torch.stack([cosine * stretch, -sine, sine, cosine / stretch], 1).reshape(n, 1, 1, 2, 2)
        rows = torch.arange(window[0]) - (window[0] - 1) / 2
        columns = torch.arange(window[1]) - (window[1] - 1) / 2
        local = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
        bend = F.interpolate(BEND * self._normal((n, 2, 4, 4)), size=window, mode="bicubic", align_corners=True)
        pixels = (matrix * zoom.reshape(n, 1, 1, 1, 1) @ local[None, ..., None])[..., 0] + bend.permute(0, 2, 3, 1)
        return (pixels + self._centres(target, height, width)[:, None, None]) / scale - 1

    def _centres(self, target: Tensor, height: int, width: int) -> Tensor:
        """Middles of the windows, columns and rows in pixels, ``(n, 2)``; most of them on labels."""
        inner = [(min(WINDOW, size) - 1) / 2 for size in (width, height)]
        labelled = target[:, 1:].sum(1) > 0.5
        out = []
        for one in labelled:
            found = one.nonzero()[:, 0]
            if not len(found) or float(self._uniform((1,))) > ON_LABEL:
                found = torch.arange(height * width)
            pick = int(found[int(self._uniform((1,)) * len(found))])
            out.append([float(pick % width), float(pick // width)])
        spread = torch.tensor(out) + 0.25 * WINDOW * self._normal((len(out), 2))
        low = torch.tensor(inner)
        high = torch.tensor([width - 1.0, height - 1.0]) - low
        return torch.minimum(torch.maximum(spread, low), high)

    def _normal(self, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return torch.randn(tuple(shape), generator=self.generator)

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=self.generator)


def _shifted(x: Tensor, step: list[int]) -> Tensor:
    """Rows and columns moved by whole pixels; the border is repeated."""
    for axis, (n, size) in enumerate(zip(step, x.shape[-2:], strict=True), -2):
        x = x.index_select(axis, (torch.arange(size) - n).clamp(0, size - 1))
    return x


def _cycle(part: float) -> float:
    """The rate as part of the highest: up over the first fifth, then down to 0 as a cosine."""
    rise = 0.2
    return (part + 0.02) / (rise + 0.02) if part < rise else 0.5 + 0.5 * math.cos(math.pi * (part - rise) / (1 - rise))


def _loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus Dice over the labels (background left out), both on soft targets."""
    target = target / target.sum(1, keepdim=True).clamp_min(1e-6)
    entropy = -(target * F.log_softmax(logits, 1)).sum(1).mean()
    p, g = logits.softmax(1)[:, 1:], target[:, 1:]
    axes = [0, *range(2, p.ndim)]
    dice = (2 * (p * g).sum(axes) + 1) / ((p + g).sum(axes) + 1)
    return entropy + 0.5 * (1 - dice.mean())
