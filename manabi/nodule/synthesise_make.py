"""Putting nodules into a normal film: shapes, places, embedding, blending by the flow, and what they came to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.nodule.contrast import LEAST_CNR
from manabi.nodule.embed import Embedded, embed
from manabi.nodule.pairs import graded
from manabi.nodule.parameters import NoduleParameters
from manabi.nodule.place import draw_places
from manabi.nodule.prepare import resized
from manabi.nodule.shapes_sampling import sample_shape
from manabi.nodule.synthesise_base import MATRIX, Base
from manabi.nodule.truth import NoduleTruth

if TYPE_CHECKING:
    from manabi.nodule.glow import Glow

TRIES = 12
"""Draws of nodules before the best that was seen is taken (our choice)."""
LEAST_KEPT = 0.5
LEAST_RATIO = 0.3


@dataclass(frozen=True)
class Wishes:
    """What nodules are wanted.

    Attributes:
        count: nodules in the film.
        diameter_mm: of each, or None to draw it.
        density: of each, or None to draw it.
        fixed: rows and columns of the first nodules' middles.
        ratio: of the interpolation, or None to draw it.
    """

    count: int
    diameter_mm: float | None = None
    density: str | None = None
    fixed: tuple[tuple[float, float], ...] = ()
    ratio: float | None = None

    @classmethod
    def of(cls, parameters: NoduleParameters, fixed: tuple[tuple[float, float], ...] = ()) -> Wishes:
        """From the method's parameters; ``fixed`` on the film that is worked on."""
        return cls(
            max(parameters.count, len(fixed)), parameters.diameter_mm or None,
            None if parameters.density == "random" else parameters.density, fixed,
            None if parameters.ratio < 0 else parameters.ratio,
        )  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A pair of films.

    Attributes:
        before: float32 ``(m, m)`` in [0, 1].
        after: the same with nodules.
        mask: uint8, the number of the nodule.
        nodules: their truth, places on this grid.
        ratio: of the interpolation.
    """

    before: np.ndarray
    after: np.ndarray
    mask: np.ndarray
    nodules: tuple[NoduleTruth, ...]
    ratio: float

    @property
    def visible(self) -> bool:
        """Whether every nodule stands out of its film at all."""
        return all(n.cnr >= LEAST_CNR and n.kept >= LEAST_KEPT for n in self.nodules)


def make(base: Base, wishes: Wishes, rng: np.random.Generator, flow: Glow | None, context: Context) -> Made:
    """Put nodules into a film; draws again where one cannot be seen, and takes the best after some draws.

    Raises:
        InvalidInputError: where a fixed place is not in the lungs, or there is no room.
        CancelledError: when the context was cancelled.
    """
    best: Made | None = None
    for attempt in range(TRIES):
        context.progress(attempt / TRIES, "Putting nodules into the film")
        try:
            made = _once(base, wishes, rng, flow)
        except InvalidInputError:
            if wishes.fixed or (attempt == TRIES - 1 and best is None):
                raise
            continue
        if best is None or _worst(made) > _worst(best):
            best = made
        if best.visible:
            break
    if best is None:
        raise InvalidInputError("No room was found for the nodules. Ask for fewer or smaller ones.")
    return best


def _worst(made: Made) -> float:
    return min((n.cnr if n.kept >= LEAST_KEPT else n.kept - 1.0 for n in made.nodules), default=0.0)


def _once(base: Base, wishes: Wishes, rng: np.random.Generator, flow: Glow | None) -> Made:
    shapes = [
        sample_shape(rng, diameter_mm=wishes.diameter_mm, density=wishes.density)  # type: ignore[arg-type]
        for _ in range(wishes.count)
    ]
    ratio = float(rng.uniform(LEAST_RATIO, 1.0)) if wishes.ratio is None else wishes.ratio
    noise_seed = int(rng.integers(2**31))
    places = draw_places(rng, base.space, [shape.diameter_mm for shape in shapes], wishes.fixed)
    embedded = embed(base.space, shapes, places)
    with_nodules = base.put(embedded) if shapes else base.film
    after, ratios = blended(base, embedded, with_nodules, ratio, noise_seed, flow)
    truths = graded(after, base.film, embedded.mask, embedded.nodules)
    return Made(base.film, after, embedded.mask, tuple(map(_with_ratio, truths, ratios)), ratio)


def _with_ratio(nodule: NoduleTruth, ratio: float) -> NoduleTruth:
    return replace(nodule, ratio=round(ratio, 4))


def blended(
    base: Base, embedded: Embedded, with_nodules: np.ndarray, ratio: float, seed: int, flow: Glow | None
) -> tuple[np.ndarray, list[float]]:  # fmt: skip
    """The film after interpolation, and the ratio of each nodule (1 where one did not fit the flow).

    Without a flow grey values are interpolated instead. With one, a film finer than the flow's is blended on the
    flow's grid; the detail that this grid cannot hold is interpolated in grey values (our choice).
    """
    change = with_nodules - base.film
    count = len(embedded.nodules)
    if flow is None or not count:
        return _added(base.film, ratio * change), [ratio] * count
    before, after = _reduced(base.film), _reduced(with_nodules)
    mask = resized(embedded.mask, (MATRIX, MATRIX), nearest=True)
    films, fitted = _through_flow(flow, before, after, ratio, seed, mask)
    ratios = [ratio if fitted is None or fitted[n] else 1.0 for n in range(count)]
    if base.matrix == MATRIX:
        return films, ratios
    size = (base.matrix, base.matrix)
    detail = change - resized(after - before, size)
    shown = np.where(embedded.added != 0, resized(films - before, size) + ratio * detail, resized(films - before, size))
    return _added(base.film, shown), ratios


def _through_flow(
    flow: Glow, before: np.ndarray, after: np.ndarray, ratio: float, seed: int, mask: np.ndarray
) -> tuple[np.ndarray, list[bool] | None]:  # fmt: skip
    """Blending of one film on the flow's grid; which nodules it took, or None for all."""
    import torch

    from manabi.nodule.interpolate import blend

    films, which = blend(
        flow, torch.from_numpy(before)[None], torch.from_numpy(after)[None], [ratio], [seed],
        torch.from_numpy(np.ascontiguousarray(mask))[None],
    )  # fmt: skip
    fitted = None if which is None else [bool(v) for v in which[0]]
    if fitted is not None:
        fitted += [False] * max(0, int(mask.max()) - len(fitted)) + [False] * 16
    return films[0].cpu().numpy(), fitted


def _reduced(film: np.ndarray) -> np.ndarray:
    return film if len(film) == MATRIX else np.clip(resized(film, (MATRIX, MATRIX)), 0.0, 1.0)


def _added(film: np.ndarray, change: np.ndarray) -> np.ndarray:
    return np.clip(film + change, 0.0, 1.0).astype(np.float32)


def places_of(text: str) -> tuple[tuple[float, float, float], ...]:
    """Points of the parameter ``place``; raises InvalidInputError for another text."""
    points = []
    for part in filter(None, (one.strip() for one in text.split(";"))):
        try:
            r, a, s = (float(v) for v in part.split(","))
        except ValueError as error:
            raise InvalidInputError(
                f"place: expected points R,A,S in mm separated by semicolons, as 12.5,-30,0; got {part!r}."
            ) from error
        points.append((r, a, s))
    return tuple(points)
