"""Drawing a pelvis: ranges wide enough that real patients lie within (our choices where no source is named).

Volumes are log-normal with 5 and 95 % of cases at prostate 25 and 70 mL, seminal vesicles 5 and 15 mL, rectum 40 and
120 mL, bladder 70 and 350 mL; the bladder is empty in some cases and reaches 500 mL.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.phantoms.choices import with_choices
from manabi.phantoms.ct.materials import MATERIALS
from manabi.phantoms.pelvis_metal import SIDES
from manabi.phantoms.pelvis_parameters import Build, Finds, Grid, Organs, PelvisParameters, Readers, Setup

THICK_MM = 3.2
"""Slices up to this are painted as one plane, thicker ones as three."""
PARTS: tuple[tuple[str, type], ...] = (
    ("grid", Grid), ("build", Build), ("organs", Organs), ("finds", Finds), ("setup", Setup), ("contours", Readers)
)  # fmt: skip
SEEDS = ("texture_seed", "noise_seed", "scanner_seed")
VOLUMES_ML = {"prostate_ml": (25.0, 70.0), "vesicles_ml": (5.0, 15.0), "rectum_ml": (40.0, 120.0),
              "bladder_ml": (70.0, 350.0)}  # fmt: skip
"""5 and 95 % of the drawn volumes."""
LIMITS_ML = {"prostate_ml": (15.0, 110.0), "vesicles_ml": (3.0, 22.0), "rectum_ml": (28.0, 190.0),
             "bladder_ml": (50.0, 500.0)}  # fmt: skip
EMPTY_ML = (22.0, 50.0)
EMPTY_SHARE, PROSTHESIS_SHARE, SEEDS_SHARE = 0.07, 0.07, 0.3
SIGMA_OF_90 = 3.28971
"""Standard deviations between 5 and 95 % of a normal distribution."""


def sample(rng: np.random.Generator, choices: Mapping[str, Any]) -> PelvisParameters:
    """Draw one patient; see :class:`manabi.phantoms.pelvis.PelvisPhantom`."""
    given = dict(choices)
    age = float(given.get("age", np.clip(rng.normal(69.0, 8.0), 45, 90)))
    drawn = PelvisParameters(build=_build(rng, age), organs=_organs(rng), finds=_finds(rng, age), setup=_setup(rng),
                             grid=_grid(rng), contours=Readers(),
                             **{name: int(rng.integers(2**31)) for name in SEEDS})  # fmt: skip
    empty = float(rng.uniform(*EMPTY_ML))
    medium = float(rng.uniform(80.0, 350.0))
    if given.pop("empty_bladder", False):
        given.setdefault("bladder_ml", empty)
    if (contrast := given.pop("bladder_contrast", None)) is not None:
        given.setdefault("bladder_contrast_hu", medium if contrast else 0.0)
    chosen = with_choices(drawn, PARTS, SEEDS, given, "pelvis", _follow)
    _check(chosen)
    return chosen


def _follow(part: str, one: Any, values: Mapping[str, Any]) -> Any:
    """A part, with what follows from the values fixed in it."""
    if part == "grid" and "subslices" not in values:
        return replace(one, subslices=1 if one.slice_mm <= THICK_MM else 3)
    return one


def _check(chosen: PelvisParameters) -> None:
    grid, finds, organs = chosen.grid, chosen.finds, chosen.organs
    metals = tuple(name for name, material in MATERIALS.items() if material.metal)
    for name, value, known in (("prosthesis", finds.prosthesis, tuple(SIDES)), ("alloy", finds.alloy, metals)):
        if value not in known:
            raise InvalidInputError(f"{name} must be one of {', '.join(known)}; got {value!r}.")
    if min(grid.pixel_mm, grid.slice_mm, grid.length_mm) <= 0 or grid.matrix < 32 or grid.noise_hu < 0:
        raise InvalidInputError("pixel_mm, slice_mm and length_mm must be positive, matrix at least 32, noise_hu not "
                                "negative.")  # fmt: skip
    if grid.length_mm < grid.slice_mm or grid.subslices % 2 == 0:
        raise InvalidInputError(
            "The image needs two slices or more (a larger length_mm) and an odd number of subslices."
        )
    for name, (low, high) in LIMITS_ML.items():
        if not 0.5 * low < getattr(organs, name) < 1.5 * high and name != "bladder_ml":
            raise InvalidInputError(f"{name} must lie between {0.5 * low:g} and {1.5 * high:g}.")
    if not 15.0 <= organs.bladder_ml <= LIMITS_ML["bladder_ml"][1]:
        raise InvalidInputError(f"bladder_ml must lie between 15 and 500; got {organs.bladder_ml:g}.")
    if min(finds.seeds, finds.calcifications, chosen.contours.readers, finds.phleboliths) < 0:
        raise InvalidInputError("seeds, calcifications, phleboliths and readers cannot be negative.")


def _some(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))


def volume(rng: np.random.Generator, name: str) -> float:
    """A volume of :data:`VOLUMES_ML` in mL, within :data:`LIMITS_ML`."""
    low, high = VOLUMES_ML[name]
    drawn = math.sqrt(low * high) * math.exp(rng.normal(0.0, math.log(high / low) / SIGMA_OF_90))
    return float(np.clip(drawn, *LIMITS_ML[name]))


def _build(rng: np.random.Generator, age: float) -> Build:
    old = max(age - 50.0, 0.0) / 40.0
    return Build(
        age=age,
        size=_some(rng, 1.0, 0.035, 0.9, 1.1),
        width=_some(rng, 1.0, 0.03, 0.92, 1.08),
        fat=float(np.clip(6.0 + rng.gamma(4.0, 4.5), 8.0, 55.0)),
        belly=_some(rng, 8.0, 16.0, -20.0, 50.0),
        muscle=_some(rng, 1.0 - 0.08 * old, 0.14, 0.6, 1.35),
        marbling=float(np.clip(rng.beta(2, 5) + 0.25 * old, 0.02, 0.85)),
        bone=_some(rng, 1.04 - 0.16 * old, 0.1, 0.7, 1.25),
        uneven=float(rng.uniform(0.8, 2.2)),
    )


def _organs(rng: np.random.Generator) -> Organs:
    drawn: dict[str, Any] = {name: volume(rng, name) for name in VOLUMES_ML}
    empty, small = rng.random() < EMPTY_SHARE, float(rng.uniform(*EMPTY_ML))
    if empty:
        drawn["bladder_ml"] = small
    bulge = float(rng.uniform(2.0, 12.0)) if rng.random() < 0.25 + 0.01 * (drawn["prostate_ml"] - 40.0) else 0.0
    prostate_hu = _some(rng, 40.0, 3.5, 30.0, 50.0)
    return Organs(
        prostate_long=_some(rng, 1.0, 0.08, 0.82, 1.2),
        median_lobe=bulge,
        vesicles_left=_some(rng, 0.5, 0.06, 0.36, 0.64),
        vesicles_rise=_some(rng, 20.0, 12.0, -5.0, 50.0),
        bladder_flat=float(rng.uniform(0.0, 1.0)),
        bladder_lean=_some(rng, 0.0, 5.0, -12.0, 12.0),
        rectum_sway=_some(rng, 0.0, 6.0, -14.0, 14.0),
        gas=float(np.clip(rng.beta(1.0, 2.6), 0.0, 0.9)) if rng.random() < 0.7 else 0.0,
        stool=float(rng.beta(1.2, 1.2)),
        gap=float(rng.uniform(0.0, 2.5)),
        prostate_hu=prostate_hu,
        vesicles_hu=prostate_hu - _some(rng, 5.0, 2.5, -1.0, 11.0),
        urine_hu=_some(rng, 5.0, 3.0, -2.0, 14.0),
        shape_seed=int(rng.integers(2**31)),
        **drawn,
    )


def _finds(rng: np.random.Generator, age: float) -> Finds:
    seeded, artificial, medium, blood = rng.random(4)
    side = str(rng.choice(["right", "left", "both"], p=[0.45, 0.45, 0.1]))
    alloy = str(rng.choice(["cobalt_chrome", "zirconia", "steel"], p=[0.65, 0.2, 0.15]))
    urine, iodine = float(rng.uniform(80.0, 350.0)), float(rng.uniform(60.0, 130.0))
    return Finds(
        calcifications=int(rng.poisson(4.0)) if rng.random() < 0.45 else 0,
        seeds=int(rng.integers(3, 5)) if seeded < SEEDS_SHARE else 0,
        prosthesis=side if artificial < PROSTHESIS_SHARE else "none",
        alloy=alloy,
        phleboliths=int(rng.poisson(1.6)),
        plaques=float(np.clip(0.012 * (age - 50.0) + rng.normal(0.05, 0.12), 0.0, 0.7)),
        bladder_contrast_hu=urine if medium < 0.08 else 0.0,
        layered=bool(rng.random() < 0.7),
        contrast_hu=iodine if blood < 0.12 else 0.0,
    )


def _setup(rng: np.random.Generator) -> Setup:
    return Setup(
        tilt_deg=_some(rng, 0.0, 4.0, -10.0, 10.0),
        turn_deg=float(rng.normal(0.0, 1.2)),
        roll_deg=float(rng.normal(0.0, 1.2)),
        couch=bool(rng.random() < 0.95),
        place_mm=(float(rng.normal(0.0, 5.0)), float(rng.normal(-8.0, 7.0)), float(rng.uniform(-300.0, 300.0))),
    )


def _grid(rng: np.random.Generator) -> Grid:
    return Grid(
        top_mm=Grid.top_mm + float(rng.uniform(-12.0, 12.0)),
        noise_hu=float(np.exp(rng.uniform(np.log(2.8), np.log(5.6)))),
    )
