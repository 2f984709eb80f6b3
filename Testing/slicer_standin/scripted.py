"""``slicer.ScriptedLoadableModule`` and what Slicer keeps of a scripted module."""

# ruff: noqa: N801, N815

from __future__ import annotations

import importlib
import logging
import unittest
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from slicer_standin.declared import Declared, Stored
from slicer_standin.qmrml_scene import qMRMLWidget
from slicer_standin.recorder import guarded, recorder

_log = logging.getLogger(__name__)


class ScriptedLoadableModule:
    """Says what a module is; ``parent`` is what Slicer keeps of it."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title, parent.categories, parent.dependencies = "", [], []
        parent.contributors = ["The stand-in"]
        parent.helpText, parent.acknowledgementText = "No help was written.", "No acknowledgement was written."
        for suffix in (".svg", ".png"):
            icon = Path(parent.path).parent / "Resources" / "Icons" / f"{self.moduleName}{suffix}"
            if icon.is_file():
                parent.icon = QtGui.QIcon(str(icon))
                break
        slicer.selfTests = {**getattr(slicer, "selfTests", {}), self.moduleName: self.runTest}

    def resourcePath(self, filename: str) -> str:
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        url = docPage or slicer.app.moduleDocumentationUrl(self.moduleName)
        return f'<p>Documentation: <a href="{url}">{url}</a></p>'

    def runTest(self, msec: int = 100, **kwargs: Any) -> None:
        module = importlib.import_module(type(self).__module__)
        case = getattr(module, f"{self.moduleName}Test", None)
        if case is None:
            raise AssertionError(f"{module.__name__} has no class {self.moduleName}Test")
        test = case()
        test.messageDelay = msec
        test.runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    """A module's panel; it lives in ``parent``."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        if parent is None:
            self.parent = qMRMLWidget()
            QtWidgets.QVBoxLayout(self.parent)
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self) -> None:
        """Build the panel; a module extends it."""

    def cleanup(self) -> None:
        """The module is about to be unloaded; a module extends it."""

    def _onModuleAboutToBeUnloaded(self, moduleName: str) -> None:
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """What a module can do without its panel."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        """The module's parameter node, made where the scene has none."""
        if self.isSingletonParameterNode:
            found = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if found is not None and found.GetAttribute("ModuleName") != self.moduleName:
                found.SetAttribute("ModuleName", self.moduleName)
        else:
            found = next(iter(self.getAllParameterNodes()), None)
        return found or slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list[Any]:
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> Any:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A module's self-test."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.messageDelay = 100
        super().__init__(*args, **kwargs)
        self.moduleTestNames = [name for name in dir(self) if "test" in name and callable(getattr(self, name))]

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        _log.info(message)
        slicer.app.processEvents()

    def runTest(self) -> None:
        for name in self.moduleTestNames:
            self.setUp()
            getattr(self, name)()
            self.tearDown()


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """What Slicer puts around a panel."""

    isEntered, moduleName = Stored(False), Stored("")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.moduleName = name
        self._python: Any = None
        self._layout = QtWidgets.QVBoxLayout(self)

    def self(self) -> Any:
        return self._python

    def build(self, cls: type) -> None:
        self._python = cls(self)
        self._python.setup()
        self._layout.addStretch(0)

    def enter(self) -> None:
        self.isEntered = True
        guarded(f"{self.moduleName}.enter", getattr(self._python, "enter", lambda: None))

    def exit(self) -> None:
        self.isEntered = False
        guarded(f"{self.moduleName}.exit", getattr(self._python, "exit", lambda: None))


class qSlicerScriptedLoadableModule(Declared, QtCore.QObject):
    """What Slicer keeps of a module; the module's class writes into it."""

    title, helpText, acknowledgementText = Stored(""), Stored(""), Stored("")
    categories, dependencies, contributors = Stored(()), Stored(()), Stored(())
    associatedNodeTypes, hidden, index, icon, extensions = Stored(()), Stored(False), Stored(-1), Stored(), Stored()
    widgetRepresentationCreationEnabled, isBuiltIn, isInstalled = Stored(True), Stored(False), Stored(False)
    path, name = Stored("", None, False), Stored("", None, False)

    def __init__(self, name: str, path: str) -> None:
        super().__init__()
        self.__dict__.update(_stored_name=name, _stored_path=path, _widget=None, _code=None, _python=None)

    def load(self, code: Any) -> None:
        self._code = code
        self._python = getattr(code, self.name)(self)
        self._check()

    def _check(self) -> None:
        for key in ("title", "helpText", "acknowledgementText", "categories", "contributors"):
            if not getattr(self, key):
                raise recorder.fail(f"the module {self.name} has no {key}")

    def self(self) -> Any:
        return self._python

    def logic(self) -> Any:
        return None

    def has_widget(self) -> bool:
        return self._widget is not None

    def widgetRepresentation(self) -> Any:
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
        return self._widget

    def createNewWidgetRepresentation(self) -> Any:
        widget = qSlicerScriptedLoadableModuleWidget(self.name)
        widget.setMRMLScene(slicer.mrmlScene)
        widget.build(getattr(self._code, f"{self.name}Widget"))
        return widget

    def close(self) -> None:
        widget, self._widget = self._widget, None
        widget.close()
        widget.deleteLater()
