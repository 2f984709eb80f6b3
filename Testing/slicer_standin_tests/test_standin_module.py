"""A module runs on the stand-in from loading to saving, as it would in Slicer."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_module import CODE

VALUES = {"factor": 4.5, "count": 7, "label": "brain", "check": True, "device": "cpu", "place": Path("b/c"),
          "numbers": [1, 2, 3], "maybe": 5, "pair": (4, 0.5)}  # fmt: skip


@pytest.fixture
def opened(slicer_app, tiny):
    return slicer_app.open_widget("Tiny", tiny())


@pytest.fixture
def volume(slicer_app):
    import slicer

    return slicer.util.addVolumeFromArray(np.ones((2, 3, 4), "float32"), name="Brain")


def test_the_panel_is_opened_in_a_parent_as_slicer_does(slicer_app, opened):
    import slicer

    module = slicer.modules.tiny
    assert (module.title, module.categories, module.name) == ("Tiny", ("Examples",), "Tiny")
    assert opened.parent.isEntered
    assert slicer.util.getModuleWidget("Tiny") is opened
    assert slicer.modules.tiny.widgetRepresentation().self() is opened


def test_widgets_show_the_parameters(opened):
    ui = opened.ui
    assert (ui.factorSlider.value, ui.countBox.value, ui.labelEdit.text) == (2.0, 3, "hello")
    assert [ui.modeBox.itemText(i) for i in range(2)] == ["fast", "exact"]
    assert (ui.deviceBox.currentText, ui.placeEdit.currentPath, ui.checkBox.checked) == ("auto", "a", False)
    assert (ui.factorSlider.minimum, ui.factorSlider.maximum, ui.factorSlider.decimals) == (0.0, 10.0, 3)


def test_widgets_change_parameters(opened, volume):
    ui, parameters = opened.ui, opened.parameters
    ui.factorSlider.value = 5.5
    ui.countBox.value = 9
    ui.modeBox.currentIndex = 1
    ui.labelEdit.text = "liver"
    ui.checkBox.click()
    ui.placeEdit.currentPath = "x/y"
    ui.inputSelector.setCurrentNode(volume)
    assert (parameters.factor, parameters.count, parameters.mode.name) == (5.5, 9, "exact")
    assert (parameters.label, parameters.check, parameters.place) == ("liver", True, Path("x/y"))
    assert parameters.inputVolume is volume


def test_parameters_change_widgets(opened, volume):
    for name in ("factor", "count", "label", "check", "device", "place"):
        setattr(opened.parameters, name, VALUES[name])
    opened.parameters.inputVolume = volume
    ui = opened.ui
    assert (ui.factorSlider.value, ui.countBox.value, ui.labelEdit.text) == (4.5, 7, "brain")
    assert (ui.checkBox.checked, ui.deviceBox.currentText, ui.placeEdit.currentPath) == (True, "cpu", "b/c")
    assert ui.inputSelector.currentNode() is volume


def test_a_binding_ends_with_its_tag(opened):
    opened.parameters.disconnectGui(opened.tag)
    opened.ui.countBox.value = 50
    opened.parameters.label = "other"
    assert (opened.parameters.count, opened.ui.labelEdit.text) == (3, "hello")


def test_apply_runs_the_logic(opened, volume):
    import slicer

    opened.parameters.inputVolume = volume
    opened.ui.applyButton.click()
    assert slicer.util.arrayFromVolume(volume).max() == 2.0


@pytest.mark.parametrize("suffix", [".mrb", ""], ids=["bundle", "folder"])
def test_a_loaded_scene_restores_the_parameters(slicer_app, opened, volume, tmp_path, suffix):
    import slicer
    import Tiny

    for name, value in VALUES.items():
        setattr(opened.parameters, name, value)
    opened.parameters.inputVolume = volume
    path = tmp_path / f"scene{suffix}"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(path if suffix else next(path.glob("*.mrml"))))
    found = Tiny.TinyParameters(opened.logic.getParameterNode())
    assert {name: getattr(found, name) for name in VALUES} == VALUES
    assert found.inputVolume.GetName() == "Brain"
    assert slicer.util.arrayFromVolume(found.inputVolume).shape == (2, 3, 4)


def test_closing_the_scene_tells_the_panel(slicer_app, opened, volume):
    import slicer

    opened.parameters.inputVolume = volume
    slicer.mrmlScene.Clear()
    assert opened.closed == ["start", "end"]
    assert opened.ui.inputSelector.currentNode() is None


def test_values_out_of_bounds_are_refused(opened):
    with pytest.raises(ValueError, match="not within"):
        opened.parameters.factor = 11.0
    with pytest.raises(TypeError):
        opened.parameters.label = 3
    assert opened.parameters.factor == 2.0


def test_the_module_test_runs_as_under_testing(slicer_app, tiny):
    import slicer

    enabled = "        self.assertTrue(slicer.app.testingEnabled())\n"
    slicer_app.run_module_test("Tiny", tiny(code=CODE + enabled))
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1
    assert not slicer.app.testingEnabled()


def test_a_failing_module_test_is_told(slicer_app, tiny):
    with pytest.raises(Exception, match="!= 4.0"):
        slicer_app.run_module_test("Tiny", tiny(code=CODE.replace(".max(), 3.0", ".max(), 4.0")))


def test_the_panel_can_be_drawn_and_its_text_is_readable(slicer_app, opened, tmp_path):
    from PySide6 import QtGui

    light = slicer_app.grab(opened, tmp_path / "light.png", width=400)
    dark = slicer_app.grab(opened, tmp_path / "dark.png", width=400, dark=True)
    first, second = (QtGui.QImage(str(path)) for path in (light, dark))
    assert first.width() == second.width() == 400
    assert QtGui.QColor(first.pixel(2, 2)).lightness() > 200 > 100 > QtGui.QColor(second.pixel(2, 2)).lightness()
    metrics = QtGui.QFontMetrics(opened.ui.applyButton.font)
    assert metrics.horizontalAdvance("i") < metrics.horizontalAdvance("W")  # boxes are all of one width


def test_the_modules_of_a_test_are_gone_in_the_next(slicer_app):
    import slicer

    assert not hasattr(slicer.modules, "tiny")
    assert "Tiny" not in sys.modules
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode") == 0
