"""Films as nodes: opened from a file the right way round, and held against the file that Slicer loaded them from.

A radiograph may store bone dark (MONOCHROME1), and what its pixel spacing is worth is in its header. Both are settled
by :mod:`manabi.io.radiograph`, whoever loaded the film.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi.errors import ManabiError
from manabi_slicer import bridge
from manabi_slicer.bridge.attributes import CAUTION, content, set_content
from NoduleSynthLib.tasks import FILM

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

    from manabi.method import Method
    from manabi.volume import Volume

WARNINGS = "film_warnings"
"""What reading had to say, noted on a film that this module opened."""
ALIKE = 0.9
"""Least correlation of a node with its file to be the same film, or with the sign turned its negative (our choice)."""
SAMPLED = 20_000
"""Pixels that are looked at for it."""
OPENED = "ManabiNodule.opened"
"""Attribute of a film that was opened from DICOM: which of :data:`_files` it came from."""
_files: dict[str, Path] = {}
"""DICOM files by a random word, as long as Slicer runs: paths may hold names, so that the scene does not keep them."""
_seen: dict[str, tuple[Any, Facts]] = {}


@dataclass(frozen=True)
class Facts:
    """What is known of a film beside its pixels.

    Attributes:
        negative: whether bone is dark in the node, against what its file says.
        warnings: of reading its file; what the pixel spacing is worth is among them.
        from_file: whether its DICOM file could be looked at.
    """

    negative: bool = False
    warnings: tuple[str, ...] = ()
    from_file: bool = False


def open_film(path: str | Path, name: str = "") -> vtkMRMLScalarVolumeNode:
    """Load a film from DICOM (CR, DX, ...), PNG, JPEG or TIFF; bone is bright whatever the file's polarity.

    Args:
        path: the file.
        name: of the node; by default ``Film``, as a file's name may be a patient's.

    Raises:
        InvalidInputError: where the file is no radiograph.
        DependencyError: where it cannot be decompressed here.
    """
    import slicer

    from manabi.io.radiograph import is_dicom, read_radiograph

    volume = read_radiograph(path)
    node = bridge.volume_to_node(volume, slicer.mrmlScene.GenerateUniqueName(name or _("Film")))
    set_content(node, {**content(node), WARNINGS: list(volume.warnings)})
    if is_dicom(Path(path)):
        word = uuid.uuid4().hex
        _files[word] = Path(path)
        node.SetAttribute(OPENED, word)
    return node


def facts(node: vtkMRMLScalarVolumeNode) -> Facts:
    """What is known of a film; remembered for the one asked for last, while its pixels stay the same."""
    state = (node.GetImageData(), node.GetImageData().GetMTime() if node.GetImageData() is not None else 0)
    known = _seen.get(node.GetID())
    if known is None or known[0] != state:
        found = _facts(node)
        _seen.clear()
        _seen[node.GetID()] = known = (state, found)
    return known[1]


def inputs(method: Method[Any], nodes: Mapping[str, vtkMRMLNode | None]) -> dict[str, Volume]:
    """What a method runs on: the film with bone bright, and with what reading had to say of it.

    Raises:
        InvalidInputError: as :func:`manabi_slicer.bridge.inputs_from_nodes`.
    """
    volumes = bridge.inputs_from_nodes(method, nodes)
    node: Any = nodes.get(FILM)
    if node is None:
        return volumes
    known, volume = facts(node), volumes[FILM]
    if known.negative:
        volume = turned(volume)
    if known.warnings:
        volume = volume.with_warning(*known.warnings)
    return {**volumes, FILM: replace(volume, source=volume.source or _opened_from(node, volume))}


def turned(volume: Volume) -> Volume:
    """The negative of a film between its own least and greatest value, and a warning that says so."""
    import numpy as np

    array = np.asarray(volume.array)
    low, high = array.min(), array.max()
    said = _("Bone was dark in the film as Slicer loaded it; its file says so, and the film was turned round for this.")
    return volume.like((high - array + low).astype(array.dtype), warnings=(*volume.warnings, said))


def facts_text(node: Any, known: Facts | None = None) -> str:
    """Size, spacing and what it is worth, polarity: what the panel says of a film; empty without one."""
    if node is None or node.GetImageData() is None:
        return ""
    known = known or facts(node)
    columns, rows = node.GetImageData().GetDimensions()[:2]
    across, down = node.GetSpacing()[:2]
    size = _("{rows} × {columns} pixels of {down:.3f} × {across:.3f} mm.").format(
        rows=rows, columns=columns, down=down, across=across
    )
    said = list(known.warnings)
    if not said:
        calibrated = known.from_file and not known.warnings
        said = [_("The pixel spacing is the file's, in the patient.") if calibrated else ""]
    if known.negative:
        said.append(_("Slicer shows bone dark; it is taken as bright, as the file says."))
    return " ".join(part for part in (size, *said) if part)


def name_synthetic(outputs: Mapping[str, vtkMRMLNode]) -> None:
    """Say in the name of every synthetic image that it is one: Slicer's own Save writes names, but no such header."""
    for key, node in outputs.items():
        caution = (node.GetAttribute(CAUTION) or "") if key.startswith("volumes/") else ""
        if caution and caution not in node.GetName():
            node.SetName(f"{node.GetName()} ({caution})")


