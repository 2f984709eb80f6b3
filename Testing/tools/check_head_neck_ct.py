#!/usr/bin/env python3
"""Convert simulated megavoltage CTs of a real head and neck: ``Testing/tools/check_head_neck_ct.py [SCANNERS]``.

The planning CT ``ct_headneck/head_neck_ex1*`` of the test data (``MANABI_TEST_DATA``) was not trained on. Simulated
scanners scan it again, and what ``mvct-default`` makes of each scan is held against the planning CT itself. One
patient: the range over scanners is given, no interval. Writes ``docs/results/mvct_real.json`` for ``mvct_page.py``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

from manabi.context import Context
from manabi.io import read_volume
from manabi.mvct.method import MVCTConvert
from manabi.phantoms.ct.convert import simulate
from manabi.phantoms.ct.scanner import sample_scanner
from manabi.result import Table

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MANABI_TEST_DATA", ROOT.parent / "shared" / "data")) / "ct_headneck"
RESULTS = ROOT / "docs" / "results" / "mvct_real.json"
SEED = 4000


def check(scanners: int) -> dict[str, object]:
    """Every row of the method's table ``quality``, for each scanner."""
    (path,) = DATA.glob("head_neck_ex1*.nii.gz")
    planning = read_volume(path)
    rows: dict[str, list[list[float | None]]] = {}
    verdicts = []
    for seed in range(SEED, SEED + scanners):
        scan = simulate(planning, seed=seed, scanner=sample_scanner("mvct", np.random.default_rng(seed)))
        settings = {"uncertainty": "none", "residual": False, "density": False}
        result = MVCTConvert().run({"ct": scan, "reference": planning}, settings, Context(device="cpu"))
        verdicts.append(str(result.measurements["verdict"]))
        for name, values in _quality(result.tables["quality"]).items():
            rows.setdefault(name, []).append(values)
    return {"scanners": scanners, "seed": SEED, "verdicts": verdicts, "quality": rows}


def _quality(table: Table) -> dict[str, list[float | None]]:
    """Input, converted image and planning CT by measure and unit."""
    images = ("input", "converted", "reference")
    found = {}
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        found[f"{cells['measure']} ({cells['unit']})" if cells["unit"] else str(cells["measure"])] = [
            None if cells[image] is None else float(str(cells[image])) for image in images
        ]
    return found


if __name__ == "__main__":
    found = check(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
