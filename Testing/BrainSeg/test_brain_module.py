"""BrainSeg as Slicer loads it: self-test, sample data, import cost, console use."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from brain_panel_user import BrainUser, Painter, add_mr
from slicer_standin.import_cost import HEAVY, MOST, import_cost

SHIPPED = Path(__file__).resolve().parents[2] / "manabi" / "bundles" / "brain-default"
needs_model = pytest.mark.skipif(not SHIPPED.is_dir(), reason="the model is not there")


@needs_model
def test_the_module_s_own_test_passes(slicer_app):
    slicer_app.run_module_test("BrainSeg")
    assert not slicer_app.problems()


def test_importing_the_module_costs_little_and_loads_nothing_heavy():
    costs, loaded = import_cost("BrainSeg", already="import csv, numpy")
    assert min(costs) < MOST, costs
    assert {"BrainSeg", "BrainSegLib", "manabi", "manabi_slicer"} <= loaded
    assert not loaded & HEAVY


def test_the_sample_patient_is_listed_when_slicer_has_started(slicer_app):
    import slicer

    slicer_app.module("BrainSeg")
    slicer_app.start_up()
    listed = [one for one in slicer.modules.sampleDataSources["Manabi"] if one.sampleName == "BrainMR"]
    assert len(listed) == 1
    assert Path(listed[0].thumbnailFileName).is_file()


@needs_model
def test_three_clicks_from_an_empty_slicer_segment_the_sample(slicer_app):
    widget = slicer_app.open_widget("BrainSeg")
    widget.ui.sampleButton.click()
    widget.runPanel.ui.applyButton.click()
    slicer_app.wait_until(lambda: widget.run is None, 250)
    truth = importlib.import_module("BrainSeg").sampleVolumes()
    table = widget.logic.resultOf(widget.ui.inputSelector.currentNode()).tables["volumes"]
    found = {row[:2]: row[2] for row in table.rows}
    assert abs(found["cerebrum", "both"] / truth["cerebrum"] - 1) < 0.2


def test_structures_and_propagation_from_the_console_without_the_panel(slicer_app, monkeypatch):
    user = BrainUser(slicer_app, monkeypatch)
    logic, image = type(user.widget.logic)(), add_mr()
    outputs = logic.process(image, structures=["ventricles", "cerebrum"], device="cpu", minConfidence=0.95)
    assert logic.resultOf(image).tables["volumes"].column("structure") == ["cerebrum"] * 3 + ["ventricles"]
    assert any(text.startswith("Check the ventricles") for text in logic.warningsOf(outputs))
    painter = Painter(image)
    slices = painter.paint(1)
    before = painter.all()
    logic.propagate(image, painter.node, ["tumour"], axis="coronal")
    after = painter.read("tumour")
    np.testing.assert_array_equal(after[:, slices], before["tumour"][:, slices])
    assert after.sum() > 2 * before["tumour"].sum()
    assert logic.undo()
    np.testing.assert_array_equal(painter.read("tumour"), before["tumour"])


def test_a_preview_is_accepted_or_discarded_from_the_console_and_only_where_there_is_one(slicer_app, monkeypatch):
    from manabi.errors import InvalidInputError

    user = BrainUser(slicer_app, monkeypatch)
    logic, image = user.widget.logic, add_mr()
    painter = Painter(image)
    painter.paint(0)
    before = int(painter.read("tumour").sum())
    for act in (logic.acceptPropagation, logic.discardPropagation):
        with pytest.raises(InvalidInputError, match="no preview"):
            act(image)
    with pytest.raises(InvalidInputError, match="Press Apply first"):
        logic.copyToCorrect(image)
    logic.propagate(image, painter.node, ["tumour"], preview=True)
    assert logic.acceptPropagation(image) is painter.node
    assert int(painter.read("tumour").sum()) > before


def test_a_preview_is_still_accepted_after_its_scene_was_saved_and_loaded(slicer_app, monkeypatch, tmp_path):
    import slicer

    user = BrainUser(slicer_app, monkeypatch)
    logic, image = user.widget.logic, add_mr()
    painter = Painter(image)
    painter.surround()
    painter.paint(0)
    before = painter.all()
    logic.propagate(image, painter.node, ["tumour"], preview=True)
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    image = slicer.util.getNode("Head")
    painter.node = logic.acceptPropagation(image)
    names = {s.GetName(): i for i in painter.node.GetSegmentation().GetSegmentIDs()
             if (s := painter.node.GetSegmentation().GetSegment(i))}  # fmt: skip
    after = slicer.util.arrayFromSegmentBinaryLabelmap(painter.node, names["Tumour"], image)
    painted = np.flatnonzero(before["tumour"].any(axis=(1, 2)))
    np.testing.assert_array_equal(after[painted], before["tumour"][painted])
    assert after.sum() > 2 * before["tumour"].sum()
    edema = slicer.util.arrayFromSegmentBinaryLabelmap(painter.node, names["Edema"], image)
    np.testing.assert_array_equal(edema, before["edema"])


def test_surfaces_and_unknown_segments_are_refused(slicer_app, monkeypatch):
    from manabi.errors import InvalidInputError

    user = BrainUser(slicer_app, monkeypatch)
    logic, image = user.widget.logic, add_mr()
    painter = Painter(image)
    with pytest.raises(InvalidInputError, match="at least one"):
        logic.propagate(image, painter.node, [])
    with pytest.raises(InvalidInputError, match="no segment nose"):
        logic.propagate(image, painter.node, ["nose"])
    painter.node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    with pytest.raises(InvalidInputError, match="surfaces"):
        logic.propagate(image, painter.node, ["tumour"])


def test_maps_and_synthetic_angiography_from_the_console(slicer_app, monkeypatch):
    user = BrainUser(slicer_app, monkeypatch)
    logic, image = user.widget.logic, add_mr()
    assert "tables/layers" in logic.featureMaps(image)
    maps = logic.featureMaps(image, "encoder 1", structure="vessels", count=3)
    assert [key for key in maps if key.startswith("volumes/")] == [f"volumes/feature_0{n}" for n in (1, 2, 3)]
    assert {"volumes/synthetic_mra", "volumes/unknowable"} <= set(logic.synthesize(image))
