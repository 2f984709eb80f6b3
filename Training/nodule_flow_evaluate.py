"""What a trained flow is worth: likelihood of unseen films, whether it inverts, and whether it copies its films."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from manabi.nodule.glow import Glow
from manabi.nodule.glow_grey import dequantise, film_noise
from Training.nodule_flow_films import FlowFilm, FlowFilms
from Training.nodule_flow_items import item_of, whole
from Training.nodule_flow_recipe import FlowRecipe
from Training.resampling import bootstrap_mean

TEST_STREAM, TRAINING_STREAM = 4, 5
"""First words of the seeds of scored items."""
CHUNK = 16
"""Items at once."""
FINE_RADIUS = 4
"""Half the width of the mean that :func:`fine` takes away, pixels at half the resolution (our choice)."""
LEAST_SD = 0.002
"""Places of a film that vary less (blank borders) are compared with nothing (our choice)."""
MOST_FILMS = 400
"""Training films that samples are compared with at most; drawn evenly."""


@dataclass(frozen=True)
class Items:
    """Items of films without variation, and whose they are."""

    films: Tensor
    patients: list[str]


@dataclass(frozen=True)
class Neighbours:
    """The training film most like each of several items, at the best place.

    Attributes:
        likeness: correlation coefficient ``(n,)``, -1 to 1.
        shown: the training films' parts ``(n, size, size)``.
    """

    likeness: np.ndarray
    shown: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """What was measured after training.

    Attributes:
        metrics: for the bundle.
        samples: drawn from the flow, ``(n, size, size)``.
        test: unseen items, as many.
        neighbours: of the samples.
        paths: films on the way from one test item to another, ``(pairs, steps, size, size)``.
    """

    metrics: dict[str, Any]
    samples: np.ndarray
    test: np.ndarray
    neighbours: Neighbours
    paths: np.ndarray


def evaluate(flow: Glow, recipe: FlowRecipe, films: FlowFilms) -> Evaluation:
    """Score a flow on the CPU at its last number of grey levels; the test films are used here alone."""
    test = items_of(films.test, recipe, recipe.test_items, TEST_STREAM)
    seen = items_of(films.training, recipe, recipe.test_items, TRAINING_STREAM)
    test_bits, seen_bits = (bits_of(flow, items.films) for items in (test, seen))
    samples = flow.sample(recipe.samples, recipe.temperature, seed=0)
    held_out = test.films[: recipe.samples]
    copied, usual = (nearest(items, films.training, recipe) for items in (samples, held_out))
    metrics = {
        "bits_per_dimension": _entry(test_bits, test.patients),
        "bits_per_dimension_of_training": _entry(seen_bits, seen.patients),
        "round_trip_error": _plain(round_trip(flow, held_out)),
        "likeness_of_samples_to_training": _plain(float(np.max(copied.likeness))),
        "likeness_of_unseen_to_training": _plain(float(np.max(usual.likeness))),
        "samples_that_copy": _plain(copies(copied, usual)),
    }
    return Evaluation(metrics, samples.numpy(), held_out.numpy(), copied, interpolations(flow, held_out))


def items_of(films: Sequence[FlowFilm], recipe: FlowRecipe, count: int, stream: int) -> Items:
    """Items of films in turn, without variation; one of each at most where the flow sees whole films."""
    count = min(count, len(films)) if recipe.what == "film" else count
    chosen = [films[number % len(films)] for number in range(count)]
    drawn = [item_of(film, recipe, np.random.default_rng([stream, n]), False) for n, film in enumerate(chosen)]
    return Items(torch.from_numpy(np.stack(drawn)), [film.patient for film in chosen])


@torch.no_grad()
def bits_of(flow: Glow, films: Tensor) -> np.ndarray:
    """Bits per dimension of each film ``(n,)``."""
    noise = film_noise(tuple(films.shape), TEST_STREAM)
    return torch.cat([flow(*both) for both in zip(films.split(CHUNK), noise.split(CHUNK), strict=True)]).numpy()


@torch.no_grad()
def round_trip(flow: Glow, films: Tensor) -> float:
    """Largest difference of films from what their latents give back, in units of the whole range of grey."""
    noise = film_noise(tuple(films.shape), TEST_STREAM)
    latents, _ = flow.encode(films, noise)
    back = flow.decode(latents) - 0.5
    return float((back - dequantise(films, noise, flow.bits)).abs().max())


@torch.no_grad()
def interpolations(flow: Glow, films: Tensor, pairs: int = 3, steps: int = 7) -> np.ndarray:
    """Films from latents on straight lines between those of two films, with one noise, ``(pairs, steps, ...)``."""
    pairs = min(pairs, len(films) // 2)
    noise = film_noise(tuple(films[:1].shape), TEST_STREAM).expand(2 * pairs, -1, -1)
    latents, _ = flow.encode(films[: 2 * pairs], noise)
    ratios = torch.linspace(0, 1, steps)[None, :, None, None, None]
    mixed = [((1 - ratios) * z[0::2, None] + ratios * z[1::2, None]).flatten(0, 1) for z in latents]
    return flow.decode(mixed).clamp(0, 1).unflatten(0, (pairs, steps)).numpy()


# --- does it copy? ----------------------------------------------------------------------------------------------------


def nearest(items: Tensor, training: Sequence[FlowFilm], recipe: FlowRecipe) -> Neighbours:
    """The part of any training film with the highest correlation to each item, at half the resolution.

    Patches are compared with every place of every film, so that a copy is found wherever it is from; whole films with
    whole films. Only structures finer than about 16 pixels count (:func:`fine`): chests share the coarse ones.
    Correlation does not see brightness and contrast, which a copy may have changed.
    """
    step = -(-len(training) // MOST_FILMS)
    best = np.full(len(items), -np.inf)
    shown = np.zeros(tuple(items.shape), np.float32)
    size = items.shape[-1]
    radius = min(FINE_RADIUS, size // 8)
    small = fine(items[:, None], radius)
    for film in training[::step]:
        whole_film = film.film if recipe.what == "patch" else whole(film.film, recipe.size)
        found = correlation(fine(torch.from_numpy(whole_film)[None, None], radius), small).flatten(1)
        places = found.argmax(1).numpy()
        values = found.max(1).values.numpy()
        for n in np.flatnonzero(values > best):
            row, column = divmod(int(places[n]), whole_film.shape[1] // 2 - size // 2 + 1)
            best[n], shown[n] = values[n], whole_film[2 * row : 2 * row + size, 2 * column : 2 * column + size]
    return Neighbours(best, shown)


def fine(films: Tensor, radius: int) -> Tensor:
    """Films ``(n, 1, r, c)`` at half the resolution, less the mean of ``2 radius + 1`` pixels; the border is cut off.

    What remains depends on the film's own pixels alone, so that a part has the same values as its place in the whole.
    """
    small = F.avg_pool2d(films, 2)
    rows, columns = (slice(radius, side - radius) for side in small.shape[-2:])
    return small[..., rows, columns] - F.avg_pool2d(small, 2 * radius + 1, stride=1)


def correlation(film: Tensor, items: Tensor) -> Tensor:
    """Pearson's correlation of items ``(n, 1, r, c)`` with every part of a film ``(1, 1, R, C)`` that is as large.

    Returns:
        ``(n, R - r + 1, C - c + 1)``; 0 where the part is nearly constant.
    """
    pixels = items[0].numel()
    centred = items - items.mean((1, 2, 3), keepdim=True)
    centred = centred / centred.flatten(1).norm(dim=1).clamp(min=1e-6)[:, None, None, None]
    middle = film - film.mean()
    ones = torch.ones_like(items[:1])
    total, squares = F.conv2d(middle, ones)[0, 0], F.conv2d(middle.square(), ones)[0, 0]
    spread = (squares - total.square() / pixels).clamp(min=0.0).sqrt()
    found = F.conv2d(middle, centred)[0] / spread.clamp(min=1e-6)
    return torch.where(spread > LEAST_SD * pixels**0.5, found, torch.zeros(()))


def copies(samples: Neighbours, unseen: Neighbours) -> float:
    """Share of samples that are more like a training film than any unseen film of another patient is (our choice)."""
    return float(np.mean(samples.likeness > np.max(unseen.likeness)))


def _entry(values: np.ndarray, patients: Sequence[str]) -> dict[str, Any]:
    """Mean with its 95 % interval over patients."""
    if len(set(patients)) < 2:
        return _plain(float(np.mean(values)))
    estimate = bootstrap_mean(values.astype(np.float64), patients)
    return {"mean": round(estimate.value, 4), "ci95": [round(estimate.low, 4), round(estimate.high, 4)]}


def _plain(value: float) -> dict[str, Any]:
    return {"mean": float(f"{value:.4g}"), "ci95": [None, None]}
