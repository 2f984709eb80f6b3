"""Scores of segmentations, and which loss is better than which: the source's ranking beside corrected ones.

Sugino T et al., Healthcare 2021;9:938, 10.3390/healthcare9080938, section 2.5.4: compute every metric for every case
and class; test every pair of losses with Wilcoxon's signed-rank test; a loss's significance score is the number of
losses that are significantly worse (p < 0.05, not adjusted); rank by the mean score over classes and metrics. Twelve
losses make 66 tests per class and metric, of which three are significant by chance alone. The corrected rankings use
Holm's adjustment, or Friedman's test and after it Conover's or Nemenyi's (:mod:`Training.statistics`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manabi.errors import DependencyError, InvalidInputError
from Training.statistics import conover_friedman, friedman, wilcoxon_holm

DIRECTIONS = {
    "dice": 1,
    "hd95_mm": -1,
    "surface_dice": 1,
    "mean_surface_mm": -1,
    "cl_dice": 1,
    "betti0_error": -1,
}
"""Metrics, and whether more (1) or less (-1) is better."""
TESTS = ("published", "holm", "conover", "nemenyi")
FEWEST_CASES = 6
"""Below this many cases a class and metric is not ranked: the signed-rank test of 5 cannot reach 0.05 (our choice)."""

Measured = Mapping[str, Mapping[str, float]]


# --- scores ---------------------------------------------------------------------------------------------------------


def measure(
    truth: np.ndarray, prediction: np.ndarray, spacing_mm: Sequence[float], tolerance_mm: float = 1.0,
    tubular: bool = False,
) -> dict[str, float]:  # fmt: skip
    """Metrics of one structure in one case, by the names of :data:`DIRECTIONS`.

    Where neither holds the structure every value is nan, and is left out of means and tests. Where only one does, the
    overlaps are 0 and the distances the diagonal of the image: a missed structure must not drop out (our choice).

    Args:
        truth: ``(slices, rows, columns)``, bool.
        prediction: the same shape.
        spacing_mm: along I, J, K (columns, rows, slices).
        tolerance_mm: distance up to which surfaces agree in ``surface_dice``.
        tubular: also ``cl_dice`` (Shit et al., CVPR 2021, 10.1109/CVPR46437.2021.01629) and ``betti0_error``, the
            difference of the numbers of pieces (26 neighbours).

    Raises:
        InvalidInputError: for arrays of other shapes.
    """
    true, found = np.asarray(truth, bool), np.asarray(prediction, bool)
    step = np.asarray(spacing_mm, float)[::-1]
    if true.shape != found.shape or true.ndim != 3 or step.shape != (3,):
        raise InvalidInputError(
            f"Expected two masks (slices, rows, columns) of one shape and three spacings; got {true.shape}, "
            f"{found.shape} and {tuple(spacing_mm)}."
        )
    names = [name for name in DIRECTIONS if tubular or name not in ("cl_dice", "betti0_error")]
    if not true.any() and not found.any():
        return dict.fromkeys(names, float("nan"))
    values = {"dice": 2 * float((true & found).sum()) / float(true.sum() + found.sum())}
    if true.any() and found.any():
        values |= _surface_metrics(*_cropped(true, found), step, tolerance_mm)
    else:
        diagonal = float(np.linalg.norm(step * true.shape))
        values |= {"hd95_mm": diagonal, "surface_dice": 0.0, "mean_surface_mm": diagonal}
    if tubular:
        values |= {"cl_dice": cl_dice(true, found), "betti0_error": abs(_pieces(true) - _pieces(found))}
    return {name: float(values[name]) for name in names}


def measure_case(
    truth: np.ndarray, prediction: np.ndarray, classes: Mapping[str, int], spacing_mm: Sequence[float],
    tolerance_mm: float = 1.0, tubular: Sequence[str] = ("vessels",),
) -> dict[str, dict[str, float]]:  # fmt: skip
    """:func:`measure` for every structure of two label maps.

    Args:
        truth: ``(slices, rows, columns)``, labels.
        prediction: the same shape.
        classes: label of each structure, as in :data:`manabi.brain.structures.CLASSES`.
        spacing_mm: along I, J, K.
        tolerance_mm: of ``surface_dice``.
        tubular: structures that get the metrics of vessels too.
    """
    return {
        name: measure(truth == label, prediction == label, spacing_mm, tolerance_mm, name in tubular)
        for name, label in classes.items()
    }


def cl_dice(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Harmonic mean of the shares of each one's centre line that lie in the other; 0 where one is empty."""
    if not truth.any() or not prediction.any():
        return 0.0
    true, found = _cropped(truth, prediction)
    lines = [_centre_line(mask) for mask in (true, found)]
    sensitivity = float(found[lines[0]].mean())
    precision = float(true[lines[1]].mean())
    total = sensitivity + precision
    return 2 * sensitivity * precision / total if total else 0.0


