"""Pairs of films, one without and one with nodules, that differ in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from manabi.errors import InvalidInputError, ManabiError
from manabi.nodule.contrast import contrast_to_noise
from manabi.nodule.embed import Embedded, embed
from manabi.nodule.pairs_recipe import PairRecipe
from manabi.nodule.pairs_sources import PairSource, Scene, render_scenes
from manabi.nodule.place import Place, draw_places
from manabi.nodule.shapes import NoduleShape
from manabi.nodule.shapes_sampling import sample_shape
from manabi.nodule.subtlety import grade
from manabi.nodule.truth import NoduleTruth

if TYPE_CHECKING:
    from manabi.nodule.glow import Glow

MOST_ATTEMPTS = 60
"""Draws of a pair before its recipe is given up."""
PAIRS = 1
"""Ends the seed of a pair's stream, so that it is not the stream of the chest of the same number."""
PLACE_TRIES = 10
SMALLEST_MASK = 4
"""Pixels of a nodule's mask at least."""


@dataclass(frozen=True)
class Pair:
    """A pair of films.

    Attributes:
        positive: float32 ``(rows, columns)`` in [0, 1], with nodules, denser brighter.
        negative: the same film without them.
        mask: uint8, the number of the nodule at each pixel, 0 for none.
        nodules: truth by number.
        index: number of the pair.
        chest: number of the chest, or of the real film's patient, it was made from; pairs of one belong to one fold.
        seed: the seed of all pairs, the pair's number, and which draw of it was taken.
    """

    positive: np.ndarray
    negative: np.ndarray
    mask: np.ndarray
    nodules: tuple[NoduleTruth, ...]
    index: int
    chest: int
    seed: tuple[int, int, int]


@dataclass(frozen=True)
class _Draft:
    """A pair before it is rendered."""

    index: int
    attempt: int
    scene: Scene
    shapes: tuple[NoduleShape, ...]
    places: tuple[Place, ...]
    embedded: Embedded
    ratio: float
    noise_seed: int


def make_pairs(
    source: PairSource, recipe: PairRecipe, seed: int, indices: Sequence[int], flow: Glow | None = None
) -> list[Pair]:
    """Make pairs together; each follows from the seed and its number.

    What one pair looks like does not depend on the others but for rounding in the batched arithmetic; the same batch
    gives the same bytes.

    Args:
        source: of normal films.
        recipe: what the pairs are made of.
        seed: of all pairs.
        indices: numbers of those to make.
        flow: blends the nodules in; without one they stay as they were embedded.

    Raises:
        ManabiError: where a pair has not met the recipe after many draws.
    """
    attempts, done = dict.fromkeys(indices, 0), {}
    while attempts:
        drafts = [one for index in list(attempts) if (one := _draft(source, recipe, seed, index, attempts))]
        for pair in _finished(drafts, recipe, seed, flow):
            if all(_is_visible(pair, nodule, recipe) for nodule in pair.nodules):
                done[pair.index] = pair
                del attempts[pair.index]
            else:
                attempts[pair.index] += 1
    return [done[index] for index in indices]


def graded(
    positive: np.ndarray, negative: np.ndarray, mask: np.ndarray, nodules: Sequence[NoduleTruth]
) -> tuple[NoduleTruth, ...]:
    """Truth with contrast, contrast to noise and subtlety of every nodule, as they are in these films."""
    out = []
    for nodule in nodules:
        inside = mask == nodule.number
        if not inside.any():
            out.append(replace(nodule, contrast=0.0, cnr=0.0, subtlety=1))
            continue
        contrast, cnr = contrast_to_noise(positive, negative, inside)
        level = grade(cnr, nodule.diameter_mm, nodule.hidden)
        out.append(replace(nodule, contrast=round(contrast, 5), cnr=round(cnr, 4), subtlety=level))
    return tuple(out)


def _is_visible(pair: Pair, nodule: NoduleTruth, recipe: PairRecipe) -> bool:
    return nodule.cnr >= recipe.least_cnr and int((pair.mask == nodule.number).sum()) >= SMALLEST_MASK


