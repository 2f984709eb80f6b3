"""A scene with views for the tests of the views: plain Slicer core, no stand-in of the application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from slicer_standin import views

LOGICS = {
    "Volumes": "vtkSlicerVolumesLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
}


@contextmanager
def opened_stage() -> Iterator[views.LayoutManager]:
    """A new scene as ``slicer.mrmlScene``, and its layout manager as ``slicer.app.layoutManager()``."""
    scene, logic = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slicer, "mrmlScene", scene, raising=False)
        logic.SetMRMLScene(scene)
        logic.GetColorLogic().SetMRMLScene(scene)
        logic.GetColorLogic().AddDefaultColorNodes()
        logic.SetModuleLogic("Colors", logic.GetColorLogic())
        for name, class_name in LOGICS.items():
            module_logic = getattr(slicer, class_name)()
            module_logic.SetMRMLScene(scene)
            module_logic.SetMRMLApplicationLogic(logic)
            logic.SetModuleLogic(name, module_logic)
        app = SimpleNamespace(applicationLogic=lambda: logic, processEvents=lambda: None)
        app.set_layout_manager = lambda manager: setattr(app, "layoutManager", lambda: manager)
        patch.setattr(slicer, "app", app, raising=False)
        manager = views.install(app)
        try:
            yield manager
        finally:
            manager.close()
            scene.Clear(0)


def add_volume(array_kji: np.ndarray, ijk_to_ras: np.ndarray, name: str = "Image"):
    """A grey volume shown from 0 to 1."""
    node = slicer.util.addVolumeFromArray(array_kji.astype(np.float32), ijk_to_ras, name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevelMinMax(0.0, 1.0)
    return node


def add_segment(mask_kji: np.ndarray, ijk_to_ras: np.ndarray, volume):
    """A segmentation with one magenta segment, drawn as an outline."""
    tools = slicer.vtkSlicerSegmentationsModuleLogic
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    label = slicer.util.addVolumeFromArray(mask_kji.astype(np.uint8), ijk_to_ras, "l", "vtkMRMLLabelMapVolumeNode")
    segment = node.GetSegmentation().AddEmptySegment("blob", "Blob", [1.0, 0.0, 1.0])
    tools.SetBinaryLabelmapToSegment(tools.CreateOrientedImageDataFromVolumeNode(label), node, segment)
    node.GetDisplayNode().SetOpacity2DFill(0.0)
    slicer.mrmlScene.RemoveNode(label)
    return node


def add_table(names: list[str], *numbers: list[float], title: str = "Table"):
    """A table: a column of names, then columns ``A``, ``B`` … of numbers."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", title)
    text = vtk.vtkStringArray()
    text.SetName("Region")
    for name in names:
        text.InsertNextValue(name)
    node.AddColumn(text)
    for letter, values in zip("ABCD", numbers, strict=False):
        column = vtk.vtkDoubleArray()
        column.SetName(letter)
        for value in values:
            column.InsertNextValue(value)
        node.AddColumn(column)
    node.SetUseColumnTitleAsColumnHeader(True)
    return node


def show_everywhere(manager: views.LayoutManager, volume, at_ras: np.ndarray) -> None:
    """The volume in all slice views, fitted, through a point."""
    manager.place()
    for name in manager.sliceViewNames():
        logic = manager.sliceWidget(name).sliceLogic()
        logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        logic.FitSliceToBackground()
        logic.GetSliceNode().JumpSliceByCentering(*(float(v) for v in at_ras))
