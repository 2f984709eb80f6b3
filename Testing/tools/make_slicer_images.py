#!/usr/bin/env python3
"""Draw the pictures of the modules in Slicer: ``Testing/tools/make_slicer_images.py [FOLDER]`` (``make images``).

Per module its panel after a run on its sample, in a light style, and its result in the views; ``--dark`` also draws the
panel in a dark style, beside. They are made on the stand-in for Slicer: real MRML, real slice logics and real Qt
widgets, without Slicer's own frame. The models and the samples are those that come with Manabi.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
PANEL_WIDTH, VIEWS = 460, (1500, 900)
SAMPLES = {
    "SPECTDenoise": "spect",
    "SliceMarker": "slices",
    "BrainSeg": "brain",
    "RadiomicsSurvival": "radiomics",
    "MVCTConvert": "mvct",
    "NoduleSynth": "nodule",
}
"""Per module with a panel: how its pictures' names begin."""
LIMIT_S = 600


def make(folder: Path, dark: bool) -> list[Path]:
    """Draw all modules; returns the pictures."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    sys.path.append(str(ROOT / "Testing"))
    folder.mkdir(parents=True, exist_ok=True)
    return [path for module, name in SAMPLES.items() for path in _draw(module, folder, name, dark)]


def _draw(module: str, folder: Path, name: str, dark: bool) -> list[Path]:
    import slicer_standin
    from slicer_standin import views

    slicer = slicer_standin.boot()
    slicer_standin.reset()
    manager = views.install(slicer.app, VIEWS)
    widget = slicer_standin.open_widget(module)
    _run(slicer_standin, widget)
    drawn = [manager.render(folder / f"slicer_{name}_result.png")]
    for is_dark in (False, True)[: 2 if dark else 1]:
        path = folder / f"slicer_{name}_panel{'_dark' if is_dark else ''}.png"
        drawn.append(slicer_standin.grab(widget, path, width=PANEL_WIDTH, dark=is_dark))
    if slicer_standin.problems():
        raise SystemExit("\n".join(slicer_standin.problems()))
    manager.close()
    slicer_standin.reset()
    return [Path(path) for path in drawn if path is not None]


def _run(standin: Any, widget: Any) -> None:
    """As in the tutorial: Sample, Apply."""
    widget.ui.sampleButton.click()
    widget.runPanel.ui.applyButton.click()
    standin.wait_until(lambda: widget.run is None, LIMIT_S)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=IMAGES)
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    make(given.folder, given.dark)
