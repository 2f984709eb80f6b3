"""The panel of a module whose tasks are parts of it that are opened one at a time, each with its own results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manabi_slicer.widget import ManabiWidget

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi_slicer.logic import Nodes


class TasksWidget(ManabiWidget):
    """A panel for a :class:`manabi_slicer.tasks_logic.TasksLogic`; the choice ``task`` says which part is open.

    A module overrides :meth:`inputNodes`, and :meth:`takesImage` and :meth:`shownOf` where it needs to.
    """

    _shownOf: Any = None

    def takesImage(self) -> bool:
        """Whether the open part takes an image; what needs none belongs to the logic's own node."""
        return True

    def shownOf(self) -> Any:
        """What decides, beside the chosen image, which outputs are shown."""
        return self._parameterNode.task

    def resultNode(self) -> vtkMRMLNode | None:
        """The node that the outputs of the open part belong to."""
        if self._parameterNode is None or self.takesImage():
            return ManabiWidget.resultNode(self)
        return self.logic.ownNode()

    def shownOutputs(self) -> Nodes:
        """The outputs of the open part."""
        p = self._parameterNode
        return {} if p is None else self.logic.outputsOf(self.resultNode(), p.task.value)

    def exportOptions(self) -> dict[str, Any]:
        """The open part is exported."""
        return {"task": self._parameterNode.task.value}

    def onParametersChanged(self, caller: Any = None, event: Any = None) -> None:
        """A choice changed; where another part was opened, its result is shown."""
        ManabiWidget.onParametersChanged(self, caller, event)
        if self.sections is None or self._parameterNode is None:
            return
        now = self.shownOf()
        if now != self._shownOf:
            self._shownOf = now
            self.refreshOutputs()
