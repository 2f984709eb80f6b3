"""Is a feature, or a risk, more than tumour volume? Rank correlation with volume, and its effect beside log volume.

Many texture features grow with the region by their definition (large zone emphasis as the square of a zone's size), and
volume predicts survival by itself, so a feature that is not adjusted for volume proves nothing (M. Welch et al.,
"Vulnerabilities of radiomic signature development", 2019, 10.1016/j.radonc.2018.10.027).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.groups import noted
from manabi.radiomics.cohort.groups_cox import fit_cox
from manabi.radiomics.cohort.groups_tests import adjusted
from manabi.radiomics.cohort.scores import NAN, Score, missing
from manabi.radiomics.cohort.scores_data import Followup
from manabi.result import Table

COLUMNS = (
    "feature", "rho_volume", "rho_low", "rho_high", "hr", "hr_low", "hr_high", "p", "hr_beside_volume",
    "hr_beside_volume_low", "hr_beside_volume_high", "p_beside_volume", "p_beside_volume_holm", "p_beside_volume_bh",
    "reading",
)  # fmt: skip


@dataclass(frozen=True)
class VolumeEffect:
    """One feature beside volume.

    Attributes:
        name: of the feature or risk.
        rho: Spearman correlation with volume.
        alone: hazard ratio per standard deviation.
        adjusted: the same beside log volume.
    """

    name: str
    rho: Score
    alone: Score
    adjusted: Score

    def reading(self, alpha: float = 0.05) -> str:
        """What the two hazard ratios say, in words."""
        if not (np.isfinite(self.alone.p) and np.isfinite(self.adjusted.p)):
            return "cannot be told"
        before, after = self.alone.p < alpha, self.adjusted.p < alpha
        return {
            (True, True): "an effect beside volume",
            (True, False): "no effect shown beside volume",
            (False, True): "an effect only beside volume",
            (False, False): "no effect shown",
        }[before, after]


def spearman(x: np.ndarray, y: np.ndarray, name: str = "Spearman rho", level: float = 0.95) -> Score:
    """Rank correlation with an interval on Fisher's scale.

    Source: D. Bonett, T. Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations",
    2000, 10.1007/BF02294183: variance (1 + rho^2 / 2) / (n - 3).

    Raises:
        InvalidInputError: where the arrays do not fit or hold gaps.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 1 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InvalidInputError(f"Expected two known series of one length; got {x.shape} and {y.shape}.")
    how = f"Spearman, Bonett-Wright, {level:.0%}"
    if len(x) < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return missing(name, "fewer than four rows, or a series that does not vary", len(x), 0, how)
    result = stats.spearmanr(x, y)
    rho = float(result.statistic)
    if abs(rho) >= 1 - 1e-12:
        return Score(name, rho, NAN, NAN, how, len(x), 0, 0.0, "the ranks are the same: no interval")
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    low, high = np.tanh(np.arctanh(rho) + np.array([-half, half]))
    return Score(name, rho, float(low), float(high), how, len(x), 0, float(result.pvalue))


def volume_effects(
    follow: Followup, values: np.ndarray, names: Sequence[str], volume_ml: np.ndarray, level: float = 0.95
) -> tuple[VolumeEffect, ...]:
    """Correlation with volume and hazard ratio per standard deviation with and without log volume, of each feature.

    Rows of one patient are taken as independent; ``how`` says so where there are such rows. Features that were chosen
    by the same outcome, and out-of-fold risks, make small p by themselves.

    Args:
        follow: n rows.
        values: ``(n, p)`` features or risks without gaps.
        names: p names.
        volume_ml: ``(n,)`` above 0.
        level: of the intervals.

    Raises:
        InvalidInputError: where the arrays do not fit, hold gaps, or a volume is not above 0.
    """
    values, volume = np.asarray(values, float), np.asarray(volume_ml, float)
    if values.shape != (follow.n, len(names)) or volume.shape != (follow.n,):
        raise InvalidInputError(
            f"Expected {follow.n} rows of {len(names)} features and a volume each; got {values.shape}, {volume.shape}."
        )
    if not (np.isfinite(values).all() and np.isfinite(volume).all() and (volume > 0).all()):
        raise InvalidInputError("Features must be known and volumes above 0; leave rows with gaps out, or fill them.")
    deviation = values.std(axis=0, ddof=1)
    scaled = (values - values.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    columns = scaled.T[:, :, None]
    log_volume = np.broadcast_to(np.log(volume)[None, :, None], columns.shape)
    alone, both = fit_cox(follow, columns), fit_cox(follow, np.concatenate([columns, log_volume], axis=2))
    return tuple(
        VolumeEffect(
            name, noted(spearman(values[:, k], volume, f"rho of {name} with volume", level), follow),
            noted(alone.ratio(f"hazard ratio per SD, {name}", follow, k, level=level), follow),
            noted(both.ratio(f"hazard ratio per SD beside log volume, {name}", follow, k, level=level), follow),
        )
        for k, name in enumerate(names)
    )  # fmt: skip


def volume_table(effects: Sequence[VolumeEffect], alpha: float = 0.05) -> Table:
    """A row per feature with p adjusted for the number of features; the reading is of unadjusted p."""
    p = np.array([one.adjusted.p for one in effects])
    holm, bh = adjusted(p, "holm"), adjusted(p, "bh")
    rows = []
    for k, one in enumerate(effects):
        numbers = [x for s in (one.rho, one.alone) for x in (s.estimate, s.low, s.high)] + [one.alone.p]
        numbers += [one.adjusted.estimate, one.adjusted.low, one.adjusted.high, one.adjusted.p, holm[k], bh[k]]
        rows.append((one.name, *(float(x) if np.isfinite(x) else None for x in numbers), one.reading(alpha)))
    return Table(COLUMNS, tuple(rows))
