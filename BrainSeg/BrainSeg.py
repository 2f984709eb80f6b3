"""BrainSeg in Slicer: brain structures of MR in any contrast, painted slices made whole, missing contrasts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

if not (Path(__file__).resolve().parent / "manabi_slicer").is_dir():  # run from the source tree, not installed
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from BrainSegLib import requests, tasks
from BrainSegLib.parameters import BrainSegParameterNode
from BrainSegLib.sections import Sections

from manabi_slicer import bridge, sample_data, self_test
from manabi_slicer.module import ManabiModule
from manabi_slicer.tasks_logic import TasksLogic
from manabi_slicer.widget import ManabiWidget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from BrainSegLib.painted import PropagateRequest
    from BrainSegLib.tasks import Options
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

    from manabi.context import ProgressCallback
    from manabi.result import Result
    from manabi_slicer.logic import Nodes
    from manabi_slicer.request import Request
    from manabi_slicer.watch import Watch

SAMPLE = sample_data.Sample(
    title="BrainMR",
    phantom="brain",
    volumes={"t1": "Brain MR (simulated)"},
    module="BrainSeg",
    modality="MR",
    units="",
)
"""A simulated patient's head, T1-weighted."""
BATCH_COLUMNS = (
    "case", "status", *(f"{name}{side}_ml" for name in tasks.NAMES for side in ("", "_left", "_right")), "quality",
    "error",
)  # fmt: skip
"""What the panel shows of a batch's table: those of these columns that it has."""


class BrainSeg(ManabiModule):
    """What Slicer shows of the module before it is opened."""

    sample = SAMPLE

    def __init__(self, parent: Any) -> None:
        ManabiModule.__init__(self, parent)
        self.parent.title = _("BrainSeg")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.helpText = _(
            "Finds cerebrum, cerebellum, brainstem, ventricles and vessels in MR of the head, whatever its contrast, "
            "with volumes left and right; fills the slices between those that you painted, without touching them; "
            "makes an MR angiography from heavily T2-weighted images, with a map of what it cannot know; and shows "
            "the maps that the network sees. For research use. "
            '<a href="https://github.com/SlicerManabi/SlicerManabi/blob/main/docs/tutorials/brain.md">Tutorial</a>.'
        )
        self.parent.acknowledgementText = _(
            "After Sugino T. et al., Med Phys 2021;48:7215, doi:10.1002/mp.15192, and Healthcare 2021;9:938."
        )


def registerSampleData() -> None:
    """List the simulated patient in the Sample Data module; Slicer's start does it too."""
    sample_data.register(SAMPLE, __file__)


def loadSampleData() -> list[vtkMRMLScalarVolumeNode]:
    """The simulated patient's head, loaded into the scene."""
    return sample_data.load(SAMPLE)


class BrainSegWidget(ManabiWidget):
    """The panel: what is BrainSeg's own; the rest is in :class:`manabi_slicer.widget.ManabiWidget`."""

    sample = SAMPLE
    batchColumns = BATCH_COLUMNS
    task = tasks.STRUCTURES
    """What :meth:`request` asks for; another one than the structures only while its button starts it."""

    def createLogic(self) -> BrainSegLogic:
        """The module's logic."""
        return BrainSegLogic()

    def createSections(self) -> Sections:
        """Numbers, propagation, missing contrast and maps."""
        return Sections(self)

    def setup(self) -> None:
        """Build the panel."""
        ManabiWidget.setup(self)
        self.runPanel.ui.undoButton.toolTip = _("Put everything back as it was before the last run or Accept")

    def reasonNotToApply(self, parameterNode: Any) -> str:
        """Why Apply cannot be pressed yet."""
        p = parameterNode
        if p.inputVolume and p.inputVolume is p.secondVolume:
            return _("The image is chosen twice: the second contrast must be another image, or none.")
        if not any(getattr(p, name) for name in tasks.NAMES):
            return _("Check at least one structure.")
        return ManabiWidget.reasonNotToApply(self, p)

    def start(self, task: str) -> None:
        """Run one of the tasks, or cancel what runs."""
        self.task = task
        ManabiWidget.onApplyButton(self)
        self.task = tasks.STRUCTURES
        self.onParametersChanged()

    def onApplyButton(self) -> None:
        """Find the structures; or Cancel while a run of any kind is under way."""
        self.start(tasks.STRUCTURES)

    def request(self, parameterNode: Any) -> Request:
        """What the pressed button asks for; the structures for export and batch."""
        return requests.request_of(self.logic, parameterNode, self.task)

    def _showWarnings(self, outputs: Nodes) -> None:
        """What a reader must know of everything that was made from the chosen image."""
        p = self._parameterNode
        ManabiWidget._showWarnings(self, self.logic.allOutputsOf(p.inputVolume if p is not None else None))


