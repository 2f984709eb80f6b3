"""Nodules blended into films in a flow's latents, as the source of NoduleSynth has it.

Original and embedded film are encoded with the *same* dequantisation noise, the latents of all scales mixed,
``z = (1 - ratio) z_original + ratio z_embedded``, and decoded (Hanaoka et al. 2024; that the noise is the same and all
scales are mixed is our choice: with other noise a pair would differ everywhere). A flow of whole films does so at once;
a flow of patches nodule by nodule in patches that fade out towards their edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError

if TYPE_CHECKING:
    from torch import Tensor

    from manabi.nodule.glow import Glow

FADE_SHARE = 0.125
"""Width of a patch's margin over which it fades out, over its side (our choice)."""


def blend(
    flow: Glow,
    original: Tensor,
    embedded: Tensor,
    ratios: Sequence[float],
    seeds: Sequence[int],
    masks: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Films between the original (ratio 0) and the embedded one (ratio 1), through the flow.

    Args:
        flow: of films of this size, or of smaller patches; its device is used.
        original: ``(b, rows, columns)`` in [0, 1].
        embedded: the same films with nodules.
        ratios: of each film.
        seeds: of each film's dequantisation noise.
        masks: uint8 ``(b, rows, columns)``, numbers of the nodules; needed for a flow of patches.

    Returns:
        The films ``(b, rows, columns)`` in [0, 1] on the originals' device: the original plus what decoding changed,
        so that pixels without any change stay as they were. And for a flow of patches, by film and nodule (``(b,
        most nodules)``, bool), whether the nodule was blended; one that does not fit a patch is taken as embedded.

    Raises:
        InvalidInputError: where shapes or numbers do not fit, or masks are needed.
    """
    import torch

    if original.shape != embedded.shape or len({len(original), len(ratios), len(seeds)}) != 1:
        raise InvalidInputError(
            f"Expected as many originals, embedded films, ratios and seeds; got {tuple(original.shape)}, "
            f"{tuple(embedded.shape)}, {len(ratios)} and {len(seeds)}."
        )
    with torch.no_grad():
        if tuple(original.shape[1:]) == (flow.size, flow.size):
            change = decoded_change(flow, original, embedded, ratios, seeds)
            return (original + change).clamp(0.0, 1.0), None
        if masks is None or min(original.shape[1:]) < flow.size:
            raise InvalidInputError(
                f"A flow of patches of {flow.size} pixels needs masks and larger films; got films of "
                f"{tuple(original.shape[1:])}{' without masks' if masks is None else ''}."
            )
        return _by_patches(flow, original, embedded, ratios, seeds, masks)


def decoded_change(
    flow: Glow, original: Tensor, embedded: Tensor, ratios: Sequence[float], seeds: Sequence[int]
) -> Tensor:
    """What the mixed latents' films differ from the originals by, ``(b, rows, columns)``; 0 at ratio 0."""
    import torch

    from manabi.nodule.glow_grey import CENTRE, dequantise, film_noise

    device = flow.grey_bits.device
    noise = torch.stack([film_noise(tuple(original.shape[1:]), int(seed)) for seed in seeds]).to(device)
    before = original.to(device)
    count = len(before)
    latents, _ = flow.encode(torch.cat((before, embedded.to(device))), torch.cat((noise, noise)))
    share = torch.tensor(list(ratios), dtype=before.dtype, device=device)[:, None, None, None]
    mixed = [z[:count] + share * (z[count:] - z[:count]) for z in latents]
    return (flow.decode(mixed) - (dequantise(before, noise, flow.bits) + CENTRE)).to(original.device)


def owners(mask: np.ndarray) -> np.ndarray:
    """The number of the nearest nodule at every pixel, uint8; 0 everywhere where the mask is empty."""
    from scipy import ndimage

    if not mask.any():
        return np.zeros_like(mask)
    nearest = ndimage.distance_transform_edt(mask == 0, return_distances=False, return_indices=True)
    return mask[tuple(nearest)]


def patch_of(inside: np.ndarray, size: int) -> tuple[slice, slice] | None:
    """The patch of ``size`` pixels about a nodule's mask, within the film; None where it has no room to fade out."""
    margin = fade_width(size)
    out = []
    for axis, length in enumerate(inside.shape):
        where = np.flatnonzero(inside.any(axis=1 - axis))
        low, high = int(where[0]), int(where[-1]) + 1
        start = min(max((low + high - size) // 2, 0), length - size)
        room = low - start >= margin or start == 0, start + size - high >= margin or start + size == length
        if not all(room):
            return None
        out.append(slice(start, start + size))
    return out[0], out[1]


def fade_width(size: int) -> int:
    """Pixels over which a patch fades out."""
    return max(int(size * FADE_SHARE), 1)


def fading(box: tuple[slice, slice], shape: tuple[int, int]) -> np.ndarray:
    """Weights of a patch, float32: 1 within, falling to 0 as a cosine towards edges that are not the film's."""
    sides = []
    for part, length in zip(box, shape, strict=True):
        size = part.stop - part.start
        width = fade_width(size)
        ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(width) / width)
        side = np.ones(size)
        if part.start > 0:
            side[:width] = ramp
        if part.stop < length:
            side[-width:] = ramp[::-1]
        sides.append(side)
    return np.outer(*sides).astype(np.float32)


def _by_patches(
    flow: Glow, original: Tensor, embedded: Tensor, ratios: Sequence[float], seeds: Sequence[int], masks: Tensor
) -> tuple[Tensor, Tensor]:
    """One nodule of every film after the other, each in a patch of its own."""
    import torch

    numbers = masks.cpu().numpy()
    most = int(numbers.max(initial=0))
    owned = [owners(mask) for mask in numbers]
    change = (embedded - original).cpu()
    current, blended = original.cpu().clone(), torch.zeros((len(original), most), dtype=torch.bool)
    for number in range(1, most + 1):
        jobs = []
        for index, mask in enumerate(numbers):
            if not (mask == number).any():
                continue
            mine = torch.from_numpy(owned[index] == number)
            box = patch_of(mask == number, flow.size)
            if box is None:
                current[index] += change[index] * mine
            else:
                blended[index, number - 1] = True
                jobs.append((index, box, torch.from_numpy(fading(box, mask.shape)), change[index][box] * mine[box]))
        if jobs:
            _blend_patches(flow, current, jobs, ratios, [int(seed) + number for seed in seeds])
    return current.clamp(0.0, 1.0).to(original.device), blended


def _blend_patches(
    flow: Glow,
    current: Tensor,
    jobs: list[tuple[int, tuple[slice, slice], Tensor, Tensor]],
    ratios: Sequence[float],
    seeds: Sequence[int],
) -> None:
    """Blend patches, and put them back into ``current`` where they are."""
    import torch

    before = torch.stack([current[index][box] for index, box, _, _ in jobs])
    added = torch.stack([weight * change for _, _, weight, change in jobs])
    picked = [job[0] for job in jobs]
    changed = decoded_change(flow, before, before + added, [ratios[i] for i in picked], [seeds[i] for i in picked])
    for (index, box, weight, _), one in zip(jobs, changed, strict=True):
        current[index][box] += weight * one
