"""The choices of SliceMarker's panel, as they are kept in the scene."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from manabi_slicer.choices import Choice, Device, Precision


class Slices(Choice):
    """Which slices represent the chest; the value is the method's parameter ``representative``."""

    THREE = "3", _("3: at the markers")
    FIVE = "5", _("5: also half way between")
    NINE = "9", _("9: also the quarters between")
    COUNT = "count", _("A number of slices")
    SPACING = "spacing", _("One every so many mm")


class Finder(Choice):
    """What finds the markers; the value is the method's parameter ``finder``."""

    NETWORK = "network", _("The model")
    RULES = "rules", _("Tracking of airway and lungs (for comparison)")


@parameterNodeWrapper
class SliceMarkerParameterNode:
    """Input and options; saved with the scene.

    Attributes:
        inputVolume: CT of the chest, or of a part of it.
        model: name of the model; empty for the default one.
        slices: which slices represent the chest.
        count: how many (``slices`` is ``COUNT``).
        spacingMm: distance between them (``slices`` is ``SPACING``).
        minConfidencePercent: less confident markers are flagged for checking.
        finder: the model, or tracking of airway and lungs.
        rulesCheck: whether the model is compared with that tracking.
        exhaustive: whether every slice is looked at.
        uids: whether the tables list the SOP instance UID of each slice.
        device: where to run.
        precision: arithmetic of the network.
        editMarkers: whether the markers can be moved.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    model: str = ""
    slices: Slices = Slices.THREE
    count: Annotated[int, WithinRange(2, 500)] = 9
    spacingMm: Annotated[float, WithinRange(0.5, 500.0)] = 20.0
    minConfidencePercent: Annotated[int, WithinRange(0, 100)] = 50
    finder: Finder = Finder.NETWORK
    rulesCheck: bool = True
    exhaustive: bool = False
    uids: bool = False
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    editMarkers: bool = False
