"""The simulated patient with the outline of the tumour: image and segmentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer

from manabi_slicer import sample_data

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

SAMPLE = sample_data.Sample(
    title="LungTumour",
    phantom="tumour",
    volumes={"ct": "Lung tumour (simulated)"},
    module="RadiomicsSurvival",
    modality="CT",
    units="HU",
)
"""A simulated patient's tumour of the lung in CT."""
OUTLINE = "tumour"
"""The label map of the phantom."""
COLOR = (0.90, 0.35, 0.20)
NEOPLASM = ("108369006", "SCT", "Neoplasm")
"""The coded type of the segment."""
CLINICAL = ("age_years", "sex", "stage")
"""What the simulation knows of its patient that a model may ask for."""


def register(module_file: str) -> None:
    """List the sample in the Sample Data module; a click there loads image and segmentation.

    Args:
        module_file: ``__file__`` of the module.
    """
    sample_data.register(SAMPLE, module_file)
    for source in slicer.modules.sampleDataSources[sample_data.CATEGORY]:
        if source.sampleName == SAMPLE.title:
            source.customDownloader = lambda source=None: _load_shown()


def _load_shown() -> list[Any]:
    """As the Sample Data module wants it."""
    nodes = sample_data.load_shown(SAMPLE)
    return [*nodes, *([outline(nodes[0])] if nodes else [])]


def load() -> tuple[vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode]:
    """Load the image and the outline of the tumour; raises ManabiError where it could not be simulated."""
    image = sample_data.load(SAMPLE)[0]
    return image, outline(image)


def outline(image: vtkMRMLScalarVolumeNode) -> vtkMRMLSegmentationNode:
    """The true outline of the sample's tumour as a segmentation."""
    from manabi.io import read_volume
    from manabi.result import Code, Labelmap, Segment
    from manabi_slicer import bridge

    folder = sample_data.cached(SAMPLE)
    volume = read_volume(folder / f"{OUTLINE}.nii.gz", name=OUTLINE)
    segments = tuple(
        Segment(int(one["label"]), str(one["name"]), COLOR, Code(*NEOPLASM))
        for one in _labels(folder / f"{OUTLINE}.labels.json")
    )
    name = f"{image.GetName()} segmentation"
    return bridge.labelmap_to_node(Labelmap(volume, segments), name, reference_node=image)


def clinical() -> dict[str, str]:
    """What the simulation knows of its patient."""
    known = sample_data.truth(SAMPLE)
    return {name: str(known[name]) for name in CLINICAL if known.get(name) is not None}


def volume_ml() -> float:
    """True volume of the sample's tumour."""
    return float(sample_data.truth(SAMPLE)["volume_ml"])


def _labels(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))["labels"])
