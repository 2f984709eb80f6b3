"""How good every converter's images are: megavoltage CT (part ``quality``) and cone-beam CT (part ``cbct``)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manabi.io.atomic import atomic_file
from manabi.mvct.metrics import dig
from Training.experiments.mvct_bench import Plan, View, spread, straight, views
from Training.experiments.mvct_networks import Arm, Job, long_arms, main_name, record_of, steps, watched
from Training.experiments.mvct_numbers import column, paired, value_of
from Training.mvct_evaluate import ALONE, INPUT, MEANINGS, TRUTH, alone_scores, pair_scores
from Training.mvct_evaluate_detail import edge_mtf, noise_power
from Training.mvct_evaluate_doubt import MEANINGS as DOUBT
from Training.mvct_evaluate_doubt import doubt_scores

logger = logging.getLogger(__name__)

PUBLISHED = {
    "cnr_muscle_fat": (1.6, 14.8, 15.2), "cnr_bone_fat": (7.6, 122.7, None), "cnr_bone_muscle": (6.0, 107.9, None)
}  # fmt: skip
"""Vinas et al., Med Phys 2021, 10.1002/mp.14616: input, converted, kVCT, of 120 patients of another scanner."""
ERRORS = ("mae_hu", "psnr_db", "ssim", "ms_ssim", "dice_soft", "dice_bone", "border_mm_soft", "border_mm_bone")
DIGS = ("dig_a", "dig_b")
SHOWN = ("noise", "mtf")
PICTURE = "examples-{}.npz"
NYQUIST = 0.5


def run(plan: Plan, kind: str = "mvct") -> dict[str, Any]:
    """Train the networks, or take them as they are, and score every converter on the test patients."""
    jobs = [Job(plan, kind, name) for name in steps(plan, kind)]
    spread(scored, jobs, plan.settings.workers)
    done = {str(job.which): scored(job) for job in jobs}
    rows = {name: one["scores"] for name, one in done.items()}
    curves = {name: one["curves"] for name, one in done.items()}
    pictures = {name: np.array(one["picture"], np.float32) for name, one in done.items()}
    seen = views(plan, kind)
    truth = [_true_scores(view) for view in seen]
    curves[TRUTH] = _curves([v.target for v in seen], seen)
    _keep_pictures(plan, kind, {**pictures, TRUTH: _picture(seen[0], seen[0].target)})
    return {
        "patients": len(seen),
        "spacing_mm": [round(float(s), 3) for s in seen[0].spacing],
        **_compared(rows, truth),
        "curves": curves,
        "networks": {name: record_of(arm) for name, arm in long_arms(plan, kind).items()},
        "main": main_name(plan, kind),
        "uncertainty": trust(plan, kind),
    }  # fmt: skip


def _compared(rows: Mapping[str, Sequence[Mapping[str, Any]]], truth: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The scores of every converter and of the true kVCT, over patients.

    Args:
        rows: scores by converter, patient by patient.
        truth: those of the true kVCT.
    """
    return {
        "rows": {name: {m: value_of(column(found, m)) for m in MEANINGS} for name, found in rows.items()},
        "truth": {metric: value_of(column(truth, metric)) for metric in (*ALONE, *DIGS)},
        "share_of_truth": {name: _shares(found, truth) for name, found in rows.items()},
        "gain": {
            name: {m: paired(column(found, m), column(rows[INPUT], m)) for m in ERRORS}
            for name, found in rows.items() if name != INPUT
        },
    }  # fmt: skip


def run_cbct(plan: Plan) -> dict[str, Any]:
    """The same for cone-beam CT."""
    return run(plan, "cbct")


def trust(plan: Plan, kind: str) -> dict[str, Any]:
    """How often the error lies within the uncertainty of the converter whose safety is looked at, over patients; kept.

    Empty where it is not calibrated.
    """
    one = watched(plan, kind)
    if not one.model.facts.get("uncertainty_calibration"):
        return {}

    def work() -> dict[str, Any]:
        """Every test patient."""
        return {"scores": [doubt_scores(view.pair, one.model, plan.context) for view in views(plan, kind)]}

    rows = plan.once(f"quality/{kind}-doubt.json", plan.key(kind, doubt=one.key), work)["scores"]
    return {"converter": one.name, "rows": {name: value_of(column(rows, name)) for name in DOUBT}}


