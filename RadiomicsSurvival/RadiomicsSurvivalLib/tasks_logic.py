"""Risk, features and cohorts through one logic: outputs of their own each, and runs that need no image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from manabi_slicer import bridge
from manabi_slicer.logic import ManabiLogic
from manabi_slicer.run import Run
from RadiomicsSurvivalLib import display, tasks
from RadiomicsSurvivalLib.labels import prepared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slicer import vtkMRMLNode

    from manabi.context import ProgressCallback
    from manabi.io.results import ImageFormat
    from manabi.result import Result
    from manabi_slicer.logic import Nodes
    from manabi_slicer.request import Request
    from manabi_slicer.watch import Watch


class TasksLogic(ManabiLogic):
    """What the module's logic is made of, but for the functions that a user of the console calls."""

    def cohortNode(self) -> vtkMRMLNode:
        """The node that the outputs of a cohort belong to: the module's own parameter node, as there is no image."""
        return ScriptedLoadableModuleLogic.getParameterNode(self)

    def outputsOf(self, inputNode: vtkMRMLNode | None, task: str = tasks.RISK) -> Nodes:
        """The outputs of a task for an input that are in the scene, whenever they were made."""
        return bridge.find_outputs(inputNode, tasks.key_of(self.methodName, task)) if inputNode is not None else {}

    def resultOf(self, inputNode: vtkMRMLNode, volumes: bool = True, task: str = "") -> Result:
        """As of the base class; of the task, by default the first of risk, features and cohort that there is."""
        from manabi.errors import InvalidInputError

        wanted = (task,) if task else (tasks.RISK, tasks.FEATURES, tasks.COHORT)
        outputs = next((found for one in wanted if (found := self.outputsOf(inputNode, one))), {})
        if not outputs:
            raise InvalidInputError(_("There is no result yet. Press Apply first."))
        return bridge.result_from_nodes(
            {key: node for key, node in outputs.items() if volumes or not key.startswith("volumes/")}
        )

    def export(
        self, nodes: dict[str, vtkMRMLNode | None], folder: str | Path, imageFormat: ImageFormat = "nrrd",
        overwrite: bool = False, task: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """As of the base class; of the task, by default the first that there is; without an image of the cohort."""
        from manabi.io.results import write_result

        result = self.resultOf(self._belongsTo(nodes, task), task=task)
        volumes = self._volumes(nodes)
        written = write_result(
            result, folder, image_format=imageFormat, method=self.method, inputs=volumes, overwrite=overwrite
        )
        return dict(written)

    def canUndo(self, inputNode: vtkMRMLNode | None) -> bool:
        """Whether the last change of the scene was one of this module's for this input."""
        keys = [tasks.key_of(self.methodName, task) for task in tasks.TASKS if inputNode is not None]
        return any(bridge.can_undo(inputNode, key) for key in keys)

    # --- running ------------------------------------------------------------------------------------

    def runHere(self, request: Request, onProgress: ProgressCallback | None = None) -> Nodes:
        """As of the base class; a cohort has no image."""
        if tasks.task_of(request.parameters) != tasks.COHORT:
            return ManabiLogic.runHere(self, prepared(request), onProgress)
        from manabi.context import Context
        from manabi_slicer.install import Installer

        Installer().ensure(self.moduleName)
        context = Context(**request.context_options(), on_progress=onProgress)
        return self._keep(request, self.method.run({}, dict(request.parameters), context))

    def startRun(self, request: Request) -> Run:
        """As of the base class; a cohort has no image."""
        if tasks.task_of(request.parameters) != tasks.COHORT:
            return ManabiLogic.startRun(self, prepared(request))
        self.method.parameters_type.of(dict(request.parameters))
        client = self.session.client()
        return Run(
            lambda onProgress: client.submit(
                self.methodName, {}, dict(request.parameters), request.context_options(), onProgress
            ),
            request,
            expected_s=self._runTimes().expected_s(self._kind(request), 0),
        )

    def keep(
        self, result: Result, inputs: Sequence[vtkMRMLNode | None], chosen: Mapping[str, vtkMRMLNode] | None = None
    ) -> Nodes:  # fmt: skip
        """Put a result into the scene, in the place of the former one of the same task and input."""
        task = tasks.task_of(result.provenance.get("parameters", {}))
        outputs = bridge.result_to_nodes(
            result, method=tasks.key_of(self.methodName, task), title=f"{self.method.title} {_called(task)}".strip(),
            input_node=inputs[0], chosen=chosen or {}, inputs=list(inputs),
        )  # fmt: skip
        display.hide_copy(outputs)
        return outputs

    def _keep(self, request: Request, result: Result, watch: Watch | None = None) -> Nodes:
        if tasks.task_of(request.parameters) == tasks.COHORT:
            return self.keep(result, [self.cohortNode()])
        return ManabiLogic._keep(self, request, result, watch)

    def _kind(self, request: Request) -> str:
        return f"{ManabiLogic._kind(self, request)}|{tasks.task_of(request.parameters)}"

    def _belongsTo(self, nodes: Mapping[str, vtkMRMLNode | None], task: str) -> Any:
        """The node that outputs belong to; raises InvalidInputError where an image is needed and none is chosen."""
        image = nodes.get("image")
        return self.cohortNode() if task == tasks.COHORT or image is None else image

    def _volumes(self, nodes: Mapping[str, vtkMRMLNode | None]) -> dict[str, Any]:
        return bridge.inputs_from_nodes(self.method, nodes) if nodes.get("image") is not None else {}

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
        return write_reports(self._volumes(given), result, Path(folder))


def _called(task: str) -> str:
    """What a task is called in the names of outputs."""
    return {tasks.FEATURES: _("features"), tasks.COHORT: _("cohort")}.get(task, "")
