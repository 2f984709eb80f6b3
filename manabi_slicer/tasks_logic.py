"""The logic of a module whose method does several things: outputs of their own for each, and runs without an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from manabi_slicer import bridge
from manabi_slicer.logic import ManabiLogic

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi.io.results import ImageFormat
    from manabi.result import Result
    from manabi.volume import Volume
    from manabi_slicer.logic import Nodes
    from manabi_slicer.request import Request
    from manabi_slicer.watch import Watch


class TasksLogic(ManabiLogic):
    """Keeps the outputs of an input's tasks apart, so that none replaces another's.

    A module names its :attr:`taskNames`, and overrides where it needs to :meth:`taskOf`, :meth:`called` and
    :meth:`imageless`.
    """

    taskNames: Sequence[str] = ()
    """Values of the method's parameter ``task``, in the order in which a result is looked for. The outputs of the first
    one are found under the method's own name."""

    def taskOf(self, parameters: Mapping[str, Any]) -> str:
        """Which of :attr:`taskNames` a run's parameters ask for."""
        return str(parameters.get("task", self.taskNames[0]))

    def called(self, task: str) -> str:
        """What a task is called in the names of its outputs; the first one has the method's title alone."""
        return "" if task == self.taskNames[0] else task

    def imageless(self, parameters: Mapping[str, Any]) -> bool:
        """Whether a run's parameters ask for something that needs no image; it belongs to :meth:`ownNode` then."""
        return False

    def keyOf(self, task: str) -> str:
        """The name under which the outputs of a task are found in the scene."""
        return self.methodName if task == self.taskNames[0] else f"{self.methodName}-{task}"

    def ownNode(self) -> vtkMRMLNode:
        """The node that outputs without an image belong to: the module's own parameter node."""
        return ScriptedLoadableModuleLogic.getParameterNode(self)

    # --- what is there ------------------------------------------------------------------------------

    def outputsOf(self, inputNode: vtkMRMLNode | None, task: str = "") -> Nodes:
        """The outputs of a task, by default the first, for an input that are in the scene, whenever they were made."""
        return bridge.find_outputs(inputNode, self.keyOf(task or self.taskNames[0])) if inputNode is not None else {}

    def resultOf(self, inputNode: vtkMRMLNode, volumes: bool = True, task: str = "") -> Result:
        """As of the base class; of the task, by default the first of :attr:`taskNames` that there is."""
        wanted = (task,) if task else self.taskNames
        return self._read(next((found for one in wanted if (found := self.outputsOf(inputNode, one))), {}), volumes)

    def export(
        self, nodes: dict[str, vtkMRMLNode | None], folder: str | Path, imageFormat: ImageFormat = "nrrd",
        overwrite: bool = False, task: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """As of the base class; of the task, by default the first that there is; without an image where it has none."""
        result = self.resultOf(self._belongsTo(nodes, task), task=task)
        return self._write(result, self._given(nodes), folder, imageFormat, overwrite)

    def canUndo(self, inputNode: vtkMRMLNode | None) -> bool:
        """Whether the last change of the scene was one of this module's for this input."""
        return inputNode is not None and any(bridge.can_undo(inputNode, self.keyOf(task)) for task in self.taskNames)

    def keep(
        self, result: Result, inputs: Sequence[vtkMRMLNode | None], chosen: Mapping[str, vtkMRMLNode] | None = None
    ) -> Nodes:  # fmt: skip
        """Put a result into the scene, in the place of the former one of the same task and input."""
        task = self.taskOf(result.provenance.get("parameters", {}))
        return bridge.result_to_nodes(
            result, method=self.keyOf(task), title=f"{self.method.title} {self.called(task)}".strip(),
            input_node=inputs[0], chosen=chosen or {}, inputs=list(inputs),
        )  # fmt: skip

    # --- parts --------------------------------------------------------------------------------------

    def _volumes(self, request: Request) -> dict[str, Volume]:
        return {} if self.imageless(request.parameters) else ManabiLogic._volumes(self, request)

    def _keep(self, request: Request, result: Result, watch: Watch | None = None) -> Nodes:
        if self.imageless(request.parameters):
            return self.keep(result, [self.ownNode()])
        return ManabiLogic._keep(self, request, result, watch)

    def _kind(self, request: Request) -> str:
        return f"{ManabiLogic._kind(self, request)}|{self.taskOf(request.parameters)}"

    def _belongsTo(self, nodes: Mapping[str, vtkMRMLNode | None], task: str = "") -> Any:
        """The node that the outputs of a task belong to: the image, or the module's own node without one."""
        first = self._first(nodes)
        return self.ownNode() if first is None or self.imageless({"task": task}) else first

    def _given(self, nodes: Mapping[str, vtkMRMLNode | None]) -> dict[str, Volume]:
        """The images among nodes; none without the first one."""
        return self.inputVolumes(nodes) if self._first(nodes) is not None else {}
