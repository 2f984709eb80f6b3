"""Detection and synthesis through one logic: every film with bone bright, and films that are made from nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer.tasks_logic import TasksLogic
from NoduleSynthLib import films, flows, marks, saving, tasks

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

    from manabi.result import Result
    from manabi.volume import Volume
    from manabi_slicer.logic import Nodes
    from manabi_slicer.request import Request


class NoduleLogic(TasksLogic):
    """What the module's logic is made of, but for the runs that a user of the console starts."""

    taskNames = tasks.TASKS

    def called(self, task: str) -> str:
        """What a task is called in the names of its outputs."""
        return {tasks.SYNTHESISE: _("synthetic")}.get(task, "")

    def imageless(self, parameters: Mapping[str, Any]) -> bool:
        """A film that is made from nothing needs none."""
        return self.taskOf(parameters) == tasks.SYNTHESISE and parameters.get("base", tasks.INPUT) != tasks.INPUT

    def nothingNode(self) -> vtkMRMLNode:
        """The node that films made from nothing belong to."""
        return self.ownNode()

    def inputVolumes(self, nodes: Mapping[str, vtkMRMLNode | None]) -> dict[str, Volume]:
        """As of the base class; every film is taken with bone bright."""
        return films.inputs(self.method, nodes)

    # --- what is there ------------------------------------------------------------------------------

    def hasModel(self) -> bool:
        """Whether there is a detector on this computer."""
        return flows.has_detector(self.methodName)

    def openFilm(self, path: str | Path) -> vtkMRMLScalarVolumeNode:
        """Load a film from DICOM, PNG, JPEG or TIFF, with bone bright whatever its file says.

        Raises InvalidInputError where the file is no radiograph.
        """
        return films.open_film(path)

    def setFalsePositives(self, inputVolume: vtkMRMLScalarVolumeNode, falsePositives: float) -> Nodes:
        """Show the marks of another place of the slider; what is exported follows. Returns the outputs."""
        marks.show(self.outputsOf(inputVolume), falsePositives)
        return self.outputsOf(inputVolume)

    def resultOf(self, inputNode: vtkMRMLNode, volumes: bool = True, task: str = "") -> Result:
        """As of the base class; its marks are those that are shown."""
        read = TasksLogic.resultOf(self, inputNode, volumes, task)
        return marks.shown_only(read, marks.slider_of(self.outputsOf(inputNode)))

    def keep(
        self, result: Result, inputs: Sequence[vtkMRMLNode | None], chosen: Mapping[str, vtkMRMLNode] | None = None
    ) -> Nodes:  # fmt: skip
        """As of the base class; all marks enter the scene, and those that the slider leaves out are hidden."""
        wanted = marks.asked_of(result)
        outputs = TasksLogic.keep(self, marks.shown_only(result, tasks.LOOSEST), inputs, chosen)
        marks.show(outputs, wanted)
        films.name_synthetic(outputs)
        return outputs

    def saveReport(self, inputVolume: vtkMRMLScalarVolumeNode, path: str | Path) -> Path:
        """Write the marks that are shown as a Chest CAD structured report; returns the file.

        Raises InvalidInputError when there is no result, the film is not from DICOM, or the file is there already.
        """
        return saving.save_cad_sr(self, {tasks.FILM: inputVolume}, path)

    def _kind(self, request: Request) -> str:
        return f"{TasksLogic._kind(self, request)}{request.parameters.get('base', '')}"
