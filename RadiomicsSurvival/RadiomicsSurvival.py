"""RadiomicsSurvival in Slicer: features of segments, a patient's risk against a cohort, models of cohorts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

if not (Path(__file__).resolve().parent / "manabi_slicer").is_dir():  # run from the source tree, not installed
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from RadiomicsSurvivalLib import requests, sample, tasks
from RadiomicsSurvivalLib.labels import drawn
from RadiomicsSurvivalLib.parameters import RadiomicsSurvivalParameterNode, Task
from RadiomicsSurvivalLib.sections import Sections
from RadiomicsSurvivalLib.tasks_logic import RadiomicsLogic

from manabi_slicer import bridge, sample_data, self_test
from manabi_slicer.module import ManabiModule
from manabi_slicer.tasks_widget import TasksWidget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from RadiomicsSurvivalLib.tasks import CohortOptions, Extraction
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

    from manabi.context import ProgressCallback
    from manabi_slicer.logic import Nodes
    from manabi_slicer.request import Request
    from manabi_slicer.run import Run

SAMPLE = sample.SAMPLE
BATCH_COLUMNS = (
    "case", "status", "segments", "volume_ml", "mean_intensity", "entropy", "sphericity", "risk", "risk_percentile",
    "risk_group", "outside_cohort", "error",
)  # fmt: skip
"""What the panel shows of a batch's table: those of these columns that it has."""


class RadiomicsSurvival(ManabiModule):
    """What Slicer shows of the module before it is opened."""

    sample = SAMPLE

    def __init__(self, parent: Any) -> None:
        ManabiModule.__init__(self, parent)
        self.parent.title = _("RadiomicsSurvival")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.helpText = _(
            "Computes radiomic features of any segments by the standard of IBSI or as pyradiomics does; holds a "
            "patient against a cohort, with risk, predicted survival, what drove it, and whether the patient lies "
            "outside; and turns the tables of a cohort into a model whose validation does not leak. For research use. "
            '<a href="https://github.com/SlicerManabi/SlicerManabi/blob/main/docs/tutorials/radiomics.md">Tutorial</a>.'
        )
        self.parent.acknowledgementText = _(
            "After Sawayanagi S. et al., Cancers 2022;14:3859, doi:10.3390/cancers14163859, and Nakamoto T. et al., "
            "Sci Rep 2019;9:19411, doi:10.1038/s41598-019-55922-0."
        )


def registerSampleData() -> None:
    """List the simulated patient in the Sample Data module; Slicer's start does it too."""
    sample_data.register(SAMPLE, __file__)


def loadSampleData() -> list[vtkMRMLScalarVolumeNode | vtkMRMLSegmentationNode]:
    """The simulated patient's CT and the outline of the tumour, loaded into the scene."""
    return sample_data.load(SAMPLE)


