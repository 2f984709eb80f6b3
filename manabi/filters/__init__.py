"""Classical denoising filters: the baselines that learned ones have to beat.

``FILTERS`` maps a name to a frozen dataclass of parameters with ``apply(image)`` and ``grid()``; ``tune`` chooses the
parameters on validation pairs.
"""

from __future__ import annotations

from manabi.errors import InvalidInputError
from manabi.filters import tuning
from manabi.filters.base import Filter, Pairs, Spacing
from manabi.filters.bilateral import Bilateral
from manabi.filters.bm3d import BM3D
from manabi.filters.gaussian import Gaussian
from manabi.filters.nlm import NonLocalMeans, non_local_means
from manabi.filters.noise import estimate_noise_std
from manabi.filters.tuning import Metric

__all__ = ["FILTERS", "BM3D", "Bilateral", "Filter", "Gaussian", "NonLocalMeans", "estimate_noise_std",
           "filter_type", "non_local_means", "tune"]

FILTERS: dict[str, type[Filter]] = {one.name: one for one in (Gaussian, Bilateral, NonLocalMeans, BM3D)}


def filter_type(name: str) -> type[Filter]:
    """The filter of that name; raises InvalidInputError listing the names."""
    if name not in FILTERS:
        raise InvalidInputError(f"Unknown filter {name!r}. Known: {', '.join(FILTERS)}.")
    return FILTERS[name]


def tune(name: str, pairs: Pairs, metric: Metric, spacing_mm: Spacing = 1.0) -> Filter:
    """The parameters of filter ``name`` that score best on validation pairs; see :func:`manabi.filters.tuning.search`.

    Args:
        name: key of ``FILTERS``.
        pairs: (noisy, reference) images.
        metric: of (denoised, reference); larger is better.
        spacing_mm: pixel size, one number or one per axis.
    """
    return tuning.tune(filter_type(name), pairs, metric, spacing_mm)