def _key(plan: Plan, kind: str) -> list[str]:
    """What the converters follow from."""
    arms: list[Arm] = list(long_arms(plan, kind).values())
    return [*(arm.key for arm in arms), plan.settings.cbct_bundle if kind == "cbct" else plan.settings.bundle]


def scored(job: Job) -> dict[str, Any]:
    """One converter on every test patient, kept."""
    plan, kind, name = job.plan, job.kind, str(job.which)

    def work() -> dict[str, Any]:
        """Convert and score every test patient; the first one is shown."""
        seen = views(plan, kind)
        made = [steps(plan, kind)[name](view.pair.source) for view in seen]
        logger.info("%s: scoring %s", kind, name)
        scores = [pair_scores(view.pair, volume) for view, volume in zip(seen, made, strict=True)]
        arrays = [straight(volume) for volume in made]
        picture = np.rint(_picture(seen[0], arrays[0])).astype(int).tolist()
        return {"scores": scores, "curves": _curves(arrays, seen), "picture": picture}

    return plan.once(f"quality/{kind}-{name}.json", plan.key(kind, converters=_key(plan, kind), name=name), work)


def _true_scores(view: View) -> dict[str, float]:
    """What the true kVCT has by itself, and its difference in gradient from the input: that of a perfect converter."""
    change = dig(view.source, view.target, view.tissues.body, view.spacing)
    alone = alone_scores(view.target, view.target, view.tissues, view.spacing)
    return {**alone, "dig_a": change.dig_a, "dig_b": change.dig_b}


def _curves(arrays: Sequence[np.ndarray], seen: Sequence[View]) -> dict[str, Any]:
    """Mean noise power and edge MTF over the patients that show them; frequencies are those of the first."""
    found: dict[str, Any] = {name: {"frequency": [], "value": []} for name in SHOWN}
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in SHOWN}
    for array, view in zip(arrays, seen, strict=True):
        pixel = (float(view.spacing[0]), float(view.spacing[1]))
        noise, mtf = noise_power(array, view.target, pixel), edge_mtf(array, view.target, pixel)
        if noise.squares:
            parts["noise"].append((noise.frequency, noise.power))
        if mtf.edges:
            parts["mtf"].append((mtf.frequency, mtf.transfer))
    for name, curves in parts.items():
        if curves:
            x = curves[0][0]
            keep = x <= NYQUIST / min(seen[0].spacing[:2]) if name == "mtf" else np.ones(len(x), bool)
            y = np.mean([np.interp(x, a, b) for a, b in curves], axis=0)
            found[name] = {"frequency": x[keep].round(4).tolist(), "value": y[keep].round(4).tolist()}
    return found


def _shares(rows: Sequence[Mapping[str, Any]], truth: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """CNR as a share of the true kVCT's, patient by patient."""
    return {name: value_of(column(rows, name) / column(truth, name)) for name in PUBLISHED}


# --- pictures ---------------------------------------------------------------------------------------------------------


def _picture(view: View, array: np.ndarray) -> np.ndarray:
    """The middle slice of a patient, cut to the body, front at the top and the patient's right on the left."""
    body = view.tissues.body
    areas = body.sum((1, 2))
    held = np.flatnonzero(areas)
    k = int(held[len(held) // 2]) if held.size else len(body) // 2
    lines = [np.flatnonzero(body.any(axes)) for axes in ((0, 2), (0, 1))]
    rows, columns = (slice(max(int(f[0]) - 4, 0), int(f[-1]) + 5) if f.size else slice(None) for f in lines)
    return array[k, rows, columns][::-1, ::-1]


def _keep_pictures(plan: Plan, kind: str, pictures: Mapping[str, np.ndarray]) -> None:
    path = plan.folder / PICTURE.format(kind)
    with atomic_file(path, overwrite=True) as aside, aside.open("wb") as stream:
        np.savez_compressed(stream, **pictures)  # type: ignore[arg-type]
