"""A folder of patients from the panel: runs, shows the table, goes on, is cancelled, says what went wrong."""

from __future__ import annotations

import numpy as np
import psutil
import pytest
from slices_panel_user import SlicesUser, as_scanned

from manabi.io import read_volume, write_volume
from manabi.volume import Volume
from manabi_slicer.request import Request


@pytest.fixture
def user(slicer_app, monkeypatch):
    return SlicesUser(slicer_app, monkeypatch)


@pytest.fixture
def patients(tmp_path):
    """A folder of two CTs."""
    folder = tmp_path / "patients"
    folder.mkdir()
    rng = np.random.default_rng(2)
    for name in ("a", "b"):
        array = rng.integers(-1000, 300, (40, 34, 36)).astype(np.int16)
        write_volume(Volume(array, as_scanned(), "CT", "HU"), folder / f"{name}.nii.gz")
    return folder


def choose(user, source, output):
    ui = user.widget.batchPanel.ui
    ui.batchCollapsibleButton.collapsed = False
    ui.batchInputEdit.currentPath = str(source)
    ui.batchOutputEdit.currentPath = str(output)
    return ui


def cells(table):
    heads = [table.horizontalHeaderItem(c).text() for c in range(table.columnCount)]
    return [{h: table.item(r, c).text() for c, h in enumerate(heads)} for r in range(table.rowCount)]


def test_start_waits_for_both_folders_and_says_so(user, patients, tmp_path):
    ui = choose(user, "", tmp_path / "out")
    assert not ui.batchButton.enabled
    assert "holds the patients" in ui.batchButton.toolTip
    ui = choose(user, patients, patients)
    assert not ui.batchButton.enabled
    assert "folder of their own" in ui.batchButton.toolTip
    ui = choose(user, patients, tmp_path / "out")
    assert ui.batchButton.enabled


def test_a_folder_runs_with_the_panel_s_choices_shows_its_table_and_goes_on(user, patients, tmp_path):
    ui = choose(user, patients, tmp_path / "out")
    user.ui.slicesComboBox.currentIndex = 1
    ui.batchButton.click()
    assert ui.batchButton.text == "Cancel"
    assert not ui.batchProgressBar.isHidden()
    user.app.wait_until(lambda: not user.widget.batchPanel.running, 120)
    rows = cells(ui.batchTable)
    assert [row["status"] for row in rows] == ["done", "done"], ui.batchStatusLabel.text
    assert {row["carina_slice"] for row in rows} == {"23"}
    assert "2 of 2 cases are done" in ui.batchStatusLabel.text
    assert "2 done" in ui.batchLogText.toPlainText()
    assert ui.batchProgressBar.isHidden()
    assert ui.batchButton.text == "Start"
    kept = read_volume(next((tmp_path / "out").glob("*/representative.nii.gz"))).array
    assert sum((one != kept.min()).any() for one in kept) == 5
    ui.batchButton.click()
    user.app.wait_until(lambda: not user.widget.batchPanel.running, 120)
    assert "2 of them done before" in ui.batchLogText.toPlainText()


def test_cancel_ends_every_process_and_what_is_done_is_kept(slicer_app, monkeypatch, patients, tmp_path):
    user = SlicesUser(slicer_app, monkeypatch, "slow-slices")
    ui = choose(user, patients, tmp_path / "out")
    ui.batchButton.click()
    pid = user.widget.batchPanel._command.pid
    user.app.wait_until(lambda: (tmp_path / "out" / "cases.csv").is_file(), 60)
    family = psutil.Process(pid).children(recursive=True)
    ui.batchButton.click()
    user.app.wait_until(lambda: not user.widget.batchPanel.running, 5)
    assert "Cancelled" in ui.batchStatusLabel.text
    psutil.wait_procs(family, timeout=5)
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert ui.batchButton.text == "Start"
    assert ui.batchButton.enabled


def test_an_output_that_is_taken_is_refused_with_the_reason(user, patients, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine", encoding="utf-8")
    ui = choose(user, patients, taken)
    ui.batchButton.click()
    user.app.wait_until(lambda: not user.widget.batchPanel.running, 60)
    assert "It did not work" in ui.batchStatusLabel.text
    assert "no batch's" in ui.batchStatusLabel.text
    assert (taken / "thesis.txt").read_text(encoding="utf-8") == "mine"


def test_the_choices_become_arguments_of_the_command(slicer_app, tmp_path):
    from manabi_slicer.panels.batch_panel import arguments_of

    request = Request({}, {"count": 7, "uids": True, "age": None}, bundle="mine", device="cpu", seed=3)
    assert arguments_of("slices", tmp_path, tmp_path / "out", request) == [
        "batch", "slices", str(tmp_path), "--output", str(tmp_path / "out"), "--device", "cpu", "--precision", "auto",
        "--seed", "3", "--bundle", "mine", "--set", "count=7", "--set", "uids=true",
    ]  # fmt: skip
