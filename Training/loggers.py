"""What a run leaves to read: metrics.csv, TensorBoard events, run.json, and a progress bar."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from manabi.provenance import package_versions
from Training.checkpoint import write_text

logger = logging.getLogger(__name__)

Row = Mapping[str, float]


def write_metrics(path: Path, history: Sequence[Row]) -> None:
    """Write the history, a row per epoch, as a whole: a resumed run leaves neither gaps nor duplicates.

    The columns are all keys in order of first appearance; a metric that an epoch does not have is an empty cell.
    """
    columns = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv; empty cells are left out."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [{key: float(text) for key, text in row.items() if text} for row in csv.DictReader(stream)]


def write_run(path: Path, record: Mapping[str, Any]) -> None:
    """Write run.json: what ran, with which versions."""
    versions = package_versions()
    for name in ("lightning-fabric", "tensorboard"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    write_text(path, json.dumps({**record, "versions": versions}, indent=1) + "\n")


class TensorBoardLog:
    """TensorBoard scalars; without the package it warns once and writes nothing."""

    def __init__(self, folder: Path, first_epoch: int = 0) -> None:
        """Open a log in ``folder``; events of ``first_epoch`` and later, from before a kill, are superseded."""
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logger.warning("TensorBoard is not installed: scalars go to metrics.csv only (pip install tensorboard).")
            return
        self._writer = SummaryWriter(str(folder), purge_step=first_epoch or None)

    def write(self, row: Row) -> None:
        """One epoch's metrics."""
        if self._writer is not None:
            for key, value in row.items():
                if key != "epoch":
                    self._writer.add_scalar(key, value, int(row["epoch"]))
            self._writer.flush()

    def close(self) -> None:
        """End the log."""
        if self._writer is not None:
            self._writer.close()


class ProgressBar:
    """Epochs, speed and loss on standard error where that is a terminal; one log line per epoch everywhere."""

    def __init__(self, epochs: int, done: int, steps: int, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._steps, self._epochs = steps, epochs
        self._bar = Progress(
            *columns, TextColumn("{task.fields[note]}"), console=console, disable=not (shown and console.is_terminal)
        )
        self._task = self._bar.add_task("epochs", total=epochs * steps, completed=done, note="")

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self) -> None:
        """One optimiser step is done."""
        self._bar.advance(self._task)

    def epoch(self, row: Row) -> None:
        """One epoch is done."""
        note = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key not in ("epoch", "step"))
        logger.info("epoch %d of %d: %s", row["epoch"], self._epochs, note)
        self._bar.update(self._task, completed=int(row["epoch"]) * self._steps, note=note)
