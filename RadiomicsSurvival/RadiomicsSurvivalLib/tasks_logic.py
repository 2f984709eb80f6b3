"""Risk, features and cohorts through one logic: segments are prepared for a run, and a cohort needs no image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer.tasks_logic import TasksLogic
from RadiomicsSurvivalLib import display, tasks
from RadiomicsSurvivalLib.labels import prepared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slicer import vtkMRMLNode

    from manabi.context import ProgressCallback
    from manabi.result import Result
    from manabi_slicer.logic import Nodes
    from manabi_slicer.request import Request
    from manabi_slicer.run import Run


class RadiomicsLogic(TasksLogic):
    """What the module's logic is made of, but for the functions that a user of the console calls."""

    taskNames = (tasks.RISK, tasks.FEATURES, tasks.COHORT)

    def called(self, task: str) -> str:
        """What a task is called in the names of its outputs."""
        return {tasks.FEATURES: _("features"), tasks.COHORT: _("cohort")}.get(task, "")

    def imageless(self, parameters: Mapping[str, Any]) -> bool:
        """A cohort has no image."""
        return self.taskOf(parameters) == tasks.COHORT

    def cohortNode(self) -> vtkMRMLNode:
        """The node that the outputs of a cohort belong to."""
        return self.ownNode()

    def runHere(self, request: Request, onProgress: ProgressCallback | None = None) -> Nodes:
        """As of the base class; segments become labels on the image's grid."""
        return TasksLogic.runHere(self, prepared(request), onProgress)

    def startRun(self, request: Request) -> Run:
        """As of the base class; segments become labels on the image's grid."""
        return TasksLogic.startRun(self, prepared(request))

    def keep(
        self, result: Result, inputs: Sequence[vtkMRMLNode | None], chosen: Mapping[str, vtkMRMLNode] | None = None
    ) -> Nodes:  # fmt: skip
        """As of the base class; the copy of the segments stays hidden."""
        outputs = TasksLogic.keep(self, result, inputs, chosen)
        display.hide_copy(outputs)
        return outputs

    def saveReport(
        self, folder: str | Path, task: str = tasks.RISK, nodes: Mapping[str, vtkMRMLNode | None] | None = None
    ) -> list[Path]:  # fmt: skip
        """Write the report of a result as HTML and PDF.

        Args:
            folder: new; it appears with both files.
            task: one of :data:`RadiomicsSurvivalLib.tasks.TASKS`.
            nodes: input nodes by the method's names; None for a cohort.

        Returns:
            The two files.

        Raises:
            InvalidInputError: when there is no result, or the folder is there already.
        """
        from manabi.errors import InvalidInputError
        from manabi.radiomics.report import write_reports

        if Path(folder).exists():
            raise InvalidInputError(_("The folder is there already; nothing is overwritten. Name another one."))
        given = dict(nodes or {"image": None})
        result = self.resultOf(self._belongsTo(given, task), task=task)
        return write_reports(self._given(given), result, Path(folder))
