"""From scores of single slices to one answer per marker: a chain of three levels in anatomical order.

Each marker is at one of the slices, or above the image, or below it. A joint assignment's probability is the product
of the slices' scores and of how likely the distances between the levels are; levels out of order have none. The chain
is short enough to be summed exactly, so that the confidence is a true posterior, calibrated by fitting the few numbers
of :class:`Decoder` to validation cases. Source: the field's conditional random field (Lafferty J, McCallum A,
Pereira F. Conditional random fields. ICML 2001); its use here is ours, the source takes every slice for itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import log_ndtr, logsumexp

from manabi.errors import InvalidInputError
from manabi.slices.reading import MARKERS, NEAR_MM

OFFSET_MM = 40.0
"""The network gives tanh(distance / 40 mm)."""
FARTHEST_MM = 100.0
"""Distances beyond are not told apart by the network's hyperbolic tangent."""
REFERENCE_MM = 4.0
"""Slice distance that scores are normalised to: a stack twice as dense has twice the candidates."""
BELOW, ABOVE = 0, -1
"""States of a marker: below the image, each slice from the feet, above the image."""


@dataclass(frozen=True)
class Decoder:
    """What the chain knows; each field by marker, or by pair of neighbouring markers.

    Attributes:
        scale: factor of the slices' logits.
        absent: score of "not in the image" where the end slice sees the marker exactly at itself.
        per_mm: increase of that score per mm that the end slice sees the marker beyond the image.
        gap_mm: mean distance apex to carina and carina to diaphragm.
        gap_sd_mm: their standard deviations, wide enough for any patient.
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    absent: tuple[float, float, float] = (0.0, 0.0, 0.0)
    per_mm: tuple[float, float, float] = (0.3, 0.3, 0.3)
    gap_mm: tuple[float, float] = (85.0, 110.0)
    gap_sd_mm: tuple[float, float] = (30.0, 45.0)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Decoder:
        """From a bundle's metadata."""
        return cls(**{key: tuple(float(v) for v in values) for key, values in facts.items()})  # type: ignore[arg-type]

    def facts(self) -> dict[str, list[float]]:
        """For a bundle's metadata."""
        return {key: [round(float(v), 5) for v in values] for key, values in vars(self).items()}


@dataclass(frozen=True)
class Decoded:
    """The chain's answer.

    Attributes:
        states: for each marker the slice, or -1 for below and ``n`` for above the image; jointly the most probable.
        posterior: ``(3, n + 2)``: below, each slice, above; each row sums to 1.
        confidence: for each marker the posterior within 4 mm of the answer, or of its not being in the image.
    """

    states: tuple[int, int, int]
    posterior: np.ndarray
    confidence: tuple[float, float, float]


def offsets_mm(scores: np.ndarray) -> np.ndarray:
    """Distances of the markers towards the head, ``(n, 3)`` mm, as the network sees them from each slice."""
    return np.clip(OFFSET_MM * np.arctanh(np.clip(scores[:, 3:], -0.999, 0.999)), -FARTHEST_MM, FARTHEST_MM)


def decode(scores: np.ndarray, z_mm: np.ndarray, decoder: Decoder) -> Decoded:
    """The most probable levels in order, and each level's posterior.

    Args:
        scores: ``(n, 6)`` network outputs from the feet to the head; rows of NaN for slices that were not evaluated,
            which are no candidates. The end slices must be evaluated.
        z_mm: ``(n,)`` positions, increasing.
        decoder: of the network's bundle.

    Raises:
        InvalidInputError: where an end slice was not evaluated.
    """
    if not np.isfinite(scores[[0, -1]]).all():
        raise InvalidInputError("The first and the last slice must be evaluated before levels can be decoded.")
    scores = np.asarray(scores, np.float64)  # in single precision the fit's small steps would vanish
    candidates = np.flatnonzero(np.isfinite(scores[:, 0]))
    z = np.asarray(z_mm, float)
    single = _single(scores[candidates], z[candidates], z, decoder)
    pairs = [_pair(z[candidates], z, decoder, which) for which in range(2)]
    best = _best(single, pairs)
    margins = _marginals(single, pairs)
    n = len(z)
    posterior = np.zeros((3, n + 2))
    posterior[:, np.concatenate([[0], candidates + 1, [n + 1]])] = margins
    states = tuple(_state(s, candidates, n) for s in best)
    confidence = tuple(_mass(posterior[m], state, z) for m, state in enumerate(states))
    return Decoded(states, posterior, confidence)  # type: ignore[arg-type]


