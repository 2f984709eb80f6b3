"""Slicer's node selectors, on a real scene."""

# ruff: noqa: N801, N815

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from slicer_standin.declared import Stored, watch
from slicer_standin.qmrml_scene import SceneWidget, observe
from slicer_standin.recorder import recorder

EVENTS = tuple(
    getattr(slicer.vtkMRMLScene, name)
    for name in ("NodeAddedEvent", "NodeRemovedEvent", "EndCloseEvent", "EndImportEvent", "EndBatchProcessEvent")
)


class qMRMLNodeComboBox(SceneWidget, QtWidgets.QWidget):
    """Chooses a node of the scene."""

    nodeTypes, hideChildNodeTypes = Stored((), "_fill"), Stored((), "_fill")
    showHidden, showChildNodeTypes, noneEnabled = Stored(False, "_fill"), Stored(True, "_fill"), Stored(False, "_fill")
    addEnabled, removeEnabled, editEnabled, renameEnabled = Stored(True), Stored(True), Stored(False), Stored(False)
    selectNodeUponCreation, baseName, noneDisplay = Stored(True), Stored(""), Stored("None", "_fill")
    interactionNodeSingletonTag, sizeAdjustPolicy = Stored(""), Stored()
    signals = (
        "currentNodeChanged(vtkMRMLNode*)", "currentNodeChanged(bool)", "currentNodeIDChanged(QString)",
        "nodeAdded(vtkMRMLNode*)", "nodeAddedByUser(vtkMRMLNode*)", "nodeAddedByUserAction(vtkMRMLNode*)",
        "nodeActivated(vtkMRMLNode*)",
        "nodeAboutToBeRemoved(vtkMRMLNode*)", "nodeAboutToBeEdited(vtkMRMLNode*)", "currentNodeRenamed(QString)",
    )  # fmt: skip
    slots = ("setCurrentNode(vtkMRMLNode*)", "setCurrentNode(QString)", "setCurrentNodeID(QString)", "addNode()",
             "removeCurrentNode()", "renameCurrentNode()", "editCurrentNode()", "setCurrentNodeIndex(int)")  # fmt: skip

    def __init__(self, *parent: Any) -> None:
        super().__init__(*parent)
        self._attributes: dict[tuple[str, str], Any] = {}
        self._nodes: list[Any] = []
        self._current: str | None = None
        self._filling = False
        self._tags: list[tuple[Any, int]] = []
        self._followed: dict[str, tuple[Any, int]] = {}
        self._combo, row = QtWidgets.QComboBox(), QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        watch(self._combo, "currentIndexChanged(int)", self._chosen)

    currentNodeID = currentNodeId = property(lambda self: self._current or "", lambda self, v: self.setCurrentNodeID(v))

    def addAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        """Show only nodes of a type that have an attribute, with a value where one is given."""
        self._attributes[nodeType, name] = value
        self._fill()

    def removeAttribute(self, nodeType: str, name: str) -> None:
        self._attributes.pop((nodeType, name), None)
        self._fill()

    def nodeCount(self) -> int:
        return len(self._nodes)

    def nodeFromIndex(self, index: int) -> Any:
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def currentNode(self) -> Any:
        scene = self.mrmlScene()
        return scene.GetNodeByID(self._current) if scene is not None and self._current else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentNodeID(node.GetID() if isinstance(node, slicer.vtkMRMLNode) else node or "")

    def setCurrentNodeID(self, nodeID: str) -> None:
        if nodeID:
            self._needs_scene("a node is chosen in it")
        self._choose(nodeID if nodeID in [node.GetID() for node in self._nodes] else None)

    def setCurrentNodeIndex(self, index: int) -> None:
        node = self.nodeFromIndex(index)
        self._choose(node.GetID() if node else None)

    def addNode(self, nodeType: str = "") -> Any:
        self._needs_scene("a node is added by it")
        nodeType, scene = nodeType or self.nodeTypes[0], self.mrmlScene()
        if nodeType not in self.nodeTypes:
            raise recorder.fail(f"{nodeType} is not among the types {self.nodeTypes} of '{self.objectName}'")
        base = self.baseName or nodeType.removeprefix("vtkMRML").removesuffix("Node")
        node = scene.AddNewNodeByClass(nodeType, scene.GenerateUniqueName(base))
        for (_, name), value in self._attributes.items():
            node.SetAttribute(name, str(value or ""))
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self._emit("nodeAdded(vtkMRMLNode*)", node)
        self._emit("nodeAddedByUser(vtkMRMLNode*)", node)
        return node

    def removeCurrentNode(self) -> None:
        self._emit("nodeAboutToBeRemoved(vtkMRMLNode*)", self.currentNode())
        self.mrmlScene().RemoveNode(self.currentNode())

    def _scene_changed(self) -> None:
        for target, tag in self._tags:
            target.RemoveObserver(tag)
        scene = self.mrmlScene()
        self._tags = [(scene, observe(scene, event, self, self._fill)) for event in EVENTS] if scene is not None else []
        self._fill()

    def _fits(self, node: Any) -> bool:
        kind = node.GetClassName()
        typed = [t for t in self.nodeTypes if kind == t or (self.showChildNodeTypes and node.IsA(t))]
        if typed and node.GetID() not in self._followed:
            self._followed[node.GetID()] = (node, observe(node, vtk.vtkCommand.ModifiedEvent, self, self._node_changed))
        if not typed or (node.GetHideFromEditors() and not self.showHidden):
            return False
        if any(node.IsA(t) for t in self.hideChildNodeTypes):
            return False
        wanted = [(name, value) for (t, name), value in self._attributes.items() if node.IsA(t)]
        found = [(node.GetAttribute(name), value) for name, value in wanted]
        return all(have is not None and (value is None or str(value) == have) for have, value in found)

    def _fill(self) -> None:
        scene = self.mrmlScene()
        if not hasattr(self, "_combo") or (scene is not None and scene.IsBatchProcessing()):
            return
        nodes = [] if scene is None else [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())]
        for key in [key for key, (node, _) in self._followed.items() if node not in nodes]:
            node, tag = self._followed.pop(key)
            node.RemoveObserver(tag)
        before = [node.GetID() for node in self._nodes]
        self._nodes = [node for node in nodes if self._fits(node)]
        self._list()
        self._choose(self._next_choice(before, [node.GetID() for node in self._nodes]))

    def _node_changed(self) -> None:
        known = {self._combo.itemData(i): self._combo.itemText(i) for i in range(self._combo.count)}
        now = {node.GetID(): node.GetName() for node, _ in self._followed.values() if self._fits(node)}
        if {key: text for key, text in known.items() if key} != now:
            self._fill()

    def _next_choice(self, before: list[str], now: list[str]) -> str | None:
        """The chosen node; when it is gone the one above it, as a Qt combo box does."""
        if self._current in now:
            return self._current
        if self._current in before:
            above = [one for one in before[: before.index(self._current)] if one in now]
            return above[-1] if above else None
        actions = self.addEnabled or self.removeEnabled or self.editEnabled or self.renameEnabled
        return None if self.noneEnabled or actions or before or not now else now[0]

    def _list(self) -> None:
        self._filling = True
        self._combo.clear()
        if self.noneEnabled:
            self._combo.addItem(self.noneDisplay, "")
        for node in self._nodes:
            self._combo.addItem(node.GetName(), node.GetID())
        self._filling = False

    def _choose(self, nodeID: str | None) -> None:
        changed, self._current = nodeID != self._current, nodeID
        self._filling = True
        self._combo.setCurrentIndex(self._combo.findData(nodeID or ""))
        self._filling = False
        if changed:
            node = self.currentNode()
            self._emit("currentNodeChanged(vtkMRMLNode*)", node)
            self._emit("currentNodeChanged(bool)", node is not None)
            self._emit("currentNodeIDChanged(QString)", nodeID or "")

    def _chosen(self, index: int) -> None:
        if not self._filling:
            self._choose(self._combo.itemData(index) or None)


class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """Chooses several nodes."""

    signals = ("checkedNodesChanged()",)

    def checkedNodes(self) -> tuple[Any, ...]:
        return tuple(node for node in self._nodes if node.GetID() in self.__dict__.get("_checked", ()))

    def setCheckState(self, node: Any, state: Any) -> None:
        checked = self.__dict__.setdefault("_checked", set())
        (checked.add if state == QtCore.Qt.CheckState.Checked else checked.discard)(node.GetID())
        self._emit("checkedNodesChanged()")

    def noneChecked(self) -> bool:
        return not self.checkedNodes()
