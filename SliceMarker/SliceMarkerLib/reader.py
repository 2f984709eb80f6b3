"""Reading a result: panel, points, plot and slice views in step with each other, and corrections by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from manabi_slicer import interaction
from manabi_slicer.jumping import ShownSlice
from SliceMarkerLib import chest, display
from SliceMarkerLib.editing import PointsEditor
from SliceMarkerLib.levels import MARKERS, levels, points_of, where_text
from SliceMarkerLib.markers_panel import Actions, MarkersPanel
from SliceMarkerLib.plot_link import PlotLink

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode

    from manabi_slicer.jumping import Point


class Reader:
    """What the user does with a result.

    Args:
        ui: the module's widgets.
        logic: the module's.
        refresh: called when a correction changed the outputs.
        tell: called with an error.
    """

    def __init__(
        self, ui: Any, logic: Any, refresh: Callable[[], None], tell: Callable[[BaseException], None]
    ) -> None:  # fmt: skip
        self._logic, self._refresh, self._tell = logic, refresh, tell
        self._volume: vtkMRMLScalarVolumeNode | None = None
        self._outputs: Mapping[str, vtkMRMLNode] = {}
        self._point: Point | None = None
        self.panel = MarkersPanel(ui, Actions(self.jump, self.jump_to_slice, self.set_here, self.put_back))
        self.editor = PointsEditor(self.move)
        self.plot_link = PlotLink(self.jump_to_position)
        self.shown_slice = ShownSlice(self.shown)

    def read(
        self, volume: vtkMRMLScalarVolumeNode | None, outputs: Mapping[str, vtkMRMLNode], editable: bool
    ) -> None:  # fmt: skip
        """Another result, or none.

        Args:
            volume: the CT.
            outputs: nodes by key.
            editable: whether its markers can be moved.
        """
        self._volume, self._outputs = volume, dict(outputs)
        self.panel.fill(outputs, editable)
        self.editor.attach(points_of(outputs), editable)
        self.plot_link.attach(outputs.get("plots/probability"))
        self.plot_link.listen(display.plot_view())
        if self._point is not None:
            self.shown(self._point)

    def show(self) -> None:
        """Arrange the views, and begin where the most is to be seen: at the carina, where there is one."""
        if self._volume is None:
            return
        display.show(self._volume, self._outputs)
        self.follow()
        self.plot_link.listen(display.plot_view())
        found = levels(self._outputs)
        first = next((name for name in ("carina", *MARKERS) if name in found and not found[name].reason), None)
        if first is not None:
            self.jump(first)

    def follow(self) -> None:
        """Follow the slice views there are now."""
        self.shown_slice.follow()

    def let_go(self) -> None:
        """The scene or the panel goes."""
        self._volume, self._outputs, self._point = None, {}, None
        self.editor.attach(None, False)
        self.shown_slice.leave()
        self.plot_link.close()

    # --- jumping ----------------------------------------------------------------------------------------------------

    def jump(self, marker: str) -> None:
        """Show a marker's slice, and in the other directions the planes through its point."""
        found, points = levels(self._outputs).get(marker), points_of(self._outputs)
        if found is None or found.slice is None:
            return
        place = self._logic.markerPosition(points, marker) if points is not None else None
        if place is not None:
            display.jump_to_point(place)
        else:
            self.jump_to_slice(found.slice)

    def jump_to_slice(self, index: int) -> None:
        """Show a slice of the image in the axial views."""
        if self._volume is not None:
            display.jump_to_slice(self._volume, index)

    def jump_to_position(self, position_mm: float) -> None:
        """Show the slice nearest to a position of the plot."""
        if self._volume is not None:
            stack = chest.places(self._volume)
            self.jump_to_slice(stack.input_index(stack.nearest(position_mm)))

    def shown(self, point: Point) -> None:
        """The user scrolled: the line in the plot and the text in the panel follow."""
        self._point = point
        if self._volume is None or self._volume.GetImageData() is None or not self._outputs:
            self.panel.show_position("")
            return
        stack = chest.places(self._volume)
        position = float(sum(a * b for a, b in zip(point, chest.normal(stack), strict=True)))
        self.plot_link.show(position)
        index = stack.input_index(stack.nearest(position))
        self.panel.show_position(_("Shown: {where}, slice {n}").format(where=where_text(position), n=index))

    # --- corrections ------------------------------------------------------------------------------------------------

    def move(self, marker: str, point: Point) -> None:
        """A marker was dragged: level, table and slices follow."""
        self._correct(lambda volume: self._logic.moveMarker(volume, marker, point))

    def set_here(self, marker: str) -> None:
        """The marker is on the slice that is shown."""
        point = self._point
        if point is not None:
            self._correct(lambda volume: self._logic.moveMarker(volume, marker, point, keepColumn=True))

    def put_back(self, marker: str) -> None:
        """The marker goes back where it was found."""
        self._correct(lambda volume: self._logic.putMarkerBack(volume, marker))

    def _correct(self, change: Callable[[Any], Mapping[str, vtkMRMLNode]]) -> None:
        if self._volume is None:
            return
        try:
            outputs = change(self._volume)
        except Exception as error:  # the edge of the panel
            self._tell(error)
            return
        self._refresh()
        if interaction.has_views():
            display.place_fixed(self._volume, outputs)
