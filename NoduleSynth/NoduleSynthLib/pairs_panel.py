"""Pairs of films for training from the panel: the same as ``manabi phantom nodule-pairs``, beside Slicer.

What is written stays: the same folder again goes on where it ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from manabi.errors import ManabiError
from manabi_slicer.command import Command
from manabi_slicer.run import clock_text
from manabi_slicer.slots import timer

if TYPE_CHECKING:
    from manabi_slicer.process import Start

POLL_MS = 500


class PairsPanel:
    """How many, where to, go.

    Args:
        ui: has ``pairsCountSpinBox``, ``pairsOutputEdit``, ``pairsFilmsEdit``, ``pairsButton``, ``pairsFolderButton``
            and ``pairsStatusLabel``.
        flow_of: gives the name of the flow that blends nodules in, empty without one.
        start: starts the process; tests give their own.
    """

    def __init__(self, ui: Any, flow_of: Callable[[], str], start: Start | None = None) -> None:
        self._ui, self._flow_of, self._start = ui, flow_of, start
        self._command: Command | None = None
        self._cancelled = False
        self._began = 0.0
        self._timer = timer(POLL_MS, self._onTimer)
        for edit in (ui.pairsOutputEdit, ui.pairsFilmsEdit):
            edit.connect("currentPathChanged(QString)", self.refresh)
        ui.pairsButton.connect("clicked(bool)", self.onButton)
        ui.pairsFolderButton.connect("clicked(bool)", self.onOpenFolder)
        self.refresh()

    @property
    def running(self) -> bool:
        """Whether pairs are being made."""
        return self._command is not None

    def close(self) -> None:
        """The panel goes: what runs is ended; pairs that are written stay."""
        self._timer.stop()
        command, self._command = self._command, None
        if command is not None:
            command.abandon()

    def refresh(self, _path: str = "") -> None:
        """Start can be pressed, or says what it waits for."""
        reason = ""
        if not self._path("Output"):
            reason = _("Choose a folder for the pairs: a new one, or one of an earlier run to go on with it.")
        elif self._path("Films") and not Path(self._path("Films")).is_dir():
            reason = _("The folder of normal films is not there. Choose another one, or none for simulated patients.")
        elif self._path("Films") and Path(self._path("Films")) == Path(self._path("Output")):
            reason = _("The pairs need a folder of their own. Choose another one.")
        self._ui.pairsButton.enabled = self.running or not reason
        self._ui.pairsButton.toolTip = reason or _("Make pairs of films without and with nodules, with their masks")
        self._ui.pairsFolderButton.enabled = bool(self._path("Output")) and Path(self._path("Output")).is_dir()

    def onButton(self) -> None:
        """Start, or Cancel while pairs are being made."""
        if self._command is not None:
            self._cancelled = True
            self._ui.pairsButton.enabled = False
            self._ui.pairsStatusLabel.text = _("Cancelling")
            self._command.cancel()
            return
        count = int(self._ui.pairsCountSpinBox.value)
        arguments = arguments_of(count, self._path("Output"), self._path("Films"), self._flow_of())
        try:
            self._command = Command(arguments, self._onEnded, self._start)
        except ManabiError as error:
            self._ui.pairsStatusLabel.text = str(error)
            return
        self._cancelled, self._began = False, time.monotonic()
        self._ui.pairsButton.text = _("Cancel")
        self._ui.pairsStatusLabel.text = _("Making {n} pairs").format(n=count)
        self._timer.start()

    def onOpenFolder(self) -> None:
        """Show the pairs where they lie."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self._path("Output")))

    def _onTimer(self) -> None:
        """How long it has taken so far."""
        if self._command is not None and not self._cancelled:
            text = _("Making {n} pairs ({time})").format(
                n=int(self._ui.pairsCountSpinBox.value), time=clock_text(time.monotonic() - self._began)
            )
            self._ui.pairsStatusLabel.text = text

    def _onEnded(self, status: int, said: str) -> None:
        self._timer.stop()
        self._command = None
        self._ui.pairsButton.text = _("Make pairs")
        took = clock_text(time.monotonic() - self._began)
        if self._cancelled:
            text = _("Cancelled after {time}. Pairs that were written stay; the same folder again goes on with them.")
        else:
            text = _("Done in {time}.") if status == 0 else _("It did not work.")
        self._ui.pairsStatusLabel.text = text.format(time=took)
        if status and not self._cancelled:
            self._ui.pairsStatusLabel.text += "\n" + said.strip()[-1000:]
        self.refresh()

    def _path(self, name: str) -> str:
        return str(getattr(self._ui, f"pairs{name}Edit").currentPath).strip()


def arguments_of(count: int, output: str, films: str = "", flow: str = "") -> list[str]:
    """The arguments of ``manabi`` for pairs.

    Args:
        count: how many.
        output: folder of the pairs.
        films: folder of normal films to put nodules into; empty for simulated patients.
        flow: that blends nodules in; empty for grey values.
    """
    arguments = ["phantom", "nodule-pairs", "--count", str(count), "--output", output]
    return [*arguments, *(["--films", films] if films else []), *(["--flow", flow] if flow else [])]
