"""From scores of single slices to one answer per marker: a chain of three levels in anatomical order.

Each marker is at one of the slices, or above the image, or below it. A joint assignment's probability is the product
of the slices' scores and of how likely the distances between the levels are; levels out of order have none. The chain
is short enough to be summed exactly, so that the confidence is a true posterior, calibrated by fitting the few numbers
of :class:`Decoder` to validation cases. What tracking of airway and lungs found may count as further evidence. Source:
the field's conditional random field (Lafferty J, McCallum A, Pereira F. Conditional random fields. ICML 2001); its use
here is ours, the source takes every slice for itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import log_ndtr, logsumexp

from manabi.errors import InvalidInputError
from manabi.slices.evidence import Habits, count_habits, evidence
from manabi.slices.reading import MARKERS, NEAR_MM

OFFSET_MM = 40.0
"""The network gives tanh(distance / 40 mm)."""
FARTHEST_MM = 100.0
"""Distances beyond are not told apart by the network's hyperbolic tangent."""
REFERENCE_MM = 4.0
"""Slice distance that scores are normalised to: a stack twice as dense has twice the candidates."""
UNFAMILIAR = (0.02, 0.2, 0.2)
"""What a fit takes (our choice): trained on phantoms, the network by itself was right about the apex of three real
chests, and wrong about the carina of one and the diaphragm of another."""
MOST_LOGIT, LEAST = 30.0, 1e-6
"""Larger logits are cut off, and smaller probabilities are not told apart."""
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
        unfamiliar: share of images on which the network's scores are taken to say nothing: what they can outweigh has a
            limit, and so has the confidence.
        habits: how tracking of airway and lungs errs, whose answer may be given along with the scores.
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    absent: tuple[float, float, float] = (0.0, 0.0, 0.0)
    per_mm: tuple[float, float, float] = (0.3, 0.3, 0.3)
    gap_mm: tuple[float, float] = (85.0, 110.0)
    gap_sd_mm: tuple[float, float] = (30.0, 45.0)
    unfamiliar: tuple[float, float, float] = (0.0, 0.0, 0.0)
    habits: Habits = field(default_factory=Habits)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Decoder:
        """From a bundle's metadata."""
        values = {key: tuple(float(v) for v in row) for key, row in facts.items() if key != "habits"}
        return cls(**values, habits=Habits.of(facts.get("habits", {})))  # type: ignore[arg-type]

    def facts(self) -> dict[str, Any]:
        """For a bundle's metadata."""
        values = {key: [round(float(v), 5) for v in row] for key, row in vars(self).items() if key != "habits"}
        return {**values, "habits": self.habits.facts()}


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


def decode(
    scores: np.ndarray, z_mm: np.ndarray, decoder: Decoder, rules_mm: Sequence[float] | None = None
) -> Decoded:
    """The most probable levels in order, and each level's posterior.

    Args:
        scores: ``(n, 6)`` network outputs from the feet to the head; rows of NaN for slices that were not evaluated:
            none of them is the answer, and their scores are taken to lie between their neighbours'. The end slices
            must be evaluated.
        z_mm: ``(n,)`` positions, increasing.
        decoder: of the network's bundle.
        rules_mm: ``(3,)`` what tracking of airway and lungs said (:attr:`manabi.slices.rules.RuleReading.said_mm`);
            None where it was not asked.

    Raises:
        InvalidInputError: where an end slice was not evaluated.
    """
    if not np.isfinite(scores[[0, -1]]).all():
        raise InvalidInputError("The first and the last slice must be evaluated before levels can be decoded.")
    z, scores = np.asarray(z_mm, float), np.asarray(scores, np.float64)
    known, filled = np.isfinite(scores[:, 0]), filled_scores(scores, z)
    single = _single(filled, z, decoder) + _rules(z, decoder, rules_mm)
    pairs = [_pair(z, decoder, which) for which in range(2)]
    posterior = _marginals(single, [np.exp(pair) for pair in pairs])
    single[:, 1:-1][:, ~known] = -np.inf
    states = tuple(s - 1 for s in _best(single, pairs))
    confidence = tuple(near_mass(posterior[m], state, z) for m, state in enumerate(states))
    return Decoded(states, posterior, confidence)  # type: ignore[arg-type]


