"""Qt, CTK and MRML widgets behave as in Slicer."""

from __future__ import annotations

import functools

import numpy as np
import pytest


@pytest.fixture
def scene(slicer_app):
    import slicer

    return slicer.mrmlScene


@pytest.fixture
def selector(scene):
    import slicer

    made = slicer.qMRMLNodeComboBox()
    made.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    made.noneEnabled = True
    made.setMRMLScene(scene)
    return made


def add(scene, name="one", cls="vtkMRMLScalarVolumeNode"):
    return scene.AddNewNodeByClass(cls, name)


# --- PythonQt -----------------------------------------------------------------------------------------


def test_a_slot_gets_as_many_values_as_it_takes(slicer_app):
    import qt

    got = []
    button = qt.QPushButton()
    button.connect("clicked(bool)", lambda: got.append("none"))
    button.connect("clicked(bool)", lambda checked: got.append(checked))
    button.connect("clicked(bool)", lambda *args: got.append(args))
    button.connect("clicked(bool)", lambda checked=True, *, option=5: got.append((checked, option)))
    button.connect("clicked(bool)", functools.partial(lambda *args: got.append(args), "part"))
    button.click()
    assert got == ["none", False, (False,), (False, 5), ("part", False)]


def test_a_signal_is_emitted_by_calling_it(slicer_app):
    import qt

    got = []
    slider = qt.QSlider()
    slider.connect("valueChanged(int)", got.append)
    slider.valueChanged(7)
    slider.value = 3
    assert got == [7, 3]
    with slicer_app.recorder.expecting("not emitted with 2 values"):
        slider.valueChanged(1, 2)


def test_a_connection_is_undone(slicer_app):
    import qt

    got = []
    edit = qt.QLineEdit()
    edit.connect("textChanged(QString)", got.append)
    edit.textChanged.connect(got.append)
    edit.text = "a"
    assert edit.disconnect("textChanged(QString)", got.append)
    edit.text = "b"
    assert got == ["a", "a"]
    assert not edit.disconnect("textChanged(QString)", got.append)


def test_lists_are_tuples(slicer_app):
    import qt
    import slicer

    box, selector = qt.QGroupBox(), slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLTextNode"]
    assert (box.children(), selector.nodeTypes) == ((), ("vtkMRMLTextNode",))


def test_objects_that_qt_makes_have_the_same_habits(slicer_app):
    import qt

    got = []
    menu = qt.QMenu("m")
    action = menu.addAction("a")
    action.connect("triggered(bool)", lambda: got.append(1))
    action.trigger()
    assert (action.text, got) == ("a", [1])
    with pytest.raises(AttributeError):
        action.caption = "x"


def test_a_dynamic_property_is_an_attribute(slicer_app):
    import qt

    label = qt.QLabel()
    label.setProperty("mine", 3)
    label.mine = 4
    assert (label.mine, label.property("mine"), label.name) == (4, 4, "")


def test_settings_are_empty_and_private(slicer_app, tmp_path):
    import qt
    import slicer

    assert qt.QSettings().allKeys() == []
    qt.QSettings().setValue("Manabi/x", "1")
    assert slicer.app.settings().value("Manabi/x") == "1"
    assert slicer.util.settingsValue("Manabi/x", 0, converter=int) == 1
    assert str(tmp_path) in qt.QSettings().fileName()


def test_dialogs_get_the_prepared_answers_in_order(slicer_app):
    import qt
    import slicer

    slicer_app.answer(True, qt.QMessageBox.No, "/a/b.zip", "", False)
    assert slicer.util.confirmOkCancelDisplay("sure?")
    assert qt.QMessageBox.question(None, "t", "really?") == qt.QMessageBox.No
    assert qt.QFileDialog.getOpenFileName(None, "file") == "/a/b.zip"
    assert qt.QFileDialog.getExistingDirectory(None, "folder") == ""
    assert not slicer.util.confirmYesNoDisplay("and now?")
    assert [one.text for one in slicer_app.asked] == ["sure?", "really?", "file", "folder", "and now?"]


def test_an_error_display_opens_only_with_a_main_window(slicer_app):
    import slicer

    slicer.util.errorDisplay("bad")
    assert slicer.util.mainWindow() is None
    slicer_app.open_main_window()
    slicer_app.answer(True)
    slicer.util.errorDisplay("bad")
    assert [one.text for one in slicer_app.asked] == ["bad"]


