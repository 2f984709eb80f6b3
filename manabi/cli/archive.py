"""``manabi index`` and ``manabi choose``: an archive indexed once, and what a method would take of it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from manabi import log, registry
from manabi.cli import console, interrupt
from manabi.cli.outcome import print_json
from manabi.context import Context
from manabi.errors import InvalidInputError

LIST_SUFFIXES = (".txt", ".lst")
SHOWN = 8
"""Reasons that are listed on the screen; the table has one for every series."""


def index(source: Path, output: Path, damaged: Path | None, as_json: bool) -> None:
    """Index a folder, a DICOMDIR or the files of a list, or bring the index up to date."""
    from manabi.archive.facts import DAMAGED, IMAGE, OBJECT, OTHER
    from manabi.archive.index import Index
    from manabi.archive.scan import index_files, index_folder

    log.hide_paths([source], keep=[output.name])
    context = Context()
    with log.reserved_stdout(as_json), console.progress("Index") as on_progress:
        if source.is_file() and source.suffix.lower() in LIST_SUFFIXES:
            files = listed(source)
            report = interrupt.in_thread(
                lambda: index_files(files, output, on_progress, context.cancel), context.cancel
            )
        else:
            report = interrupt.in_thread(
                lambda: index_folder(source, output, on_progress, context.cancel), context.cancel
            )
    if damaged is not None:
        with Index.opened(output) as opened:
            _write_paths(opened.paths_of_kind(DAMAGED), damaged)
    if as_json:
        print_json({"index": str(output), **report.to_json()})
        return
    counts = report.counts
    console.line(
        f"{counts.get(IMAGE, 0):,} image files, {counts.get(OBJECT, 0):,} other DICOM objects, "
        f"{counts.get(OTHER, 0):,} files that are no DICOM; {report.read:,} read now, {report.kept:,} known before, "
        f"{report.gone:,} gone. Index: {output}"
    )
    console.warnings(report.notes)


def choose(method: str, source: Path, output: Path, overwrite: bool, as_json: bool) -> None:
    """Choose series of an index for a method, and write the choice as a table."""
    from manabi.archive.choice_csv import write_choices
    from manabi.archive.choose import choose as chosen_of
    from manabi.archive.index import Index
    from manabi.archive.series import archived_series

    instance = registry.method(method)
    with Index.opened(source) as opened:
        choices = chosen_of(archived_series(opened.files()), instance)
        complete = opened.is_complete()
    write_choices(choices, source, output, overwrite=overwrite)
    used = [choice for choice in choices if choice.use]
    cases = {name for choice in used for name in choice.case.split("; ")}
    reasons = Counter(choice.why.split(";")[0] for choice in choices if not choice.use)
    if as_json:
        print_json({"choice": str(output), "series": len(choices), "used": len(used), "cases": len(cases),
                    "complete": complete, "left_out": dict(reasons.most_common())})  # fmt: skip
        return
    counts = f"{len(used)} of {len(choices)} series chosen for {instance.title}, {len(cases)} cases"
    console.line(f"{counts}. Table: {output}")
    if reasons:
        console.table("Left out", ("why", "series"), reasons.most_common(SHOWN))
    if not complete:
        console.warnings(["The index is not complete: its last run was stopped. Run manabi index again."])
    console.line(f"Change the column 'use' where you disagree, then: manabi batch {method} {output} --output RESULTS")


def listed(file: Path) -> list[str]:
    """The paths of a list, one per line; raises InvalidInputError where it cannot be read or is empty."""
    try:
        text = file.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise InvalidInputError(f"{file.name} cannot be read ({error.strerror}). Check the file.") from error
    found = [line for line in text.splitlines() if line.strip()]
    if not found:
        raise InvalidInputError(f"{file.name} names no file. Give one path per line.")
    return found


def _write_paths(paths: list[Path], file: Path) -> None:
    """Write paths, one per line, for their owner's eyes only."""
    from manabi.io.atomic import atomic_file

    with atomic_file(file, overwrite=True) as aside:
        os.close(os.open(aside, os.O_CREAT | os.O_WRONLY, 0o600))
        aside.write_bytes(b"".join(os.fsencode(path) + b"\n" for path in paths))
