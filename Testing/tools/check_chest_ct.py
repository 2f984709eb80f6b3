#!/usr/bin/env python3
"""SliceMarker on the real chest CTs that were read by eye: ``python Testing/tools/check_chest_ct.py``.

Prints the Markdown tables of ``docs/results/slices_real.md``: distance of each marker from the reading, in mm, with the
model that ships, with and without what tracking of airway and lungs found, and of that tracking alone. The scans are
looked for below ``MANABI_TEST_DATA``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
READINGS = ROOT / "Testing" / "manabi" / "slices" / "readings.json"
WAYS: dict[str, dict[str, Any]] = {
    "as it ships": {},
    "network alone": {"rules_check": False},
    "rules alone": {"finder": "rules"},
}


def rows() -> list[list[str]]:
    """A row per scan and way."""
    from manabi import registry
    from manabi.context import Context
    from manabi.io import read_volume
    from manabi.slices.reading import MARKERS

    base = Path(os.environ.get("MANABI_TEST_DATA", ROOT.parent / "shared" / "data"))
    method, out = registry.method("slices"), []
    for scan in json.loads(READINGS.read_text(encoding="utf-8"))["scans"]:
        volume = read_volume(base / scan["file"])
        for way, parameters in WAYS.items():
            found = method.run(volume, parameters, Context(device="cpu")).measurements
            cells = [_cell(found, marker, scan["markers"][marker]["z_mm"], way) for marker in MARKERS]
            out.append([scan["name"], way, *cells, str(found["quality"])])
    return out


def _cell(found: dict[str, Any], marker: str, read_mm: float, way: str) -> str:
    level = found[f"{marker}_mm"]
    if level is None:
        return str(found[f"{marker}_status"])
    sure = "" if way == "rules alone" else f" ({100 * found[f'{marker}_confidence']:.0f} %)"
    return f"{level - read_mm:+.1f}{sure}".replace("-", "−")


def main() -> int:
    """Print the table."""
    header = ["scan", "way", "apex", "carina", "diaphragm", "quality"]
    for line in (header, ["---"] * len(header), *rows()):
        sys.stdout.write("| " + " | ".join(line) + " |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
