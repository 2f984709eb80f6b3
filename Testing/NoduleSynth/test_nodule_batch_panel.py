"""A folder of films from NoduleSynth's panel, and pairs for training made beside Slicer."""

from __future__ import annotations

import sys

import pytest
from nodule_panel_films import write_dicom, write_png
from nodule_panel_user import NoduleUser


@pytest.fixture
def user(slicer_app, monkeypatch):
    return NoduleUser(slicer_app, monkeypatch)


def test_a_folder_of_films_runs_with_the_panel_s_choices(user, tmp_path):
    folder = tmp_path / "films"
    (folder / "a").mkdir(parents=True)
    write_dicom(folder / "a" / "1.dcm", monochrome1=True)
    write_png(folder / "b.png")
    user.open("synthesise")  # whichever part is open, a batch looks for nodules
    user.slide(0)
    ui = user.widget.batchPanel.ui
    ui.batchInputEdit.currentPath, ui.batchOutputEdit.currentPath = str(folder), str(tmp_path / "out")
    ui.batchButton.click()
    user.app.wait_until(lambda: not user.widget.batchPanel.running, 120)
    heads = [ui.batchTable.horizontalHeaderItem(c).text() for c in range(ui.batchTable.columnCount)]
    rows = [[ui.batchTable.item(r, c).text() for c in range(len(heads))] for r in range(ui.batchTable.rowCount)]
    assert heads[:5] == ["case", "status", "marks", "image_score", "false_positives"], ui.batchStatusLabel.text
    assert [row[1:5] for row in rows] == [["done", "1", "0.95", "0.05"]] * 2, ui.batchStatusLabel.text
    assert len(list((tmp_path / "out").rglob("heat_map.nii.gz"))) == 2


# --- pairs ------------------------------------------------------------------------------------------------------------


def started(monkeypatch, code):
    """Start this code in the place of ``manabi``; returns the commands that were asked for."""
    from manabi_slicer import process

    asked = []

    def fake(command, environment):
        asked.append(command[3:])
        return process.QtProcess([sys.executable, "-c", code], environment)

    monkeypatch.setattr(process, "start", fake)
    return asked


def test_pairs_are_asked_for_with_count_folder_and_films(user, tmp_path, monkeypatch):
    asked = started(monkeypatch, "pass")
    assert not user.ui.pairsButton.enabled
    assert "Choose a folder" in user.ui.pairsButton.toolTip
    user.ui.pairsCountSpinBox.value = 12
    user.ui.pairsOutputEdit.currentPath = str(tmp_path / "pairs")
    user.ui.pairsFilmsEdit.currentPath = str(tmp_path / "nowhere")
    assert "is not there" in user.ui.pairsButton.toolTip
    user.ui.pairsFilmsEdit.currentPath = str(tmp_path)
    user.ui.pairsButton.click()
    user.app.wait_until(lambda: not user.widget.sections.pairs.running, 30)
    assert asked == [["phantom", "nodule-pairs", "--count", "12", "--output", str(tmp_path / "pairs"), "--films",
                      str(tmp_path)]]  # fmt: skip
    assert user.ui.pairsStatusLabel.text.startswith("Done in")
    user.ui.pairsFilmsEdit.currentPath = ""
    user.choices.flow = "ours"
    user.ui.pairsButton.click()
    user.app.wait_until(lambda: not user.widget.sections.pairs.running, 30)
    assert "--films" not in asked[1]
    assert asked[1][-2:] == ["--flow", "ours"]


def test_pairs_can_be_cancelled_and_what_went_wrong_is_said(user, tmp_path, monkeypatch):
    started(monkeypatch, "import time; time.sleep(60)")
    user.ui.pairsOutputEdit.currentPath = str(tmp_path / "pairs")
    user.ui.pairsButton.click()
    assert user.ui.pairsButton.text == "Cancel"
    user.ui.pairsButton.click()
    user.app.wait_until(lambda: not user.widget.sections.pairs.running, 20)
    assert "Cancelled after" in user.ui.pairsStatusLabel.text
    assert user.ui.pairsButton.text == "Make pairs"
    started(monkeypatch, "raise SystemExit('the disk is full')")
    user.ui.pairsButton.click()
    user.app.wait_until(lambda: not user.widget.sections.pairs.running, 20)
    assert "the disk is full" in user.ui.pairsStatusLabel.text


@pytest.mark.slow
def test_pairs_are_written_by_the_command_itself(user, tmp_path):
    pytest.importorskip("manabi.cli.nodule_pairs")
    user.ui.pairsCountSpinBox.value = 2
    user.ui.pairsOutputEdit.currentPath = str(tmp_path / "pairs")
    user.ui.pairsButton.click()
    user.app.wait_until(lambda: not user.widget.sections.pairs.running, 250)
    assert user.ui.pairsStatusLabel.text.startswith("Done in"), user.ui.pairsStatusLabel.text
    from manabi.nodule.pairs_store import PairStore

    assert len(PairStore(tmp_path / "pairs")) == 2
