"""How well the markers are found: errors in mm, "not in the image", calibration, and the coarse-to-fine search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from manabi.slices.decode import Decoder, Scored, decode
from manabi.slices.prepare import InputSettings
from manabi.slices.reading import MARKERS, NEAR_MM
from manabi.slices.search import SearchPlan, search_coarse_to_fine
from Training.slices import score_planes
from Training.slices_data import STEP_MM, SliceCase

CUTS = 2
"""Truncated copies of each case that calibration and evaluation add to the whole one (our choice)."""
SHORTEST_MM = 80.0


@dataclass(frozen=True)
class Answer:
    """One marker of one image, found and true.

    Attributes:
        case: name.
        pathology: in a word.
        marker: one of ``MARKERS``.
        truth_mm: position; infinite where it lies outside the image.
        found_mm: answer; infinite where it was said to lie outside.
        confidence: of the answer.
        slice_mm: distance of the slices that were candidates.
        cut: whether the image is a truncated copy.
    """

    case: str
    pathology: str
    marker: str
    truth_mm: float
    found_mm: float
    confidence: float
    slice_mm: float
    cut: bool

    @property
    def right(self) -> bool:
        """Within 4 mm, or rightly not in the image."""
        if np.isinf(self.truth_mm) or np.isinf(self.found_mm):
            return self.truth_mm == self.found_mm
        return abs(self.truth_mm - self.found_mm) <= NEAR_MM + 1e-6

    @property
    def error_mm(self) -> float:
        """Distance; NaN unless both are in the image."""
        error = abs(self.truth_mm - self.found_mm) if np.isfinite(self.truth_mm) else np.nan
        return float(error) if np.isfinite(error) else float("nan")


def views(case: SliceCase, seed: int) -> list[tuple[np.ndarray, bool]]:
    """Plane numbers of the whole image and of truncated copies: ``(rows, cut)``.

    Rows step by the image's own slice distance, to the nearest 2 mm. A copy keeps a random part of at least 80 mm.
    """
    rng = np.random.default_rng([seed, len(case.planes)])
    step = max(round(case.slice_mm / STEP_MM), 1)
    whole = np.arange(0, len(case.planes), step)
    out = [(whole, False)]
    least = int(np.ceil(SHORTEST_MM / (step * STEP_MM)))
    for _ in range(CUTS):
        if len(whole) <= least + 2:
            continue
        length = int(rng.integers(least, len(whole)))
        first = int(rng.integers(0, len(whole) - length + 1))
        out.append((whole[first : first + length], True))
    return out


def scored(model: torch.nn.Module, case: SliceCase, rows: np.ndarray, settings: InputSettings) -> Scored:
    """A view's scores with its truth."""
    z = case.z_mm[rows]
    half = (z[1] - z[0]) / 2
    scores = score_planes(model, case, rows, settings)
    return Scored(scores, z, case.absent_beyond(z[0] - half, z[-1] + half))


def answers(case: SliceCase, view: Scored, decoder: Decoder, cut: bool) -> list[Answer]:
    """The decoder's answers for a view."""
    out = decode(view.scores, view.z_mm, decoder)
    z, n = view.z_mm, len(view.z_mm)
    found = [-np.inf if s == -1 else np.inf if s == n else float(z[s]) for s in out.states]
    step = float(z[1] - z[0])
    return [
        Answer(case.name, case.pathology, MARKERS[m], view.truth[m], found[m], out.confidence[m], step, cut)
        for m in range(3)
        if not np.isnan(view.truth[m])
    ]


@dataclass(frozen=True)
class Search:
    """Coarse-to-fine against exhaustive for one view."""

    same: bool
    share: float
    fell_back: bool


def compare_search(view: Scored, decoder: Decoder, plan: SearchPlan | None = None) -> Search:
    """Whether the coarse-to-fine search gives the exhaustive answer, and what share of the slices it looks at."""
    found = search_coarse_to_fine(view.z_mm, lambda index: view.scores[index], plan)
    same = decode(found.scores, view.z_mm, decoder).states == decode(view.scores, view.z_mm, decoder).states
    return Search(same, float(found.evaluated.mean()), found.fell_back)


def calibration_error(given: Sequence[Answer], bins: int = 10) -> float:
    """Expected calibration error of the confidence, equally filled bins."""
    confidence = np.array([a.confidence for a in given])
    right = np.array([a.right for a in given], float)
    parts = np.array_split(np.argsort(confidence), bins)
    return float(sum(abs(confidence[p].mean() - right[p].mean()) * len(p) for p in parts if len(p)) / len(given))
