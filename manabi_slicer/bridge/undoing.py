"""Taking back what the last result did to the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

    from manabi_slicer.bridge.transaction import Transaction


class _Memory:
    """The last transaction, until its scene is closed."""

    def __init__(self) -> None:
        self.last: Transaction | None = None
        self.about: tuple[str, str] | None = None
        self._observed: tuple[Any, int] | None = None

    def keep(self, transaction: Transaction, about: tuple[str, str]) -> None:
        """Remember a change of the scene, until it is undone or the scene is closed."""
        self.forget()
        scene = transaction.scene
        self.last, self.about = transaction, about
        self._observed = (scene, scene.AddObserver(scene.StartCloseEvent, self._on_close))

    def forget(self) -> None:
        """There is nothing to undo any more."""
        if self._observed is not None:
            scene, tag = self._observed
            scene.RemoveObserver(tag)
        self.last = self.about = self._observed = None

    def _on_close(self, caller: Any, event: str) -> None:
        self.forget()


_memory = _Memory()


def remember(transaction: Transaction, input_node: vtkMRMLNode, method: str) -> None:
    """Let :func:`undo` take this back, and no longer what was before."""
    _memory.keep(transaction, (input_node.GetID(), method))


def can_undo(input_node: vtkMRMLNode | None = None, method: str | None = None) -> bool:
    """Whether there is a result to take back in the present scene.

    Args:
        input_node: only a result of this input counts; None for any.
        method: only a result of this method counts; None for any.
    """
    if _memory.last is None or _memory.about is None or _memory.last.scene is not slicer.mrmlScene:
        return False
    identifier, known = _memory.about
    return (input_node is None or input_node.GetID() == identifier) and method in (None, known)


def undo() -> bool:
    """Put the scene back as it was before the last result; it can be done once.

    Nodes that were updated get their former voxels, segments, cells, display and name again, those that were added
    are removed, and those that were removed come back.

    Returns:
        Whether there was something to take back.
    """
    from manabi_slicer.bridge.transaction import batch

    if not can_undo():
        return False
    transaction = _memory.last
    _memory.forget()
    if transaction is not None:
        with batch(transaction.scene):
            transaction.roll_back()
    return True
