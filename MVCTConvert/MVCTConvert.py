"""MVCTConvert in Slicer: megavoltage and cone-beam CT to the quality of kilovoltage CT, checked and compared."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

if not (Path(__file__).resolve().parent / "manabi_slicer").is_dir():  # run from the source tree, not installed
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from MVCTConvertLib import numbers
from MVCTConvertLib.parameters import Converter, MVCTConvertParameterNode, Uncertainty
from MVCTConvertLib.sections import Sections

from manabi_slicer import interaction, sample_data, self_test
from manabi_slicer.logic import ManabiLogic
from manabi_slicer.module import ManabiModule
from manabi_slicer.panels.messages import split
from manabi_slicer.request import Request
from manabi_slicer.slots import calling
from manabi_slicer.widget import ManabiWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

    from manabi.context import Precision, ProgressCallback
    from manabi_slicer.logic import Nodes

SAMPLE = sample_data.Sample(
    title="HeadNeckMVCT",
    phantom="head_neck",
    volumes={"mvct": "Head and neck MVCT (simulated)", "kvct": "Head and neck planning CT (simulated)"},
    module="MVCTConvert",
    modality="CT",
    units="HU",
)
"""A simulated patient's megavoltage CT, and the kilovoltage CT of the same patient on the same grid as the truth."""
BATCH_COLUMNS = (
    "case", "status", "verdict", "cnr_muscle_fat_input", "cnr_muscle_fat_converted", "noise_hu_converted",
    "dig_a_hu_per_mm", "uncertainty_hu_median", "residual_hu_mean_absolute", "error",
)  # fmt: skip
"""What the panel shows of a batch's table: those of these columns that it has."""


class MVCTConvert(ManabiModule):
    """What Slicer shows of the module before it is opened."""

    sample = SAMPLE

    def __init__(self, parent: Any) -> None:
        ManabiModule.__init__(self, parent)
        self.parent.title = _("MVCTConvert")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Radiotherapy")]
        self.parent.helpText = _(
            "Brings megavoltage CT (TomoTherapy, Radixact) and cone-beam CT to the contrast of kilovoltage CT for "
            "contouring, without moving anatomy; shows how sure it is, checks the HU of every tissue, says when a "
            "result should not be used, and writes DICOM that lies where the input lies. Synthetic, not for dose. For "
            "research use. "
            '<a href="https://github.com/SlicerManabi/SlicerManabi/blob/main/docs/tutorials/mvct.md">Tutorial</a>.'
        )
        self.parent.acknowledgementText = _(
            "After Ozaki S. et al., Med Phys 2022, doi:10.1002/mp.15626, and Kida S. et al., Med Phys 2020;47:998."
        )


def registerSampleData() -> None:
    """List the simulated patient in the Sample Data module; Slicer's start does it too."""
    sample_data.register(SAMPLE, __file__)


def loadSampleData() -> list[vtkMRMLScalarVolumeNode]:
    """The simulated patient's megavoltage CT and the planning CT, loaded into the scene."""
    return sample_data.load(SAMPLE)


IMAGES = "converted"
"""Folder of the CT in an export as DICOM."""


