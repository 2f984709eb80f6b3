#!/usr/bin/env python3
"""Draw the pictures of README and the documentation anew: ``python Testing/tools/make_images.py`` (``make images``).

The pictures in ``docs/images`` that :data:`PICTURES` names are the figures that ``manabi demo METHOD`` writes, with the
models that ship.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from manabi.cli.outcome import main as manabi

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
PICTURES = {
    "spect": ("before_after.png", "spect_before_after.png"),
    "slices": ("markers.png", "slices_markers.png"),
    "brain": ("structures.png", "brain_structures.png"),
    "radiomics": ("risk.png", "radiomics_risk.png"),
    "mvct": ("conversion.png", "mvct_conversion.png"),
    "nodule": ("marks.png", "nodule_marks.png"),
}
"""Per method: the demo's figure, and its name in the documentation."""


def make(folder: Path = IMAGES) -> int:
    """Run each method's demo and keep its figure; returns the exit code of the first demo that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    for method, (figure, name) in PICTURES.items():
        with tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch) / "demo"
            code = manabi(["demo", method, "--output", str(output)])
            if code != 0:
                return code
            shutil.copyfile(output / "result" / "figures" / figure, folder / name)
    return 0


if __name__ == "__main__":
    sys.exit(make())
