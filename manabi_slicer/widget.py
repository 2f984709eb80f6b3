"""The panel that every module's panel derives from; a module adds only what is its own.

A module's widget names its logic, builds requests from its parameter node, and shows results. Its ``.ui`` holds the
inputs and options, the button ``sampleButton``, and two empty widgets with a layout: ``runContainer``, where Apply,
progress and messages go, and ``moreContainer``, where models and log go.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from manabi.errors import CancelledError, ManabiError
from manabi_slicer import exporting, interaction, slots
from manabi_slicer.install import Installer, missing
from manabi_slicer.panels.batch_panel import BatchPanel
from manabi_slicer.panels.loading import load
from manabi_slicer.panels.log_panel import LogPanel
from manabi_slicer.panels.models_panel import ModelsPanel
from manabi_slicer.panels.run_panel import RunPanel
from manabi_slicer.panels.sample_button import SampleButton
from manabi_slicer.preflight import Preflight
from manabi_slicer.request import Request
from manabi_slicer.run import Run, State, clock_text
from manabi_slicer.widget_results import WidgetResults

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi_slicer.logic import ManabiLogic, Nodes
    from manabi_slicer.panels.sections import PanelSections
    from manabi_slicer.sample_data import Sample

POLL_MS = 100
REST_MS = 60_000
DOUBLE_CLICK_S = 0.5
"""A second click on Apply within this time is no Cancel (our choice)."""
_log = logging.getLogger(__name__)


class ManabiWidget(WidgetResults, ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Loads the ``.ui``, binds the parameter node, runs, and tells.

    A module names its :attr:`sample` and overrides :meth:`createLogic` and :meth:`request`. Either it gives sections
    (:meth:`createSections`), or it overrides :meth:`showResult`, :meth:`outputsChanged` and :meth:`letGo`; where it
    needs to, :meth:`reasonNotToApply`, :meth:`selectDefaults` and :meth:`sampleLoaded` too.
    """

    sample: Sample
    batchColumns: Sequence[str] = ()
    """What the panel shows of a batch's table, where the module's ``.ui`` has a ``batchContainer`` for batches."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: Any = None
        self.ui: Any = None
        self.run: Run | None = None
        self.batchPanel: BatchPanel | None = None
        self._parameterNode: Any = None
        self._guiTag: int | None = None
        self.timer: Any = None
        self.restTimer: Any = None
        self._startedAt = 0.0
        self._dropResult = False
        self._shownInput: str | None = None

    # --- what a module says -------------------------------------------------------------------------

    def createLogic(self) -> ManabiLogic:
        """The module's logic."""
        raise NotImplementedError

    def request(self, parameterNode: Any) -> Request:
        """What Apply asks for, from the parameter node."""
        raise NotImplementedError

    def createSections(self) -> PanelSections | None:
        """What keeps the module's own widgets in step with the scene, where it has something for that."""
        return None

    def sampleLoaded(self, parameterNode: Any, nodes: Sequence[vtkMRMLNode]) -> None:
        """Choose what was loaded of the sample; by default its first volume as the input."""
        parameterNode.inputVolume = nodes[0]

    def letGo(self) -> None:
        """The scene is about to be closed, or the panel ends: hold none of the scene's nodes any longer."""
        if self.sections is not None:
            self.sections.let_go()

    def selectDefaults(self, parameterNode: Any) -> None:
        """Choose inputs that are likely meant, to save a click; by default the first volume of the scene."""
        if not parameterNode.inputVolume:
            volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            images = [node for node in volumes if node.GetClassName() == "vtkMRMLScalarVolumeNode"]  # no label maps
            parameterNode.inputVolume = images[0] if images else None

    def reasonNotToApply(self, parameterNode: Any) -> str:
        """Why Apply cannot be pressed yet, and what to do; empty where it can."""
        volume = parameterNode.inputVolume
        if not volume:
            return _("Choose the image to process, or load the sample data.")
        if volume.GetImageData() is None:
            return _("The chosen image holds no voxels. Load it again.")
        return ""

    # --- life of the panel --------------------------------------------------------------------------

    def setup(self) -> None:
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath(f"UI/{self.moduleName}.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = self.createLogic()
        self.logic.session.enter()
        self.installer = Installer()
        self.runPanel = RunPanel(slicer.util.findChild(uiWidget, "runContainer"), self.onApplyButton)
        moreWidget, more = load("ManabiMore")
        slicer.util.findChild(uiWidget, "moreContainer").layout().addWidget(moreWidget)
        self.logPanel = LogPanel(more)
        self.modelsPanel = ModelsPanel(self.runPanel.ui, more, self.logic.methodName, self._onModelChosen)
        self.preflight = Preflight(self.runPanel, self.logPanel)
        sampleButton = slicer.util.findChild(uiWidget, "sampleButton")
        self.sampleButton = SampleButton(sampleButton, self.sample, self._onSampleLoaded, self.tell)
        if self.batchColumns:
            container = slicer.util.findChild(uiWidget, "batchContainer")
            self.batchPanel = BatchPanel(container, self.logic.methodName, self._batchRequest, self.batchColumns)
        self.timer = slots.timer(POLL_MS, self.onTimer)
        self.restTimer = slots.timer(REST_MS, self.onRestTimer)
        self.restTimer.start()
        self.runPanel.ui.showButton.connect("clicked(bool)", self.onShowButton)
        self.runPanel.ui.undoButton.connect("clicked(bool)", self.onUndoButton)
        exporting.add_menu(self.runPanel.ui.exportButton, self.onExport)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.initializeParameterNode()
        self.sections = self.createSections()
        if self.sections is not None:
            self.onParametersChanged()
            self.refreshOutputs()

    def cleanup(self) -> None:
        """The module is unloaded or Slicer ends: stop what runs, end the worker with its last user."""
        if self.logic is None or self.timer is None:  # the panel was never built
            return
        try:
            self.timer.stop()
            self.restTimer.stop()
            if self.batchPanel is not None:
                self.batchPanel.close()
            self.letGo()
            self.setParameterNode(None)
            self.removeObservers()
            self.preflight.forget()
            if self.run is not None:
                self.run.abandon()
        finally:
            self.logic.session.leave()

    def enter(self) -> None:
        """The module is opened."""
        self.initializeParameterNode()
        self._continueInstallation()

    def exit(self) -> None:
        """Another module is opened; a run under way goes on, and its result is put into the scene."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller: Any = None, event: Any = None) -> None:
        """The scene is about to be closed: what runs is cancelled, nothing of it enters the next scene."""
        self.letGo()
        self.setParameterNode(None)
        if self.run is not None:
            self._dropResult = True
            self.run.cancel()

    def onSceneEndClose(self, caller: Any = None, event: Any = None) -> None:
        """The scene was closed."""
        self.runPanel.messages.clear()
        self.outputsChanged({})
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller: Any = None, event: Any = None) -> None:
        """A scene was loaded: its choices and results are shown."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    # --- parameter node -----------------------------------------------------------------------------

    def initializeParameterNode(self) -> None:
        """Bind the scene's parameter node, made where there is none, and list the models."""
        self.setParameterNode(self.logic.getParameterNode())
        self.selectDefaults(self._parameterNode)
        self.refreshModels()

    def setParameterNode(self, parameterNode: Any) -> None:
        """Bind the panel to a parameter node, or to none."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self._parameterNode = parameterNode
        self._shownInput = None
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
            self.onParametersChanged()

    def onParametersChanged(self, caller: Any = None, event: Any = None) -> None:
        """A choice changed: Apply is enabled or says why not; the results of the chosen input are shown."""
        if self._parameterNode is None:
            return
        reason = self.reasonNotToApply(self._parameterNode)
        self.runPanel.setReady(not reason, reason or _("Run {method}").format(method=self.moduleName))
        if not reason and self.parent.isEntered and interaction.can_ask():
            self._warmUp()
        volume = self._parameterNode.inputVolume
        shown = volume.GetID() if volume else None
        if shown != self._shownInput:
            self._shownInput = shown
            self.refreshOutputs()
        if self.sections is not None:
            self.sections.refresh()

    def _warmUp(self) -> None:
        """Load the model in the background while the user still chooses: the first Apply is as quick as the next."""
        model = self._parameterNode.model or None
        try:
            if not self.logic.session.is_warm(self.logic.methodName, model) and not missing():
                self.logic.session.warm_up(self.logic.methodName, model)
                self._askPreflight(self.request(self._parameterNode).device)
                self.timer.start()
        except ManabiError as error:  # Apply will tell it better
            _log.info("the worker was not started ahead: %s", type(error).__name__)

    def refreshModels(self) -> None:
        """List the models anew; the parameter node's choice is kept."""
        wanted = self._parameterNode.model if self._parameterNode is not None else ""
        self.modelsPanel.refresh(wanted or self.logic.method.default_bundle or "")

    def _onModelChosen(self, name: str) -> None:
        if self._parameterNode is not None:
            self._parameterNode.model = name

    def _batchRequest(self) -> Request:
        """What a batch asks for: the panel's present choices."""
        return self.request(self._parameterNode or self.logic.getParameterNode())

    def _onSampleLoaded(self, nodes: Sequence[vtkMRMLNode]) -> None:
        if self._parameterNode is not None:
            self.sampleLoaded(self._parameterNode, nodes)

    # --- running ------------------------------------------------------------------------------------

    def onApplyButton(self) -> None:
        """Apply, or Cancel while a run is under way."""
        if self.run is not None:
            if time.monotonic() - self._startedAt > DOUBLE_CLICK_S:
                self.run.cancel()
                self.runPanel.setCancelling()
            return
        if self._parameterNode is None:
            return
        self.runPanel.messages.clear()
        try:
            if self.installer.ensure(self.moduleName):
                self.refreshModels()
            request = self.request(self._parameterNode)
            self.run = self.logic.startRun(request)
        except CancelledError as error:
            self.runPanel.setStatus(str(error))
            return
        except Exception as error:  # the edge of the panel
            self.tell(error)
            return
        self._startedAt = time.monotonic()
        self._dropResult = False
        self.runPanel.setRunning()
        self.logPanel.start(_("Started"))
        self.timer.start()
        self._askPreflight(request.device)

    def _askPreflight(self, device: str) -> None:
        try:
            self.preflight.start(self.logic.session, device)
        except ManabiError as error:  # the run itself will tell it better
            _log.info("the preflight was not asked: %s", type(error).__name__)

    def onTimer(self) -> None:
        """Follow the run."""
        self.preflight.poll()
        if self.run is None:
            if not self.preflight.waiting:
                self.timer.stop()
            return
        ended = self.run.poll()
        self.runPanel.setProgress(self.run.progress)
        self.logPanel.progress(self.run.progress)
        if ended:
            self._onEnded(self.run)

    def onRestTimer(self) -> None:
        """Now and then: a worker that nobody used for long is ended."""
        self.logic.session.rest(busy=self.run is not None)

    def _onEnded(self, run: Run) -> None:
        self.run = None
        took = clock_text(run.progress.elapsed_s)
        if self._dropResult or run.state == State.CANCELLED:
            self._end(_("Cancelled after {time}; nothing was changed.").format(time=took))
            return
        try:
            outputs = self.logic.finishRun(run)
        except Exception as error:  # the edge of the panel
            self._end(_("Stopped after {time}.").format(time=took))
            self.tell(error)
            return
        self._end(_("Done in {time}.").format(time=took))
        self._onDone(run, outputs)

    def _onDone(self, run: Run, outputs: Nodes) -> None:
        for text in self.logic.warningsOf(outputs):
            self.logPanel.add(text)
        self.refreshOutputs()
        if interaction.has_views() and self.parent.isEntered:
            self.showResult(outputs, run.request.nodes[self.logic.method.inputs[0].name])

    def _end(self, text: str) -> None:
        self.logPanel.add(text)
        self.runPanel.setEnded(text)
        self.refreshOutputs()

    def tell(self, error: BaseException) -> None:
        """Say what went wrong where the user looks, and the details in the log."""
        if isinstance(error, ManabiError):
            text = str(error)
        else:
            _log.error("unexpected error", exc_info=error)
            text = _("Unexpected {kind}: {error}. The details are in Slicer's error log.").format(
                kind=type(error).__name__, error=error
            )
        self.logPanel.add(text)
        self.runPanel.messages.showError(text)

    def _continueInstallation(self) -> None:
        """Go on with an installation that a restart interrupted; the user agreed to it before."""
        if not interaction.can_ask() or self.installer.interrupted_module() != self.moduleName:
            return
        try:
            self.installer.ensure(self.moduleName, consent=True)
            self.runPanel.setStatus(_("Everything is installed. Press Apply."))
        except ManabiError as error:
            self.tell(error)
