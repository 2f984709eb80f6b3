"""What came of propagating painted slices: a preview, which is accepted or discarded, or the segments themselves.

What comes back from the method is put on the segments' own grid, with every painted slice as it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from BrainSegLib import grids, segments
from BrainSegLib.painted import Painted, labels_of
from BrainSegLib.tasks import PREVIEW, PROPAGATE
from manabi.errors import InvalidInputError
from manabi_slicer import bridge
from manabi_slicer.bridge import undoing
from manabi_slicer.bridge.attributes import content, set_content

if TYPE_CHECKING:
    import numpy as np
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

    from manabi.result import Labelmap, Result, Segment
    from manabi_slicer.logic import Nodes
    from manabi_slicer.watch import Watch

NOTE = "propagation"
"""What a preview notes of where it belongs."""
TARGET_ROLE = "Manabi.target"
"""Node reference from a preview to the segmentation that it was made for."""
TINT = 0.45
"""How much of white is mixed into a segment's colour for its preview (our choice)."""


def keep(logic: Any, result: Result, painted: Painted, watch: Watch | None = None) -> Nodes:
    """Put the outcome into the scene: as a preview, or, where none was wanted, into the segments at once.

    Args:
        logic: the module's.
        result: of the method.
        painted: what was asked for.
        watch: tells whether the image was moved meanwhile, or None.

    Returns:
        The output nodes by key; the preview is ``labelmaps/propagated``.

    Raises:
        InvalidInputError: when the segmentation or a segment was removed meanwhile; nothing was changed then.
    """
    labelmap = preview_of(result, painted)
    if watch is not None and painted.image.GetScene() is slicer.mrmlScene:
        result = watch.follow(result, painted.image)
    labelmaps = {"propagated": labelmap} if painted.preview else {}
    outputs = logic.keep(dataclasses.replace(result, labelmaps=labelmaps), [painted.image])
    if painted.preview:
        _note(outputs[PREVIEW], painted)
        return outputs
    found = labelmap.volume.array
    masks = {one: found == number for number, one in enumerate(painted.segment_ids, 1)}
    with _change(painted.image, logic.keyOf(PROPAGATE)) as change:
        _write(change, painted.segmentation, masks, _About.of(painted))
    return outputs


def preview_of(result: Result, painted: Painted) -> Labelmap:
    """The outcome on the segments' grid, painted slices as they are; one label for each segment.

    Raises:
        InvalidInputError: when the segmentation or a segment was removed meanwhile.
    """
    import numpy as np

    from manabi.result import Labelmap
    from manabi.volume import Volume

    _still_there(painted.segmentation, painted.segment_ids)
    found = result.labelmaps["propagated"].volume.array
    out = grids.refined(found, painted.back).astype(np.uint8)
    grid = painted.lattice.grid(painted.segmentation)
    if painted.keep:
        where = _About.of(painted).where
        out[where] = labels_of(painted.segmentation, painted.segment_ids, grid)[0][where]
    volume = Volume(out, grid.ijk_to_ras, modality="SEG", name="propagated")
    return Labelmap(volume, _described(painted.segmentation, painted.segment_ids, volume))


def accept(image: vtkMRMLScalarVolumeNode, outputs: Mapping[str, Any], key: str) -> vtkMRMLSegmentationNode:
    """Put a preview into the segments that it was made for, and take it away; undo brings both back.

    What was painted in the meantime on the painted slices stays as well.

    Args:
        image: that was segmented.
        outputs: of the propagation.
        key: under which the outputs are found in the scene.

    Returns:
        The segmentation that was changed.

    Raises:
        InvalidInputError: when there is no preview, or its segments are gone; nothing was changed then.
    """
    preview = outputs.get(PREVIEW)
    about = content(preview).get(NOTE) if preview is not None else None
    if preview is None or about is None:
        raise InvalidInputError(_("There is no preview to accept. Press Propagate first."))
    target = preview.GetNodeReference(TARGET_ROLE)
    noted = _About.read(about)
    _still_there(target, noted.segment_ids)
    grid = noted.lattice.grid(target)
    shown = bridge.segment_names(preview)
    masks = {
        one: segments.mask_of(preview, f"Segment_{number}", grid)
        for number, one in enumerate(noted.segment_ids, 1)
        if f"Segment_{number}" in shown  # the user may have removed it from the preview
    }
    with _change(image, key) as change:
        _write(change, target, masks, noted)
        change.remove(preview)
    return target


def discard(image: vtkMRMLScalarVolumeNode, outputs: Mapping[str, Any], key: str) -> None:
    """Take a preview away; undo brings it back.

    Raises:
        InvalidInputError: when there is none.
    """
    if outputs.get(PREVIEW) is None:
        raise InvalidInputError(_("There is no preview to discard."))
    with _change(image, key) as change:
        change.remove(outputs[PREVIEW])


