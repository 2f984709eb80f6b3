"""The choices of MVCTConvert's panel, as they are kept in the scene."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from manabi_slicer.choices import Choice, Device, Precision


class Kind(Choice):
    """What the input is; the value is the method's parameter ``image``."""

    AUTO = "auto", _("As the model was made for")
    MVCT = "mvct", _("Megavoltage CT")
    CBCT = "cbct", _("Cone-beam CT")


class Converter(Choice):
    """What converts; the value is the method's parameter ``converter``."""

    NETWORK = "network", _("The model")
    HISTOGRAM = "histogram", _("Histogram matching (for comparison)")
    POLYNOMIAL = "polynomial", _("Map of HU values (for comparison)")
    NLM = "nlm", _("Non-local means (for comparison)")
    BM3D = "bm3d", _("BM3D (for comparison)")


class Uncertainty(Choice):
    """How the uncertainty is estimated; the value is the method's parameter ``uncertainty``."""

    NONE = "none", _("None (fastest)")
    FLIPS = "flips", _("From a mirrored copy")
    ENSEMBLE = "ensemble", _("From several models")
    DROPOUT = "dropout", _("From dropout (slow)")


class WayBack(Choice):
    """How the result comes back to the input's grid; the value is the method's parameter ``way_back``."""

    CORRECTION = "correction", _("The input's own, corrected")
    RESAMPLE = "resample", _("The model's, resampled")


class Gate(Choice):
    """What happens to an input that fails the checks; the value is the method's parameter ``gate``."""

    FLAG = "flag", _("Show it with an alert")
    REFUSE = "refuse", _("Refuse the input")


class View(Choice):
    """What the right-hand view shows; of a layer the value is the output's key."""

    CHECKERBOARD = "checkerboard", _("Checkerboard")
    FLICKER = "flicker", _("Flicker")
    BLEND = "blend", _("Blend")
    WIPE = "wipe", _("Wipe")
    DIFFERENCE = "volumes/difference", _("Difference")
    UNCERTAINTY = "volumes/uncertainty", _("Uncertainty")
    RESIDUAL = "volumes/residual", _("Residual")
    EDGES = "volumes/gradient_difference", _("Edges moved")


COMPARISONS = (View.CHECKERBOARD, View.FLICKER, View.BLEND, View.WIPE)
LAYERS = (View.DIFFERENCE, View.UNCERTAINTY, View.RESIDUAL, View.EDGES)


class Against(Choice):
    """What the converted image is compared with."""

    INPUT = "input", _("The input")
    REFERENCE = "reference", _("The planning CT")


class Window(Choice):
    """In which window the converted image is read."""

    SOFT_TISSUE = "soft_tissue", _("Soft tissue (width 400, level 40)")
    BONE = "bone", _("Bone (width 2000, level 500)")
    LUNG = "lung", _("Lung (width 1500, level −500)")
    INPUT = "input", _("The input's own")


@parameterNodeWrapper
class MVCTConvertParameterNode:
    """Inputs, output and options; saved with the scene.

    Attributes:
        inputVolume: the megavoltage or cone-beam CT.
        referenceVolume: planning CT of the same patient, registered, or None.
        outputVolume: where the converted CT goes; None for a new volume.
        model: name of the model; empty for the default one.
        kind: what the input is.
        uncertainty: how it is estimated.
        members: names of further models for an ensemble, separated by commas.
        residual: whether the way back to the input is checked.
        converter: the model, or a classical way.
        strengthPercent: share of the change that is applied.
        keepDetailPercent: share of the input's faint detail that is given back.
        wayBack: how the result comes back to the input's grid.
        bodyOnly: whether everything outside the body stays as in the input.
        gate: what happens to an input that fails the checks.
        density: whether densities are compared.
        dose: whether a simple dose is compared.
        densitySource: CSV of the site for the input's machine; empty for the shipped table.
        densityTarget: CSV of the site for kilovoltage CT; empty for the shipped table.
        device: where to run.
        precision: arithmetic of the network.
        view: what the right-hand view shows.
        against: what the converted image is compared with.
        window: in which the converted image is read.
        showTissues: whether the outlines of the tissues are drawn.
        tileMm: side of a checkerboard's square.
        flickerHz: changes in a second.
        opacityPercent: of what lies on top.
        wipePercent: how much of the width shows the converted image.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    referenceVolume: vtkMRMLScalarVolumeNode
    outputVolume: vtkMRMLScalarVolumeNode
    model: str = ""
    kind: Kind = Kind.AUTO
    uncertainty: Uncertainty = Uncertainty.FLIPS
    members: str = ""
    residual: bool = True
    converter: Converter = Converter.NETWORK
    strengthPercent: Annotated[float, WithinRange(0.0, 100.0)] = 100.0
    keepDetailPercent: Annotated[float, WithinRange(0.0, 100.0)] = 0.0
    wayBack: WayBack = WayBack.CORRECTION
    bodyOnly: bool = True
    gate: Gate = Gate.FLAG
    density: bool = True
    dose: bool = False
    densitySource: str = ""
    densityTarget: str = ""
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    view: View = View.CHECKERBOARD
    against: Against = Against.INPUT
    window: Window = Window.SOFT_TISSUE
    showTissues: bool = False
    tileMm: Annotated[float, WithinRange(5.0, 100.0)] = 30.0
    flickerHz: Annotated[float, WithinRange(0.5, 5.0)] = 2.0
    opacityPercent: Annotated[float, WithinRange(0.0, 100.0)] = 60.0
    wipePercent: Annotated[float, WithinRange(0.0, 100.0)] = 50.0
