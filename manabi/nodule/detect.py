"""Searching one film: heat map, lungs, marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.context import Context
from manabi.errors import CorruptModelError
from manabi.nodule import outside
from manabi.nodule.header import header_warnings
from manabi.nodule.lung_mask import LungField, lung_field_parts
from manabi.nodule.marks import PEAK_DISTANCE, Peak, find_peaks, in_order, lung_height_px, place_of
from manabi.nodule.operating import Curve
from manabi.nodule.parameters import HIGHEST_FALSE_POSITIVES, NoduleParameters
from manabi.nodule.prepare import Canonical, Film, canonical, film_of_volume, network_input
from manabi.volume import Volume

if TYPE_CHECKING:
    from torch import nn

SHIFTS = ((0, 0), (3, 3), (-3, 3), (3, -3), (-3, -3))
"""Rows and columns by which the film is moved where heat maps are averaged (our choice)."""
MARGIN_MM = 6.0
"""Marks this close to a lung count as in it: the lungs' outline is an estimate (our choice)."""
ASSUMED_FIELD_MM = 400.0
"""Longer side of a film whose spacing is not known, for the margin alone."""
DIVISOR = 32


@dataclass(frozen=True)
class DetectorSettings:
    """What a bundle says besides its weights.

    Attributes:
        curve: operating points.
        matrix: rows and columns of the network's grid.
        peak_distance: of :func:`manabi.nodule.marks.find_peaks`, pixels.
        feature_range: of the training films, see :mod:`manabi.nodule.outside`; empty where it is not known.
        limit_to_lungs: whether the operating points were measured with this setting; None where it is not known.
    """

    curve: Curve
    matrix: int = 256
    peak_distance: float = PEAK_DISTANCE
    feature_range: Mapping[str, tuple[float, float]] | None = None
    limit_to_lungs: bool | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> DetectorSettings:
        """From a bundle's facts, section ``nodule``; raises CorruptModelError where they cannot be used."""
        curve = Curve.of(facts)
        try:
            known = {
                name: (float(low), float(high)) for name, (low, high) in (facts.get("feature_range") or {}).items()
            }
            matrix, distance = int(facts.get("matrix", 256)), float(facts.get("peak_distance", PEAK_DISTANCE))
        except (TypeError, ValueError) as error:
            raise CorruptModelError(
                "The bundle's section nodule is damaged. Get it again from where it came."
            ) from error
        limit = facts.get("limit_to_lungs")
        return cls(curve, matrix, distance, known, None if limit is None else bool(limit))

    def doubts(self, parameters: NoduleParameters) -> list[str]:
        """Why the operating points may not hold for a search with these parameters."""
        if self.limit_to_lungs is None or self.limit_to_lungs == parameters.limit_to_lungs:
            return []
        return [
            f"Check the operating point: the bundle's false positives per film were measured with "
            f"limit_to_lungs={self.limit_to_lungs}, this search has {parameters.limit_to_lungs}, so they do not hold."
        ]


@dataclass(frozen=True)
class Search:
    """A searched film.

    Attributes:
        film: the input.
        grid: it on the network's grid.
        lungs: on that grid.
        heat: float32 on that grid, 0 to 1.
        peaks: candidates down to the most sensitive operating point, highest first.
        mm_known: whether lengths on the film are known.
        warnings: what a reader must know.
    """

    film: Film
    grid: Canonical
    lungs: LungField
    heat: np.ndarray
    peaks: tuple[Peak, ...]
    mm_known: bool
    warnings: tuple[str, ...]

    @property
    def margin_px(self) -> float:
        """See :data:`MARGIN_MM`."""
        return MARGIN_MM / (self.grid.mm_per_pixel if self.mm_known else ASSUMED_FIELD_MM / len(self.grid.film))


def search(
    volume: Volume, network: nn.Module, settings: DetectorSettings, parameters: NoduleParameters, context: Context
) -> Search:
    """Search a film for nodules.

    Raises:
        InvalidInputError: where it is not one film of enough pixels.
    """
    context.progress(0.02, "Preparing the film")
    film, spacing_texts, mm_known = with_spacing(film_of_volume(volume), parameters.film_mm)
    grid = canonical(film, settings.matrix)
    context.progress(0.08, "Finding the lungs")
    lungs = lung_field_parts(grid.film)
    context.progress(0.2, "Checking polarity")
    inverted = outside.better_inverted(grid.film, lungs)
    polarity = []
    if inverted is not None:
        grid, lungs = replace(grid, film=outside.inverse(grid.film)), inverted
        polarity.append(
            "Polarity: lungs are brighter than their surroundings, so the film was searched with bright and dark "
            "exchanged. Check that it is an inverted image, or export it again."
        )
    with context.span(0.3, 0.9):
        heat = heat_map(network, grid.film, context, parameters.average)
    height = lung_height_px(lungs) * grid.mm_per_pixel if mm_known else None
    known = settings.feature_range or {}
    told = [*header_warnings(volume), *outside.film_warnings(grid.film, lungs, known, height)]
    texts = (*polarity, *spacing_texts, *settings.doubts(parameters), *_without_second_child(told))
    found = Search(film, grid, lungs, heat, (), mm_known, texts)
    limit = parameters.limit_to_lungs and not lungs.is_doubtful
    return replace(found, heat=limited(found) if limit else heat, peaks=_candidates(found, settings, limit))


