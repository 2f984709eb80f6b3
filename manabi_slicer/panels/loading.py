"""Loading a shared .ui file into a module's panel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

FOLDER = Path(__file__).resolve().parents[1] / "Resources" / "UI"


def load(name: str) -> tuple[Any, Any]:
    """The widget of ``Resources/UI/<name>.ui`` with its scene set, and its named children as attributes.

    Raises:
        RuntimeError: when the file is missing.
    """
    widget = slicer.util.loadUI(str(FOLDER / f"{name}.ui"))
    widget.setMRMLScene(slicer.mrmlScene)
    return widget, slicer.util.childWidgetVariables(widget)
