"""The choices of NoduleSynth's panel, as they are kept in the scene."""

from enum import Enum
from typing import Annotated

from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from manabi_slicer.choices import Choice, Device, Precision


class Task(Enum):
    """Which part of the panel is open; the value is the method's parameter ``task``."""

    DETECT = "detect"
    SYNTHESISE = "synthesise"


class Base(Choice):
    """What nodules are put in; the value is the method's parameter ``base``."""

    INPUT = "input", _("The film that is chosen above")
    PHANTOM = "phantom", _("Nothing: a simulated patient")
    FLOW = "flow", _("Nothing: a film the flow makes up")


class Density(Choice):
    """Kind of the nodules; the value is the method's parameter ``density``."""

    RANDOM = "random", _("Random")
    SOLID = "solid", _("Solid")
    PART_SOLID = "part_solid", _("Part-solid")
    GROUND_GLASS = "ground_glass", _("Ground glass")


@parameterNodeWrapper
class NoduleSynthParameterNode:
    """Film and options; saved with the scene.

    Attributes:
        task: which part of the panel is open.
        inputVolume: the film.
        model: name of the detector; empty for the default one.
        falsePositives: where the slider stands: false marks per film that are accepted.
        heatOpacityPercent: how much of the heat map is seen over the film.
        limitToLungs: whether marks outside the lungs are left out.
        average: whether the heat map is averaged over small shifts.
        filmMm: length of the film's longer side where its file does not say; 0 takes the file's spacing.
        base: what nodules are put in.
        count: how many nodules; those at ``places`` count.
        diameterMm: of each; 0 is random.
        density: of each.
        places: points that were clicked for nodules, or None.
        randomRatio: whether the part of the interpolation is drawn.
        ratioPercent: part of the interpolation, 0 the film itself, 100 the nodule as it was put in.
        flow: name of the flow; empty for the default one.
        seed: everything random follows from it.
        newSeed: whether the seed goes up by one with every Apply.
        device: where to run.
        precision: arithmetic of the network.
    """

    task: Task = Task.DETECT
    inputVolume: vtkMRMLScalarVolumeNode
    model: str = ""
    falsePositives: Annotated[float, WithinRange(0.05, 4.0)] = 0.2
    heatOpacityPercent: Annotated[float, WithinRange(0, 100)] = 50.0
    limitToLungs: bool = True
    average: bool = False
    filmMm: Annotated[float, WithinRange(0, 600)] = 0.0
    base: Base = Base.INPUT
    count: Annotated[int, WithinRange(0, 10)] = 1
    diameterMm: Annotated[float, WithinRange(0, 40)] = 0.0
    density: Density = Density.RANDOM
    places: vtkMRMLMarkupsFiducialNode
    randomRatio: bool = True
    ratioPercent: Annotated[float, WithinRange(0, 100)] = 70.0
    flow: str = ""
    seed: Annotated[int, WithinRange(0, 1000000)] = 0
    newSeed: bool = True
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
