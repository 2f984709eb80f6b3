"""The section Propagate of the panel: which segments, what to press, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from BrainSegLib.tasks import PREVIEW
from manabi_slicer import bridge
from manabi_slicer.panels.segments_list import SegmentsList

if TYPE_CHECKING:
    from slicer import vtkMRMLNode


class PropagatePanel:
    """The list of segments with a check box for each, and the buttons.

    Args:
        ui: the module's widgets.
        on_chosen: called with the identifiers of the checked segments when they changed.
    """

    def __init__(self, ui: Any, on_chosen: Callable[[list[str]], None]) -> None:
        self._ui, self._on_chosen = ui, on_chosen
        self.segments = SegmentsList(ui.segmentsList, on_chosen, self._onSegments)

    def say(
        self, reason: str, copy_reason: str, outputs: Mapping[str, vtkMRMLNode], busy: bool, automatic: bool
    ) -> None:  # fmt: skip
        """Enable the buttons, or say what they wait for.

        Args:
            reason: why nothing can be propagated yet; empty where it can.
            copy_reason: why the automatic result cannot be copied; likewise.
            outputs: of the last propagation.
            busy: whether something runs.
            automatic: whether there is an automatic result to compare with.
        """
        ui, preview = self._ui, outputs.get(PREVIEW)
        ui.propagateButton.enabled = not reason and not busy
        ui.propagateButton.toolTip = reason or _("Fill the slices between those that are painted")
        ui.copyButton.enabled = not copy_reason and not busy
        ui.copyButton.toolTip = copy_reason or _(
            "Make a copy of the automatic result. Correct some of its slices in Segment Editor, then propagate them."
        )
        ui.changedCheckBox.enabled = automatic
        for button, text in (
            (ui.acceptButton, _("Put the preview into the painted segments; Undo takes it back")),
            (ui.discardButton, _("Take the preview away; the painted segments stay as they are")),
        ):
            button.enabled = preview is not None and not busy
            button.toolTip = text if preview is not None else _("There is no preview. Press Propagate first.")
        ui.uncertaintyCheckBox.enabled = "volumes/uncertainty" in outputs
        ui.propagateLabel.text = "\n".join(summary(outputs))
        ui.propagateLabel.visible = bool(ui.propagateLabel.text)

    def _onSegments(self) -> None:
        """Segments that are gone are no longer chosen."""
        there = self.segments.there()
        if there != self.segments.picked:
            self.segments.picked = there
            self._on_chosen(there)


def summary(outputs: Mapping[str, vtkMRMLNode]) -> list[str]:
    """What the last propagation is worth, in words: how well it predicts painted slices that it was not shown."""
    rows = bridge.table_rows(outputs.get("tables/slices"))
    cells = [row.get("left_out_dice") for row in rows]
    scores = [float(cell) for cell in cells if isinstance(cell, (int, float)) and cell == cell]
    if not scores:
        return []
    text = _("Each of {n} painted slices, hidden in turn, was predicted with a Dice of {mean} (least {least}).")
    mean = sum(scores) / len(scores)
    return [text.format(n=len(scores), mean=f"{mean:.2f}", least=f"{min(scores):.2f}")]
