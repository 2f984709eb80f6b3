"""A real MRML scene with the logics that Slicer's modules register, and subject hierarchy items as its plugins make."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer
import vtk

from slicer_standin.recorder import guarded

LOGICS = {
    "Units": "vtkSlicerUnitsLogic", "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic", "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic", "Tables": "vtkSlicerTablesLogic", "Plots": "vtkSlicerPlotsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic", "Markups": "vtkSlicerMarkupsLogic",
    "Transforms": "vtkSlicerTransformLogic", "Sequences": "vtkSlicerSequencesLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic", "Texts": "vtkSlicerTextsLogic",
}  # fmt: skip
LISTED = (
    "vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLMarkupsNode", "vtkMRMLModelNode", "vtkMRMLTableNode",
    "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLTextNode", "vtkMRMLTransformNode", "vtkMRMLSequenceNode",
)  # fmt: skip
"""Classes whose nodes get an item in the subject hierarchy."""
CLASSES = (
    "vtkMRMLScriptedModuleNode", "vtkMRMLTextNode", "vtkMRMLTableNode", "vtkMRMLTableViewNode", "vtkMRMLPlotChartNode",
    "vtkMRMLPlotSeriesNode", "vtkMRMLPlotViewNode", "vtkMRMLTableStorageNode", "vtkMRMLTextStorageNode",
    "vtkMRMLScalarVolumeNode", "vtkMRMLScalarVolumeDisplayNode", "vtkMRMLVolumeArchetypeStorageNode",
    "vtkMRMLLinearTransformNode", "vtkMRMLLayoutNode", "vtkMRMLSelectionNode", "vtkMRMLInteractionNode",
    "vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode", "vtkMRMLViewNode", "vtkMRMLCrosshairNode",
    "vtkMRMLColorLegendDisplayNode",
)  # fmt: skip


class SceneServices:
    """The scene with what hangs on it.

    Args:
        folder: for files that a scene unpacks.
    """

    def __init__(self, folder: Path) -> None:
        self.scene = scene = slicer.vtkMRMLScene()
        self.application = slicer.vtkSlicerApplicationLogic()
        self.application.SetMRMLScene(scene)
        self.logics: dict[str, Any] = {}
        self._colors()
        for name, cls in LOGICS.items():
            if hasattr(slicer, cls):
                self._register(name, getattr(slicer, cls)(), folder)
        for cls in CLASSES:
            if not scene.IsNodeClassRegistered(cls):
                scene.RegisterNodeClass(getattr(slicer, cls)())
        self._files(folder)
        slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        self._follow()
        self._kept = {node.GetID() for node in self._nodes()}

    def clear(self) -> None:
        """The scene as it was at the start: only colours and what Slicer itself keeps in it."""
        self.scene.Clear(False)
        for node in self._nodes():
            if node.GetID() not in self._kept:
                self.scene.RemoveNode(node)
        self.scene.SetUndoOff()
        self.scene.ClearUndoStack()
        self.scene.ClearRedoStack()

    def _nodes(self) -> list[Any]:
        return [self.scene.GetNthNode(index) for index in range(self.scene.GetNumberOfNodes())]

    def modules(self) -> dict[str, Any]:
        """What ``slicer.modules`` holds for the loadable modules: their logics."""
        return {
            name.lower(): SimpleNamespace(name=name, logic=lambda logic=logic: logic)
            for name, logic in self.logics.items()
        }

    def _colors(self) -> None:
        logic = self.application.GetColorLogic()
        logic.SetMRMLScene(self.scene)
        logic.AddDefaultColorNodes()
        self.application.SetModuleLogic("Colors", logic)
        self.logics["Colors"] = logic

    def _register(self, name: str, logic: Any, folder: Path) -> None:
        if name == "Terminologies":  # Slicer's files of terms are not in slicer-core; it says so, loudly
            logic.SetModuleShareDirectory(str(folder))
            vtk.vtkObject.GlobalWarningDisplayOff()
        logic.SetMRMLScene(self.scene)
        vtk.vtkObject.GlobalWarningDisplayOn()
        logic.SetMRMLApplicationLogic(self.application)
        self.application.SetModuleLogic(name, logic)
        self.logics[name] = logic

    def _files(self, folder: Path) -> None:
        self._remote = slicer.vtkMRMLRemoteIOLogic()
        self._remote.SetMRMLScene(self.scene)
        self._remote.GetCacheManager().SetRemoteCacheDirectory(str(folder))
        self._data = slicer.vtkDataIOManagerLogic()
        self._data.SetMRMLScene(self.scene)
        self._data.SetAndObserveDataIOManager(self._remote.GetDataIOManager())
        self._remote.AddDataIOToScene()

    def _follow(self) -> None:
        scene = slicer.vtkMRMLScene

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(caller: Any, event: Any, node: Any) -> None:
            guarded("the subject hierarchy", self._on_added, node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(caller: Any, event: Any, node: Any) -> None:
            guarded("the subject hierarchy", self._on_removed, node)

        self.scene.AddObserver(scene.NodeAddedEvent, added)
        self.scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removed)
        self.scene.AddObserver(scene.EndImportEvent, lambda *_: guarded("the subject hierarchy", self._on_imported))

    def _on_added(self, node: Any) -> None:
        if not self.scene.IsImporting() and not node.GetHideFromEditors() and any(map(node.IsA, LISTED)):
            hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    def _on_removed(self, node: Any) -> None:
        if self.scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, False)

    def _on_imported(self) -> None:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        for node in self._nodes():
            if not hierarchy.GetItemByDataNode(node):
                self._on_added(node)
