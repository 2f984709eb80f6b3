"""Tests in number: adjusted p-values, what chance gives, how many events are needed, permutation."""

from __future__ import annotations

import numpy as np
from scipy import stats

from manabi.errors import InvalidInputError
from manabi.radiomics.cohort.scores import NAN, Score, missing
from manabi.radiomics.cohort.scores_data import Followup, Predicted, tolerance
from manabi.radiomics.cohort.scores_pairs import Later, harrell

METHODS = {"holm": "holm", "bh": "fdr_bh", "bonferroni": "bonferroni"}


def adjusted(p: np.ndarray, method: str = "holm") -> np.ndarray:
    """P-values adjusted for their number, by statsmodels; NaN stays NaN and does not count.

    Args:
        p: ``(k,)``.
        method: ``holm`` (family-wise; S. Holm, 1979), ``bh`` (false discovery rate; Y. Benjamini, Y. Hochberg, 1995,
            10.1111/j.2517-6161.1995.tb02031.x) or ``bonferroni``.

    Raises:
        InvalidInputError: where the method is unknown or a value is no probability.
    """
    from statsmodels.stats.multitest import multipletests

    p = np.asarray(p, float)
    if method not in METHODS:
        raise InvalidInputError(f"The adjustment is one of {', '.join(METHODS)}; got {method!r}.")
    known = np.isfinite(p)
    if not ((p[known] >= 0) & (p[known] <= 1)).all():
        raise InvalidInputError("A p-value lies between 0 and 1.")
    out = np.full(p.shape, NAN)
    if known.any():
        out[known] = multipletests(p[known], method=METHODS[method])[1]
    return out


def expected_false_positives(n_tests: int, alpha: float = 0.05) -> float:
    """How many of so many tests without any effect fall below ``alpha`` on average: 37.2 of 744 at .05.

    True whether or not the tests are correlated; correlation only widens the spread.
    """
    return n_tests * alpha


def events_needed(
    ratio: float, power: float = 0.8, alpha: float = 0.05, share: float | None = 0.5, explained: float = 0.0
) -> float:
    """Events with which a hazard ratio is found with a power; round up.

    For two groups after D. Schoenfeld, "Sample-size formula for the proportional-hazards regression model", 1983,
    10.2307/2531021; per standard deviation of a continuous covariate, and adjusted for others, after F. Hsieh,
    P. Lavori, 2000, 10.1016/S0197-2456(00)00104-5. The hazard ratio of 1.98 that a 5-year survival of 70.7 against
    50.3 % implies needs 67.1 at a median split. The formula is for small
    effects: in our simulation 67 events gave 79 % of power where half of the patients were censored (1,500 cohorts),
    but 76 % without censoring, since the groups' shares at risk drift apart.

    Args:
        ratio: hazard ratio.
        power: wanted.
        alpha: two-sided.
        share: of patients in one group; None for a continuous covariate, with ``ratio`` per standard deviation.
        explained: R squared of the covariate on the others in the model.

    Raises:
        InvalidInputError: where a number lies outside its range.
    """
    if ratio <= 0 or ratio == 1 or not (0 < power < 1 and 0 < alpha < 1 and 0 <= explained < 1):
        raise InvalidInputError(
            "Expected a hazard ratio above 0 other than 1, and power, alpha, R squared within 0 to 1."
        )
    if share is not None and not 0 < share < 1:
        raise InvalidInputError(f"The share of a group lies between 0 and 1; got {share}.")
    variance = 1.0 if share is None else share * (1 - share)
    z = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    return float(z**2 / (variance * np.log(ratio) ** 2 * (1 - explained)))


def power_of(ratio: float, events: float, alpha: float = 0.05, share: float | None = 0.5) -> float:
    """Power to find a hazard ratio with so many events; source as :func:`events_needed`."""
    variance = 1.0 if share is None else share * (1 - share)
    z = abs(np.log(ratio)) * np.sqrt(events * variance) - stats.norm.ppf(1 - alpha / 2)
    return float(stats.norm.cdf(z))


def permutation_p(observed: float, null: np.ndarray) -> float:
    """Share of the null's values at least as high, the observed one counted among them.

    Source: B. Phipson, G. Smyth, "Permutation p-values should never be zero", 2010, 10.2202/1544-6115.1585.

    Args:
        observed: the score of the pipeline on the true outcomes.
        null: scores of the *whole* pipeline on permuted outcomes; NaN is left out.
    """
    values = np.asarray(null, float)
    values = values[np.isfinite(values)]
    if not (np.isfinite(observed) and len(values)):
        return NAN
    return float((1 + (values >= observed - 1e-12).sum()) / (1 + len(values)))


def permuted_concordance(follow: Followup, risk: np.ndarray, draws: int = 1000, seed: int = 0) -> Score:
    """Harrell C of a risk that was fixed beforehand, with one-sided p from permuted outcomes; no interval.

    Patients are permuted, so it is for one row per patient, and for risks whose model never saw these patients.
    Out-of-fold risks were fitted on them: there the whole cross-validation must be repeated on permuted outcomes
    (:func:`permutation_p`).

    Raises:
        InvalidInputError: where a patient has several rows.
    """
    if len(np.unique(follow.patients)) < follow.n:
        raise InvalidInputError("Permutation needs one row per patient; score one tumour per patient.")
    statistic = harrell(follow, Predicted(risk))
    how = f"permutation of outcomes, {draws} draws, seed {seed}, one-sided"
    if statistic.reason:
        return missing(statistic.name, statistic.reason, follow.n, follow.events, how)
    rng = np.random.default_rng(seed)
    risk = np.asarray(risk, float)
    first = np.flatnonzero(follow.event)
    pairs = Later(follow)(first)
    null = np.array([_share(pairs, first, rng.permutation(risk)) for _ in range(draws)])
    observed = statistic.estimate()
    return Score(statistic.name, observed, NAN, NAN, how, follow.n, follow.events, permutation_p(observed, null),
                 "a test: no interval")  # fmt: skip


def _share(pairs: np.ndarray, first: np.ndarray, risk: np.ndarray) -> float:
    """Harrell C of one row of risks, with what does not change between permutations given."""
    gap = risk[first][:, None] - risk[None]
    close = tolerance(risk)
    return float(((gap[pairs] > close).sum() + 0.5 * (np.abs(gap[pairs]) <= close).sum()) / pairs.sum())
