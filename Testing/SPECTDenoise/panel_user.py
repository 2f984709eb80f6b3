"""Somebody at SPECTDenoise's panel, who knows widgets and nodes, but none of the code behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from slicer_standin import user


def oblique() -> np.ndarray:
    """Columns of I, J and K in RAS: turned, tilted and of unequal spacing."""
    turn = np.linalg.qr([[0.1, -0.97, 0.21], [0.99, 0.12, 0.1], [-0.07, 0.19, 1.0]])[0]
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.array([3.05, 2.9, 3.4]) * np.sign(np.diag(turn @ [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]))
    matrix[:3, 3] = (88.0, -95.0, -60.0)
    return matrix


OBLIQUE = oblique()


def use_methods(monkeypatch, registered: str) -> None:
    """Register the methods of panel_methods for this process and for the worker's."""
    user.use_methods(monkeypatch, registered, Path(__file__).parent)


def add_scan(name: str = "Scan", seed: int = 0, matrix: np.ndarray = OBLIQUE) -> Any:
    """A volume node of random counts."""
    import slicer

    rng = np.random.default_rng(seed)
    array = rng.poisson(60, (8, 24, 26)).astype(np.float32)
    node = slicer.util.addVolumeFromArray(array, matrix, name)
    node.SetAttribute("Manabi.modality", "NM")
    return node


class User(user.ModuleUser):
    """Opens the module and uses it.

    Args:
        app: the fixture ``slicer_app``.
        method: what runs in the place of SPECTDenoise's own method; None for its own.
    """

    def __init__(self, app: Any, method: str | None = None) -> None:
        super().__init__(app, "SPECTDenoise")
        if method is not None:
            self.use(method)

    def use(self, method: str) -> None:
        """From now on Apply runs another method, of the same inputs and parameters."""
        self.widget.logic.methodName = method
        self.widget.logic._method = None

    @property
    def button(self) -> Any:
        """Apply, or Cancel."""
        return self.run_ui.applyButton

    @property
    def busy(self) -> bool:
        """Whether the button says something else than Apply."""
        return self.button.text != "Apply"

    @property
    def status(self) -> str:
        """The line below the button."""
        return self.run_ui.statusLabel.text

    def press(self) -> None:
        """Press Apply or Cancel."""
        assert self.button.enabled, self.button.toolTip
        self.button.click()

    def wait(self, timeout_s: float = 60.0) -> None:
        """Wait until nothing runs."""
        self.app.wait_until(lambda: not self.busy, timeout_s)

    def apply(self, timeout_s: float = 60.0) -> dict[str, Any]:
        """Press Apply, wait, and give the outputs of the chosen scan by key."""
        self.press()
        self.wait(timeout_s)
        return self.outputs()


def nodes_in_scene() -> set[str]:
    """Identifiers of the nodes that hold data."""
    import slicer

    kinds = ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLTableNode", "vtkMRMLPlotChartNode",
             "vtkMRMLPlotSeriesNode", "vtkMRMLTextNode", "vtkMRMLMarkupsNode")  # fmt: skip
    found = set()
    for kind in kinds:
        collection = slicer.mrmlScene.GetNodesByClass(kind)
        collection.UnRegister(None)
        found |= {collection.GetItemAsObject(n).GetID() for n in range(collection.GetNumberOfItems())}
    return found
