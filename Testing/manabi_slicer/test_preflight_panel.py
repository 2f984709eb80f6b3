"""What the panel says of the computer before a run, with the remedy where a graphics card cannot be used."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from manabi.preflight import Preflight

NO_CUDA = "An NVIDIA graphics card is there (RTX 4000), but this PyTorch was built for the processor only."
FACTS = {
    "device": "cpu", "name": "a processor", "reason": NO_CUDA, "remedy": "cuda_build", "gpu_free_mb": None,
    "gpu_total_mb": None, "ram_free_mb": 9000.0, "ram_total_mb": 16000.0, "cpu_threads": 4, "disk_free_mb": 50000.0,
    "torch": "2.5.0", "torch_build": "cpu",
}  # fmt: skip


class Client:
    """A worker that answers at once."""

    def preflight(self, options):
        self.options = options
        return self

    def poll(self):
        return True


@pytest.fixture
def panel(slicer_app, monkeypatch):
    """SPECTDenoise's panel, and a client whose computer has a card that torch cannot use."""
    widget = slicer_app.open_widget("SPECTDenoise")
    client = Client()

    class Job:
        poll = staticmethod(lambda: True)
        preflight = staticmethod(lambda: Preflight.from_dict(FACTS))

    client.preflight = lambda options: Job
    monkeypatch.setattr(widget.logic.session, "client", lambda: client)
    return widget


def check(widget):
    widget.preflight.start(widget.logic.session, "auto")
    widget.preflight.poll()


def test_a_graphics_card_that_torch_cannot_use_is_told_with_the_remedy(panel):
    check(panel)
    button = panel.runPanel.ui.remedyButton
    assert not button.isHidden()
    assert "CUDA build" in button.text
    assert button.toolTip == NO_CUDA
    assert "RTX 4000" in panel.runPanel.ui.deviceLabel.text
    assert not panel.runPanel.ui.deviceLabel.isHidden()
    assert "RTX 4000" in panel.logPanel._ui.logText.toPlainText()


def test_the_remedy_reinstalls_torch_through_its_extension(panel, monkeypatch, slicer_app):
    calls = []

    class PyTorchUtilsLogic:
        def uninstallTorch(self):
            calls.append("uninstall")

        def installTorch(self, askConfirmation=False, torchVersionRequirement=None):
            calls.append(("install", askConfirmation))

    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    check(panel)
    slicer_app.open_main_window()
    slicer_app.answer(True)
    panel.runPanel.ui.remedyButton.click()
    assert calls == ["uninstall", ("install", False)]
    assert panel.logic.session.pid is None
    assert "Restart" in panel.runPanel.ui.statusLabel.text


def test_declining_the_remedy_changes_nothing(panel, monkeypatch, slicer_app):
    check(panel)
    slicer_app.open_main_window()
    slicer_app.answer(False)
    panel.runPanel.ui.remedyButton.click()
    assert panel.runPanel.ui.statusLabel.text == ""


def test_a_computer_where_all_is_well_gets_no_button(panel, monkeypatch):
    monkeypatch.setitem(FACTS, "remedy", "")
    check(panel)
    assert panel.runPanel.ui.remedyButton.isHidden()


def test_an_old_driver_and_little_memory_are_told_under_apply(panel, monkeypatch):
    monkeypatch.setitem(FACTS, "remedy", "driver")
    monkeypatch.setitem(FACTS, "reason", "The driver of the graphics card is too old. Update it.")
    monkeypatch.setitem(FACTS, "ram_free_mb", 700.0)
    check(panel)
    text = panel.runPanel.ui.deviceLabel.text
    assert "driver of the graphics card is too old" in text
    assert "memory" in text.partition("\n")[2]
    assert panel.runPanel.ui.remedyButton.isHidden()


def test_with_a_window_the_answer_is_there_before_the_first_run(slicer_app):
    import numpy as np
    import slicer

    slicer_app.open_main_window()
    widget = slicer_app.open_widget("SPECTDenoise")
    node = slicer.util.addVolumeFromArray(np.random.default_rng(0).poisson(60, (8, 24, 26)).astype(np.float32))
    widget.ui.inputSelector.setCurrentNode(node)
    slicer_app.wait_until(lambda: widget.runPanel.ui.deviceLabel.text, 30)
    assert "Runs on" in widget.runPanel.ui.deviceLabel.text
    assert widget.run is None