class MVCTConvertWidget(ManabiWidget):
    """The panel: what is MVCTConvert's own; the rest is in :class:`manabi_slicer.widget.ManabiWidget`."""

    sample = SAMPLE
    batchColumns = BATCH_COLUMNS

    def createLogic(self) -> MVCTConvertLogic:
        """The module's logic."""
        return MVCTConvertLogic()

    def createSections(self) -> Sections:
        """Verdict, comparison, maps and numbers."""
        return Sections(self)

    def setup(self) -> None:
        """Build the panel."""
        ManabiWidget.setup(self)
        for name in ("densitySource", "densityTarget"):
            getattr(self.ui, f"{name}Button").connect("clicked(bool)", calling(self.onTableButton, name))

    def enter(self) -> None:
        """The module is opened."""
        ManabiWidget.enter(self)
        if self.sections is not None:
            self.sections.resume()

    def exit(self) -> None:
        """Another module is opened: the images take turns no longer."""
        if self.sections is not None:
            self.sections.comparison.stop()
        ManabiWidget.exit(self)

    def request(self, parameterNode: Any) -> Request:
        """What Apply asks for."""
        p = parameterNode
        return self.logic.request(
            p.inputVolume, p.outputVolume, referenceVolume=p.referenceVolume, model=p.model or None,
            image=p.kind.value, converter=p.converter.value, uncertainty=p.uncertainty.value,
            members=p.members.strip() or None, residual=p.residual, strength=p.strengthPercent / 100.0,
            keepDetail=p.keepDetailPercent / 100.0, wayBack=p.wayBack.value, bodyOnly=p.bodyOnly, gate=p.gate.value,
            density=p.density, dose=p.dose, densitySource=p.densitySource.strip() or None,
            densityTarget=p.densityTarget.strip() or None, device=p.device.value, precision=p.precision.value,
        )  # fmt: skip

    def reasonNotToApply(self, parameterNode: Any) -> str:
        """Why Apply cannot be pressed yet."""
        p = parameterNode
        chosen = [node.GetID() for node in (p.inputVolume, p.referenceVolume, p.outputVolume) if node]
        if len(set(chosen)) < len(chosen):
            return _("One volume is chosen twice: CT, planning CT and output must differ. Choose another volume.")
        if p.uncertainty == Uncertainty.ENSEMBLE and p.converter == Converter.NETWORK and not p.members.strip():
            return _("An ensemble needs further models. Name them under Options, or choose another uncertainty.")
        return ManabiWidget.reasonNotToApply(self, parameterNode)

    def sampleLoaded(self, parameterNode: Any, nodes: Sequence[vtkMRMLNode]) -> None:
        """Both CTs of the simulated patient are chosen."""
        parameterNode.inputVolume, parameterNode.referenceVolume = nodes

    def _showWarnings(self, outputs: Nodes) -> None:
        """What a reader must know and the verdict does not tell."""
        warnings = numbers.untold(self.logic.warningsOf(outputs), outputs)
        self.runPanel.messages.showWarnings(*split(warnings, self.logic.method.alert_prefixes))

    def onExport(self, imageFormat: str) -> None:
        """Ask for a place and write the result there; DICOM of a result not to be used only after a question."""
        if imageFormat == "dicom" and not self._mayExport():
            return
        ManabiWidget.onExport(self, imageFormat)

    def onStructures(self) -> None:
        """Ask for the structures of the input and the exported series, and write them for that series beside it."""
        if self._parameterNode is None:
            return
        try:
            rtstruct = interaction.ask_file(_("Structures of the input"), _("DICOM (*)"))
            series = interaction.ask_folder(_("Folder of the exported CT")) if rtstruct else ""
            if series:
                path = self.logic.exportStructures(self._parameterNode.inputVolume, rtstruct, series)
                self.runPanel.setStatus(_("Structures written to {path}").format(path=path))
        except Exception as error:  # the edge of the panel
            self.tell(error)

    def onTableButton(self, name: str) -> None:
        """Choose a site's table of densities."""
        path = interaction.ask_file(_("Table of HU and relative electron density"), _("Tables (*.csv)"))
        if path and self._parameterNode is not None:
            setattr(self._parameterNode, name, path)

    def _mayExport(self) -> bool:
        """Whether the archive may get this result: the checks allow it, or the user insists."""
        if self.sections is None or self.sections.verdict.allows or not interaction.can_ask():
            return True
        question = _("The checks say: do not use this result. Write it as DICOM all the same?")
        return interaction.confirm(question)