def filled_scores(scores: np.ndarray, z_mm: np.ndarray) -> np.ndarray:
    """Scores with those of slices that were not looked at filled in: no answers, but not impossible either.

    They lie on the line between the neighbours that were looked at, or lower, where the scores fall from a peak and
    the fall goes on; never below both neighbours.

    Raises:
        InvalidInputError: where an end slice was not evaluated.
    """
    known = np.isfinite(scores[:, 0])
    if not known[[0, -1]].all():
        raise InvalidInputError("The first and the last slice must be evaluated before levels can be decoded.")
    if known.all():
        return scores
    filled = np.stack([np.interp(z_mm, z_mm[known], scores[known, c]) for c in range(scores.shape[1])], axis=1)
    looked = np.flatnonzero(known)
    for a, b in zip(looked, looked[1:], strict=False):
        if b - a == 1:
            continue
        gap, least = slice(a + 1, b), np.minimum(scores[a], scores[b])
        for end, before in ((a, a - 1), (b, b + 1)):
            if 0 <= before < len(z_mm) and known[before]:
                slope = (scores[end] - scores[before]) / (z_mm[end] - z_mm[before])
                falls = scores[end] + slope[None] * (z_mm[gap] - z_mm[end])[:, None]
                lower = np.where(scores[end] < scores[before], falls, np.inf)
                filled[gap] = np.minimum(filled[gap], np.maximum(lower, least))
    return filled


def near_mass(posterior: np.ndarray, state: int, z_mm: np.ndarray) -> float:
    """Probability that an answer counts as right: that the level is within 4 mm of it, or not in the image.

    Args:
        posterior: ``(n + 2,)`` of one marker, as in :class:`Decoded`.
        state: the answer.
        z_mm: ``(n,)`` positions; a slice's probability is spread evenly over its thickness.
    """
    if state in (-1, len(z_mm)):
        return float(posterior[0 if state == -1 else -1])
    step = _step(z_mm)
    off = z_mm - z_mm[state]
    overlap = np.minimum(NEAR_MM, off + step / 2) - np.maximum(-NEAR_MM, off - step / 2)
    return float((posterior[1:-1] * np.clip(overlap, 0.0, None)).sum() / step)


def _single(scores: np.ndarray, z: np.ndarray, decoder: Decoder) -> np.ndarray:
    """Log scores of the states of each marker by itself, ``(3, n + 2)``."""
    density = np.log(_step(z) / REFERENCE_MM)
    beyond = offsets_mm(scores[[0, -1]])
    logits = np.clip(scores[:, :3], -MOST_LOGIT, MOST_LOGIT)
    out, anywhere = np.empty((3, len(z) + 2)), _anywhere(z)
    for m in range(3):
        out[m, 1:-1] = decoder.scale[m] * logits[:, m] + density
        out[m, BELOW] = decoder.absent[m] - decoder.per_mm[m] * beyond[0, m]
        out[m, ABOVE] = decoder.absent[m] + decoder.per_mm[m] * beyond[1, m]
        if decoder.unfamiliar[m] > 0.0:
            out[m] += np.log(1.0 - decoder.unfamiliar[m]) - logsumexp(out[m])
            out[m] = np.logaddexp(out[m], np.log(decoder.unfamiliar[m]) + anywhere)
    return out


def _anywhere(z: np.ndarray) -> np.ndarray:
    """Log probability of each state where nothing is known: even over the image and some way beyond its ends."""
    share = np.full(len(z) + 2, _step(z))
    share[[BELOW, ABOVE]] = FARTHEST_MM
    return np.log(share / share.sum())


def _rules(z: np.ndarray, decoder: Decoder, rules_mm: Sequence[float] | None) -> np.ndarray | float:
    """Evidence of the rules, or none."""
    return 0.0 if rules_mm is None else evidence(z, np.asarray(rules_mm, float), decoder.habits)


def _step(z: np.ndarray) -> float:
    return float((z[-1] - z[0]) / (len(z) - 1)) if len(z) > 1 else REFERENCE_MM


