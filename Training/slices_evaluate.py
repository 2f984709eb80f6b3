"""How well the markers are found: errors in mm, "not in the image", calibration, and the coarse-to-fine search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from manabi.slices.decode import Decoder, Scored, decode
from manabi.slices.prepare import InputSettings, to_channels
from manabi.slices.reading import MARKERS, NEAR_MM
from manabi.slices.rules import find_by_rules
from manabi.slices.search import search_coarse_to_fine
from manabi.slices.stack import AxialStack
from manabi.volume import Volume
from Training.slices_data import STEP_MM, SliceCase, to_hu

CUTS = 2
"""Truncated copies of each case that calibration and evaluation add to the whole one (our choice)."""
SHORTEST_MM = 80.0
"""Least length of such a copy (our choice)."""
BATCH = 64
BINS = 10
"""Of the calibration error, equally filled (our choice)."""


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
        cut: whether the image is a truncated copy.
    """

    case: str
    pathology: str
    marker: str
    truth_mm: float
    found_mm: float
    confidence: float
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


@dataclass(frozen=True)
class View:
    """A case as one image: all of it or a part, with every slice's scores and the truth of that part.

    Attributes:
        case: the chest.
        scored: every slice looked at.
        cut: whether it is a part.
        searched: only the slices looked at that the search from coarse to fine asks for, as a run does.
    """

    case: SliceCase
    scored: Scored
    cut: bool
    searched: Scored = field(init=False)

    def __post_init__(self) -> None:
        """Search once."""
        scored = self.scored
        found = search_coarse_to_fine(scored.z_mm, lambda index: scored.scores[index], also_mm=scored.rules or ())
        object.__setattr__(self, "searched", Scored(found.scores, scored.z_mm, scored.truth, scored.rules))


