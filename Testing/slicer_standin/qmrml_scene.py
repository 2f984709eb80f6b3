"""A widget with a MRML scene, and the root of a panel."""

# ruff: noqa: N801

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import shiboken6
import slicer
from PySide6 import QtWidgets

from slicer_standin.declared import Declared
from slicer_standin.recorder import guarded, recorder


def observe(target: Any, event: Any, widget: Any, method: Callable[..., None]) -> int:
    """Observe a VTK object for as long as a widget lives; returns the observer's tag."""
    weak, name = weakref.ref(widget), method.__name__

    def call(*_: Any) -> None:
        alive = weak()
        if alive is not None and shiboken6.isValid(alive):
            guarded(f"{type(alive).__name__}.{name}", getattr(alive, name))

    return target.AddObserver(event, call)


class SceneWidget(Declared):
    """A widget with a scene."""

    slots = ("setMRMLScene(vtkMRMLScene*)",)

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not None and not isinstance(scene, slicer.vtkMRMLScene):
            raise TypeError(f"setMRMLScene takes a vtkMRMLScene, not {scene!r}")
        self.__dict__["_scene"] = scene
        self._scene_changed()

    def mrmlScene(self) -> Any:
        return self.__dict__.get("_scene")

    def _scene_changed(self) -> None:
        """The scene is another one."""

    def _needs_scene(self, what: str) -> None:
        if self.mrmlScene() is None:
            raise recorder.fail(
                f"{type(self).__name__} '{self.objectName}': {what}, but it has no scene; connect mrmlSceneChanged("
                "vtkMRMLScene*) of the .ui's root to its setMRMLScene(vtkMRMLScene*), then set the root's scene"
            )


class qMRMLWidget(SceneWidget, QtWidgets.QWidget):
    """The root of a panel, which hands its scene on."""

    signals = ("mrmlSceneChanged(vtkMRMLScene*)",)

    def _scene_changed(self) -> None:
        self._emit("mrmlSceneChanged(vtkMRMLScene*)", self.mrmlScene())
