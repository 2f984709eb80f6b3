"""Segments as the method takes them: one label each, with the name that the user gave it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from manabi.errors import InvalidInputError
from manabi_slicer import bridge
from manabi_slicer.bridge.attributes import METHOD, is_a
from RadiomicsSurvivalLib.tasks import SegmentsRequest

if TYPE_CHECKING:
    import numpy as np
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

SEGMENTATION = "vtkMRMLSegmentationNode"


def drawn() -> list[vtkMRMLSegmentationNode]:
    """The segmentations of the scene that are no output of Manabi."""
    return [node for node in slicer.util.getNodesByClass(SEGMENTATION) if not node.GetAttribute(METHOD)]


def prepared(request: Any) -> Any:
    """A request whose segmentation is a label map with the chosen segments, on the image's grid.

    Segments are read one by one, so that those that are not chosen hide nothing of those that are.

    Args:
        request: any; what holds no segmentation comes back as it is.

    Raises:
        InvalidInputError: when chosen segments are empty, overlap or are not there.
    """
    image, node = request.nodes.get("image"), request.nodes.get("mask")
    if not isinstance(request, SegmentsRequest) or image is None or not is_a(node, SEGMENTATION):
        return request
    labels, names = labels_on(node, image, request.segment_ids)
    given = "".join(f"{number}={name.replace(';', ',').strip()};" for number, name in enumerate(names, 1))
    return dataclasses.replace(
        request, nodes={**request.nodes, "mask": _label_node(labels, image)},
        parameters={**request.parameters, "segments": "all", "segment_names": given},
    )  # fmt: skip


def labels_on(
    node: vtkMRMLSegmentationNode, image: vtkMRMLScalarVolumeNode, segment_ids: Sequence[str] | None
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """Labels 1, 2, 3, ... on an image's grid, KJI, and the names of their segments.

    Args:
        node: the segmentation.
        image: whose grid is taken.
        segment_ids: which segments; None for all that hold something there.

    Raises:
        InvalidInputError: for unknown or empty segments, and where two of them overlap.
    """
    import numpy as np

    from manabi_slicer.bridge import labelmap_from_segmentation

    known = bridge.segment_names(node)
    _check(list(known) if segment_ids is None else segment_ids, known)
    labels = np.zeros(image.GetImageData().GetDimensions()[::-1], np.uint16)
    names: list[str] = []
    for one in known if segment_ids is None else segment_ids:
        mask = np.asarray(labelmap_from_segmentation(node, image, [one]).volume.array) > 0
        if not mask.any():
            if segment_ids is None:
                continue
            raise InvalidInputError(
                _("The segment {name} is empty on this image. Paint it, or uncheck it.").format(name=known[one])
            )
        if (labels[mask] > 0).any():
            other = names[int(labels[mask].max()) - 1]
            raise InvalidInputError(
                _("The segments {one} and {other} overlap: check one of them, run, then the other one.").format(
                    one=other, other=known[one]
                )
            )
        names.append(known[one])
        labels[mask] = len(names)
    if not names:
        raise InvalidInputError(_("All segments are empty on this image. Paint the tumour in Segment Editor first."))
    return labels, _told_apart(names)


def _check(segment_ids: Sequence[str], known: dict[str, str]) -> None:
    if unknown := [one for one in segment_ids if one not in known]:
        raise InvalidInputError(
            _("The segmentation has no segment {names}. Choose among {known}.").format(
                names=", ".join(unknown), known=", ".join(known) or _("none")
            )
        )
    if not segment_ids:
        raise InvalidInputError(_("Choose at least one segment to measure."))


def _told_apart(names: list[str]) -> list[str]:
    """Names of which none comes twice, and none is empty."""
    found: list[str] = []
    for name in names:
        base, count = name.strip() or _("segment"), 2
        candidate = base
        while candidate in found:
            candidate, count = f"{base} ({count})", count + 1
        found.append(candidate)
    return found


def _label_node(labels: np.ndarray, image: vtkMRMLScalarVolumeNode) -> Any:
    """A label map as the method's input, in no scene."""
    from manabi.volume import Volume
    from manabi_slicer.bridge.geometry import ijk_to_world
    from manabi_slicer.bridge.volumes import fill_node, image_from

    node = slicer.vtkMRMLLabelMapVolumeNode()
    matrix = ijk_to_world(image)
    fill_node(node, Volume(labels, matrix, modality="SEG"), image_from(labels), matrix)
    return node