class MVCTConvertLogic(ManabiLogic):
    """MVCTConvert without its panel."""

    methodName = "mvct"
    parameterNodeClass = MVCTConvertParameterNode

    def process(
        self,
        inputVolume: vtkMRMLScalarVolumeNode,
        outputVolume: vtkMRMLScalarVolumeNode | None = None,
        *,
        referenceVolume: vtkMRMLScalarVolumeNode | None = None,
        model: str | None = None,
        image: str = "auto",
        converter: str = "network",
        uncertainty: str = "flips",
        members: str | None = None,
        residual: bool = True,
        strength: float = 1.0,
        keepDetail: float = 0.0,
        wayBack: str = "correction",
        bodyOnly: bool = True,
        gate: str = "flag",
        density: bool = True,
        dose: bool = False,
        densitySource: str | None = None,
        densityTarget: str | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        seed: int = 0,
        onProgress: ProgressCallback | None = None,
    ) -> Nodes:
        """Convert a CT in this process and put everything that was found into the scene.

        Args:
            inputVolume: megavoltage or cone-beam CT, HU; it is not changed.
            outputVolume: gets the converted CT; by default a new volume, or that of the last run on this input.
            referenceVolume: registered kilovoltage CT of the same patient, to compare with; the result is made
                without it.
            model: name or path of a model; by default the one that Manabi brings.
            image: ``mvct``, ``cbct``, or ``auto`` for what the model was made for.
            converter: ``network``, or ``histogram``, ``polynomial``, ``nlm``, ``bm3d`` for comparison.
            uncertainty: ``none``, ``flips``, ``ensemble`` or ``dropout``.
            members: names of further models for ``ensemble``, separated by commas.
            residual: convert back and show what was lost on the way.
            strength: share of the change that is applied, 0 to 1.
            keepDetail: share of the input's faint detail in soft tissue that is given back, 0 to 1.
            wayBack: ``correction`` or ``resample``: how the result comes back to the input's grid.
            bodyOnly: leave everything outside the body as it is.
            gate: ``flag`` an input that fails the checks, or ``refuse`` it.
            density: compare electron density and water-equivalent depth with the input's own.
            dose: compare a simple dose with that on the reference.
            densitySource: CSV of the site for the input's machine.
            densityTarget: CSV of the site for kilovoltage CT.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            precision: arithmetic of the network: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
            seed: everything random follows from it.
            onProgress: called with a fraction and a text.

        Returns:
            Output nodes by key: ``volumes/converted``, ``volumes/difference``, ``volumes/uncertainty``,
            ``volumes/residual``, ``volumes/gradient_difference``, ``labelmaps/tissues``, ``tables/hu_check``,
            ``plots/histogram``, ``measurements``, ``report``, ...

        Raises:
            InvalidInputError: for inputs or parameters that cannot be used.
            ManabiError: whatever else went wrong; the scene is unchanged then.
        """
        request = self.request(
            inputVolume, outputVolume, referenceVolume=referenceVolume, model=model, image=image, converter=converter,
            uncertainty=uncertainty, members=members, residual=residual, strength=strength, keepDetail=keepDetail,
            wayBack=wayBack, bodyOnly=bodyOnly, gate=gate, density=density, dose=dose, densitySource=densitySource,
            densityTarget=densityTarget, device=device, precision=precision, seed=seed,
        )  # fmt: skip
        return self.runHere(request, onProgress)

    def exportStructures(
        self, inputVolume: vtkMRMLScalarVolumeNode, rtstruct: str | Path, series: str | Path
    ) -> Path:  # fmt: skip
        """Write the structures of the input once more for the exported DICOM CT, into its folder.

        Args:
            inputVolume: whose result was exported.
            rtstruct: RTSTRUCT file drawn on the input.
            series: folder that an export as DICOM made, or the folder ``converted`` in it.

        Returns:
            The new file, beside the folder of the images; contours keep their coordinates, and the structure set is
            not approved.

        Raises:
            InvalidInputError: where the folder holds no exported CT, or the file is no RTSTRUCT of this patient.
            GeometryError: where the structures lie in another frame of reference.
        """
        from manabi.errors import InvalidInputError
        from manabi.io.dicom import write_structures

        inner = Path(series) / IMAGES
        images = inner if inner.is_dir() else Path(series)
        files = sorted(path for path in images.iterdir() if path.is_file())
        if not files:
            raise InvalidInputError("The folder holds no exported CT. Export the result as DICOM CT first.")
        provenance = self.resultOf(inputVolume, volumes=False).provenance
        names = (f"structures-{number}.dcm" for number in count(1))
        path = next(images.parent / name for name in names if not (images.parent / name).exists())
        return write_structures(rtstruct, files, path, provenance=provenance)

    def hasModel(self) -> bool:
        """Whether there is a model on this computer."""
        from manabi.store import BundleStore

        return any(bundle.method == self.methodName for bundle in BundleStore().list())

    def request(
        self,
        inputVolume: vtkMRMLScalarVolumeNode | None,
        outputVolume: vtkMRMLScalarVolumeNode | None = None,
        *,
        referenceVolume: vtkMRMLScalarVolumeNode | None = None,
        model: str | None = None,
        image: str = "auto",
        converter: str = "network",
        uncertainty: str = "flips",
        members: str | None = None,
        residual: bool = True,
        strength: float = 1.0,
        keepDetail: float = 0.0,
        wayBack: str = "correction",
        bodyOnly: bool = True,
        gate: str = "flag",
        density: bool = True,
        dose: bool = False,
        densitySource: str | None = None,
        densityTarget: str | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        seed: int = 0,
    ) -> Request:
        """What :meth:`process` runs, for :meth:`runHere` or :meth:`startRun`; arguments as there."""
        parameters = {
            "converter": converter,
            "image": image,
            "way_back": wayBack,
            "body_only": bodyOnly,
            "strength": strength,
            "keep_detail": keepDetail,
            "uncertainty": uncertainty,
            "members": members,
            "residual": residual,
            "gate": gate,
            "density": density,
            "dose": dose,
            "density_source": densitySource,
            "density_target": densityTarget,
        }
        chosen = {"volumes/converted": outputVolume} if outputVolume is not None else {}
        return Request(
            nodes={"ct": inputVolume, "reference": referenceVolume}, parameters=parameters, bundle=model,
            device=device, precision=precision, seed=seed, chosen=chosen,
        )  # fmt: skip