class BrainSegLogic(TasksLogic):
    """BrainSeg without its panel. ``options`` everywhere are those of :class:`BrainSegLib.tasks.Options`."""

    methodName = "brain"
    taskNames = tasks.TASKS
    parameterNodeClass = BrainSegParameterNode

    def process(
        self,
        inputVolume: vtkMRMLScalarVolumeNode,
        secondVolume: vtkMRMLScalarVolumeNode | None = None,
        *,
        structures: str | Sequence[str] = "all",
        onProgress: ProgressCallback | None = None,
        **options: Unpack[Options],
    ) -> Nodes:
        """Find brain structures in this process and put everything that was found into the scene.

        Args:
            inputVolume: MR of the head, any contrast.
            secondVolume: another contrast of the same patient, such as MR angiography.
            structures: names of :data:`BrainSegLib.tasks.NAMES`, or ``all``.
            onProgress: called with a fraction and a text.
            options: model, minConfidence, fine, device, precision, seed.

        Returns:
            Output nodes by key: ``labelmaps/structures``, ``volumes/confidence``, ``tables/volumes``, ``report``, ...

        Raises:
            InvalidInputError: for inputs or parameters that cannot be used.
            ManabiError: whatever else went wrong; the scene is unchanged then.
        """
        wanted = {"task": tasks.STRUCTURES, "structures": tasks.listed(structures)}
        return self.runHere(tasks.request_of(inputVolume, secondVolume, wanted, **options), onProgress)

    def propagate(
        self,
        inputVolume: vtkMRMLScalarVolumeNode,
        segmentation: vtkMRMLSegmentationNode,
        segmentIds: Sequence[str],
        *,
        secondVolume: vtkMRMLScalarVolumeNode | None = None,
        axis: str = "auto",
        keep: bool = True,
        preview: bool = False,
        changedOnly: bool = False,
        onProgress: ProgressCallback | None = None,
        **options: Unpack[Options],
    ) -> Nodes:
        """Fill the slices between painted ones, in this process; :meth:`undo` takes it back.

        Only the given segments are changed; with ``keep`` their painted slices stay as they are, voxel by voxel. Their
        grid may be finer than the image, or turned against it.

        Args:
            inputVolume: the image that was painted on.
            segmentation: holds the painted segments.
            segmentIds: which ones; a slice with one of them counts as painted for all of them.
            secondVolume: another contrast of the same patient, or None.
            axis: ``auto``, ``axial``, ``coronal`` or ``sagittal``: in which slices was painted.
            keep: whether painted slices stay; otherwise they are smoothed, too.
            preview: whether the outcome waits for :meth:`acceptPropagation` in a segmentation of its own.
            changedOnly: whether only slices that differ from the automatic result count as painted.
            onProgress: called with a fraction and a text.
            options: device, seed and others.

        Returns:
            Output nodes by key: ``labelmaps/propagated`` (the preview), ``volumes/uncertainty``, ``tables/slices``, ...

        Raises:
            InvalidInputError: when nothing is painted, or for inputs that cannot be used.
            ManabiError: whatever else went wrong; the scene is unchanged then.
        """
        choices: Any = {"axis": axis, "keep": keep, "preview": preview, "changedOnly": changedOnly, **options}
        request = self.propagateRequest(inputVolume, segmentation, segmentIds, secondVolume=secondVolume, **choices)
        return self.runHere(request, onProgress)

    def propagateRequest(
        self, inputVolume: vtkMRMLScalarVolumeNode | None, segmentation: vtkMRMLSegmentationNode | None,
        segmentIds: Sequence[str], *, secondVolume: vtkMRMLScalarVolumeNode | None = None, axis: str = "auto",
        keep: bool = True, preview: bool = False, changedOnly: bool = False, **options: Unpack[Options],
    ) -> PropagateRequest:  # fmt: skip
        """What :meth:`propagate` runs, for :meth:`runHere` or :meth:`startRun`; arguments as there."""
        from BrainSegLib.painted import Wanted, request_for

        automatic = self.outputsOf(inputVolume).get("labelmaps/structures") if changedOnly else None
        request = tasks.request_of(inputVolume, secondVolume, **options)
        return request_for(request, segmentation, segmentIds, Wanted(axis, keep, preview), automatic)

    def acceptPropagation(self, inputVolume: vtkMRMLScalarVolumeNode) -> vtkMRMLSegmentationNode:
        """Put the preview of an image into the painted segments; returns their segmentation.

        Raises InvalidInputError when there is no preview, or its segments are gone.
        """
        from BrainSegLib import propagation

        outputs = self.outputsOf(inputVolume, tasks.PROPAGATE)
        return propagation.accept(inputVolume, outputs, self.keyOf(tasks.PROPAGATE))

    def discardPropagation(self, inputVolume: vtkMRMLScalarVolumeNode) -> None:
        """Take the preview of an image away; raises InvalidInputError when there is none."""
        from BrainSegLib import propagation

        outputs = self.outputsOf(inputVolume, tasks.PROPAGATE)
        propagation.discard(inputVolume, outputs, self.keyOf(tasks.PROPAGATE))

    def copyToCorrect(self, inputVolume: vtkMRMLScalarVolumeNode) -> vtkMRMLSegmentationNode:
        """A copy of the automatic result to correct by hand; raises InvalidInputError when there is none."""
        from BrainSegLib import propagation

        return propagation.copy_to_correct(self.outputsOf(inputVolume).get("labelmaps/structures"))

    def synthesize(
        self, inputVolume: vtkMRMLScalarVolumeNode, *, onProgress: ProgressCallback | None = None,
        **options: Unpack[Options],
    ) -> Nodes:  # fmt: skip
        """Make an MR angiography from a heavily T2-weighted image: ``volumes/synthetic_mra``, ``volumes/unknowable``.

        Raises ManabiError when it could not be made; the scene is unchanged then.
        """
        wanted = {"task": tasks.CONTRAST}
        return self.runHere(tasks.request_of(inputVolume, None, wanted, **options), onProgress)

    def featureMaps(
        self, inputVolume: vtkMRMLScalarVolumeNode, layer: str = "", *, structure: str = "cerebrum", count: int = 8,
        onProgress: ProgressCallback | None = None, **options: Unpack[Options],
    ) -> Nodes:  # fmt: skip
        """Maps of a layer, those first that count most for a structure: ``volumes/feature_01``, ...

        Without a layer the layers are listed: ``tables/layers``. Raises ManabiError when it went wrong.
        """
        wanted = {"task": tasks.FEATURES, "layer": layer, "structure": structure, "count": count}
        return self.runHere(tasks.request_of(inputVolume, None, wanted, **options), onProgress)

    # --- what is there ------------------------------------------------------------------------------

    def allOutputsOf(self, inputNode: vtkMRMLNode | None) -> Nodes:
        """The outputs of all tasks; the keys of all but the structures begin with their task."""
        others = {task: self.outputsOf(inputNode, task) for task in tasks.TASKS[1:]}
        found = {f"{task}/{key}": node for task, outputs in others.items() for key, node in outputs.items()}
        return self.outputsOf(inputNode) | found

    def warningsOf(self, outputs: Nodes) -> list[str]:
        """The warnings of all reports among outputs, each once."""
        reports = [node for key, node in outputs.items() if key.rpartition("/")[2] == "report"]
        said = [text for node in reports for text in bridge.read_report(node)["warnings"]]
        return list(dict.fromkeys(said))

    def taskOf(self, parameters: Mapping[str, Any]) -> str:
        """Which task a run's parameters ask for."""
        return tasks.task_of(parameters)

    def _keep(self, request: Request, result: Result, watch: Watch | None = None) -> Nodes:
        from BrainSegLib import propagation
        from BrainSegLib.painted import PropagateRequest

        if isinstance(request, PropagateRequest) and request.painted is not None:
            return propagation.keep(self, result, request.painted, watch)
        return TasksLogic._keep(self, request, result, watch)


