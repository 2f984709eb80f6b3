"""The folder of a batch: which case lies where, what is done, the table, the log.

``batch.json`` says what was asked, ``cases.csv`` (for its owner's eyes only) which source each case is, ``batch.csv``
what came out, ``batch.log`` what happened; every finished case is a result folder of its own, which appeared whole.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manabi import log
from manabi.batch.sources import Source
from manabi.errors import InvalidInputError
from manabi.io.atomic import ASIDE_PREFIX, atomic_file
from manabi.io.lock import locked
from manabi.io.results import read_result_json
from manabi.io.tables import plain, write_json, write_table
from manabi.store.check import WINDOWS_DEVICES

RECORD, NAMES, TABLE, LOG, LOCK = "batch.json", "cases.csv", "batch.csv", "batch.log", ".batch.lock"
OWN = (RECORD, NAMES, TABLE, LOG, LOCK)
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
        folder._check_free()
        path.mkdir(parents=True, exist_ok=True)
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
        """The cases under their names, which a source keeps when the batch is continued; writes ``cases.csv``."""
        known = self._known()
        taken = {name.casefold() for name in known.values()}
        cases = []
        for source in dict.fromkeys(sources):
            name = known.get(source.inputs)
            if name is None:
                name = _kept(source.title, taken) if keep_names else _neutral(taken)
                taken.add(name.casefold())
            cases.append(Case(name, source))
        self._write_names(cases, known)
        return cases

    def is_done(self, case: Case) -> bool:
        """Whether a case's result is there."""
        return (self.path / case.name / "result.json").is_file()

    def done_row(self, name: str) -> Row:
        """The row of a case whose result is there."""
        result = read_result_json(self.path / name)
        used = result["provenance"]
        numbers = dict(result["measurements"] or {})
        return Row(name, DONE, used.get("duration_s"), str(used.get("device", "")), len(result["warnings"]),
                   measurements=numbers)  # fmt: skip

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

    def _check_free(self) -> None:
        """Refuse a folder that is not a batch's, before anything in it is touched."""
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInputError(f"{self.path} is a file. Name a folder for the results.")
        if not self.path.is_dir() or (self.path / RECORD).is_file():
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

    def _begin(self, record: Mapping[str, Any]) -> None:
        file = self.path / RECORD
        asked = {"format": FORMAT, **plain(record)}
        if not file.is_file():
            with atomic_file(file) as aside:
                write_json(asked, aside)
            return
        try:
            there = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InvalidInputError(f"{file} is damaged. Say --overwrite to begin anew.") from error
        different = sorted(key for key in {*there, *asked} if there.get(key) != asked.get(key))
        if different:
            raise InvalidInputError(
                f"{self.path} holds a batch with other {', '.join(different)}. Continue it with the same options, name "
                "another folder, or say --overwrite to begin anew."
            )

    def _clear(self) -> None:
        """Remove the results of a former batch, and nothing else."""
        for name in self._known().values():
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

    def _known(self) -> dict[tuple[tuple[str, str], ...], str]:
        """The names that sources have already."""
        file = self.path / NAMES
        if not file.is_file():
            return {}
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return {tuple((k, v) for k, v in row.items() if k != "case" and v): row["case"] for row in rows}

    def _write_names(self, cases: Sequence[Case], known: Mapping[tuple[tuple[str, str], ...], str]) -> None:
        """Write which source each case is, readable by its owner alone; cases of former runs stay listed."""
        names = {**{inputs: name for inputs, name in known.items()}, **{c.source.inputs: c.name for c in cases}}
        columns = list(dict.fromkeys(key for inputs in names for key, _ in inputs))
        rows = sorted((name, *(dict(inputs).get(column) for column in columns)) for inputs, name in names.items())
        with atomic_file(self.path / NAMES, overwrite=True) as aside:
            os.close(os.open(aside, os.O_CREAT | os.O_WRONLY, 0o600))
            write_table(("case", *columns), rows, aside)


def _is_left_over(entry: Path) -> bool:
    """Whether a process that was killed left this behind: something half written."""
    return entry.name.startswith(ASIDE_PREFIX)


def _neutral(taken: set[str]) -> str:
    numbers = [int(name[5:]) for name in taken if re.fullmatch(r"case-\d+", name)]
    return f"case-{max(numbers, default=0) + 1:04d}"


def _kept(title: str, taken: set[str]) -> str:
    """A folder name that every system can have, as like the source's as possible, and not taken."""
    name = re.sub(r'[\x00-\x1f\x7f\\/:*?"<>|]', "_", unicodedata.normalize("NFC", title)).strip(" .")[:80] or "case"
    if name.split(".")[0].lower() in WINDOWS_DEVICES or name.casefold() in OWN:
        name = f"_{name}"
    chosen, count = name, 2
    while chosen.casefold() in taken:
        chosen, count = f"{name}-{count}", count + 1
    return chosen
