"""Slicer's MRML widgets: they follow a real scene, and stay empty without one."""

# ruff: noqa: N801, N815

from __future__ import annotations

from typing import Any

import vtk
from PySide6 import QtGui, QtWidgets

from slicer_standin import qmrml_scene, qmrml_selectors
from slicer_standin.ctk_values import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from slicer_standin.ctk_widgets import ctkMenuButton
from slicer_standin.declared import Stored
from slicer_standin.qmrml_scene import SceneWidget, observe, qMRMLWidget


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """Chooses a segmentation and a segment of it."""

    editEnabled, horizontalLayout, multiSelection = Stored(False), Stored(False), Stored(False)
    noneEnabled, segmentationNodeSelectorVisible, selectNodeUponCreation = Stored(False), Stored(True), Stored(True)
    signals = ("currentNodeChanged(vtkMRMLNode*)", "currentNodeChanged(bool)", "currentSegmentChanged(QString)",
               "segmentSelectionChanged(QStringList)")  # fmt: skip

    def currentNode(self) -> Any:
        return self.__dict__.get("_node")

    def setCurrentNode(self, node: Any) -> None:
        self._needs_scene("a segmentation is chosen in it")
        self._node = node
        self._emit("currentNodeChanged(vtkMRMLNode*)", node)

    def currentSegmentID(self) -> str:
        return self.__dict__.get("_segment", "")

    def setCurrentSegmentID(self, segmentID: str) -> None:
        self._segment = segmentID
        self._emit("currentSegmentChanged(QString)", segmentID)


class qMRMLSegmentsTableView(qMRMLWidget):
    """Lists the segments of a segmentation; a placeholder that only remembers which."""

    readOnly, headerVisible, visibilityColumnVisible, colorColumnVisible, opacityColumnVisible = (
        Stored(False), Stored(True), Stored(True), Stored(True), Stored(True),
    )  # fmt: skip
    statusColumnVisible, layerColumnVisible, filterBarVisible = Stored(False), Stored(False), Stored(False)
    selectionMode, textFilter, jumpToSelectedSegmentEnabled = Stored(0), Stored(""), Stored(False)
    signals = ("selectionChanged(QItemSelection,QItemSelection)", "segmentAboutToBeModified(QString)")
    slots = ("setSegmentationNode(vtkMRMLNode*)",)

    def setSegmentationNode(self, node: Any) -> None:
        self._node = node

    def segmentationNode(self) -> Any:
        return self.__dict__.get("_node")


class qMRMLSegmentationShow3DButton(ctkMenuButton):
    """Shows a segmentation in 3D."""

    locked = Stored(False)
    slots = ("setLocked(bool)", "setSegmentationNode(vtkMRMLSegmentationNode*)")
    setSegmentationNode, segmentationNode = (
        qMRMLSegmentsTableView.setSegmentationNode,
        qMRMLSegmentsTableView.segmentationNode,
    )

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.text = "Show 3D"


class qMRMLSliderWidget(SceneWidget, ctkSliderWidget):
    """A slider with units."""

    quantity, orientation, unitAwareProperties = Stored(""), Stored(), Stored()


class qMRMLSpinBox(SceneWidget, ctkDoubleSpinBox):
    """A spin box with units."""

    quantity, unitAwareProperties = Stored(""), Stored()


class qMRMLRangeWidget(SceneWidget, ctkRangeWidget):
    """A range with units."""

    quantity = Stored("")


