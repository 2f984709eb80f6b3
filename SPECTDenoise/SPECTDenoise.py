"""SPECTDenoise in Slicer: 5-minute dopamine-transporter SPECT to 25-minute quality, measured before and after."""

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

from SPECTDenoiseLib import display, numbers
from SPECTDenoiseLib.parameters import Layer, SPECTDenoiseParameterNode

from manabi_slicer import interaction, sample_data, self_test
from manabi_slicer.logic import ManabiLogic
from manabi_slicer.module import ManabiModule
from manabi_slicer.request import Request
from manabi_slicer.widget import ManabiWidget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

    from manabi.context import Precision, ProgressCallback
    from manabi_slicer.logic import Nodes

SAMPLE = sample_data.Sample(
    title="DaTSPECT5min",
    phantom="striatum",
    volumes={"spect_5min": "DaTSPECT 5 min (simulated)", "spect_25min": "DaTSPECT 25 min (simulated)"},
    module="SPECTDenoise",
    modality="NM",
    units="CNTS",
)
"""A simulated patient with both scans."""


class SPECTDenoise(ManabiModule):
    """What Slicer shows of the module before it is opened."""

    sample = SAMPLE

    def __init__(self, parent: Any) -> None:
        ManabiModule.__init__(self, parent)
        self.parent.title = _("SPECTDenoise")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Nuclear Medicine")]
        self.parent.helpText = _(
            "Brings the image quality of a 5-minute dopamine-transporter SPECT (<sup>123</sup>I-ioflupane) to that of "
            "a 25-minute acquisition, measures binding ratios before and after, and warns where it may have "
            "over-corrected. For research use. "
            '<a href="https://github.com/SlicerManabi/SlicerManabi/blob/main/docs/tutorials/spect.md">Tutorial</a>.'
        )
        self.parent.acknowledgementText = _(
            "After Ishiwata Y., KAKENHI 20K16705 (2024) and Jpn J Radiol (2025), doi:10.1007/s11604-025-01933-z."
        )


def registerSampleData() -> None:
    """List the simulated patient in the Sample Data module; Slicer's start does it too."""
    sample_data.register(SAMPLE, __file__)


def loadSampleData() -> list[vtkMRMLScalarVolumeNode]:
    """The simulated patient's 5-minute and 25-minute scans, loaded into the scene."""
    return sample_data.load(SAMPLE)


