"""A missing contrast made from one that is there, and a map of where that cannot be known.

Sugino (CARS 2020-2022; the source's report, section 4.2) makes an angiogram from heavy T2 with Pix2Pix (Isola et al.,
CVPR 2017, 10.1109/CVPR.2017.632) and segments vessels from both. In heavy T2 a vessel is a dark line in bright fluid;
inside the brain, which is dark itself, it does not show, and whatever a network paints there comes from what brains
look like on average. :func:`synthesise` therefore answers with the image and with how little it can be trusted. Our
choices throughout, where the source is silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.volume import Volume

if TYPE_CHECKING:
    from torch import nn

NOT_MEASURED = (
    "Synthetic image: a network computed it from another contrast; it was not measured. Do not read findings from it, "
    "and least of all where its uncertainty is high."
)
NO_NOISE = "The network has no dropout, so its spread is unknown; the uncertainty holds only what the source hides."
HULL_LEVEL = 0.25
"""Share of the brightest values above which a smoothed voxel counts as fluid or scalp around the brain."""
SMOOTH_MM = 0.7
FWHM = 2.3548


@dataclass(frozen=True)
class Settings:
    """How a generator is applied.

    Attributes:
        name: of the synthetic volume; it begins with ``synthetic``.
        context: source slices the network sees (odd); the middle one is translated.
        samples: passes with dropout whose mean is the image; 1 is one pass without noise.
        pixel_mm: pixel size within slices that the network was trained at; None takes the image's own.
        low, high: percentiles of the source that become 0 and 1.
        voids: whether what is sought shows in the source only as a void in bright fluid (heavy T2 to angiography).
        tissue_level, fluid_level: brightness of the surroundings, as a share of the source's range, up to which a void
            is invisible and from which it is plain. Grey matter has 0.08 of fluid in heavy T2, white matter 0.02.
        reach_mm: how far from bright fluid a void may lie to be seen as one: the radius of a wide vessel.
        spread_limit: standard deviation over samples, as a share of the output's range, that counts as no knowledge.
    """

    name: str = "synthetic_mra"
    context: int = 3
    samples: int = 8
    pixel_mm: float | None = None
    low: float = 0.5
    high: float = 99.9
    voids: bool = True
    tissue_level: float = 0.12
    fluid_level: float = 0.4
    reach_mm: float = 2.0
    spread_limit: float = 0.25

    def __post_init__(self) -> None:
        """Refuse settings that make no sense together."""
        if not self.name.startswith("synthetic"):
            raise InvalidInputError(f"A synthetic image must say so: name must begin with 'synthetic'; got {self.name}")
        if self.context % 2 == 0 or self.context < 1 or self.samples < 1:
            raise InvalidInputError(f"context must be odd and samples at least 1; got {self.context}, {self.samples}.")
        if not (self.tissue_level < self.fluid_level and 0 <= self.low < self.high <= 100 and self.spread_limit > 0):
            raise InvalidInputError("tissue_level must lie below fluid_level, low below high, spread_limit above 0.")

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Settings:
        """The settings in a bundle's metadata; other keys are left aside."""
        return cls(**{f.name: facts[f.name] for f in fields(cls) if f.name in facts})


@dataclass(frozen=True)
class Synthesis:
    """A synthetic contrast, all on the input's grid.

    Attributes:
        volume: 0 to 1, float32, named and warned of as synthetic.
        uncertainty: 0 (the source shows it, and all samples agree) to 1 (it cannot be known).
        spread: standard deviation over samples, in the volume's units; zero with one sample.
        unseen: 0 to 1, what the source cannot show whatever the network; zero without ``Settings.voids``.
    """

    volume: Volume
    uncertainty: Volume
    spread: Volume
    unseen: Volume


def synthesise(volume: Volume, network: nn.Module, settings: Settings, context: Context) -> Synthesis:
    """Translate a volume slice by slice along closest-to-axial slices, and say where that is guesswork.

    Args:
        volume: the source contrast, any grid and scale.
        network: maps ``(n, context, rows, columns)`` to ``(n, 1, rows, columns)``, both from 0 to 1.
        settings: how to apply it.
        context: device, seed of the samples, progress, cancellation.

    Raises:
        InvalidInputError: for an image without contrast.
        CancelledError: when the context was cancelled.
    """
    work = work_image(volume, settings)
    source = np.asarray(work.array)
    with context.span(0.0, 0.9):
        mean, spread, noisy = _sampled(source, network, settings, context)
    unseen = invisible(source, work.spacing_mm, settings) if settings.voids else np.zeros_like(source)
    context.progress(0.95, "Where the source cannot show it")
    doubt = 1 - (1 - unseen) * (1 - np.minimum(spread / settings.spread_limit, 1))
    texts = [NOT_MEASURED] if noisy or settings.samples == 1 else [NOT_MEASURED, NO_NOISE]
    back = {key: _back(volume, work, array) for key, array in
            {"": mean, "_uncertainty": doubt, "_spread": spread, "_unseen": unseen}.items()}  # fmt: skip
    named = [
        found.like(found.array, name=settings.name + key, units=None).with_warning(*texts)
        for key, found in back.items()
    ]
    return Synthesis(*named)


