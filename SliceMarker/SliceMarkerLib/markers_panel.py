"""The result in the panel: a button per marker to jump to it, buttons to correct it, and the list of slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer.slots import calling
from SliceMarkerLib.levels import MARKERS, Level, levels, slice_texts, title

if TYPE_CHECKING:
    from slicer import vtkMRMLNode


@dataclass(frozen=True)
class Actions:
    """What the panel's buttons call.

    Attributes:
        jump: with a marker's name.
        jump_to_slice: with a slice along the input's own axis.
        set_here: with a marker's name: it is on the slice that is shown.
        put_back: with a marker's name: where it was found.
    """

    jump: Callable[[str], None]
    jump_to_slice: Callable[[int], None]
    set_here: Callable[[str], None]
    put_back: Callable[[str], None]


class MarkersPanel:
    """Buttons and list, filled from a result.

    Args:
        ui: has ``<marker>Button``, ``<marker>SetButton`` and ``<marker>BackButton`` for every marker, ``slicesList``
            and ``shownLabel``.
        actions: what they do.
    """

    def __init__(self, ui: Any, actions: Actions) -> None:
        self._ui = ui
        self._actions = actions
        self._slices: list[int] = []
        self._filling = False
        for marker in MARKERS:
            self._button(marker).connect("clicked(bool)", calling(actions.jump, marker))
            self._button(marker, "Set").connect("clicked(bool)", calling(actions.set_here, marker))
            self._button(marker, "Back").connect("clicked(bool)", calling(actions.put_back, marker))
        ui.slicesList.connect("currentRowChanged(int)", self._onRow)

    def fill(self, outputs: Mapping[str, vtkMRMLNode], editable: bool) -> None:
        """Show a result, or none.

        Args:
            outputs: nodes by key.
            editable: whether markers can be moved.
        """
        found = levels(outputs)
        for marker in MARKERS:
            self._fill_row(marker, found.get(marker), editable)
        texts = slice_texts(outputs)
        self._filling = True
        self._slices = [index for index, _text in texts]
        self._ui.slicesList.clear()
        for _index, text in texts:
            self._ui.slicesList.addItem(text)
        self._filling = False
        self._ui.slicesLabel.text = _("Representative slices ({n}):").format(n=len(texts))

    def show_position(self, text: str) -> None:
        """Say which slice is shown."""
        self._ui.shownLabel.text = text

    def _fill_row(self, marker: str, level: Level | None, editable: bool) -> None:
        button, back = self._button(marker), self._button(marker, "Back")
        button.text = level.text if level is not None else title(marker)
        reason = level.reason if level is not None else _("There is no result yet. Press Apply first.")
        button.enabled = not reason
        button.toolTip = reason or _("Show this slice; zoom and position within it stay as they are")
        can_set = editable and level is not None
        self._button(marker, "Set").enabled = can_set
        self._button(marker, "Set").toolTip = (
            _("The {marker} is on the slice that is shown: move its marker there")
            if can_set
            else _("Check Edit markers first, so that no marker is moved by accident")
        ).format(marker=title(marker).lower())
        back.enabled = level is not None and level.by_hand
        back.toolTip = (
            _("Back to the found position") if back.enabled else _("The marker is where it was found")
        )  # fmt: skip

    def _button(self, marker: str, kind: str = "") -> Any:
        return getattr(self._ui, f"{marker}{kind}Button")

    def _onRow(self, row: int) -> None:
        if not self._filling and 0 <= row < len(self._slices):
            self._actions.jump_to_slice(self._slices[row])
