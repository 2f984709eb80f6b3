"""The parts of the panel in step with the scene: features, the patient's risk, cohort, and what each gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from manabi_slicer import exporting, interaction
from manabi_slicer.panels.sections import PanelSections
from manabi_slicer.panels.segments_list import SegmentsList
from manabi_slicer.panels.task_tabs import TaskTabs
from manabi_slicer.slots import calling
from RadiomicsSurvivalLib import clinical, display, features_table, risk_panel
from RadiomicsSurvivalLib.clinical_form import ClinicalForm
from RadiomicsSurvivalLib.cohort_panel import CohortPanel
from RadiomicsSurvivalLib.features_table import FeaturesTable
from RadiomicsSurvivalLib.parameters import Task

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

PAGES = {Task.FEATURES: "featuresPage", Task.RISK: "riskPage", Task.COHORT: "cohortPage"}
"""The tab of each task, in their order."""
RESULTS = {Task.FEATURES: "featuresResult", Task.RISK: "riskResult", Task.COHORT: "cohortResult"}
OF_A_MODEL = ("modelLabel", "modelComboBox", "modelDetailsButton", "noticeLabel")
"""Widgets of the run panel that only the risk needs."""


class Sections(PanelSections):
    """Connects the widgets of the three parts with the panel.

    Args:
        widget: the module's.
    """

    def __init__(self, widget: Any) -> None:
        super().__init__(widget)
        self.tabs = TaskTabs(self._ui, PAGES, widget)
        self.segments = SegmentsList(self._ui.segmentsList, self._set("leftOut"), widget.onParametersChanged, False)
        self.form = ClinicalForm(self._ui.clinicalContainer, self._set("clinical"))
        self.features = FeaturesTable(self._ui, calling_with(self._guarded, self.save))
        self.cohort = CohortPanel(self._ui, lambda: self._choices, self.use_model)
        self._ui.reportButton.connect("clicked(bool)", calling(self._guarded, self.report))
        widget.runPanel.ui.modelComboBox.connect("currentIndexChanged(int)", calling(widget.onParametersChanged))

    # --- filling ------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """A choice changed, or a run began or ended."""
        p, ui = self._choices, self._ui
        if p is None:
            return
        risk = p.task == Task.RISK
        self.tabs.follow(p.task)
        ui.inputsCollapsibleButton.visible = p.task != Task.COHORT
        for name in OF_A_MODEL:
            getattr(self._widget.runPanel.ui, name).visible = risk
        for task, name in RESULTS.items():
            getattr(ui, name).visible = task == p.task
        self.segments.follow(p.segmentation, p.leftOut)
        ui.settingsLabel.text = preset_text(p)
        bundle = self._widget.modelsPanel.current()
        ui.verdictLabel.text = clinical.model_text(bundle)
        self.form.show(clinical.fields_of(bundle), clinical.read(p.clinical))
        self.cohort.refresh(p)

    def fill(self, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """The outputs of the open part changed."""
        p = self._choices
        task = p.task if p is not None else None
        self.features.fill(outputs if task == Task.FEATURES else {})
        risk_panel.fill(self._ui, outputs if task == Task.RISK else {})
        self.cohort.fill(outputs if task == Task.COHORT else {}, p.fittedFolder if p is not None else "")
        there = bool(outputs)
        self._ui.reportButton.enabled = there
        self._ui.reportButton.toolTip = (
            _("One HTML file with its pictures, and a PDF, in a new folder")
            if there
            else _("There is nothing to report yet. Press Apply.")
        )

    def let_go(self) -> None:
        """The scene or the panel goes."""
        self.segments.leave()

    def show(self, outputs: Mapping[str, vtkMRMLNode], image: Any = None) -> None:
        """Arrange the views for what was made.

        Args:
            outputs: of one task.
            image: that it was made from; None for a cohort.
        """
        p = self._choices
        if p is None:
            return
        self._ui.resultCollapsibleButton.collapsed = False
        if "tables/scores" in outputs:
            display.show_cohort(outputs)
        elif "tables/risk" in outputs:
            display.show_risk(image, outputs, p.segmentation)
        elif "tables/features" in outputs:
            display.show_features(image, outputs, p.segmentation)

    # --- actions ------------------------------------------------------------------------------------

    def save(self, key: str) -> None:
        """Ask for a file and write one of the tables of features into it."""
        path = features_table.ask_and_save(self._widget.shownOutputs().get(key))
        if path:
            self._widget.runPanel.setStatus(_("Saved {path}").format(path=path))

    def report(self) -> None:
        """Ask for a place, and write the report into a new folder there."""
        if not interaction.can_ask():
            return
        import slicer

        place = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Save the report into a new folder in"))
        if place:
            from pathlib import Path

            folder = exporting.new_folder(Path(str(place)), "manabi-radiomics-report")
            with exporting.waiting():
                self._logic.saveReport(folder, self._choices.task.value, self._widget.inputNodes())
            self._widget.runPanel.setStatus(_("The report is in {folder}").format(folder=folder))

    def use_model(self) -> None:
        """Install the model that was fitted last; the list of models has it then."""
        if self._choices is not None and self._choices.fittedFolder:
            self._widget.modelsPanel.install(self._choices.fittedFolder)
            self._widget.runPanel.setStatus(_("The model is being installed; Models, below, says how it ended."))


def calling_with(function: Callable[..., None], act: Callable[..., None]) -> Callable[[str], None]:
    """A function of one text that calls ``function(act, text)``."""
    return lambda text: function(act, text)


def preset_text(p: Any) -> str:
    """The chosen settings in words, and that they were changed where they were."""
    from manabi.radiomics.presets import PRESETS

    changed = any((p.binWidth, p.binCount, p.resampleMm, p.wavelets))
    text = PRESETS.get(p.preset.value, "")
    return _("{settings}; changed under Options.").format(settings=text) if changed else f"{text}."

