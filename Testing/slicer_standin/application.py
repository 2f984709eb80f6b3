"""``slicer.app``, the module manager and the main window."""

# ruff: noqa: N801, N815

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from slicer_standin.declared import Declared, Stored
from slicer_standin.files import CoreIOManager
from slicer_standin.recorder import recorder

VERSION = (5, 13, 0)


class SlicerApplication(Declared, QtWidgets.QApplication):
    """The application object.

    Args:
        folder: private to this process; settings, cache and temporary files go there.
    """

    signals = ("startupCompleted()", "mrmlSceneChanged(vtkMRMLScene*)", "renderPaused(bool)")
    temporaryPath, cachePath, slicerHome, extensionsInstallPath = Stored(""), Stored(""), Stored(""), Stored("")
    slicerUserSettingsFilePath, defaultScenePath, slicerSharePath = Stored(""), Stored(""), Stored("")
    majorVersion, minorVersion, documentationBaseUrl = Stored(VERSION[0]), Stored(VERSION[1]), Stored("")
    mainApplicationName, mainApplicationDisplayName = Stored("Slicer"), Stored("Slicer")
    revision, os, arch, platform, intDir = Stored("0"), Stored("linux"), Stored("amd64"), Stored(""), Stored("")

    def __init__(self, folder: Path) -> None:
        super().__init__([str(folder / "SlicerApp-real")])
        self._folder, self._testing, self._layout, self._restarting = folder, False, None, False
        self._io, self._modules, self._services = CoreIOManager(), ModuleManager(), None
        self._options = SimpleNamespace(runPythonAndExit=False, noMainWindow=True)
        for name in ("temporaryPath", "cachePath", "slicerHome", "slicerSharePath", "defaultScenePath"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            setattr(self, name, str(folder / name))
        self.slicerUserSettingsFilePath = str(folder / "Slicer.ini")
        self.setApplicationName("Slicer")
        self.setApplicationVersion(".".join(map(str, VERSION)))
        self.setOrganizationName("slicer.org")
        self.setQuitOnLastWindowClosed(False)

    # --- what a test sets ---------------------------------------------------------------------------

    def set_testing(self, testing: bool) -> None:
        self._testing = testing

    def set_layout_manager(self, manager: Any) -> None:
        """What :meth:`layoutManager` returns; None as without a main window."""
        self._layout = manager

    def set_services(self, services: Any) -> None:
        self._services = services

    # --- what Slicer has ----------------------------------------------------------------------------

    def testingEnabled(self) -> bool:
        return self._testing

    def layoutManager(self) -> Any:
        return self._layout

    def applicationLogic(self) -> Any:
        return self._services.application

    def mrmlScene(self) -> Any:
        return slicer.mrmlScene

    def moduleLogic(self, name: str) -> Any:
        return self._services.logics.get(name)

    def coreIOManager(self) -> CoreIOManager:
        return self._io

    ioManager = coreIOManager

    def moduleManager(self) -> ModuleManager:
        return self._modules

    def settings(self) -> Any:
        return QtCore.QSettings()

    userSettings = revisionUserSettings = settings

    def commandOptions(self) -> Any:
        return self._options

    def startupEnvironment(self) -> Any:
        return QtCore.QProcessEnvironment.systemEnvironment()

    def environment(self) -> Any:
        return QtCore.QProcessEnvironment.systemEnvironment()

    def translate(self, context: str, text: str) -> str:
        return text

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"https://slicer.readthedocs.io/en/latest/user_guide/modules/{name.lower()}.html"

    def pauseRender(self) -> None:
        """Nothing is rendered here."""

    resumeRender = pauseRender

    def restart(self) -> None:
        recorder.restarts += 1

    def exit(self, code: int = 0) -> None:
        recorder.exits.append(code)

    quit = exit


class ModuleManager(Declared, QtCore.QObject):
    """The modules by name."""

    signals = ("moduleAboutToBeUnloaded(QString)", "moduleLoaded(QString)")

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Any] = {}
        self._entered: str | None = None

    def module(self, name: str) -> Any:
        return self._known.get(name)

    def modulesNames(self) -> tuple[str, ...]:
        return tuple(self._known)

    def factoryManager(self) -> Any:
        return SimpleNamespace(loadedModuleNames=self.modulesNames, isLoaded=self._known.__contains__)

    def register(self, module: Any) -> None:
        self._known[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)

    def select(self, name: str) -> None:
        if name not in self._known:
            raise recorder.fail(f"there is no module {name}; loaded are {list(self._known)}")
        if self._entered is not None:
            self._known[self._entered].widgetRepresentation().exit()
        self._entered = name
        self._known[name].widgetRepresentation().enter()

    def unload_all(self) -> None:
        for name, module in list(self._known.items()):
            if module.has_widget():
                self._emit("moduleAboutToBeUnloaded(QString)", name)
                module.close()
        self._known.clear()
        self._entered = None


class qSlicerMainWindow(Declared, QtWidgets.QMainWindow):
    """The main window: a module selector and a status bar."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._selector = ModuleSelector()
        self.addToolBar(self._selector)

    def moduleSelector(self) -> ModuleSelector:
        return self._selector


class ModuleSelector(Declared, QtWidgets.QToolBar):
    """Opens modules."""

    signals = ("moduleSelected(QString)",)
    selectedModule = Stored("")
    slots = ("selectModule(QString)",)

    def selectModule(self, name: str) -> None:
        slicer.app.moduleManager().select(name)
        self.selectedModule = name
        self._emit("moduleSelected(QString)", name)
