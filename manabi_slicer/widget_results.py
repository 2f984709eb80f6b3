"""The half of a module's panel that is about results: what is shown of them, Undo, and export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import exporting, interaction
from manabi_slicer.panels.messages import split

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi_slicer.logic import Nodes


class WidgetResults:
    """Finds and shows the outputs of the panel's choices; a part of :class:`manabi_slicer.widget.ManabiWidget`."""

    logic: Any
    runPanel: Any
    request: Any
    tell: Any
    _parameterNode: Any
    sections: Any = None
    """What keeps the module's own widgets in step with the scene, a
    :class:`manabi_slicer.panels.sections.PanelSections`; None where a module has none."""

    # --- what a module says -------------------------------------------------------------------------

    def showResult(self, outputs: Nodes, inputNode: vtkMRMLNode | None) -> None:
        """Arrange the views so that a reader sees the result."""
        if self.sections is not None:
            self.sections.show(outputs, inputNode)

    def outputsChanged(self, outputs: Nodes) -> None:
        """The outputs of the chosen input changed (perhaps to none): show them in the panel."""
        if self.sections is not None:
            self.sections.fill(outputs)

    def resultNode(self) -> vtkMRMLNode | None:
        """The node that the shown outputs belong to: the chosen input, or None."""
        return self._parameterNode.inputVolume if self._parameterNode is not None else None

    def shownOutputs(self) -> Nodes:
        """The outputs that the panel shows: those of the chosen input."""
        return self.logic.outputsOf(self.resultNode())

    def refreshOutputs(self) -> None:
        """Show the outputs that are in the scene."""
        outputs = self.shownOutputs()
        can_undo = self.logic.canUndo(self.resultNode())
        self.runPanel.setResultActions(has_result=bool(outputs), can_undo=can_undo)
        self._showWarnings(outputs)
        self.outputsChanged(outputs)

    def _showWarnings(self, outputs: Nodes) -> None:
        """What a reader must know of the result that is shown, also after its scene was loaded again."""
        warnings = self.logic.warningsOf(outputs)
        alerts, notes = split(warnings, self.logic.method.alert_prefixes)
        self.runPanel.messages.showWarnings(alerts, notes)

    # --- what the user does -------------------------------------------------------------------------

    def onShowButton(self) -> None:
        """Arrange the views for the result that the panel shows."""
        outputs = self.shownOutputs()
        if outputs and interaction.has_views():
            self.showResult(outputs, self.resultNode())

    def onUndoButton(self) -> None:
        """Put the outputs back as they were before Manabi last changed them: by Apply, or after a correction."""
        if self.logic.undo():
            self.runPanel.messages.clear()
            self.runPanel.setStatus(_("The outputs are as they were before Manabi last changed them."))
        self.refreshOutputs()

    def onExport(self, imageFormat: str) -> None:
        """Ask for a place, and write the result into a new folder there."""
        if self._parameterNode is None:
            return
        try:
            folder = exporting.ask_and_export(self.logic, self.inputNodes(), imageFormat, **self.exportOptions())
            if folder:
                self.runPanel.setStatus(_("Exported to {folder}").format(folder=folder))
        except Exception as error:  # the edge of the panel
            self.tell(error)

    def inputNodes(self) -> dict[str, vtkMRMLNode | None]:
        """The nodes that the shown outputs were made from, by the method's input names."""
        return dict(self.request(self._parameterNode).nodes)

    def exportOptions(self) -> dict[str, Any]:
        """What else the logic's ``export`` is to be told."""
        return {}
