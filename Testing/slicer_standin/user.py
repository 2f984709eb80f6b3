"""A user in front of a module's panel: opens it, chooses an image, and finds its widgets."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any


def use_methods(monkeypatch: Any, registered: str, folder: Path) -> None:
    """Register a test's methods for this process and for those it starts.

    Args:
        monkeypatch: the fixture.
        registered: as ``MANABI_METHODS`` takes it.
        folder: where their module lies.
    """
    monkeypatch.setenv("MANABI_METHODS", registered)
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths).rstrip(os.pathsep))


class PanelUser:
    """Opens a module and uses it.

    Args:
        app: the fixture ``slicer_app``.
        monkeypatch: the fixture.
        module: name of the module.
        method: what runs in the place of the module's own method.
    """

    def __init__(self, app: Any, monkeypatch: Any, module: str, method: str) -> None:
        self.app = app
        app.module(module)
        logic = getattr(importlib.import_module(module), f"{module}Logic")
        monkeypatch.setattr(logic, "methodName", method)
        self.widget = app.open_widget(module)

    @property
    def ui(self) -> Any:
        """The module's own widgets."""
        return self.widget.ui

    @property
    def run_ui(self) -> Any:
        """Apply and what is around it."""
        return self.widget.runPanel.ui

    def choose(self, node: Any) -> None:
        """Pick an image."""
        self.ui.inputSelector.setCurrentNode(node)
