"""What the tests of the bridge share: a scene of real MRML, example grids, an example result."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk

from manabi.result import LEFT, RIGHT, Code, Labelmap, Landmark, Plot, Result, Segment, Table
from manabi.volume import Volume

LOGICS = {
    "Units": "vtkSlicerUnitsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
}
CAUDATE = Code("11000004", "SCT", "Caudate nucleus")
LONG_NAME = "Noyau caudé gauche, tête et corps – région d’intérêt après recalage élastique (日本語) " * 2


def boot():
    """A scene, and the application's logics, which must be kept alive with it."""
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    colors = application.GetColorLogic()
    colors.SetMRMLScene(scene)
    colors.AddDefaultColorNodes()
    application.SetModuleLogic("Colors", colors)
    logics = [application, colors]
    for name, kind in LOGICS.items():
        logic = getattr(slicer, kind)()
        logic.SetMRMLScene(scene)
        logic.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, logic)
        logics.append(logic)
    return scene, logics


def save_and_reload(folder):
    """Save the scene as a bundle's folder, close it, and load it again."""
    scene = slicer.mrmlScene
    assert scene.SaveSceneToSlicerDataBundleDirectory(str(folder))
    scene.Clear(False)
    (saved,) = folder.rglob("*.mrml")
    scene.SetURL(str(saved))
    assert scene.Connect()
    return scene


def rotation(degrees, axis):
    a, b = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(4)
    first, second = [n for n in range(3) if n != axis]
    matrix[first, first] = matrix[second, second] = a
    matrix[first, second], matrix[second, first] = -b, b
    return matrix


def placed(rotated, spacing, origin, flip=(1, 1, 1)):
    matrix = rotated @ np.diag([*np.multiply(spacing, flip), 1.0])
    matrix[:3, 3] = origin
    return matrix


GRIDS = {
    "straight": placed(np.eye(4), (1, 1, 1), (0, 0, 0)),
    "translated": placed(np.eye(4), (1, 1, 1), (-123.456789, 87.654321, 1234.5)),
    "anisotropic": placed(np.eye(4), (0.3, 0.7, 5.0), (1, 2, 3)),
    "flipped": placed(np.eye(4), (2, 2, 2), (10, 20, 30), (-1, -1, 1)),
    "left-handed": placed(np.eye(4), (2, 1, 3), (10, 20, 30), (-1, 1, 1)),
    "oblique": placed(rotation(17, 0) @ rotation(33, 2), (0.9, 1.1, 2.3), (-31.7, 12.9, 405.1)),
    "oblique left-handed": placed(rotation(61, 1) @ rotation(-25, 0), (0.9, 1.1, 2.3), (5, -6, 7), (1, 1, -1)),
}
LINEAR = placed(rotation(40, 0) @ rotation(11, 1), (1, 1, 1), (15, -27, 3.5))
SCALING = placed(rotation(10, 2), (1.5, 0.5, 2.0), (1, 2, 3))


def image(shape=(4, 5, 6), matrix=GRIDS["oblique"], dtype=np.float32, **attributes):
    array = (np.arange(np.prod(shape)).reshape(shape) * 7 % 251).astype(dtype)
    return Volume(array, matrix, **attributes)


def transform(matrix, parent=None):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def bending_transform():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    spline = vtk.vtkThinPlateSplineTransform()
    ends = vtk.vtkPoints()
    starts = vtk.vtkPoints()
    for number, point in enumerate(((0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9), (4, 4, 4))):
        starts.InsertNextPoint(point)
        ends.InsertNextPoint(point[0] + number, point[1], point[2] - number)
    spline.SetSourceLandmarks(starts)
    spline.SetTargetLandmarks(ends)
    spline.SetBasisToR()
    node.SetAndObserveTransformToParent(spline)
    return node


def world_matrix(node):
    """IJK to RAS mm as Slicer itself computes it for a node, by transforming points."""
    own = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(own)
    general = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, general)

    def place(ijk):
        return np.array(general.TransformPoint(own.MultiplyPoint((*ijk, 1.0))[:3]))

    origin = place((0, 0, 0))
    matrix = np.eye(4)
    matrix[:3, 3] = origin
    for axis in range(3):
        matrix[:3, axis] = place(np.eye(3)[axis]) - origin
    return matrix


def labels(volume):
    array = np.zeros(volume.shape, np.uint8)
    array[1:3, 1:4, 1:3] = 1
    array[2, 2:4, 3:5] = 7
    segments = (
        Segment(1, LONG_NAME, (0.2, 0.5, 0.75), CAUDATE, laterality=LEFT),
        Segment(7, "Caudate right", (1.0, 0.25, 0.0), CAUDATE, laterality=RIGHT),
        Segment(9, "Empty", (0.0, 0.0, 1.0), CAUDATE),
    )
    return Labelmap(volume.like(array, modality=None, units=None, name="regions"), segments)


def result_of(volume, factor=2.0, **changes):
    """A result with one of everything."""
    grid_point = volume.grid.ras_of(np.array([1.25, 2.5, 0.1]))
    made = Result(
        volumes={"denoised": volume.like(np.asarray(volume.array) * np.float32(factor), name="denoised")},
        labelmaps={"regions": labels(volume)},
        landmarks={
            "apex": Landmark("Apex – spitze", tuple(float(x) for x in grid_point), 0.25, "où"),
            "base": Landmark("Base", (1 / 3, -2 / 3, 1e3 / 7), None),
        },
        tables={
            "ratios": Table(
                ("region", "before", "after_ml", "note"),
                (("putamen é", 1 / 3, 2 * factor / 3, "a"), ("caudate", 2.0, None, None), ('"quoted"', 1, 3.0, "")),
            )
        },
        plots={
            "curve": Plot("Courbe", "dose_gy", "events", {"a": ([0.1, 1 / 3], [1.0, 2.0]), "b": ([5.0], [6.0])}),
            "bars": Plot(
                "Bars", "region", "ratio", {"before": ([0, 1], [1 / 3, 2.0]), "normal": ([1], [7.0])}, "bar",
                categories=("putamen", "caudé"), marks=("normal",),
            ),
        },
        measurements={"volume_ml": 12.5 * factor, "grade": "normal", "count": 3, "unknown_mm": None},
        warnings=["Achtung: größer als üblich"],
        provenance={"method": "demo", "bundle": {"name": "b", "version": "1.2", "weights_sha256": "abcdef0123456789"}},
    )  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made
