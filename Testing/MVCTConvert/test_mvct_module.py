"""MVCTConvert as Slicer loads it: self-test, sample data, import cost, whole runs with the method itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mvct_panel_user import MVCTUser, add_ct
from slicer_standin.import_cost import HEAVY, MOST, import_cost

ROOT = Path(__file__).resolve().parents[2]


def test_the_module_s_own_test_passes(slicer_app):
    slicer_app.run_module_test("MVCTConvert")
    assert not slicer_app.problems()


def test_importing_the_module_costs_little_and_loads_nothing_heavy():
    costs, loaded = import_cost("MVCTConvert", tries=4)
    assert min(costs) < MOST, costs
    assert {"MVCTConvert", "MVCTConvertLib", "manabi", "manabi_slicer"} <= loaded
    assert not loaded & HEAVY


def test_the_sample_patient_is_listed_and_loads_with_a_click(slicer_app):
    import slicer

    slicer_app.module("MVCTConvert")
    slicer_app.start_up()
    sources = slicer.modules.sampleDataSources["Manabi"]  # of all modules that were loaded in this session
    listed = [source for source in sources if source.sampleName == "HeadNeckMVCT"]
    assert len(listed) == 1
    assert Path(listed[0].thumbnailFileName).is_file()
    slicer_app.click_sample("HeadNeckMVCT")
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert {node.GetName() for node in nodes} == {
        "Head and neck MVCT (simulated)", "Head and neck planning CT (simulated)",
    }  # fmt: skip
    assert {node.GetAttribute("Manabi.modality") for node in nodes} == {"CT"}


def test_three_clicks_from_an_empty_slicer_bring_the_sample_nearer_to_its_planning_ct(slicer_app):
    import slicer

    widget = slicer_app.open_widget("MVCTConvert")
    if not widget.logic.hasModel():
        pytest.skip("no model for MVCTConvert is in this tree")
    widget.ui.sampleButton.click()
    widget.runPanel.ui.applyButton.click()
    slicer_app.wait_until(lambda: widget.run is None, 280)
    assert widget.runPanel.ui.errorFrame.isHidden(), widget.runPanel.ui.errorLabel.text
    outputs = widget.logic.outputsOf(widget.ui.inputSelector.currentNode())
    nodes = (
        widget.ui.inputSelector.currentNode(),
        outputs["volumes/converted"],
        widget.ui.referenceSelector.currentNode(),
    )
    before, after, truth = (slicer.util.arrayFromVolume(node).astype(float) for node in nodes)
    body, soft = truth > -300, (truth > -300) & (truth < 300)
    assert np.abs(after - truth)[body].mean() < 0.75 * np.abs(before - truth)[body].mean()
    assert np.abs(after - truth)[soft].mean() < np.abs(before - truth)[soft].mean()
    assert not widget.ui.verdictFrame.isHidden()
    assert "simulated" in widget.runPanel.ui.warningLabel.text
    assert widget.ui.huTable.rowCount >= 3


def test_a_whole_run_from_the_panel_leaves_torch_out_of_slicer():
    code = f"""
import json, sys
sys.path[:0] = [{str(ROOT / "Testing")!r}, {str(ROOT / "Testing" / "MVCTConvert")!r}]
import slicer_standin
slicer_standin.boot()
from mvct_panel_user import add_ct
widget = slicer_standin.open_widget("MVCTConvert")
widget.ui.inputSelector.setCurrentNode(add_ct())
widget.ui.converterComboBox.currentIndex = 2
widget.runPanel.ui.applyButton.click()
slicer_standin.wait_until(lambda: widget.run is None, 120)
loaded = sorted({{"torch", "monai"}} & set(sys.modules))
made = sorted(widget.logic.outputsOf(widget.ui.inputSelector.currentNode()))
said = widget.runPanel.ui.errorLabel.text
print(json.dumps([made, loaded, [str(one) for one in slicer_standin.problems()], said]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    made, loaded, problems, said = json.loads(done.stdout.splitlines()[-1])
    assert "volumes/converted" in made, said
    assert (loaded, problems) == ([], [])


def test_the_console_gives_the_tables_that_the_panel_reads(slicer_app):
    """The method itself, with a converter that needs no model: what the panel shows is there under its names."""
    slicer_app.module("MVCTConvert")
    from MVCTConvertLib import numbers

    from MVCTConvert import MVCTConvertLogic

    outputs = MVCTConvertLogic().process(add_ct(), converter="polynomial", device="cpu")
    assert numbers.verdict(outputs).level in ("ok", "flag", "refuse")
    text = numbers.quality_text(outputs)
    assert "Noise in soft tissue (HU): " in text
    assert "Water-equivalent thickness" in text
    warnings = MVCTConvertLogic().warningsOf(outputs)
    untold = numbers.untold(warnings, outputs)
    told = numbers.verdict(outputs).reasons
    assert set(untold) | set(told) >= {text for text in warnings if not text.startswith("Do not use")}
    assert not set(untold) & set(told)


def test_process_can_be_stopped_and_leaves_nothing(slicer_app, monkeypatch):
    import slicer

    class StopError(Exception):
        pass

    def progress(fraction, text):
        if fraction > 0.3:
            raise StopError

    user = MVCTUser(slicer_app, monkeypatch)
    scan = add_ct()
    count = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(StopError):
        type(user.widget.logic)().process(scan, onProgress=progress)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_an_image_of_another_kind_is_refused(slicer_app, monkeypatch):
    user = MVCTUser(slicer_app, monkeypatch)
    scan = add_ct()
    scan.SetAttribute("Manabi.modality", "MR")
    user.choose(scan)
    user.run_ui.applyButton.click()
    user.app.wait_until(lambda: user.run_ui.applyButton.text == "Apply", 60)
    assert "this is MR" in user.boxes()["error"]
    assert user.outputs() == {}
