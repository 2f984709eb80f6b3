"""Finding the cases of a batch: per file or sub-folder of a folder, per row of a CSV, or in the index of an archive."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manabi.archive.choice_csv import ChosenCase, cases_of, is_choice, read_choices
from manabi.archive.choose import choose
from manabi.archive.index import Index, is_index
from manabi.archive.series import archived_series
from manabi.batch.spreadsheet import Rows, read_rows
from manabi.errors import InvalidInputError, ManabiError
from manabi.method import Method

IMAGES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
DICOM = (".dcm", ".dicom", ".ima")
CASE_COLUMN = "case"
SETTING = "set:"
"""How the columns of a case's own settings begin in its key."""
Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Source:
    """Where one case comes from.

    Attributes:
        title: what the user calls it; may hold a patient's name.
        inputs: absolute path by the method's input name, or a reference into an index of an archive
            (:func:`manabi.archive.reading.reference`).
        settings: ``key=value`` texts of this case alone.
        problem: why it cannot be run, or empty.
    """

    title: str
    inputs: tuple[tuple[str, str], ...]
    settings: tuple[str, ...] = ()
    problem: str = ""

    @property
    def key(self) -> Key:
        """What makes it this case and no other: its inputs and its own settings, by column."""
        settings = (text.partition("=") for text in self.settings)
        return key_of((*self.inputs, *((f"{SETTING}{name}", value) for name, _, value in settings)))


def key_of(columns: Iterable[tuple[str, str]]) -> Key:
    """A case's key from its columns in any order; numbers count as equal however they are written."""
    return tuple(sorted((name, _plain(value) if name.startswith(SETTING) else value) for name, value in columns))


def _plain(value: str) -> str:
    try:
        return f"{float(value):.15g}"
    except ValueError:
        return value


@dataclass(frozen=True)
class Found:
    """The cases of a source.

    Attributes:
        cases: in the order of their names or rows.
        left_out: how many files beside them are no images.
        notes: what else was left out, without names.
    """

    cases: list[Source]
    left_out: int = 0
    notes: tuple[str, ...] = ()


def find_cases(source: Path, method: Method[Any], patterns: Mapping[str, str], output: Path) -> Found:
    """The cases of a folder, a CSV or the index of an archive, in the order of their names or rows.

    Args:
        source: folder, CSV, or index, from which the method's rules choose.
        method: whose inputs are looked for.
        patterns: glob pattern within a case's folder, per input name.
        output: the batch's own folder; neither it nor what it lies in is a case.

    Raises:
        InvalidInputError: where there are none, or the source is something else.
    """
    try:
        found = _found(source, method, patterns, output)
    except OSError as error:
        why = error.strerror
        raise InvalidInputError(f"{source} cannot be read ({why}). Check the path and its rights.") from error
    if not found.cases:
        notes = "".join(f" {note}" for note in found.notes)
        raise InvalidInputError(f"{source} holds no case: expected a sub-folder or an image per case.{notes}")
    return found


def _found(source: Path, method: Method[Any], patterns: Mapping[str, str], output: Path) -> Found:
    if source.is_dir():
        return _in_folder(source.resolve(), method, patterns, output.resolve())
    if source.is_file() and source.suffix.lower() in (".csv", ".tsv", ".txt"):
        return _in_table(source, method)
    if source.is_file() and is_index(source):
        return _in_archive(source, method)
    if source.exists():
        raise InvalidInputError(
            f"{source} is neither a folder, nor a CSV, nor an index of an archive. For one image, use: manabi run"
        )
    raise InvalidInputError(f"There is no file or folder {source}. Check the path.")


# --- a folder -----------------------------------------------------------------------------------------------------


def _in_folder(source: Path, method: Method[Any], patterns: Mapping[str, str], output: Path) -> Found:
    entries = [entry for entry in sorted(source.iterdir()) if not entry.name.startswith(".")]
    folders = [entry for entry in entries if entry.is_dir() and not _holds(entry, output)]
    files = [entry for entry in entries if entry.is_file()]
    first = method.inputs[0].name
    images = [f for f in files if (f.match(patterns[first]) if first in patterns else is_image(f))]
    _refuse_series(images)
    cases = [_from_folder(folder, method, patterns) for folder in folders]
    cases += [Source(stem(image), ((first, str(image)),)) for image in images]
    notes = _left_out(entries, output)
    return Found(sorted(cases, key=lambda case: case.title), len(files) - len(images), notes)