def test_under_testing_no_dialog_opens(slicer_app):
    import slicer

    slicer.app.set_testing(True)
    slicer.util.infoDisplay("x")
    assert slicer.util.confirmOkCancelDisplay("sure?") is False  # True == QMessageBox.Ok, as Slicer compares
    assert slicer_app.asked == []


def test_a_process_tells_what_it_wrote(slicer_app):
    import sys

    import qt

    got = []
    process = qt.QProcess()
    process.connect("readyReadStandardOutput()", lambda: got.append(process.readAllStandardOutput().data()))
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: got.append((code, status)))
    process.start(sys.executable, ["-c", "print('hi'); raise SystemExit(3)"])
    slicer_app.wait_until(lambda: len(got) == 2)
    assert got == [b"hi\n", (3, qt.QProcess.NormalExit)]
    assert process.state() == qt.QProcess.NotRunning


# --- CTK ----------------------------------------------------------------------------------------------


def test_what_is_hidden_on_purpose_while_collapsed_stays_hidden(slicer_app):
    import ctk
    import qt

    button = ctk.ctkCollapsibleButton()
    layout = qt.QFormLayout(button)
    first, second = qt.QLabel("one"), qt.QLabel("two")
    layout.addRow(first)
    layout.addRow(second)
    second.visible = False
    button.show()
    button.collapsed = True
    first.visible, second.visible = False, True
    assert first.isHidden() and second.isHidden()
    button.collapsed = False
    assert first.isHidden() and not second.isHidden()


def test_a_collapsible_button_hides_what_it_holds(slicer_app):
    import ctk
    import qt

    button = ctk.ctkCollapsibleButton()
    qt.QVBoxLayout(button)
    label, hidden, got = qt.QLabel("x"), qt.QLabel("y"), []
    for part in (label, hidden):
        button.layout().addWidget(part)
    hidden.visible = False
    button.connect("contentsCollapsed(bool)", got.append)
    button.show()
    assert (label.visible, hidden.visible) == (True, False)
    button.collapsed = True
    assert (label.visible, hidden.visible) == (False, False)
    button.click()
    assert (button.collapsed, label.visible, hidden.visible, got) == (False, True, False, [True, False])


def test_a_slider_holds_its_bounds_and_tells_changes_once(slicer_app):
    import ctk

    slider, got = ctk.ctkSliderWidget(), []
    slider.connect("valueChanged(double)", got.append)
    slider.minimum, slider.maximum = 0, 1
    slider.value = 0.5
    slider.value = 7
    slider.value = 7
    assert (slider.value, got) == (1.0, [0.5, 1.0])
    with pytest.raises(AttributeError):
        slider.setMinimum(2)  # no slot: not reachable in PythonQt


# --- MRML ---------------------------------------------------------------------------------------------


def test_a_selector_follows_the_scene(scene, selector):
    got = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", got.append)
    first, second = add(scene, "one"), add(scene, "two")
    add(scene, "text", "vtkMRMLTextNode")
    first.SetName("renamed")
    assert selector.findChildren(slicer_qt().QComboBox)[0].itemText(1) == "renamed"
    assert (selector.nodeCount(), selector.currentNode()) == (2, None)
    selector.setCurrentNode(second)
    assert (selector.currentNodeID, got) == (second.GetID(), [second])
    scene.RemoveNode(second)
    assert (selector.nodeCount(), selector.currentNode()) == (1, first)  # the one above, as a combo box does
    scene.Clear(False)
    assert (selector.nodeCount(), selector.currentNode()) == (0, None)


def test_a_selector_of_a_derived_class_and_of_hidden_nodes(scene, selector):
    add(scene, "labels", "vtkMRMLLabelMapVolumeNode")
    add(scene, "hidden").SetHideFromEditors(True)
    selector.showHidden = False
    assert selector.nodeCount() == 1
    selector.showChildNodeTypes = False
    assert selector.nodeCount() == 0
    selector.showHidden = True
    assert selector.nodeCount() == 1


