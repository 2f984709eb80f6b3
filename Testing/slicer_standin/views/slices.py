"""Slice views: Slicer's own slice logic and displayable managers, drawn into memory."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from .offscreen import View, Widget, Window, displayable_managers

MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLTransformsDisplayableManager2D",
)
"""What Slicer and its core modules put into every slice view."""


class SliceView(View):
    """qMRMLSliceView. Its window is made when something is first drawn."""

    def __init__(self, logic: slicer.vtkMRMLSliceLogic):
        super().__init__(logic.GetSliceNode())
        self._logic = logic
        self._window: Window | None = None
        self._group = None

    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode:
        return self.node

    def convertXYZToRAS(self, xyz) -> tuple[float, float, float]:
        """Slicer's convention: x from the left, y from the *bottom*, in pixels."""
        return self.node.GetXYToRAS().MultiplyPoint((*xyz, 1.0))[:3]

    def convertRASToXYZ(self, ras) -> tuple[float, float, float]:
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), inverse)
        return inverse.MultiplyPoint((*ras, 1.0))[:3]

    def resize(self, size: tuple[int, int]) -> None:
        """As Slicer does when the window changes: the height in mm stays, the width follows."""
        if tuple(self.node.GetDimensions()[:2]) != tuple(size):
            self._logic.ResizeSliceNode(*size)

    def pixels(self) -> np.ndarray:
        """``(height, width, 3)`` unsigned bytes as drawn at the present size."""
        if self._window is None:
            self._window = self._opened()
        self._window.resize(self.node.GetDimensions()[:2])
        self._logic.UpdatePipeline()
        image = self._logic.GetImageDataConnection()
        self._actor.SetVisibility(image is not None)
        self._mapper.SetInputConnection(image)
        return self._window.pixels()

    def close(self) -> None:
        """Let go of the scene."""
        if self._group is not None:
            self._logic.SetDisplayableManagerGroup(None)
            self._group.SetMRMLDisplayableNode(None)
        self._logic.GetMRMLApplicationLogic().GetSliceLogics().RemoveItem(self._logic)
        self._logic.SetMRMLScene(None)
        self._window = self._group = None

    def _opened(self) -> Window:
        below, above = vtk.vtkRenderer(), vtk.vtkRenderer()
        window = Window(self.node.GetDimensions()[:2], (below, above))
        self._mapper, self._actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor.SetMapper(self._mapper)
        below.AddViewProp(self._actor)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory
        self._group = displayable_managers(factory, MANAGERS, self._logic.GetMRMLApplicationLogic(), above)
        self._group.SetMRMLDisplayableNode(self.node)
        self._logic.SetDisplayableManagerGroup(self._group)
        return window


class SliceController:
    """qMRMLSliceControllerWidget, the bar above a slice view: what a test does as a user would."""

    def __init__(self, logic: slicer.vtkMRMLSliceLogic):
        self._logic = logic

    def setSliceOffsetValue(self, offset_mm: float) -> None:
        """The slider: unlike a change by program, this moves the linked views too."""
        self._logic.StartSliceOffsetInteraction()
        self._logic.SetSliceOffset(offset_mm)
        self._logic.EndSliceOffsetInteraction()

    def fitSliceToBackground(self) -> None:
        """The button; fits the linked views too."""
        self._logic.StartSliceNodeInteraction(slicer.vtkMRMLSliceNode.ResetFieldOfViewFlag)
        self._logic.FitSliceToBackground()
        self._logic.GetSliceNode().UpdateMatrices()
        self._logic.EndSliceNodeInteraction()

    def pick_background(self, volume: slicer.vtkMRMLVolumeNode) -> None:
        """The selector of the background image, as a user turns it (stand-in)."""
        composite = self._logic.GetSliceCompositeNode()
        self._logic.StartSliceCompositeNodeInteraction(composite.BackgroundVolumeFlag)
        composite.SetBackgroundVolumeID(volume.GetID())
        self._logic.EndSliceCompositeNodeInteraction()


class SliceWidget(Widget):
    """qMRMLSliceWidget: one slice view with its logic and controller."""

    def __init__(self, node: slicer.vtkMRMLSliceNode, application_logic):
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        application_logic.GetSliceLogics().AddItem(self._logic)
        self._logic.SetMRMLScene(node.GetScene())
        self._logic.SetSliceNode(node)
        self._controller = SliceController(self._logic)
        super().__init__(SliceView(self._logic))

    def sliceLogic(self) -> slicer.vtkMRMLSliceLogic:
        return self._logic

    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> slicer.vtkMRMLSliceCompositeNode:
        return self._logic.GetSliceCompositeNode()

    def sliceView(self) -> SliceView:
        return self.view

    def sliceController(self) -> SliceController:
        return self._controller