def _holds(entry: Path, output: Path) -> bool:
    """Whether a folder is the output or holds it."""
    return entry.resolve() in (output, *output.parents)


def _left_out(entries: Sequence[Path], output: Path) -> tuple[str, ...]:
    """What of a source is no case, but for files that are no images."""
    notes = []
    dangling = sum(not (entry.is_dir() or entry.is_file()) for entry in entries)
    if dangling:
        notes.append(
            f"{dangling} {'entry' if dangling == 1 else 'entries'} of the source could not be read (a link to what is "
            "not there, for instance)."
        )
    if any(entry.resolve() in output.parents for entry in entries):
        notes.append("The folder of the source in which the results are written was left out.")
    return tuple(notes)


def _from_folder(folder: Path, method: Method[Any], patterns: Mapping[str, str]) -> Source:
    whole = ((method.inputs[0].name, str(folder)),)
    try:
        inputs = _matched(folder, method, patterns) if patterns else _guessed(folder, method)
    except InvalidInputError as error:
        return Source(folder.name, whole, problem=str(error))
    except OSError as error:
        return Source(folder.name, whole, problem=f"The case's folder cannot be read ({error.strerror}).")
    return Source(folder.name, tuple((name, str(path)) for name, path in inputs.items()))


def _matched(folder: Path, method: Method[Any], patterns: Mapping[str, str]) -> dict[str, Path]:
    """One file or folder per pattern; an optional input may have none."""
    inputs = {}
    for spec in method.inputs:
        if spec.name not in patterns:
            continue
        matches = sorted(path for path in folder.glob(patterns[spec.name]) if not path.name.startswith("."))
        if len(matches) > 1 or not (matches or spec.optional):
            raise InvalidInputError(
                f"Expected one file for {spec.name} ({patterns[spec.name]}) in the case's folder; found "
                f"{len(matches)}. Change the pattern."
            )
        if matches:
            inputs[spec.name] = matches[0]
    return inputs


def _guessed(folder: Path, method: Method[Any]) -> dict[str, Path]:
    """The folder's only image, or those named after the inputs; a folder without image files is taken for DICOM."""
    images = [p for p in sorted(folder.iterdir()) if p.is_file() and _suffix(p) in IMAGES and p.name[0] != "."]
    first = method.inputs[0].name
    if not images:
        return {first: folder}
    names = [spec.name for spec in method.inputs]
    by_name = {stem(path): path for path in images if stem(path) in names}
    if first in by_name:
        return by_name
    if len(images) == 1:
        return {first: images[0]}
    raise InvalidInputError(
        f"The case's folder holds {len(images)} images, and none is called {first}. Say which to take: "
        f"--pattern '{first}=*.nii.gz'"
    )


def is_image(path: Path) -> bool:
    """Whether a file is meant to be an image, by its name, or by its content where the name does not say."""
    suffix = _suffix(path)
    if suffix in (*IMAGES, *DICOM):
        return True
    return (suffix == "" or suffix[1:].isdigit()) and path.name.upper() != "DICOMDIR" and _is_dicom(path)


def _is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its content; False where it cannot be read."""
    from manabi.io.radiograph import is_dicom

    try:
        return is_dicom(path)
    except OSError:
        return False


def _refuse_series(images: Sequence[Path]) -> None:
    """Refuse a folder that is itself one DICOM series: its slices are no cases."""
    from manabi.io.dicom.headers import find_headers

    uids: Counter[str] = Counter()
    for path in (p for p in images if _suffix(p) not in IMAGES and _is_dicom(p)):
        with suppress(ManabiError):  # a damaged file is a case that fails
            headers, _ = find_headers(path)
            uids.update(header.text("SeriesInstanceUID") for header in headers)
    if any(uid and count > 1 for uid, count in uids.items()):
        raise InvalidInputError(
            "The folder holds the slices of a DICOM series; expected a sub-folder per case. Name the folder above it, "
            "or use manabi run for one case."
        )


# --- an archive ---------------------------------------------------------------------------------------------------


def _in_archive(path: Path, method: Method[Any]) -> Found:
    """What the method's rules choose from an index."""
    with Index.opened(path) as index:
        choices = choose(archived_series(index.files()), method)
        complete = index.is_complete()
    used = sum(choice.use for choice in choices)
    notes = [f"{used} of the {len(choices)} series of the archive were chosen by rules. See why: manabi choose"]
    if not complete:
        notes.append("The index is not complete: its last run was stopped. Run manabi index again.")
    return _chosen(cases_of(choices, path), "No series of the archive fits. See why: manabi choose", notes)