class MVCTConvertTest(ScriptedLoadableModuleTest):
    """Runs the logic on the simulated patient and checks the numbers."""

    setUp, runTest = self_test.set_up, self_test.run_all

    def test_sample_data_is_registered(self) -> None:
        """The simulated patient is listed in Sample Data."""
        registerSampleData()
        self_test.check_listed(self, SAMPLE)

    def test_converted_ct_is_closer_to_the_kilovoltage_ct(self) -> None:
        """The model's result lies on the input, is nearer to the kilovoltage CT, and keeps bone."""
        import numpy as np

        self_test.need_packages(self)
        if not MVCTConvertLogic().hasModel():
            self.skipTest("needs a model for MVCTConvert, and none is on this computer")
        megavoltage, kilovoltage = loadSampleData()
        outputs = MVCTConvertLogic().process(megavoltage, referenceVolume=kilovoltage, device="cpu")
        converted = outputs["volumes/converted"]
        nodes = (megavoltage, converted, kilovoltage)
        before, after, target = (slicer.util.arrayFromVolume(node).astype(float) for node in nodes)
        body, soft = target > -300, (target > -300) & (target < 300)
        self.assertLess(np.abs(after - target)[body].mean(), 0.75 * np.abs(before - target)[body].mean())
        self.assertLess(np.abs(after - target)[soft].mean(), np.abs(before - target)[soft].mean())
        self.assertGreater(after.max(), 0.9 * before.max())
        self.assertEqual(self_test.bounds_of(megavoltage), self_test.bounds_of(converted))
        self.assertIn("simulated", outputs["report"].GetText())

    def test_what_is_shown_of_a_result_is_there(self) -> None:
        """Without a model: HU of every tissue, verdict, histogram and maps lie on the input; air is left as it is."""
        import numpy as np

        self_test.need_packages(self)
        megavoltage, kilovoltage = loadSampleData()
        outputs = MVCTConvertLogic().process(megavoltage, referenceVolume=kilovoltage, converter="nlm", device="cpu")
        converted = outputs["volumes/converted"]
        before, after = (slicer.util.arrayFromVolume(node).astype(float) for node in (megavoltage, converted))
        self.assertEqual(self_test.bounds_of(megavoltage), self_test.bounds_of(converted))
        self.assertTrue((after[:, :4, :4] == before[:, :4, :4]).all())
        change = slicer.util.arrayFromVolume(outputs["volumes/difference"])
        self.assertLess(np.abs(after - before - change).max(), 1.0)
        self.assertIn(numbers.verdict(outputs).level, ("ok", "flag", "refuse"))
        self.assertGreaterEqual(outputs["tables/hu_check"].GetNumberOfRows(), 9)
        self.assertEqual(outputs["plots/histogram"].GetNumberOfPlotSeriesNodes(), 3)

    def test_wrong_image_is_refused_and_leaves_nothing(self) -> None:
        """An empty image is refused with a reason, and no node is added."""
        self_test.check_refused(self, MVCTConvertLogic().process, (16, 64, 64))
