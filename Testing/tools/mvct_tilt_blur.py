#!/usr/bin/env python3
"""Does the gate tell a lost tilt and a blur? ``Testing/tools/mvct_tilt_blur.py SCANS``, after the experiment.

SCANS is the folder ``cache`` that ``python -m Training experiment mvct --size quick`` leaves: simulated megavoltage
scans of phantoms. Real CTs with a couch (``MANABI_TEST_DATA``: a head and neck, a chest, a pelvis) are added for the
tilt. Each is looked at as it is, sheared by 25 to 35 degrees, and blurred by 3 to 4 mm
(:mod:`manabi.mvct.corrupt`, seed: its number). Limits are the gate's with the shipped model; nothing is converted.
Writes ``docs/results/mvct_tilt_blur.json`` and prints it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from manabi.bundle import Bundle
from manabi.io import read_volume
from manabi.mvct.corrupt import corrupted
from manabi.mvct.gate import GateLimits
from manabi.mvct.level import couch_slope
from manabi.mvct.noise_level import edge_width_mm
from manabi.mvct.ood import Reference
from manabi.mvct.tissue_map import body_mask
from manabi.volume import Volume
from Training.experiments.mvct_numbers import rate

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MANABI_TEST_DATA", ROOT.parent / "shared" / "data"))
REAL = ("ct_headneck/head_neck_ex1*.nii.gz", "chest_ct/LUNG1-001_CT*.nii.gz", "pelvis_ct/example_ct.nii.gz")
RESULTS = ROOT / "docs" / "results" / "mvct_tilt_blur.json"
EDGE = "edge_mm"


def measured(volume: Volume) -> tuple[float, float]:
    """Slope of the couch (nan where there is none) and width of the skin's edge, mm."""
    hu, spacing = np.asarray(volume.array), np.asarray(volume.spacing_mm, float)
    body = body_mask(hu, spacing)
    slope = couch_slope(hu, spacing, body)
    return float("nan") if slope is None else slope, edge_width_mm(hu, spacing, body)


def _range(values: np.ndarray) -> list[float]:
    """Number, least, median and greatest of those that could be measured."""
    known = values[np.isfinite(values)]
    return [len(known), *(round(float(n), 4) for n in (known.min(), np.median(known), known.max()))]


def _flagged(values: np.ndarray, limit: float) -> list[float]:
    """Share above a limit with Wilson's interval; what could not be measured is not above."""
    found = int((np.nan_to_num(values) >= limit).sum())
    return [found, len(values), *(round(float(n), 3) for n in rate(found, len(values))[1:3])]


def check(folder: Path) -> dict[str, Any]:
    """Slopes and widths of the scans as they are and corrupted, and how many the gate would flag for them."""
    paths = sorted(folder.glob("ct-*/source.nii"))
    real = [next(iter(DATA.glob(pattern))) for pattern in REAL]
    rows: dict[str, list[tuple[float, float]]] = {"good": [], "sheared": [], "blur": []}
    for number, path in enumerate([*paths, *real]):
        scan = read_volume(path).reoriented()
        scan = scan.like(np.asarray(scan.array, np.float32))
        for name, found in rows.items():
            found.append(measured(scan if name == "good" else corrupted(scan, name, seed=number)))
    columns = {name: np.array(found) for name, found in rows.items()}
    limits = GateLimits()
    facts = Bundle(ROOT / "manabi" / "bundles" / "mvct-default").facts["ood"]
    reference = Reference.of(facts)
    wide = [reference.mean[EDGE] + z * reference.sd[EDGE] for z in (limits.blur_z, limits.flag_z)]
    slopes = {name: np.abs(columns[name][:, 0]) for name in ("good", "sheared")}
    edges = {name: columns[name][: len(paths), 1] for name in ("good", "blur")}
    return {
        "simulated": len(paths), "real": len(real), "slope_limit": limits.flag_slope,
        "edge_limit_mm": round(wide[0], 2), "edge_limit_before_mm": round(wide[1], 2),
        "slope_number_min_median_max": {name: _range(v) for name, v in slopes.items()},
        "slope_flagged_of_low_high": {name: _flagged(v, limits.flag_slope) for name, v in slopes.items()},
        "edge_mm_number_min_median_max": {name: _range(v) for name, v in edges.items()},
        "edge_flagged_of_low_high": {name: _flagged(v, wide[0]) for name, v in edges.items()},
        "edge_flagged_before": {name: _flagged(v, wide[1]) for name, v in edges.items()},
    }  # fmt: skip


if __name__ == "__main__":
    told = json.dumps(check(Path(sys.argv[1])), indent=1)
    RESULTS.write_text(told + "\n", encoding="utf-8")
    sys.stdout.write(told + "\n")
