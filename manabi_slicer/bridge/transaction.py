"""Changes of the scene that can be taken back as a whole: after a failure half way, and when the user asks for it.

Nothing is copied for it: what is replaced stays where it is, in memory that the scene no longer points to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import slicer

from manabi_slicer.bridge import hierarchy
from manabi_slicer.bridge.attributes import CHOSEN, HELPER, INPUT_ROLE, KEY, METHOD, PREFIX, is_a
from manabi_slicer.bridge.dicom import INSTANCE_UIDS
from manabi_slicer.bridge.look import keep_look

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

DISPLAYABLE = "vtkMRMLDisplayableNode"
STORABLE = "vtkMRMLStorableNode"
SEGMENTATION = "vtkMRMLSegmentationNode"


@contextmanager
def batch(scene: Any) -> Iterator[None]:
    """Let views and lists follow only once, at the end."""
    scene.StartState(scene.BatchProcessState)
    try:
        yield
    finally:
        scene.EndState(scene.BatchProcessState)


class Transaction:
    """A set of changes of the scene, each with the way back."""

    def __init__(self) -> None:
        self.scene = slicer.mrmlScene
        self._back: list[Callable[[], None]] = []

    def add(self, node: vtkMRMLNode, parent: int) -> None:
        """Put a node that is in no scene into this one, shown as Slicer does by default.

        Args:
            node: the node.
            parent: its place in the subject hierarchy.
        """
        self._back.append(lambda: self._take_out(node))
        self.scene.AddNode(node)
        if is_a(node, DISPLAYABLE):
            node.CreateDefaultDisplayNodes()
        hierarchy.put_under(node, parent)

    def update(self, node: vtkMRMLNode, fresh: vtkMRMLNode) -> None:
        """Give a node of the scene the content of one that is in none; its display and other people's notes stay."""
        self._back.append(_Snapshot(node).restore)
        for name in node.GetAttributeNames():
            if not name.startswith(PREFIX) and name != INSTANCE_UIDS:
                fresh.SetAttribute(name, node.GetAttribute(name))
        keep_look(fresh, node)
        was_modifying = node.StartModify()
        node.CopyContent(fresh, False)
        node.EndModify(was_modifying)
        _tell_of_segments(node)

    def release(self, node: vtkMRMLNode) -> None:
        """Let a node be the user's own, no output any more."""
        self._back.append(_Snapshot(node).restore)
        for name in (METHOD, KEY, HELPER, CHOSEN):
            node.RemoveAttribute(name)
        node.RemoveNodeReferenceIDs(INPUT_ROLE)

    def remove(self, node: vtkMRMLNode) -> None:
        """Take a node out of the scene, with what displays and stores it."""
        removed = [node, *_companions(node)]
        parent = hierarchy.parent_of(node)
        pointing = _pointing_at(node)
        segments = _Segments(node) if is_a(node, SEGMENTATION) else None

        def back() -> None:
            """Put the node and its companions back where they were."""
            for one in reversed(removed):
                if one.GetScene() is None:
                    self.scene.AddNode(one)
            if segments is not None:
                segments.give_back()
            hierarchy.put_under(node, parent)
            for other, references in pointing:
                if other.GetScene() is not None:
                    _set_references(other, references)

        self._back.append(back)
        if segments is not None:
            segments.set_aside()
        hierarchy.take_out(node)
        for one in removed:
            self.scene.RemoveNode(one)

    def folder(self, parent: int, name: str, method: str) -> int:
        """A new folder in the subject hierarchy."""
        made = hierarchy.make_folder(parent, name, method)
        self._back.append(lambda: hierarchy.remove_if_empty(made))
        return made

    def roll_back(self) -> None:
        """Put everything back as it was, last change first; nodes that the user removed meanwhile are let be."""
        while self._back:
            self._back.pop()()

    def _take_out(self, node: vtkMRMLNode) -> None:
        if node.GetScene() is not self.scene:
            return
        hierarchy.take_out(node)
        for one in (node, *_companions(node)):
            self.scene.RemoveNode(one)


