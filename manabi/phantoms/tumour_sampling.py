"""Drawing a patient with a tumour; ranges without a source are our choice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.phantoms.tumour_parameters import Glioma, Lesion, Lung, Patient, Scan, TumourParameters
from manabi.phantoms.tumour_survival import (
    CENTRES,
    LOG_ML_SD,
    LOG_MM_SD,
    MEDIAN_ML,
    MEDIAN_MM,
    OutcomeModel,
    draw_patients,
    follow,
    outcome_model,
)

MODALITIES = ("ct", "mr")
FIELD_MM = 96.0
MARGIN_MM = 16.0
"""A large tumour's image is larger, so that this much is left round it."""
SHRINK_PER_WEEK, LOG_SHRINK_SD = 0.08, 0.5
"""Median rate and its spread: a third of the volume is gone after five weeks."""
GRADE_FOUR_SHARE = 102 / 157
"""Of WHO grade IV (Nakamoto T et al., 2019, doi:10.1038/s41598-019-55922-0)."""
GRADE_TEXTURE, GRADE_ENHANCEMENT = 0.9, 1.4
"""By how many standard deviations grade IV differs from III in texture and enhancement; with both known without error,
the area under the curve is .88 (our choice, so that about .75 can be reached from features)."""


@dataclass(frozen=True)
class Scanner:
    """What a centre's scanner does; each scan varies a little round it."""

    pixel_mm: tuple[float, float]
    slice_mm: float
    psf_mm: float
    sharpness: float
    noise_hu: float
    shift_hu: float


SCANNERS = {
    "A": Scanner((0.7, 0.8), 2.0, 0.60, 0.0, 14.0, 0.0),
    "B": Scanner((0.7, 0.85), 1.0, 0.42, 0.6, 28.0, 4.0),
    "C": Scanner((0.8, 0.98), 3.0, 0.70, 0.0, 11.0, -8.0),
    "D": Scanner((0.85, 1.0), 5.0, 0.85, 0.2, 9.0, 10.0),
}
"""Soft kernel and medium slices; sharp and thin; soft and thick; very soft and very thick with some enhancement."""


def sample(rng: np.random.Generator, choices: Mapping[str, Any]) -> TumourParameters:
    """Draw one patient; see :meth:`manabi.phantoms.tumour.TumourPhantom.sample_parameters`."""
    given = {name: value for name, value in choices.items() if value is not None}
    modality, weeks = given.pop("modality", "ct"), int(given.pop("weeks", 0))
    if modality not in MODALITIES or not 0 <= weeks <= 10 or (weeks and modality == "mr"):
        raise InvalidInputError(f"modality is one of {', '.join(MODALITIES)} and weeks (CT only) 0 to 10.")
    model = _model(given)
    glioma = _glioma(rng, given) if modality == "mr" else Glioma()
    patient, centre = _patient(rng, given, model, glioma)
    lesion = _lesion(rng, patient)
    scan = _scan(rng, centre, lesion, modality)
    drawn = TumourParameters(modality, weeks, lesion, _lung(rng, lesion), scan, patient, glioma)
    return _with(drawn, given)


def _model(given: dict[str, Any]) -> OutcomeModel:
    """The outcome model that the choices name; they are taken from ``given``."""
    cohort = str(given.pop("cohort", "default"))
    names = [f.name for f in fields(OutcomeModel)]
    return outcome_model(cohort, **{name: float(given.pop(name)) for name in names if name in given})


def _patient(
    rng: np.random.Generator, given: dict[str, Any], model: OutcomeModel, glioma: Glioma
) -> tuple[Patient, str]:  # fmt: skip
    """Who it is, with survival, and the centre."""
    fixed = _fixed(given)
    drawn = draw_patients(rng, 1, **fixed)
    if glioma.grade and "z" not in fixed:
        away = GRADE_TEXTURE * (GRADE_FOUR_SHARE if glioma.grade == 3 else GRADE_FOUR_SHARE - 1.0)
        drawn = replace(drawn, z=np.clip(drawn.z + away, -3.0, 3.0))
    lived = follow(rng, drawn, model)
    parts = {f"hazard_{name}": float(part[0]) for name, part in lived.parts.items()}
    patient = Patient(
        z=float(drawn.z[0]), v=float(drawn.v[0]), response=float(drawn.response[0]),
        age_years=round(float(drawn.age_years[0]), 1), sex="M" if drawn.male[0] else "F",
        stage="" if glioma.grade else drawn.stage[0], **parts,
        time_days=int(lived.time_days[0]), event=int(lived.event[0]),
    )  # fmt: skip
    return patient, CENTRES[int(drawn.centre[0])]


def _fixed(given: dict[str, Any]) -> dict[str, Any]:
    """Facts of the patient among the choices, in the terms of :func:`draw_patients`; taken from ``given``."""
    fixed: dict[str, Any] = {name: given.pop(name) for name in ("z", "v", "response", "age_years") if name in given}
    if "volume_ml" in given:
        fixed["v"] = math.log(_positive(given, "volume_ml") / MEDIAN_ML) / LOG_ML_SD
    if "length_mm" in given:
        fixed["z"] = math.log(_positive(given, "length_mm") / MEDIAN_MM) / LOG_MM_SD
    if "sex" in given:
        sex = given.pop("sex")
        if sex not in ("F", "M"):
            raise InvalidInputError(f"sex must be F or M; got {sex!r}.")
        fixed["male"] = sex == "M"
    if "centre" in given:
        centre = given.pop("centre")
        if centre not in CENTRES:
            raise InvalidInputError(f"centre must be one of {', '.join(CENTRES)}; got {centre!r}.")
        fixed["centre"] = CENTRES.index(centre)
    return fixed


