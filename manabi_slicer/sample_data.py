"""Sample cases for Slicer's Sample Data module: a phantom, simulated on this computer; nothing is downloaded.

The case is simulated once, beside Slicer, and kept in Slicer's cache; loading it again takes a moment.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from manabi.errors import ManabiError, WorkerError
from manabi_slicer import interaction
from manabi_slicer.command import Command

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

    from manabi.result import Segment

CATEGORY = "Manabi"
POLL_S = 0.02
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Sample:
    """A phantom case as a sample.

    Attributes:
        title: what the user clicks, and how the loaded nodes' names begin.
        phantom: name of the phantom in Manabi's registry.
        volumes: node name by the phantom's volume; others are not loaded.
        module: name of the module it is for, whose installation it asks for where something is missing.
        modality: DICOM modality of the volumes.
        units: of their voxels, a DICOM unit.
        seed: which simulated patient.
        labelmaps: node name by the phantom's label map; each is loaded as a segmentation, after the volumes.
        choices: of the phantom, as ``--set`` takes them.
    """

    title: str
    phantom: str
    volumes: Mapping[str, str]
    module: str
    modality: str
    units: str
    seed: int = 1
    labelmaps: Mapping[str, str] = dataclasses.field(default_factory=dict)
    choices: Mapping[str, str] = dataclasses.field(default_factory=dict)


def register(sample: Sample, module_file: str) -> None:
    """List a sample in the Sample Data module; call it when Slicer has started, or from a test.

    Args:
        sample: the case.
        module_file: ``__file__`` of its module, whose icon is shown for it.
    """
    import SampleData

    icon = Path(module_file).resolve().parent / "Resources" / "Icons" / f"{sample.module}.svg"
    logic = SampleData.SampleDataLogic
    if hasattr(logic, "registerCustomSampleDataCategory"):
        logic.registerCustomSampleDataCategory(CATEGORY, title=CATEGORY)
    logic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=sample.title,
        uris=[],
        fileNames=[],
        nodeNames=[],
        loadFiles=[],
        loadFileTypes=[],
        checksums=[],
        thumbnailFileName=str(icon),
        customDownloader=lambda source=None: load_shown(sample),
    )


def load_shown(sample: Sample) -> list[Any]:
    """:func:`load`, with a message box instead of an error where there is somebody to read it."""
    try:
        return load(sample)
    except ManabiError as error:
        if not interaction.can_ask():
            raise
        slicer.util.errorDisplay(str(error), windowTitle=sample.title)
        return []


def load(sample: Sample) -> list[Any]:
    """Load a phantom case, simulated now where the cache has none.

    Returns:
        The volume nodes in the order of ``sample.volumes``, whose attribute ``Manabi.modality`` says what they are;
        then the segmentations in the order of ``sample.labelmaps``, on the first volume.

    Raises:
        CancelledError: when something has to be installed and the user declined.
        ManabiError: when the case could not be simulated.
    """
    from manabi.io import read_volume
    from manabi_slicer import bridge
    from manabi_slicer.install import Installer

    Installer().ensure(sample.module)
    folder = cached(sample)
    nodes: list[Any] = []
    for name, title in sample.volumes.items():
        volume = read_volume(folder / f"{name}.nii.gz", name=name)
        volume = dataclasses.replace(volume, modality=sample.modality, units=sample.units)
        nodes.append(bridge.volume_to_node(volume, title))
    if interaction.has_views() and nodes:
        slicer.util.setSliceViewerLayers(background=nodes[0], fit=True)
    return [*nodes, *(_segmentation(folder, name, title, nodes[0]) for name, title in sample.labelmaps.items())]


def _segmentation(folder: Path, name: str, title: str, image: vtkMRMLScalarVolumeNode) -> vtkMRMLSegmentationNode:
    """A label map of a case as a segmentation, with the phantom's names, colours and codes."""
    from manabi.io import read_volume
    from manabi.result import Labelmap
    from manabi_slicer import bridge

    noted = json.loads((folder / f"{name}.labels.json").read_text(encoding="utf-8"))["labels"]
    volume = read_volume(folder / f"{name}.nii.gz", name=name)
    return bridge.labelmap_to_node(Labelmap(volume, tuple(map(_segment, noted))), title, reference_node=image)


def _segment(noted: dict[str, Any]) -> Segment:
    """A segment as ``manabi.io.labels.labels_json`` wrote it."""
    from manabi.result import Code, Segment

    codes = {key: Code(**noted[key]) for key in ("type", "category", "laterality") if noted.get(key)}
    red, green, blue = noted["color"]
    return Segment(int(noted["label"]), str(noted["name"]), (red, green, blue), **codes)


def cached(sample: Sample) -> Path:
    """The folder of the simulated case in Slicer's cache, filled where it is not there yet."""
    import manabi

    name = "-".join([manabi.__version__, sample.phantom, str(sample.seed), *sample.choices.values()])
    base = Path(str(slicer.app.cachePath)) / f"manabi-{name}"
    case = base / "case-0000"
    if not (case / "case.json").is_file():
        simulate(sample, base)
    return case


def truth(sample: Sample) -> dict[str, Any]:
    """What the simulation knows of its patient (``truth.json``), simulated now where the cache has none."""
    return dict(json.loads((cached(sample) / "truth.json").read_text(encoding="utf-8")))


def simulate(sample: Sample, folder: Path) -> None:
    """Run ``manabi phantom`` beside Slicer and wait for it, while Slicer stays awake.

    Raises:
        WorkerError: with what the command said, when it failed.
    """
    slicer.util.showStatusMessage(_("Simulating the sample patient; this takes some seconds..."))
    qt.QApplication.setOverrideCursor(qt.Qt.WaitCursor)
    ended: list[tuple[int, str]] = []
    arguments = ["phantom", sample.phantom, "--output", str(folder), "--count", "1", "--seed", str(sample.seed)]
    arguments += [word for name, value in sample.choices.items() for word in ("--set", f"{name}={value}")]
    try:
        command = Command(arguments, lambda status, said: ended.append((status, said)))
        while not ended:
            slicer.app.processEvents()
            time.sleep(POLL_S)
    finally:
        qt.QApplication.restoreOverrideCursor()
        slicer.util.showStatusMessage("", 1)
    status, said = ended[0]
    _log.debug("the simulation in process %s ended with status %s", command.pid, status)
    if status != 0:
        raise WorkerError(_("The sample case could not be simulated: {reason}").format(reason=said.strip()))
