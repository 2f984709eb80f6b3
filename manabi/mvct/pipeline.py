"""One input through a converter: the body, the conversion, how sure it is, and the way back, on the input's grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.mvct import baselines
from manabi.mvct.convert import Converter, Settings, applied
from manabi.mvct.parameters import MVCTParameters
from manabi.mvct.prepare import Crop, Work, crop_to_body, fading

SMOOTH_MM = 2.0
"""Sigma over which the variance is averaged (our choice): that of two numbers alone says little."""
MIRRORED_SHIFT = (3, 5)
"""Rows and columns by which the mirrored copy is moved too: strides of 2 and 4 then fall elsewhere (our choice)."""
DROPOUT_SAMPLES = 5


@dataclass(frozen=True)
class Model:
    """What converts.

    Attributes:
        settings: how it is applied.
        facts: the bundle's section ``mvct``, empty without a bundle.
        network: the converter pair; None for the baselines.
        members: further models of an ensemble, with their settings.
    """

    settings: Settings
    facts: Mapping[str, Any]
    network: nn.Module | None = None
    members: tuple[tuple[nn.Module, Settings], ...] = ()


@dataclass(frozen=True)
class Conversion:
    """What came of one input.

    Attributes:
        work: the input and its work grid.
        crop: the part that was converted.
        body: mask on the work grid.
        before: input on the straight grid, HU.
        after: converted, on the straight grid, HU.
        residual: cycle residual on the straight grid, HU; None where it was not wanted or there is no way back.
        spread: standard deviation over several conversions on the straight grid, not calibrated, HU; or None.
    """

    work: Work
    crop: Crop
    body: np.ndarray
    before: np.ndarray
    after: np.ndarray
    residual: np.ndarray | None
    spread: np.ndarray | None


def convert(
    work: Work, body: np.ndarray, model: Model, parameters: MVCTParameters, context: Context
) -> Conversion:  # fmt: skip
    """Convert a prepared input.

    Args:
        work: the input.
        body: mask on the work grid, not empty.
        model: what converts.
        parameters: of the method.
        context: device, progress, cancellation, seed.

    Raises:
        InvalidInputError: where the model lacks what was asked for.
    """
    crop = crop_to_body(body)
    context.progress(0.0, "Converting")
    with context.span(0.0, 0.9):
        correction, *doubts = _parts(work, crop, body, model, parameters, context)
    context.progress(0.9, "Going back to the input's grid")
    fade = fading(body, work.image.spacing_mm) if parameters.body_only else None
    wide = crop.place(correction, body.shape)
    after = applied(work, wide, model.settings.source, fade, parameters.strength, parameters.way_back)
    residual, spread = (_within(work, crop, part, body) for part in doubts)
    return Conversion(work, crop, body, np.asarray(work.straight.array), after, residual, spread)


Parts = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]
"""Correction, residual and spread of the crop's slices, ``(m, rows, columns)`` each."""


def _parts(
    work: Work, crop: Crop, body: np.ndarray, model: Model, parameters: MVCTParameters, context: Context
) -> Parts:  # fmt: skip
    if model.network is None:
        hu = baselines.converted(parameters.converter, work, crop, body, model.settings, model.facts, context)
        return hu - model.settings.source.clipped(crop.of(work.hu)[crop.slices]), None, None
    converter = Converter(model.network, model.settings, work, crop, context)
    wants_back = parameters.residual and converter.can_go_back
    passes = 1 + wants_back + EXTRA_PASSES[parameters.uncertainty](len(model.members))
    with context.span(0.0, 1 / passes):
        converted = converter.converted()
    residual = None
    if wants_back:
        with context.span(1 / passes, 2 / passes):
            residual = converter.residual(converted)
    with context.span((1 + wants_back) / passes, 1.0):
        spread = doubt(parameters.uncertainty, converter, converted, model.members)
    detail = _detail(converter, converted, model.facts, parameters.keep_detail)
    return converter.correction(converted + detail), residual, spread


