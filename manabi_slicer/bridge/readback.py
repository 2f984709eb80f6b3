"""A result read back from its nodes, as after loading a scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from manabi.errors import InvalidInputError
from manabi.result import Labelmap, Result
from manabi.volume import Volume
from manabi_slicer.bridge import dicom
from manabi_slicer.bridge.attributes import INPUT_ROLE, content, is_a
from manabi_slicer.bridge.geometry import ijk_to_local, local_to_world
from manabi_slicer.bridge.landmarks import read_landmarks
from manabi_slicer.bridge.plots import read_plot
from manabi_slicer.bridge.report import read_report
from manabi_slicer.bridge.segmentations import labelmap_on
from manabi_slicer.bridge.tables import read_table
from manabi_slicer.bridge.volumes import volume_from_node

if TYPE_CHECKING:
    from slicer import vtkMRMLNode


def result_from_nodes(outputs: Mapping[str, vtkMRMLNode]) -> Result:
    """The result that the outputs show, with what the user changed in them since.

    Args:
        outputs: nodes by key, as :func:`~manabi_slicer.bridge.find_outputs` gives them.

    Raises:
        InvalidInputError: when there are no outputs, or one cannot be read.
    """
    if not outputs:
        raise InvalidInputError("There is no result to read. Run the method first.")
    result = Result()
    for key, node in outputs.items():
        section, _, name = key.partition("/")
        reader = _READERS.get(section)
        if reader is None:
            raise InvalidInputError(f"Unknown output {key}. Expected one of: {', '.join(_READERS)}.")
        reader(result, name, node)
    return result


def _volume(result: Result, name: str, node: Any) -> None:
    result.volumes[name] = _as_it_was(volume_from_node(node), node)


def _labelmap(result: Result, name: str, node: Any) -> None:
    noted = content(node)
    if not noted:
        raise InvalidInputError(f"The segmentation {name} does not say which grid it was made on. Run again.")
    found = labelmap_on(node, noted["shape"], local_to_world(node) @ _label_grid(node, noted))
    volume = replace(found.volume, modality=noted.get("modality"), units=noted.get("units"))
    result.labelmaps[name] = Labelmap(_as_it_was(volume, node), found.segments)


def _label_grid(node: Any, noted: Mapping[str, Any]) -> np.ndarray:
    """4×4 from IJK of the labels to the space of the segmentation.

    Slicer turns left-handed images over when it loads them; labels on the input's grid then come on what it is now.
    """
    reference = node.GetNodeReference(INPUT_ROLE)
    image = reference.GetImageData() if is_a(reference, "vtkMRMLVolumeNode") else None
    if noted.get("on_input_grid") and image is not None and list(image.GetDimensions()[::-1]) == noted["shape"]:
        return ijk_to_local(reference)
    return np.array(noted["ijk_to_local"], float)


def _landmark(result: Result, name: str, node: Any) -> None:
    found = read_landmarks(node).get(name)
    if found is not None:
        result.landmarks[name] = found


def _table(result: Result, name: str, node: Any) -> None:
    result.tables[name] = read_table(node)


def _plot(result: Result, name: str, node: Any) -> None:
    plot = read_plot(node)
    if plot is not None:
        result.plots[name] = plot


def _measurements(result: Result, name: str, node: Any) -> None:
    result.measurements = {str(row[0]): row[1] for row in read_table(node).rows if len(row) > 1}


def _report(result: Result, name: str, node: Any) -> None:
    said = read_report(node)
    result.warnings, result.provenance = said["warnings"], said["provenance"]


_READERS = {
    "volumes": _volume, "labelmaps": _labelmap, "landmarks": _landmark, "tables": _table, "plots": _plot,
    "measurements": _measurements, "report": _report,
}  # fmt: skip


def _as_it_was(volume: Volume, node: Any) -> Volume:
    """Name, warnings, type and origin that the node cannot hold; the type only where no value changes by it."""
    noted = content(node)
    array = volume.array
    dtype = np.dtype(noted.get("dtype", array.dtype.name))
    if dtype != array.dtype:
        cast = array.astype(dtype)
        array = cast if np.array_equal(cast, array, equal_nan=array.dtype.kind == "f") else array
    source = dicom.source_of(node.GetNodeReference(INPUT_ROLE)) if noted.get("has_source") else None
    return replace(
        volume, array=array, name=noted.get("name", volume.name), warnings=tuple(noted.get("warnings", ())),
        source=source,
    )  # fmt: skip