def _centre_line(mask: np.ndarray) -> np.ndarray:
    """The skeleton; pieces so compact that thinning leaves nothing of them stand for themselves (our choice)."""
    from scipy.ndimage import label
    from skimage.morphology import skeletonize

    line = skeletonize(mask) > 0
    pieces, _ = label(mask, np.ones((3, 3, 3)))
    lost = np.setdiff1d(np.unique(pieces[mask]), pieces[line])
    return line | np.isin(pieces, lost)


def _surface_metrics(true: np.ndarray, found: np.ndarray, step: np.ndarray, tolerance_mm: float) -> dict[str, float]:
    """MONAI's surface metrics of two masks that are not empty; surfaces are voxels of the edge."""
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    a, b = (torch.from_numpy(mask[None, None]) for mask in (found, true))
    spacing = step.tolist()
    far = compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=spacing)
    near = compute_surface_dice(a, b, class_thresholds=[tolerance_mm], include_background=True, spacing=spacing)
    mean = compute_average_surface_distance(a, b, include_background=True, symmetric=True, spacing=spacing)
    return {"hd95_mm": far.item(), "surface_dice": near.item(), "mean_surface_mm": mean.item()}


def _cropped(true: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks in the box that holds them, with an empty voxel around: the same surfaces in less time."""
    from scipy.ndimage import find_objects

    box = find_objects((true | found).astype(np.uint8))[0]
    return np.pad(true[box], 1), np.pad(found[box], 1)


def _pieces(mask: np.ndarray) -> int:
    from scipy.ndimage import label

    return int(label(mask, np.ones((3, 3, 3)))[1])


# --- ranking --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScoreBook:
    """Every score of every loss: ``values`` is ``(losses, cases, structures, metrics)``; nan where there is none."""

    losses: tuple[str, ...]
    structures: tuple[str, ...]
    metrics: tuple[str, ...]
    values: np.ndarray

    @classmethod
    def of(cls, measured: Mapping[str, Sequence[Measured]]) -> ScoreBook:
        """A book of what :func:`measure_case` gave, by loss; every loss has the same cases in the same order.

        Raises:
            InvalidInputError: for fewer than two losses, or different numbers of cases.
        """
        counts = {len(cases) for cases in measured.values()}
        if len(measured) < 2 or len(counts) != 1:
            raise InvalidInputError(
                f"A ranking needs at least two losses with the same cases; got {len(measured)} with {sorted(counts)}."
            )
        every = [case for cases in measured.values() for case in cases]
        structures = tuple(dict.fromkeys(name for case in every for name in case))
        known = {metric for case in every for values in case.values() for metric in values}
        metrics = tuple(name for name in DIRECTIONS if name in known)
        values = [
            [[[case.get(s, {}).get(m, np.nan) for m in metrics] for s in structures] for case in cases]
            for cases in measured.values()
        ]
        return cls(tuple(measured), structures, metrics, np.array(values, float))

    def columns(self, structure: int, metric: int) -> np.ndarray:
        """``(losses, cases)``, more is better; cases that lack a value for any loss are left out."""
        table = self.values[:, :, structure, metric] * DIRECTIONS[self.metrics[metric]]
        return table[:, np.isfinite(table).all(0)]


@dataclass(frozen=True)
class Ranking:
    """Losses ranked by how many others they beat.

    Attributes:
        test: one of :data:`TESTS`.
        significance: ``(losses, structures, metrics)``, how many losses are significantly worse; nan where not ranked.
        score: mean significance of each loss.
        rank: 1 for the highest score; equal scores share the mean rank.
        cases: ``(structures, metrics)``, how many cases were compared.
        warnings: what limits the ranking.
    """

    test: str
    significance: np.ndarray
    score: dict[str, float]
    rank: dict[str, float]
    cases: np.ndarray
    warnings: tuple[str, ...]


def rank_losses(book: ScoreBook, test: str = "published", alpha: float = 0.05) -> Ranking:
    """Rank the losses of a book.

    Args:
        book: the scores.
        test: ``published`` is the source's unadjusted Wilcoxon; ``holm`` adjusts it over the pairs of each class and
            metric; ``conover`` (with Holm) and ``nemenyi`` count only where Friedman's test is below ``alpha``.
        alpha: level of significance.

    Raises:
        InvalidInputError: for an unknown test, or where no class and metric has :data:`FEWEST_CASES` cases.
        DependencyError: when scikit-posthocs or statsmodels is missing.
    """
    from scipy.stats import rankdata

    if test not in TESTS:
        raise InvalidInputError(f"The test must be one of {', '.join(TESTS)}; got {test!r}.")
    shape = book.values.shape[2:]
    found, cases = np.full((len(book.losses), *shape), np.nan), np.zeros(shape, int)
    for place in np.ndindex(*shape):
        table = book.columns(*place)
        cases[place] = table.shape[1]
        if table.shape[1] >= FEWEST_CASES:
            found[(slice(None), *place)] = _beaten(book.losses, table, test, alpha)
    if not np.isfinite(found).any():
        raise InvalidInputError(f"No class and metric has {FEWEST_CASES} cases with a value for every loss.")
    score = np.nanmean(found.reshape(len(book.losses), -1), 1)
    ranks = rankdata(-np.round(score, 9))
    texts = _warnings(book, cases, test, alpha)
    return Ranking(test, found, dict(zip(book.losses, score.tolist(), strict=True)),
                   dict(zip(book.losses, ranks.tolist(), strict=True)), cases, texts)  # fmt: skip


def _beaten(losses: Sequence[str], table: np.ndarray, test: str, alpha: float) -> np.ndarray:
    """How many losses each one beats; ``table`` is ``(losses, cases)`` with more being better."""
    p = _p_values(losses, table, test, alpha)
    better = np.array([[_advantage(one, other, table, test) > 0 for other in range(len(table))]
                       for one in range(len(table))])  # fmt: skip
    return ((p < alpha) & better).sum(1).astype(float)


def _p_values(losses: Sequence[str], table: np.ndarray, test: str, alpha: float) -> np.ndarray:
    """``(losses, losses)``; ones on the diagonal."""
    scores = dict(zip(losses, table, strict=True))
    p = np.ones((len(losses), len(losses)))
    if test in ("conover", "nemenyi"):
        same = bool((table == table[0]).all())
        if same or friedman(scores).p >= alpha:
            return p
    if test == "nemenyi":
        return _nemenyi(table)
    place = {name: index for index, name in enumerate(losses)}
    if test == "conover":
        with np.errstate(invalid="ignore", divide="ignore"):
            pairs = conover_friedman(scores)
    else:
        pairs = wilcoxon_holm(scores)
    for pair in pairs:
        a, b = place[pair.first], place[pair.second]
        p[a, b] = p[b, a] = pair.p if test == "published" else pair.p_holm
    # Conover's statistic divides by zero where every case ranks the losses alike: no doubt is left about the order.
    return np.where(np.isnan(p), 0.0, p)


def _nemenyi(table: np.ndarray) -> np.ndarray:
    """P-values of Nemenyi's test, which holds the error of all pairs together (Nemenyi, thesis, Princeton 1963)."""
    try:
        from scikit_posthocs import posthoc_nemenyi_friedman
    except ImportError as error:
        raise DependencyError("This test needs scikit-posthocs: pip install 'manabi[train]'") from error
    return posthoc_nemenyi_friedman(table.T).to_numpy(float)


def _advantage(one: int, other: int, table: np.ndarray, test: str) -> float:
    """Above 0 where the first is better: by signed ranks as Wilcoxon's test, or by mean ranks as Friedman's."""
    from scipy.stats import rankdata

    if test in ("published", "holm"):
        difference = table[one] - table[other]
        kept = difference[difference != 0]
        return float((np.sign(kept) * rankdata(np.abs(kept))).sum())
    ranks = rankdata(table, axis=0).mean(1)
    return float(ranks[one] - ranks[other])


def _warnings(book: ScoreBook, cases: np.ndarray, test: str, alpha: float) -> tuple[str, ...]:
    total, texts = book.values.shape[1], []
    few = [f"{book.structures[s]} {book.metrics[m]} ({cases[s, m]})" for s, m in np.argwhere(cases < FEWEST_CASES)
           if np.isfinite(book.values[:, :, s, m]).any()]  # fmt: skip
    if few:
        texts.append(f"Not ranked, fewer than {FEWEST_CASES} cases have a value for every loss: {', '.join(few)}.")
    dropped = int((total - cases[(cases >= FEWEST_CASES)]).max(initial=0))
    if dropped:
        texts.append(f"Up to {dropped} of {total} cases were left out: a loss has no value there (structure absent).")
    pairs = len(book.losses) * (len(book.losses) - 1) // 2
    most = int(cases.max())
    if test == "published":
        texts.append(f"Not adjusted: {pairs} tests per class and metric; about {alpha * pairs:.1f} by chance alone.")
    if test == "holm" and 2.0 ** (1 - most) * pairs >= alpha:
        texts.append(f"With {most} cases no pair of {pairs} can be significant after Holm's adjustment.")
    return tuple(texts)
