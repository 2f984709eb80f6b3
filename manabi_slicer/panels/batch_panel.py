"""A folder of patients, or Slicer's DICOM data base, from the panel, with progress, log, Cancel and the table.

It is the same as ``manabi batch``, and runs beside Slicer, which stays awake. What is done is kept: the same folders
again go on where it ended.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from manabi.errors import ManabiError
from manabi_slicer import archive
from manabi_slicer.command import Command
from manabi_slicer.panels.loading import load
from manabi_slicer.run import clock_text
from manabi_slicer.slots import timer

if TYPE_CHECKING:
    from manabi_slicer.process import Start
    from manabi_slicer.request import Request

TABLE, LOG = "batch.csv", "batch.log"
"""Files that ``manabi batch`` keeps in its output folder; the table is renewed after every case."""
POLL_MS = 500
DONE, NOT_RUN = "done", "not run"


class BatchPanel:
    """Folder in, folder out, go.

    Args:
        container: widget with a layout, into which the panel goes.
        method: name of the method.
        request_of: gives the choices of the module's panel when Start is pressed; its nodes are not used.
        columns: of the table, those worth showing; all of them where empty.
        start: starts the process; tests give their own.
    """

    def __init__(
        self, container: Any, method: str, request_of: Callable[[], Request], columns: Sequence[str] = (),
        start: Start | None = None,
    ) -> None:  # fmt: skip
        self.widget, self.ui = load("ManabiBatch")
        container.layout().addWidget(self.widget)
        self._method, self._request_of, self._columns, self._start = method, request_of, tuple(columns), start
        self._command: Command | None = None
        self._cancelled = False
        self._began = 0.0
        self._seen: float | None = None
        self._log_size = 0
        self._timer = timer(POLL_MS, self._onTimer)
        for edit in (self.ui.batchInputEdit, self.ui.batchOutputEdit):
            edit.connect("currentPathChanged(QString)", self._onPaths)
        self.ui.batchDatabaseCheckBox.connect("toggled(bool)", self._onPaths)
        self.ui.batchButton.connect("clicked(bool)", self.onButton)
        self.ui.batchFolderButton.connect("clicked(bool)", self.onOpenFolder)
        self._onPaths()

    @property
    def running(self) -> bool:
        """Whether a batch is under way."""
        return self._command is not None

    def close(self) -> None:
        """The panel goes: what runs is ended; the cases that are done are kept."""
        self._timer.stop()
        command, self._command = self._command, None
        if command is not None:
            command.abandon()

    # --- buttons ----------------------------------------------------------------------------------

    def onButton(self) -> None:
        """Start, or Cancel while a batch is under way."""
        if self._command is not None:
            self._cancelled = True
            self.ui.batchButton.enabled = False
            self.ui.batchStatusLabel.text = _("Cancelling")
            self._command.cancel()
            return
        try:
            arguments = arguments_of(self._method, self._source, self._output, self._request_of())
            self._command = self._first_command(arguments)
        except ManabiError as error:
            self.ui.batchStatusLabel.text = str(error)
            return
        self._cancelled, self._began = False, time.monotonic()
        self._log_size = _size(self._output / LOG)
        self._seen = None
        self.ui.batchLogText.clear()
        self.ui.batchButton.text = _("Cancel")
        self.ui.batchProgressBar.value = 0
        self.ui.batchProgressBar.visible = True
        self.ui.batchStatusLabel.text = (
            _("Reading what is new in Slicer's DICOM database")
            if self.ui.batchDatabaseCheckBox.checked
            else _("Looking for cases")
        )
        self._timer.start()

    def _first_command(self, arguments: list[str]) -> Command:
        """The batch; where it is of Slicer's data base, the index before it."""
        if not self.ui.batchDatabaseCheckBox.checked:
            return Command(arguments, self._onEnded, self._start)
        return Command(archive.index_arguments(), partial(self._onIndexed, arguments), self._start)

    def _onIndexed(self, arguments: list[str], status: int, said: str) -> None:
        """The index is up to date: the batch begins; or the end, where it is not."""
        if status or self._cancelled:
            self._onEnded(status, said)
            return
        self._command = Command(arguments, self._onEnded, self._start)

    def onOpenFolder(self) -> None:
        """Show the results where they lie."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._output)))

    # --- following --------------------------------------------------------------------------------

    def _onTimer(self) -> None:
        self._readLog()
        self._readTable()

    def _onEnded(self, status: int, said: str) -> None:
        """The command has ended; what it said is shown where it did not do all."""
        self._timer.stop()
        self._command = None
        self._readLog()
        counts = self._readTable()
        self.ui.batchButton.text = _("Start")
        self.ui.batchProgressBar.visible = False
        self._onPaths()
        took = clock_text(time.monotonic() - self._began)
        if self._cancelled:
            text = _("Cancelled after {time}; {done} of {all} cases are done. Start goes on with the others.")
        elif counts[1] and status in (0, *_EXIT_CODES):
            text = _("{done} of {all} cases are done; it took {time}.")
        else:
            text = _("It did not work.")
        self.ui.batchStatusLabel.text = text.format(time=took, done=counts[0], all=counts[1])
        if status and not self._cancelled:
            self.ui.batchStatusLabel.text += "\n" + said.strip()[-1000:]

    def _readLog(self) -> None:
        """Append what the batch's own log says since."""
        file = self._output / LOG
        size = _size(file)
        if size <= self._log_size:
            return
        with file.open("rb") as stream:
            stream.seek(self._log_size)
            text = stream.read().decode("utf-8", "replace")
        self._log_size = size
        self.ui.batchLogText.appendPlainText(text.rstrip())

    def _readTable(self) -> tuple[int, int]:
        """Show the table where it is new; returns how many cases are done, and how many there are."""
        file = self._output / TABLE
        try:
            rows = read_table(file)
            changed = file.stat().st_mtime
        except OSError:  # not written yet, or being replaced
            return 0, 0
        done = sum(row.get("status") == DONE for row in rows)
        left = sum(row.get("status") == NOT_RUN for row in rows)
        if changed != self._seen:
            self._seen = changed
            fill(self.ui.batchTable, rows, self._columns)
            self.ui.batchProgressBar.value = round(1000 * (1 - left / max(len(rows), 1)))
            if self.running and not self._cancelled:
                self.ui.batchStatusLabel.text = _("{done} of {all} cases are done").format(done=done, all=len(rows))
        return done, len(rows)

    # --- paths ------------------------------------------------------------------------------------

    @property
    def _source(self) -> Path:
        if self.ui.batchDatabaseCheckBox.checked:
            return archive.index_file()
        return Path(str(self.ui.batchInputEdit.currentPath))

    @property
    def _output(self) -> Path:
        return Path(str(self.ui.batchOutputEdit.currentPath))

    def _onPaths(self, *_changed: object) -> None:
        """Start can be pressed, or says what it waits for; results that are there already are shown."""
        given = [bool(edit.currentPath) for edit in (self.ui.batchInputEdit, self.ui.batchOutputEdit)]
        from_database = self.ui.batchDatabaseCheckBox.checked
        self.ui.batchInputEdit.enabled = not from_database
        reason = ""
        if not from_database and (not given[0] or not self._source.exists()):
            reason = _("Choose the folder that holds the patients: a file or a folder of DICOM files for each.")
        elif not given[1]:
            reason = _("Choose a folder for the results: a new one, or one of an earlier batch to go on with it.")
        elif self._source == self._output:
            reason = _("Results need a folder of their own. Choose another one.")
        self.ui.batchButton.enabled = not reason
        self.ui.batchButton.toolTip = reason or _("Run on every case that is not done yet, with the choices above")
        self.ui.batchFolderButton.enabled = given[1] and self._output.is_dir()
        self._seen = None
        if given[1] and not self.running:
            self._readTable()


