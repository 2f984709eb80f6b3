"""Apply and Cancel, progress, times, messages: the middle of every module's panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from manabi_slicer.icons import icon
from manabi_slicer.panels.loading import load
from manabi_slicer.panels.messages import Messages
from manabi_slicer.run import Progress, clock_text


class RunPanel:
    """What the user sees of a run.

    Args:
        container: widget with a layout, into which the panel goes.
        on_apply: called when Apply, or Cancel, is pressed.
    """

    def __init__(self, container: Any, on_apply: Callable[[], None]) -> None:
        self.widget, self.ui = load("ManabiRun")
        container.layout().addWidget(self.widget)
        self.messages = Messages(self.ui)
        self._on_apply = on_apply
        self._running = False
        self._ready = (False, "")
        self.ui.applyButton.icon = icon("apply")
        self.ui.applyButton.connect("clicked(bool)", self._onClicked)

    def setReady(self, ready: bool, reason: str) -> None:
        """Enable Apply, or say in its tool tip what it waits for."""
        self._ready = (ready, reason)
        if not self._running:
            self.ui.applyButton.enabled = ready
            self.ui.applyButton.toolTip = reason

    def setRunning(self) -> None:
        """A run has begun: Apply becomes Cancel."""
        self._running = True
        self.messages.clear()
        self.ui.applyButton.text = _("Cancel")
        self.ui.applyButton.icon = icon("cancel")
        self.ui.applyButton.toolTip = _("Stop; nothing of this run is kept")
        self.ui.applyButton.enabled = True
        self.ui.undoButton.enabled = False
        self.ui.exportButton.enabled = False
        self.ui.progressBar.value = 0
        self.ui.progressBar.visible = True

    def setCancelling(self) -> None:
        """Cancel was pressed; it takes a moment."""
        self.ui.applyButton.enabled = False
        self.ui.applyButton.text = _("Cancelling...")

    def setEnded(self, text: str) -> None:
        """The run is over, whichever way."""
        self._running = False
        self.ui.applyButton.text = _("Apply")
        self.ui.applyButton.icon = icon("apply")
        self.ui.progressBar.visible = False
        self.setStatus(text)
        self.setReady(*self._ready)

    def setProgress(self, progress: Progress) -> None:
        """Bar, what is being done, elapsed and expected time."""
        self.ui.progressBar.value = round(1000 * progress.fraction)
        times = clock_text(progress.elapsed_s)
        if progress.remaining_s is not None:
            times = _("{elapsed}, about {remaining} left").format(
                elapsed=times, remaining=clock_text(max(progress.remaining_s, 1.0))
            )
        self.setStatus(_("{what} ({times})").format(what=progress.text, times=times))

    def setStatus(self, text: str) -> None:
        """The line under the button."""
        self.ui.statusLabel.text = text

    def setDevice(self, text: str) -> None:
        """What runs will happen on, and what the user should know of it; an empty text hides the line."""
        self.ui.deviceLabel.text = text
        self.ui.deviceLabel.visible = bool(text)

    def offer(self, text: str, tool_tip: str, enabled: bool = True) -> None:
        """Show the button that mends what was found; an empty text hides it."""
        self.ui.remedyButton.text = text
        self.ui.remedyButton.toolTip = tool_tip
        self.ui.remedyButton.enabled = enabled
        self.ui.remedyButton.visible = bool(text)

    def setResultActions(self, *, has_result: bool, can_undo: bool) -> None:
        """Which of Show, Undo and Export can be pressed."""
        free = not self._running
        self.ui.showButton.enabled = has_result
        self.ui.exportButton.enabled = has_result and free
        self.ui.undoButton.enabled = can_undo and free

    def _onClicked(self) -> None:
        self._on_apply()
