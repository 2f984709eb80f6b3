"""SliceMarker in Slicer: lung apex, carina and diaphragm of any chest CT, and slices that represent it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

if not (Path(__file__).resolve().parent / "manabi_slicer").is_dir():  # run from the source tree, not installed
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from SliceMarkerLib import by_hand, display
from SliceMarkerLib.levels import MARKERS, levels, points_of
from SliceMarkerLib.parameters import SliceMarkerParameterNode, Slices
from SliceMarkerLib.reader import Reader

from manabi_slicer import bridge, interaction, sample_data, self_test
from manabi_slicer.logic import ManabiLogic
from manabi_slicer.module import ManabiModule
from manabi_slicer.request import Request
from manabi_slicer.widget import ManabiWidget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

    from manabi.context import Precision, ProgressCallback
    from manabi_slicer.jumping import Point
    from manabi_slicer.logic import Nodes

SAMPLE = sample_data.Sample(
    title="ChestCT",
    phantom="thorax",
    volumes={"ct": "Chest CT (simulated)"},
    module="SliceMarker",
    modality="CT",
    units="HU",
)
"""A simulated patient's chest CT."""
BATCH_COLUMNS = (
    "case", "status", *(f"{name}_{what}" for name in MARKERS for what in ("slice", "mm", "confidence")), "quality",
    "error",
)  # fmt: skip
"""What the panel shows of a batch's table."""


class SliceMarker(ManabiModule):
    """What Slicer shows of the module before it is opened."""

    sample = SAMPLE

    def __init__(self, parent: Any) -> None:
        ManabiModule.__init__(self, parent)
        self.parent.title = _("SliceMarker")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.helpText = _(
            "Marks lung apex, carina and the level above the diaphragm in any chest CT, says how sure it is and what "
            "is not in the image, and picks 3, 5, 9 or more slices that represent the chest, the same ones at every "
            "follow-up. For research use. "
            '<a href="https://github.com/SlicerManabi/SlicerManabi/blob/main/docs/tutorials/slices.md">Tutorial</a>.'
        )
        self.parent.acknowledgementText = _(
            "After Zhang J. et al., 41st Joint Conference on Medical Informatics (JAMI), Nagoya, 2021, and "
            "ILD-Slider, J Imaging 2025, doi:10.3390/jimaging11100353."
        )


def registerSampleData() -> None:
    """List the simulated patient in the Sample Data module; Slicer's start does it too."""
    sample_data.register(SAMPLE, __file__)


def loadSampleData() -> list[vtkMRMLScalarVolumeNode]:
    """The simulated patient's chest CT, loaded into the scene."""
    return sample_data.load(SAMPLE)