# --- parts ------------------------------------------------------------------------------------------------------------


def _facts(node: Any) -> Facts:
    noted = content(node).get(WARNINGS)
    if noted is not None:
        return Facts(False, tuple(str(text) for text in noted), _path_of(node) is not None)
    read = _file_of(node)
    if read is None:
        return Facts()
    sign = _sign(node, read)
    return Facts(sign < 0, read.warnings if sign else (), bool(sign))


def _path_of(node: Any) -> Path | None:
    """The DICOM file that this module opened a film from, while it is there."""
    path = _files.get(node.GetAttribute(OPENED) or "")
    return path if path is not None and path.is_file() else None


def _file_of(node: Any) -> Volume | None:
    """The film that a node was loaded from, read anew; None where that is not known, or it is no radiograph."""
    from manabi.io.radiograph import read_radiograph
    from manabi_slicer.bridge.dicom import source_of

    source = source_of(node)
    if source is None or len(source.files) != 1:
        return None
    try:
        return read_radiograph(source.files[0])
    except ManabiError:  # such as a CT slice; the method itself will tell what is wrong with it
        return None


def _sign(node: Any, read: Volume) -> int:
    """1 where a node holds the film of the file, -1 where it holds its negative, 0 where it is another image by now."""
    import numpy as np
    import slicer

    array = np.asarray(slicer.util.arrayFromVolume(node), float)
    if array.shape != read.shape or np.ptp(array) == 0 or np.ptp(read.array) == 0:
        return 0
    step = max(array.size // SAMPLED, 1)
    alike = float(np.corrcoef(array.ravel()[::step], np.asarray(read.array, float).ravel()[::step])[0, 1])
    return 1 if alike > ALIKE else -1 if alike < -ALIKE else 0


def _opened_from(node: Any, volume: Volume) -> Any:
    """The DICOM file that this module opened a film from, as the origin of what is made of it; None without one."""
    path = _path_of(node)
    if path is None:
        return None
    from pydicom import dcmread

    from manabi.io.dicom.source import DicomSource

    header = dcmread(path, stop_before_pixels=True, force=True)
    number = header.get("SeriesNumber")
    return DicomSource(
        (path,), str(header.get("SeriesInstanceUID", "")), int(number) if number is not None else None,
        str(header.get("Modality", "")) or None, str(header.get("SOPClassUID", "")),
        (str(header.get("SOPInstanceUID", "")),), volume.shape[0],
    )  # fmt: skip
