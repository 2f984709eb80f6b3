"""Signals of a head's tissues in five kinds of MR image, from relaxation times and sequence equations.

Relaxation times are those at 3 T of Stanisz GJ et al. (Magn Reson Med 2005;54:507, 10.1002/mrm.20605) for white matter
(T1 1084, T2 69 ms), grey matter (1820, 99) and blood (1932, 275); cerebrospinal fluid (4000, 1800) and the tissues
around the brain are our choice. The equations are the steady states of the sequences (Bernstein, King, Zhou: Handbook
of MRI Pulse Sequences, 2004); a magnetisation-prepared gradient echo is solved pulse train by pulse train.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from manabi.errors import InvalidInputError
from manabi.phantoms.brain_tissues import TISSUES

CONTRASTS = ("t1", "t2", "heavy_t2", "flair", "tof")
SEQUENCES = ("mprage", "gre", "tse", "bssfp", "ir", "tof")
VOID = 0.03
"""Signal of flowing blood over that of fluid where the flow makes a void."""

VALUES: dict[str, tuple[float, float, float]] = {
    "air": (1000.0, 1.0, 0.0), "grey": (1820.0, 99.0, 0.82), "white": (1084.0, 69.0, 0.70),
    "deep": (1450.0, 80.0, 0.79), "pallidum": (1150.0, 58.0, 0.73), "csf": (4000.0, 1800.0, 1.0),
    "ventricle": (4000.0, 1800.0, 1.0), "plexus": (2400.0, 260.0, 0.9), "cerebellar_grey": (1750.0, 97.0, 0.82),
    "cerebellar_white": (1120.0, 72.0, 0.71), "stem": (1150.0, 74.0, 0.72), "cord": (1150.0, 74.0, 0.72),
    "bone": (900.0, 1.5, 0.10), "marrow": (520.0, 95.0, 0.36), "fat": (385.0, 105.0, 0.48),
    "muscle": (1400.0, 42.0, 0.80), "skin": (1150.0, 42.0, 0.65), "eye": (3900.0, 1500.0, 0.98),
    "mucosa": (1500.0, 85.0, 0.7), "vein": (1932.0, 60.0, 0.85),
}  # fmt: skip
"""T1 and T2 in ms and proton density of every tissue."""
BLOOD = (1932.0, 275.0, 0.9)
STATIC = ("fat", "marrow")
OUT_OF_PHASE = 0.6
"""Fat over its full signal in angiography, whose echo time sets fat against water (our choice)."""
SATURATED = 0.9
"""Brain over its signal in angiography, for magnetisation transfer (our choice)."""


@dataclass(frozen=True)
class Sequence:
    """How one image is taken.

    Attributes:
        kind: one of :data:`SEQUENCES`.
        tr_ms: repetition time.
        te_ms: echo time.
        ti_ms: inversion time; 0 where there is none.
        flip_deg: flip angle of the gradient echoes.
        noise_percent: standard deviation of the noise in percent of the brain's brightest tissue (BrainWeb's
            convention: Cocosco CA et al. NeuroImage 1997;5:S425).
        inhomogeneity_percent: 20 means that the field goes from 0.9 to 1.1.
        blur_voxels: standard deviation of the blur in the slice, in voxels.
        seed: draws noise and field.
    """

    kind: str
    tr_ms: float
    te_ms: float
    ti_ms: float = 0.0
    flip_deg: float = 90.0
    noise_percent: float = 3.0
    inhomogeneity_percent: float = 20.0
    blur_voxels: float = 0.45
    seed: int = 0


USUAL = {
    "t1": Sequence("mprage", 2300.0, 3.0, 900.0, 9.0),
    "t2": Sequence("tse", 4500.0, 95.0),
    "heavy_t2": Sequence("tse", 4000.0, 250.0),
    "flair": Sequence("ir", 9000.0, 120.0, 2370.0),
    "tof": Sequence("tof", 22.0, 3.5, 0.0, 18.0),
}
"""The usual sequence of each contrast."""
OTHERS = {"t1": Sequence("gre", 20.0, 4.0, 0.0, 30.0), "heavy_t2": Sequence("bssfp", 6.0, 3.0, 0.0, 60.0)}
"""The other sequence of those contrasts that have two."""


def tissue_values(spread: float, seed: int) -> dict[str, tuple[float, float, float]]:
    """T1, T2 and proton density of one patient's tissues, each off by a log-normal factor of deviation ``spread``."""
    rng = np.random.default_rng(seed)
    factors = np.exp(rng.normal(0.0, spread, (len(TISSUES), 3)) * [1.0, 1.0, 0.5])
    return {
        name: tuple(float(v) for v in np.array(VALUES[name]) * factor)  # type: ignore[misc]
        for name, factor in zip(TISSUES, factors, strict=True)
    }


def signals(contrast: str, sequence: Sequence, values: dict[str, tuple[float, float, float]]) -> np.ndarray:
    """Signal of every tissue code, float32.

    Args:
        contrast: one of :data:`CONTRASTS`.
        sequence: how it is taken.
        values: from :func:`tissue_values`.
    """
    out = np.array([signal(sequence, *values[name]) for name in TISSUES], np.float32)
    if sequence.kind in ("tse", "ir"):
        out[TISSUES.index("vein")] *= 0.15
    if contrast == "tof":
        for name in STATIC:
            out[TISSUES.index(name)] *= OUT_OF_PHASE
        for name in (
            "grey",
            "white",
            "deep",
            "pallidum",
            "stem",
            "cord",
            "cerebellar_grey",
            "cerebellar_white",
            "muscle",
        ):
            out[TISSUES.index(name)] *= SATURATED
    return out


