"""Detection and synthesis through one logic: outputs of their own each, and runs that need no film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from manabi.errors import InvalidInputError
from manabi_slicer import bridge
from manabi_slicer.logic import ManabiLogic
from manabi_slicer.run import Run
from NoduleSynthLib import films, marks, tasks
from NoduleSynthLib.tasks import FILM

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi.context import ProgressCallback
    from manabi.io.results import ImageFormat
    from manabi.result import Result
    from manabi_slicer.logic import Nodes
    from manabi_slicer.request import Request
    from manabi_slicer.watch import Watch


class TasksLogic(ManabiLogic):
    """What the module's logic is made of, but for the functions that a user of the console calls."""

    def nothingNode(self) -> vtkMRMLNode:
        """The node that films made from nothing belong to: the module's own parameter node."""
        return ScriptedLoadableModuleLogic.getParameterNode(self)

    def outputsOf(self, inputNode: vtkMRMLNode | None, task: str = tasks.DETECT) -> Nodes:
        """The outputs of a task for an input that are in the scene, whenever they were made."""
        return bridge.find_outputs(inputNode, tasks.key_of(self.methodName, task)) if inputNode is not None else {}

    def resultOf(self, inputNode: vtkMRMLNode, volumes: bool = True, task: str = "") -> Result:
        """As of the base class; of the task, by default the first that there is. Marks are those that are shown."""
        wanted = (task,) if task else tasks.TASKS
        outputs = next((found for one in wanted if (found := self.outputsOf(inputNode, one))), {})
        if not outputs:
            raise InvalidInputError(_("There is no result yet. Press Apply first."))
        read = bridge.result_from_nodes(
            {key: node for key, node in outputs.items() if volumes or not key.startswith("volumes/")}
        )
        return marks.shown_only(read, marks.slider_of(outputs))

    def export(
        self, nodes: dict[str, vtkMRMLNode | None], folder: str | Path, imageFormat: ImageFormat = "nrrd",
        overwrite: bool = False, task: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """As of the base class; of the task, by default the first that there is; without a film of what has none."""
        from manabi.io.results import write_result

        result = self.resultOf(nodes.get(FILM) or self.nothingNode(), task=task)
        return dict(
            write_result(
                result, folder, image_format=imageFormat, method=self.method,
                inputs=films.inputs(self.method, nodes), overwrite=overwrite,
            )
        )  # fmt: skip

    def canUndo(self, inputNode: vtkMRMLNode | None) -> bool:
        """Whether the last change of the scene was one of this module's for this input."""
        keys = [tasks.key_of(self.methodName, task) for task in tasks.TASKS if inputNode is not None]
        return any(bridge.can_undo(inputNode, key) for key in keys)

    # --- running ------------------------------------------------------------------------------------

    def runHere(self, request: Request, onProgress: ProgressCallback | None = None) -> Nodes:
        """As of the base class; a film made from nothing needs none, and every film is taken with bone bright."""
        from manabi.context import Context
        from manabi_slicer.install import Installer

        Installer().ensure(self.moduleName)
        context = Context(**request.context_options(), on_progress=onProgress)
        volumes = films.inputs(self.method, request.nodes)
        return self._keep(request, self.method.run(volumes, dict(request.parameters), context))

    def startRun(self, request: Request) -> Run:
        """As of the base class; likewise."""
        from manabi_slicer.watch import Watch

        volumes = films.inputs(self.method, request.nodes)
        film: Any = request.nodes.get(FILM)
        self.method.parameters_type.of(dict(request.parameters))
        client = self.session.client()
        n_voxels = sum(volume.array.size for volume in volumes.values())
        return Run(
            lambda onProgress: client.submit(
                self.methodName, volumes, dict(request.parameters), request.context_options(), onProgress
            ),
            request,
            Watch(film) if film is not None else None,
            n_voxels,
            self._runTimes().expected_s(self._kind(request), n_voxels),
        )

    def keep(
        self, result: Result, inputs: Sequence[vtkMRMLNode | None], chosen: Mapping[str, vtkMRMLNode] | None = None
    ) -> Nodes:  # fmt: skip
        """Put a result into the scene, in the place of the former one of the same task and input.

        All marks down to the loosest end of the slider enter it; those that the slider leaves out are hidden.
        """
        task = tasks.task_of(result.provenance.get("parameters", {}))
        wanted = marks.asked_of(result)
        outputs = bridge.result_to_nodes(
            marks.shown_only(result, tasks.LOOSEST), method=tasks.key_of(self.methodName, task),
            title=f"{self.method.title} {_called(task)}".strip(), input_node=inputs[0], chosen=chosen or {},
            inputs=list(inputs),
        )  # fmt: skip
        marks.show(outputs, wanted)
        films.name_synthetic(outputs)
        return outputs

    def _keep(self, request: Request, result: Result, watch: Watch | None = None) -> Nodes:
        if not tasks.needs_film(request.parameters):
            return self.keep(result, [self.nothingNode()])
        return ManabiLogic._keep(self, request, result, watch)

    def _kind(self, request: Request) -> str:
        base = request.parameters.get("base", "")
        return f"{ManabiLogic._kind(self, request)}|{tasks.task_of(request.parameters)}{base}"


def _called(task: str) -> str:
    """What a task is called in the names of outputs."""
    return {tasks.SYNTHESISE: _("synthetic")}.get(task, "")
