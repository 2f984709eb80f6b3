"""The modules ``qt`` and ``ctk`` as Slicer's Python has them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from slicer_standin import ctk_widgets, dialogs, pythonqt, ui_files
from slicer_standin.recorder import guarded, recorder

single_shots: list[Any] = []


def install() -> None:
    """Make ``import qt`` and ``import ctk`` work."""
    pythonqt.install()
    dialogs.install()
    module = ModuleType("qt", "Qt as PythonQt gives it; a stand-in.")
    for source in pythonqt.SOURCES:
        for name in dir(source):
            if not name.startswith("_"):
                setattr(module, name, getattr(source, name))
    module.QUiLoader = ui_files.QUiLoader  # type: ignore[attr-defined]
    QtCore.QTimer.singleShot = staticmethod(_single_shot)  # type: ignore[method-assign]
    QtGui.QDesktopServices.openUrl = staticmethod(_open_url)  # type: ignore[method-assign]
    sys.modules["qt"] = module
    ctk = ModuleType("ctk", "CTK's widgets; a stand-in.")
    vars(ctk).update(ctk_widgets.WIDGETS)
    ctk.__getattr__ = _missing  # type: ignore[method-assign]
    sys.modules["ctk"] = ctk


def _missing(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(f"module 'ctk' has no attribute '{name}' (or the stand-in lacks it)")


def _single_shot(ms: int, *rest: Any) -> None:
    timer = QtCore.QTimer()
    timer.setSingleShot(True)
    single_shots.append(timer)

    def fire() -> None:
        single_shots.remove(timer)
        guarded("QTimer.singleShot", rest[-1])

    pythonqt.connect(timer, "timeout()", fire)
    timer.start(ms)


def _open_url(url: Any) -> bool:
    recorder.opened.append(url.toString())
    return True


def windows() -> list[Any]:
    """Top-level widgets."""
    return list(QtWidgets.QApplication.topLevelWidgets())
