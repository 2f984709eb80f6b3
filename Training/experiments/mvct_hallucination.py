"""Lesions that a converter may lose, and lesions that it may draw (Cohen et al., MICCAI 2018, 1805.08841).

A test patient's kVCT gets balls of every diameter at places of soft tissue, all of one contrast, far from each other;
with and without them it is scanned by the same simulated scanner with the same noise. What a converter makes of the
two scans tells what it recovers; what it makes of the scan without lesions is looked at where nothing was inserted.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import ndimage

from manabi.errors import InvalidInputError
from manabi.phantoms.ct.convert import simulate
from manabi.phantoms.ct.scanner import Scanner, sample_scanner
from manabi.volume import Volume
from Training.experiments.mvct_bench import Plan, View, numbers, spread, straight, views
from Training.experiments.mvct_networks import Job, jobs_of, long_arms, steps
from Training.experiments.mvct_numbers import rate, value_of
from Training.mvct_bundle import INVENTED_HU, LOST
from Training.mvct_evaluate import Convert
from Training.mvct_evaluate_lesions import (
    EDGE_MM,
    FAR_MM,
    ROOM_MM,
    SOFT_HU,
    Lesion,
    Placed,
    local_contrast,
    with_lesion,
)  # fmt: skip

logger = logging.getLogger(__name__)

KIND = "mvct"
APART_MM = 3.0
"""Room between the surroundings of two lesions (our choice)."""
BOX_MM = 3.0
"""A lesion is measured in its box, this much wider than its surroundings."""


@dataclass(frozen=True)
class Spot:
    """A place for a lesion.

    Attributes:
        centre: slice, row, column.
        diameter_mm: of the lesion.
    """

    centre: tuple[int, int, int]
    diameter_mm: float


def run(plan: Plan) -> dict[str, Any]:
    """Insert, scan, convert and measure, or go on with it."""
    settings = plan.settings
    sizes, contrasts = numbers(settings.sizes_mm, "sizes_mm"), numbers(settings.contrasts_hu, "contrasts_hu")
    jobs = jobs_of(plan, KIND, len(views(plan, KIND)))
    spread(patient, jobs, settings.workers)
    rows = [patient(job) for job in jobs]
    return summary(plan, rows, list(steps(plan, KIND)), sizes, contrasts)


def patient(job: Job) -> dict[str, Any]:
    """Every converter on every lesion of one test patient, kept."""
    plan, number = job.plan, int(job.which)
    settings, view = plan.settings, views(plan, KIND)[number]
    arms = [arm.key for arm in long_arms(plan, KIND).values()]
    shape = [settings.sizes_mm, settings.contrasts_hu, settings.places, settings.probes, settings.bundle, arms]
    key = plan.key(KIND, lesions=shape, patient=view.pair.name)
    work = partial(_patient, plan, view, number, steps(plan, KIND))
    return plan.once(f"hallucination/{number}.json", key, work)


def _patient(plan: Plan, view: View, number: int, every: Mapping[str, Convert]) -> dict[str, Any]:
    settings = plan.settings
    rng = np.random.default_rng([settings.split_seed, number, 9])
    kvct = Volume(view.target, view.pair.target.reoriented().ijk_to_ras, "CT", "HU", "kvct")
    scanner = sample_scanner(KIND, rng)
    sizes = numbers(settings.sizes_mm, "sizes_mm")
    spots = places(view, [size for size in sorted(sizes, reverse=True) for _ in range(settings.places)], rng)
    logger.info(
        "lesions in test patient %d: %d of %d find a place", number + 1, len(spots), len(sizes) * settings.places
    )
    before = _scan(plan, kvct, scanner, number)
    base = {name: straight(step(before)) for name, step in every.items()}
    found: dict[str, Any] = {name: {"lesions": [], "probes": []} for name in every}
    for contrast in numbers(settings.contrasts_hu, "contrasts_hu"):
        balls = [placed(kvct, spot, contrast) for spot in spots]
        after = _scan(plan, _with_all(kvct, balls), scanner, number)
        for name, step in every.items():
            change = straight(step(after)) - base[name]
            far = _elsewhere(balls, view)
            found[name]["lesions"] += [_lesion_row(change, ball, spot) for ball, spot in zip(balls, spots, strict=True)]
            found[name].setdefault("elsewhere_hu", []).append(
                float(np.abs(change[far]).mean()) if far.any() else np.nan
            )
    for size in sizes:
        probes = places(view, [size] * settings.probes, rng, apart=False)
        for spot in probes:
            ball, cut = boxed(kvct, spot, 0.0)
            true = local_contrast(view.target[cut], ball)
            for name, array in base.items():
                found[name]["probes"].append(
                    {"diameter_mm": size, "contrast_hu": local_contrast(array[cut], ball) - true}
                )
    return {"converters": found}


def _scan(plan: Plan, volume: Volume, scanner: Scanner, seed: int) -> Volume:
    """The same scan at every call: the noise follows from the seed."""
    return simulate(volume, seed=seed, scanner=scanner, fast=plan.settings.fast, context=plan.context)


# --- places -----------------------------------------------------------------------------------------------------------


def places(view: View, diameters: Sequence[float], rng: np.random.Generator, apart: bool = True) -> list[Spot]:
    """Places with soft tissue all around, a diameter each; those that find none are left out.

    Args:
        view: the patient.
        diameters: in mm, the largest first.
        rng: chooses.
        apart: whether they keep clear of each other.
    """
    step = view.spacing[::-1]
    smooth = ndimage.gaussian_filter(view.target, 1.0 / step)
    soft = np.pad((smooth > SOFT_HU[0]) & (smooth < SOFT_HU[1]) & view.tissues.body, 1)
    room = ndimage.distance_transform_edt(soft, sampling=step)[1:-1, 1:-1, 1:-1]
    spots: list[Spot] = []
    for diameter in diameters:
        free = room >= 0.5 * diameter + ROOM_MM
        for spot in spots if apart else ():
            gap = 0.5 * (diameter + spot.diameter_mm) + 2 * ROOM_MM + APART_MM
            free &= _distance(view.target.shape, spot.centre, step) > gap
        where = np.argwhere(free)
        if len(where):
            k, j, i = (int(n) for n in where[int(rng.integers(len(where)))])
            spots.append(Spot((k, j, i), diameter))
    return spots


def _distance(shape: Sequence[int], centre: Sequence[int], step: np.ndarray) -> np.ndarray:
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    return np.sqrt(sum(((a - c) * s) ** 2 for a, c, s in zip(axes, centre, step, strict=True)))


def placed(kvct: Volume, spot: Spot, contrast_hu: float) -> Placed:
    """The lesion on the whole image."""
    distance = _distance(kvct.shape, spot.centre, np.asarray(kvct.spacing_mm, float)[::-1]).astype(np.float32)
    radius = 0.5 * spot.diameter_mm
    return Placed(np.clip((radius - distance) / EDGE_MM + 0.5, 0.0, 1.0), distance, Lesion(radius, contrast_hu))


def boxed(kvct: Volume, spot: Spot, contrast_hu: float) -> tuple[Placed, tuple[slice, ...]]:
    """The lesion in the box around it, and the box."""
    step = np.asarray(kvct.spacing_mm, float)[::-1]
    reach = np.ceil((0.5 * spot.diameter_mm + ROOM_MM + BOX_MM) / step).astype(int)
    low = [max(c - r, 0) for c, r in zip(spot.centre, reach, strict=True)]
    cut = tuple(slice(int(a), int(c + r + 1)) for a, c, r in zip(low, spot.centre, reach, strict=True))
    shape = [len(range(*one.indices(n))) for one, n in zip(cut, kvct.shape, strict=True)]
    distance = _distance(shape, [c - a for c, a in zip(spot.centre, low, strict=True)], step).astype(np.float32)
    radius = 0.5 * spot.diameter_mm
    return Placed(np.clip((radius - distance) / EDGE_MM + 0.5, 0.0, 1.0), distance, Lesion(radius, contrast_hu)), cut


def _with_all(kvct: Volume, balls: Sequence[Placed]) -> Volume:
    for ball in balls:
        kvct = with_lesion(kvct, ball)
    return kvct


def _elsewhere(balls: Sequence[Placed], view: View) -> np.ndarray:
    """The body far from all lesions."""
    far = view.tissues.body.copy()
    for ball in balls:
        far &= ball.distance_mm > ball.lesion.radius_mm + FAR_MM
    return far


def _lesion_row(change: np.ndarray, ball: Placed, spot: Spot) -> dict[str, float]:
    true = ball.lesion.contrast_hu * float(ball.weight[ball.core].mean())
    return {
        "diameter_mm": spot.diameter_mm, "contrast_hu": ball.lesion.contrast_hu,
        "recovered": float(change[ball.core].mean()) / true,
    }  # fmt: skip


# --- numbers ----------------------------------------------------------------------------------------------------------


def summary(
    plan: Plan,
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    sizes: Sequence[float],
    contrasts: Sequence[float],
) -> dict[str, Any]:
    """What was recovered, lost and invented, by converter.

    Raises:
        InvalidInputError: where no lesion found a place.
    """
    if not any(row["converters"][names[0]]["lesions"] for row in rows):
        raise InvalidInputError("No test patient has soft tissue that is large enough for a lesion.")
    settings = plan.settings
    return {
        "patients": len(rows), "sizes": list(sizes), "contrasts": list(contrasts), "lost_below": LOST,
        "invented_from_hu": INVENTED_HU, "stated": [settings.stated_mm, settings.stated_hu],
        "recovered": {name: _recovered(rows, name, sizes, contrasts) for name in names},
        "invented": {name: {f"{size:g}": _invented(rows, name, size) for size in sizes} for name in names},
        "stated_lost": {name: _stated_lost(rows, name, settings.stated_mm, settings.stated_hu) for name in names},
        "stated_invented": {name: _stated_invented(rows, name, settings.stated_mm) for name in names},
        "elsewhere_hu": {
            name: value_of(np.array([_mean(row["converters"][name].get("elsewhere_hu", [])) for row in rows]))
            for name in names
        },
    }  # fmt: skip


def _of(row: Mapping[str, Any], name: str, what: str) -> list[dict[str, float]]:
    return row["converters"][name][what]


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _recovered(rows: Any, name: str, sizes: Sequence[float], contrasts: Sequence[float]) -> dict[str, Any]:
    """By diameter and contrast: the share recovered over patients, and how many were lost of how many."""
    out = {}
    for size in sizes:
        for contrast in contrasts:
            per_patient = [
                [
                    x["recovered"]
                    for x in _of(row, name, "lesions")
                    if (x["diameter_mm"], x["contrast_hu"]) == (size, contrast)
                ]
                for row in rows
            ]
            every = [value for values in per_patient for value in values]
            out[f"{size:g}|{contrast:g}"] = {
                "recovered": value_of(np.array([_mean(values) for values in per_patient])),
                "lost": sum(value < LOST for value in every), "lesions": len(every),
            }  # fmt: skip
    return out


def _invented(rows: Any, name: str, size: float) -> dict[str, Any]:
    """Contrast where there is none: its spread, and the share of places that look like a lesion."""
    every = [abs(x["contrast_hu"]) for row in rows for x in _of(row, name, "probes") if x["diameter_mm"] == size]
    drawn = sum(value >= INVENTED_HU for value in every)
    return {"places": len(every), "invented": drawn, "share": rate(drawn, len(every)), "mean_hu": _mean(every)}


def _stated_lost(rows: Any, name: str, least_mm: float, least_hu: float) -> list[float]:
    every = [
        x["recovered"] for row in rows for x in _of(row, name, "lesions")
        if x["diameter_mm"] >= least_mm and abs(x["contrast_hu"]) >= least_hu
    ]  # fmt: skip
    return [sum(value < LOST for value in every), len(every)]


def _stated_invented(rows: Any, name: str, least_mm: float) -> list[float]:
    every = [abs(x["contrast_hu"]) for row in rows for x in _of(row, name, "probes") if x["diameter_mm"] >= least_mm]
    return [sum(value >= INVENTED_HU for value in every), len(every)]