class SPECTDenoiseWidget(ManabiWidget):
    """The panel: what is SPECTDenoise's own; the rest is in :class:`manabi_slicer.widget.ManabiWidget`."""

    sample = SAMPLE
    _shownLayer: Layer | None = None

    def createLogic(self) -> SPECTDenoiseLogic:
        """The module's logic."""
        return SPECTDenoiseLogic()

    def setup(self) -> None:
        """Build the panel."""
        ManabiWidget.setup(self)
        self.ui.normsButton.connect("clicked(bool)", self.onNormsButton)

    def request(self, parameterNode: Any) -> Request:
        """What Apply asks for."""
        p = parameterNode
        return self.logic.request(
            p.inputVolume, p.outputVolume, referenceVolume=p.referenceVolume, model=p.model or None,
            denoiser=p.denoiser.value, reference=p.region.value, ageYears=p.ageYears or None,
            norms=p.norms.strip() or None, alertZ=p.alertZ, device=p.device.value, precision=p.precision.value,
        )  # fmt: skip

    def reasonNotToApply(self, parameterNode: Any) -> str:
        """Why Apply cannot be pressed yet."""
        p = parameterNode
        chosen = [node.GetID() for node in (p.inputVolume, p.referenceVolume, p.outputVolume) if node]
        if len(set(chosen)) < len(chosen):
            return _("One volume is chosen twice: scan, 25-minute scan and output must differ. Choose another volume.")
        return ManabiWidget.reasonNotToApply(self, parameterNode)

    def sampleLoaded(self, parameterNode: Any, nodes: Sequence[vtkMRMLNode]) -> None:
        """Both scans of the simulated patient are chosen."""
        parameterNode.inputVolume, parameterNode.referenceVolume = nodes

    def showResult(self, outputs: Nodes, inputNode: vtkMRMLNode) -> None:
        """Before, after and the chosen layer side by side."""
        self.ui.resultCollapsibleButton.collapsed = False
        display.show(inputNode, outputs, self._parameterNode.layer, self._parameterNode.referenceVolume)

    def outputsChanged(self, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """Binding ratios and grades in the panel."""
        alert_z = self._parameterNode.alertZ if self._parameterNode is not None else 0.0
        numbers.fill_changes(self.ui.changesTable, outputs.get("tables/changes"), alert_z)
        texts = (numbers.grades_text(outputs), numbers.likeness_text(outputs))
        self.ui.gradesLabel.text = "\n".join(text for text in texts if text)
        self.ui.segmentationShow3DButton.setSegmentationNode(outputs.get("labelmaps/regions"))

    def onNormsButton(self, checked: bool = False) -> None:
        """Choose a file with the site's normal values."""
        path = interaction.ask_file(_("Normal values"), _("Normal values (*.json)"))
        if path and self._parameterNode is not None:
            self._parameterNode.norms = path

    def onParametersChanged(self, caller: Any = None, event: Any = None) -> None:
        """A choice changed; another layer is shown at once, where a result is on the screen."""
        ManabiWidget.onParametersChanged(self, caller, event)
        p = self._parameterNode
        if p is None or p.layer == self._shownLayer:
            return
        self._shownLayer = p.layer
        if p.inputVolume and interaction.has_views():
            display.set_layer(self.logic.outputsOf(p.inputVolume), p.layer, p.referenceVolume is not None)


class SPECTDenoiseLogic(ManabiLogic):
    """SPECTDenoise without its panel."""

    methodName = "spect"
    parameterNodeClass = SPECTDenoiseParameterNode

    def process(
        self,
        inputVolume: vtkMRMLScalarVolumeNode,
        outputVolume: vtkMRMLScalarVolumeNode | None = None,
        *,
        referenceVolume: vtkMRMLScalarVolumeNode | None = None,
        model: str | None = None,
        denoiser: str = "network",
        reference: str = "occipital",
        ageYears: float | None = None,
        norms: str | None = None,
        alertZ: float = 2.5,
        device: str = "auto",
        precision: Precision = "auto",
        seed: int = 0,
        onProgress: ProgressCallback | None = None,
    ) -> Nodes:
        """Denoise a scan in this process and put everything that was found into the scene.

        Args:
            inputVolume: reconstructed dopamine-transporter SPECT of the head, counts; it is not changed.
            outputVolume: gets the denoised scan; by default a new volume, or that of the last run on this input.
            referenceVolume: the same patient's 25-minute scan, to compare with.
            model: name or path of a model; by default the one that Manabi brings.
            denoiser: ``network``, or ``gaussian``, ``bilateral``, ``nlm``, ``bm3d`` for comparison.
            reference: reference region of the binding ratio, ``occipital`` or ``whole_brain``.
            ageYears: of the patient, for age-adjusted grades.
            norms: JSON file with the site's own normal values.
            alertZ: over-correction alert above so many standard errors.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            precision: arithmetic of the network: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
            seed: everything random follows from it.
            onProgress: called with a fraction and a text.

        Returns:
            Output nodes by key: ``volumes/denoised``, ``volumes/difference``, ``volumes/uncertainty``,
            ``labelmaps/regions``, ``tables/changes``, ``plots/binding_ratios``, ``measurements``, ``report``, ...

        Raises:
            InvalidInputError: for inputs or parameters that cannot be used.
            ManabiError: whatever else went wrong; the scene is unchanged then.
        """
        request = self.request(
            inputVolume, outputVolume, referenceVolume=referenceVolume, model=model, denoiser=denoiser,
            reference=reference, ageYears=ageYears, norms=norms, alertZ=alertZ, device=device, precision=precision,
            seed=seed,
        )  # fmt: skip
        return self.runHere(request, onProgress)

    def request(
        self,
        inputVolume: vtkMRMLScalarVolumeNode,
        outputVolume: vtkMRMLScalarVolumeNode | None = None,
        *,
        referenceVolume: vtkMRMLScalarVolumeNode | None = None,
        model: str | None = None,
        denoiser: str = "network",
        reference: str = "occipital",
        ageYears: float | None = None,
        norms: str | None = None,
        alertZ: float = 2.5,
        device: str = "auto",
        precision: Precision = "auto",
        seed: int = 0,
    ) -> Request:
        """What :meth:`process` runs, for :meth:`runHere` or :meth:`startRun`; arguments as there."""
        parameters = {
            "pipeline": self.pipelineOf(model),
            "denoiser": denoiser,
            "reference": reference,
            "age_years": ageYears,
            "norms": norms,
            "alert_z": alertZ,
        }
        chosen = {"volumes/denoised": outputVolume} if outputVolume is not None else {}
        return Request(
            nodes={"spect": inputVolume, "full_time": referenceVolume}, parameters=parameters, bundle=model,
            device=device, precision=precision, seed=seed, chosen=chosen,
        )  # fmt: skip

    @staticmethod
    def pipelineOf(model: str | None) -> str:
        """The pipeline a model was trained for: ``ours``, or ``paper`` for the source's five slices."""
        from manabi.store import BundleStore

        if model is None:
            return "ours"
        return str(BundleStore().get(model, method="spect").facts.get("spect", {}).get("pipeline", "ours"))


class SPECTDenoiseTest(ScriptedLoadableModuleTest):
    """Runs the logic on the simulated patient and checks the numbers."""

    setUp, runTest = self_test.set_up, self_test.run_all

    def test_sample_data_is_registered(self) -> None:
        """The simulated patient is listed in Sample Data."""
        registerSampleData()
        self_test.check_listed(self, SAMPLE)

    def test_denoised_scan_is_closer_to_the_full_time_scan(self) -> None:
        """The result lies on the input, keeps its counts, and is nearer to 25 minutes than the input was."""
        import numpy as np

        self_test.need_packages(self)
        five, full = loadSampleData()
        outputs = SPECTDenoiseLogic().process(five, referenceVolume=full, device="cpu")
        denoised = outputs["volumes/denoised"]
        before, after, target = (slicer.util.arrayFromVolume(node).astype(float) for node in (five, denoised, full))
        target *= before.sum() / target.sum()
        self.assertLess(np.abs(after - target).mean(), 0.75 * np.abs(before - target).mean())
        self.assertAlmostEqual(after.sum() / before.sum(), 1.0, delta=0.02)
        self.assertEqual(self_test.bounds_of(five), self_test.bounds_of(denoised))
        self.assertEqual(outputs["tables/changes"].GetNumberOfRows(), 4)
        self.assertEqual(outputs["labelmaps/regions"].GetSegmentation().GetNumberOfSegments(), 5)
        self.assertIn("simulated", outputs["report"].GetText())

    def test_wrong_image_is_refused_and_leaves_nothing(self) -> None:
        """An empty image is refused with a reason, and no node is added."""
        self_test.check_refused(self, SPECTDenoiseLogic().process, (16, 32, 32), "float32")
