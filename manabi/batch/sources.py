"""Finding the cases of a batch: one per file or sub-folder of a folder, or one per row of a CSV."""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manabi.errors import InvalidInputError, ManabiError
from manabi.method import Method

IMAGES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
DICOM = (".dcm", ".dicom", ".ima")
CASE_COLUMN = "case"


@dataclass(frozen=True)
class Source:
    """Where one case comes from.

    Attributes:
        title: what the user calls it; may hold a patient's name.
        inputs: absolute path by the method's input name.
        settings: ``key=value`` texts of this case alone.
        problem: why it cannot be run, or empty.
    """

    title: str
    inputs: tuple[tuple[str, str], ...]
    settings: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Found:
    """The cases of a source, and how many files beside them are no images."""

    cases: list[Source]
    left_out: int = 0


def find_cases(source: Path, method: Method[Any], patterns: Mapping[str, str], output: Path) -> Found:
    """The cases of a folder or a CSV, in the order of their names or rows.

    Args:
        source: folder or CSV.
        method: whose inputs are looked for.
        patterns: glob pattern within a case's folder, per input name.
        output: the batch's own folder, which is never a case.

    Raises:
        InvalidInputError: where there are none, or the source is something else.
    """
    if source.is_dir():
        found = _in_folder(source.absolute(), method, patterns, output.absolute())
    elif source.is_file() and source.suffix.lower() in (".csv", ".tsv", ".txt"):
        found = Found(_in_table(source.absolute(), method))
    elif source.exists():
        raise InvalidInputError(f"{source} is neither a folder nor a CSV. For one image, use: manabi run")
    else:
        raise InvalidInputError(f"There is no file or folder {source}. Check the path.")
    if not found.cases:
        raise InvalidInputError(f"{source} holds no case: expected a sub-folder or an image per case.")
    return found


# --- a folder -----------------------------------------------------------------------------------------------------


def _in_folder(source: Path, method: Method[Any], patterns: Mapping[str, str], output: Path) -> Found:
    entries = [e for e in sorted(source.iterdir()) if not e.name.startswith(".") and e.absolute() != output]
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if entry.is_file()]
    first = method.inputs[0].name
    images = [f for f in files if (f.match(patterns[first]) if first in patterns else is_image(f))]
    _refuse_series(images)
    cases = [_from_folder(folder, method, patterns) for folder in folders]
    cases += [Source(stem(image), ((first, str(image)),)) for image in images]
    return Found(sorted(cases, key=lambda case: case.title), len(files) - len(images))


def _from_folder(folder: Path, method: Method[Any], patterns: Mapping[str, str]) -> Source:
    try:
        inputs = _matched(folder, method, patterns) if patterns else _guessed(folder, method)
    except InvalidInputError as error:
        return Source(folder.name, ((method.inputs[0].name, str(folder)),), problem=str(error))
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
    from manabi.io.radiograph import is_dicom

    return (suffix == "" or suffix[1:].isdigit()) and path.name.upper() != "DICOMDIR" and is_dicom(path)


def _refuse_series(images: Sequence[Path]) -> None:
    """Refuse a folder that is itself one DICOM series: its slices are no cases."""
    from manabi.io.dicom.headers import find_headers
    from manabi.io.radiograph import is_dicom

    uids: Counter[str] = Counter()
    for path in (p for p in images if _suffix(p) not in IMAGES and is_dicom(p)):
        with suppress(ManabiError):  # a damaged file is a case that fails
            headers, _ = find_headers(path)
            uids.update(header.text("SeriesInstanceUID") for header in headers)
    if any(uid and count > 1 for uid, count in uids.items()):
        raise InvalidInputError(
            "The folder holds the slices of a DICOM series; expected a sub-folder per case. Name the folder above it, "
            "or use manabi run for one case."
        )


# --- a table ------------------------------------------------------------------------------------------------------


def _in_table(path: Path, method: Method[Any]) -> list[Source]:
    """One case per row; columns named as inputs hold paths, those named as parameters hold settings."""
    rows, columns = _rows(path)
    names = [spec.name for spec in method.inputs]
    needed = [spec.name for spec in method.inputs if not spec.optional]
    missing = [name for name in needed if name not in columns]
    if missing:
        raise InvalidInputError(
            f"{path.name} has no column {', '.join(missing)}; its columns are {', '.join(columns)}. "
            f"Name them after the inputs: {', '.join(names)}."
        )
    settings = [f.name for f in dataclasses.fields(method.parameters_type) if f.name in columns]
    return [_from_row(row, path.parent, names, needed, settings) for row in rows]


def _rows(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Rows and columns of a CSV as spreadsheets write it: UTF-8 with or without a mark; comma, semicolon or tab."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path.name} is not UTF-8. Save it as 'CSV UTF-8'.") from error
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    rows = [
        {(key or "").strip(): (value or "").strip() for key, value in row.items() if isinstance(value, str)}
        for row in reader
    ]
    return [row for row in rows if any(row.values())], [name.strip() for name in reader.fieldnames or []]


def _from_row(
    row: Mapping[str, str], base: Path, names: Sequence[str], needed: Sequence[str], settings: Sequence[str]
) -> Source:
    inputs = tuple((name, str(base / row[name])) for name in names if row.get(name))
    empty = [name for name in needed if not row.get(name)]
    title = row.get(CASE_COLUMN) or (stem(Path(inputs[0][1])) if inputs else "")
    given = tuple(f"{name}={row[name]}" for name in settings if row.get(name))
    return Source(title, inputs, given, f"The row names no file for {', '.join(empty)}." if empty else "")


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def stem(path: Path) -> str:
    """A file's name without its suffix, ``.nii.gz`` whole; a folder's name as it is."""
    suffix = "" if path.is_dir() else _suffix(path)
    return path.name[: len(path.name) - len(suffix)] if suffix else path.name
