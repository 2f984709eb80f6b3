"""Painted slices as the method takes them: which ones they are, and on which grid it works.

The method gets the painted slices on the image's grid. Where the segments' own grid is turned against the image, the
image is put on that grid instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from BrainSegLib import grids, segments
from BrainSegLib.tasks import PROPAGATE
from manabi.errors import InvalidInputError
from manabi_slicer import bridge
from manabi_slicer.request import Request

if TYPE_CHECKING:
    import numpy as np
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

    from manabi.geometry import Grid


@dataclasses.dataclass(frozen=True)
class Painted:
    """What was painted when the run was asked for.

    Attributes:
        image: the volume in the scene that the outcome belongs to.
        segmentation: the user's.
        segment_ids: what is propagated; the n-th has label n.
        lattice: of the segments.
        axis: array axis (KJI) of the lattice across which the slices lie.
        slices: along it, those that are painted.
        keep: whether they stay as they are.
        preview: whether the outcome waits to be accepted.
        back: how the lattice runs along the grid that the method works on.
    """

    image: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    segment_ids: tuple[str, ...]
    lattice: segments.Lattice
    axis: int
    slices: tuple[int, ...]
    keep: bool
    preview: bool
    back: grids.Along


@dataclasses.dataclass(frozen=True)
class PropagateRequest(Request):
    """A run that propagates painted slices."""

    painted: Painted | None = None


@dataclasses.dataclass(frozen=True)
class Wanted:
    """How to propagate: direction (``auto`` or a plane), whether to keep painted slices and to show a preview."""

    axis: str = "auto"
    keep: bool = True
    preview: bool = True


def request_for(
    request: Request, segmentation: vtkMRMLSegmentationNode | None, segment_ids: Sequence[str], wanted: Wanted,
    automatic: vtkMRMLSegmentationNode | None = None,
) -> PropagateRequest:  # fmt: skip
    """What a run of the method needs.

    Args:
        request: image, second contrast, model and device.
        segmentation: with the painted segments; they are not changed.
        segment_ids: which ones.
        wanted: how.
        automatic: result to compare with, and to begin from: only slices that differ from it count as painted; None
            for all slices.

    Raises:
        InvalidInputError: when there is nothing painted, or it cannot be read.
    """
    image = request.nodes.get("image")
    if image is None or segmentation is None or not segment_ids:
        raise InvalidInputError(_("Choose the image, a segmentation and at least one of its segments to propagate."))
    lattice = segments.lattice_of(segmentation, segment_ids, image)
    grid = lattice.grid(segmentation)
    labels, axis, slices = _slices(segmentation, segment_ids, grid, wanted.axis, automatic)
    working, turned = _working_grid(image, grid)
    there, back = _aligned(working, grid), _aligned(grid, working)
    painted = Painted(
        image, segmentation, tuple(segment_ids), lattice, axis, slices, wanted.keep, wanted.preview, back
    )  # fmt: skip
    base = {field.name: getattr(request, field.name) for field in dataclasses.fields(Request)}
    base["nodes"] = {
        **request.nodes, "image": image if turned is None else turned,
        "painted": _label_node(grids.voted(labels, there, axis, slices), working),
        **_start(automatic, segment_ids, grid, working, there),
    }  # fmt: skip
    base["parameters"] = {
        **request.parameters, "task": PROPAGATE, "propagate_mode": "keep" if wanted.keep else "cleanse",
        "propagate_axis": grids.plane_of(working, there.axes.index(axis)),
    }  # fmt: skip
    return PropagateRequest(**base, painted=painted)


def labels_of(
    node: vtkMRMLSegmentationNode, segment_ids: Sequence[str], grid: Grid, automatic: Any = None
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Labels 1, 2, 3, ... of segments, and where something is painted, or differs from the automatic result.

    Args:
        node: the segmentation.
        segment_ids: in the order of the labels; where they overlap the later one wins.
        grid: of the segments, in the patient.
        automatic: result to compare with, or None.

    Returns:
        Two arrays on the grid, KJI: the labels, and a mask.
    """
    import numpy as np

    labels = np.zeros(grid.shape, np.uint8)
    given = np.zeros(grid.shape, bool)
    known = bridge.segment_names(automatic)
    for number, one in enumerate(segment_ids, 1):
        mask = segments.mask_of(node, one, grid)
        labels[mask] = number
        given |= mask ^ segments.mask_of(automatic, one, grid) if one in known else mask
    return labels, given


# --- parts ------------------------------------------------------------------------------------------------------------


def _slices(
    node: vtkMRMLSegmentationNode, segment_ids: Sequence[str], grid: Grid, plane: str, automatic: Any
) -> tuple[np.ndarray, int, tuple[int, ...]]:  # fmt: skip
    """Labels of the painted slices alone, the array axis they lie across, and which they are."""
    labels, given = labels_of(node, segment_ids, grid, automatic)
    if not given.any():
        raise InvalidInputError(
            _("Expected painted slices; the chosen segments are empty. Paint every fifth or tenth slice first.")
            if automatic is None
            else _("No slice differs from the automatic result. Correct some slices first.")
        )
    axis = grids.painted_axis(given) if plane == "auto" else grids.axis_of(grid, plane)
    slices = tuple(grids.slices_with(given, axis))
    others = [n for n in range(grid.shape[axis]) if n not in set(slices)]
    labels[tuple(others if a == axis else slice(None) for a in range(3))] = 0
    return labels, axis, slices


def _aligned(grid: Grid, other: Grid) -> grids.Along:
    found = grids.along(grid, other)
    if found is None:
        raise InvalidInputError(_("The segments and the image cannot be brought on one grid. Check their transforms."))
    return found


def _working_grid(image: Any, grid: Grid) -> tuple[Grid, Any]:
    """The grid that the method works on, and the image on it where that is not the image's own (a node in no scene)."""
    from manabi_slicer.bridge import volume_from_node
    from manabi_slicer.bridge.geometry import ijk_to_world
    from manabi_slicer.bridge.volumes import fill_node, image_from

    shape = image.GetImageData().GetDimensions()[::-1]
    own = type(grid)(shape, ijk_to_world(image))
    if grids.along(grid, own) is not None and grids.along(own, grid) is not None:
        return own, None
    volume = volume_from_node(image, name="image")
    turned = volume.resampled(grid, "linear", fill=float(volume.array.min()))
    node = slicer.vtkMRMLScalarVolumeNode()
    fill_node(node, turned, image_from(turned.array), turned.ijk_to_ras)
    return grid, node


def _start(
    automatic: Any, segment_ids: Sequence[str], grid: Grid, working: Grid, there: grids.Along
) -> dict[str, Any]:  # fmt: skip
    """The automatic result as the input that the method begins from; nothing without one."""
    known = bridge.segment_names(automatic)
    if not known:
        return {}
    import numpy as np

    labels = np.zeros(grid.shape, np.uint8)
    for number, one in enumerate(segment_ids, 1):
        if one in known:
            labels[segments.mask_of(automatic, one, grid)] = number
    return {"start": _label_node(grids.voted(labels, there), working)}


def _label_node(labels: np.ndarray, grid: Grid) -> Any:
    """A label map as the method's input, in no scene."""
    from manabi.volume import Volume
    from manabi_slicer.bridge.volumes import fill_node, image_from

    node = slicer.vtkMRMLLabelMapVolumeNode()
    fill_node(node, Volume(labels, grid.ijk_to_ras, modality="SEG"), image_from(labels), grid.ijk_to_ras)
    return node
