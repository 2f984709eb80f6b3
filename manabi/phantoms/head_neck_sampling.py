"""Drawing a head and neck: ranges wide enough that real adults lie within (our choices where no source is named)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.phantoms.choices import with_choices
from manabi.phantoms.head_neck_lesion import KINDS, SITES
from manabi.phantoms.head_neck_parameters import Build, Grid, HeadNeckParameters, Lesion, Mouth, Setup

IMAGES, ALLOYS = ("mvct", "cbct"), ("amalgam", "gold")
TEETH = 14
FINE_MM = 2.5
"""About the distance of the planes that are averaged in a slice."""
PARTS: tuple[tuple[str, type], ...] = (
    ("grid", Grid), ("build", Build), ("mouth", Mouth), ("lesion", Lesion), ("setup", Setup)
)  # fmt: skip
SEEDS = ("texture_seed", "noise_seed", "scanner_seed")


def sample(rng: np.random.Generator, choices: Mapping[str, Any]) -> HeadNeckParameters:
    """Draw one patient; see :class:`manabi.phantoms.head_neck.HeadNeckPhantom`."""
    given = dict(choices)
    female, age = bool(rng.random() < 0.35), float(np.clip(rng.normal(60.0, 12.0), 22, 90))
    female, age = bool(given.get("female", female)), float(given.get("age", age))
    build, mouth, setup = _build(rng, female, age), _mouth(rng, age), _setup(rng)
    drawn = HeadNeckParameters(build=build, mouth=mouth, setup=setup, lesion=_lesion(rng), grid=_grid(rng),
                               **{name: int(rng.integers(2**31)) for name in SEEDS})  # fmt: skip
    strength = float(rng.uniform(110.0, 230.0))
    if (kind := given.pop("lesion", None)) is not None:
        given["kind"] = kind
    if (contrast := given.pop("contrast", None)) is not None:
        given.setdefault("contrast_hu", strength if contrast else 0.0)
    chosen = with_choices(drawn, PARTS, SEEDS, given, "head and neck", _follow)
    _check(chosen)
    return chosen


def _follow(part: str, one: Any, values: Mapping[str, Any]) -> Any:
    """A part, with what follows from the values fixed in it."""
    if part == "grid" and "subslices" not in values:
        return replace(one, subslices=max(round(one.slice_mm / FINE_MM), 1))
    if part == "lesion" and "place" not in values:
        return replace(one, place=_fitting(one))
    return one


def _fitting(lesion: Lesion) -> str:
    """The drawn place, or the one of the same number among those where this kind of lesion may lie."""
    bone = lesion.kind == "bone"
    if SITES[lesion.place].bone == bone:
        return lesion.place
    fitting = [name for name, site in SITES.items() if site.bone == bone]
    return fitting[list(SITES).index(lesion.place) % len(fitting)]


def _check(chosen: HeadNeckParameters) -> None:
    for name, value, known in (("image", chosen.grid.image, IMAGES), ("lesion", chosen.lesion.kind, KINDS),
                               ("place", chosen.lesion.place, tuple(SITES)), ("alloy", chosen.mouth.alloy,
                                ALLOYS)):  # fmt: skip
        if value not in known:
            raise InvalidInputError(f"{name} must be one of {', '.join(known)}; got {value!r}.")
    for row in (chosen.mouth.upper, chosen.mouth.lower):
        if len(row) != TEETH or set(row) - set(".tfci"):
            raise InvalidInputError(f"A row of teeth is {TEETH} characters of '.tfci'; got {row!r}.")
    grid = chosen.grid
    if min(grid.pixel_mm, grid.slice_mm, grid.length_mm) <= 0 or grid.matrix < 32 or grid.subslices < 1:
        raise InvalidInputError("pixel_mm, slice_mm and length_mm must be positive, matrix at least 32.")
    if grid.length_mm < grid.slice_mm:
        raise InvalidInputError("The image would hold fewer than two slices; choose a larger length_mm.")


def _some(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))


def _build(rng: np.random.Generator, female: bool, age: float) -> Build:
    old = max(age - 50.0, 0.0) / 40.0
    return Build(
        female=female,
        age=age,
        size=_some(rng, 0.955 if female else 1.01, 0.03, 0.88, 1.09),
        head_width=_some(rng, 1.0, 0.035, 0.91, 1.09),
        head_length=_some(rng, 1.0, 0.03, 0.92, 1.08),
        face_height=_some(rng, 0.98 if female else 1.01, 0.05, 0.86, 1.13),
        neck_length=_some(rng, 1.0, 0.11, 0.74, 1.28),
        neck_width=_some(rng, 0.92 if female else 1.02, 0.06, 0.8, 1.2),
        fat=float(np.clip(rng.gamma(4.0, 1.9), 2.5, 20.0)),
        muscle=_some(rng, 0.93 if female else 1.04, 0.12, 0.62, 1.35),
        marbling=float(np.clip(rng.beta(2, 5) + 0.25 * old, 0.02, 0.85)),
        bone=_some(rng, 1.03 - 0.14 * old, 0.08, 0.72, 1.22),
        gland_fat=float(np.clip(rng.beta(3, 4) + 0.2 * old, 0.05, 0.95)),
        larynx=_some(rng, 1.0 if female else 5.0, 1.5, -1.0, 9.0),
        ossified=float(np.clip(rng.normal(0.15 if female else 0.32, 0.15) + 0.3 * old, 0.0, 0.8)),
        prominent_nose=_some(rng, 0.0, 3.0, -5.0, 8.0),
        sinus=_some(rng, 1.0, 0.22, 0.5, 1.35),
        septum=_some(rng, 0.0, 2.0, -5.0, 5.0),
        swollen=float(rng.uniform(0.2, 1.2) if rng.random() < 0.75 else rng.uniform(2.0, 9.0)),
        ventricle=float(np.clip(rng.normal(1.05 + 0.6 * old, 0.18), 0.75, 2.3)),
        thyroid=_some(rng, 1.0, 0.25, 0.5, 1.8),
        uneven=float(rng.uniform(0.8, 2.4)),
        hair=float(rng.uniform(4.0, 14.0)) if rng.random() < (0.7 if female else 0.35) else 0.0,
    )


def _mouth(rng: np.random.Generator, age: float) -> Mouth:
    """Teeth lost and mended more often with age; rarely none are left."""
    lost, mended = 0.02 + 0.004 * max(age - 35.0, 0.0), float(rng.beta(1.2, 3.0))
    bare = rng.random(2) < 0.004 * max(age - 45.0, 0.0)
    rows = []
    for row in range(2):
        draws, kinds = rng.random((TEETH, 2)), []
        for place, (gone, fixed) in enumerate(draws):
            back = abs(place - 6.5) > 2.5
            share = mended * (0.75 if back else 0.15)
            kind = "t" if fixed > share else "f" if fixed > 0.5 * share else "c" if fixed > 0.1 * share else "i"
            kinds.append("." if gone < lost * (1.5 if back else 0.7) or bare[row] else kind)
        rows.append("".join(kinds))
    return Mouth(rows[0], rows[1], str(rng.choice(ALLOYS, p=[0.7, 0.3])), float(rng.uniform(0.0, 6.0)),
                 float(rng.uniform(0.5, 5.0)) if rng.random() < 0.45 else 0.0)  # fmt: skip


def _lesion(rng: np.random.Generator) -> Lesion:
    kind = str(rng.choice(KINDS, p=[0.45, 0.3, 0.15, 0.1]))
    place = str(rng.choice(list(SITES)))
    lesion = Lesion(
        kind, place, float(rng.uniform(8.0, 26.0)), float(rng.uniform(22.0, 60.0)), int(rng.integers(2**31))
    )
    return replace(lesion, place=_fitting(lesion))


def _setup(rng: np.random.Generator) -> Setup:
    return Setup(
        extend_deg=_some(rng, 8.0, 7.0, -8.0, 24.0),
        turn_deg=float(rng.normal(0.0, 2.0)),
        tilt_deg=float(rng.normal(0.0, 1.6)),
        lordosis=_some(rng, 0.0, 3.0, -7.0, 8.0),
        shoulders=_some(rng, 0.0, 7.0, -14.0, 16.0),
        mask=float(rng.uniform(1.4, 3.2)) if rng.random() < 0.85 else 0.0,
        couch=bool(rng.random() < 0.9),
        place_mm=(float(rng.normal(0.0, 4.0)), float(rng.normal(-10.0, 6.0)), float(rng.uniform(-300.0, 300.0))),
    )


def _grid(rng: np.random.Generator) -> Grid:
    contrast = float(rng.uniform(110.0, 230.0)) if rng.random() < 0.5 else 0.0
    return Grid(top_mm=Grid.top_mm + float(rng.uniform(0.0, Grid.slice_mm)), contrast_hu=contrast)
