"""What fails in Slicer fails here, and catching the error does not hide it."""

from __future__ import annotations

import contextlib
import sys

import pytest
from tiny_module import CODE, CONNECTION, WIDGETS, ui_text


def label(properties="", cls="QLabel"):
    return ui_text(((cls, "one", "", properties),), "")


# --- Qt as PythonQt gives it --------------------------------------------------------------------------


def test_an_unknown_property_of_a_widget(slicer_app):
    import ctk
    import qt

    for widget in (qt.QLabel(), ctk.ctkCollapsibleButton(), ctk.ctkSliderWidget()):
        with pytest.raises(AttributeError):
            widget.caption = "x"
        with pytest.raises(AttributeError):
            widget.caption  # noqa: B018


def test_a_python_subclass_may_have_attributes(slicer_app):
    import qt

    class Mine(qt.QDialog):
        def __init__(self):
            super().__init__()
            self.answers = [1]
            self.windowTitle = "title"

    assert (Mine().answers, Mine().windowTitle) == ([1], "title")


@pytest.mark.parametrize("name", ["text", "enabled", "visible", "toolTip", "sizeHint", "width"])
def test_a_property_called_as_a_method(slicer_app, name):
    import qt

    with pytest.raises(TypeError, match="not callable"):
        getattr(qt.QLabel("x"), name)()


def test_what_is_a_method_stays_one(slicer_app):
    import qt

    edit, item = qt.QPlainTextEdit("a"), qt.QTableWidgetItem("b")
    assert (edit.toPlainText(), item.text(), edit.plainText) == ("a", "b", "a")


def test_a_property_that_cannot_be_written(slicer_app):
    import qt

    with pytest.raises(AttributeError, match="not writable"):
        qt.QComboBox().count = 3


@pytest.mark.parametrize("signature", ["clicked", "clicked(int)", "pressed(bool)", "nothing()"])
def test_a_wrong_signal_signature(slicer_app, signature):
    import qt

    button = qt.QPushButton()
    with slicer_app.recorder.expecting("has no signal"):
        button.connect(signature, print)


def test_a_wrong_signal_signature_that_is_caught_is_still_told(slicer_app):
    import qt

    with contextlib.suppress(Exception):
        qt.QPushButton().connect("nothing()", print)
    assert "no signal 'nothing()'" in slicer_app.problems()[0]
    slicer_app.recorder.clear()


def test_exec_of_a_dialog(slicer_app):
    import qt

    with pytest.raises(AttributeError, match="exec_"):
        qt.QDialog().exec()
    slicer_app.answer(1)
    assert qt.QDialog().exec_() == 1


def test_a_dialog_that_nobody_answers(slicer_app):
    import qt
    import slicer

    for ask in (
        lambda: qt.QMessageBox.question(None, "t", "sure?"),
        lambda: qt.QFileDialog.getOpenFileName(None, "t"),
        lambda: slicer.util.confirmYesNoDisplay("sure?"),
        lambda: qt.QDialog().exec_(),
    ):
        with slicer_app.recorder.expecting("would block"):
            ask()


def test_an_answer_that_no_dialog_asks_for(slicer_app):
    slicer_app.answer("/a/path")
    assert "never asked for" in slicer_app.problems()[0]
    slicer_app.reset()


def test_an_exception_in_a_slot_is_printed_and_told(slicer_app, capsys):
    import qt

    def fail():
        raise ValueError("in a slot")

    button = qt.QPushButton()
    button.connect("clicked(bool)", fail)
    with slicer_app.recorder.expecting("in a slot"):
        button.click()
    with slicer_app.recorder.expecting("in a slot"):
        qt.QTimer.singleShot(0, fail)
        slicer_app.process_events(0.05)
    assert "ValueError: in a slot" in capsys.readouterr().err


def test_an_exception_in_an_observer_is_told(slicer_app):
    import slicer

    def fail(*_):
        raise ValueError("in an observer")

    tag = slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, fail)
    with slicer_app.recorder.expecting("in an observer"):
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    slicer.mrmlScene.RemoveObserver(tag)


def test_the_fixture_fails_a_test_that_left_a_problem(pytester_like, tmp_path):
    text = (
        "def test_one(slicer_app):\n    import qt\n    try:\n        qt.QDialog().exec_()\n    except Exception: pass\n"
    )
    assert pytester_like(text) == {"passed": 1, "errors": 1}


@pytest.fixture
def pytester_like(tmp_path):
    """Runs a test file in a process of its own; returns the counts."""
    import re
    import subprocess
    from pathlib import Path

    def run(text):
        (tmp_path / "test_it.py").write_text(text)
        (tmp_path / "conftest.py").write_text('pytest_plugins = ["slicer_standin.fixtures"]\n')
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        env = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "", "QT_QPA_PLATFORM": "offscreen"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
        found = re.findall(r"(\d+) (passed|failed|error)", done.stdout.splitlines()[-1])
        return {{"error": "errors"}.get(kind, kind): int(count) for count, kind in found}

    return run


