"""The section Propagate of the panel: which segments, what to press, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from BrainSegLib.segments import names_of
from BrainSegLib.tasks import PREVIEW
from manabi_slicer import bridge

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLSegmentationNode

SEGMENT_EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified", "SegmentsOrderModified")
ICON_PX = 12


class PropagatePanel(VTKObservationMixin):
    """The list of segments with a check box for each, and the buttons.

    Args:
        ui: the module's widgets.
        on_chosen: called with the identifiers of the checked segments when the user changed them.
    """

    def __init__(self, ui: Any, on_chosen: Callable[[list[str]], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._ui, self._on_chosen = ui, on_chosen
        self._node: vtkMRMLSegmentationNode | None = None
        self._ids: list[str] = []
        self._chosen: list[str] = []
        self._shown: list[tuple[Any, ...]] = []
        self._filling = False
        ui.segmentsList.connect("itemChanged(QListWidgetItem*)", self._onItem)

    def follow(self, node: vtkMRMLSegmentationNode | None, chosen: Sequence[str]) -> None:
        """List the segments of a segmentation, or of none, and check the chosen ones."""
        if node is not self._node:
            self.removeObservers()
            self._node = node
            for name in SEGMENT_EVENTS if node is not None else ():
                self.addObserver(node, getattr(slicer.vtkSegmentation, name), self._onSegments)
        self._chosen = list(chosen)
        self._fill()

    def leave(self) -> None:
        """Follow none."""
        self.follow(None, [])

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

    # --- parts --------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """List the segments anew where anything that is shown changed."""
        names = names_of(self._node)
        shown = [(one, name, one in self._chosen, self._color(one)) for one, name in names.items()]
        if shown == self._shown:
            return
        self._filling = True
        self._ui.segmentsList.clear()
        for _one, name, checked, color in shown:
            item = qt.QListWidgetItem(name)
            item.setCheckState(qt.Qt.Checked if checked else qt.Qt.Unchecked)
            item.setIcon(_icon(color))
            self._ui.segmentsList.addItem(item)
        self._filling = False
        self._shown, self._ids = shown, [one[0] for one in shown]

    def _color(self, segment_id: str) -> tuple[float, ...]:
        segment = self._node.GetSegmentation().GetSegment(segment_id) if self._node is not None else None
        return tuple(segment.GetColor()) if segment is not None else ()

    def _onItem(self, item: Any) -> None:
        if self._filling:
            return
        rows = range(len(self._ids))
        checked = [self._ids[row] for row in rows if self._ui.segmentsList.item(row).checkState() == qt.Qt.Checked]
        if checked != self._chosen:
            self._shown = [(*one[:2], one[0] in checked, one[3]) for one in self._shown]
            self._chosen = checked
            self._on_chosen(checked)

    def _onSegments(self, caller: Any = None, event: Any = None) -> None:
        there = [one for one in self._chosen if one in names_of(self._node)]
        gone, self._chosen = there != self._chosen, there
        self._fill()
        if gone:
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


def _icon(color: tuple[float, ...]) -> Any:
    """A little square in a segment's colour."""
    pixmap = qt.QPixmap(ICON_PX, ICON_PX)
    pixmap.fill(qt.QColor(*(round(255 * part) for part in color)))
    return qt.QIcon(pixmap)