def _without_second_child(texts: list[str]) -> list[str]:
    """Where header and pixels both speak of a child, what was said first."""
    child = [text for text in texts if text.startswith("A child")]
    return [text for text in texts if text not in child[1:]]


def heat_map(network: nn.Module, film: np.ndarray, context: Context, average: bool = False) -> np.ndarray:
    """Probability of a nodule at every pixel of a film, float32 of its shape.

    Args:
        network: gives logits ``(b, 1, rows, columns)`` for :func:`manabi.nodule.prepare.network_input`.
        film: float32 ``(rows, columns)`` in [0, 1] on the network's grid.
        context: device, precision, cancellation, progress.
        average: over :data:`SHIFTS`.
    """
    import torch

    from manabi.inference import predict_stack

    shifts = SHIFTS if average else SHIFTS[:1]
    inputs = network_input(torch.from_numpy(np.array(film, np.float32))[None])[0].numpy()
    moved = np.stack([shifted(inputs, shift) for shift in shifts])
    logits = predict_stack(network, moved, context=context, divisor=DIVISOR)[:, :1]
    heat = 1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0)))
    if len(shifts) == 1:
        return heat[0, 0].astype(np.float32)
    back = [shifted(one, (-a, -b)) for one, (a, b) in zip(heat, shifts, strict=True)]
    seen = [shifted(np.ones_like(one), (a, b)) for one, (a, b) in zip(heat, shifts, strict=True)]
    weights = [shifted(one, (-a, -b)) for one, (a, b) in zip(seen, shifts, strict=True)]
    return (np.sum(back, 0) / np.sum(weights, 0))[0].astype(np.float32)


def shifted(array: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """``(channels, rows, columns)`` moved by whole pixels; what comes in is 0."""
    out = np.zeros_like(array)
    rows, columns = array.shape[1:]
    down, right = shift
    target = (slice(max(down, 0), rows + min(down, 0)), slice(max(right, 0), columns + min(right, 0)))
    origin = (slice(max(-down, 0), rows + min(-down, 0)), slice(max(-right, 0), columns + min(-right, 0)))
    out[:, target[0], target[1]] = array[:, origin[0], origin[1]]
    return out


def limited(found: Search) -> np.ndarray:
    """The heat map, 0 farther from the lungs than the margin."""
    from scipy import ndimage

    away = ndimage.distance_transform_edt(found.lungs.whole == 0)
    return np.where(away <= found.margin_px + 0.71, found.heat, 0.0).astype(np.float32)


def with_spacing(film: Film, film_mm: float) -> tuple[Film, list[str], bool]:
    """The film with the spacing that lengths are measured in, what is said about it, and whether it is known.

    The grid of the film is not changed: only lengths (diameters, heights) follow ``film_mm``.
    """
    from manabi.io.radiograph import NO_SPACING

    rows, columns = film.straight.shape[1:]
    longest = max(rows * film.spacing_mm[0], columns * film.spacing_mm[1])
    if film_mm > 0:
        scaled = replace(film, mm_factor=film_mm / longest)
        return scaled, [f"Lengths are measured with a film of {film_mm:.0f} mm, as the parameter film_mm says."], True
    low, high = outside.PLAUSIBLE_MM
    if NO_SPACING in film.source.warnings or not low <= longest <= high:
        return (
            film,
            [
                "Spacing unknown or impossible: diameters in mm are left out. Set film_mm to the length of the film's "
                "longer side to get them."
            ],
            False,
        )
    return film, [], True


def _candidates(found: Search, settings: DetectorSettings, limit: bool) -> tuple[Peak, ...]:
    least = settings.curve.threshold(HIGHEST_FALSE_POSITIVES)
    peaks = in_order(find_peaks(found.heat, settings.peak_distance, max(least, 1e-6)))
    if limit:
        peaks = [p for p in peaks if place_of(p, found.lungs, found.margin_px).lung]
    return tuple(peaks)
