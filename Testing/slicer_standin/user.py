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


class ModuleUser:
    """Looks at the panel of a module that is open, and finds its widgets.

    Args:
        app: the fixture ``slicer_app``.
        module: name of the module.
    """

    def __init__(self, app: Any, module: str) -> None:
        self.app = app
        self.widget = app.open_widget(module)

    @property
    def ui(self) -> Any:
        """The module's own widgets."""
        return self.widget.ui

    @property
    def run_ui(self) -> Any:
        """Apply and what is around it."""
        return self.widget.runPanel.ui

    @property
    def choices(self) -> Any:
        """The parameter node."""
        return self.widget._parameterNode

    @property
    def image(self) -> Any:
        """The chosen image."""
        return self.ui.inputSelector.currentNode()

    def choose(self, node: Any) -> None:
        """Pick an image."""
        self.ui.inputSelector.setCurrentNode(node)

    def outputs(self) -> dict[str, Any]:
        """The outputs of the chosen image by key."""
        return self.widget.logic.outputsOf(self.image)

    def seen(self, name: str) -> bool:
        """Whether a widget is not hidden."""
        return not getattr(self.ui, name).isHidden()

    def boxes(self) -> dict[str, str]:
        """The texts of the boxes that can be seen."""
        shown = [n for n in ("error", "alert", "warning") if not getattr(self.run_ui, f"{n}Frame").isHidden()]
        return {n: getattr(self.run_ui, f"{n}Label").text for n in shown}

    def said(self) -> str:
        """The texts of all these boxes."""
        return "\n".join(self.boxes().values())


class PanelUser(ModuleUser):
    """Opens a module and uses it, with a method of the tests in the place of its own.

    Args:
        app: the fixture ``slicer_app``.
        monkeypatch: the fixture.
        module: name of the module.
        method: what runs in the place of the module's own method.
    """

    def __init__(self, app: Any, monkeypatch: Any, module: str, method: str) -> None:
        app.module(module)
        logic = getattr(importlib.import_module(module), f"{module}Logic")
        monkeypatch.setattr(logic, "methodName", method)
        super().__init__(app, module)

    def press(self, name: str = "applyButton", timeout_s: float = 90.0) -> None:
        """Press a button that starts a run, and wait."""
        button = getattr(self.ui, name, None) or getattr(self.run_ui, name)
        assert button.enabled, button.toolTip
        button.click()
        self.app.wait_until(lambda: self.widget.run is None, timeout_s)
        assert self.run_ui.errorFrame.isHidden(), self.run_ui.errorLabel.text

    def apply(self, timeout_s: float = 90.0) -> dict[str, Any]:
        """Press Apply, wait, and give the outputs by key."""
        self.press(timeout_s=timeout_s)
        return self.outputs()

    def run_here(self) -> dict[str, Any]:
        """The same result without the worker, as from the Python console; shown as after Apply."""
        outputs = self.widget.logic.runHere(self.widget.request(self.choices))
        self.widget.refreshOutputs()
        if self.app.boot().app.layoutManager() is not None:
            self.widget.showResult(outputs, self.image)
        return dict(outputs)