def _pair(z: np.ndarray, decoder: Decoder, which: int) -> np.ndarray:
    """Log probability of two neighbouring markers' states, upper by lower, ``(n + 2, n + 2)``."""
    mean, sd, step = decoder.gap_mm[which], decoder.gap_sd_mm[which], _step(z)
    table = np.full((len(z) + 2, len(z) + 2), -np.inf)
    gap = z[:, None] - z[None]
    peak = -0.5 * ((gap - mean) / sd) ** 2
    table[1:-1, 1:-1] = np.where(gap > 0, peak, -np.inf)
    top, bottom = z[-1] + step / 2, z[0] - step / 2
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
    """Posterior of each marker's states (forward and backward sums over the chain), ``(3, n + 2)``.

    Args:
        single: log scores.
        pairs: probabilities of neighbouring markers' states, not their logarithms.
    """
    apex, carina, diaphragm = np.exp(single - single.max(axis=1, keepdims=True))
    upper, lower = apex @ pairs[0], pairs[1] @ diaphragm
    out = np.stack([
        apex * (pairs[0] @ (carina * lower)), upper * carina * lower, diaphragm * ((upper * carina) @ pairs[1])
    ])  # fmt: skip
    return out / out.sum(axis=1, keepdims=True)


# --- fitting ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scored:
    """A case to fit the decoder to.

    Attributes:
        scores: ``(n, 6)`` network outputs; rows of NaN as in :func:`decode`.
        z_mm: ``(n,)``.
        truth: for each marker its position in mm, ``inf`` above and ``-inf`` below the image; NaN where unknown.
        rules: what tracking said, as in :func:`decode`.
    """

    scores: np.ndarray
    z_mm: np.ndarray
    truth: tuple[float, float, float]
    rules: tuple[float, float, float] | None = None


def surprise(posterior: np.ndarray, case: Scored) -> list[float]:
    """Minus log posterior of the truth, for each marker whose truth is known.

    Between two slices the posterior is interpolated. This is a proper score: in the mean it is least for the posterior
    that is true, so that fitting by it makes the confidence true.
    """
    out = []
    for m, truth in enumerate(case.truth):
        if np.isnan(truth):
            continue
        if np.isinf(truth):
            out.append(-np.log(posterior[m, 0 if truth < 0 else -1] + LEAST))
            continue
        place = float(np.interp(truth, case.z_mm, np.arange(len(case.z_mm))))
        k, share = int(place), place % 1.0
        here, after = posterior[m, 1:-1][[k, min(k + 1, len(case.z_mm) - 1)]]
        out.append(float(-np.log((1.0 - share) * here + share * after + LEAST)))
    return out


def fit_decoder(cases: Sequence[Scored], start: Decoder | None = None, rounds: int = 60) -> Decoder:
    """The decoder under which the validation cases' truth is most probable (maximum likelihood, L-BFGS).

    The habits of the rules are counted first, where their answers are there. The distances' means come from the cases;
    their spread is doubled, and at least 20 mm, so that an unusual chest is not talked out of its levels (our choice).

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
    first = _with_habits(_with_gaps(start or Decoder(unfamiliar=UNFAMILIAR), cases), cases)
    x0 = np.concatenate([np.log(first.scale), first.absent, np.log(first.per_mm)])
    ready = [_Ready.of(case, first) for case in cases]

    def loss(x: np.ndarray) -> float:
        decoder = _unpacked(x, first)
        values = [value for one in ready for value in one.surprise(decoder)]
        return float(np.mean(values) + 1e-3 * np.square(x - x0).sum())

    found = minimize(loss, x0, method="L-BFGS-B", options={"maxiter": rounds})
    return _unpacked(found.x, first)


@dataclass(frozen=True)
class _Ready:
    """A case with what does not change while the decoder is fitted."""

    case: Scored
    scores: np.ndarray
    pairs: tuple[np.ndarray, ...]
    rules: np.ndarray | float

    @classmethod
    def of(cls, case: Scored, decoder: Decoder) -> _Ready:
        scores = filled_scores(np.asarray(case.scores, np.float64), case.z_mm)
        pairs = tuple(np.exp(_pair(case.z_mm, decoder, which)) for which in range(2))
        return cls(case, scores, pairs, _rules(case.z_mm, decoder, case.rules))

    def surprise(self, decoder: Decoder) -> list[float]:
        return surprise(_marginals(_single(self.scores, self.case.z_mm, decoder) + self.rules, self.pairs), self.case)


def _with_habits(decoder: Decoder, cases: Sequence[Scored]) -> Decoder:
    """The habits of the rules counted on the cases on which they were asked."""
    asked = [(case, case.rules) for case in cases if case.rules is not None]
    if not asked:
        return decoder
    steps = [_step(case.z_mm) for case, _ in asked]
    return replace(decoder, habits=count_habits([case.truth for case, _ in asked], [said for _, said in asked], steps))


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
