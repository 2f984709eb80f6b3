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
        self._last = ""

    def add(self, text: str) -> None:
        """One more line, as it is now."""
        now = datetime.datetime.now().strftime("%H:%M:%S")
        self._ui.logText.appendPlainText(f"{now}  {text}")

    def progress(self, progress: Progress) -> None:
        """A line whenever the run says that it does something else."""
        if progress.text != self._last:
            self._last = progress.text
            self.add(progress.text)
