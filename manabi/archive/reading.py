"""Reading what was chosen: a series by its reference, which names the index and a pseudonym and no file."""

from __future__ import annotations

from pathlib import Path

from manabi.archive.facts import OBJECT
from manabi.archive.index import Index, IndexedFile, Stamp
from manabi.errors import InvalidInputError
from manabi.volume import Volume

MARK = "#"
"""Between the path of the index and the pseudonym."""
KINDS = ("SE-", "IM-")
CHANGED = "was moved or changed since it was indexed. Bring the index up to date: manabi index"


def reference(index: Path, item: str) -> str:
    """How a series of an index is named as an input: ``/path/archive.sqlite#SE-...``."""
    return f"{index.resolve()}{MARK}{item}"


def is_reference(text: str) -> bool:
    """Whether an input's text is such a reference rather than a path."""
    path, mark, item = text.rpartition(MARK)
    return bool(path and mark) and item.startswith(KINDS) and not Path(text).exists()


def read_reference(text: str, name: str = "volume", image: Volume | None = None) -> Volume:
    """The volume of a series, the radiograph, or the label map of a SEG or RTSTRUCT that a reference names.

    Args:
        text: the reference.
        name: of the volume, free of patient identifiers.
        image: on whose grid structures are drawn.

    Raises:
        InvalidInputError: where the index has no such series, a file of it is not what was indexed any more, or
            whatever :func:`manabi.io.dicom.read_dicom` raises.
    """
    files = files_of(text)
    from dataclasses import replace

    from manabi import log
    from manabi.io.dicom import read_dicom
    from manabi.io.radiograph import MODALITIES, read_radiograph

    paths = [file.path for file in files]
    if files[0].record.kind == OBJECT:
        return replace(_mask(files, name, image), name=name)
    if len(paths) == 1 and files[0].facts.modality in MODALITIES:
        log.hide_paths(paths)
        return read_radiograph(paths[0], name=name)
    return replace(read_dicom(paths), name=name)


def _mask(files: list[IndexedFile], name: str, image: Volume | None) -> Volume:
    """The label map of the one file of a series of structures."""
    modality = files[0].facts.modality or "no images"
    if image is None or modality not in ("SEG", "RTSTRUCT"):
        raise InvalidInputError(f"The series chosen as {name} holds {modality}, which is no image to read.")
    if len(files) > 1:
        raise InvalidInputError(
            f"The series chosen as {name} holds {len(files)} {modality} objects; expected one. Export the one you mean "
            "as a series of its own."
        )
    from manabi.io.dicom.masks import read_mask

    return read_mask(files[0].path, image)


def files_of(text: str) -> list[IndexedFile]:
    """The files of a reference, all as they were when indexed."""
    path, _, item = text.rpartition(MARK)
    with Index.opened(path) as index:
        files = list(index.files(item))
    if not files:
        raise InvalidInputError("The index has no such series any more. Choose again: manabi choose")
    lost = [number for number, file in enumerate(files, 1) if not _is_same(file)]
    if lost:
        which = "The file" if len(files) == 1 else f"File {lost[0]} of {len(files)}"
        raise InvalidInputError(f"{which} of the series {CHANGED}")
    return files


def _is_same(file: IndexedFile) -> bool:
    try:
        return Stamp.of(file.path.stat()) == file.stamp
    except OSError:
        return False