class RadiomicsSurvivalWidget(TasksWidget):
    """The panel: what is RadiomicsSurvival's own; the rest is in :class:`manabi_slicer.widget.ManabiWidget`."""

    sample = SAMPLE
    batchColumns = BATCH_COLUMNS

    def createLogic(self) -> RadiomicsSurvivalLogic:
        """The module's logic."""
        return RadiomicsSurvivalLogic()

    def createSections(self) -> Sections:
        """Features, the patient's risk, and cohort."""
        return Sections(self)

    def selectDefaults(self, parameterNode: Any) -> None:
        """Choose the first image and the first segmentation of the scene."""
        TasksWidget.selectDefaults(self, parameterNode)
        if not parameterNode.segmentation:
            parameterNode.segmentation = next(iter(drawn()), None)

    def sampleLoaded(self, parameterNode: Any, nodes: Sequence[vtkMRMLNode]) -> None:
        """The simulated patient with its outline and clinical values; the risk is open where there is a model."""
        p = parameterNode
        p.inputVolume, p.segmentation, p.leftOut = *nodes, []
        p.clinical = tasks.listed(sample.clinical())
        if self.modelsPanel.current() is not None and p.task == Task.FEATURES:
            p.task = Task.RISK

    def reasonNotToApply(self, parameterNode: Any) -> str:
        """Why Apply cannot be pressed yet."""
        first = "" if parameterNode.task == Task.COHORT else TasksWidget.reasonNotToApply(self, parameterNode)
        return first or requests.reason(parameterNode, self.modelsPanel.current())

    def request(self, parameterNode: Any) -> Request:
        """What Apply asks for in the part that is open."""
        return requests.request_of(parameterNode, self.modelsPanel.current())

    def _batchRequest(self) -> Request:
        return requests.batch_request(self._parameterNode or self.logic.getParameterNode(), self.modelsPanel.current())

    def inputNodes(self) -> dict[str, vtkMRMLNode | None]:
        """The nodes that the open part takes, by the method's names; none for a cohort."""
        p = self._parameterNode
        if p is None or p.task == Task.COHORT:
            return {"image": None}
        return {"image": p.inputVolume, "second": p.secondVolume, "mask": p.segmentation}

    def takesImage(self) -> bool:
        """Whether the open part takes an image; a cohort does not."""
        return self._parameterNode.task != Task.COHORT

    def _onDone(self, run: Run, outputs: Nodes) -> None:
        if self._parameterNode is not None and self.logic.taskOf(run.request.parameters) == tasks.COHORT:
            self._parameterNode.fittedFolder = str(run.request.parameters["bundle_folder"])
        TasksWidget._onDone(self, run, outputs)


class RadiomicsSurvivalLogic(RadiomicsLogic):
    """RadiomicsSurvival without its panel."""

    methodName = "radiomics"
    parameterNodeClass = RadiomicsSurvivalParameterNode

    def features(
        self,
        inputVolume: vtkMRMLScalarVolumeNode,
        segmentation: vtkMRMLSegmentationNode,
        segmentIds: Sequence[str] | None = None,
        *,
        secondVolume: vtkMRMLScalarVolumeNode | None = None,
        onProgress: ProgressCallback | None = None,
        **extraction: Unpack[Extraction],
    ) -> Nodes:
        """Extract features of segments in this process and put them into the scene.

        Args:
            inputVolume: CT, MR or PET.
            segmentation: on any grid; it is not changed.
            segmentIds: which segments; by default all that hold something. They must not overlap.
            secondVolume: a second image of the patient, of which features are wanted too.
            onProgress: called with a fraction and a text.
            extraction: preset, binWidth, ..., see :class:`RadiomicsSurvivalLib.tasks.Extraction`.

        Returns:
            Output nodes by key: ``tables/features`` (a row per feature), ``tables/features_wide`` (a row per segment),
            ``tables/key_features``, ``plots/volumes``, ``measurements``, ``report``, ...

        Raises:
            InvalidInputError: for inputs or parameters that cannot be used.
            ManabiError: whatever else went wrong; the scene is unchanged then.
        """
        request = tasks.features_request(inputVolume, segmentation, segmentIds, secondVolume, **extraction)
        return self.runHere(request, onProgress)

    def risk(
        self,
        inputVolume: vtkMRMLScalarVolumeNode,
        segmentation: vtkMRMLSegmentationNode,
        segmentIds: Sequence[str] | None = None,
        *,
        secondVolume: vtkMRMLScalarVolumeNode | None = None,
        clinical: Mapping[str, str | float | None] | None = None,
        centre: str = "",
        model: str | None = None,
        onProgress: ProgressCallback | None = None,
    ) -> Nodes:
        """Hold a patient against the cohort of a model, in this process, and put what was found into the scene.

        Args:
            inputVolume: CT, MR or PET.
            segmentation: of the tumour; it is not changed.
            segmentIds: which segments; by default all that hold something.
            secondVolume: for models that take two images.
            clinical: the patient's values by the model's names; None where one is not known.
            centre: of the image, for models that know centres.
            model: name or path of a model; by default the one that Manabi brings.
            onProgress: called with a fraction and a text.

        Returns:
            Output nodes by key: ``tables/risk``, ``tables/survival``, ``tables/contributions``, ``plots/survival``,
            ``plots/contributions``, those of :meth:`features`, and others.

        Raises:
            InvalidInputError: for inputs or clinical values that cannot be used.
            ManabiError: whatever else went wrong; the scene is unchanged then.
        """
        request = tasks.risk_request(
            inputVolume, segmentation, segmentIds, secondVolume, clinical=clinical or {}, centre=centre, model=model
        )  # fmt: skip
        return self.runHere(request, onProgress)

    def fitCohort(
        self,
        featuresCsv: str | Path,
        outcomesCsv: str | Path,
        bundleFolder: str | Path = "",
        *,
        onProgress: ProgressCallback | None = None,
        **options: Unpack[CohortOptions],
    ) -> Nodes:
        """Evaluate and fit a cohort in this process, and put scores and charts into the scene.

        Everything that learns is fitted within the folds; clinical data, volume, radiomics and all together are
        compared on the same patients.

        Args:
            featuresCsv: a row per tumour, as a batch writes it (``radiomics.csv``).
            outcomesCsv: a row per patient.
            bundleFolder: new folder for the model; empty for none. It must not be there yet.
            onProgress: called with a fraction and a text.
            options: columns and plan, see :class:`RadiomicsSurvivalLib.tasks.CohortOptions`.

        Returns:
            Output nodes by key: ``tables/scores``, ``tables/differences``, ``plots/blocks``, ``plots/survival``, ...

        Raises:
            InvalidInputError: for tables that do not fit each other, or too few patients.
            ManabiError: whatever else went wrong; the scene is unchanged then.
        """
        request = tasks.cohort_request(str(featuresCsv), str(outcomesCsv), str(bundleFolder), **options)
        return self.runHere(request, onProgress)


