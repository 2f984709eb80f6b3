"""NoduleSynth in Slicer: nodules in chest films found and marked, and films with simulated nodules made."""

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

from NoduleSynthLib import flows, marks, places, requests, tasks
from NoduleSynthLib.parameters import NoduleSynthParameterNode, Task
from NoduleSynthLib.sections import Sections
from NoduleSynthLib.tasks_logic import NoduleLogic

from manabi_slicer import bridge, sample_data, self_test
from manabi_slicer.module import ManabiModule
from manabi_slicer.tasks_widget import TasksWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from NoduleSynthLib.tasks import Options
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

    from manabi.context import ProgressCallback
    from manabi_slicer.logic import Nodes
    from manabi_slicer.request import Request
    from manabi_slicer.run import Run

SAMPLE = sample_data.Sample(
    title="ChestFilm",
    phantom="radiograph",
    volumes={"radiograph": "Chest film (simulated)"},
    module="NoduleSynth",
    modality="DX",
    units="",
    choices={"nodules": "1", "diameter_mm": "24.0", "density": "solid"},
)
"""A simulated patient's chest film, with one nodule that can be seen."""
BATCH_COLUMNS = (
    "case", "status", "marks", "image_score", "false_positives", "threshold", "lungs", "quality", "error",
)  # fmt: skip
"""What the panel shows of a batch's table: those of these columns that it has."""


class NoduleSynth(ManabiModule):
    """What Slicer shows of the module before it is opened."""

    sample = SAMPLE

    def __init__(self, parent: Any) -> None:
        ManabiModule.__init__(self, parent)
        self.parent.title = _("NoduleSynth")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.helpText = _(
            "Marks what may be a nodule in a chest film, from strict to sensitive as you like, with heat map and a "
            "structured report; and puts simulated nodules into films of yours or of simulated patients, with the "
            "truth, for teaching and for training. Synthetic films are not for diagnosis. For research use. "
            '<a href="https://github.com/SlicerManabi/SlicerManabi/blob/main/docs/tutorials/nodule.md">Tutorial</a>.'
        )
        self.parent.acknowledgementText = _(
            "After Hanaoka S. et al., Int J Comput Assist Radiol Surg 2024;19:1991, doi:10.1007/s11548-024-03227-7."
        )


def registerSampleData() -> None:
    """List the simulated film in the Sample Data module; Slicer's start does it too."""
    sample_data.register(SAMPLE, __file__)


def loadSampleData() -> list[vtkMRMLScalarVolumeNode]:
    """The simulated film, loaded into the scene."""
    return sample_data.load(SAMPLE)


