"""Views of the stand-in beside Qt: sizes come when events are processed, and both draw in one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from slicer_standin import views

pytestmark = pytest.mark.skipif(bool(views.why_not()), reason=views.why_not() or "EGL works")

SCRIPT = """
import json
from PySide6.QtWidgets import QApplication, QLabel
app = QApplication([])
label = QLabel("drawn by Qt")
label.show()
from views_stage import opened_stage
with opened_stage() as manager:
    node = manager.sliceWidget("Red").mrmlSliceNode()
    before = node.GetDimensions()[:2]
    app.processEvents()
    after = node.GetDimensions()[:2]
    shape = manager.slice_pixels("Red").shape
    print(json.dumps([before, after, shape, label.grab().toImage().isNull()]))
"""


def test_a_layout_gets_its_sizes_when_events_are_processed():
    here = Path(__file__).resolve().parent
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    environment["PYTHONPATH"] = os.pathsep.join([str(here), str(here.parent), str(here.parents[1])])
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    before, after, shape, nothing_by_qt = json.loads(done.stdout)
    assert before == [256, 256]
    assert after != before
    assert shape == [after[1], after[0], 3]
    assert not nothing_by_qt
