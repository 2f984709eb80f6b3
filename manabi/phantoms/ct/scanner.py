"""What a CT scanner does to an image, as numbers: a planning, a megavoltage and a cone-beam one, and individuals.

Published values of megavoltage CT: noise 23 to 24 HU in a 20 cm phantom (De Marco 2019), resolution 0.39 to 0.42 line
pairs per mm and 0.18 to 0.24 with soft kernels (Velten), slice sensitivity 4.1 to 7.2 mm by jaw, field of view 391 mm,
air 65 ± 36 HU too bright within a body. The presets lie within them; what is not published is our choice, and says so.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.spectra import Spectrum, cbct_spectrum, kv_spectrum, mv_spectrum

BEAMS = ("kv", "cbct", "mv")
KINDS = ("kvct", "mvct", "cbct")


@dataclass(frozen=True)
class Scanner:
    """One scanner and protocol; every field is a JSON value.

    Attributes:
        kind: ``kvct``, ``mvct`` or ``cbct``.
        beam: spectrum: ``kv``, ``cbct`` (both by ``kvp``) or ``mv``.
        kvp: tube voltage in kV; the megavoltage beam ignores it.
        views: views over 180° after rebinning.
        bin_mm: detector sampling at the axis.
        fov_mm: diameter of the field of view. What lies outside is cut from the views, and is air in the image.
        noise_hu: standard deviation at the middle of a 200 mm cylinder of water, in pixels no larger than ``bin_mm``.
        electronic: share of that cylinder's noise variance that comes from the electronics.
        blur_mm: FWHM of focus and detector together, at the axis.
        slice_mm: FWHM of the slice profile.
        window: of the reconstruction, see :func:`manabi.phantoms.ct.fbp.fbp`.
        cutoff: of that window.
        scatter: scattered over primary signal that is left after the scanner's correction, behind 200 mm of water.
        scatter_mm: FWHM of the scatter's kernel along the detector.
        cupping_hu: edge minus middle of a 200 mm cylinder from what the scanner's own correction leaves.
        ring_hu: standard deviation of the rings in that cylinder, from 20 to 90 % of its radius.
        air_offset_hu: how much too bright air within a body is.
        calibration_hu: error of water.
        offset_mm: the axis of rotation from the image's middle, along columns and rows.
    """

    kind: str
    beam: str
    views: int
    bin_mm: float
    fov_mm: float
    noise_hu: float
    blur_mm: float
    slice_mm: float
    kvp: float = 120.0
    electronic: float = 0.02
    window: str = "hann"
    cutoff: float = 1.0
    scatter: float = 0.0
    scatter_mm: float = 120.0
    cupping_hu: float = 0.0
    ring_hu: float = 0.0
    air_offset_hu: float = 0.0
    calibration_hu: float = 0.0
    offset_mm: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Refuse what is not a scanner."""
        if self.kind not in KINDS or self.beam not in BEAMS:
            raise InvalidInputError(f"kind is one of {KINDS} and beam of {BEAMS}; got {self.kind!r}, {self.beam!r}.")
        if min(self.views, self.bin_mm, self.fov_mm, self.scatter_mm) <= 0 or len(self.offset_mm) != 2:
            raise InvalidInputError("views, bin_mm, fov_mm and scatter_mm must be positive, offset_mm two numbers.")
        if min(self.noise_hu, self.blur_mm, self.slice_mm, self.scatter, self.ring_hu) < 0:
            raise InvalidInputError("noise_hu, blur_mm, slice_mm, scatter and ring_hu cannot be negative.")
        if not 0 <= self.electronic < 1:
            raise InvalidInputError(f"electronic is a share, at least 0 and below 1; got {self.electronic:g}.")

    @property
    def spectrum(self) -> Spectrum:
        """The detected spectrum."""
        return _spectrum(self.beam, self.kvp)

    def with_(self, **changes: Any) -> Scanner:
        """The same scanner with other values, by name."""
        return dataclasses.replace(self, **changes)

    def noiseless(self) -> Scanner:
        """The same scanner without noise and rings."""
        return self.with_(noise_hu=0.0, ring_hu=0.0)

    def ideal(self) -> Scanner:
        """The same resolution and beam without noise, rings, scatter or errors of calibration."""
        return self.noiseless().with_(scatter=0.0, cupping_hu=0.0, air_offset_hu=0.0, calibration_hu=0.0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Scanner:
        """From :meth:`to_dict`, also after JSON; raises InvalidInputError for a field that is not there."""
        unknown = set(values) - {f.name for f in dataclasses.fields(cls)}
        if unknown:
            raise InvalidInputError(f"A scanner has no {', '.join(sorted(unknown))}.")
        return cls(**{**values, "offset_mm": tuple(values.get("offset_mm", (0.0, 0.0)))})


@lru_cache(maxsize=16)
def _spectrum(beam: str, kvp: float) -> Spectrum:
    if beam == "mv":
        return mv_spectrum()
    return kv_spectrum(kvp) if beam == "kv" else cbct_spectrum(kvp)


KVCT = Scanner("kvct", "kv", views=576, bin_mm=0.65, fov_mm=500.0, noise_hu=9.0, blur_mm=0.8, slice_mm=2.0,
               window="cosine", scatter=0.01)  # fmt: skip
MVCT = Scanner("mvct", "mv", views=400, bin_mm=0.61, fov_mm=391.0, noise_hu=24.0, blur_mm=1.5, slice_mm=5.0,
               scatter=0.0, cupping_hu=8.0, ring_hu=3.0, air_offset_hu=65.0)  # fmt: skip
CBCT = Scanner("cbct", "cbct", kvp=110.0, views=360, bin_mm=0.8, fov_mm=264.0, noise_hu=25.0, blur_mm=0.9, slice_mm=2.5,
               electronic=0.05, scatter=0.12, scatter_mm=180.0, cupping_hu=10.0, ring_hu=4.0)  # fmt: skip
PRESETS = {"kvct": KVCT, "mvct": MVCT, "cbct": CBCT}


def sample_scanner(kind: str, rng: np.random.Generator) -> Scanner:
    """One scanner of a kind, drawn from how they differ (ranges: this module's sources, else our choice).

    Args:
        kind: ``kvct``, ``mvct`` or ``cbct``.
        rng: draws it.
    """
    if kind not in PRESETS:
        raise InvalidInputError(f"The kind of scanner is one of {', '.join(PRESETS)}; got {kind!r}.")
    return {"kvct": _some_kvct, "mvct": _some_mvct, "cbct": _some_cbct}[kind](rng)


def _some_kvct(rng: np.random.Generator) -> Scanner:
    return KVCT.with_(
        kvp=float(rng.choice([110.0, 120.0, 120.0, 130.0])),
        noise_hu=_log_uniform(rng, 5.0, 14.0),
        blur_mm=float(rng.uniform(0.6, 1.1)),
        slice_mm=float(rng.uniform(1.0, 3.0)),
        scatter=float(rng.uniform(0.0, 0.02)),
        calibration_hu=float(rng.normal(0.0, 2.0)),
        offset_mm=_offset(rng, 4.0),
    )


def _some_mvct(rng: np.random.Generator) -> Scanner:
    return MVCT.with_(
        noise_hu=_log_uniform(rng, 20.0, 55.0),
        blur_mm=float(rng.uniform(1.4, 2.4)),
        cutoff=float(rng.uniform(0.28, 1.0)),
        slice_mm=float(rng.uniform(4.1, 7.2)),
        cupping_hu=float(rng.uniform(0.0, 25.0)),
        ring_hu=_log_uniform(rng, 1.0, 8.0),
        air_offset_hu=float(np.clip(rng.normal(65.0, 36.0), 0.0, 150.0)),
        calibration_hu=float(rng.normal(0.0, 12.0)),
        offset_mm=_offset(rng, 12.0),
    )


def _some_cbct(rng: np.random.Generator) -> Scanner:
    whole = bool(rng.random() < 0.5)  # half-fan: the detector is shifted, the field of view is wide
    return CBCT.with_(
        kvp=float(rng.choice([100.0, 110.0, 125.0])),
        fov_mm=float(rng.uniform(440.0, 465.0) if whole else rng.uniform(245.0, 275.0)),
        noise_hu=_log_uniform(rng, 12.0, 45.0),
        blur_mm=float(rng.uniform(0.7, 1.5)),
        slice_mm=float(rng.uniform(1.0, 3.5)),
        scatter=float(rng.uniform(0.05, 0.25)),
        scatter_mm=float(rng.uniform(120.0, 250.0)),
        cupping_hu=float(rng.uniform(-10.0, 40.0)),
        ring_hu=_log_uniform(rng, 1.0, 8.0),
        calibration_hu=float(rng.normal(0.0, 25.0)),
        offset_mm=_offset(rng, 8.0),
    )


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _offset(rng: np.random.Generator, sd_mm: float) -> tuple[float, float]:
    return float(rng.normal(0.0, sd_mm)), float(rng.normal(0.0, sd_mm))