def signal(sequence: Sequence, t1_ms: float, t2_ms: float, density: float) -> float:
    """Signal of one tissue in a steady state.

    Raises:
        InvalidInputError: for an unknown kind of sequence.
    """
    if sequence.kind == "mprage":
        return density * abs(_prepared(sequence, t1_ms)) * math.exp(-sequence.te_ms / (0.7 * t2_ms))
    if sequence.kind in ("gre", "tof"):
        return density * _spoiled(sequence, t1_ms) * math.exp(-sequence.te_ms / (0.7 * t2_ms))
    if sequence.kind == "tse":
        return density * (1.0 - math.exp(-sequence.tr_ms / t1_ms)) * math.exp(-sequence.te_ms / t2_ms)
    if sequence.kind == "bssfp":
        angle = math.radians(sequence.flip_deg)
        balance = 1.0 + math.cos(angle) + (1.0 - math.cos(angle)) * t1_ms / t2_ms
        return density * math.sin(angle) / balance * math.exp(-sequence.te_ms / t2_ms)
    if sequence.kind == "ir":
        regrown = 1.0 - 2.0 * math.exp(-sequence.ti_ms / t1_ms) + math.exp(-sequence.tr_ms / t1_ms)
        return density * abs(regrown) * math.exp(-sequence.te_ms / t2_ms)
    raise InvalidInputError(f"A sequence is one of {', '.join(SEQUENCES)}; got {sequence.kind!r}.")


def blood_signal(contrast: str, sequence: Sequence, pulses: np.ndarray, fluid: float) -> np.ndarray:
    """Signal of arterial blood that has lived through so many pulses; ``fluid`` is that of cerebrospinal fluid.

    Spin echoes lose flowing blood; angiography sees it fresh, and less so with every pulse:
    ``M_k = M_ss + (1 - M_ss) (E1 cos a)^k``.
    """
    if sequence.kind in ("tse", "ir"):
        return np.full(np.shape(pulses), VOID * fluid, np.float32)
    if contrast == "heavy_t2":
        return np.full(np.shape(pulses), 0.25 * fluid, np.float32)
    if contrast == "tof":
        angle = math.radians(sequence.flip_deg)
        decay = math.exp(-sequence.tr_ms / BLOOD[0]) * math.cos(angle)
        steady = (1.0 - math.exp(-sequence.tr_ms / BLOOD[0])) / (1.0 - decay)
        along = steady + (1.0 - steady) * decay ** np.asarray(pulses, float)
        return (BLOOD[2] * math.sin(angle) * along).astype(np.float32)
    return np.full(np.shape(pulses), signal(sequence, *BLOOD), np.float32)


def _spoiled(sequence: Sequence, t1_ms: float) -> float:
    """Spoiled gradient echo: ``sin a (1 - E1) / (1 - E1 cos a)``."""
    angle, e1 = math.radians(sequence.flip_deg), math.exp(-sequence.tr_ms / t1_ms)
    return math.sin(angle) * (1.0 - e1) / (1.0 - e1 * math.cos(angle))


def _prepared(sequence: Sequence, t1_ms: float, pulses: int = 160, gap_ms: float = 7.0) -> float:
    """Longitudinal magnetisation at the centre of a pulse train after an inversion, times ``sin a``.

    Every part of the cycle maps M to ``a M + b``; the state before the inversion is the fixed point of all of them.
    """
    angle = math.radians(sequence.flip_deg)
    before = max(sequence.ti_ms - 0.5 * pulses * gap_ms, 0.0)
    after = max(sequence.tr_ms - sequence.ti_ms - 0.5 * pulses * gap_ms, 0.0)
    e1 = math.exp(-gap_ms / t1_ms)
    step, settle = e1 * math.cos(angle), 1.0 - e1

    def train(count: int) -> tuple[float, float]:
        return step**count, settle * (1.0 - step**count) / (1.0 - step)

    def rest(time_ms: float) -> tuple[float, float]:
        e = math.exp(-time_ms / t1_ms)
        return e, 1.0 - e

    a, b = -1.0, 0.0
    for slope, offset in (rest(before), train(pulses), rest(after)):
        a, b = slope * a, slope * b + offset
    fixed = b / (1.0 - a)
    a, b = -fixed, 0.0
    for slope, offset in (rest(before), train(pulses // 2)):
        a = slope * a + offset
    return math.sin(angle) * a


def drawn(contrast: str, rng: np.random.Generator, other: float = 0.15) -> Sequence:
    """A sequence of a contrast with its times off by up to a tenth; ``other`` is how often it is the rarer kind."""
    base, rare = USUAL[contrast], OTHERS.get(contrast)
    if rng.random() < other and rare is not None:
        base = rare
    tr, te, ti, flip = rng.uniform(0.9, 1.1, 4)
    near = 1.0 + 0.15 * (ti - 1.0) if base.kind == "ir" else ti
    return replace(
        base,
        tr_ms=base.tr_ms * float(tr),
        te_ms=base.te_ms * float(te),
        ti_ms=base.ti_ms * float(near),
        flip_deg=base.flip_deg * float(flip) if base.kind not in ("tse", "ir") else base.flip_deg,
        noise_percent=float(rng.uniform(1.0, 6.0)),
        inhomogeneity_percent=float(rng.uniform(0.0, 40.0)),
        blur_voxels=float(rng.uniform(0.35, 0.6)),
        seed=int(rng.integers(2**31)),
    )
