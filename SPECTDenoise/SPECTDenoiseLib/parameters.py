"""The choices of SPECTDenoise's panel, as they are kept in the scene."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from manabi_slicer.choices import Choice, Device, Precision


class Denoiser(Choice):
    """What denoises; the value is the method's parameter ``denoiser``."""

    NETWORK = "network", _("The model")
    GAUSSIAN = "gaussian", _("Gaussian filter (for comparison)")
    BILATERAL = "bilateral", _("Bilateral filter (for comparison)")
    NLM = "nlm", _("Non-local means (for comparison)")
    BM3D = "bm3d", _("BM3D (for comparison)")


class Region(Choice):
    """Reference region of the binding ratio; the value is the method's parameter ``reference``."""

    OCCIPITAL = "occipital", _("Occipital cortex")
    WHOLE_BRAIN = "whole_brain", _("Whole brain")


class Layer(Choice):
    """What the right-hand view shows; the value is the output's key."""

    DIFFERENCE = "volumes/difference", _("Difference")
    UNCERTAINTY = "volumes/uncertainty", _("Uncertainty")


@parameterNodeWrapper
class SPECTDenoiseParameterNode:
    """Inputs, output and options; saved with the scene.

    Attributes:
        inputVolume: the 5-minute scan.
        referenceVolume: the same patient's 25-minute scan, or None.
        outputVolume: where the denoised scan goes; None for a new volume.
        model: name of the model; empty for the default one.
        denoiser: the model, or a classical filter.
        region: reference region of the binding ratios.
        ageYears: of the patient; 0 where it is not given.
        norms: JSON file with the site's normal values; empty for the shipped ones.
        alertZ: over-correction alert above so many standard errors.
        device: where to run.
        precision: arithmetic of the network.
        layer: what the right-hand view shows.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    referenceVolume: vtkMRMLScalarVolumeNode
    outputVolume: vtkMRMLScalarVolumeNode
    model: str = ""
    denoiser: Denoiser = Denoiser.NETWORK
    region: Region = Region.OCCIPITAL
    ageYears: Annotated[int, WithinRange(0, 120)] = 0
    norms: str = ""
    alertZ: Annotated[float, WithinRange(0.5, 20.0)] = 2.5
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    layer: Layer = Layer.DIFFERENCE
