"""Slicer's DICOM data base as the source of a batch: indexed beside Slicer, chosen by rules, run; what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from slicer_standin.dicom_database import DicomDatabase
from slices_panel_user import SlicesUser, as_scanned

from manabi.errors import InvalidInputError
from manabi.io.dicom import write_dicom
from manabi.volume import Volume
from manabi_slicer import archive


@pytest.fixture
def user(slicer_app, monkeypatch):
    return SlicesUser(slicer_app, monkeypatch)


@pytest.fixture
def database(tmp_path, monkeypatch):
    """Slicer's data base with two CTs of the chest, as scanners write them, in places of their own."""
    import pydicom

    rng = np.random.default_rng(2)
    files = []
    for name in ("one", "two"):
        array = rng.integers(-1000, 300, (40, 34, 36)).astype(np.int16)
        written = write_dicom(
            Volume(array, as_scanned(), "CT", "HU"), tmp_path / name, None, series_description="Chest", provenance={}
        )
        for path in written:
            header = pydicom.dcmread(path)
            header.ImageType, header.PatientID, header.PatientName = ["ORIGINAL", "PRIMARY", "AXIAL"], name, "Doe^Jane"
            header.Manufacturer = header.ManufacturerModelName = "Scanner"
            header.save_as(path)
        files += written
    made = DicomDatabase(files)
    monkeypatch.setattr(slicer, "dicomDatabase", made, raising=False)
    return made


def test_the_data_base_runs_without_a_folder_and_goes_on(user, database, tmp_path):
    ui = user.widget.batchPanel.ui
    ui.batchCollapsibleButton.collapsed = False
    ui.batchOutputEdit.currentPath = str(tmp_path / "out")
    assert not ui.batchButton.enabled
    ui.batchDatabaseCheckBox.checked = True
    assert ui.batchButton.enabled
    assert not ui.batchInputEdit.enabled
    for told in ("2 cases, 0 of them done before", "2 cases, 2 of them done before"):
        ui.batchButton.click()
        user.app.wait_until(lambda: not user.widget.batchPanel.running, 120)
        assert "2 of 2 cases are done" in ui.batchStatusLabel.text
        log = (tmp_path / "out" / "batch.log").read_text(encoding="utf-8")
        assert told in log
        assert "Doe" not in log
    assert archive.index_file().is_file()


def test_an_empty_or_closed_data_base_is_refused_with_the_remedy(user, tmp_path, monkeypatch):
    ui = user.widget.batchPanel.ui
    ui.batchOutputEdit.currentPath = str(tmp_path / "out")
    ui.batchDatabaseCheckBox.checked = True
    monkeypatch.setattr(slicer, "dicomDatabase", DicomDatabase([]), raising=False)
    ui.batchButton.click()
    assert "Import the images in the DICOM module first" in ui.batchStatusLabel.text
    monkeypatch.setattr(slicer, "dicomDatabase", None, raising=False)
    with pytest.raises(InvalidInputError, match="not open"):
        archive.database_files()
