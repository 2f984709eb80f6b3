"""A list of a segmentation's segments with a check box and a colour for each, in step with the scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.util import VTKObservationMixin

from manabi_slicer import bridge

if TYPE_CHECKING:
    from slicer import vtkMRMLSegmentationNode

SEGMENT_EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified", "SegmentsOrderModified")
ICON_PX = 12


class SegmentsList(VTKObservationMixin):
    """Follows the segments of a segmentation.

    Args:
        list_widget: a QListWidget.
        on_picked: called with the identifiers of the picked segments, in their order, when the user changed them.
        on_segments: called when segments came, went or were changed.
        picked: the state of a picked segment's check box. With False the user picks segments by unchecking them, and
            new ones are checked.

    Attributes:
        picked: identifiers of the picked segments.
    """

    def __init__(
        self, list_widget: Any, on_picked: Callable[[list[str]], None], on_segments: Callable[[], None],
        picked: bool = True,
    ) -> None:  # fmt: skip
        VTKObservationMixin.__init__(self)
        self.picked: list[str] = []
        self._list, self._on_picked, self._on_segments, self._state = list_widget, on_picked, on_segments, picked
        self._node: vtkMRMLSegmentationNode | None = None
        self._shown: list[tuple[Any, ...]] = []
        self._filling = False
        list_widget.connect("itemChanged(QListWidgetItem*)", self._onItem)

    def follow(self, node: vtkMRMLSegmentationNode | None, picked: Sequence[str]) -> None:
        """List the segments of a segmentation, or of none."""
        if node is not self._node:
            self.removeObservers()
            self._node = node
            for name in SEGMENT_EVENTS if node is not None else ():
                self.addObserver(node, getattr(slicer.vtkSegmentation, name), self._onSegments)
        self.picked = list(picked)
        self._fill()

    def leave(self) -> None:
        """Follow none."""
        self.follow(None, [])

    def there(self) -> list[str]:
        """The picked segments that the segmentation still has."""
        known = bridge.segment_names(self._node)
        return [one for one in self.picked if one in known]

    def _fill(self) -> None:
        """List the segments anew where anything that is shown changed."""
        names = bridge.segment_names(self._node)
        shown = [(one, name, one in self.picked, self._color(one)) for one, name in names.items()]
        if shown == self._shown:
            return
        self._filling = True
        self._list.clear()
        for _one, name, picked, color in shown:
            item = qt.QListWidgetItem(name)
            item.setCheckState(qt.Qt.Checked if picked == self._state else qt.Qt.Unchecked)
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
        checked = [self._list.item(row).checkState() == qt.Qt.Checked for row in range(len(self._shown))]
        picked = [shown[0] for shown, state in zip(self._shown, checked, strict=True) if state == self._state]
        if picked != self.picked:
            self._shown = [(*one[:2], one[0] in picked, one[3]) for one in self._shown]
            self.picked = picked
            self._on_picked(picked)

    def _onSegments(self, caller: Any = None, event: Any = None) -> None:
        self._fill()
        self._on_segments()


def _icon(color: tuple[float, ...]) -> Any:
    """A little square in a segment's colour."""
    pixmap = qt.QPixmap(ICON_PX, ICON_PX)
    pixmap.fill(qt.QColor(*(round(255 * part) for part in color)))
    return qt.QIcon(pixmap)
