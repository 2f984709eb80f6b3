"""``manabi batch``: many cases, one table, and where to look when some failed."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from manabi import log, registry
from manabi.batch.folder import NAMES
from manabi.batch.request import BatchRequest
from manabi.batch.run import Report, run_batch
from manabi.cli import console, interrupt
from manabi.cli.outcome import print_json
from manabi.cli.run import named
from manabi.context import Context
from manabi.errors import InvalidInputError

SHOWN = 10
"""Failed cases that are listed on the screen; the table has them all."""


def batch(request: BatchRequest, as_json: bool) -> None:
    """Run a batch; ends the command with the largest exit code among its failures."""
    title = registry.method(request.method).title
    context = Context()
    with log.reserved_stdout(as_json), console.progress(title) as on_progress:
        report = interrupt.in_thread(lambda: run_batch(request, on_progress, context.cancel), context.cancel)
    if as_json:
        print_json(report.to_json())
    else:
        show(report)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def by_input(method: str, texts: Sequence[str], what: str) -> dict[str, str]:
    """``name=value`` texts by input name; one without a name is for the first input."""
    return named(registry.method(method), texts, what)


def check_way(overwrite: bool, resume: bool) -> None:
    """Refuse to begin anew and to continue at once."""
    if overwrite and resume:
        raise InvalidInputError("--overwrite begins anew and --resume continues: say one of them.")


def show(report: Report) -> None:
    """Print how many were done, which failed and why, and where everything is."""
    before = f", {report.kept} of them before" if report.kept else ""
    console.line(f"{len(report.done)} of {len(report.rows)} cases done{before}. Table: {report.table}")
    if report.left_out:
        console.warnings([f"Left out of the source, as they are no images: {report.left_out} file(s)."])
    console.warnings(report.notes)
    if not report.failed:
        return
    rows = [(row.case, row.error) for row in report.failed[:SHOWN]]
    console.table(f"{len(report.failed)} failed", ("case", "why"), rows)
    if len(report.failed) > SHOWN:
        console.line(f"... and {len(report.failed) - SHOWN} more in the table.")
    names = report.folder / NAMES
    console.line(f"Details: {report.log}. Which source a case is: {names} (holds the names of your files).")
