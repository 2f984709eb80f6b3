"""The choices of BrainSeg's panel, as they are kept in the scene."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from manabi_slicer.choices import Choice, Device, Precision


class Direction(Choice):
    """In which slices was painted; the value is the method's parameter ``propagate_axis``."""

    AUTO = "auto", _("Find out")
    AXIAL = "axial", _("Axial slices")
    CORONAL = "coronal", _("Coronal slices")
    SAGITTAL = "sagittal", _("Sagittal slices")


class Mode(Choice):
    """What happens to painted slices; the value is the method's parameter ``propagate_mode``."""

    KEEP = "keep", _("Keep what I painted, fill the rest")
    CLEANSE = "cleanse", _("Smooth what I painted as well")


class Structure(Choice):
    """For which structure feature maps are ordered; the value is the method's parameter ``structure``."""

    CEREBRUM = "cerebrum", _("Cerebrum")
    CEREBELLUM = "cerebellum", _("Cerebellum")
    BRAINSTEM = "brainstem", _("Brainstem")
    VENTRICLES = "ventricles", _("Ventricles")
    VESSELS = "vessels", _("Vessels")


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
