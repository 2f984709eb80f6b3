"""Laying the outline of the lungs on a film: the one whose edges are bright outside and dark inside, all around.

Candidates are drawn from a normal distribution that starts at anatomy's and is narrowed to the best of them, again and
again (cross-entropy method; R. Y. Rubinstein, Methodology and Computing in Applied Probability 1999,
10.1023/A:1010091220143). The draws have a fixed seed: a film has one answer. The score is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manabi.nodule import lung_shape

GRID = 128
"""Pixels of the longer side on which the outline is fitted."""
CANDIDATES, ELITE, ROUNDS = 400, 30, 24
STARTS = ((0.10, 0.66), (0.24, 0.64))
"""Top and base of the lungs that the search starts from, high and low on the film; the better answer is taken."""
STEPS = (0.014, 0.028)
"""Distance of the samples on either side of the outline, as fractions of the longer side."""
WEIGHTS = {"wall": 1.0, "dome": 1.1, "mediastinum": 0.9, "apex": 0.5}
PRIOR = 0.035
"""Cost of being one spread away from the mean, in every number."""
REGION = 1.2
HEIGHTS = np.array(
    [[0.08, 0.55, 0.7, 0.8], [0.16, 0.4, 0.6, 0.8], [0.28, 0.3, 0.5, 0.75], [0.42, 0.2, 0.4, 0.65],
     [0.56, 0.15, 0.3, 0.5], [0.7, 0.1, 0.25, 0.4], [0.84, 0.1, 0.2, 0.35]]
)  # fmt: skip
"""Places in a lung that must be dark: a height, and places across, clear of the heart."""
SLENDER, SLENDER_SPREAD = 0.65, 0.25
"""Natural logarithm of a lung's height over its width, and its spread."""
SATURATION = 0.55
"""Edges stronger than this (in local standard deviations) count no more: a device's rim is no better than a lung's."""


@dataclass(frozen=True)
class Fit:
    """The best outline.

    Attributes:
        numbers: of :data:`manabi.nodule.lung_shape.NAMES`.
        score: of its edges; higher is better.
        parts: mean edge by part of the outline, for right and left lung.
    """

    numbers: np.ndarray
    score: float
    parts: dict[str, tuple[float, float]]


def fit(film: np.ndarray, seed: int = 0) -> Fit:
    """The outline that suits a film best.

    Args:
        film: float32 ``(rows, columns)`` in [0, 1], denser brighter, the longer side :data:`GRID`.
        seed: of the draws.
    """
    image = local_contrast(film)
    centre = lung_shape.MEAN.copy()
    centre[0] *= film.shape[1] / max(film.shape)
    numbers, score = max((_search(image, centre, start, seed) for start in STARTS), key=lambda found: found[1])
    return Fit(numbers, score, _parts(image, numbers))


def _search(
    image: np.ndarray, centre: np.ndarray, start: tuple[float, float], seed: int
) -> tuple[np.ndarray, float]:  # fmt: skip
    """The best outline that a search from one start finds, and its score."""
    rng = np.random.default_rng(seed)
    mean, spread = centre.copy(), 1.2 * lung_shape.SPREAD
    mean[[4, 8]], mean[[5, 9]] = start
    best, best_score = mean, -np.inf
    for _ in range(ROUNDS):
        drawn = mean + spread * rng.standard_normal((CANDIDATES, len(mean)))
        drawn = np.clip(drawn, lung_shape.LOWEST, lung_shape.HIGHEST)
        scores = _scores(image, drawn, centre)
        order = np.argsort(-scores, kind="stable")[:ELITE]
        if scores[order[0]] > best_score:
            best, best_score = drawn[order[0]], float(scores[order[0]])
        elite = drawn[order]
        mean = 0.7 * elite.mean(0) + 0.3 * mean
        spread = 0.7 * elite.std(0) + 0.3 * spread
    return best, best_score


def local_contrast(film: np.ndarray) -> np.ndarray:
    """The film smoothed, less its surroundings, in units of their spread: shading and exposure do not matter."""
    from scipy import ndimage

    side = max(film.shape)
    fine = ndimage.gaussian_filter(film, 0.010 * side, mode="nearest")
    around = ndimage.gaussian_filter(film, 0.16 * side, mode="nearest")
    spread = np.sqrt(ndimage.gaussian_filter((film - around) ** 2, 0.16 * side, mode="nearest"))
    return ((fine - around) / (spread + 0.02)).astype(np.float32)