class RadiomicsSurvivalTest(ScriptedLoadableModuleTest):
    """Runs the logic on the simulated patient and checks the numbers."""

    setUp, runTest = self_test.set_up, self_test.run_all

    def test_sample_data_is_registered(self) -> None:
        """The simulated patient is listed in Sample Data."""
        registerSampleData()
        self_test.check_listed(self, SAMPLE)

    def test_features_of_the_sample_are_those_of_its_tumour(self) -> None:
        """Volume as simulated; a family's features obey what their definitions say."""
        self_test.need_packages(self)
        image, segmentation = loadSampleData()
        outputs = RadiomicsSurvivalLogic().features(image, segmentation)
        rows = {str(row["feature"]): float(row["value"] or 0.0) for row in bridge.table_rows(outputs["tables/features"])
                if isinstance(row["value"], (int, float))}  # fmt: skip
        known = {str(row["name"]): row["value"] for row in bridge.table_rows(outputs["measurements"])}
        self.assertAlmostEqual(float(known["volume_ml"]) / sample.volume_ml(), 1.0, delta=0.1)
        self.assertGreater(len(rows), 100)
        self.assertTrue(0.0 < rows["original_shape_Sphericity"] <= 1.0)
        low, mean, high = (rows[f"original_firstorder_{name}"] for name in ("Minimum", "Mean", "Maximum"))
        self.assertTrue(low <= mean <= high)

    def test_risk_of_the_sample_lies_within_its_cohort(self) -> None:
        """Percentile, group and survival of the simulated patient agree with one another; survival falls."""
        self_test.need_packages(self)
        image, segmentation = loadSampleData()
        outputs = RadiomicsSurvivalLogic().risk(image, segmentation, clinical=sample.clinical())
        row = bridge.table_rows(outputs["tables/risk"])[0]
        self.assertTrue(0.0 <= float(row["percentile"]) <= 100.0)
        self.assertEqual(str(row["group"]) == "high risk", float(row["percentile"]) >= 50.0)
        predicted = [one["predicted"] for one in bridge.table_rows(outputs["tables/survival"])]
        values = [float(value) for value in predicted if value is not None]
        self.assertEqual(values, sorted(values, reverse=True))
        self.assertTrue(all(0.0 <= value <= 1.0 for value in values))
        self.assertIn("report", outputs)
