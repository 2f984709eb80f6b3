"""Windows that are never on a screen: VTK draws into memory by EGL."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import numpy as np
import vtk
from vtk.util import numpy_support

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

_PROBE = (
    "import vtk; w = vtk.vtkEGLRenderWindow(); w.SetOffScreenRendering(1); w.SetSize(8, 8); "
    "w.AddRenderer(vtk.vtkRenderer()); w.Render(); raise SystemExit(0 if w.SupportsOpenGL() else 3)"
)


@cache
def why_not() -> str:
    """Why nothing can be drawn on this machine, or an empty text where it can.

    Asked of a second process: a driver that is missing may end the one that asks.
    """
    if not hasattr(vtk, "vtkEGLRenderWindow"):
        return "this build of VTK has no vtkEGLRenderWindow"
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=60, check=False)
    return "" if done.returncode == 0 else f"EGL does not work here (probe ended with {done.returncode})"


class Window:
    """A window in memory, with its interactor; displayable managers ask for both."""

    def __init__(self, size: tuple[int, int], renderers: tuple[vtk.vtkRenderer, ...], samples: int = 0):
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(samples)
        self.window.SetNumberOfLayers(len(renderers))
        for layer, renderer in enumerate(renderers):
            renderer.SetLayer(layer)
            self.window.AddRenderer(renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.resize(size)

    def resize(self, size: tuple[int, int]) -> None:
        """Width and height in pixels."""
        self.window.SetSize(*size)
        self.interactor.UpdateSize(*size)

    def pixels(self) -> np.ndarray:
        """Draw, and give ``(height, width, 3)`` unsigned bytes; the first row is the top one."""
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        grab.Update()
        width, height, _ = grab.GetOutput().GetDimensions()
        data = numpy_support.vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars())
        return np.flipud(data.reshape(height, width, -1)[:, :, :3]).copy()


def displayable_managers(factory_class: type, names: tuple[str, ...], application_logic, renderer: vtk.vtkRenderer):
    """A group of displayable managers on a renderer.

    Args:
        factory_class: vtkMRMLSliceViewDisplayableManagerFactory or its sister of 3-D views.
        names: classes.
        application_logic: the vtkMRMLApplicationLogic.
        renderer: one that is already in a window with an interactor.
    """
    factory = factory_class.GetInstance()
    factory.SetMRMLApplicationLogic(application_logic)
    for name in names:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    return factory.InstantiateDisplayableManagers(renderer)


class View:
    """A drawing area with its view node."""

    def __init__(self, node):
        self.node = node
        self.size = (400, 300)

    def resize(self, size: tuple[int, int]) -> None:
        """Width and height in pixels."""
        self.size = size

    def pixels(self) -> np.ndarray:
        """``(height, width, 3)`` unsigned bytes as drawn at the present size."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the scene."""

    def forceRender(self) -> None:
        """Draw at once, as a view of Slicer does."""
        self.pixels()


class Widget:
    """A drawing area with what is around it: qMRMLAbstractViewWidget."""

    def __init__(self, view: View):
        self.view = view

    def mrmlAbstractViewNode(self):
        return self.view.node
