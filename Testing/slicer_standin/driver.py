"""Start the stand-in, open modules in it, act as a user does, and clean up."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from slicer_standin.recorder import recorder

ROOT = Path(__file__).resolve().parents[2]
_state: dict[str, Any] = {}


def boot() -> Any:
    """Start once per process; returns ``slicer``."""
    if "slicer" in _state:
        return _state["slicer"]
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("QT_LOGGING_RULES", "qt.qpa.*=false")
    folder = Path(tempfile.mkdtemp(prefix="slicer-standin-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    import slicer
    import slicer.util

    from slicer_standin import qt_modules

    qt_modules.install()
    from slicer_standin import application, looks, scene

    slicer.modules = SimpleNamespace()
    slicer.app = app = application.SlicerApplication(folder)
    looks.install(app)
    services = scene.SceneServices(folder / "cachePath")
    slicer.mrmlScene = services.scene
    app.set_services(services)
    vars(slicer.modules).update(services.modules())
    _install_modules(slicer)
    _state.update(slicer=slicer, services=services, folder=folder)
    reset()
    return slicer


def _install_modules(slicer: Any) -> None:
    from slicer_standin import qmrml_widgets, scripted, services

    vars(slicer).update(qmrml_widgets.WIDGETS)
    for name in ("qSlicerScriptedLoadableModule", "qSlicerScriptedLoadableModuleWidget"):
        setattr(slicer, name, getattr(scripted, name))
    modules = services.make_modules()
    modules["slicer.ScriptedLoadableModule"] = base = ModuleType("slicer.ScriptedLoadableModule", "A stand-in.")
    names = [name for name in vars(scripted) if name.startswith("ScriptedLoadableModule")]
    vars(base).update({name: getattr(scripted, name) for name in names}, __all__=names)
    from slicer_standin import parameters

    modules["slicer.parameterNodeWrapper"] = parameters.make_module()
    for name, module in modules.items():
        sys.modules[name] = module
        if name.startswith("slicer."):
            setattr(slicer, name.partition(".")[2], module)


def close_modules() -> None:
    """As when Slicer ends: every panel that was opened cleans up."""
    boot().app.moduleManager().unload_all()


def reset() -> None:
    """Between two tests: close modules, windows and the scene, forget answers and records, empty the settings."""
    from PySide6 import QtCore, QtWidgets

    from slicer_standin import dialogs, pythonqt, qt_modules

    slicer = _state["slicer"]
    sys.excepthook = lambda kind, error, trace: recorder.exception("a callback of VTK or Qt", error)
    close_modules()
    for timer in list(pythonqt.timers):
        timer.stop()
    qt_modules.single_shots.clear()
    for window in list(QtWidgets.QApplication.topLevelWidgets()):
        window.close()
        window.deleteLater()
    while QtWidgets.QApplication.overrideCursor() is not None:
        QtWidgets.QApplication.restoreOverrideCursor()
    manager = slicer.app.layoutManager()
    if hasattr(manager, "close"):
        manager.close()
    slicer.app.set_layout_manager(None)
    slicer.app.set_testing(False)
    _state["services"].clear()
    process_events()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    _forget_modules(slicer)
    dialogs.clear()
    recorder.clear()
    use_settings(_state["folder"] / "Slicer.ini")


def _forget_modules(slicer: Any) -> None:
    kept = _state["services"].modules()
    for name in [name for name in vars(slicer.modules) if name not in kept]:
        delattr(slicer.modules, name)
    for name, folder in _state.pop("imported", ()):
        sys.modules.pop(name, None)
        if folder in sys.path:
            sys.path.remove(folder)


def use_settings(path: Path) -> None:
    """Keep ``qt.QSettings()`` in a new, empty file."""
    from PySide6 import QtCore

    settings = QtCore.QSettings
    settings.setDefaultFormat(settings.Format.IniFormat)
    for scope in (settings.Scope.UserScope, settings.Scope.SystemScope):
        settings.setPath(settings.Format.IniFormat, scope, str(path.parent))
    QtCore.QSettings().clear()
    QtCore.QSettings().sync()


def problems() -> list[str]:
    """What must fail a test: recorded failures, and answers that no dialog asked for."""
    from slicer_standin import dialogs

    left = list(dialogs.prepared())
    return [*recorder.failures, *(f"the prepared answer {one!r} was never asked for" for one in left)]


# --- modules ------------------------------------------------------------------------------------------


def module(name: str, folder: Path | None = None) -> Any:
    """Load a module, as Slicer does when it starts; returns what Slicer keeps of it.

    Args:
        name: of the module; its file is ``<folder>/<name>.py``.
        folder: by default that of the repository.
    """
    from slicer_standin import scripted

    slicer = boot()
    known = slicer.app.moduleManager().module(name)
    if known is not None:
        return known
    folder = folder or ROOT / name
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    sys.modules.pop(name, None)
    _state.setdefault("imported", []).append((name, str(folder)))
    made = scripted.qSlicerScriptedLoadableModule(name, str(folder / f"{name}.py"))
    made.load(importlib.import_module(name))
    slicer.app.moduleManager().register(made)
    return made


def open_widget(name: str, folder: Path | None = None) -> Any:
    """Load a module, open it and show it; returns its widget. Fails where a MRML widget has no scene."""
    slicer = boot()
    made = module(name, folder)
    window = slicer.util.mainWindow()
    representation = made.widgetRepresentation()
    if window is not None:
        window.moduleSelector().selectModule(name)
    else:
        slicer.app.moduleManager().select(name)
    representation.show()
    process_events()
    check_scenes(representation)
    return representation.self()


def check_scenes(widget: Any) -> None:
    """Every MRML widget below must have a scene."""
    from PySide6 import QtWidgets

    from slicer_standin.qmrml_scene import SceneWidget

    for part in widget.findChildren(QtWidgets.QWidget):
        if isinstance(part, SceneWidget) and part.mrmlScene() is None:
            part._needs_scene("it is shown")


def open_main_window() -> Any:
    """From now on Slicer has a main window."""
    from slicer_standin.application import qSlicerMainWindow

    slicer = boot()
    _state["window"] = window = qSlicerMainWindow()
    assert slicer.util.mainWindow() is window
    return window


def start_up() -> None:
    """Slicer has started: what waits for ``startupCompleted()`` is called."""
    boot().app.startupCompleted()


def run_module_test(name: str, folder: Path | None = None) -> None:
    """Run ``<name>Test`` as ``Slicer --testing`` does; raises where it fails."""
    slicer = boot()
    made = module(name, folder)
    slicer.app.set_testing(True)
    try:
        slicer.testing.runUnitTest([str(Path(made.path).parent)], name)
    finally:
        slicer.app.set_testing(False)


# --- time and pictures ----------------------------------------------------------------------------------


def process_events(seconds: float = 0.0) -> None:
    """Let Qt work, for a while."""
    wait_until(lambda: False, seconds, fail=False)


def wait_until(condition: Callable[[], Any], timeout_s: float = 10.0, fail: bool = True) -> None:
    """Let Qt work until something is so; raises AssertionError after ``timeout_s``."""
    from PySide6 import QtWidgets

    end = time.monotonic() + timeout_s
    while True:
        QtWidgets.QApplication.processEvents()
        if condition():
            return
        if time.monotonic() >= end:
            break
        time.sleep(0.005)
    if fail:
        raise AssertionError(f"not so after {timeout_s} s: {condition}; failures: {recorder.failures}")


def grab(widget: Any, path: Any, width: int = 480, height: int | None = None, dark: bool = False) -> Path:
    """Draw a widget, or the panel of a module's widget, into a PNG."""
    from slicer_standin import looks

    shown = widget if hasattr(widget, "grab") else widget.parent
    looks.use(boot().app, dark)
    try:
        return looks.picture(shown, Path(path), width, height, process_events)
    finally:
        looks.use(boot().app, False)