class SliceMarkerWidget(ManabiWidget):
    """The panel: what is SliceMarker's own; the rest is in :class:`manabi_slicer.widget.ManabiWidget`."""

    sample = SAMPLE
    batchColumns = BATCH_COLUMNS
    reader: Reader | None = None

    def createLogic(self) -> SliceMarkerLogic:
        """The module's logic."""
        return SliceMarkerLogic()

    def setup(self) -> None:
        """Build the panel."""
        ManabiWidget.setup(self)
        self.reader = Reader(self.ui, self.logic, self.refreshOutputs, self.tell)
        self.runPanel.ui.undoButton.toolTip = _("Put the outputs back as they were before the last Apply or correction")
        self.onParametersChanged()

    def letGo(self) -> None:
        """Points, plot and views are followed no longer."""
        if self.reader is not None:
            self.reader.let_go()

    def enter(self) -> None:
        """The module is opened: the line in the plot follows the slice views."""
        ManabiWidget.enter(self)
        if self.reader is not None:
            self.reader.follow()

    def request(self, parameterNode: Any) -> Request:
        """What Apply asks for."""
        p = parameterNode
        return self.logic.request(
            p.inputVolume, model=p.model or None, representative=p.slices.value, count=p.count, spacingMm=p.spacingMm,
            minConfidence=p.minConfidencePercent / 100.0, finder=p.finder.value, rulesCheck=p.rulesCheck,
            exhaustive=p.exhaustive, uids=p.uids, device=p.device.value, precision=p.precision.value,
        )  # fmt: skip

    def onParametersChanged(self, caller: Any = None, event: Any = None) -> None:
        """A choice changed."""
        ManabiWidget.onParametersChanged(self, caller, event)
        p = self._parameterNode
        if p is None or self.reader is None:
            return
        self.ui.countSpinBox.visible = self.ui.countLabel.visible = p.slices == Slices.COUNT
        self.ui.spacingSpinBox.visible = self.ui.spacingLabel.visible = p.slices == Slices.SPACING
        self.outputsChanged(self.logic.outputsOf(p.inputVolume))

    def showResult(self, outputs: Nodes, inputNode: vtkMRMLNode) -> None:
        """The three markers side by side, with coronal view, plot and table."""
        self.ui.resultCollapsibleButton.collapsed = False
        self.reader.show()

    def outputsChanged(self, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """Levels and slices in the panel; the points are locked unless the user wants to move them."""
        if self.reader is not None:
            p = self._parameterNode
            self.reader.read(p.inputVolume if p else None, outputs, bool(p) and p.editMarkers)

    def onUndoButton(self) -> None:
        """Put the outputs back as they were before the last Apply or correction of a marker."""
        ManabiWidget.onUndoButton(self)
        p = self._parameterNode
        if p is not None and p.inputVolume and interaction.has_views():
            display.place_fixed(p.inputVolume, self.logic.outputsOf(p.inputVolume))


class SliceMarkerLogic(ManabiLogic):
    """SliceMarker without its panel."""

    methodName = "slices"
    parameterNodeClass = SliceMarkerParameterNode

    def process(
        self,
        inputVolume: vtkMRMLScalarVolumeNode,
        *,
        model: str | None = None,
        representative: str = "3",
        count: int = 9,
        spacingMm: float = 20.0,
        minConfidence: float = 0.5,
        finder: str = "network",
        rulesCheck: bool = True,
        exhaustive: bool = False,
        uids: bool = False,
        device: str = "auto",
        precision: Precision = "auto",
        seed: int = 0,
        onProgress: ProgressCallback | None = None,
    ) -> Nodes:
        """Mark a chest CT in this process and put everything that was found into the scene.

        Args:
            inputVolume: CT of the chest, or of a part of it, HU; it is not changed.
            model: name or path of a model; by default the one that Manabi brings.
            representative: ``3``, ``5``, ``9``, ``count`` or ``spacing``.
            count: how many slices, for ``count``.
            spacingMm: distance between them, for ``spacing``.
            minConfidence: less confident markers are flagged for checking.
            finder: ``network``, or ``rules`` for comparison.
            rulesCheck: compare the network with tracking of airway and lungs.
            exhaustive: look at every slice.
            uids: list SOP instance UIDs in the tables.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            precision: arithmetic of the network: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
            seed: everything random follows from it.
            onProgress: called with a fraction and a text.

        Returns:
            Output nodes by key: ``landmarks/apex`` (the same point list for all), ``volumes/representative``,
            ``tables/markers``, ``tables/representative``, ``plots/probability``, ``measurements``, ``report``.

        Raises:
            InvalidInputError: for inputs or parameters that cannot be used.
            ManabiError: whatever else went wrong; the scene is unchanged then.
        """
        request = self.request(
            inputVolume, model=model, representative=representative, count=count, spacingMm=spacingMm,
            minConfidence=minConfidence, finder=finder, rulesCheck=rulesCheck, exhaustive=exhaustive, uids=uids,
            device=device, precision=precision, seed=seed,
        )  # fmt: skip
        return self.runHere(request, onProgress)

    def request(
        self,
        inputVolume: vtkMRMLScalarVolumeNode | None,
        *,
        model: str | None = None,
        representative: str = "3",
        count: int = 9,
        spacingMm: float = 20.0,
        minConfidence: float = 0.5,
        finder: str = "network",
        rulesCheck: bool = True,
        exhaustive: bool = False,
        uids: bool = False,
        device: str = "auto",
        precision: Precision = "auto",
        seed: int = 0,
    ) -> Request:
        """What :meth:`process` runs, for :meth:`runHere` or :meth:`startRun`; arguments as there."""
        parameters = {
            "representative": representative,
            "count": count,
            "spacing_mm": spacingMm,
            "finder": finder,
            "exhaustive": exhaustive,
            "rules_check": rulesCheck,
            "min_confidence": minConfidence,
            "uids": uids,
        }
        return Request(
            nodes={"ct": inputVolume}, parameters=parameters, bundle=model, device=device, precision=precision,
            seed=seed,
        )  # fmt: skip

    def moveMarker(
        self, inputVolume: vtkMRMLScalarVolumeNode, marker: str, positionRAS: Sequence[float], keepColumn: bool = False
    ) -> Nodes:
        """Correct a marker by hand; tables, numbers and representative slices follow.

        :meth:`undo` takes it back, :meth:`putMarkerBack` puts the marker where it was found.

        Args:
            inputVolume: the CT.
            marker: ``apex``, ``carina`` or ``diaphragm``.
            positionRAS: where it is, RAS mm; the nearest slice is taken.
            keepColumn: take only the slice from the position; within it the point stays where it was.

        Raises:
            InvalidInputError: when there is no result, or for an unknown marker.
        """
        return by_hand.move(self, inputVolume, marker, positionRAS, keepColumn)

    def putMarkerBack(self, inputVolume: vtkMRMLScalarVolumeNode, marker: str) -> Nodes:
        """Put a marker where it was found; tables, numbers and representative slices follow.

        Raises:
            InvalidInputError: when there is no result.
        """
        return by_hand.put_back(self, inputVolume, marker)

    def markerPosition(self, points: vtkMRMLNode, marker: str) -> Point | None:
        """Where a marker's point is, RAS mm of the patient; None where it has none."""
        return bridge.landmark_position(points, marker)


class SliceMarkerTest(ScriptedLoadableModuleTest):
    """Runs the logic on the simulated patient and checks the numbers."""

    setUp, runTest = self_test.set_up, self_test.run_all

    def test_sample_data_is_registered(self) -> None:
        """The simulated patient is listed in Sample Data."""
        registerSampleData()
        self_test.check_listed(self, SAMPLE)

    def test_markers_are_where_the_phantom_has_them(self) -> None:
        """Each marker lies within 4 mm of the truth, and its slice is kept in the representative volume."""
        ct, outputs = self.marked()
        numbers = SliceMarkerLogic().resultOf(ct).measurements
        truth = sampleTruth()
        for marker in MARKERS:
            self.assertLessEqual(abs(float(numbers[f"{marker}_mm"]) - truth[f"{marker}_mm"]), 4.0, marker)
        kept = slicer.util.arrayFromVolume(outputs["volumes/representative"])
        whole = slicer.util.arrayFromVolume(ct)
        for marker in MARKERS:
            index = int(numbers[f"{marker}_slice"])
            self.assertTrue((kept[index] == whole[index]).all(), marker)
        self.assertEqual(kept.shape, whole.shape)

    def test_a_corrected_marker_takes_the_slices_along(self) -> None:
        """Moved by three slices, the carina is marked as corrected, and its slice represents the chest."""
        ct, outputs = self.marked()
        logic = SliceMarkerLogic()
        found = levels(outputs)["carina"].slice
        place = logic.markerPosition(points_of(outputs), "carina")
        spacing = ct.GetSpacing()[2]
        outputs = logic.moveMarker(ct, "carina", (place[0], place[1], place[2] + 3 * spacing))
        self.assertTrue(levels(outputs)["carina"].by_hand)
        self.assertEqual(abs(levels(outputs)["carina"].slice - found), 3)
        self.assertEqual(levels(logic.putMarkerBack(ct, "carina"))["carina"].slice, found)

    def marked(self) -> tuple[vtkMRMLScalarVolumeNode, Nodes]:
        """The simulated patient with its result; skips where something is missing."""
        self_test.need_packages(self)
        (ct,) = loadSampleData()
        return ct, SliceMarkerLogic().process(ct, device="cpu")


def sampleTruth() -> dict[str, Any]:
    """What the simulation of the sample knows of its patient."""
    return sample_data.truth(SAMPLE)