def _detail(
    converter: Converter, converted: np.ndarray, facts: Mapping[str, Any], share: float
) -> np.ndarray | np.float32:  # fmt: skip
    """Faint detail of the input that is given back, HU; 0 for a share of 0.

    Raises:
        InvalidInputError: where no map of HU is known for this kind of image.
    """
    if not share:
        return np.float32(0.0)
    from manabi.mvct.detail import faint_detail

    hu = converter.crop.of(converter.work.hu)[converter.crop.slices]
    mapped = baselines.mapped("polynomial", hu, np.ones_like(hu, bool), converter.settings, facts)
    return np.float32(share) * faint_detail(mapped, converted, [float(s) for s in converter.work.image.spacing_mm])


EXTRA_PASSES = {
    "none": lambda members: 0,
    "flips": lambda members: 1,
    "ensemble": lambda members: members,
    "dropout": lambda members: DROPOUT_SAMPLES,
}
"""Conversions besides the one that counts, by how the uncertainty is found."""


def doubt(
    how: str, converter: Converter, converted: np.ndarray, members: Sequence[tuple[nn.Module, Settings]] = ()
) -> np.ndarray | None:
    """Standard deviation over several conversions, HU ``(m, rows, columns)``; None for ``none``.

    The one conversion that counts is one of them. The variance is averaged over :data:`SMOOTH_MM`.

    Args:
        how: ``none``, ``flips``, ``ensemble`` or ``dropout``.
        converter: on the input.
        converted: what it said.
        members: of an ensemble, besides it.

    Raises:
        InvalidInputError: where there is no other member, or the network has no dropout.
    """
    from scipy import ndimage

    from manabi.mvct.uncertainty import spread

    if how == "none":
        return None
    makers = {"flips": _mirrored, "dropout": _dropped, "ensemble": _others}
    outputs = makers[how](converter, members)
    _, sd = spread(_chain(converted, outputs))
    spacing = converter.work.image.spacing_mm
    sigma = (0.0, SMOOTH_MM / float(spacing[1]), SMOOTH_MM / float(spacing[0]))
    return np.sqrt(np.maximum(ndimage.gaussian_filter(sd * sd, sigma, truncate=3.0), 0.0))


def _chain(first: np.ndarray, others: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from others


def _mirrored(converter: Converter, members: object) -> Iterator[np.ndarray]:
    """The mirrored and shifted copy, moved back."""
    rows, columns = MIRRORED_SHIFT
    moved = np.roll(converter.hu[..., ::-1], (rows, columns), (1, 2))
    with _passes(converter, 0, 1):
        yield np.roll(converter.converted(moved), (-rows, -columns), (1, 2))[..., ::-1]


def _dropped(converter: Converter, members: object) -> Iterator[np.ndarray]:
    """Conversions with dropout left on; torch's generators are put back afterwards."""
    import torch

    from manabi.networks.pix2pix import sampling

    with torch.random.fork_rng(), sampling(converter.network) as layers:
        if not layers:
            raise InvalidInputError(
                "uncertainty=dropout needs a model with dropout; this bundle's has none. Choose uncertainty=flips."
            )
        torch.manual_seed(converter.context.seed)
        for number in range(DROPOUT_SAMPLES):
            with _passes(converter, number, DROPOUT_SAMPLES):
                yield converter.converted()


def _others(converter: Converter, members: Sequence[tuple[nn.Module, Settings]]) -> Iterator[np.ndarray]:
    """What the other members of an ensemble say."""
    if not members:
        raise InvalidInputError(
            "uncertainty=ensemble needs at least one more model: name its bundle in members, or choose "
            "uncertainty=flips."
        )
    for number, (network, settings) in enumerate(members):
        other = Converter(network, settings, converter.work, converter.crop, converter.context)
        with _passes(converter, number, len(members)):
            yield other.converted()


def _passes(converter: Converter, number: int, count: int) -> Any:
    return converter.context.span(number / count, (number + 1) / count)


def _within(work: Work, crop: Crop, part: np.ndarray | None, body: np.ndarray) -> np.ndarray | None:
    """A map of the crop on the straight grid, 0 outside the body; None stays None."""
    if part is None:
        return None
    return work.to_straight(np.where(body, crop.place(part, body.shape), np.float32(0.0)))
