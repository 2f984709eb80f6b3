"""3-D views: Slicer's displayable managers and camera, drawn into memory."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from .offscreen import View, Widget, Window, displayable_managers

MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)
AXES = ((-1, 0, 0), (1, 0, 0), (0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0))
"""ctkAxesWidget: Left, Right, Superior, Inferior, Anterior, Posterior; where the eye is."""


class ThreeDView(View):
    """qMRMLThreeDView."""

    def __init__(self, node: slicer.vtkMRMLViewNode, application_logic):
        super().__init__(node)
        self._application_logic = application_logic
        self._renderer: vtk.vtkRenderer | None = None

    def mrmlViewNode(self) -> slicer.vtkMRMLViewNode:
        return self.node

    def cameraNode(self) -> slicer.vtkMRMLCameraNode:
        self._open()
        return self._group.GetDisplayableManagerByClassName("vtkMRMLCameraDisplayableManager").GetCameraNode()

    def resetFocalPoint(self) -> None:
        """Look at the middle of what is shown, the cube and its letters aside."""
        self._open()
        box, letters = self.node.GetBoxVisible(), self.node.GetAxisLabelsVisible()
        self.node.SetBoxVisible(0)
        self.node.SetAxisLabelsVisible(0)
        bounds = self._renderer.ComputeVisiblePropBounds()
        if vtk.vtkMath.AreBoundsInitialized(bounds):
            self.cameraNode().SetFocalPoint([(a + b) / 2 for a, b in zip(bounds[::2], bounds[1::2], strict=True)])
        self.node.SetBoxVisible(box)
        self.node.SetAxisLabelsVisible(letters)
        self.node.InvokeEvent(slicer.vtkMRMLViewNode.ResetFocalPointRequestedEvent)

    def resetCamera(self, rotation: bool = True, translation: bool = True, distance: bool = True) -> None:
        """Step back until all that is shown, the cube included, is in the picture."""
        camera = self.cameraNode()
        camera.Reset(rotation, translation, distance, self._renderer)

    def lookFromViewAxis(self, axis: int) -> None:
        """Move the eye, same distance; ``axis`` counts as in :data:`AXES`."""
        camera = self.cameraNode()
        target, eye = np.array(camera.GetFocalPoint()), np.array(camera.GetPosition())
        camera.SetViewUp((0, 1, 0) if axis in (2, 3) else (0, 0, 1))
        camera.SetPosition(target + np.linalg.norm(eye - target) * np.array(AXES[axis]))

    def close(self) -> None:
        """Let go of the scene."""
        if self._renderer is not None:
            self._group.SetMRMLDisplayableNode(None)

    def pixels(self) -> np.ndarray:
        """``(height, width, 3)`` unsigned bytes as drawn at the present size."""
        self._open()
        self._window.resize(self.size)
        self._renderer.ResetCameraClippingRange()
        return self._window.pixels()

    def _open(self) -> None:
        if self._renderer is None:
            self._renderer = vtk.vtkRenderer()
            self._renderer.SetGradientBackground(True)
            self._window = Window(self.size, (self._renderer,), samples=4)
            factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory
            self._group = displayable_managers(factory, MANAGERS, self._application_logic, self._renderer)
            self._group.SetMRMLDisplayableNode(self.node)


class ThreeDWidget(Widget):
    """qMRMLThreeDWidget: one 3-D view."""

    def __init__(self, node: slicer.vtkMRMLViewNode, application_logic):
        super().__init__(ThreeDView(node, application_logic))

    def threeDView(self) -> ThreeDView:
        return self.view

    def mrmlViewNode(self) -> slicer.vtkMRMLViewNode:
        return self.view.node
