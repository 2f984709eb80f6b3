#!/usr/bin/env python3
"""The simulated pelvis beside a real one: ``python Testing/tools/check_pelvis_ct.py [COUNT]``.

Renders COUNT phantoms (seed 9) on the grid of the real CT, and writes ``docs/results/pelvis_phantom.json``, the page
``docs/results/pelvis_phantom.md`` and the picture in ``docs/results/images``. HU are medians of a structure's inner
voxels; its grain is the standard deviation after subtraction of a 3 × 3 mean, over the median of the phantoms.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from read_pelvis_ct import PelvisCT, read
from scipy import ndimage

from manabi.context import Context
from manabi.phantoms.base import Case, case_rng
from manabi.phantoms.pelvis import PelvisPhantom
from manabi.phantoms.pelvis_parameters import PelvisParameters
from manabi.phantoms.pelvis_tissues import BLADDER, BONE, FAT, FEMUR, MUSCLE, PROSTATE, RECTUM, VESICLES

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
SEED, DRAWN = 9, 2000
LEVELS_MM = (-27.0, -15.0, -3.0, 12.0, 30.0, 54.0)
"""Heights above the hip joints that are shown."""
REAL: dict[str, int] = {"bladder": BLADDER, "prostate": PROSTATE, "rectum": RECTUM, "hips": BONE, "femora": FEMUR,
                        "gluteus": MUSCLE, "iliopsoas": MUSCLE}  # fmt: skip
PARTS = {PROSTATE: "prostate_ml", VESICLES: "vesicles_ml", BLADDER: "bladder_ml", RECTUM: "rectum_ml"}
PUBLISHED_ML = {"prostate_ml": (25, 70), "vesicles_ml": (5, 15), "bladder_ml": (70, 350), "rectum_ml": (40, 120)}


def check(count: int) -> tuple[dict[str, Any], PelvisCT, list[tuple[PelvisParameters, Case]]]:
    """Numbers of the real CT and of phantoms, and what they were taken from."""
    real, phantom = read(), PelvisPhantom()
    spacing = float(real.ct.spacing_mm[0])
    grid = {"pixel_mm": spacing, "matrix": 128, "slice_mm": spacing, "length_mm": 168.0, "top_mm": 75.0}
    cases = []
    for index in range(count):
        drawn = phantom.sample_parameters(case_rng(SEED, index), **grid)
        cases.append((drawn, phantom.render(drawn, Context(device="cpu"))))
    return {
        "seed": SEED, "phantoms": count, "drawn": DRAWN, "real": _measured(real.ct.array, real.masks, spacing),
        "simulated": _simulated(cases, spacing), "volumes": _volumes(phantom), "rendered": _rendered(cases),
    }, real, cases  # fmt: skip


def _measured(ct: np.ndarray, masks: dict[str, np.ndarray], spacing: float) -> dict[str, dict[str, float]]:
    ct = np.asarray(ct, float)
    out = {}
    for name, mask in masks.items():
        if name in REAL:
            out[name] = {**_values(ct, mask), "ml": round(int(mask.sum()) * spacing**3 / 1000.0, 1)}
    out["fat"] = _values(ct, (ct > -180) & (ct < -50))
    return out


def _values(ct: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    inside = ndimage.binary_erosion(mask, np.ones((1, 3, 3)))
    inside = inside if inside.sum() > 50 else mask
    fine = ct - ndimage.uniform_filter(ct, (1, 3, 3))
    deep = ndimage.binary_erosion(inside, np.ones((1, 3, 3)))
    spread = fine[deep] if deep.sum() > 50 else fine[inside]
    grain = 1.4826 * float(np.median(np.abs(spread))) if len(spread) else 0.0
    return {"hu": round(float(np.median(ct[inside])), 1), "grain": round(grain, 1)}


def _simulated(cases: list[tuple[PelvisParameters, Case]], spacing: float) -> dict[str, dict[str, list[float]]]:
    """5, 50 and 95 % over the phantoms."""
    rows: dict[str, dict[str, list[float]]] = {}
    names = {"prostate": PROSTATE, "vesicles": VESICLES, "bladder": BLADDER, "rectum": RECTUM, "hips": BONE,
             "femora": FEMUR, "muscle": MUSCLE, "fat": FAT}  # fmt: skip
    for _, case in cases:
        label, ct = case.labelmaps["anatomy"].volume.array, np.asarray(case.volumes["ct"].array, float)
        for name, value in names.items():
            found = _values(ct, label == value)
            for key, number in found.items():
                rows.setdefault(name, {}).setdefault(key, []).append(number)
    return {name: {key: _range(v) for key, v in row.items()} for name, row in rows.items()}


def _range(values: Any) -> list[float]:
    return [round(float(v), 1) for v in np.percentile(values, (5, 50, 95))]


def _volumes(phantom: PelvisPhantom) -> dict[str, Any]:
    """Drawn volumes in mL: 5, 50, 95 %, least and most."""
    drawn = [phantom.sample_parameters(case_rng(SEED, index)).organs for index in range(DRAWN)]
    out = {}
    for name in PARTS.values():
        values = np.array([getattr(organs, name) for organs in drawn])
        out[name] = [*_range(values), round(float(values.min()), 1), round(float(values.max()), 1)]
    return out


def _rendered(cases: list[tuple[PelvisParameters, Case]]) -> dict[str, list[float]]:
    """Volume of the label over the volume wanted, 5, 50 and 95 %, of organs wholly in the image."""
    out: dict[str, list[float]] = {}
    for drawn, case in cases:
        label = case.labelmaps["organs"].volume
        ml = float(np.prod(label.spacing_mm)) / 1000.0
        for value, name in PARTS.items():
            where = label.array == value
            if where.any() and not (where[0].any() or where[-1].any()):
                out.setdefault(name, []).append(int(where.sum()) * ml / getattr(drawn.organs, name))
    return {name: [round(float(v), 3) for v in np.percentile(values, (5, 50, 95))] for name, values in out.items()}


def picture(real: PelvisCT, cases: list[tuple[PelvisParameters, Case]], path: Path) -> None:
    """The real CT above phantoms, at the same heights, in one window."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [(real.ct, float(real.hips_mm[2]), "real CT")]
    rows += [(case.volumes["ct"], drawn.setup.place_mm[2], f"simulated {n + 1}")
             for n, (drawn, case) in enumerate(cases[:4])]  # fmt: skip
    figure, axes = plt.subplots(len(rows), len(LEVELS_MM), figsize=(2.5 * len(LEVELS_MM), 1.85 * len(rows)))
    for row, (volume, hips, title) in zip(axes, rows, strict=True):
        for axis, level in zip(row, LEVELS_MM, strict=True):
            k = round((hips + level - volume.ijk_to_ras[2, 3]) / volume.spacing_mm[2])
            axis.imshow(volume.array[min(max(k, 0), volume.shape[0] - 1)], cmap="gray", vmin=-160, vmax=240)
            axis.axis("off")
            if volume is real.ct:
                axis.set_title(f"{level:+.0f} mm", fontsize=8)
        row[0].text(2, 10, title, color="white", fontsize=7)
    figure.subplots_adjust(0.0, 0.0, 1.0, 0.96, 0.01, 0.01)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def page(found: dict[str, Any]) -> str:
    """The page in Markdown."""
    real, simulated = found["real"], found["simulated"]
    lines = [
        "# The simulated pelvis beside a real one",
        "",
        "Written by `Testing/tools/check_pelvis_ct.py`. The real CT is one patient, 3 mm, with metal in the left hip,",
        "and comes with TotalSegmentator (its example CT, Apache-2.0); its labels are that program's, not a",
        "person's, the prostate is cut by the lowest slice; the rectum is the lower part of the colon's label",
        "behind the joints. One patient tells if the phantom is far off, not how patients vary.",
        "",
        "![A real pelvic CT and phantoms](images/pelvis_phantom.png)",
        "",
        f"Real CT above, phantoms of seed {found['seed']} below, at heights above the hip joints; level 40, width 400.",
        "",
        f"| structure | real, HU | {found['phantoms']} phantoms, HU (5 to 95 %) | real, grain | phantoms, grain |",
        "|---|---|---|---|---|",
    ]
    for name, other in (("bladder", "bladder"), ("prostate", "prostate"), ("rectum", "rectum"), (None, "vesicles"),
                        ("hips", "hips"), ("femora", "femora"), ("iliopsoas", "muscle"), ("gluteus", "muscle"),
                        ("fat", "fat")):  # fmt: skip
        many = simulated[other]
        hu, grain = (
            (f"{real[name][key]:.0f}".replace("-", "−") for key in ("hu", "grain")) if name else ("no label", "")
        )
        lines.append(f"| {name or other} | {hu} | {_text(many['hu'])} | {grain} | {_text(many['grain'])} |")
    lines += ["", "Grain is the spread of the finest detail: 1.4826 times the median deviation from "
              "the mean of 3 × 3 voxels.", "", "## Volumes", "",
              f"| organ | aim, 5 to 95 % (mL) | {found['drawn']} drawn, 5 / 50 / 95 % | least to most | rendered over "
              f"drawn, {found['phantoms']} phantoms |", "|---|---|---|---|---|"]  # fmt: skip
    for name, (low, high) in PUBLISHED_ML.items():
        v, r = found["volumes"][name], found["rendered"].get(name)
        share = f"{r[1]:.2f} ({r[0]:.2f} to {r[2]:.2f})" if r else "none whole"
        drawn = f"{v[0]:.0f} / {v[1]:.0f} / {v[2]:.0f} | {v[3]:.0f} to {v[4]:.0f}"
        lines.append(f"| {name[:-3]} | {low} to {high} | {drawn} | {share} |")
    lines += ["", f"The bladder of the real CT has {real['bladder']['ml']:.0f} mL by its automatic label.", ""]
    return "\n".join(lines)


def _text(values: list[float]) -> str:
    low, middle, high = (round(v) for v in values)
    return f"{middle} ({low} to {high})".replace("-", "−")


if __name__ == "__main__":
    numbers, patient, rendered = check(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
    (RESULTS / "images").mkdir(exist_ok=True)
    picture(patient, rendered, RESULTS / "images" / "pelvis_phantom.png")
    (RESULTS / "pelvis_phantom.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "pelvis_phantom.md").write_text(page(numbers), encoding="utf-8")
