"""Choosing a filter's parameters on validation pairs, never on the test set."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from manabi.errors import InvalidInputError
from manabi.filters.base import Filter, Pairs, Spacing, checked_image
from manabi.filters.parallel import parallel_map

logger = logging.getLogger(__name__)
Metric = Callable[[np.ndarray, np.ndarray], float]


def search(
    filter_type: type[Filter], pairs: Pairs, metric: Metric, spacing_mm: Spacing = 1.0
) -> list[tuple[Filter, float]]:
    """Every candidate with its mean score, the best first.

    Args:
        filter_type: one of :data:`manabi.filters.FILTERS`.
        pairs: (noisy, reference) images, 2-D or 3-D, of the validation cases.
        metric: of (denoised, reference); larger is better.
        spacing_mm: pixel size, see :meth:`manabi.filters.base.Filter.apply`.

    Raises:
        InvalidInputError: where there are no pairs, shapes differ, or the metric is not a finite number anywhere.
    """
    if not pairs:
        raise InvalidInputError("Tuning a filter needs at least one (noisy, reference) pair; got none.")
    checked = [(checked_image(noisy), checked_image(reference)) for noisy, reference in pairs]
    for noisy, reference in checked:
        if noisy.shape != reference.shape:
            raise InvalidInputError(f"Noisy and reference differ in shape: {noisy.shape} and {reference.shape}.")

    def score(candidate: Filter) -> float:
        return float(np.mean([metric(candidate.apply(noisy, spacing_mm), reference) for noisy, reference in checked]))

    candidates = filter_type.candidates(checked)
    scores = parallel_map(score, candidates)
    found = [(c, s) for c, s in zip(candidates, scores, strict=True) if np.isfinite(s)]
    if not found:
        raise InvalidInputError(f"The metric gave no finite number for any setting of {filter_type.title}.")
    return sorted(found, key=lambda pair: -pair[1])


def tune(filter_type: type[Filter], pairs: Pairs, metric: Metric, spacing_mm: Spacing = 1.0) -> Filter:
    """The candidate with the best mean score; arguments and errors as in :func:`search`."""
    best, score = search(filter_type, pairs, metric, spacing_mm)[0]
    logger.info("%s: best of validation %.4f with %s", filter_type.title, score, best)
    return best
