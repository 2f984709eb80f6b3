"""The marks in the panel: the slider from strict to sensitive, and a row per mark that the views jump to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer.panels import number_table
from manabi_slicer.slots import calling
from NoduleSynthLib import marks
from NoduleSynthLib.tasks import LOOSEST, STRICTEST

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

STEPS = 100
"""Of the slider; each changes the false marks per film by the same factor, as their effect is felt (our choice)."""


class MarksPanel:
    """Slider and rows.

    Args:
        ui: has ``operatingSlider``, ``operatingLabel``, ``marksTable`` and ``marksLabel``.
        on_slider: called with the false marks per film that the user chose.
        on_jump: called with the number of a mark.
    """

    def __init__(self, ui: Any, on_slider: Callable[[float], None], on_jump: Callable[[int], None]) -> None:
        self._ui, self._on_slider, self._on_jump = ui, on_slider, on_jump
        self._numbers: list[int] = []
        self._filling = False
        ui.operatingSlider.minimum, ui.operatingSlider.maximum = 0, STEPS
        ui.operatingSlider.connect("valueChanged(int)", self._onSlider)
        ui.marksTable.connect("cellClicked(int,int)", self._onRow)
        ui.marksTable.connect("itemSelectionChanged()", calling(self._onSelected))

    def place(self, false_positives: float) -> None:
        """Put the slider where the choices say."""
        self._filling = True
        step = step_of(false_positives)
        if self._ui.operatingSlider.value != step:
            self._ui.operatingSlider.value = step
        self._filling = False
        self._ui.operatingSlider.toolTip = _("{n:.2g} false marks per film").format(n=false_positives)

    def fill(self, outputs: Mapping[str, vtkMRMLNode]) -> None:
        """Show the marks of a result that the slider lets through, or none."""
        shown = [mark for mark in marks.found(outputs) if mark.shown]
        self._filling = True
        self._numbers = [mark.number for mark in shown]
        number_table.fill(self._ui.marksTable, marks.titles(), [(mark.cells, False) for mark in shown])
        self._ui.marksTable.clearSelection()
        self._filling = False
        self._ui.marksLabel.text = marks.summary_text(outputs)
        self._ui.operatingLabel.text = marks.operating_text(outputs) if outputs else ""

    def selected(self) -> int | None:
        """The number of the mark whose row is chosen."""
        rows = self._ui.marksTable.selectionModel().selectedRows()
        row = rows[0].row() if rows else -1
        return self._numbers[row] if 0 <= row < len(self._numbers) else None

    def _onSlider(self, step: int) -> None:
        if not self._filling:
            self._on_slider(false_positives_of(step))

    def _onRow(self, row: int, column: int = 0) -> None:
        """A click on a row that is chosen already jumps too."""
        if not self._filling and 0 <= row < len(self._numbers):
            self._on_jump(self._numbers[row])

    def _onSelected(self) -> None:
        number = None if self._filling else self.selected()
        if number is not None:
            self._on_jump(number)


def false_positives_of(step: int) -> float:
    """False marks per film at a step of the slider, to two digits."""
    exact = STRICTEST * (LOOSEST / STRICTEST) ** (step / STEPS)
    return min(max(float(f"{exact:.2g}"), STRICTEST), LOOSEST)


def step_of(false_positives: float) -> int:
    """The step of the slider nearest to so many false marks per film."""
    bounded = min(max(false_positives, STRICTEST), LOOSEST)
    return round(STEPS * math.log(bounded / STRICTEST) / math.log(LOOSEST / STRICTEST))