def normalised(array: np.ndarray, low: float = 0.5, high: float = 99.9) -> np.ndarray:
    """Values from 0 to 1 between two percentiles, cut off outside; float32 of the same shape.

    Raises:
        InvalidInputError: when the percentiles coincide, or a value is not finite.
    """
    bottom, top = np.percentile(array, [low, high]).tolist()
    if not top > bottom:
        raise InvalidInputError(
            f"The image has no contrast: its percentiles {low} and {high} are {bottom:g} and {top:g}. Give another."
        )
    scaled = (np.asarray(array, np.float32) - np.float32(bottom)) / np.float32(top - bottom)
    return np.clip(scaled, 0.0, 1.0)


def work_image(volume: Volume, settings: Settings) -> Volume:
    """The volume in closest-to-RAS order, from 0 to 1, with the network's pixel size within slices."""
    straight = volume.reoriented()
    work = straight.like(normalised(straight.array, settings.low, settings.high))
    if settings.pixel_mm is None:
        return work
    spacing = np.array([settings.pixel_mm, settings.pixel_mm, work.spacing_mm[2]])
    return _smoothed_before(work, spacing).resampled(work.grid.with_spacing(spacing))


def neighbours(array: np.ndarray, middles: Iterable[int], context: int) -> np.ndarray:
    """Slices with their neighbours, ``(n, context, rows, columns)``; beyond the ends the outermost is repeated.

    Args:
        array: ``(slices, rows, columns)``.
        middles: the slices wanted.
        context: odd number of slices.
    """
    offsets = np.arange(context) - context // 2
    return array[np.clip(np.array(list(middles), int)[:, None] + offsets, 0, len(array) - 1)]


def invisible(source: np.ndarray, spacing_mm: np.ndarray, settings: Settings) -> np.ndarray:
    """Where a dark vessel would not stand out from what surrounds it, 0 to 1; 0 outside the head.

    A void is seen against bright fluid. The brightest smoothed value within ``reach_mm`` says whether there is any: at
    ``tissue_level`` or below the answer is 1, from ``fluid_level`` on 0.

    Args:
        source: ``(slices, rows, columns)`` from 0 to 1.
        spacing_mm: along I, J, K.
        settings: levels and reach.
    """
    from scipy import ndimage

    step = np.asarray(spacing_mm, float)[::-1]
    smooth = ndimage.gaussian_filter(np.asarray(source, np.float32), SMOOTH_MM / step)
    around = smooth
    for axis, count in enumerate(np.round(settings.reach_mm / step).astype(int)):
        around = ndimage.maximum_filter1d(around, 2 * int(count) + 1, axis)
    plain = (around - settings.tissue_level) / (settings.fluid_level - settings.tissue_level)
    return np.where(_inside(smooth, step), 1 - np.clip(plain, 0.0, 1.0), 0.0).astype(np.float32)


def _inside(smooth: np.ndarray, step_mm: np.ndarray) -> np.ndarray:
    """In each slice the convex hull of what is bright: fluid and scalp enclose the dark brain."""
    from skimage.measure import label, regionprops
    from skimage.morphology import convex_hull_image

    inside = np.zeros(smooth.shape, bool)
    smallest = 25.0 / float(step_mm[1] * step_mm[2])
    for plane, image in zip(inside, smooth, strict=True):
        parts = label(image > HULL_LEVEL)
        kept = [part.label for part in regionprops(parts) if part.area >= smallest]
        if kept:
            plane[...] = convex_hull_image(np.isin(parts, kept))
    return inside


def _sampled(
    source: np.ndarray, network: nn.Module, settings: Settings, context: Context
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Mean and standard deviation over samples, and whether the network has noise."""
    import torch

    from manabi.inference import predict_stack
    from manabi.networks.pix2pix import sampling

    stack = neighbours(source, range(len(source)), settings.context)
    if settings.samples == 1:
        return predict_stack(network, stack, context=context)[:, 0], np.zeros_like(source), False
    mean, squares = np.zeros_like(source), np.zeros_like(source)
    with sampling(network) as noisy, torch.random.fork_rng():
        count = settings.samples if noisy else 1
        for n in range(count):
            torch.manual_seed(context.seed + n)
            with context.span(n / count, (n + 1) / count):
                image = predict_stack(network, stack, context=context)[:, 0]
            before = image - mean
            mean += before / (n + 1)
            squares += before * (image - mean)
    return mean, np.sqrt(squares / max(count - 1, 1)), noisy > 0


def _back(volume: Volume, work: Volume, array: np.ndarray) -> Volume:
    """An array of the working grid on the volume's own grid."""
    straight = volume.reoriented()
    result = work.like(array.astype(np.float32))
    if not result.grid.same_as(straight.grid):
        result = _smoothed_before(result, straight.spacing_mm).resampled(straight.grid)
    back = result.reoriented_like(volume.grid)
    return volume.like(np.ascontiguousarray(back.array))


def _smoothed_before(volume: Volume, spacing_mm: np.ndarray) -> Volume:
    """The volume without detail that a coarser spacing (IJK, mm) cannot hold."""
    from scipy import ndimage

    own = volume.spacing_mm
    sd = np.sqrt(np.maximum(np.asarray(spacing_mm) ** 2 - own**2, 0.0)) / FWHM / own
    return volume.like(ndimage.gaussian_filter(volume.array, sd[::-1])) if sd.any() else volume
