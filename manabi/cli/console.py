"""What the commands print: results on stdout, progress and warnings on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from manabi.context import ProgressCallback


def out() -> Console:
    """A console on stdout; lines are not cut where stdout is a file or a pipe."""
    return _console(stderr=False)


def err() -> Console:
    """A console on stderr."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, 160)
    return console


def line(text: str) -> None:
    """Print one line on stdout, whole, so that a path in it can be copied."""
    out().print(text, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table on stdout; numbers are set to the right, None is a dash."""
    from rich import box
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for index, name in enumerate(columns):
        numeric = any(isinstance(row[index], (int, float)) for row in rows)
        drawn.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(cell(value) for value in row))
    out().print(drawn)


def cell(value: Any) -> str:
    """A value as a reader sees it."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def measurements(values: Mapping[str, Any]) -> None:
    """Print the numbers of a result."""
    if values:
        table("Measurements", ("measurement", "value"), list(values.items()))


def warnings(texts: Sequence[str]) -> None:
    """Print warnings on stderr, in yellow."""
    console = err()
    for text in texts:
        console.print(f"Warning: {text}", style="yellow", soft_wrap=True)


@contextmanager
def progress(title: str) -> Iterator[ProgressCallback]:
    """A progress bar on stderr with elapsed and remaining time; yields the callback that moves it.

    Nothing is drawn where stderr is no terminal.
    """
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    text = TextColumn("{task.description}")
    columns = (text, BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield _callback(bar.update, task, title)


def _callback(update: Callable[..., None], task: Any, title: str) -> ProgressCallback:
    def show(fraction: float, text: str) -> None:
        update(task, completed=fraction, description=f"{title}: {text}" if text else title)

    return show
