"""The population of heads: what varies, and how much.

Ranges without a source are our choice. Binding ratios, before the camera's blur: normal caudate 5 to 6.5 and putamen
4.5 to 6; grade 3 putamen × .6-.75; grade 2 putamen × .25-.45; grade 1 putamen × .2-.3 and caudate × .35-.55.

Two protocols say how scans are taken and reconstructed (:data:`PROTOCOLS`). ``published`` draws from the whole range
of published practice: 1.5 to 3 million counts, OSEM 4-8 iterations × 8-10 subsets, filter 6.6-9.9 mm, with and without
resolution recovery. ``source``, the default, keeps within those ranges, at their noisy end: there the 5-minute image
has a mean SSIM of about 0.71 against the 25-minute one (8-bit, central 64 × 64, five slices), as in the study that the
denoiser follows (0.7075). That choice is ours; the study does not say how its images were made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.phantoms.striatum import Acquisition, Reconstruction, StriatumParameters
from manabi.phantoms.striatum_anatomy import Anatomy, Uptake

GRADES = (1, 2, 3, 4)

PUTAMEN_FACTORS = {4: (1.0, 1.0), 3: (0.6, 0.75), 2: (0.25, 0.45), 1: (0.2, 0.3)}
CAUDATE_FACTORS = {4: (1.0, 1.0), 3: (0.9, 1.0), 2: (0.75, 0.95), 1: (0.35, 0.55)}
"""Share of the normal binding ratio that is left, by grade; the caudate's at grades 3 and 2 are our choice."""

PUTAMEN_GRADIENTS = {4: (0.85, 1.0), 3: (0.55, 0.8), 2: (0.45, 0.75), 1: (0.5, 0.8)}
CAUDATE_GRADIENTS = {4: (0.8, 1.0), 3: (0.75, 0.95), 2: (0.65, 0.9), 1: (0.6, 0.85)}
"""Tail over head, by grade: the tail is worse than the head (our choice)."""

SAME_GRADE = 0.6
"""How often both sides have the same grade; otherwise they differ by one (our choice)."""

ASYMMETRY_LIMIT = 0.4
"""Largest ``2 |left - right| / (left + right)`` of a patient, as far as the grades of both sides allow."""

HEAD_SHARE = 0.77
"""Counts of the simulated slices over counts of a camera's whole field of view, which also sees neck and shoulders.

Our choice: with it, half of all counts come from the 66 mm around the striata (they hold 65 % of the head's).
"""


@dataclass(frozen=True)
class Protocol:
    """Ranges of what differs between sites.

    Attributes:
        counts: in 25 minutes over the camera's whole field of view.
        filter_fwhm_mm: of the post-filter.
        iterations: of OSEM, both ends included.
        subsets: of OSEM, one of these.
        leap: how often the collimator is LEAP instead of LEHR.
        resolution_recovery: how often OSEM knows the blur.
        tew_filter_mm: FWHM of the scatter estimate's smoothing.
    """

    counts: tuple[float, float]
    filter_fwhm_mm: tuple[float, float]
    iterations: tuple[int, int]
    subsets: tuple[int, ...]
    leap: float
    resolution_recovery: float
    tew_filter_mm: tuple[float, float]


PROTOCOLS = {
    "source": Protocol((1.5e6, 1.7e6), (6.6, 6.6), (6, 8), (10,), 0.0, 0.0, (10.0, 20.0)),
    "published": Protocol((1.5e6, 3.0e6), (6.6, 9.9), (4, 8), (8, 10), 0.2, 0.5, (0.0, 20.0)),
}

ORBIT_GAP_MM = 12.0
"""Least gap between head and collimator (our choice)."""


def sample(rng: np.random.Generator, choices: Mapping[str, Any]) -> StriatumParameters:
    """Draw one case; see :meth:`manabi.phantoms.striatum.StriatumPhantom.sample_parameters`.

    Fixing a value does not change what is drawn for the others, except that grades decide the binding ratios.
    """
    choices = {name: value for name, value in choices.items() if value is not None}
    name = choices.pop("protocol", "source")
    if name not in PROTOCOLS:
        raise InvalidInputError(f"Unknown protocol {name!r}. Known: {', '.join(PROTOCOLS)}.")
    protocol = PROTOCOLS[name]
    left, right = _grades(rng, choices.pop("grade_left", None), choices.pop("grade_right", None))
    drawn = StriatumParameters(left, right, _anatomy(rng), _uptake(rng, left, right), _acquisition(rng, protocol),
                               _reconstruction(rng, protocol))  # fmt: skip
    fixed = _fix(drawn, choices)
    if "radius_mm" in choices:
        return fixed
    return dataclasses.replace(fixed, acquisition=_clear_of_head(fixed))


def _grades(rng: np.random.Generator, left: int | None, right: int | None) -> tuple[int, int]:
    """Grades of both sides, correlated; one that is given is kept."""
    for grade in (left, right):
        if grade is not None and grade not in GRADES:
            raise InvalidInputError(f"A grade is one of {GRADES}; got {grade!r}.")
    first, same, step, left_first = rng.integers(1, 5), rng.random() < SAME_GRADE, rng.choice((-1, 1)), rng.random()
    if left is not None and right is not None:
        return left, right
    given = left if left is not None else right
    base = int(first) if given is None else given
    moved = base + int(step)
    other = base if same else (moved if moved in GRADES else base - int(step))
    if given is None:
        return (base, other) if left_first < 0.5 else (other, base)
    return (base, other) if left is not None else (other, base)


