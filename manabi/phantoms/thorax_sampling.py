"""Drawing a chest: ranges wide enough that real adults lie within (our choices where no source is named)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.phantoms.thorax_disease import KINDS, sample_disease
from manabi.phantoms.thorax_parameters import Airway, Chest, Disease, Scan, ThoraxParameters
from manabi.phantoms.thorax_tree import sample_airway

FIBROTIC = ("uip", "nsip")
TRACTION = 0.6
"""Peripheral bronchi of the worst fibrosis are wider by this share (traction bronchiectasis, x 1.5 in the survey)."""
JITTER_SHARE = 0.1
"""Share of a reader's marks that are one slice off."""
ARMS, COUCHES = ("up", "down", "one"), ("curved", "flat", "none")
FINE_MM = 2.0
"""About the distance of the planes that are averaged in a slice."""
FIELDS = (("scan", Scan), ("chest", Chest), ("airway", Airway), ("disease", Disease))


def sample(rng: np.random.Generator, choices: Mapping[str, Any]) -> ThoraxParameters:
    """Draw one chest; see :class:`manabi.phantoms.thorax.ThoraxPhantom`."""
    given = dict(choices)
    kind, jitter = given.pop("pathology", None), bool(given.pop("jitter", False))
    if kind is not None and kind not in KINDS:
        raise InvalidInputError(f"pathology must be one of {', '.join(KINDS)}; got {kind!r}.")
    female = bool(given.get("female", rng.random() < 0.45))
    chest, airway, disease = _chest(rng, female), sample_airway(rng, female), sample_disease(rng, kind)
    if disease.kind in FIBROTIC:
        airway = replace(airway, dilation=1.0 + TRACTION * disease.severity)
    drawn = ThoraxParameters(
        chest=chest, airway=airway, disease=disease, scan=_scan(rng), texture_seed=int(rng.integers(2**31)),
        reader_slices=_reader(rng) if jitter else (0, 0, 0),
    )  # fmt: skip
    return _with(drawn, given)


def _with(drawn: ThoraxParameters, given: dict[str, Any]) -> ThoraxParameters:
    """Fix fields by their names."""
    parts: dict[str, Any] = {}
    for part, kind in FIELDS:
        names = {f.name for f in fields(kind)}
        values = {key: tuple(v) if isinstance(v := given.pop(key), list) else v for key in list(given) if key in names}
        parts[part] = replace(getattr(drawn, part), **values) if values else getattr(drawn, part)
        if part == "scan" and "subslices" not in values:
            parts[part] = replace(parts[part], subslices=max(round(parts[part].slice_mm / FINE_MM), 1))
    seed = given.pop("texture_seed", drawn.texture_seed)
    if given:
        raise InvalidInputError(f"The thorax has no {', '.join(sorted(given))}.")
    chosen = replace(drawn, texture_seed=seed, **parts)
    for name, known in (("arms", ARMS), ("couch", COUCHES)):
        if (value := getattr(chosen.chest, name)) not in known:
            raise InvalidInputError(f"{name} must be one of {', '.join(known)}; got {value!r}.")
    return chosen


def _chest(rng: np.random.Generator, female: bool) -> Chest:
    size = float(np.clip(rng.normal(0.94 if female else 1.03, 0.08), 0.74, 1.25))
    height = float(np.clip(rng.normal(0.95 if female else 1.03, 0.11), 0.7, 1.3))
    apex = float(np.clip(rng.normal(86.0, 14.0), 52, 125)) * height
    dome = float(np.clip(rng.normal(108.0, 20.0), 60, 165)) * height
    return Chest(
        female=female,
        size=size,
        depth=float(np.clip(rng.normal(1.0, 0.1), 0.76, 1.34)),
        apex_right=apex + float(rng.normal(0, 3.5)),
        apex_left=apex + float(rng.normal(-1, 3.5)),
        dome_right=dome - float(rng.uniform(-3, 10)),
        dome_left=dome + float(rng.uniform(-3, 10)),
        recess=float(np.clip(rng.normal(64.0, 14.0), 30, 105)),
        mediastinum=float(np.clip(rng.normal(30.0, 4.5), 20, 44)) * size,
        vessels_up=float(np.clip(rng.normal(2.0, 9.0), -18, 24)),
        heart=float(np.clip(rng.normal(1.0, 0.13), 0.72, 1.45)) * size,
        fat=float(np.clip(rng.gamma(2.6, 6.0), 3, 55)),
        wall=float(np.clip(rng.normal(16.0, 3.5), 8, 28)),
        arms=str(rng.choice(ARMS, p=[0.68, 0.28, 0.04])),
        neck=float(np.clip(rng.normal(60.0, 7.0), 45, 82)),
        front_recess=float(rng.uniform(-0.1, 0.35) if rng.random() < 0.85 else rng.uniform(-0.35, -0.1)),
        rear_recess=float(rng.uniform(0.0, 0.12) if rng.random() < 0.75 else rng.uniform(-0.45, 0.0)),
        kyphosis=float(rng.normal(0, 6.0)),
        visceral=float(rng.uniform(0, 1)),
        uneven=float(rng.uniform(1.0, 5.0)),
        breast=float(rng.uniform(5, 55)),
        turn_deg=float(rng.normal(0, 3.5)),
        couch=str(rng.choice(COUCHES, p=[0.55, 0.3, 0.15])),
        contrast_hu=float(rng.uniform(90, 260)) if rng.random() < 0.45 else float(rng.uniform(30, 50)),
        oesophagus_air=float(rng.uniform(2.5, 8)) if rng.random() < 0.3 else 0.0,
        oesophagus_air_z=float(rng.uniform(-60, 90)),
        spread=float(rng.uniform(-60, 110)),
        bowel_gas=float(rng.uniform(8, 32)) if rng.random() < 0.75 else 0.0,
    )


def _scan(rng: np.random.Generator) -> Scan:
    slice_mm = Scan.slice_mm
    return Scan(
        pixel_mm=float(rng.uniform(1.7, 2.6)),
        offset_mm=float(rng.uniform(0, slice_mm)),
        top_mm=float(rng.uniform(8, 70) if rng.random() < 0.85 else rng.uniform(70, 150)),
        bottom_mm=float(rng.uniform(4, 70) if rng.random() < 0.75 else rng.uniform(70, 190)),
        place_mm=(float(rng.normal(0, 10)), float(rng.normal(0, 14)), float(rng.uniform(-400, 400))),
        psf_mm=float(rng.uniform(0.7, 1.4)),
        noise_hu=float(rng.uniform(10, 32)),
        shift_hu=float(rng.normal(0, 8)),
    )


def _reader(rng: np.random.Generator) -> tuple[int, int, int]:
    """By how many slices each mark is off."""
    steps = rng.choice([-1, 1], 3) * (rng.random(3) < JITTER_SHARE)
    return int(steps[0]), int(steps[1]), int(steps[2])
