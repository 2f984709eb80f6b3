"""The choices of RadiomicsSurvival's panel, as they are kept in the scene."""

from enum import Enum
from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class Task(Enum):
    """Which part of the panel is open; the value is the method's parameter ``task``."""

    FEATURES = "features"
    RISK = "predict"
    COHORT = "fit"


class Preset(Enum):
    """Settings of the extraction; the value is the method's parameter ``preset``."""

    DEFAULT = "default"
    PYRADIOMICS = "pyradiomics"
    PAPER = "paper-744"
    IBSI_A = "ibsi-a"
    IBSI_B = "ibsi-b"
    IBSI_C = "ibsi-c"
    IBSI_D = "ibsi-d"
    IBSI_E = "ibsi-e"

    def label(self) -> str:
        """As the user reads it."""
        return {
            Preset.DEFAULT: _("IBSI, usual settings"),
            Preset.PYRADIOMICS: _("As pyradiomics does"),
            Preset.PAPER: _("The study's 744 wavelet features"),
            Preset.IBSI_A: _("IBSI configuration A"),
            Preset.IBSI_B: _("IBSI configuration B"),
            Preset.IBSI_C: _("IBSI configuration C"),
            Preset.IBSI_D: _("IBSI configuration D"),
            Preset.IBSI_E: _("IBSI configuration E"),
        }[self]


class Engine(Enum):
    """Who computes; the value is the method's parameter ``engine``."""

    MANABI = "manabi"
    PYRADIOMICS = "pyradiomics"

    def label(self) -> str:
        """As the user reads it."""
        return {Engine.MANABI: _("Manabi"), Engine.PYRADIOMICS: _("pyradiomics, where it is installed")}[self]


class Outcome(Enum):
    """What a cohort's patients are told apart by."""

    SURVIVAL = "survival"
    LABEL = "label"

    def label(self) -> str:
        """As the user reads it."""
        return {Outcome.SURVIVAL: _("Survival (time and event)"), Outcome.LABEL: _("Grade or another label")}[self]


class TimeUnit(Enum):
    """Unit of the follow-up time; the value is the method's parameter ``time_unit``."""

    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"
    YEARS = "years"

    def label(self) -> str:
        """As the user reads it."""
        return {
            TimeUnit.DAYS: _("days"),
            TimeUnit.WEEKS: _("weeks"),
            TimeUnit.MONTHS: _("months"),
            TimeUnit.YEARS: _("years"),
        }[self]


class ModelKind(Enum):
    """Kind of model that is fitted; the value is the method's parameter ``model``."""

    ELASTIC_NET = "elastic_net"
    LASSO = "lasso"
    RIDGE = "ridge"
    FOREST = "forest"
    BOOSTING = "boosting"

    def label(self) -> str:
        """As the user reads it."""
        return {
            ModelKind.ELASTIC_NET: _("Elastic net"),
            ModelKind.LASSO: _("Lasso"),
            ModelKind.RIDGE: _("Ridge"),
            ModelKind.FOREST: _("Random forest"),
            ModelKind.BOOSTING: _("Boosted trees"),
        }[self]


class ModelBlock(Enum):
    """Which of the compared models is saved; the value is the method's parameter ``block``."""

    COMBINED = "combined"
    RADIOMICS = "radiomics"
    CLINICAL = "clinical"
    VOLUME = "volume"

    def label(self) -> str:
        """As the user reads it."""
        return {
            ModelBlock.COMBINED: _("Clinical data, volume and radiomics"),
            ModelBlock.RADIOMICS: _("Radiomics alone"),
            ModelBlock.CLINICAL: _("Clinical data alone"),
            ModelBlock.VOLUME: _("Volume alone"),
        }[self]


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
