"""Somebody at BrainSeg's panel, who knows widgets and nodes, but none of the code behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from brain_panel_methods import REGISTERED
from slicer_standin.user import PanelUser, use_methods

SHAPE, SPACING = (30, 36, 34), (2.0, 2.2, 2.5)


def straight() -> np.ndarray:
    """I to the left, J to the back, K to the head."""
    matrix = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    matrix[:3, 3] = (34.0, 40.0, -36.0)
    return matrix


def coronal() -> np.ndarray:
    """I to the left, J to the feet, K to the front: slices are coronal."""
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[2, 1], matrix[1, 2], matrix[3, 3] = -2.0, -2.2, 2.5, 1.0
    matrix[:3, 3] = (34.0, -36.0, 40.0)
    return matrix


def oblique(degrees: float = 17.0) -> np.ndarray:
    """Axial slices that are tilted and turned."""
    a, b = np.deg2rad(degrees), np.deg2rad(-0.6 * degrees)
    tilt = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    matrix = straight()
    matrix[:3, :3] = tilt @ turn @ matrix[:3, :3]
    return matrix


GEOMETRIES = {"straight": straight, "coronal": coronal, "oblique": oblique}


def add_mr(name: str = "Head", matrix: np.ndarray | None = None) -> Any:
    """A volume node of noise."""
    import slicer

    array = np.random.default_rng(5).integers(0, 1000, SHAPE).astype(np.int16)
    node = slicer.util.addVolumeFromArray(array, straight() if matrix is None else matrix, name)
    node.SetAttribute("Manabi.modality", "MR")
    return node


class Painter:
    """A segmentation with three segments, painted as Segment Editor does: on the segmentation's own grid.

    Args:
        image: the MR.
        finer: how many times finer than the image the grid is, along each axis.
        turned: degrees by which the grid is turned against the image.
    """

    def __init__(self, image: Any, finer: float = 1.0, turned: float = 0.0) -> None:
        import slicer
        from slicer import vtkMRMLSegmentationNode, vtkOrientedImageData, vtkSegmentationConverter

        self.image = image
        self.node: vtkMRMLSegmentationNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Drawn")
        self.node.CreateDefaultDisplayNodes()
        self.node.SetReferenceImageGeometryParameterFromVolumeNode(image)
        segmentation = self.node.GetSegmentation()
        name = vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
        self.grid = vtkOrientedImageData()
        vtkSegmentationConverter.DeserializeImageGeometry(segmentation.GetConversionParameter(name), self.grid, False)
        if turned:
            self._turn(turned)
        if finer != 1.0:
            slicer.vtkCalculateOversamplingFactor.ApplyOversamplingOnImageGeometry(self.grid, finer)
        text = vtkSegmentationConverter.SerializeImageGeometry(self.grid)
        segmentation.SetConversionParameter(name, text)
        for one in ("tumour", "edema", "skull"):
            segmentation.AddEmptySegment(one, one.capitalize())
        self.shape = self.grid.GetDimensions()[::-1]

    def _turn(self, degrees: float) -> None:
        import vtk

        matrix = vtk.vtkMatrix4x4()
        self.grid.GetImageToWorldMatrix(matrix)
        turn = vtk.vtkTransform()
        turn.RotateWXYZ(degrees, 0.3, 1.0, 0.2)
        turn.Concatenate(matrix)
        self.grid.SetImageToWorldMatrix(turn.GetMatrix())

    def blank(self) -> np.ndarray:
        """Nothing, on the grid."""
        return np.zeros(self.shape, np.uint8)

    def put(self, segment: str, mask: np.ndarray) -> None:
        """Let a segment be a mask, as Segment Editor does."""
        import slicer
        import vtk
        from vtk.util import numpy_support

        image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
        image.SetExtent(self.grid.GetExtent())
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        self.grid.GetImageToWorldMatrix(matrix)
        image.SetImageToWorldMatrix(matrix)
        numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())[:] = mask.ravel()
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        assert logic.SetBinaryLabelmapToSegment(image, self.node, segment, logic.MODE_REPLACE)

    def read(self, segment: str) -> np.ndarray:
        """A segment on its own grid, voxel by voxel: nothing is resampled."""
        held = self.node.GetSegmentation().GetSegment(segment)
        image = held.GetRepresentation("Binary labelmap")
        out = self.blank()
        if image is None or image.IsEmpty():
            return out
        import vtk
        from vtk.util import numpy_support

        mine, its = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
        self.grid.GetImageToWorldMatrix(mine)
        image.GetImageToWorldMatrix(its)
        assert all(abs(mine.GetElement(r, c) - its.GetElement(r, c)) < 1e-9 for r in range(4) for c in range(4))
        e = image.GetExtent()
        voxels = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
        out[e[4] : e[5] + 1, e[2] : e[3] + 1, e[0] : e[1] + 1] = voxels == held.GetLabelValue()
        return out

    def all(self) -> dict[str, np.ndarray]:
        """Every segment."""
        return {one: self.read(one) for one in self.node.GetSegmentation().GetSegmentIDs()}

    def paint(self, axis: int, count: int = 5, segment: str = "tumour") -> list[int]:
        """Paint discs on slices across an array axis, one voxel thin each; returns which ones."""
        mask = np.moveaxis(self.blank(), axis, 0)
        n = mask.shape[0]
        slices = [round(at) for at in np.linspace(0.25 * n, 0.7 * n, count)]
        a, b = np.meshgrid(*(np.linspace(-1, 1, m) for m in mask.shape[1:]), indexing="ij")
        for number, k in enumerate(slices):
            mask[k] = (a - 0.02 * number) ** 2 + b**2 < (0.2 + 0.04 * number) ** 2
        self.put(segment, np.moveaxis(mask, 0, axis))
        return slices

    def surround(self) -> None:
        """Two more segments, one of which runs through what will be filled."""
        edema, skull = self.blank(), self.blank()
        n = self.shape
        edema[n[0] // 3 : 2 * n[0] // 3, n[1] // 3 : n[1] // 2, n[2] // 3 : n[2] // 2] = 1
        skull[:, :2] = skull[:, :, -2:] = 1
        self.put("skull", skull)
        self.put("edema", edema)


class BrainUser(PanelUser):
    """Opens the module and uses it, with a method of the tests in the place of its own."""

    def __init__(self, app: Any, monkeypatch: Any, method: str = "quick-brain") -> None:
        use_methods(monkeypatch, REGISTERED, Path(__file__).parent)
        super().__init__(app, monkeypatch, "BrainSeg", method)

    def outputs(self, task: str = "structures") -> dict[str, Any]:
        """The outputs of a task for the chosen image."""
        return self.widget.logic.outputsOf(self.image, task)

    def run_here(self, task: str = "structures") -> dict[str, Any]:
        """The same without the worker, as from the Python console; shown as after the button."""
        self.widget.task = task
        outputs = super().run_here()
        self.widget.task = "structures"
        return outputs

    def pick(self, node: Any, *segments: str) -> None:
        """Choose a segmentation and check segments by their names."""
        import qt

        self.ui.segmentationSelector.setCurrentNode(node)
        for row in range(self.ui.segmentsList.count):
            item = self.ui.segmentsList.item(row)
            item.setCheckState(qt.Qt.Checked if item.text() in segments else qt.Qt.Unchecked)