def _draft(source: PairSource, recipe: PairRecipe, seed: int, index: int, attempts: dict[int, int]) -> _Draft | None:
    """Draw a pair; moves on to the next draw where there is no room for its nodules."""
    while attempts[index] < MOST_ATTEMPTS:
        attempt = attempts[index]
        drawn = _draw(source, recipe, np.random.default_rng([seed, index, attempt, PAIRS]), index, attempt)
        if drawn is not None:
            return drawn
        attempts[index] += 1
    raise ManabiError(
        f"Pair {index} of seed {seed} has not met its recipe in {MOST_ATTEMPTS} draws. Ask for fewer or larger "
        f"nodules, or for less contrast to noise than {recipe.least_cnr:g}."
    )


def _draw(source: PairSource, recipe: PairRecipe, rng: np.random.Generator, index: int, attempt: int) -> _Draft | None:
    scene = source.draw(rng)
    count = int(rng.integers(recipe.nodules[0], recipe.nodules[1] + 1))
    shapes = tuple(sample_shape(rng, recipe.ranges) for _ in range(count))
    ratio, noise_seed = float(rng.uniform(*recipe.ratio)), int(rng.integers(2**31))
    for _ in range(PLACE_TRIES):
        try:
            places = draw_places(rng, scene.space, [shape.diameter_mm for shape in shapes])
        except InvalidInputError:
            return None
        embedded = embed(scene.space, shapes, places)
        if all(nodule.kept >= recipe.least_kept for nodule in embedded.nodules):
            return _Draft(index, attempt, scene, shapes, places, embedded, ratio, noise_seed)
    return None


def _finished(drafts: Sequence[_Draft], recipe: PairRecipe, seed: int, flow: Glow | None) -> list[Pair]:
    """Render, blend and grade drafts."""
    negatives, positives = render_scenes([d.scene for d in drafts], [d.embedded for d in drafts])
    masks = np.stack([draft.embedded.mask for draft in drafts])
    if recipe.embedding == "litjens":
        made = [_by_litjens(film, draft) for film, draft in zip(negatives, drafts, strict=True)]
        positives, masks = (np.stack(part) for part in zip(*made, strict=True))
    truths = [draft.embedded.nodules for draft in drafts]
    if flow is not None:
        positives, truths = _blended(flow, negatives, positives, masks, drafts)
    return [
        Pair(
            positive, negative, mask, graded(positive, negative, mask, truth), draft.index, draft.scene.chest,
            (seed, draft.index, draft.attempt),
        )
        for positive, negative, mask, truth, draft in zip(positives, negatives, masks, truths, drafts, strict=True)
    ]  # fmt: skip


def _by_litjens(film: np.ndarray, draft: _Draft) -> tuple[np.ndarray, np.ndarray]:
    """The baseline's film and mask; ground glass that is too thin for it is left out, and the pair drawn again."""
    from manabi.nodule.litjens import litjens

    mask = np.zeros(film.shape, np.uint8)
    for number, (shape, place) in enumerate(zip(draft.shapes, draft.places, strict=True), start=1):
        with suppress(InvalidInputError):
            film, inside = litjens(film, draft.scene.space, shape, place)
            mask[inside] = number
    return film, mask


def _blended(
    flow: Glow, negatives: np.ndarray, positives: np.ndarray, masks: np.ndarray, drafts: Sequence[_Draft]
) -> tuple[np.ndarray, list[tuple[NoduleTruth, ...]]]:
    """Films after the latent interpolation, and truth with the ratios that were used."""
    import torch

    from manabi.nodule.interpolate import blend

    arrays = (torch.from_numpy(np.ascontiguousarray(a)) for a in (negatives, positives, masks))
    before, after, numbers = arrays
    seeds = [draft.noise_seed for draft in drafts]
    films, which = blend(flow, before, after, [draft.ratio for draft in drafts], seeds, numbers)
    truths = [
        tuple(
            replace(n, ratio=round(draft.ratio, 4)) if which is None or bool(which[i, n.number - 1]) else n
            for n in draft.embedded.nodules
        )
        for i, draft in enumerate(drafts)
    ]
    return films.numpy(), truths