def _scores(image: np.ndarray, numbers: np.ndarray, centre: np.ndarray) -> np.ndarray:
    edges, parts = _edges(image, numbers)
    total = np.zeros(len(numbers))
    for part, weight in WEIGHTS.items():
        total += weight * edges[:, :, [p == part for p in parts]].mean((1, 2))
    away = (numbers - centre) / lung_shape.SPREAD
    unlike = (numbers[:, [2, 4, 5]] - numbers[:, [6, 8, 9]]) / (0.7 * lung_shape.SPREAD[[2, 4, 5]])
    height = np.maximum(numbers[:, [5, 9]] - numbers[:, [4, 8]], 0.02)
    slender = (np.log(height / numbers[:, [2, 6]]) - SLENDER) / SLENDER_SPREAD
    costs = (away**2).sum(1) + (unlike**2).sum(1) + (slender**2).sum(1)
    return total + REGION * _regions(image, numbers) - PRIOR * costs / 2


def _edges(image: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """How much brighter it is outside than inside at each point, ``(n, 2, m)``, and the points' parts."""
    points, parts = lung_shape.outlines(numbers)
    normals = _outward(points)
    total = np.zeros(points.shape[:-1])
    for step in STEPS:
        difference = sample(image, points + step * normals) - sample(image, points - step * normals)
        total += np.clip(difference, -SATURATION, SATURATION)
    return total / len(STEPS), parts


def _regions(image: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """How much darker the lungs are than the mediastinum between them, on the average and where it is least so."""
    top = (numbers[:, 4] + numbers[:, 8])[:, None] / 2
    base = (numbers[:, 5] + numbers[:, 9])[:, None] / 2
    rows = top + HEIGHTS[:, 0] * (base - top)
    middle = numbers[:, 0:1] + numbers[:, 1:2] * (rows - 0.45)
    between = sample(image, np.stack([rows, middle], -1)).mean(1)
    lungs = []
    for first, sign in ((2, 1.0), (6, -1.0)):
        width, gap, top, base = (numbers[:, first + n, None, None] for n in range(4))
        rows = np.broadcast_to(top + HEIGHTS[:, :1] * (base - top), (len(numbers), *HEIGHTS[:, 1:].shape))
        away = gap + (1.0 - HEIGHTS[:, 1:]) * width
        columns = numbers[:, 0, None, None] + numbers[:, 1, None, None] * (rows - 0.45) - sign * away
        lungs.append(sample(image, np.stack([rows, columns], -1)).mean(2))
    darker = np.clip(between[:, None, None] - np.stack(lungs, 1), -1.5, 1.5) / 1.5
    return 0.5 * darker.mean((1, 2)) + 0.5 * np.sort(darker, 2)[:, :, :2].mean((1, 2))


def _outward(points: np.ndarray) -> np.ndarray:
    """Unit normals that point out of each closed outline."""
    along = np.roll(points, -1, 2) - np.roll(points, 1, 2)
    normals = np.stack([along[..., 1], -along[..., 0]], -1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-9
    following = np.roll(points, -1, 2)
    area = (points[..., 1] * following[..., 0] - following[..., 1] * points[..., 0]).sum(-1)
    return normals * np.where(area > 0, -1.0, 1.0)[..., None, None]


def sample(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values at rows and columns given as fractions of the longer side, linearly; the border continues outside."""
    from scipy import ndimage

    side = max(image.shape)
    rows, columns = points[..., 0] * side - 0.5, points[..., 1] * side - 0.5
    values = ndimage.map_coordinates(image, [rows.ravel(), columns.ravel()], order=1, mode="nearest")
    return values.reshape(points.shape[:-1])


def _parts(image: np.ndarray, numbers: np.ndarray) -> dict[str, tuple[float, float]]:
    edges, parts = _edges(image, numbers[None])
    found = {}
    for part in lung_shape.PARTS:
        means = edges[0][:, [p == part for p in parts]].mean(1)
        found[part] = (float(means[0]), float(means[1]))
    return found