_EXIT_CODES = (1, 2, 3, 4)
"""With which a batch ends some of whose cases failed; the table says which."""


def arguments_of(method: str, source: Path, output: Path, request: Request) -> list[str]:
    """The arguments of ``manabi`` for a batch with a panel's choices.

    Args:
        method: name of the method.
        source: folder with a file or a sub-folder for each case, a CSV of cases, or an index of an archive.
        output: folder for the results; continued where it is one of the same choices.
        request: parameters and how to run.
    """
    arguments = ["batch", method, str(source), "--output", str(output), "--device", request.device,
                 "--precision", request.precision, "--seed", str(request.seed)]  # fmt: skip
    if request.bundle:
        arguments += ["--bundle", request.bundle]
    for name, value in request.parameters.items():
        if value is not None:
            arguments += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    return arguments


def read_table(file: Path) -> list[dict[str, str]]:
    """The rows of a batch's table; raises OSError where it cannot be read."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return [{str(name): cell or "" for name, cell in row.items()} for row in csv.DictReader(stream)]


def fill(table: Any, rows: Sequence[dict[str, str]], columns: Sequence[str] = ()) -> None:
    """Show a batch's rows.

    Args:
        table: a QTableWidget.
        rows: by column.
        columns: which to show, those of them that there are; all where empty.
    """
    known = list(rows[0]) if rows else []
    shown = [name for name in columns if name in known] if columns else known
    table.visible = bool(rows)
    table.setColumnCount(len(shown))
    table.setHorizontalHeaderLabels(shown)
    table.setRowCount(len(rows))
    for r, row in enumerate(rows):
        for c, name in enumerate(shown):
            table.setItem(r, c, qt.QTableWidgetItem(row[name]))
    table.resizeColumnsToContents()


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0
