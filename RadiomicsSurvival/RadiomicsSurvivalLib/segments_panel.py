"""The list of segments in the panel: all are measured, but for those that the user unchecks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.util import VTKObservationMixin

from RadiomicsSurvivalLib.labels import names_of

if TYPE_CHECKING:
    from slicer import vtkMRMLSegmentationNode

SEGMENT_EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified", "SegmentsOrderModified")
ICON_PX = 12


class SegmentsPanel(VTKObservationMixin):
    """Follows the segments of a segmentation.

    Args:
        list_widget: a QListWidget.
        on_left_out: called with the identifiers of the unchecked segments when the user changed them.
        on_segments: called when segments came, went or were renamed.
    """

    def __init__(
        self, list_widget: Any, on_left_out: Callable[[list[str]], None], on_segments: Callable[[], None]
    ) -> None:
        VTKObservationMixin.__init__(self)
        self._list, self._on_left_out, self._on_segments = list_widget, on_left_out, on_segments
        self._node: vtkMRMLSegmentationNode | None = None
        self._left_out: list[str] = []
        self._shown: list[tuple[Any, ...]] = []
        self._filling = False
        list_widget.connect("itemChanged(QListWidgetItem*)", self._onItem)

    def follow(self, node: vtkMRMLSegmentationNode | None, left_out: Sequence[str]) -> None:
        """List the segments of a segmentation, or of none."""
        if node is not self._node:
            self.removeObservers()
            self._node = node
            for name in SEGMENT_EVENTS if node is not None else ():
                self.addObserver(node, getattr(slicer.vtkSegmentation, name), self._onSegments)
        self._left_out = list(left_out)
        self._fill()

    def leave(self) -> None:
        """Follow none."""
        self.follow(None, [])

    def _fill(self) -> None:
        """List the segments anew where anything that is shown changed."""
        names = names_of(self._node)
        shown = [(one, name, one not in self._left_out, self._color(one)) for one, name in names.items()]
        if shown == self._shown:
            return
        self._filling = True
        self._list.clear()
        for _one, name, checked, color in shown:
            item = qt.QListWidgetItem(name)
            item.setCheckState(qt.Qt.Checked if checked else qt.Qt.Unchecked)
            item.setIcon(_icon(color))
            self._list.addItem(item)
        self._filling = False
        self._shown = shown

    def _color(self, segment_id: str) -> tuple[float, ...]:
        segment = self._node.GetSegmentation().GetSegment(segment_id) if self._node is not None else None
        return tuple(segment.GetColor()) if segment is not None else ()

    def _onItem(self, item: Any) -> None:
        if self._filling:
            return
        unchecked = [
            one[0] for row, one in enumerate(self._shown) if self._list.item(row).checkState() != qt.Qt.Checked
        ]  # fmt: skip
        if unchecked != self._left_out:
            self._shown = [(*one[:2], one[0] not in unchecked, one[3]) for one in self._shown]
            self._left_out = unchecked
            self._on_left_out(unchecked)

    def _onSegments(self, caller: Any = None, event: Any = None) -> None:
        self._fill()
        self._on_segments()


def _icon(color: tuple[float, ...]) -> Any:
    """A little square in a segment's colour."""
    pixmap = qt.QPixmap(ICON_PX, ICON_PX)
    pixmap.fill(qt.QColor(*(round(255 * part) for part in color)))
    return qt.QIcon(pixmap)
