"""A list of patients from RadiomicsSurvival's panel: features with the panel's settings, numbers in the table."""

from __future__ import annotations

import numpy as np
import pytest
from radiomics_panel_user import GTV, SHAPE, RadiomicsUser, matrix

from manabi.io import write_volume
from manabi.volume import Volume


@pytest.fixture
def patients(tmp_path):
    """Two patients in folders of their own, image and mask in each."""
    for name in ("a", "b"):
        folder = tmp_path / "patients" / name
        folder.mkdir(parents=True)
        array = np.random.default_rng(ord(name)).integers(-100, 100, SHAPE).astype(np.int16)
        write_volume(Volume(array, matrix(), "CT"), folder / "image.nii.gz")
        write_volume(Volume(GTV * (1 if name == "a" else 3), matrix(), "SEG"), folder / "mask.nii.gz")
    return tmp_path / "patients"


def test_a_folder_runs_with_the_panel_s_settings_and_nothing_of_the_chosen_patient(
    slicer_app, monkeypatch, patients, tmp_path
):
    user = RadiomicsUser(slicer_app, monkeypatch)
    user.patient()
    user.check("Tumour")
    user.ui.binCountSpinBox.value = 16
    ui = user.widget.batchPanel.ui
    ui.batchInputEdit.currentPath, ui.batchOutputEdit.currentPath = str(patients), str(tmp_path / "out")
    ui.batchButton.click()
    user.app.wait_until(lambda: not user.widget.batchPanel.running, 120)
    heads = [ui.batchTable.horizontalHeaderItem(c).text() for c in range(ui.batchTable.columnCount)]
    assert heads == ["case", "status", "segments", "volume_ml", "error"], ui.batchStatusLabel.text
    rows = [[ui.batchTable.item(r, c).text() for c in range(len(heads))] for r in range(ui.batchTable.rowCount)]
    assert [row[1] for row in rows] == ["done", "done"], ui.batchStatusLabel.text
    assert [float(row[3]) for row in rows] == pytest.approx([GTV.sum() * 0.012] * 2, rel=1e-4)
    assert "2 of 2 cases are done" in ui.batchStatusLabel.text
