"""A tiny module that uses what our modules use: its code and its .ui, to be written into a folder."""

from __future__ import annotations

CODE = """
import enum
from pathlib import Path
from typing import Annotated, Optional

import qt
import vtk

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin
from slicer import vtkMRMLScalarVolumeNode


class Mode(enum.Enum):
    fast = 1
    exact = 2


class Tiny(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Tiny")
        parent.categories = ["Examples"]


@parameterNodeWrapper
class TinyParameters:
    inputVolume: vtkMRMLScalarVolumeNode
    factor: Annotated[float, WithinRange(0, 10)] = 2.0
    count: Annotated[int, WithinRange(0, 100)] = 3
    mode: Mode = Mode.fast
    device: Annotated[str, Choice(["auto", "cpu"])] = "auto"
    label: str = "hello"
    check: bool = False
    place: Path = Path("a")
    numbers: list[int]
    maybe: Optional[int] = None
    pair: Annotated[tuple[int, float], Default((1, 2.5))]


class TinyWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.closed = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/Tiny.ui"))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = TinyLogic()
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, lambda *_: self.closed.append("start"))
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, lambda *_: self.closed.append("end"))
        self.bind()

    def bind(self):
        self.parameters = TinyParameters(self.logic.getParameterNode())
        self.tag = self.parameters.connectGui(self.ui)

    def cleanup(self):
        self.removeObservers()

    def onApply(self):
        with slicer.util.tryWithErrorDisplay(_("It did not work."), waitCursor=True):
            self.logic.process(self.parameters.inputVolume, self.parameters.factor)


class TinyLogic(ScriptedLoadableModuleLogic):
    def process(self, volume, factor):
        if volume is None:
            raise ValueError("no volume")
        slicer.util.updateVolumeFromArray(volume, slicer.util.arrayFromVolume(volume) * factor)


class TinyTest(ScriptedLoadableModuleTest):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_process()

    def test_process(self):
        import numpy as np
        volume = slicer.util.addVolumeFromArray(np.ones((2, 3, 4), "float32"))
        TinyLogic().process(volume, 3.0)
        self.delayDisplay("done")
        self.assertEqual(slicer.util.arrayFromVolume(volume).max(), 3.0)
"""

WIDGETS = (
    ("qMRMLNodeComboBox", "inputSelector", "inputVolume", "<property name='noneEnabled'><bool>true</bool></property>"),
    ("ctkSliderWidget", "factorSlider", "factor", "<property name='decimals'><number>3</number></property>"),
    ("QSpinBox", "countBox", "count", ""),
    ("QComboBox", "modeBox", "mode", ""),
    ("QComboBox", "deviceBox", "device", ""),
    ("QLineEdit", "labelEdit", "label", ""),
    ("QCheckBox", "checkBox", "check", ""),
    ("ctkPathLineEdit", "placeEdit", "place", ""),
    ("QPushButton", "applyButton", "", "<property name='text'><string>Apply</string></property>"),
)
CUSTOM = ("qMRMLWidget", "qMRMLNodeComboBox", "ctkSliderWidget", "ctkPathLineEdit", "ctkCollapsibleButton")
CONNECTION = """<connection><sender>Tiny</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
<receiver>inputSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection>"""


def ui_text(widgets=WIDGETS, connection=CONNECTION, root="qMRMLWidget"):
    """A .ui file that holds some widgets one below the other."""
    parts = []
    for cls, name, parameter, properties in widgets:
        bound = f"<property name='SlicerParameterName' stdset='0'><string>{parameter}</string></property>"
        parts.append(
            f"<item><widget class='{cls}' name='{name}'>{properties}{bound if parameter else ''}</widget></item>"
        )
    custom = "".join(
        f"<customwidget><class>{name}</class><extends>QWidget</extends><header>{name}.h</header></customwidget>"
        for name in CUSTOM
    )
    return (
        f"<ui version='4.0'><class>Tiny</class><widget class='{root}' name='Tiny'><layout class='QVBoxLayout' "
        f"name='layout'>{''.join(parts)}</layout></widget><customwidgets>{custom}</customwidgets><resources/>"
        f"<connections>{connection}</connections></ui>"
    )
