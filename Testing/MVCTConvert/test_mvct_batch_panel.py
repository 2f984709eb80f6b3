"""A folder of patients from MVCTConvert's panel: its choices are taken, verdict and numbers stand in the table."""

from __future__ import annotations

import numpy as np
import pytest
from mvct_panel_user import MVCTUser, neck, straight

from manabi.io import read_volume, write_volume
from manabi.volume import Volume


@pytest.fixture
def patients(tmp_path):
    """A folder of two CTs."""
    folder = tmp_path / "patients"
    folder.mkdir()
    for seed, name in enumerate("ab"):
        write_volume(Volume(neck(seed), straight(), "CT", "HU"), folder / f"{name}.nii.gz")
    return folder


def test_a_folder_runs_with_the_panel_s_choices_and_its_table_has_the_verdicts(
    slicer_app, monkeypatch, patients, tmp_path
):
    user = MVCTUser(slicer_app, monkeypatch, "doubtful-mvct")
    user.ui.strengthSlider.value = 0
    user.ui.residualCheckBox.checked = False
    ui = user.widget.batchPanel.ui
    ui.batchInputEdit.currentPath, ui.batchOutputEdit.currentPath = str(patients), str(tmp_path / "out")
    ui.batchButton.click()
    user.app.wait_until(lambda: not user.widget.batchPanel.running, 120)
    heads = [ui.batchTable.horizontalHeaderItem(c).text() for c in range(ui.batchTable.columnCount)]
    rows = [[ui.batchTable.item(r, c).text() for c in range(len(heads))] for r in range(ui.batchTable.rowCount)]
    assert heads[:3] == ["case", "status", "verdict"]
    assert [row[1:3] for row in rows] == [["done", "flag"]] * 2, ui.batchStatusLabel.text
    (first, second) = sorted((tmp_path / "out").glob("*/converted.nii.gz"))
    np.testing.assert_array_equal(read_volume(first).array, neck(0))
    np.testing.assert_array_equal(read_volume(second).array, neck(1))
    assert not list((tmp_path / "out").glob("*/residual.nii.gz"))