def _chosen(cases: Sequence[ChosenCase], otherwise: str, notes: Sequence[str] = ()) -> Found:
    """The cases of a choice; raises InvalidInputError where there are none."""
    if not cases:
        raise InvalidInputError(otherwise)
    return Found([Source(c.name, tuple(c.inputs.items()), c.settings, c.problem) for c in cases], 0, tuple(notes))


# --- a table ------------------------------------------------------------------------------------------------------


def _in_table(path: Path, method: Method[Any]) -> Found:
    """One case per row; columns named as inputs hold paths, those named as parameters hold settings.

    A table that ``manabi choose`` has written holds one case per name, of the series that are to be used.
    """
    given, columns = read_rows(path)
    if is_choice(columns):
        return _chosen(read_choices(path, method), "The table says yes to no series. Set use to yes for some.")
    return Found(_paths_in_table(path, given, columns, method))


def _paths_in_table(path: Path, given: Rows, columns: Sequence[str], method: Method[Any]) -> list[Source]:
    names = [spec.name for spec in method.inputs]
    fields = [f.name for f in dataclasses.fields(method.parameters_type)]
    rows, known = _renamed(given, columns, [CASE_COLUMN, *names, *fields])
    needed = [spec.name for spec in method.inputs if not spec.optional]
    missing = [name for name in needed if name not in known]
    if missing:
        raise InvalidInputError(
            f"{path.name} has no column {', '.join(missing)}; its columns are {', '.join(columns)}. "
            f"Name them after the inputs: {', '.join(names)}."
        )
    settings = [name for name in fields if name in known]
    return [_from_row(row, path.absolute().parent, names, needed, settings) for row in rows]


def _renamed(rows: Rows, columns: Sequence[str], wanted: Sequence[str]) -> tuple[Rows, set[str]]:
    """The rows under the names that are wanted, and which of these there are; capitals do not matter.

    Raises:
        InvalidInputError: where it is not clear which column is meant.
    """
    meant = {}
    for name in wanted:
        alike = [column for column in columns if column.casefold() == name.casefold()]
        found = [column for column in alike if column == name] or alike
        if len(found) > 1:
            raise InvalidInputError(f"The table has {len(found)} columns {name}. Leave one of them.")
        if found:
            meant[name] = found[0]
    return [{name: row.get(column, "") for name, column in meant.items()} for row in rows], set(meant)


def _from_row(
    row: Mapping[str, str], base: Path, names: Sequence[str], needed: Sequence[str], settings: Sequence[str]
) -> Source:
    inputs = tuple((name, str(_in_place(base / row[name]))) for name in names if row.get(name))
    empty = [name for name in needed if not row.get(name)]
    title = row.get(CASE_COLUMN) or (stem(Path(inputs[0][1])) if inputs else "")
    given = tuple(f"{name}={row[name]}" for name in settings if row.get(name))
    return Source(title, inputs, given, f"The row names no file for {', '.join(empty)}." if empty else "")


def _in_place(path: Path) -> Path:
    """A path with the same text however its folder was reached: through links, or by way of ``..``."""
    name = path.name
    return path.resolve() if name in ("", os.pardir) else path.parent.resolve() / name


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def stem(path: Path) -> str:
    """A file's name without its suffix, ``.nii.gz`` whole; a folder's name as it is."""
    suffix = "" if path.is_dir() else _suffix(path)
    return path.name[: len(path.name) - len(suffix)] if suffix else path.name
