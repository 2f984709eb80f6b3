"""SliceMarker as Slicer loads it: self-test, sample data, import cost, console use."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from slicer_standin.import_cost import HEAVY, MOST, import_cost
from slices_panel_user import SlicesUser, add_ct

ROOT = Path(__file__).resolve().parents[2]


def test_the_module_s_own_test_passes(slicer_app):
    slicer_app.run_module_test("SliceMarker")
    assert not slicer_app.problems()


def test_importing_the_module_costs_little_and_loads_nothing_heavy():
    costs, loaded = import_cost("SliceMarker", already="import csv, numpy")
    assert min(costs) < MOST, costs
    assert {"SliceMarker", "SliceMarkerLib", "manabi", "manabi_slicer"} <= loaded
    assert not loaded & HEAVY


def test_the_sample_patient_is_listed_when_slicer_has_started(slicer_app):
    import slicer

    slicer_app.module("SliceMarker")
    slicer_app.start_up()
    sources = slicer.modules.sampleDataSources["Manabi"]  # of all modules that were loaded in this session
    listed = [source for source in sources if source.sampleName == "ChestCT"]
    assert len(listed) == 1
    assert Path(listed[0].thumbnailFileName).is_file()


def test_a_click_on_the_sample_loads_the_simulated_chest(slicer_app):
    import slicer

    slicer_app.module("SliceMarker")
    slicer_app.start_up()
    slicer_app.click_sample("ChestCT")
    (node,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert (node.GetName(), node.GetAttribute("Manabi.modality")) == ("Chest CT (simulated)", "CT")


def test_three_clicks_from_an_empty_slicer_mark_the_sample(slicer_app):
    widget = slicer_app.open_widget("SliceMarker")
    widget.ui.sampleButton.click()
    widget.runPanel.ui.applyButton.click()
    slicer_app.wait_until(lambda: widget.run is None, 250)
    truth = importlib.import_module("SliceMarker").sampleTruth()
    numbers = widget.logic.resultOf(widget.ui.inputSelector.currentNode()).measurements
    for marker in ("apex", "carina", "diaphragm"):
        assert abs(numbers[f"{marker}_mm"] - truth[f"{marker}_mm"]) <= 4.0
    assert widget.ui.slicesList.count == 3


def test_markers_are_corrected_from_the_console_without_the_panel(slicer_app, monkeypatch):
    user = SlicesUser(slicer_app, monkeypatch)
    logic = type(user.widget.logic)()
    ct = add_ct()
    outputs = logic.process(ct, representative="5", device="cpu")
    x, y, z = logic.markerPosition(outputs["landmarks/apex"], "apex")
    logic.moveMarker(ct, "apex", (x, y, z - 11.0))
    table = logic.resultOf(ct).tables["markers"]
    assert table.column("slice")[0] == 33
    assert table.column("status")[0] == "corrected by hand"
    assert logic.undo()
    assert logic.resultOf(ct).tables["markers"].column("slice")[0] == 35


def test_correcting_without_a_result_or_an_unknown_marker_is_refused(slicer_app, monkeypatch):
    from manabi.errors import InvalidInputError

    user = SlicesUser(slicer_app, monkeypatch)
    ct = add_ct()
    with pytest.raises(InvalidInputError, match="Press Apply first"):
        user.widget.logic.moveMarker(ct, "apex", (0, 0, 0))
    user.widget.logic.process(ct)
    with pytest.raises(InvalidInputError, match="apex, carina, diaphragm"):
        user.widget.logic.moveMarker(ct, "heart", (0, 0, 0))


def test_a_marker_that_was_not_in_the_image_can_be_set_and_taken_back(slicer_app, monkeypatch):
    user = SlicesUser(slicer_app, monkeypatch, "cut-slices")
    logic, ct = user.widget.logic, add_ct()
    logic.process(ct)
    outputs = logic.moveMarker(ct, "apex", (0.0, 0.0, 70.0), keepColumn=True)
    assert "landmarks/apex" in outputs
    result = logic.resultOf(ct)
    assert result.tables["representative"].column("marker") == ["Lung apex", "Carina", "Above the diaphragm"]
    stale = [text for text in result.warnings if text.startswith(("Not in the image", "Representative slices lie"))]
    assert not stale
    assert result.measurements["apex_to_diaphragm_mm"] == 140.0
    outputs = logic.putMarkerBack(ct, "apex")
    assert "landmarks/apex" not in outputs
    result = logic.resultOf(ct)
    assert result.tables["markers"].rows[0][:3] == ("Lung apex", "above the image", None)
    assert any(text.startswith("Not in the image") for text in result.warnings)
    assert "corrections" not in result.provenance


def test_a_volume_of_slices_that_the_user_removed_comes_back_with_the_next_correction(slicer_app, monkeypatch):
    import slicer

    user = SlicesUser(slicer_app, monkeypatch)
    logic, ct = user.widget.logic, add_ct()
    outputs = logic.process(ct)
    x, y, z = logic.markerPosition(outputs["landmarks/apex"], "apex")
    slicer.mrmlScene.RemoveNode(outputs["volumes/representative"])
    outputs = logic.moveMarker(ct, "apex", (x + 8.0, y, z))  # within its slice: nothing is chosen anew
    assert outputs["volumes/representative"] is not None
    kept = slicer.util.arrayFromVolume(outputs["volumes/representative"])
    assert sum(bool((plane > kept.min()).any()) for plane in kept) == 3