def _state(best: int, candidates: np.ndarray, n: int) -> int:
    if best == 0:
        return -1
    return n if best == len(candidates) + 1 else int(candidates[best - 1])


def _mass(posterior: np.ndarray, state: int, z: np.ndarray) -> float:
    """Probability that the answer counts as right."""
    if state in (-1, len(z)):
        return float(posterior[0 if state == -1 else -1])
    near = np.abs(z - z[state]) <= NEAR_MM + 1e-6
    return float(posterior[1:-1][near].sum())


def _single(scores: np.ndarray, z: np.ndarray, whole: np.ndarray, decoder: Decoder) -> np.ndarray:
    """Log scores of the states of each marker by itself, ``(3, m + 2)``."""
    density = np.log(_step(whole) / REFERENCE_MM)
    beyond = offsets_mm(scores[[0, -1]])
    out = np.empty((3, len(z) + 2))
    for m in range(3):
        out[m, 1:-1] = decoder.scale[m] * scores[:, m] + density
        out[m, BELOW] = decoder.absent[m] - decoder.per_mm[m] * beyond[0, m]
        out[m, ABOVE] = decoder.absent[m] + decoder.per_mm[m] * beyond[1, m]
    return out


def _step(z: np.ndarray) -> float:
    return float((z[-1] - z[0]) / (len(z) - 1)) if len(z) > 1 else REFERENCE_MM


def _pair(z: np.ndarray, whole: np.ndarray, decoder: Decoder, which: int) -> np.ndarray:
    """Log probability of two neighbouring markers' states, upper by lower, ``(m + 2, m + 2)``."""
    mean, sd, step = decoder.gap_mm[which], decoder.gap_sd_mm[which], _step(whole)
    m = len(z)
    table = np.full((m + 2, m + 2), -np.inf)
    gap = z[:, None] - z[None]
    peak = -0.5 * ((gap - mean) / sd) ** 2
    table[1:-1, 1:-1] = np.where(gap > 0, peak, -np.inf)
    top, bottom = whole[-1] + step / 2, whole[0] - step / 2
    tail = np.log(sd * np.sqrt(2 * np.pi) / REFERENCE_MM)
    table[ABOVE, 1:-1] = np.minimum(log_ndtr((mean - (top - z)) / sd) + tail, 0.0)
    table[1:-1, BELOW] = np.minimum(log_ndtr((mean - (z - bottom)) / sd) + tail, 0.0)
    table[ABOVE, BELOW] = min(float(log_ndtr((mean - (top - bottom)) / sd)) + tail, 0.0)
    table[ABOVE, ABOVE] = table[BELOW, BELOW] = 0.0
    return table


def _best(single: np.ndarray, pairs: Sequence[np.ndarray]) -> tuple[int, int, int]:
    """States of the most probable assignment (dynamic programming over the chain)."""
    upper = (single[0][:, None] + pairs[0]).max(axis=0)
    lower = (pairs[1] + single[2][None]).max(axis=1)
    middle = int((upper + single[1] + lower).argmax())
    apex = int((single[0] + pairs[0][:, middle]).argmax())
    diaphragm = int((pairs[1][middle] + single[2]).argmax())
    return apex, middle, diaphragm