# --- .ui files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (label("<property name='caption'><string>x</string></property>"), "one: QLabel has no property 'caption'"),
        (label("<property name='shut'><bool>true</bool></property>", "ctkCollapsibleButton"), "no property 'shut'"),
        (label(cls="ctkNothing"), "ctkNothing: no such class"),
        (label(cls="QNothing"), "QNothing: no such class"),
        (label(cls="ctkComboBox"), "has no <customwidget> entry"),
        (ui_text(connection=CONNECTION.replace("mrmlSceneChanged(", "sceneChanged(")), "has no signal sceneChanged"),
        (ui_text(connection=CONNECTION.replace("setMRMLScene(", "setScene(")), "has no slot setScene"),
        (ui_text(connection=CONNECTION.replace("inputSelector", "nobody")), "no such widget"),
        (label("<property name='frameShape'><enum>QFrame::Nothing</enum></property>"), "Qt could not load the .ui"),
    ],
    ids=["property", "ctk property", "ctk class", "Qt class", "customwidget", "signal", "slot", "receiver", "enum"],
)
def test_a_ui_file_with_something_that_is_not_there(slicer_app, load_ui, text, message):
    with slicer_app.recorder.expecting(message):
        load_ui(text)


def test_a_root_that_is_no_qmrmlwidget_takes_no_scene(slicer_app, load_ui):
    widget = load_ui(ui_text(connection="", root="QWidget"))
    with pytest.raises(AttributeError, match="setMRMLScene"):
        widget.setMRMLScene(None)


def test_a_widget_without_a_scene(slicer_app, tiny):
    with slicer_app.recorder.expecting("'inputSelector': it is shown, but it has no scene"):
        slicer_app.open_widget("Tiny", tiny(ui=ui_text(connection="")))


def test_a_choice_in_a_selector_without_a_scene(slicer_app):
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLTextNode"]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    assert selector.nodeCount() == 0
    with slicer_app.recorder.expecting("it has no scene"):
        selector.setCurrentNode(node)


# --- parameters ---------------------------------------------------------------------------------------


def swapped(name, cls):
    return ui_text(tuple((cls if part[1] == name else part[0], *part[1:]) for part in WIDGETS))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("Annotated[float, WithinRange(0, 10)] = 2.0", "float = 2.0", "needs bounds"),
        ('Annotated[str, Choice(["auto", "cpu"])] = "auto"', 'str = "auto"', "needs Choice"),
    ],
    ids=["slider without bounds", "combo box without choices"],
)
def test_a_parameter_that_its_widget_cannot_take(slicer_app, tiny, before, after, message):
    with pytest.raises(RuntimeError, match=message):
        slicer_app.open_widget("Tiny", tiny(code=CODE.replace(before, after)))


@pytest.mark.parametrize(
    ("name", "cls"), [("labelEdit", "QPlainTextEdit"), ("checkBox", "QRadioButton"), ("countBox", "QDial")]
)
def test_a_widget_class_that_has_no_connector(slicer_app, tiny, name, cls):
    with pytest.raises(RuntimeError, match=f"{cls} '{name}'"):
        slicer_app.open_widget("Tiny", tiny(ui=swapped(name, cls)))


@pytest.mark.parametrize("name", ["default", "Modified", "getValue", "connectGui", "allParameters", "isCached"])
def test_a_reserved_parameter_name(slicer_app, tiny, name):
    with pytest.raises(ValueError, match="reserved"):
        slicer_app.module("Tiny", tiny(code=CODE.replace("label: str", f"{name}: str")))


def test_a_parameter_of_a_type_that_cannot_be_kept(slicer_app, tiny):
    with pytest.raises(Exception, match="Unable to create serializer"):
        slicer_app.module("Tiny", tiny(code=CODE.replace("label: str", "label: object")))


def test_a_widget_for_a_parameter_that_is_not_there(slicer_app, tiny):
    with pytest.raises(ValueError, match="no parameter 'label'"):
        slicer_app.open_widget("Tiny", tiny(code=CODE.replace("label: str", "title: str")))


# --- the rest -----------------------------------------------------------------------------------------


def test_samples_whose_lists_differ(slicer_app):
    import SampleData

    register = SampleData.SampleDataLogic.registerCustomSampleDataSource
    with pytest.raises(ValueError, match="differ"):
        register(category="Mine", sampleName="one", uris=["a", "b"], fileNames=["a"], nodeNames=["x", "y"])
    with pytest.raises(TypeError):
        register(category="Mine", sampleName="one", title="x")
    with pytest.raises(TypeError):
        register(category="Mine", sampleName="one")


def test_a_sample_button_calls_its_function_with_the_source(slicer_app):
    import SampleData

    called = []
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Mine", sampleName="one", uris=[], fileNames=[], nodeNames=[], customDownloader=called.append
    )
    slicer_app.click_sample("one")
    assert [source.sampleName for source in called] == ["one"]


def test_a_module_that_says_nothing_of_itself(slicer_app, tiny):
    with slicer_app.recorder.expecting("has no categories"):
        slicer_app.module("Tiny", tiny(code=CODE.replace('["Examples"]', "[]")))


def test_a_path_that_is_no_text(slicer_app, tmp_path):
    import slicer

    with pytest.raises(TypeError, match="str in Slicer"):
        slicer.util.saveScene(tmp_path / "scene.mrb")


def test_installing_shows_progress_only_with_a_window(slicer_app):
    from slicer.packaging import pip_check, pip_ensure

    assert pip_check("numpy>=1.0") and not pip_check("numpy>=99") and not pip_check("surely-not-installed")
    with slicer_app.recorder.expecting("without a main window"):
        pip_ensure("surely-not-installed", prompt_install=False)
    pip_ensure("surely-not-installed", prompt_install=False, show_progress=False)
    assert slicer_app.recorder.installed[0][1]["missing"] == ["surely-not-installed"]
    assert pip_ensure("numpy>=1.0") is None
