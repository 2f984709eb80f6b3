"""What a network has to beat: maps of Hounsfield units, alone or after a classical denoising filter.

``histogram`` gives the body the histogram of kilovoltage CT that the bundle holds; ``polynomial`` maps each HU by
itself; ``nlm`` and ``bm3d`` first denoise each slice with the noise measured in the image, then map (by the histogram
where the bundle holds one, else by the polynomial). They need no graphics card, and polynomial, nlm and bm3d need no
bundle for megavoltage CT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.mvct.convert import Settings
from manabi.mvct.prepare import Crop, Work
from manabi.mvct.window import HuWindow

MV_HU = (-1000.0, -742.0, -49.0, 35.0, 40.0, 50.0, 150.0, 784.0)
KV_HU = (-1000.0, -741.0, -72.0, 37.0, 43.0, 55.0, 271.0, 1431.0)
"""Air, inflated lung, adipose, brain, muscle, blood, spongiosa and cortical bone at 0.5-0.8 MeV and at 75 keV, from the
ICRU-44 compositions (computed for this project)."""
WEIGHTS = (2.0, 1.0, 3.0, 3.0, 3.0, 3.0, 2.0, 1.0)
"""Of these tissues in the fit: soft tissue counts most (our choice)."""
DEGREE = 3
BINS = 2000
"""Bins of the histogram that is matched, over the bundle's window."""
KNOTS = 513
"""Quantiles that are matched (our choice)."""
FILTERED = ("nlm", "bm3d")

Map = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Histogram:
    """Share of the body's voxels in even bins of HU.

    Attributes:
        low: lower edge of the first bin.
        high: upper edge of the last one.
        counts: per bin, in any unit.
    """

    low: float
    high: float
    counts: tuple[float, ...]

    @classmethod
    def of(cls, facts: Mapping[str, Any] | None) -> Histogram | None:
        """``{"low", "high", "counts"}`` as a bundle writes it; None where it has none."""
        if not facts:
            return None
        return cls(float(facts["low"]), float(facts["high"]), tuple(float(n) for n in facts["counts"]))

    @classmethod
    def measured(cls, hu: np.ndarray, window: HuWindow, bins: int = BINS) -> Histogram:
        """The histogram of values of any shape; what lies outside the window counts in its end bins."""
        counts, _ = np.histogram(window.clipped(hu), bins, (window.low, window.high))
        return cls(window.low, window.high, tuple(counts.astype(float)))

    def to_dict(self) -> dict[str, Any]:
        """As :meth:`of` takes it."""
        return {"low": self.low, "high": self.high, "counts": list(self.counts)}

    def quantiles(self, shares: np.ndarray) -> np.ndarray:
        """HU below which each share of the voxels lies."""
        edges = np.linspace(self.low, self.high, len(self.counts) + 1)
        cumulated = np.concatenate([[0.0], np.cumsum(self.counts)])
        if cumulated[-1] <= 0:
            raise InvalidInputError("A histogram without any voxel cannot be matched. Check the bundle and the image.")
        rising = np.concatenate([[True], np.diff(cumulated) > 0])  # where nothing lies, the quantile is not unique
        return np.interp(shares, cumulated[rising] / cumulated[-1], edges[rising])


def matching(source: Histogram, target: Histogram) -> Map:
    """The rising map of HU that gives one histogram the shape of another (histogram specification)."""
    shares = np.linspace(0.0, 1.0, KNOTS)
    before, after = source.quantiles(shares), target.quantiles(shares)
    keep = np.concatenate([[True], np.diff(before) > 0])
    return lambda hu: np.interp(hu, before[keep], after[keep]).astype(np.float32)


def polynomial(coefficients: Sequence[float] | None, window: HuWindow) -> Map:
    """A polynomial of HU / 1000, in HU; beyond the window its end values continue.

    Args:
        coefficients: from the constant up; None takes the one fitted to :data:`MV_HU` and :data:`KV_HU`.
        window: of the input.
    """
    if coefficients is None:
        coefficients = physical_coefficients()
    low_to_high = [float(c) for c in coefficients]

    def convert(hu: np.ndarray) -> np.ndarray:
        """The polynomial at HU within the window, by Horner's rule."""
        x = window.clipped(np.asarray(hu, np.float32)) / np.float32(1000.0)
        out = np.zeros_like(x)
        for c in reversed(low_to_high):
            out = out * x + np.float32(c)
        return out

    return convert