def _marginals(single: np.ndarray, pairs: Sequence[np.ndarray]) -> np.ndarray:
    """Posterior of each marker's states (forward and backward sums over the chain), ``(3, m + 2)``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        upper = logsumexp(single[0][:, None] + pairs[0], axis=0)
        lower = logsumexp(pairs[1] + single[2][None], axis=1)
        apex = single[0] + logsumexp(pairs[0] + (single[1] + lower)[None], axis=1)
        diaphragm = single[2] + logsumexp(pairs[1] + (single[1] + upper)[:, None], axis=0)
        out = np.stack([apex, upper + single[1] + lower, diaphragm])
        return np.exp(out - logsumexp(out, axis=1, keepdims=True))


# --- fitting ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scored:
    """A case to fit the decoder to.

    Attributes:
        scores: ``(n, 6)`` network outputs at every slice.
        z_mm: ``(n,)``.
        truth: for each marker its position in mm, ``inf`` above and ``-inf`` below the image; NaN where unknown.
    """

    scores: np.ndarray
    z_mm: np.ndarray
    truth: tuple[float, float, float]


def right_mass(case: Scored, decoder: Decoder) -> np.ndarray:
    """Posterior of what counts as right, by marker: within 4 mm of the truth, or not in the image; NaN if unknown."""
    posterior = decode(case.scores, case.z_mm, decoder).posterior
    out = np.full(3, np.nan)
    for m, truth in enumerate(case.truth):
        if np.isinf(truth):
            out[m] = posterior[m, 0 if truth < 0 else -1]
        elif np.isfinite(truth):
            out[m] = posterior[m, 1:-1][np.abs(case.z_mm - truth) <= NEAR_MM + _step(case.z_mm) / 2].sum()
    return out


def fit_decoder(cases: Sequence[Scored], start: Decoder | None = None, rounds: int = 60) -> Decoder:
    """The decoder under which the validation cases' truth is most probable (maximum likelihood, L-BFGS).

    The distances' means come from the cases; their spread is doubled, and at least 20 mm, so that an unusual chest is
    not talked out of its levels (our choice).

    Args:
        cases: complete and truncated chests; a marker without truncated cases keeps the start's numbers for absence.
        start: where to begin.
        rounds: of the optimiser at most.

    Raises:
        InvalidInputError: without cases.
    """
    from scipy.optimize import minimize

    if not cases:
        raise InvalidInputError("A decoder needs validation cases to be fitted to; there are none.")
    first = _with_gaps(start or Decoder(), cases)
    x0 = np.concatenate([np.log(first.scale), first.absent, np.log(first.per_mm)])

    def loss(x: np.ndarray) -> float:
        decoder = _unpacked(x, first)
        masses = np.stack([right_mass(case, decoder) for case in cases])
        known = masses[np.isfinite(masses)]
        return float(-np.log(known + 1e-6).mean() + 1e-3 * np.square(x - x0).sum())

    found = minimize(loss, x0, method="L-BFGS-B", options={"maxiter": rounds})
    return _unpacked(found.x, first)


def _unpacked(x: np.ndarray, decoder: Decoder) -> Decoder:
    scale, absent, per_mm = np.exp(x[:3]), x[3:6], np.exp(x[6:9])
    return replace(decoder, scale=_three(scale), absent=_three(absent), per_mm=_three(per_mm))


def _three(values: np.ndarray) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c


def _with_gaps(decoder: Decoder, cases: Sequence[Scored]) -> Decoder:
    means, spreads = list(decoder.gap_mm), list(decoder.gap_sd_mm)
    for pair in range(len(MARKERS) - 1):
        gaps = np.array([case.truth[pair] - case.truth[pair + 1] for case in cases])
        gaps = gaps[np.isfinite(gaps)]
        if len(gaps) >= 10:
            means[pair], spreads[pair] = float(gaps.mean()), max(2 * float(gaps.std()), 20.0)
    return replace(decoder, gap_mm=(means[0], means[1]), gap_sd_mm=(spreads[0], spreads[1]))
