"""Somebody at NoduleSynth's panel, who knows widgets and nodes, but none of the code behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nodule_panel_methods import REGISTERED
from slicer_standin.user import PanelUser, use_methods

SHAPE, SPACING = (1, 60, 50), (7.0, 6.0)
TABS = {"detect": 0, "synthesise": 1}


def straight() -> np.ndarray:
    """A film as Slicer loads it: columns to the left, rows to the back."""
    return np.diag([-SPACING[0], -SPACING[1], 1.0, 1.0])


def standing() -> np.ndarray:
    """A film that stands in the patient, as some archives place it: columns to the left, rows to the feet."""
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[2, 1], matrix[1, 2], matrix[3, 3] = -SPACING[0], -SPACING[1], 1.0, 1.0
    return matrix


def chest(seed: int = 0) -> np.ndarray:
    """Grey levels of something like a chest: bright, with two dark lungs, and noise."""
    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]].astype(float)
    array = np.full(SHAPE[1:], 2600.0)
    for across in (0.3, 0.7):
        inside = ((rows / SHAPE[1] - 0.5) / 0.36) ** 2 + ((columns / SHAPE[2] - across) / 0.16) ** 2 < 1
        array[inside] = 900.0
    return np.rint(array + np.random.default_rng(seed).normal(0, 60, array.shape)).astype(np.int16)[None]


def add_film(name: str = "Film", matrix: np.ndarray | None = None, seed: int = 0) -> Any:
    """A volume node of a chest film."""
    import slicer

    node = slicer.util.addVolumeFromArray(chest(seed), straight() if matrix is None else matrix, name)
    node.SetAttribute("Manabi.modality", "DX")
    return node


class NoduleUser(PanelUser):
    """Opens the module and uses it, with a method of the tests in the place of its own."""

    def __init__(self, app: Any, monkeypatch: Any, method: str = "quick-nodule") -> None:
        use_methods(monkeypatch, REGISTERED, Path(__file__).parent)
        super().__init__(app, monkeypatch, "NoduleSynth", method)

    def open(self, tab: str) -> None:
        """Click a tab."""
        self.ui.tasksTab.currentIndex = TABS[tab]

    def outputs(self) -> dict[str, Any]:
        """The outputs of the open part."""
        return dict(self.widget.shownOutputs())

    def slide(self, step: int) -> None:
        """Move the slider: 0 strict, 100 sensitive."""
        self.ui.operatingSlider.value = step

    def points(self) -> Any:
        """The point list of the marks."""
        return self.outputs()["landmarks/mark_1"]

    def visible(self) -> list[str]:
        """The labels of the marks that are drawn."""
        points = self.points()
        count = points.GetNumberOfControlPoints()
        return [points.GetNthControlPointLabel(n) for n in range(count) if points.GetNthControlPointVisibility(n)]

    def place(self, *points: Any) -> None:
        """Click points into the film, as the place mode does it."""
        if not self.widget.sections.synthesis.places.placing:
            self.ui.placeButton.click()
        for point in points:
            self.choices.places.AddControlPointWorld(*(float(x) for x in point))


def cells(table: Any) -> list[list[str]]:
    """The texts of a table's rows."""
    return [[table.item(r, c).text() for c in range(table.columnCount)] for r in range(table.rowCount)]


def ras_of(film: Any, down: float, across: float) -> np.ndarray:
    """A point of a film by parts of its height and width, RAS mm."""
    from manabi_slicer.bridge.geometry import ijk_to_world

    columns, rows = film.GetImageData().GetDimensions()[:2]
    return (ijk_to_world(film) @ [across * (columns - 1), down * (rows - 1), 0, 1])[:3]
