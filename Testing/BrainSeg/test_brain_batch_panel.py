"""A folder of patients from BrainSeg's panel: the structures with the panel's choices, volumes in the table."""

from __future__ import annotations

import numpy as np
import pytest
from brain_panel_user import BrainUser, straight

from manabi.io import write_volume
from manabi.volume import Volume


@pytest.fixture
def patients(tmp_path):
    """A folder of two MRs."""
    folder = tmp_path / "patients"
    folder.mkdir()
    for name in ("a", "b"):
        array = np.random.default_rng(ord(name)).integers(0, 900, (30, 36, 34)).astype(np.int16)
        write_volume(Volume(array, straight(), "MR"), folder / f"{name}.nii.gz")
    return folder


def test_a_folder_runs_and_its_table_has_volumes(slicer_app, monkeypatch, patients, tmp_path):
    user = BrainUser(slicer_app, monkeypatch)
    for name in ("cerebellum", "brainstem", "vessels"):
        getattr(user.ui, f"{name}CheckBox").checked = False
    ui = user.widget.batchPanel.ui
    ui.batchInputEdit.currentPath, ui.batchOutputEdit.currentPath = str(patients), str(tmp_path / "out")
    ui.batchButton.click()
    user.app.wait_until(lambda: not user.widget.batchPanel.running, 120)
    heads = [ui.batchTable.horizontalHeaderItem(c).text() for c in range(ui.batchTable.columnCount)]
    assert heads == [
        "case",
        "status",
        "cerebrum_ml",
        "cerebrum_left_ml",
        "cerebrum_right_ml",
        "ventricles_ml",
        "quality",
        "error",
    ]
    rows = [[ui.batchTable.item(r, c).text() for c in range(len(heads))] for r in range(ui.batchTable.rowCount)]
    assert [row[1] for row in rows] == ["done", "done"], ui.batchStatusLabel.text
    assert all(abs(float(row[2]) - float(row[3]) - float(row[4])) < 0.1 < float(row[3]) for row in rows)
    assert "2 of 2 cases are done" in ui.batchStatusLabel.text
