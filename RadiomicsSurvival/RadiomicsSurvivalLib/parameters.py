"""The choices of RadiomicsSurvival's panel, as they are kept in the scene."""

from enum import Enum
from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from manabi_slicer.choices import Choice


class Task(Enum):
    """Which part of the panel is open; the value is the method's parameter ``task``."""

    FEATURES = "features"
    RISK = "predict"
    COHORT = "fit"


class Preset(Choice):
    """Settings of the extraction; the value is the method's parameter ``preset``."""

    DEFAULT = "default", _("IBSI, usual settings")
    PYRADIOMICS = "pyradiomics", _("As pyradiomics does")
    PAPER = "paper-744", _("The study's 744 wavelet features")
    IBSI_A = "ibsi-a", _("IBSI configuration A")
    IBSI_B = "ibsi-b", _("IBSI configuration B")
    IBSI_C = "ibsi-c", _("IBSI configuration C")
    IBSI_D = "ibsi-d", _("IBSI configuration D")
    IBSI_E = "ibsi-e", _("IBSI configuration E")


class Engine(Choice):
    """Who computes; the value is the method's parameter ``engine``."""

    MANABI = "manabi", _("Manabi")
    PYRADIOMICS = "pyradiomics", _("pyradiomics, where it is installed")


class Outcome(Choice):
    """What a cohort's patients are told apart by."""

    SURVIVAL = "survival", _("Survival (time and event)")
    LABEL = "label", _("Grade or another label")


class TimeUnit(Choice):
    """Unit of the follow-up time; the value is the method's parameter ``time_unit``."""

    DAYS = "days", _("days")
    WEEKS = "weeks", _("weeks")
    MONTHS = "months", _("months")
    YEARS = "years", _("years")


class ModelKind(Choice):
    """Kind of model that is fitted; the value is the method's parameter ``model``."""

    ELASTIC_NET = "elastic_net", _("Elastic net")
    LASSO = "lasso", _("Lasso")
    RIDGE = "ridge", _("Ridge")
    FOREST = "forest", _("Random forest")
    BOOSTING = "boosting", _("Boosted trees")


class ModelBlock(Choice):
    """Which of the compared models is saved; the value is the method's parameter ``block``."""

    COMBINED = "combined", _("Clinical data, volume and radiomics")
    RADIOMICS = "radiomics", _("Radiomics alone")
    CLINICAL = "clinical", _("Clinical data alone")
    VOLUME = "volume", _("Volume alone")


@parameterNodeWrapper
class RadiomicsSurvivalParameterNode:
    """Inputs and options; saved with the scene.

    Attributes:
        task: which part of the panel is open.
        inputVolume: the image.
        secondVolume: a second image of the patient, or None.
        segmentation: holds the segments.
        leftOut: identifiers of the segments that are not measured; new ones are.
        preset: settings of the extraction; likewise ``binWidth`` to ``engine``, 0 where the preset's are kept.
        model: name of the model; empty for the default one.
        clinical: the patient's values, as the method takes them.
        centre: of the image; empty where it is not given.
        featuresCsv: table of a cohort; likewise ``outcomesCsv``.
        outcome: survival or a label, in the columns that follow.
        clinicalColumns: of the cohort, as the method takes them.
        modelKind: what is fitted; ``modelBlock`` is what is saved.
        bundleName: of the fitted model; ``bundlePlace`` is the folder in which it gets its own.
        fittedFolder: of the model that was fitted last; empty where none was saved.
        seed: everything random follows from it.
    """

    task: Task = Task.FEATURES
    inputVolume: vtkMRMLScalarVolumeNode
    secondVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    leftOut: list[str]
    preset: Preset = Preset.DEFAULT
    binWidth: Annotated[float, WithinRange(0, 100000)] = 0.0
    binCount: Annotated[int, WithinRange(0, 4096)] = 0
    resampleMm: Annotated[float, WithinRange(0, 20)] = 0.0
    wavelets: bool = False
    engine: Engine = Engine.MANABI
    model: str = ""
    clinical: str = ""
    centre: str = ""
    featuresCsv: str = ""
    outcomesCsv: str = ""
    patientColumn: str = "case"
    outcome: Outcome = Outcome.SURVIVAL
    timeColumn: str = "time_days"
    timeUnit: TimeUnit = TimeUnit.DAYS
    eventColumn: str = "event"
    labelColumn: str = ""
    labelLevels: str = ""
    clinicalColumns: str = ""
    centreColumn: str = ""
    modelKind: ModelKind = ModelKind.ELASTIC_NET
    modelBlock: ModelBlock = ModelBlock.COMBINED
    folds: Annotated[int, WithinRange(2, 50)] = 5
    repeats: Annotated[int, WithinRange(1, 200)] = 10
    permutations: Annotated[int, WithinRange(0, 10000)] = 0
    bundleName: str = "radiomics-site"
    bundlePlace: str = ""
    fittedFolder: str = ""
    seed: Annotated[int, WithinRange(0, 1000000)] = 0
