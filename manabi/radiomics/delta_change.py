"""Is a change more than what measuring again would give? The smallest detectable change.

H. de Vet et al., When to use agreement versus reliability measures, J Clin Epidemiol 2006;59:1033-1039
(10.1016/j.jclinepi.2005.10.015): 1.96 · √2 · SEM, where SEM is the standard deviation of repeated measurements of one
patient.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from manabi.radiomics.stability_icc import icc

QUANTILE = 1.96
CHANCE = 0.05
"""Part of the patients without any change whose change exceeds the limit."""


def measurement_sd(repeated: np.ndarray) -> np.ndarray:
    """Standard deviation of repeated measurements of one patient (SEM), of every feature.

    Two scans of one day give it. Perturbations of one scan (:func:`manabi.radiomics.stability.repeat_features`) hold
    only part of what differs between two scans and give a lower bound.

    Args:
        repeated: ``(n_patients, n_repeats, n_features)``; at least 3 patients and 2 repeats.

    Returns:
        ``(n_features,)``, NaN where there are too few patients.

    Raises:
        InvalidInputError: see :func:`manabi.radiomics.stability.icc`.
    """
    return icc(repeated, "1,1").within_sd


def smallest_detectable_change(sd: np.ndarray) -> np.ndarray:
    """Change between two scans that measuring alone exceeds in 5 % of patients: 1.96 · √2 · SEM."""
    return QUANTILE * np.sqrt(2.0) * np.asarray(sd, float)


def detectable(change: np.ndarray, weight: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Whether a weighted sum of scans is more than their noise: |change| > 1.96 · SEM · √(sum of squared weights).

    For a difference of two scans this is the smallest detectable change.

    Args:
        change: ``(n_patients, n_features)``, the weighted sum.
        weight: ``(n_patients, n_times, n_features)``.
        sd: ``(n_features,)`` from :func:`measurement_sd`; a change is never detectable where it is NaN.

    Returns:
        bool, ``(n_patients, n_features)``.
    """
    limit = QUANTILE * sd * np.sqrt((weight**2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        return np.abs(change) > limit


def more_than_chance(found: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Whether more patients changed detectably than the 5 % that would by noise alone (one-sided binomial test at 5 %).

    Args:
        found: bool, patients on the first axis.
        known: bool, whether the change could be computed.

    Returns:
        bool, the other axes. No correction for the number of features.
    """
    hits, total = (found & known).sum(axis=0), known.sum(axis=0)
    return (total > 0) & (stats.binom.sf(hits - 1, total, CHANCE) <= CHANCE)
