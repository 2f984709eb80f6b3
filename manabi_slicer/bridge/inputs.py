"""The inputs of a method from the nodes that the user chose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manabi.errors import InvalidInputError
from manabi_slicer.bridge.attributes import is_a
from manabi_slicer.bridge.segmentations import SEGMENTATION, labelmap_from_segmentation
from manabi_slicer.bridge.volumes import volume_from_node

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi.method import InputSpec, Method
    from manabi.volume import Volume


def inputs_from_nodes(method: Method[Any], nodes: Mapping[str, vtkMRMLNode | None]) -> dict[str, Volume]:
    """The volumes a method runs on, named as the method names them.

    A segmentation node is taken as a label map on the grid of the first image among the inputs.

    Args:
        method: whose inputs they are.
        nodes: by input name; None for an optional input that is not given.

    Raises:
        InvalidInputError: for a name that the method does not know, a required input that is missing, or a node that
            cannot be read; the message names the input.
    """
    unknown = sorted(set(nodes) - {spec.name for spec in method.inputs})
    if unknown:
        names = ", ".join(spec.name for spec in method.inputs)
        raise InvalidInputError(f"{method.title} takes {names}; it knows no {', '.join(unknown)}.")
    missing = [spec for spec in method.inputs if not spec.optional and nodes.get(spec.name) is None]
    if missing:
        wanted = "; ".join(f"{spec.name} ({spec.description})" for spec in missing)
        raise InvalidInputError(f"{method.title} needs {wanted}; none was chosen. Choose it, or load it first.")
    given = {spec: node for spec in method.inputs if (node := nodes.get(spec.name)) is not None}
    grid_of = next((node for node in given.values() if not is_a(node, SEGMENTATION)), None)
    return {spec.name: _volume(spec, node, grid_of) for spec, node in given.items()}


def _volume(spec: InputSpec, node: vtkMRMLNode, grid_of: vtkMRMLNode | None) -> Volume:
    try:
        if not is_a(node, SEGMENTATION):
            return volume_from_node(node, name=spec.name)
        if grid_of is None:
            raise InvalidInputError("a segmentation needs an image beside it, whose grid it is put on. Choose one.")
        volume = labelmap_from_segmentation(node, grid_of).volume
        modality = "SEG" if "SEG" in spec.modalities else None
        return volume.like(volume.array, name=spec.name, modality=modality)
    except InvalidInputError as error:
        raise type(error)(f"{spec.name}: {error}") from error
