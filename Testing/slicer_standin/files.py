"""Reading and writing, as ``slicer.app.coreIOManager()`` does it for ``slicer.util.load*`` and ``save*``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

SUFFIXES = {
    ".mrb": "SceneFile", ".mrml": "SceneFile", ".seg.nrrd": "SegmentationFile", ".nrrd": "VolumeFile",
    ".nhdr": "VolumeFile", ".nii": "VolumeFile", ".nii.gz": "VolumeFile", ".mha": "VolumeFile", ".dcm": "VolumeFile",
    ".csv": "TableFile", ".tsv": "TableFile", ".mrk.json": "MarkupsFile", ".txt": "TextFile", ".json": "TextFile",
    ".h5": "TransformFile", ".tfm": "TransformFile", ".ctbl": "ColorTableFile", ".vtk": "ModelFile",
    ".stl": "ModelFile",
}  # fmt: skip
NODES = {
    "SegmentationFile": "vtkMRMLSegmentationNode", "TableFile": "vtkMRMLTableNode", "TextFile": "vtkMRMLTextNode",
    "MarkupsFile": "vtkMRMLMarkupsFiducialNode", "TransformFile": "vtkMRMLLinearTransformNode",
    "ModelFile": "vtkMRMLModelNode", "ColorTableFile": "vtkMRMLColorTableNode",
}  # fmt: skip


class CoreIOManager:
    """Reads and writes with MRML's storage nodes."""

    def fileType(self, path: str) -> str:
        name = Path(path).name.lower()
        return next(
            (SUFFIXES[suffix] for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), ""
        )

    def loadNodes(self, kind: str, properties: dict[str, Any], loaded: Any, messages: Any) -> bool:
        path = properties["fileName"]
        if not isinstance(path, str):
            raise TypeError(f"fileName is a str in Slicer, not {path!r}")
        if not Path(path).exists():
            messages.AddMessage(messages.TextType if hasattr(messages, "TextType") else 0, f"{path} does not exist")
            return False
        if kind == "SceneFile":
            return self._load_scene(path, properties)
        node = self._load_volume(path, properties) if kind == "VolumeFile" else self._load_node(kind, path, properties)
        if node is not None:
            loaded.AddItem(node)
        return node is not None

    def _load_scene(self, path: str, properties: dict[str, Any]) -> bool:
        scene, clear = slicer.mrmlScene, bool(properties.get("clear", False))
        if path.endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, clear))
        scene.SetURL(path)
        return bool(scene.Connect() if clear else scene.Import())

    def _load_volume(self, path: str, properties: dict[str, Any]) -> Any:
        name = properties.get("name") or Path(path).name.partition(".")[0]
        options = (1 if properties.get("labelmap") else 0) + (8 if properties.get("singleFile") else 0)
        return slicer.modules.volumes.logic().AddArchetypeVolume(path, name, options)

    def _load_node(self, kind: str, path: str, properties: dict[str, Any]) -> Any:
        name = properties.get("name") or Path(path).name.partition(".")[0]
        node = slicer.mrmlScene.AddNewNodeByClass(NODES[kind], name)
        storage = slicer.mrmlScene.AddNewNodeByClass(node.GetDefaultStorageNodeClassName(path))
        storage.SetFileName(path)
        if not storage.ReadData(node):
            slicer.mrmlScene.RemoveNode(node)
            return None
        node.SetAndObserveStorageNodeID(storage.GetID())
        return node

    def fileWriterFileType(self, node: Any, *_: Any) -> str:
        return node.GetClassName()

    def fileWriterExtensions(self, node: Any) -> tuple[str, ...]:
        types = _storage(node).GetSupportedWriteFileTypes()
        return tuple(types.GetValue(i) for i in range(types.GetNumberOfValues()))

    def extractKnownExtension(self, path: str, node: Any) -> str:
        return _storage(node).GetSupportedFileExtension(path, False, True)

    def saveNodes(self, kind: str, properties: dict[str, Any], messages: Any = None) -> bool:
        path = properties["fileName"]
        if not isinstance(path, str):
            raise TypeError(f"fileName is a str in Slicer, not {path!r}")
        if kind == "SceneFile":
            return _save_scene(path)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None and not node.AddDefaultStorageNode(path):
            return False
        node.GetStorageNode().SetFileName(path)
        return bool(node.GetStorageNode().WriteData(node))

    def exportNodes(self, ids: Any, paths: Any, properties: Any, harden: bool, messages: Any = None) -> bool:
        done = []
        for identifier, path in zip(ids, paths, strict=True):
            node = slicer.mrmlScene.GetNodeByID(identifier)
            storage = _storage(node)
            storage.SetFileName(path)
            done.append(bool(storage.WriteData(node)))
        return all(done)


def _storage(node: Any) -> Any:
    """A storage node that is not in the scene, though it knows it."""
    storage = node.CreateDefaultStorageNode()
    storage.UnRegister(None)
    storage.SetScene(slicer.mrmlScene)
    return storage


def _save_scene(path: str) -> bool:
    scene = slicer.mrmlScene
    if path.endswith(".mrb"):
        return bool(scene.WriteToMRB(path))
    if path.endswith(".mrml"):
        scene.SetURL(path)
        return bool(scene.Commit())
    Path(path).mkdir(parents=True, exist_ok=True)
    return bool(scene.SaveSceneToSlicerDataBundleDirectory(path))
