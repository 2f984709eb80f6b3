"""The subject hierarchy: outputs stand beside their input, in the same study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
import vtk

from manabi_slicer.bridge.attributes import FOLDER

if TYPE_CHECKING:
    from slicer import vtkMRMLNode


def hierarchy() -> Any:
    """The scene's subject hierarchy node."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def parent_of(node: vtkMRMLNode) -> int:
    """The item under which a node stands: a study, a folder, or the scene itself."""
    tree = hierarchy()
    item = tree.GetItemByDataNode(node)
    return (tree.GetItemParent(item) if item else 0) or tree.GetSceneItemID()


def put_under(node: vtkMRMLNode, parent: int) -> None:
    """Give a node its place, made where it has none yet; under the scene where ``parent`` is no longer there."""
    tree = hierarchy()
    tree.CreateItem(parent if _exists(parent) else tree.GetSceneItemID(), node)


def take_out(node: vtkMRMLNode) -> None:
    """Remove a node's item before the node leaves the scene; what stands below it stays."""
    tree = hierarchy()
    item = tree.GetItemByDataNode(node)
    if item:
        tree.RemoveItem(item, False, False)


def _exists(item: int) -> bool:
    tree = hierarchy()
    below = vtk.vtkIdList()
    tree.GetItemChildren(tree.GetSceneItemID(), below, True)
    return item == tree.GetSceneItemID() or below.IsId(item) >= 0


def output_folder(nodes: list[vtkMRMLNode], method: str) -> int:
    """The folder in which earlier outputs of a method stand; 0 where there is none."""
    tree = hierarchy()
    for node in nodes:
        item = tree.GetItemByDataNode(node)
        parent = tree.GetItemParent(item) if item else 0
        if parent and tree.GetItemAttribute(parent, FOLDER) == method:
            return parent
    return 0


def make_folder(parent: int, name: str, method: str) -> int:
    """A new folder for the outputs of a method."""
    tree = hierarchy()
    folder = tree.CreateFolderItem(parent, name)
    tree.SetItemAttribute(folder, FOLDER, method)
    return folder


def remove_if_empty(folder: int) -> None:
    """Remove a folder of ours that holds nothing any more."""
    tree = hierarchy()
    if _exists(folder) and tree.GetItemAttribute(folder, FOLDER) and not tree.GetNumberOfItemChildren(folder):
        tree.RemoveItem(folder)