class BrainSegTest(ScriptedLoadableModuleTest):
    """Runs the logic on the simulated patient and checks the numbers."""

    setUp, runTest = self_test.set_up, self_test.run_all

    def test_sample_data_is_registered(self) -> None:
        """The simulated patient is listed in Sample Data."""
        registerSampleData()
        self_test.check_listed(self, SAMPLE)

    def test_volumes_are_those_of_the_phantom(self) -> None:
        """Large structures are within 35 % of the truth (the model knows real heads better); left and right add up."""
        self_test.need_packages(self)
        image = loadSampleData()[0]
        outputs = BrainSegLogic().process(image, device="cpu")
        rows = bridge.table_rows(outputs["tables/volumes"])
        found = {str(row["structure"]): float(row["volume_ml"] or 0.0) for row in rows if row["side"] in ("", "both")}
        for name in ("cerebrum", "cerebellum", "brainstem"):
            self.assertAlmostEqual(found[name] / sampleVolumes()[name], 1.0, delta=0.35, msg=name)
        segmentation = outputs["labelmaps/structures"].GetSegmentation()
        sides = [row for row in rows if row["side"] != "both"]
        self.assertEqual(segmentation.GetNumberOfSegments(), len(sides))
        self.assertLess(abs(sum(float(row["volume_ml"] or 0.0) for row in sides) - sum(found.values())), 0.1)
        confidence = slicer.util.arrayFromVolume(outputs["volumes/confidence"])
        self.assertEqual(confidence.shape, slicer.util.arrayFromVolume(image).shape)

    def test_propagation_leaves_painted_slices_and_other_segments_alone(self) -> None:
        """A ball of which every fourth slice is painted is filled again; nothing else is touched; undo restores."""
        import numpy as np

        self_test.need_packages(self)
        image = loadSampleData()[0]
        array = slicer.util.arrayFromVolume(image)
        places = np.meshgrid(*(np.arange(n) - n // 2 for n in array.shape), indexing="ij", sparse=True)
        ball = (sum(place**2 for place in places) < 18**2).astype(np.uint8)
        painted, other = ball.copy(), (array > array.mean()).astype(np.uint8)
        painted[np.arange(len(ball)) % 4 > 0] = 0
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        node.SetReferenceImageGeometryParameterFromVolumeNode(image)
        for one, mask in (("ball", painted), ("other", other)):
            node.GetSegmentation().AddEmptySegment(one, one)
            slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, one, image)
        read, logic = slicer.util.arrayFromSegmentBinaryLabelmap, BrainSegLogic()
        painted, other = read(node, "ball", image).copy(), read(node, "other", image).copy()
        logic.propagate(image, node, ["ball"], device="cpu")
        after = read(node, "ball", image)
        self.assertTrue((after[::4] == painted[::4])[painted[::4].any(axis=(1, 2))].all())
        self.assertGreater(2.0 * (after & ball).sum() / (after.sum() + ball.sum()), 0.85)
        self.assertTrue((read(node, "other", image) == other).all())
        self.assertTrue(logic.undo())
        self.assertTrue((read(node, "ball", image) == painted).all())


def sampleVolumes() -> dict[str, float]:
    """Volumes in mL that the simulation of the sample knows of."""
    known = sample_data.truth(SAMPLE)
    return {
        name: sum(float(ml) for key, ml in known.items() if key.startswith("volume_") and key.endswith(f"{name}_ml"))
        for name in tasks.NAMES
    }