def test_a_selector_shows_nodes_with_an_attribute(scene, selector):
    add(scene, "one")
    two = add(scene, "two")
    two.SetAttribute("kind", "spect")
    selector.addAttribute("vtkMRMLScalarVolumeNode", "kind", "spect")
    assert selector.nodeFromIndex(0) is two and selector.nodeCount() == 1


def test_a_selector_makes_a_node(scene, selector):
    got = []
    selector.baseName = "Output"
    selector.connect("nodeAddedByUser(vtkMRMLNode*)", got.append)
    node = selector.addNode()
    assert (node.GetName(), selector.currentNode(), got) == ("Output", node, [node])


def test_the_root_of_a_ui_hands_its_scene_on(scene, load_ui):
    import slicer
    from tiny_module import ui_text

    widget = load_ui(ui_text())
    ui = slicer.util.childWidgetVariables(widget)
    assert ui.inputSelector.mrmlScene() is None
    widget.setMRMLScene(scene)
    assert ui.inputSelector.mrmlScene() is scene
    assert type(ui.countBox).__name__ == "QSpinBox"


def test_a_table_view_shows_the_table_and_its_changes(scene):
    import slicer

    node = add(scene, "table", "vtkMRMLTableNode")
    slicer.util.updateTableFromArray(node, [np.array([1.5, 2.0]), np.array([3, 4])], ["a", "b"])
    view = slicer.qMRMLTableView()
    view.setMRMLScene(scene)
    view.setMRMLTableNode(node)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetColumnUnitLabel("a", "mm")
    model = view.model()
    assert [model.headerData(i, slicer_qt().Qt.Horizontal) for i in range(2)] == ["a [mm]", "b"]
    assert model.item(0, 0).text() == "1.5"
    node.SetCellText(0, 1, "9")
    assert (model.item(0, 1).text(), model.rowCount()) == ("9", 2)


def slicer_qt():
    import qt

    return qt


def test_data_nodes_get_an_item_in_the_subject_hierarchy(scene):
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for cls in ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLTableNode", "vtkMRMLMarkupsFiducialNode",
                "vtkMRMLPlotChartNode", "vtkMRMLTextNode"):  # fmt: skip
        node = add(scene, "x", cls)
        item = hierarchy.GetItemByDataNode(node)
        assert item and hierarchy.GetItemParent(item) == hierarchy.GetSceneItemID(), cls
        scene.RemoveNode(node)
        assert hierarchy.GetItemDataNode(item) is None


def test_a_main_window_opens_modules(slicer_app, tiny):
    import slicer

    window = slicer_app.open_main_window()
    slicer_app.module("Tiny", tiny())
    slicer.util.selectModule("Tiny")
    assert (slicer.util.selectedModule(), window.moduleSelector().selectedModule) == ("Tiny", "Tiny")
    assert slicer.modules.tiny.widgetRepresentation().isEntered
    assert slicer.util.showStatusMessage("hello") and window.statusBar().currentMessage() == "hello"
    with slicer_app.recorder.expecting("no module Other"):
        slicer.util.selectModule("Other")


def test_exit_and_restart_are_recorded(slicer_app):
    import slicer

    slicer.util.exit(3)
    slicer.util.restart()
    assert (slicer_app.recorder.exits, slicer_app.recorder.restarts) == ([3], 1)


def test_volumes_and_tables_are_saved_and_loaded(scene, tmp_path):
    import slicer

    array = np.arange(24, dtype="float32").reshape(2, 3, 4)
    volume = slicer.util.addVolumeFromArray(array, name="v")
    assert slicer.util.saveNode(volume, str(tmp_path / "v.nrrd"), {})
    assert slicer.util.exportNode(volume, str(tmp_path / "v.nii.gz"), {})
    for name in ("v.nrrd", "v.nii.gz"):
        assert np.array_equal(slicer.util.arrayFromVolume(slicer.util.loadVolume(str(tmp_path / name), {})), array)
    with pytest.raises(RuntimeError, match="does not exist"):
        slicer.util.loadVolume(str(tmp_path / "none.nrrd"), {})


def test_nothing_heavy_is_imported_before_the_stand_in_starts():
    import subprocess
    import sys
    from pathlib import Path

    code = "import sys, slicer_standin, slicer_standin.fixtures; print({'slicer', 'PySide6', 'vtk'} & set(sys.modules))"
    folder = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()"
