"""The choices of MVCTConvert's panel, as they are kept in the scene."""

from enum import Enum
from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from manabi_slicer.choices import Device, Precision


class Kind(Enum):
    """What the input is; the value is the method's parameter ``image``."""

    AUTO = "auto"
    MVCT = "mvct"
    CBCT = "cbct"

    def label(self) -> str:
        """As the user reads it."""
        return {
            Kind.AUTO: _("As the model was made for"),
            Kind.MVCT: _("Megavoltage CT"),
            Kind.CBCT: _("Cone-beam CT"),
        }[self]


class Converter(Enum):
    """What converts; the value is the method's parameter ``converter``."""

    NETWORK = "network"
    HISTOGRAM = "histogram"
    POLYNOMIAL = "polynomial"
    NLM = "nlm"
    BM3D = "bm3d"

    def label(self) -> str:
        """As the user reads it."""
        return {
            Converter.NETWORK: _("The model"),
            Converter.HISTOGRAM: _("Histogram matching (for comparison)"),
            Converter.POLYNOMIAL: _("Map of HU values (for comparison)"),
            Converter.NLM: _("Non-local means (for comparison)"),
            Converter.BM3D: _("BM3D (for comparison)"),
        }[self]


class Uncertainty(Enum):
    """How the uncertainty is estimated; the value is the method's parameter ``uncertainty``."""

    NONE = "none"
    FLIPS = "flips"
    ENSEMBLE = "ensemble"
    DROPOUT = "dropout"

    def label(self) -> str:
        """As the user reads it."""
        return {
            Uncertainty.NONE: _("None (fastest)"),
            Uncertainty.FLIPS: _("From a mirrored copy"),
            Uncertainty.ENSEMBLE: _("From several models"),
            Uncertainty.DROPOUT: _("From dropout (slow)"),
        }[self]


class WayBack(Enum):
    """How the result comes back to the input's grid; the value is the method's parameter ``way_back``."""

    CORRECTION = "correction"
    RESAMPLE = "resample"

    def label(self) -> str:
        """As the user reads it."""
        return {
            WayBack.CORRECTION: _("The input's own, corrected"),
            WayBack.RESAMPLE: _("The model's, resampled"),
        }[self]


class Gate(Enum):
    """What happens to an input that fails the checks; the value is the method's parameter ``gate``."""

    FLAG = "flag"
    REFUSE = "refuse"

    def label(self) -> str:
        """As the user reads it."""
        return {Gate.FLAG: _("Show it with an alert"), Gate.REFUSE: _("Refuse the input")}[self]


class View(Enum):
    """What the right-hand view shows; of a layer the value is the output's key."""

    CHECKERBOARD = "checkerboard"
    FLICKER = "flicker"
    BLEND = "blend"
    WIPE = "wipe"
    DIFFERENCE = "volumes/difference"
    UNCERTAINTY = "volumes/uncertainty"
    RESIDUAL = "volumes/residual"
    EDGES = "volumes/gradient_difference"

    def label(self) -> str:
        """As the user reads it."""
        return {
            View.CHECKERBOARD: _("Checkerboard"),
            View.FLICKER: _("Flicker"),
            View.BLEND: _("Blend"),
            View.WIPE: _("Wipe"),
            View.DIFFERENCE: _("Difference"),
            View.UNCERTAINTY: _("Uncertainty"),
            View.RESIDUAL: _("Residual"),
            View.EDGES: _("Edges moved"),
        }[self]


COMPARISONS = (View.CHECKERBOARD, View.FLICKER, View.BLEND, View.WIPE)
LAYERS = (View.DIFFERENCE, View.UNCERTAINTY, View.RESIDUAL, View.EDGES)


class Against(Enum):
    """What the converted image is compared with."""

    INPUT = "input"
    REFERENCE = "reference"

    def label(self) -> str:
        """As the user reads it."""
        return {Against.INPUT: _("The input"), Against.REFERENCE: _("The planning CT")}[self]


class Window(Enum):
    """In which window the converted image is read."""

    SOFT_TISSUE = "soft_tissue"
    BONE = "bone"
    LUNG = "lung"
    INPUT = "input"

    def label(self) -> str:
        """As the user reads it."""
        return {
            Window.SOFT_TISSUE: _("Soft tissue (width 400, level 40)"),
            Window.BONE: _("Bone (width 2000, level 500)"),
            Window.LUNG: _("Lung (width 1500, level −500)"),
            Window.INPUT: _("The input's own"),
        }[self]


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
        wayBack: how the result comes back to the input's grid.
        bodyOnly: whether everything outside the body stays as in the input.
        gate: what happens to an input that fails the checks.
        density: whether densities are compared.
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
    wayBack: WayBack = WayBack.CORRECTION
    bodyOnly: bool = True
    gate: Gate = Gate.FLAG
    density: bool = True
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