def _positive(given: dict[str, Any], name: str) -> float:
    value = float(given.pop(name))
    if not value > 0:
        raise InvalidInputError(f"{name} must be above 0; got {value}.")
    return value


def _lesion(rng: np.random.Generator, patient: Patient) -> Lesion:
    spicules = int(rng.integers(20, 71)) if rng.random() < 0.6 else 0
    return Lesion(
        volume_ml=MEDIAN_ML * math.exp(LOG_ML_SD * patient.v),
        length_mm=MEDIAN_MM * math.exp(LOG_MM_SD * patient.z),
        density_hu=float(rng.normal(20.0, 15.0)),
        texture_hu=float(np.clip(rng.lognormal(math.log(26.0), 0.2), 15.0, 45.0)),
        lobes=int(rng.integers(4, 10)),
        lobulation=float(rng.uniform(0.2, 0.9)),
        elongation=tuple(rng.uniform(0.8, 1.25, 3).tolist()),
        spicules=spicules,
        halo_mm=float(rng.uniform(1.0, 4.0)) if rng.random() < 0.3 else 0.0,
        shrink_per_week=SHRINK_PER_WEEK * math.exp(LOG_SHRINK_SD * patient.response),
        seed=int(rng.integers(2**31)),
    )


def _lung(rng: np.random.Generator, lesion: Lesion) -> Lung:
    radius = sphere_radius_mm(lesion.volume_ml)
    return Lung(
        parenchyma_hu=float(rng.normal(-855.0, 25.0)),
        emphysema=float(rng.beta(1.2, 3.0)),
        wall_mm=float(0.85 * radius + rng.gamma(1.6, 12.0)),
        wall_deg=float(rng.choice((0.0, 180.0)) + rng.uniform(-80.0, 80.0)),
        vessels=int(rng.integers(14, 24)),
        fissure=bool(rng.random() < 0.25),
        seed=int(rng.integers(2**31)),
    )


def _scan(rng: np.random.Generator, centre: str, lesion: Lesion, modality: str) -> Scan:
    found = SCANNERS[centre]
    factor = rng.lognormal(0.0, 0.08, 3)
    shown = max(FIELD_MM, 3.2 * sphere_radius_mm(lesion.volume_ml) + MARGIN_MM)
    return Scan(
        centre=centre,
        pixel_mm=round(float(rng.uniform(*found.pixel_mm)), 3),
        slice_mm=found.slice_mm,
        psf_mm=found.psf_mm * float(factor[0]),
        sharpness=found.sharpness if modality == "ct" else 0.0,
        noise_hu=found.noise_hu * float(factor[1]),
        shift_hu=found.shift_hu + float(rng.normal(0.0, 2.0)),
        field_mm=round(shown, 1),
        seed=int(rng.integers(2**31)),
    )


def _glioma(rng: np.random.Generator, given: dict[str, Any]) -> Glioma:
    """Grade and what follows from it; a grade that is given is taken from ``given``."""
    drawn = 4 if rng.random() < GRADE_FOUR_SHARE else 3
    grade = int(given.pop("grade", drawn))
    if grade not in (3, 4):
        raise InvalidInputError(f"grade must be 3 or 4; got {grade}.")
    strength = rng.normal(GRADE_ENHANCEMENT * (1.0 - GRADE_FOUR_SHARE if grade == 4 else -GRADE_FOUR_SHARE), 1.0)
    return Glioma(
        grade=grade,
        enhancement=0.45 * math.exp(0.35 * strength),
        rim_mm=float(rng.uniform(2.5, 5.0)),
        necrosis=float(np.clip(0.25 + 0.12 * strength + rng.normal(0.0, 0.08), 0.03, 0.6)),
        oedema_mm=float(rng.uniform(3.0, 14.0)),
        midline_mm=float(rng.uniform(22.0, 44.0)),
    )


def sphere_radius_mm(volume_ml: float) -> float:
    """Radius of the sphere of this volume."""
    return float(np.cbrt(3e3 * volume_ml / (4 * math.pi)))


PARTS: tuple[tuple[str, type], ...] = (("lesion", Lesion), ("lung", Lung), ("scan", Scan), ("glioma", Glioma))


def _with(drawn: TumourParameters, given: dict[str, Any]) -> TumourParameters:
    """Fix what is left of the choices by the names of fields; ``seed`` belongs to three parts and cannot be fixed."""
    parts: dict[str, Any] = {}
    for part, kind in PARTS:
        names = {f.name for f in fields(kind)} - {"seed", "grade"}
        values = {key: tuple(v) if isinstance(v := given.pop(key), list) else v for key in list(given) if key in names}
        parts[part] = replace(getattr(drawn, part), **values)
    if given:
        raise InvalidInputError(f"The tumour has no {', '.join(sorted(given))}.")
    return replace(drawn, **parts)
