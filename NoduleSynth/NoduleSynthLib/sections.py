"""The parts of the panel in step with the scene: film, marks, making films, pairs, and what each gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import interaction
from manabi_slicer.panels.messages import WARNING
from manabi_slicer.panels.sections import PanelSections
from manabi_slicer.panels.task_tabs import TaskTabs
from manabi_slicer.slots import calling
from NoduleSynthLib import display, films, looks, marks, saving, tasks
from NoduleSynthLib.marks_panel import MarksPanel
from NoduleSynthLib.pairs_panel import PairsPanel
from NoduleSynthLib.parameters import Base, Task
from NoduleSynthLib.synthesis_panel import SynthesisPanel

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

PAGES = {Task.DETECT: "detectPage", Task.SYNTHESISE: "synthesisPage"}
"""The tab of each task, in their order."""
RESULTS = {Task.DETECT: "detectResult", Task.SYNTHESISE: "synthesisResult"}
OF_A_MODEL = ("modelLabel", "modelComboBox", "modelDetailsButton", "noticeLabel")
"""Widgets of the run panel that only the detection needs."""
KINDS = _("Films (*.dcm *.dicom *.ima *.png *.jpg *.jpeg *.tif *.tiff);;All files (*)")


class Sections(PanelSections):
    """Connects the widgets of both parts with the panel.

    Args:
        widget: the module's.
    """

    def __init__(self, widget: Any) -> None:
        super().__init__(widget)
        self._opacity: float | None = None
        self._ui.statementFrame.setStyleSheet(WARNING)
        self.marks = MarksPanel(self._ui, self.slide, self.jump)
        self.synthesis = SynthesisPanel(self._ui, lambda: self._choices, widget.onParametersChanged)
        self.synthesis.list_flows(widget.modelsPanel.bundles)
        self.pairs = PairsPanel(self._ui, self.synthesis.flow)
        self.tabs = TaskTabs(self._ui, PAGES, widget)
        for name, act in {
            "openButton": self.open, "reportButton": self.save_report, "csvButton": self.save_csv,
            "goOnButton": self.go_on, "lookButton": self.look,
        }.items():  # fmt: skip
            getattr(self._ui, name).connect("clicked(bool)", calling(self._guarded, act))

    # --- in step with the scene ---------------------------------------------------------------------

    def refresh(self) -> None:
        """A choice changed, a point was placed, or a run began or ended."""
        p, ui = self._choices, self._ui
        if p is None:
            return
        self.tabs.follow(p.task)
        for name in OF_A_MODEL:
            getattr(self._widget.runPanel.ui, name).visible = p.task == Task.DETECT
        for task, name in RESULTS.items():
            getattr(ui, name).visible = task == p.task
        ui.filmLabel.text = films.facts_text(p.inputVolume)
        ui.filmLabel.visible = bool(ui.filmLabel.text)
        self.marks.place(p.falsePositives)
        self.synthesis.refresh(p)
        if p.heatOpacityPercent != self._opacity:
            self._opacity = p.heatOpacityPercent
            if p.inputVolume and interaction.has_views():
                outputs = self._logic.outputsOf(p.inputVolume)
                display.set_heat_opacity(p.inputVolume, outputs, p.heatOpacityPercent / 100.0)

    def fill(self, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """The outputs of the open part changed."""
        p = self._choices
        detects = p is not None and p.task == Task.DETECT
        self.marks.fill(outputs if detects else {})
        self.synthesis.fill({} if detects else outputs)
        there = detects and marks.CANDIDATES in outputs
        reason = "" if there else _("There is no result yet. Press Apply first.")
        self._enable("csvButton", reason, _("Save the marks that are shown as a table"))
        report = reason or (saving.why_no_report(p.inputVolume) if p is not None else "")
        self._enable("reportButton", report, _("Write the marks that are shown as a DICOM Chest CAD structured report"))

    def show(self, outputs: Mapping[str, vtkMRMLNode], image: Any = None) -> None:
        """Arrange the views for what was made.

        Args:
            outputs: of one task.
            image: the film that was searched; None for films made from nothing.
        """
        p = self._choices
        if p is None:
            return
        self._ui.resultCollapsibleButton.collapsed = False
        if display.AFTER in outputs:
            display.show_synthesis(outputs, [p.places, marks.points_of(self._logic.outputsOf(p.inputVolume or None))])
        elif image is not None and marks.CANDIDATES in outputs:
            display.show_detection(image, outputs, p.heatOpacityPercent / 100.0)

    def let_go(self) -> None:
        """The scene or the panel goes."""
        self.synthesis.let_go()

    def close(self) -> None:
        """The panel ends."""
        self.pairs.close()

    # --- what the user does -------------------------------------------------------------------------

    def slide(self, false_positives: float) -> None:
        """The slider was moved: marks come and go at once; nothing is computed anew."""
        p = self._choices
        if p is None:
            return
        p.falsePositives = false_positives
        outputs = self._logic.setFalsePositives(p.inputVolume, false_positives) if p.inputVolume else {}
        self.fill(outputs)

    def jump(self, number: int) -> None:
        """A mark's row was chosen: all views show it."""
        p = self._choices
        outputs = self._logic.outputsOf(p.inputVolume) if p is not None else {}
        point = marks.position(outputs, number)
        if point is not None:
            looks.choose_mark(outputs, number)
            display.jump(point)

    def open(self) -> None:
        """Ask for the file of a film, and choose the film."""
        path = interaction.ask_file(_("Open a film"), KINDS)
        if path:
            import slicer

            self._choices.inputVolume = film = self._logic.openFilm(path)
            looks.dress_film(film)
            if interaction.has_views():
                slicer.util.setSliceViewerLayers(background=film, fit=True)

    def save_csv(self) -> None:
        """Ask for a file, and write the marks that are shown into it."""
        path = saving.ask_for_file(_("Save the marks"), _("Tables (*.csv)"), ".csv")
        if path is not None:
            self._say(saving.save_marks(self._logic, self._choices.inputVolume, path))

    def save_report(self) -> None:
        """Ask for a file, and write the structured report into it."""
        path = saving.ask_for_file(_("Save the structured report"), _("DICOM files (*.dcm)"), ".dcm")
        if path is not None:
            self._say(saving.save_cad_sr(self._logic, {tasks.FILM: self._choices.inputVolume}, path))

    def go_on(self) -> None:
        """The film before the nodules becomes the one to put nodules into."""
        self._take(display.BEFORE, Task.SYNTHESISE)

    def look(self) -> None:
        """The film with its nodules becomes the one to search."""
        self._take(display.AFTER, Task.DETECT)

    # --- parts --------------------------------------------------------------------------------------

    def _take(self, key: str, task: Task) -> None:
        node = self._widget.shownOutputs().get(key)
        if node is not None:
            p = self._choices
            p.inputVolume, p.base, p.task = node, Base.INPUT, task

    def _say(self, path: Any) -> None:
        self._widget.runPanel.setStatus(_("Saved {path}").format(path=path))

    def _enable(self, name: str, reason: str, tip: str) -> None:
        button = getattr(self._ui, name)
        button.enabled = not reason
        button.toolTip = reason or tip
