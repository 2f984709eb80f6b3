"""Somebody at SliceMarker's panel, who knows widgets and nodes, but none of the code behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from slicer_standin.user import PanelUser, use_methods
from slices_panel_methods import REGISTERED

SHAPE, SPACING = (40, 34, 36), (6.0, 6.5, 5.0)
BOTTOM_MM = -120.0


def as_scanned() -> np.ndarray:
    """I to the left, J to the back, K to the head, as CTs come."""
    matrix = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    matrix[:3, 3] = (75.0, 80.0, BOTTOM_MM)
    return matrix


def feet_first() -> np.ndarray:
    """The same voxels with K to the feet."""
    matrix = as_scanned()
    matrix[:3, 2] *= -1
    matrix[2, 3] = BOTTOM_MM + SPACING[2] * (SHAPE[0] - 1)
    return matrix


def position_of(index: int) -> float:
    """S of a slice of the volume of :func:`as_scanned`."""
    return BOTTOM_MM + SPACING[2] * index


def add_ct(name: str = "Chest", matrix: np.ndarray | None = None) -> Any:
    """A volume node: another value in every slice."""
    import slicer

    rng = np.random.default_rng(3)
    array = rng.integers(-1000, 300, SHAPE).astype(np.int16)
    node = slicer.util.addVolumeFromArray(array, as_scanned() if matrix is None else matrix, name)
    node.SetAttribute("Manabi.modality", "CT")
    return node


class SlicesUser(PanelUser):
    """Opens the module and uses it, with a method of the tests in the place of its own."""

    def __init__(self, app: Any, monkeypatch: Any, method: str = "quick-slices") -> None:
        use_methods(monkeypatch, REGISTERED, Path(__file__).parent)
        super().__init__(app, monkeypatch, "SliceMarker", method)

    def points(self) -> Any:
        """The point list."""
        return self.outputs()["landmarks/carina"]

    def rows(self, name: str = "markers") -> list[dict[str, Any]]:
        """A table of the result."""
        result = self.widget.logic.resultOf(self.ui.inputSelector.currentNode())
        table = result.tables[name]
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    def row(self, marker: int) -> dict[str, Any]:
        """The row of a marker: 0 apex, 1 carina, 2 diaphragm."""
        return self.rows()[marker]

    def kept(self) -> list[int]:
        """Slices of the representative volume that are not empty."""
        import slicer

        array = slicer.util.arrayFromVolume(self.outputs()["volumes/representative"])
        return [k for k in range(len(array)) if (array[k] != array.min()).any()]

    def drag(self, index: int, to_ras: Any) -> None:
        """Move a point as the mouse does: start, move, end; and wait until all has followed."""
        points = self.points()
        points.InvokeEvent(points.PointStartInteractionEvent)
        points.SetNthControlPointPositionWorld(index, *(float(x) for x in to_ras))
        points.InvokeEvent(points.PointEndInteractionEvent)
        self.settle()

    def settle(self) -> None:
        """Wait until corrections are worked out."""
        self.app.process_events(0.5)
