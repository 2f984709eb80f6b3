"""The log of a panel: what happened when, for a question to a colleague or to the developers."""

from __future__ import annotations

import datetime
from typing import Any

from manabi_slicer.run import Progress


class LogPanel:
    """Lines with their time.

    Args:
        ui: has ``logText``.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._said = 0

    def add(self, text: str) -> None:
        """One more line, as it is now."""
        now = datetime.datetime.now().strftime("%H:%M:%S")
        self._ui.logText.appendPlainText(f"{now}  {text}")

    def start(self, text: str) -> None:
        """A run begins."""
        self._said = 0
        self.add(text)

    def progress(self, progress: Progress) -> None:
        """A line for each thing that the run said it does."""
        for text in progress.said[self._said :]:
            self.add(text)
        self._said = len(progress.said)
