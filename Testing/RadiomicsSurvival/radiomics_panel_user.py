"""Somebody at RadiomicsSurvival's panel, who knows widgets and nodes, but none of the code behind them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from radiomics_panel_methods import REGISTERED, VERDICT
from slicer_standin.user import PanelUser, use_methods

SHAPE = (20, 30, 28)
SCORE = "Harrell C 0.61 (0.52 to 0.70)"
TABS = {"features": 0, "risk": 1, "cohort": 2}


def matrix() -> np.ndarray:
    """A tilted grid: voxels of 2 x 2 x 3 mm."""
    a = np.deg2rad(12.0)
    tilt = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    found = np.eye(4)
    found[:3, :3] = tilt @ np.diag([-2.0, -2.0, 3.0])
    found[:3, 3] = (30.0, 32.0, -28.0)
    return found


def add_ct(name: str = "Thorax") -> Any:
    """A volume node of noise."""
    import slicer

    array = np.random.default_rng(5).integers(-100, 100, SHAPE).astype(np.int16)
    node = slicer.util.addVolumeFromArray(array, matrix(), name)
    node.SetAttribute("Manabi.modality", "CT")
    return node


def ball(centre: tuple[int, int, int], radius: float) -> np.ndarray:
    """A ball in voxels, KJI."""
    places = np.meshgrid(*(np.arange(n) - c for n, c in zip(SHAPE, centre, strict=True)), indexing="ij", sparse=True)
    return (sum(place**2 for place in places) < radius**2).astype(np.uint8)


GTV, NODE, PTV = ball((10, 15, 9), 5), ball((10, 15, 22), 3), ball((10, 15, 9), 8)


def add_segments(image: Any, **masks: np.ndarray) -> Any:
    """A segmentation of those masks, by the names of its segments."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Drawn")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    for name, mask in masks.items():
        node.GetSegmentation().AddEmptySegment(name.lower(), name.replace("_", " "))
        if mask.any():
            slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, name.lower(), image)
    return node


def fake_bundle(second: bool = False) -> Any:
    """What the panel reads of a model."""
    items = lambda values: {"items": list(values)}  # noqa: E731
    encoder = {"class": "ClinicalEncoder", "parts": {
        "names": items(("age_years", "stage")), "kinds": items(("numeric", "ordinal")),
        "levels": items((items(()), items(("IA", "IB", "II")))), "dummies": {"array": "model.x"}}}  # fmt: skip
    structure = {"class": "FittedModel", "parts": {"design": {"class": "Design", "parts": {"clinical": encoder}}}}
    facts = {"clinical": ["stage", "age_years"], "outcome": "survival",
             "verdict": {"text": VERDICT, "concordance": SCORE, "beats_volume": False},
             "extraction": {"image": {}, **({"second": {}} if second else {})}}  # fmt: skip
    return SimpleNamespace(
        name="radiomics-test", version="1.0.0", notice="a model of the tests", method="quick-radiomics",
        trained_on="nobody", metrics={}, origin="user", shadows=None, weights_sha256="0" * 64,
        metadata={"task": "Prediction of survival", "manabi": {"radiomics": facts}},
        network={"name": "frozen_model", "arguments": {"structure": json.dumps(structure)}},
    )  # fmt: skip


class RadiomicsUser(PanelUser):
    """Opens the module and uses it, with a method of the tests in the place of its own."""

    def __init__(self, app: Any, monkeypatch: Any, method: str = "quick-radiomics", bundle: Any = None) -> None:
        use_methods(monkeypatch, REGISTERED, Path(__file__).parent)
        super().__init__(app, monkeypatch, "RadiomicsSurvival", method)
        self._monkeypatch = monkeypatch
        if bundle is not None:
            self.has_model(bundle)

    def has_model(self, bundle: Any) -> None:
        """A model is on this computer, and chosen."""
        self._monkeypatch.setattr(self.widget.modelsPanel, "current", lambda: bundle)
        self.widget.onParametersChanged()

    @property
    def image(self) -> Any:
        """The image of the open part; None for a cohort."""
        return self.widget.inputNodes()["image"]

    def outputs(self) -> dict[str, Any]:
        """The outputs of the open part by key."""
        return dict(self.widget.shownOutputs())

    def patient(self, **masks: np.ndarray) -> Any:
        """A CT with segments, both chosen; returns the CT."""
        image = add_ct()
        node = add_segments(image, **(masks or {"Tumour": GTV, "Lymph_node": NODE}))
        self.choose(image)
        self.ui.segmentationSelector.setCurrentNode(node)
        return image

    def open(self, tab: str) -> None:
        """Click a tab."""
        self.ui.tasksTab.currentIndex = TABS[tab]

    def check(self, *names: str) -> None:
        """Check just these segments."""
        import qt

        for row in range(self.ui.segmentsList.count):
            item = self.ui.segmentsList.item(row)
            item.setCheckState(qt.Qt.Checked if item.text() in names else qt.Qt.Unchecked)


def cells(table: Any) -> list[list[str]]:
    """The texts of a table's rows that are shown."""
    rows = [r for r in range(table.rowCount) if not table.isRowHidden(r)]
    return [[table.item(r, c).text() for c in range(table.columnCount)] for r in rows]
