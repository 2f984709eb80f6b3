"""No harm: dose and density from the megavoltage CT with its own table, the converted CT and the true kVCT.

The dose is :mod:`manabi.mvct.dose`'s: for comparison, not for planning. The target is a ball in the middle of the body;
the true kVCT with the kV table is the reference. The megavoltage CT with the kV table, which nobody should use, shows
how large a difference the comparison can see.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from manabi.mvct.density import DensityTable, kv_table, mv_table
from manabi.mvct.dose_compare import BEAMS, TARGET_MM, TOLERANCE_PERCENT, Image, central_ball, compare_dose
from manabi.mvct.metrics import tissue_masks, tissue_stats
from manabi.result import Table
from manabi.volume import Volume
from Training.experiments.mvct_bench import Plan, View, spread, straight, views
from Training.experiments.mvct_networks import Job, jobs_of, long_arms, steps
from Training.experiments.mvct_numbers import value_of
from Training.mvct_evaluate import INPUT

logger = logging.getLogger(__name__)

KIND = "mvct"
REFERENCE, NATIVE, WRONG = "true kVCT", "input, own table", "input, kV table"
GAMMA = "gamma 2 %/2 mm"
DEPTH = "water-equivalent depth"


def run(plan: Plan) -> dict[str, Any]:
    """Calculate every image's dose of every test patient, or go on with it."""
    jobs = jobs_of(plan, KIND, len(views(plan, KIND)))
    spread(patient, jobs, plan.settings.workers)
    rows = [patient(job) for job in jobs]
    names = list(rows[0]["dose"])
    quantities = list(dict.fromkeys(key for row in rows for key in row["dose"][names[0]]))
    return {
        "patients": len(rows), "beams": BEAMS, "target_mm": TARGET_MM, "slices": plan.settings.dose_slices,
        "tolerance_percent": TOLERANCE_PERCENT,
        "reference": {q: value_of(_column(rows, "reference", q)) for q in quantities},
        "rows": {name: _over_patients(rows, name, quantities, np.positive) for name in names},
        "off": {name: _over_patients(rows, name, quantities, np.abs) for name in names},
        "harm": {name: harm(rows, name, quantities) for name in names if name not in (NATIVE, WRONG)},
        "density": {name: _densities(rows, name) for name in (*names, REFERENCE)},
    }  # fmt: skip


def patient(job: Job) -> dict[str, Any]:
    """Every image's dose and density of one test patient, kept."""
    plan, number = job.plan, int(job.which)
    view = views(plan, KIND)[number]
    arms = [arm.key for arm in long_arms(plan, KIND).values()]
    shape = [plan.settings.dose_slices, plan.settings.bundle, arms]
    key = plan.key(KIND, dose=shape, patient=view.pair.name)
    return plan.once(f"dose/{number}.json", key, partial(_patient, plan, view, number))


def _patient(plan: Plan, view: View, number: int) -> dict[str, Any]:
    logger.info("dose: test patient %d", number + 1)
    whole = _images(plan, view)
    target, low, high = central_ball(view.tissues.body, view.spacing, plan.settings.dose_slices)
    matrix = view.pair.target.reoriented().ijk_to_ras
    images = {name: Image(Volume(a[low:high], matrix, "CT", "HU", name), table) for name, (a, table) in whole.items()}
    done = compare_dose(images, Volume(target[low:high].astype(np.uint8), matrix, name="target"))
    return {
        **_differences(done.table, [name for name in images if name != REFERENCE]),
        "density": {name: _density(view, array, table) for name, (array, table) in whole.items()},
    }


def _images(plan: Plan, view: View) -> dict[str, tuple[np.ndarray, DensityTable]]:
    """Every image of a patient with the table its HU are read by; converted ones with that of kilovoltage CT."""
    kv, mv = kv_table(), mv_table()
    found = {REFERENCE: (view.target, kv), NATIVE: (view.source, mv), WRONG: (view.source, kv)}
    made = {name: straight(step(view.pair.source)) for name, step in steps(plan, KIND).items() if name != INPUT}
    return found | {name: (array, kv) for name, array in made.items()}


def _differences(table: Table, names: Sequence[str]) -> dict[str, Any]:
    """What the comparison's table says: the reference's values, and how far each image lies from them.

    Args:
        table: of :func:`manabi.mvct.dose_compare.compare_dose`; its fourth column is the reference.
        names: of the images in its columns after that.
    """
    rows = {f"{row[0]} {row[1]}": row for row in table.rows if DEPTH not in str(row[1])}
    depths = [row for row in table.rows if DEPTH in str(row[1])]
    dose: dict[str, dict[str, float]] = {}
    for n, name in enumerate(names, start=4):
        dose[name] = {key: float(row[n] or 0.0) for key, row in rows.items()}
        dose[name][f"target {DEPTH}, largest"] = max(abs(float(row[n] or 0.0)) for row in depths)
    return {"dose": dose, "reference": {key: row[3] for key, row in rows.items()}}


def _density(view: View, array: np.ndarray, table: DensityTable) -> dict[str, float]:
    """Relative electron density of every tissue, at the places that the true kVCT chooses."""
    stats = tissue_stats(array, tissue_masks(view.tissues.labels, view.spacing), view.spacing)
    return {name: float(table.electron_density(np.array(found.mean_hu))) for name, found in stats.items()}


# --- numbers ----------------------------------------------------------------------------------------------------------


def harm(rows: Sequence[Mapping[str, Any]], name: str, quantities: Sequence[str]) -> dict[str, Any]:
    """How much further from the reference a converted image is than the input with its own table, per quantity.

    Returns:
        Per quantity in percent ``|converted - reference| - |input - reference|`` over patients (above 0 is worse), and
        ``worst``, the largest upper end of the intervals.
    """
    out: dict[str, Any] = {}
    for quantity in (q for q in quantities if DEPTH not in q):
        out[quantity] = value_of(np.abs(_values(rows, name, quantity)) - np.abs(_values(rows, NATIVE, quantity)))
    ends = [value[2] for value in out.values() if np.isfinite(value[2])]
    return {**out, "worst": max(ends) if ends else float("nan")}


def _values(rows: Sequence[Mapping[str, Any]], name: str, quantity: str) -> np.ndarray:
    """Difference from the reference; of the gamma rate, which is no difference, what is lacking to 100 %."""
    values = np.array([float(row["dose"][name].get(quantity, np.nan)) for row in rows])
    return values - 100.0 if GAMMA in quantity else values


def _over_patients(
    rows: Sequence[Mapping[str, Any]], name: str, quantities: Sequence[str], of: Callable[[np.ndarray], np.ndarray]
) -> dict[str, Any]:  # fmt: skip
    """A function of an image's differences from the reference, per quantity."""
    return {quantity: value_of(of(_values(rows, name, quantity))) for quantity in quantities}


def _column(rows: Sequence[Mapping[str, Any]], part: str, name: str) -> np.ndarray:
    return np.array([np.nan if row[part].get(name) is None else float(row[part][name]) for row in rows])


def _densities(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Per tissue the density, and its difference from the true kVCT's in percent of water's."""
    out = {}
    for tissue in dict.fromkeys(t for row in rows for t in row["density"][REFERENCE]):
        here, true = (
            np.array([float(row["density"][n].get(tissue, np.nan)) for row in rows]) for n in (name, REFERENCE)
        )
        out[tissue] = {"density": value_of(here), "percent": value_of(100.0 * (here - true))}
    return out