class NoduleSynthWidget(TasksWidget):
    """The panel: what is NoduleSynth's own; the rest is in :class:`manabi_slicer.tasks_widget.TasksWidget`."""

    sample = SAMPLE
    batchColumns = BATCH_COLUMNS

    def createLogic(self) -> NoduleSynthLogic:
        """The module's logic."""
        return NoduleSynthLogic()

    def createSections(self) -> Sections:
        """Film, marks, making films, and pairs."""
        return Sections(self)

    def cleanup(self) -> None:
        """The module is unloaded or Slicer ends: pairs that are being made stop, too."""
        if self.sections is not None:
            self.sections.close()
        TasksWidget.cleanup(self)

    def exit(self) -> None:
        """Another module is opened: clicks place no nodules any more."""
        self.letGo()
        TasksWidget.exit(self)

    def reasonNotToApply(self, parameterNode: Any) -> str:
        """Why Apply cannot be pressed yet."""
        p = parameterNode
        if p.task == Task.DETECT and flows.is_flow(self.modelsPanel.current()):
            return _("This model makes films; it does not search them. Choose a detector.")
        if requests.from_nothing(p):
            return ""
        first = TasksWidget.reasonNotToApply(self, p)
        if first or self.sections is None:
            return first
        if min(p.inputVolume.GetImageData().GetDimensions()) > 1:
            return _("This image has several slices; a film has one. Choose a chest radiograph.")
        return self.sections.synthesis.reason(p) if p.task == Task.SYNTHESISE else ""

    def request(self, parameterNode: Any) -> Request:
        """What Apply asks for in the part that is open."""
        points = [] if self.sections is None else self.sections.synthesis.points(parameterNode)
        return requests.request_of(parameterNode, points)

    def _batchRequest(self) -> Request:
        """A batch looks for nodules, whichever part is open; nothing of it is of one film."""
        return requests.detection(self._parameterNode or self.logic.getParameterNode())

    def refreshModels(self) -> None:
        """List the models anew; where none was chosen, a detector is, and the flows are offered for making films."""
        TasksWidget.refreshModels(self)
        flows.prefer_detector(self.modelsPanel, self._parameterNode.model if self._parameterNode is not None else "")
        if self.sections is not None:
            self.sections.synthesis.list_flows(self.modelsPanel.bundles)

    def inputNodes(self) -> dict[str, vtkMRMLNode | None]:
        """The film that the open part takes, by the method's name; None where a film is made from nothing."""
        p = self._parameterNode
        return {tasks.FILM: None if p is None or requests.from_nothing(p) else p.inputVolume or None}

    def takesImage(self) -> bool:
        """Whether the open part takes a film; one that is made from nothing does not."""
        return not requests.from_nothing(self._parameterNode)

    def shownOf(self) -> Any:
        """Part and base decide which outputs are shown."""
        return self._parameterNode.task, requests.from_nothing(self._parameterNode)

    def refreshOutputs(self) -> None:
        """Show the outputs of the open part that are in the scene, with the slider where the choices have it."""
        p, outputs = self._parameterNode, self.shownOutputs()
        if marks.CANDIDATES in outputs and marks.slider_of(outputs) != p.falsePositives:
            marks.show(outputs, p.falsePositives)
        TasksWidget.refreshOutputs(self)

    def _onDone(self, run: Run, outputs: Nodes) -> None:
        p = self._parameterNode
        if p is not None and p.newSeed and self.logic.taskOf(run.request.parameters) == tasks.SYNTHESISE:
            p.seed += 1
        TasksWidget._onDone(self, run, outputs)


class NoduleSynthLogic(NoduleLogic):
    """NoduleSynth without its panel. ``options`` everywhere are those of :class:`NoduleSynthLib.tasks.Options`."""

    methodName = "nodule"
    parameterNodeClass = NoduleSynthParameterNode

    def detect(
        self,
        inputVolume: vtkMRMLScalarVolumeNode,
        *,
        falsePositives: float = tasks.USUAL,
        limitToLungs: bool = True,
        average: bool = False,
        filmMm: float = 0.0,
        model: str | None = None,
        onProgress: ProgressCallback | None = None,
        **options: Unpack[Options],
    ) -> Nodes:
        """Look for nodules in this process, and put marks and heat map into the scene.

        Args:
            inputVolume: chest film of one slice, bone bright.
            falsePositives: false marks per film that are accepted, 0.05 to 4; :meth:`setFalsePositives` changes it
                later without another run.
            limitToLungs: leave out marks outside the lungs; their hidden parts count as lung.
            average: average the heat map over small shifts of the film.
            filmMm: length of the film's longer side where its file does not say; 0 takes the node's spacing.
            model: name or path of a model; by default the one that Manabi brings.
            onProgress: called with a fraction and a text.
            options: device, precision, seed.

        Returns:
            Output nodes by key: ``landmarks/mark_1`` (the same point list for all), ``volumes/heat_map``,
            ``tables/marks``, ``tables/candidates``, ``tables/operating_points``, ``measurements``, ``report``, ...

        Raises:
            InvalidInputError: for inputs or parameters that cannot be used.
            ManabiError: whatever else went wrong; the scene is unchanged then.
        """
        request = tasks.detect_request(
            inputVolume, falsePositives=falsePositives, limitToLungs=limitToLungs, average=average, filmMm=filmMm,
            model=model, **options,
        )  # fmt: skip
        return self.runHere(request, onProgress)

    def synthesise(
        self,
        inputVolume: vtkMRMLScalarVolumeNode | None = None,
        *,
        base: str = "",
        count: int = 1,
        diameterMm: float = 0.0,
        density: str = "random",
        places: Sequence[Sequence[float]] = (),
        ratio: float | None = None,
        filmMm: float = 0.0,
        flow: str | None = None,
        pairs: int = 0,
        onProgress: ProgressCallback | None = None,
        **options: Unpack[Options],
    ) -> Nodes:
        """Make a film with simulated nodules in this process, and put it with its truth into the scene.

        Args:
            inputVolume: film to put nodules into; None makes one from nothing.
            base: ``input``, ``phantom`` or ``flow``; by default the film where there is one, else a simulated patient.
            count: how many nodules, those at ``places`` among them.
            diameterMm: of each, mm; 0 draws it.
            density: ``random``, ``solid``, ``part_solid`` or ``ground_glass``.
            places: points on the film, RAS mm.
            ratio: of the interpolation, 0 the film to 1 the nodule as it was put in; None draws it.
            filmMm: as for :meth:`detect`.
            flow: name or path of the flow; by default the one that Manabi brings.
            pairs: so many further pairs for training.
            onProgress: called with a fraction and a text.
            options: device, precision, seed.

        Returns:
            Output nodes by key: ``volumes/before``, ``volumes/after``, ``volumes/difference``, ``labelmaps/mask``,
            ``tables/nodules``, ``report``, ...; they belong to the film, or to :meth:`nothingNode` without one.

        Raises:
            InvalidInputError: for inputs or parameters that cannot be used.
            ManabiError: whatever else went wrong; the scene is unchanged then.
        """
        request = tasks.synthesis_request(
            inputVolume, base=base or ("input" if inputVolume is not None else "phantom"), count=count,
            diameterMm=diameterMm, density=density, places=places, ratio=ratio, filmMm=filmMm, flow=flow, pairs=pairs,
            **options,
        )  # fmt: skip
        return self.runHere(request, onProgress)