def physical_coefficients(degree: int = DEGREE) -> list[float]:
    """Weighted least-squares polynomial from megavoltage to kilovoltage HU through the tissues of :data:`MV_HU`."""
    x = np.asarray(MV_HU) / 1000.0
    return [float(c) for c in np.polynomial.polynomial.polyfit(x, np.asarray(KV_HU), degree, w=WEIGHTS)]


def converted(
    name: str, work: Work, crop: Crop, body: np.ndarray, settings: Settings, facts: Mapping[str, Any], context: Context
) -> np.ndarray:
    """HU ``(m, rows, columns)`` that a baseline says, for the crop's slices.

    Args:
        name: ``histogram``, ``polynomial``, ``nlm`` or ``bm3d``.
        work: the input.
        crop: the part to convert.
        body: mask on the work grid; whose histogram is matched, and whose noise is measured.
        settings: of the bundle, or the defaults.
        facts: the bundle's section ``mvct``: ``target_histogram`` and ``polynomial`` where it has them.
        context: progress and cancellation.

    Raises:
        InvalidInputError: where the bundle lacks what the baseline needs.
    """
    inside = crop.of(body)[crop.slices]
    hu = crop.of(work.hu)[crop.slices]
    if name in FILTERED:
        with context.span(0.0, 0.9):
            hu = denoised(name, hu, inside, work.image.spacing_mm, context)
    context.progress(0.95, "Mapping Hounsfield units")
    return mapped(name, hu, inside, settings, facts)


def mapped(
    name: str, hu: np.ndarray, inside: np.ndarray, settings: Settings, facts: Mapping[str, Any]
) -> np.ndarray:  # fmt: skip
    """HU mapped to those of kilovoltage CT, voxel by voxel.

    Args:
        name: of a baseline; its filter is not applied.
        hu: any shape.
        inside: mask whose histogram is matched.
        settings: of the bundle, or the defaults.
        facts: as for :func:`converted`.

    Raises:
        InvalidInputError: where the bundle lacks what the map needs.
    """
    return _map(name, hu, inside, settings, facts)(hu)


def denoised(
    name: str, hu: np.ndarray, inside: np.ndarray, spacing_mm: np.ndarray, context: Context
) -> np.ndarray:  # fmt: skip
    """Each slice through a classical filter; its strength follows the noise in soft tissue, measured over all slices.

    The noise of a CT is not white, so it is measured in squares of tissue, not from the finest detail.
    """
    from manabi.filters import FILTERS
    from manabi.mvct.noise_level import noise_hu

    noise = noise_hu(hu, spacing_mm, inside)
    one = FILTERS[name]()
    out = np.empty_like(hu)
    for number, image in enumerate(hu):
        context.progress(number / len(hu), f"Filtering slice {number + 1} of {len(hu)}")
        out[number] = one.apply(image, (float(spacing_mm[1]), float(spacing_mm[0])), noise)
    return out


def _map(
    name: str, hu: np.ndarray, inside: np.ndarray, settings: Settings, facts: Mapping[str, Any]
) -> Map:  # fmt: skip
    target = Histogram.of(facts.get("target_histogram"))
    if name == "histogram" and target is None:
        raise InvalidInputError(
            "converter=histogram needs a bundle that holds the histogram of kilovoltage CT; this one does not. Choose "
            "another bundle, or converter=polynomial."
        )
    if name != "polynomial" and target is not None:
        values = hu[inside] if inside.any() else hu
        return matching(Histogram.measured(values, settings.source), target)
    coefficients = facts.get("polynomial")
    if coefficients is None and settings.kind != "mvct":
        raise InvalidInputError(
            f"converter={name} knows no map of Hounsfield units for cone-beam CT. Choose a bundle that holds one."
        )
    return polynomial(coefficients, settings.source)
