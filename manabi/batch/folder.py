"""The folder of a batch: which case lies where, what is done, the table, the log.

``batch.json`` says what was asked, ``cases.csv`` (for its owner's eyes only) which source each case is, ``batch.csv``
what came out, ``batch.log`` what happened; every finished case is a result folder of its own, which appeared whole.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manabi import log
from manabi.batch.names import LOCK, LOG, NAMES, OWN, RECORD, TABLE, new_name, read_names, write_names
from manabi.batch.sources import Key, Source
from manabi.errors import InvalidInputError
from manabi.io.atomic import ASIDE_PREFIX, atomic_file
from manabi.io.lock import locked
from manabi.io.results import read_result_json
from manabi.io.tables import plain, write_json, write_table

RUNNING = "Another batch is running"
CHILD_LOCKS = ".batch-*.lock"
ORPHAN_S = 10.0
"""Longer than a worker process goes on after its parent was killed."""
FORMAT = "manabi-batch/1"
DONE, FAILED, NOT_RUN = OUTCOMES = ("done", "failed", "not run")
COLUMNS = ("case", "status", "seconds", "device", "warnings", "error")


@dataclass(frozen=True)
class Case:
    """One case under the name that its results have."""

    name: str
    source: Source


@dataclass(frozen=True)
class Row:
    """What became of a case.

    Attributes:
        case: name of the case.
        status: ``done``, ``failed`` or ``not run``.
        seconds: that the method took, or that passed until it failed.
        device: that did the work.
        warnings: how many the result carries.
        error: why it failed, without names and paths.
        exit_code: of the failure; 0 where there was none.
        measurements: the result's numbers.
    """

    case: str
    status: str
    seconds: float | None = None
    device: str = ""
    warnings: int | None = None
    error: str = ""
    exit_code: int = 0
    measurements: Mapping[str, Any] = field(default_factory=dict)


class BatchFolder:
    """The output of a batch. Use :meth:`opened`, which makes sure that nobody else writes there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = logging.getLogger("manabi.batch")

    @classmethod
    @contextmanager
    def opened(cls, path: Path, record: Mapping[str, Any], overwrite: bool) -> Iterator[BatchFolder]:
        """Begin a batch in a new folder, or continue the one that is there.

        What a killed process left half written is removed.

        Args:
            path: the folder.
            record: what was asked for; it must be that of the batch that is there.
            overwrite: remove the results of a batch that is there.

        Raises:
            InvalidInputError: where the folder holds something else, or a batch that was asked for otherwise.
        """
        folder = cls(path)
        folder._make()
        with locked(path / LOCK, RUNNING):
            folder._wait_for_orphans()
            folder._sweep()
            if overwrite:
                folder._clear()
            folder._begin(record)
            handler = folder._log_to_file()
            try:
                yield folder
            finally:
                folder.log.removeHandler(handler)
                handler.close()
                folder._sweep()
                for file in path.glob(CHILD_LOCKS):
                    file.unlink(missing_ok=True)

    def named(self, sources: Sequence[Source], keep_names: bool) -> list[Case]:
        """The cases under their names, which a source keeps when the batch is continued; writes ``cases.csv``.

        A source with other settings of its own is another case; one that comes twice is one. Cases of former runs stay
        listed.
        """
        known = self._known()
        names = dict(known)
        taken = {name.casefold() for name in (*known.values(), *(entry.name for entry in self.path.iterdir()))}
        cases: dict[Key, Case] = {}
        for source in sources:
            if source.key not in names:
                names[source.key] = new_name(source, taken, keep_names)
                taken.add(names[source.key].casefold())
            cases.setdefault(source.key, Case(names[source.key], source))
        if names != known:
            write_names(self.path / NAMES, names)
        return list(cases.values())

    def has_result(self, case: Case) -> bool:
        """Whether a case's folder is there, be its content damaged."""
        return self._is_result(case.name)

    def done_row(self, name: str) -> Row | None:
        """The row of a case whose result is there; None where it is not, or cannot be read any more."""
        try:
            result = read_result_json(self.path / name)
            used, numbers = result["provenance"], dict(result["measurements"] or {})
            return Row(name, DONE, used.get("duration_s"), str(used.get("device", "")), len(result["warnings"]),
                       measurements=numbers)  # fmt: skip
        except (InvalidInputError, OSError, KeyError, TypeError, ValueError, AttributeError):
            return None

    def write_table(self, rows: Sequence[Row]) -> Path:
        """Write ``batch.csv``: a row per case, its measurements in columns of their own."""
        numbers = list(dict.fromkeys(key for row in rows for key in row.measurements))
        cells = [
            (r.case, r.status, r.seconds, r.device, r.warnings, r.error, *(r.measurements.get(n) for n in numbers))
            for r in rows
        ]
        with atomic_file(self.path / TABLE, overwrite=True) as aside:
            write_table((*COLUMNS, *numbers), cells, aside)
        return self.path / TABLE

    def child_lock(self, number: int) -> Path:
        """The file that a worker process holds locked as long as it may write here."""
        return self.path / f".batch-{number}.lock"

    # --- beginning ----------------------------------------------------------------------------------

    def _make(self) -> None:
        """Make the folder, or make sure that it is a batch's and can be written to."""
        try:
            self._check_free()
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / LOCK).touch()
        except OSError as error:
            raise InvalidInputError(
                f"Cannot write to {self.path} ({error.strerror}). Name a folder of your own for the results."
            ) from error

    def _check_free(self) -> None:
        """Refuse a folder that is not a batch's, before anything in it is touched."""
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInputError(f"{self.path} is a file. Name a folder for the results.")
        if not self.path.is_dir():
            return
        if (self.path / RECORD).is_file():
            self._asked_before()
            return
        own = (*OWN, *(file.name for file in self.path.glob(CHILD_LOCKS)))
        if any(entry.name not in own and not _is_left_over(entry) for entry in self.path.iterdir()):
            raise InvalidInputError(f"{self.path} has files in it that are no batch's. Name a new folder.")

    def _wait_for_orphans(self) -> None:
        """Wait until the worker processes of a batch that was killed have noticed it and ended."""
        for file in self.path.glob(CHILD_LOCKS):
            with locked(file, RUNNING, ORPHAN_S):
                pass
            file.unlink(missing_ok=True)

    def _asked_before(self) -> dict[str, Any]:
        """What the batch that is there was asked for."""
        file = self.path / RECORD
        try:
            there = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            there = None
        if not isinstance(there, dict) or there.get("format") != FORMAT:
            raise InvalidInputError(
                f"{file} is not that of a batch (expected format {FORMAT}), or it is damaged; nothing here was "
                "touched. Name a new folder."
            )
        return there

    def _begin(self, record: Mapping[str, Any]) -> None:
        file = self.path / RECORD
        asked = {"format": FORMAT, **plain(record)}
        if not file.is_file():
            with atomic_file(file) as aside:
                write_json(asked, aside)
            return
        there = self._asked_before()
        different = sorted(key for key in {*there, *asked} if there.get(key) != asked.get(key))
        if different:
            raise InvalidInputError(
                f"{self.path} holds a batch with other {', '.join(different)}. Continue it with the same options, name "
                "another folder, or say --overwrite to begin anew."
            )

    def _clear(self) -> None:
        """Remove the results of a former batch, and nothing else."""
        for name in self._known().values():
            if self._is_result(name):
                shutil.rmtree(self.path / name, ignore_errors=True)
        for name in (RECORD, NAMES, TABLE, LOG):
            (self.path / name).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what was being written when a process was killed."""
        for entry in self.path.iterdir():
            if _is_left_over(entry):
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)

    def _log_to_file(self) -> logging.Handler:
        handler = logging.FileHandler(self.path / LOG, encoding="utf-8")
        handler.setFormatter(log.REDACTOR)
        self.log.addHandler(handler)
        self.log.setLevel(logging.INFO)
        self.log.propagate = False
        return handler

    # --- names ----------------------------------------------------------------------------------------

    def _known(self) -> dict[Key, str]:
        """The names that cases have already."""
        file = self.path / NAMES
        if file.is_file():
            return read_names(file)
        if any(self._is_result(entry.name) for entry in self.path.iterdir()):
            raise InvalidInputError(
                f"{file} is missing, so that nobody can tell which case is which. Put it back, or name a new folder "
                "for the results."
            )
        return {}

    def _is_result(self, name: str) -> bool:
        """Whether a folder holds a result of Manabi's, be it damaged."""
        folder = self.path / name
        if folder.is_symlink() or not (folder / "result.json").is_file():
            return False
        try:
            content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return True
        return isinstance(content, dict) and str(content.get("format")).startswith("manabi-result/")


def _is_left_over(entry: Path) -> bool:
    """Whether a process that was killed left this behind: something half written."""
    return entry.name.startswith(ASIDE_PREFIX)