class NoduleSynthTest(ScriptedLoadableModuleTest):
    """Runs the logic on the simulated film and checks the numbers."""

    setUp, runTest = self_test.set_up, self_test.run_all

    def test_sample_data_is_registered(self) -> None:
        """The simulated film is listed in Sample Data."""
        registerSampleData()
        self_test.check_listed(self, SAMPLE)

    def test_a_nodule_lies_where_it_was_asked_for_and_nothing_else_changed(self) -> None:
        """The film is denser at the place, as it was outside the mask's surroundings, and says that it is synthetic."""
        import numpy as np

        self_test.need_packages(self)
        (film,) = loadSampleData()
        place = places.on_film(film, 0.3, 0.4)
        logic = NoduleSynthLogic()
        outputs = logic.synthesise(film, places=[place], diameterMm=20.0, density="solid", ratio=1.0, device="cpu")
        before, after = (
            slicer.util.arrayFromVolume(outputs[f"volumes/{k}"]).astype(float) for k in ("before", "after")
        )
        mask = bridge.labelmap_from_segmentation(outputs["labelmaps/mask"], film).volume.array > 0
        self.assertGreater((after - before)[mask].mean(), 0.0)
        rows, columns = np.nonzero(mask[0])
        centre = np.array([columns.mean(), rows.mean()]) * film.GetSpacing()[:2]
        wanted = np.array([0.4, 0.3]) * (np.array(film.GetImageData().GetDimensions()[:2]) - 1) * film.GetSpacing()[:2]
        self.assertLess(float(np.abs(centre - wanted).max()), 10.0)
        self.assertIn("ynthetic", outputs["report"].GetText())

    def test_the_slider_shows_more_marks_the_more_sensitive_it_stands(self) -> None:
        """Marks lie on the film's grid; the strict end shows some of those that the sensitive end shows."""
        self_test.need_packages(self)
        logic = NoduleSynthLogic()
        if not logic.hasModel():
            self.skipTest("needs a model for NoduleSynth, and none is on this computer")
        (film,) = loadSampleData()
        outputs = logic.detect(film, device="cpu")
        shown = {}
        for place in (tasks.STRICTEST, tasks.LOOSEST):
            logic.setFalsePositives(film, place)
            shown[place] = {mark.number for mark in marks.found(outputs) if mark.shown}
        self.assertLessEqual(shown[tasks.STRICTEST], shown[tasks.LOOSEST])
        self.assertEqual(len(shown[tasks.LOOSEST]), outputs["tables/candidates"].GetNumberOfRows())
        size = outputs["volumes/heat_map"].GetImageData().GetDimensions()
        self.assertEqual(size, film.GetImageData().GetDimensions())

    def test_wrong_image_is_refused_and_leaves_nothing(self) -> None:
        """An empty image is refused with a reason, and no node is added."""
        self_test.check_refused(self, lambda node: NoduleSynthLogic().detect(node), (1, 64, 64))