def _anatomy(rng: np.random.Generator) -> Anatomy:
    return Anatomy(
        scale=rng.uniform(0.9, 1.1),
        width=rng.uniform(0.97, 1.03),
        tilt_deg=_vector(rng, 8.0),
        shift_mm=_vector(rng, 8.0),
        skull_mm=rng.uniform(4.5, 7.5),
        ventricle=rng.uniform(0.7, 1.4),
        striatum=rng.uniform(0.95, 1.05),
        caudate_x_mm=rng.uniform(12.0, 14.0),
        putamen_x_mm=rng.uniform(24.0, 26.5),
        putamen_deg=rng.uniform(15.0, 18.0),
        texture_mm=rng.uniform(9.0, 15.0),
        texture_seed=int(rng.integers(2**31)),
    )


def _vector(rng: np.random.Generator, limit: float) -> tuple[float, float, float]:
    x, y, z = rng.uniform(-limit, limit, 3).tolist()
    return x, y, z


def _uptake(rng: np.random.Generator, left: int, right: int) -> Uptake:
    caudate = rng.uniform(5.0, 6.5) * _pair(rng, CAUDATE_FACTORS, left, right)
    putamen = rng.uniform(4.5, 6.0) * _pair(rng, PUTAMEN_FACTORS, left, right)
    return Uptake(
        caudate_left=float(caudate[0]),
        caudate_right=float(caudate[1]),
        putamen_left=float(putamen[0]),
        putamen_right=float(putamen[1]),
        caudate_gradient=(rng.uniform(*CAUDATE_GRADIENTS[left]), rng.uniform(*CAUDATE_GRADIENTS[right])),
        putamen_gradient=(rng.uniform(*PUTAMEN_GRADIENTS[left]), rng.uniform(*PUTAMEN_GRADIENTS[right])),
        scalp=rng.uniform(0.25, 0.45),
        ventricle=rng.uniform(0.25, 0.45),
    )


def _pair(rng: np.random.Generator, factors: Mapping[int, tuple[float, float]], left: int, right: int) -> np.ndarray:
    """Factors of the left and the right side: the same severity within the grade's range, with a difference."""
    severity, difference = rng.random(), rng.normal(0.0, 0.35, 2)
    places = np.clip(severity + difference, 0.0, 1.0)
    low, high = np.array([factors[left], factors[right]]).T
    pair = low + (high - low) * places
    return _limited(pair * (1.0 + rng.uniform(-0.03, 0.03, 2)), low, high)


def _limited(pair: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The pair drawn together until its asymmetry is allowed, as far as the grades' ranges let it."""
    widest = (2.0 + ASYMMETRY_LIMIT) / (2.0 - ASYMMETRY_LIMIT)
    weak, strong = np.argsort(pair)
    limited = pair.copy()
    limited[weak] = max(limited[weak], min(limited[strong] / widest, high[weak]))
    limited[strong] = min(limited[strong], max(limited[weak] * widest, low[strong]))
    return limited


def _acquisition(rng: np.random.Generator, protocol: Protocol) -> Acquisition:
    return Acquisition(
        radius_mm=rng.uniform(110.0, 150.0),
        collimator="LEAP" if rng.random() < protocol.leap else "LEHR",
        counts=rng.uniform(*protocol.counts) * HEAD_SHARE,
        scatter_fraction=rng.uniform(0.30, 0.35),
        tew_bias=rng.uniform(0.85, 1.15),
        tew_filter_mm=rng.uniform(*protocol.tew_filter_mm),
        noise_seed=int(rng.integers(2**31)),
    )


def _reconstruction(rng: np.random.Generator, protocol: Protocol) -> Reconstruction:
    shift = rng.normal(size=3)
    shift *= rng.uniform(0.0, 3.0) / np.linalg.norm(shift)
    return Reconstruction(
        iterations=int(rng.integers(protocol.iterations[0], protocol.iterations[1] + 1)),
        subsets=int(rng.choice(protocol.subsets)),
        resolution_recovery=bool(rng.random() < protocol.resolution_recovery),
        filter_fwhm_mm=rng.uniform(*protocol.filter_fwhm_mm),
        mu_shift_mm=(float(shift[0]), float(shift[1]), float(shift[2])),
    )


def _clear_of_head(parameters: StriatumParameters) -> Acquisition:
    """The acquisition with an orbit that does not touch the head."""
    anatomy = parameters.anatomy
    least = 95.0 * anatomy.scale + float(np.hypot(*anatomy.shift_mm[:2])) + ORBIT_GAP_MM
    radius = max(parameters.acquisition.radius_mm, least)
    return dataclasses.replace(parameters.acquisition, radius_mm=radius)


def _fix(parameters: StriatumParameters, choices: Mapping[str, Any]) -> StriatumParameters:
    """The parameters with the chosen fields set, wherever they live."""
    rest = dict(choices)
    parts = {}
    for part in ("anatomy", "uptake", "acquisition", "reconstruction"):
        value = getattr(parameters, part)
        names = [f.name for f in dataclasses.fields(value) if f.name in rest]
        parts[part] = dataclasses.replace(value, **{name: rest.pop(name) for name in names})
    if rest:
        raise InvalidInputError(f"The striatum phantom has no {', '.join(sorted(rest))}.")
    return dataclasses.replace(parameters, **parts)