@torch.no_grad()
def score_planes(
    model: torch.nn.Module, case: SliceCase, rows: np.ndarray, settings: InputSettings,
    ends: tuple[int, int] | None = None,
) -> np.ndarray:  # fmt: skip
    """Network outputs for planes of a case, ``(len(rows), 6)`` float32.

    Args:
        model: the network, in evaluation mode.
        case: prepared chest.
        rows: numbers of the planes.
        settings: of the network's input.
        ends: first and last plane of the image, whose neighbours beyond repeat it; by default of ``rows``.
    """
    low, high = ends or (int(rows.min()), int(rows.max()))
    index = np.clip(rows[:, None] + _steps(settings)[None], low, high)
    device = next(model.parameters()).device
    out = []
    for part in np.array_split(index, -(-len(index) // BATCH)):
        planes = to_hu(torch.from_numpy(case.planes[part]).float())
        inputs = to_channels(planes, settings).to(device).contiguous(memory_format=torch.channels_last)
        out.append(model(inputs).float().cpu().numpy())
    return np.concatenate(out)


def _steps(settings: InputSettings) -> np.ndarray:
    """Planes from a slice to each of its neighbours."""
    return np.array([round(offset / STEP_MM) for offset in settings.offsets_mm])


def native_rows(case: SliceCase) -> np.ndarray:
    """Numbers of the planes nearest to the image's own slices; every plane where these are finer."""
    step = max(case.slice_mm / STEP_MM, 1.0)
    count = int((len(case.planes) - 1) / step + 1e-6) + 1
    return np.unique(np.floor(np.arange(count) * step + 0.5).astype(int).clip(0, len(case.planes) - 1))


def parts_of(case: SliceCase, seed: int) -> list[tuple[np.ndarray, bool]]:
    """Plane numbers of the whole image and of truncated copies, ``(rows, cut)``; copies are at least 80 mm long."""
    rng = np.random.default_rng([seed, len(case.planes)])
    whole = native_rows(case)
    parts = [(whole, False)]
    least = int(np.ceil(SHORTEST_MM * len(whole) / (STEP_MM * len(case.planes)))) + 1
    if len(whole) > least + 2:
        for _ in range(CUTS):
            length = int(rng.integers(least, len(whole)))
            first = int(rng.integers(0, len(whole) - length + 1))
            parts.append((whole[first : first + length], True))
    return parts


def views(model: torch.nn.Module, case: SliceCase, settings: InputSettings, seed: int) -> list[View]:
    """The whole case and truncated copies, scored; of a copy, only slices that see its ends are scored anew."""
    reach = int(np.abs(_steps(settings)).max())
    (whole, _), *_ = parts = parts_of(case, seed)
    known = np.full((len(case.planes), 2 * len(MARKERS)), np.nan)  # float64: fitting takes differences of 1e-8
    known[whole] = score_planes(model, case, whole, settings)
    out = []
    for rows, cut in parts:
        scores = known[rows]
        if cut:
            anew = np.flatnonzero((rows - rows[0] < reach) | (rows[-1] - rows < reach))
            scores[anew] = score_planes(model, case, rows[anew], settings, (int(rows[0]), int(rows[-1])))
        z = case.z_mm[rows]
        half = (z[-1] - z[0]) / (len(z) - 1) / 2
        rules = rules_of(case, rows, settings)
        out.append(View(case, Scored(scores, z, case.absent_beyond(z[0] - half, z[-1] + half), rules), cut))
    return out


def rules_of(case: SliceCase, rows: np.ndarray, settings: InputSettings) -> tuple[float, float, float]:
    """What tracking of airway and lungs says of some planes of a case.

    The planes are coarser than the image, so that the rules do somewhat worse here than in a run.
    """
    step, z = settings.pixel_mm, case.z_mm[rows]
    matrix = np.diag([step, step, float(z[-1] - z[0]) / (len(z) - 1), 1.0])
    matrix[:3, 3] = [-step * settings.size / 2, -step * settings.size / 2, float(z[0])]
    volume = Volume(to_hu(case.planes[rows].astype(np.float32)), matrix, modality="CT")
    return find_by_rules(AxialStack.of(volume)).said_mm


def answers(view: View, decoder: Decoder, alone: bool = False) -> list[Answer]:
    """The decoder's answers for a view searched from coarse to fine, of markers whose truth is known.

    Args:
        view: the image.
        decoder: of the network.
        alone: leave out what tracking said.
    """
    scored, case = view.searched, view.case
    out = decode(scored.scores, scored.z_mm, decoder, None if alone else scored.rules)
    n = len(scored.z_mm)
    found = [-np.inf if s == -1 else np.inf if s == n else float(scored.z_mm[s]) for s in out.states]
    return [
        Answer(case.name, case.pathology, MARKERS[m], scored.truth[m], found[m], out.confidence[m], view.cut)
        for m in range(len(MARKERS))
        if not np.isnan(scored.truth[m])
    ]


@dataclass(frozen=True)
class Search:
    """Coarse-to-fine against exhaustive for one view of a case."""

    case: str
    same: bool
    share: float


def compare_search(view: View, decoder: Decoder) -> Search:
    """Whether the coarse-to-fine search gives the exhaustive answer, and what share of the slices it looks at."""
    fast, every = (decode(one.scores, one.z_mm, decoder, one.rules).states for one in (view.searched, view.scored))
    share = float(np.isfinite(view.searched.scores[:, 0]).mean())
    return Search(view.case.name, fast == every, share)


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error of answers, in equally filled bins of confidence.

    Guo C et al., On calibration of modern neural networks, ICML 2017, eq. 3; equally filled bins are our choice.
    """
    parts = np.array_split(np.argsort(confidence, kind="stable"), BINS)
    return float(sum(abs(float((confidence[p] - right[p]).sum())) for p in parts) / len(confidence))


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share of ``count`` patients (Wilson, J Am Stat Assoc 1927;22:209)."""
    z = 1.959964
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


def confidences(given: Sequence[Answer]) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and rightness of answers, as numbers."""
    return np.array([a.confidence for a in given]), np.array([a.right for a in given], float)