def copy_to_correct(automatic: vtkMRMLSegmentationNode | None) -> vtkMRMLSegmentationNode:
    """A copy of the automatic result that the user corrects; the result itself stays to compare with.

    Raises:
        InvalidInputError: when there is no automatic result.
    """
    if automatic is None:
        raise InvalidInputError(_("There is no automatic result yet. Press Apply first."))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.GetSegmentation().DeepCopy(automatic.GetSegmentation())
    node.SetName(slicer.mrmlScene.GenerateUniqueName(_("{name} to correct").format(name=automatic.GetName())))
    node.SetAndObserveTransformNodeID(automatic.GetTransformNodeID())
    role = node.GetReferenceImageGeometryReferenceRole()
    node.SetNodeReferenceID(role, automatic.GetNodeReferenceID(role))
    node.CreateDefaultDisplayNodes()
    return node


# --- parts ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _About:
    """Which voxels of which segments an outcome is for."""

    segment_ids: tuple[str, ...]
    lattice: segments.Lattice
    axis: int
    slices: tuple[int, ...]
    keep: bool

    @classmethod
    def of(cls, painted: Painted) -> _About:
        return cls(painted.segment_ids, painted.lattice, painted.axis, painted.slices, painted.keep)

    @classmethod
    def read(cls, noted: Mapping[str, Any]) -> _About:
        """What :meth:`noted` wrote."""
        import numpy as np

        first, shape = (tuple(int(n) for n in noted[name]) for name in ("first", "shape"))
        lattice = segments.Lattice(np.array(noted["matrix"], float), first, shape)  # type: ignore[arg-type]
        return cls(tuple(noted["segments"]), lattice, noted["axis"], tuple(noted["slices"]), noted["keep"])

    @property
    def where(self) -> tuple[Any, ...]:
        """The painted slices, as an index of an array on the lattice."""
        return tuple(list(self.slices) if axis == self.axis else slice(None) for axis in range(3))

    def noted(self) -> dict[str, Any]:
        """As JSON."""
        return {"segments": list(self.segment_ids), "axis": self.axis, "slices": list(self.slices), "keep": self.keep,
                "matrix": self.lattice.matrix.tolist(), "first": list(self.lattice.first),
                "shape": list(self.lattice.shape)}  # fmt: skip


class _change(segments.SegmentChange):  # noqa: N801
    """A change that the Undo button takes back once it went well, and that leaves nothing where it did not."""

    def __init__(self, image: vtkMRMLScalarVolumeNode, key: str) -> None:
        super().__init__()
        self._image, self._key = image, key

    def __enter__(self) -> _change:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is not None:
            self.roll_back()
        else:
            undoing.remember(self, self._image, self._key)


def _write(
    change: segments.SegmentChange, target: Any, masks: Mapping[str, np.ndarray], about: _About
) -> None:  # fmt: skip
    """Give the segments their masks; each keeps its own painted slices, also where two of them overlap there."""
    grid = about.lattice.grid(target)
    for one, mask in masks.items():
        if about.keep:
            mask[about.where] = segments.mask_of(target, one, grid)[about.where]
        change.write(target, one, mask, about.lattice)


def _note(node: vtkMRMLSegmentationNode, painted: Painted) -> None:
    """Note on a preview where it belongs, so that it can be accepted later, also after the scene was saved."""
    set_content(node, {**content(node), NOTE: _About.of(painted).noted()})
    node.SetNodeReferenceID(TARGET_ROLE, painted.segmentation.GetID())


def _still_there(node: Any, segment_ids: Sequence[str]) -> None:
    names = bridge.segment_names(node) if node is not None and node.GetScene() is slicer.mrmlScene else {}
    if any(one not in names for one in segment_ids):
        raise InvalidInputError(
            _("The painted segments were removed from the scene. Choose others, and press Propagate again.")
        )


def _described(node: Any, segment_ids: Sequence[str], volume: Any) -> tuple[Segment, ...]:
    """Segments of the preview: the names say what they are, the colours are lighter ones, the codes are the same."""
    from manabi_slicer.bridge.segmentations import labelmap_on

    found = labelmap_on(node, (1, 1, 1), volume.ijk_to_ras, segment_ids).segments
    return tuple(
        dataclasses.replace(
            one, label=number, name=_("{name} (propagated)").format(name=one.name),
            color=(_lighter(one.color[0]), _lighter(one.color[1]), _lighter(one.color[2])),
        )
        for number, one in enumerate(found, 1)
    )  # fmt: skip


def _lighter(part: float) -> float:
    return part + TINT * (1.0 - part)
