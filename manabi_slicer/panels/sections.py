"""Parts of a module's own panel that follow its choices and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slicer import vtkMRMLNode


class PanelSections:
    """Connects a module's own widgets with its panel; a module derives its sections from it.

    Args:
        widget: the module's, whose panel was built.
    """

    def __init__(self, widget: Any) -> None:
        self._widget, self._ui, self._logic = widget, widget.ui, widget.logic

    @property
    def _choices(self) -> Any:
        """The parameter node; None while the panel is bound to no scene."""
        return self._widget._parameterNode

    def refresh(self) -> None:
        """A choice changed, or a run began or ended."""

    def fill(self, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """The outputs that the panel shows changed, perhaps to none."""

    def show(self, outputs: Mapping[str, vtkMRMLNode], image: Any = None) -> None:
        """Arrange the views for what was made.

        Args:
            outputs: of one run, by key.
            image: the input they belong to; None where there is none.
        """

    def let_go(self) -> None:
        """The scene or the panel goes: hold none of its nodes any longer."""

    def _set(self, name: str) -> Callable[[Any], None]:
        """A function that writes one of the choices, where the panel is bound to a scene."""

        def write(value: Any) -> None:
            """Write it."""
            if self._choices is not None:
                setattr(self._choices, name, value)

        return write

    def _guarded(self, act: Callable[..., None], *given: Any) -> None:
        """Do what a button asks for, where the panel is bound to a scene; what goes wrong is told in the panel."""
        if self._choices is None:
            return
        try:
            act(*given)
        except Exception as error:  # the edge of the panel
            self._widget.tell(error)