class qMRMLTableView(SceneWidget, QtWidgets.QTableView):
    """Shows a table node."""

    transposed, firstRowLocked, firstColumnLocked = Stored(False, "_fill"), Stored(False), Stored(False)
    signals = ("mrmlSceneChanged(vtkMRMLScene*)", "selectionChanged()")
    slots = ("setMRMLTableNode(vtkMRMLNode*)", "setMRMLTableNode(vtkMRMLTableNode*)")

    def __init__(self, *parent: Any) -> None:
        super().__init__(*parent)
        self._node: Any = None
        self._tag = 0
        self._model = QtGui.QStandardItemModel()
        self.setModel(self._model)

    def setMRMLTableNode(self, node: Any) -> None:
        if node is not None and not node.IsA("vtkMRMLTableNode"):
            raise TypeError(f"setMRMLTableNode takes a vtkMRMLTableNode, not {node.GetClassName()}")
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            self._tag = observe(node, vtk.vtkCommand.AnyEvent, self, self._fill)
        self._fill()

    def mrmlTableNode(self) -> Any:
        return self._node

    def _scene_changed(self) -> None:
        self._emit("mrmlSceneChanged(vtkMRMLScene*)", self.mrmlScene())

    def _fill(self) -> None:
        model, node = self._model, self._node
        model.clear()
        table = None if node is None else node.GetTable()
        if table is None or not table.GetNumberOfColumns():
            return
        names = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
        rows = [[table.GetValue(row, column).ToString() for column in range(len(names))]
                for row in range(table.GetNumberOfRows())]  # fmt: skip
        titled, labelled = node.GetUseColumnTitleAsColumnHeader(), node.GetUseFirstColumnAsRowHeader()
        if not titled:  # then the names are a first row of cells
            rows.insert(0, names)
        labels = [row[0] if labelled else str(index + 1) for index, row in enumerate(rows)]
        heads = [_title(node, name) if titled else chr(ord("A") + index) for index, name in enumerate(names)]
        for row in rows:
            items = [QtGui.QStandardItem(text) for text in row[int(labelled) :]]
            for item in items:
                item.setEditable(not node.GetLocked())
            model.appendRow(items)
        model.setHorizontalHeaderLabels(heads[int(labelled) :] if titled else heads[: len(heads) - int(labelled)])
        model.setVerticalHeaderLabels(labels)


def _title(node: Any, name: str) -> str:
    unit = node.GetColumnUnitLabel(name)
    return f"{node.GetColumnTitle(name) or name} [{unit}]" if unit else node.GetColumnTitle(name) or name


class qMRMLPlotView(SceneWidget, QtWidgets.QWidget):
    """A plot; a placeholder that only remembers its view node."""

    signals = ("mrmlSceneChanged(vtkMRMLScene*)", "dataSelected(vtkStringArray*,vtkCollection*)")
    slots = ("setMRMLPlotViewNode(vtkMRMLPlotViewNode*)", "fitToContent()", "saveAsSVG(QString)")

    def setMRMLPlotViewNode(self, node: Any) -> None:
        self._needs_scene("a plot is shown in it")
        self._view = node

    def fitToContent(self) -> None:
        """Nothing is drawn here."""


class qMRMLSubjectHierarchyTreeView(SceneWidget, QtWidgets.QTreeView):
    """The subject hierarchy; a placeholder that only remembers the current item."""

    nodeTypes, levelFilter, nameFilter, hideChildNodeTypes = Stored(()), Stored(()), Stored(""), Stored(())
    attributeNameFilter, attributeValueFilter, multiSelection = Stored(""), Stored(""), Stored(False)
    contextMenuEnabled, editMenuActionVisible, addNodeMenuActionVisible = Stored(True), Stored(True), Stored(True)
    selectRoleSubMenuVisible, showRootItem, noneEnabled = Stored(True), Stored(False), Stored(False)
    colorColumnVisible, descriptionColumnVisible, idColumnVisible = Stored(True), Stored(False), Stored(False)
    transformColumnVisible, visibilityColumnVisible = Stored(True), Stored(True)
    signals = ("currentItemChanged(vtkIdType)", "currentItemModified(vtkIdType)")
    slots = ("setCurrentItem(vtkIdType)", "setCurrentNode(vtkMRMLNode*)", "setRootItem(vtkIdType)")

    def setCurrentItem(self, item: int) -> None:
        self._needs_scene("an item is chosen in it")
        self._item = item
        self._emit("currentItemChanged(vtkIdType)", item)

    def currentItem(self) -> int:
        return self.__dict__.get("_item", 0)


_EVERY = {**vars(qmrml_scene), **vars(qmrml_selectors), **globals()}
WIDGETS = {name: value for name, value in _EVERY.items() if name.startswith("qMRML") and isinstance(value, type)}
