"""The choices of BrainSeg's panel, as they are kept in the scene."""

from enum import Enum
from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from manabi_slicer.choices import Device, Precision


class Direction(Enum):
    """In which slices was painted; the value is the method's parameter ``propagate_axis``."""

    AUTO = "auto"
    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    def label(self) -> str:
        """As the user reads it."""
        return {
            Direction.AUTO: _("Find out"),
            Direction.AXIAL: _("Axial slices"),
            Direction.CORONAL: _("Coronal slices"),
            Direction.SAGITTAL: _("Sagittal slices"),
        }[self]


class Mode(Enum):
    """What happens to painted slices; the value is the method's parameter ``propagate_mode``."""

    KEEP = "keep"
    CLEANSE = "cleanse"

    def label(self) -> str:
        """As the user reads it."""
        return {
            Mode.KEEP: _("Keep what I painted, fill the rest"),
            Mode.CLEANSE: _("Smooth what I painted as well"),
        }[self]


class Structure(Enum):
    """For which structure feature maps are ordered; the value is the method's parameter ``structure``."""

    CEREBRUM = "cerebrum"
    CEREBELLUM = "cerebellum"
    BRAINSTEM = "brainstem"
    VENTRICLES = "ventricles"
    VESSELS = "vessels"

    def label(self) -> str:
        """As the user reads it."""
        return {
            Structure.CEREBRUM: _("Cerebrum"),
            Structure.CEREBELLUM: _("Cerebellum"),
            Structure.BRAINSTEM: _("Brainstem"),
            Structure.VENTRICLES: _("Ventricles"),
            Structure.VESSELS: _("Vessels"),
        }[self]


@parameterNodeWrapper
class BrainSegParameterNode:
    """Inputs and options; saved with the scene.

    Attributes:
        inputVolume: the MR.
        secondVolume: another contrast of the same patient, or None.
        cerebrum: whether it is segmented; likewise the other four.
        model: name of the model; empty for the default one.
        minConfidencePercent: structures that are less sure are flagged.
        fine: whether a second stage looks at 1 mm.
        device: where to run.
        precision: arithmetic of the network.
        showConfidence: whether the confidence lies over the image.
        segmentation: holds the painted segments.
        segments: identifiers of those that are propagated.
        changedOnly: whether only slices that differ from the automatic result count as painted.
        direction: of the painted slices.
        mode: whether they stay as they are.
        preview: whether the outcome is shown before it goes into the segment.
        showUncertainty: whether the uncertainty of the propagation lies over the image.
        showUnknowable: whether the map of what cannot be known lies over the synthetic image.
        layer: of the network, whose feature maps are made; empty for none yet.
        structure: for which they are ordered.
        count: how many.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    secondVolume: vtkMRMLScalarVolumeNode
    cerebrum: bool = True
    cerebellum: bool = True
    brainstem: bool = True
    ventricles: bool = True
    vessels: bool = True
    model: str = ""
    minConfidencePercent: Annotated[int, WithinRange(0, 100)] = 60
    fine: bool = True
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    showConfidence: bool = False
    segmentation: vtkMRMLSegmentationNode
    segments: list[str]
    changedOnly: bool = False
    direction: Direction = Direction.AUTO
    mode: Mode = Mode.KEEP
    preview: bool = True
    showUncertainty: bool = False
    showUnknowable: bool = True
    layer: str = ""
    structure: Structure = Structure.CEREBRUM
    count: Annotated[int, WithinRange(1, 64)] = 8
