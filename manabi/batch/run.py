"""Running a batch: find the cases, work on those that are missing, keep the table up to date."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manabi import log, registry
from manabi.batch.folder import DONE, FAILED, LOG, NOT_RUN, OUTCOMES, TABLE, BatchFolder, Case, Row
from manabi.batch.pool import Pool, failed_row
from manabi.batch.request import BatchRequest
from manabi.batch.sources import find_cases
from manabi.context import ProgressCallback
from manabi.errors import InvalidInputError, WorkerError
from manabi.method import Method

UNWRITABLE = "could not be written: it is open in another program, or its place is taken."
UNREADABLE = "The result was written, but cannot be read. Check the disk, and run the same command again."


@dataclass(frozen=True)
class Report:
    """What became of a batch.

    Attributes:
        folder: the output.
        rows: one per case, in order.
        left_out: files of the source that are no images.
        kept: how many of the cases were done before.
        notes: what a reader of the table should know of the batch as a whole.
    """

    folder: Path
    rows: tuple[Row, ...]
    left_out: int = 0
    kept: int = 0
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> Path:
        """``batch.csv``."""
        return self.folder / TABLE

    @property
    def log(self) -> Path:
        """``batch.log``."""
        return self.folder / LOG

    @property
    def done(self) -> list[Row]:
        """The cases with a result."""
        return [row for row in self.rows if row.status == DONE]

    @property
    def failed(self) -> list[Row]:
        """The cases without."""
        return [row for row in self.rows if row.status == FAILED]

    @property
    def exit_code(self) -> int:
        """0 where all is done, else the largest code among the failures."""
        return max((row.exit_code for row in self.failed), default=0)

    def to_json(self) -> dict[str, Any]:
        """Everything in it as one JSON object."""
        return {
            "folder": str(self.folder), "table": str(self.table), "log": str(self.log),
            "cases": len(self.rows), "done": len(self.done), "failed": len(self.failed), "kept": self.kept,
            "left_out": self.left_out, "notes": list(self.notes), "exit_code": self.exit_code,
            "failures": [{"case": r.case, "error": r.error, "exit_code": r.exit_code} for r in self.failed],
        }  # fmt: skip


def run_batch(
    request: BatchRequest, on_progress: ProgressCallback | None = None, cancel: threading.Event | None = None
) -> Report:
    """Run a method on every case of a source, or on those that are missing in the output.

    Args:
        request: what to do.
        on_progress: called with a fraction and a text.
        cancel: set it to stop; finished cases stay, and the same request continues.

    Raises:
        InvalidInputError: for a request that no case could be run with, or an output that is taken.
        CancelledError: after ``cancel`` was set.
    """
    method = registry.method(request.method)
    request.check(method)
    found = find_cases(request.source, method, request.patterns, request.output)
    with BatchFolder.opened(request.output, request.record(method), request.overwrite) as folder:
        cases = folder.named(found.cases, request.keep_names)
        words = [*(case.name for case in cases), request.method, *OUTCOMES]
        log.hide_paths((path for case in cases for _, path in case.source.inputs), keep=words)
        batch = _Batch(folder, cases, on_progress)
        batch.notes += [*found.notes, *_repeated(len(found.cases) - len(cases))]
        batch.folder.log.info("%s: %d cases, %d of them done before", request.method, len(cases), batch.kept)
        try:
            batch.work(request, cancel or threading.Event())
        finally:
            if not batch.write_table():
                batch.notes.append(f"{TABLE} {UNWRITABLE} Close it there; the same command then writes it anew.")
            batch.gather(method)
            batch.tell_end()
        return Report(request.output, tuple(batch.table()), found.left_out, batch.kept, tuple(batch.notes))


def _repeated(count: int) -> list[str]:
    """What to say of rows of a CSV that say the same as another one."""
    return [f"{count} of the rows repeat another one, and are one case with it."] if count else []


class _Batch:
    """The state of a batch under way."""

    def __init__(self, folder: BatchFolder, cases: Sequence[Case], on_progress: ProgressCallback | None) -> None:
        self.folder, self.cases = folder, cases
        done = [folder.done_row(case.name) for case in cases]
        self.rows = {row.case: row for row in done if row is not None}
        self.kept = len(self.rows)
        self.notes: list[str] = []
        self._on_progress = on_progress
        self._told = False

    def table(self) -> list[Row]:
        """A row for every case."""
        return [self.rows.get(case.name, Row(case.name, NOT_RUN)) for case in self.cases]

    def work(self, request: BatchRequest, cancel: threading.Event) -> None:
        """Work on what is missing."""
        for case in self.cases:
            if case.source.problem and case.name not in self.rows:
                self._record(failed_row(case.name, InvalidInputError(case.source.problem)))
        missing = [case for case in self.cases if case.name not in self.rows]
        pool = Pool(request.for_child(), request.settings, self.folder, min(request.workers, len(missing)))
        self._tell(pool, "")
        with closing(pool.run(missing, cancel, lambda text: self._tell(pool, text))) as outcomes:
            for outcome in outcomes:
                row = outcome if isinstance(outcome, Row) else self.folder.done_row(outcome)
                self._record(row or failed_row(str(outcome), WorkerError(UNREADABLE)), pool.details)
                self.write_table()
                self._tell(pool, "")

    def write_table(self) -> bool:
        """Bring ``batch.csv`` up to date; False where it cannot be now, as on Windows while Excel has it open."""
        try:
            self.folder.write_table(self.table())
        except InvalidInputError:
            if not self._told:
                self.folder.log.warning("%s %s It is tried again after every case.", TABLE, UNWRITABLE)
            self._told = True
            return False
        return True

    def gather(self, method: Method[Any]) -> None:
        """Let the method put its tables of the finished cases together."""
        done = {row.case: self.folder.path / row.case for row in self.table() if row.status == DONE}
        try:
            method.gather(done, self.folder.path)
        except InvalidInputError as error:
            self.notes.append(str(error))

    def _record(self, row: Row, details: dict[str, str] | None = None) -> None:
        """Note what became of a case, in the table and the log."""
        self.rows[row.case] = row
        if row.status == DONE:
            self.folder.log.info("%s: done in %s s on %s, %s warnings", row.case, row.seconds, row.device, row.warnings)
        else:
            self.folder.log.error("%s: failed (exit code %d): %s", row.case, row.exit_code, row.error)
            if details and row.case in details:
                self.folder.log.error("%s: details\n%s", row.case, details[row.case])

    def _tell(self, pool: Pool, text: str) -> None:
        if self._on_progress is None:
            return
        failed = sum(row.status == FAILED for row in self.rows.values())
        state = f"{len(self.rows)} of {len(self.cases)}" + (f", {failed} failed" if failed else "")
        done = (len(self.rows) + pool.fractions) / len(self.cases)
        self._on_progress(min(done, 1.0), f"{state}: {text}" if text else state)

    def tell_end(self) -> None:
        """Close the log of this run."""
        for note in self.notes:
            self.folder.log.warning("%s", note)
        rows = self.table()
        counts = {status: sum(row.status == status for row in rows) for status in OUTCOMES}
        self.folder.log.info("%s", ", ".join(f"{count} {status}" for status, count in counts.items()))


__all__ = ["BatchRequest", "Report", "run_batch"]
