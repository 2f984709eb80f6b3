"""What a demo holds against the truth: per method, tables of the input, the output and the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from manabi.result import Cell, Table
from manabi.volume import Volume

Compare = Callable[[Mapping[str, Volume]], dict[str, Table]]


def compare(method: str, images: Mapping[str, Volume]) -> dict[str, Table]:
    """The tables of a method's demo; none for a method without any.

    Args:
        method: name of the method.
        images: input, output and reference, in this order, by what a reader calls them.
    """
    own: Mapping[str, Compare] = {"spect": spect}
    return own[method](images) if method in own else {}


def spect(images: Mapping[str, Volume]) -> dict[str, Table]:
    """Specific binding ratios with the same regions in every image, and likeness to the reference.

    The regions are those found on the input (the first image), as :class:`manabi.spect.method.SPECTDenoise` does.
    """
    from manabi.spect.localise import localise
    from manabi.spect.quantify import measure, regions, voxel_ml
    from manabi.spect.template import REGIONS

    scan = next(iter(images.values()))
    places = regions(scan, localise(scan))
    binding = {name: measure(volume.array, places, voxel_ml(volume)).sbr for name, volume in images.items()}
    rows: list[tuple[Cell, ...]] = [
        (f"{structure} {side}", *(sbr[structure, side] for sbr in binding.values())) for structure, side in REGIONS
    ]
    return {
        "Specific binding ratio": Table(("region", *images), tuple(rows)),
        "Likeness to the last image, five slices": Table(("image", "ssim", "psnr_db"), _likeness(images)),
    }


def _likeness(images: Mapping[str, Volume]) -> tuple[tuple[str, float, float], ...]:
    """SSIM and PSNR as the source computes them: five central 64×64 slices, each image scaled to its maximum."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    from manabi.spect.paper import hottest_slice, paper_images, straighten, to_8bit

    straight = {name: straighten(volume) for name, volume in images.items()}
    reference = list(straight.values())[-1]
    centre = hottest_slice(to_8bit(np.asarray(reference.array, float)))
    slices = {name: paper_images(volume, centre).images for name, volume in straight.items()}
    target = slices.popitem()[1]

    def mean(metric: Callable[..., float], image: np.ndarray) -> float:
        return float(np.mean([metric(a, b, data_range=1.0) for a, b in zip(target, image, strict=True)]))

    return tuple(
        (name, mean(structural_similarity, image), mean(peak_signal_noise_ratio, image))
        for name, image in slices.items()
    )