class _Segments:
    """The segments of a node that leaves the scene.

    Slicer's subject hierarchy deletes the segments of a segmentation whose item is removed; it must not find them.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._segmentation = node.GetSegmentation()
        self._displays = [(display, _copy(display)) for display in _displays(node)]

    def set_aside(self) -> None:
        """Leave the node an empty segmentation."""
        self._node.SetAndObserveSegmentation(slicer.vtkSegmentation())

    def give_back(self) -> None:
        """As before, with how each segment is displayed."""
        self._node.SetAndObserveSegmentation(self._segmentation)
        for display, copy in self._displays:
            display.Copy(copy)
        _tell_of_segments(self._node)


class _Snapshot:
    """What a node held; voxels, segments and points are kept by reference."""

    def __init__(self, node: vtkMRMLNode) -> None:
        self._node = node
        self._name = node.GetName()
        self._content = _new_like(node)
        self._content.CopyContent(node, False)
        self._units = node.GetVoxelValueUnits() if is_a(node, "vtkMRMLScalarVolumeNode") else None
        self._references = _references(node)
        self._displays = [(display, _copy(display)) for display in _displays(node)]

    def restore(self) -> None:
        """Give the node back what it held, unless it is no longer in the scene."""
        node = self._node
        if node.GetScene() is None:
            return
        was_modifying = node.StartModify()
        node.SetName(self._name)
        node.CopyContent(self._content, False)
        if is_a(node, "vtkMRMLScalarVolumeNode"):
            node.SetVoxelValueUnits(self._units)
        _set_references(node, self._references)
        node.EndModify(was_modifying)
        for display, copy in self._displays:
            if display.GetScene() is not None:
                display.Copy(copy)
        _tell_of_segments(node)


def _tell_of_segments(node: Any) -> None:
    """Let the subject hierarchy list the segments anew; replacing all of them at once does not tell it."""
    if is_a(node, SEGMENTATION):
        node.InvokeEvent(slicer.vtkSegmentation.SegmentAdded)


def _new_like(node: vtkMRMLNode) -> Any:
    return getattr(slicer, node.GetClassName())()


def _copy(node: vtkMRMLNode) -> Any:
    copy = _new_like(node)
    copy.Copy(node)
    return copy


def _displays(node: vtkMRMLNode) -> list[Any]:
    if not is_a(node, DISPLAYABLE):
        return []
    found = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    return [display for display in found if display is not None]


def _companions(node: vtkMRMLNode) -> list[Any]:
    """The nodes that are there for this one only: how it is shown and stored."""
    storage = node.GetStorageNode() if is_a(node, STORABLE) else None
    return [*_displays(node), *([storage] if storage is not None else [])]


def _references(node: vtkMRMLNode) -> dict[str, list[str]]:
    """IDs of the nodes that a node refers to, by role."""
    roles = [node.GetNthNodeReferenceRole(index) for index in range(node.GetNumberOfNodeReferenceRoles())]
    return {
        role: [node.GetNthNodeReferenceID(role, index) for index in range(node.GetNumberOfNodeReferences(role))]
        for role in roles
    }


def _set_references(node: vtkMRMLNode, wanted: dict[str, list[str]]) -> None:
    """Let a node refer to what it referred to; roles that are as they were stay untouched."""
    now = _references(node)
    for role in {*now, *wanted}:
        identifiers = wanted.get(role, [])
        if now.get(role, []) != identifiers:
            node.RemoveNodeReferenceIDs(role)
            for index, identifier in enumerate(identifiers):
                node.SetAndObserveNthNodeReferenceID(role, index, identifier)


def _pointing_at(node: vtkMRMLNode) -> list[tuple[Any, dict[str, list[str]]]]:
    """The nodes that refer to a node, with all their references."""
    scene, identifier = node.GetScene(), node.GetID()
    others = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    known = ((other, _references(other)) for other in others)
    return [(other, held) for other, held in known if any(identifier in ids for ids in held.values())]
