"""Somebody at MVCTConvert's panel, who knows widgets and nodes, but none of the code behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mvct_panel_methods import REGISTERED
from slicer_standin.user import PanelUser, use_methods

SHAPE, SPACING = (12, 44, 48), (4.0, 4.5, 6.0)
BUTTONS = ("checkerboard", "flicker", "blend", "wipe", "difference", "uncertainty", "residual", "edges")


def straight() -> np.ndarray:
    """I to the left, J to the back, K to the head, as CTs come."""
    matrix = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    matrix[:3, 3] = (94.0, 97.0, -33.0)
    return matrix


def oblique(degrees: float = 14.0) -> np.ndarray:
    """Axial slices that are tilted and turned."""
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    matrix = straight()
    matrix[:3, :3] = tilt @ turn @ matrix[:3, :3]
    return matrix


def neck(seed: int = 0) -> np.ndarray:
    """HU of something round: fat around muscle around bone, in air, with noise."""
    k, j, i = np.mgrid[tuple(slice(n) for n in SHAPE)].astype(float)
    radius = np.hypot((j - SHAPE[1] / 2) * SPACING[1] / 70.0, (i - SHAPE[2] / 2) * SPACING[0] / 80.0)
    array = np.full(SHAPE, -1000.0)
    for limit, hu in ((1.0, -50.0), (0.85, 40.0), (0.3, 600.0)):
        array[radius < limit] = hu
    return np.rint(array + np.random.default_rng(seed).normal(0, 12, SHAPE)).astype(np.int16)


def add_ct(name: str = "Neck", matrix: np.ndarray | None = None, seed: int = 0) -> Any:
    """A volume node of a neck."""
    import slicer

    node = slicer.util.addVolumeFromArray(neck(seed), straight() if matrix is None else matrix, name)
    node.SetAttribute("Manabi.modality", "CT")
    node.SetAttribute("Manabi.units", "HU")
    return node


class MVCTUser(PanelUser):
    """Opens the module and uses it, with a method of the tests in the place of its own."""

    def __init__(self, app: Any, monkeypatch: Any, method: str = "quick-mvct") -> None:
        use_methods(monkeypatch, REGISTERED, Path(__file__).parent)
        super().__init__(app, monkeypatch, "MVCTConvert", method)

    def button(self, name: str) -> Any:
        """One of the comparisons and maps."""
        return getattr(self.ui, f"{name}Button")

    def chosen(self) -> list[str]:
        """The comparisons and maps whose button is down."""
        return [name for name in BUTTONS if self.button(name).checked]

    def enabled(self) -> list[str]:
        """The comparisons and maps that can be pressed."""
        return [name for name in BUTTONS if self.button(name).enabled]

    def sliders(self) -> list[str]:
        """The sliders that can be seen."""
        return [name for name in ("tile", "flicker", "opacity", "wipe") if self.seen(f"{name}Slider")]

    def verdict(self) -> str:
        """The text of the verdict, empty where none is shown."""
        return self.ui.verdictLabel.text if self.seen("verdictFrame") else ""

    def hu_rows(self) -> list[list[str]]:
        """The cells of the HU check."""
        table = self.ui.huTable
        return [[table.item(r, c).text() for c in range(table.columnCount)] for r in range(table.rowCount)]
