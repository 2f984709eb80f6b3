"""Reading a folder of anything into the index: only what is new or changed, a few hundred files at a time.

Files may lie in any depth and have any name; they are known by their content. Hidden files and folders are left out,
and so are links to folders, which may lead in circles. Headers are read by several threads, so that the latency of a
network share is not waited for one file after another.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from manabi.archive.facts import DAMAGED, IMAGE, OBJECT, OTHER, UNREADABLE, FileRecord, read_record
from manabi.archive.index import Index, Stamp
from manabi.context import ProgressCallback
from manabi.errors import CancelledError, InvalidInputError
from manabi.pseudonym import Pseudonyms

CHUNK = 256
"""Files of one transaction; so many are read again after a kill, at most."""
THREADS = 4
DIRECTORY = "DICOMDIR"
SEPARATOR = os.sep.encode()


@dataclass(frozen=True)
class ScanReport:
    """What came of indexing.

    Attributes:
        counts: how many files there are of each kind, in the whole index.
        read: files that were read now.
        kept: files that were known and have not changed.
        gone: files that are no more.
        folders_unread: folders that could not be listed; what was known of them is kept.
        links: links to folders, which are not followed.
        not_there: files that a DICOMDIR names and that are not there.
    """

    counts: dict[str, int]
    read: int
    kept: int
    gone: int
    folders_unread: int = 0
    links: int = 0
    not_there: int = 0

    @property
    def notes(self) -> list[str]:
        """What its reader should know, without names."""
        found = [
            (self.counts.get(DAMAGED, 0), "DICOM file(s) are damaged or truncated and left out"),
            (self.counts.get(UNREADABLE, 0), "file(s) could not be opened; they are tried again the next time"),
            (self.folders_unread, "folder(s) could not be listed; what was known of them before is kept"),
            (self.links, "link(s) to folders were not followed"),
            (self.not_there, "file(s) that a DICOMDIR names are not there: the copy may be incomplete"),
        ]
        return [f"{count} {text}." for count, text in found if count]

    def to_json(self) -> dict[str, object]:
        """Everything in it as one JSON object."""
        kinds = (IMAGE, OBJECT, DAMAGED, OTHER, UNREADABLE)
        return {
            "files": {kind: self.counts.get(kind, 0) for kind in kinds}, "read": self.read, "kept": self.kept,
            "gone": self.gone, "notes": self.notes,
        }  # fmt: skip


def index_folder(
    source: Path | str, output: Path | str, on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> ScanReport:  # fmt: skip
    """Index a folder, or bring its index up to date.

    Args:
        source: the folder, or a DICOMDIR, whose folder is then taken.
        output: the index; continued where it is that of the same folder.
        on_progress: called with a fraction of what was known before, and a text.
        cancel: set it to stop; what was read is kept, and the next call goes on.

    Raises:
        InvalidInputError: where the folder is not there, or the index is something else or in use.
        ManabiError: when the disk is full.
        CancelledError: after ``cancel`` was set.
    """
    folder = Path(source)
    if folder.is_file() and folder.name.upper() == DIRECTORY:
        folder = folder.parent
    if not folder.is_dir():
        raise InvalidInputError(f"There is no folder {folder}. Name the folder of the archive, or its DICOMDIR.")
    root = folder.resolve()
    with Index.opened(output, create=True) as index:
        index.begin(root)
        return _Scan(index, _Walk(root, index.path.resolve()), on_progress, cancel).run(root)


def index_files(
    files: Iterable[Path | str], output: Path | str, on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> ScanReport:  # fmt: skip
    """Index a list of files, as a data base of another program has them; otherwise as :func:`index_folder`."""
    listed = sorted({os.fsencode(Path(file).absolute()) for file in files})
    with Index.opened(output, create=True) as index:
        index.begin(None)
        return _Scan(index, _Listed(listed), on_progress, cancel).run(None)


class _Walk:
    """The files of a folder with size and time; counts what it could not follow, and leaves out the index itself."""

    def __init__(self, root: Path, index: Path) -> None:
        self._root = os.fsencode(root)
        own = os.fsencode(index)
        self._own = (own, own + b"-journal")
        self.unread: list[bytes] = []
        self.links = 0
        self.directories: list[bytes] = []

    def __iter__(self) -> Iterator[tuple[bytes, Stamp]]:
        folders = [b""]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(joined(self._root, folder)) as listing:
                    entries = sorted((e for e in listing if not e.name.startswith(b".")), key=lambda e: e.name)
            except OSError:
                self.unread.append(folder)
                continue
            below = []
            for entry in entries:
                path = joined(folder, entry.name)
                if _is_folder(entry):
                    below.append(path)
                elif entry.path not in self._own and (stamp := self._stamp(entry, path)) is not None:
                    yield path, stamp
            folders += reversed(below)

    def _stamp(self, entry: os.DirEntry[bytes], path: bytes) -> Stamp | None:
        """Size and time of a file; None for a link to a folder or to nothing, and what is no file."""
        try:
            found = entry.stat()
        except OSError:
            return None
        if stat.S_ISDIR(found.st_mode):
            self.links += 1
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        if entry.name.upper() == DIRECTORY.encode():
            self.directories.append(path)
        return Stamp.of(found)

    def is_unknown(self, path: bytes) -> bool:
        """Whether a file that was not met may be there nevertheless, in a folder that could not be listed."""
        return any(not folder or path.startswith(folder + SEPARATOR) for folder in self.unread)


def joined(folder: bytes, name: bytes) -> bytes:
    """A path as the system has it, whatever its encoding; either part may be empty."""
    return SEPARATOR.join((folder.removesuffix(SEPARATOR), name)) if folder and name else folder or name


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


class _Listed:
    """Files of a list with size and time; those that are not there are left out."""

    unread: tuple[bytes, ...] = ()
    links = 0
    directories: tuple[bytes, ...] = ()

    def __init__(self, paths: list[bytes]) -> None:
        self._paths = paths

    def __iter__(self) -> Iterator[tuple[bytes, Stamp]]:
        for path in self._paths:
            try:
                found = Path(os.fsdecode(path)).stat()
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield path, Stamp.of(found)

    def is_unknown(self, path: bytes) -> bool:
        """A list says what there is."""
        return False


@dataclass
class _Scan:
    """One run over the files of a source."""

    index: Index
    source: _Walk | _Listed
    on_progress: ProgressCallback | None
    cancel: threading.Event | None
    _read: int = 0
    _kept: int = 0
    _known: dict[bytes, Stamp] = field(default_factory=dict)
    _left: set[bytes] = field(default_factory=set)

    def run(self, root: Path | None) -> ScanReport:
        """Read what is new, forget what is gone."""
        self._known, self._left = self.index.stamps(), self.index.paths()
        base = b"" if root is None else os.fsencode(root)
        pseudonyms = Pseudonyms.of_this_user()
        with _silence(), ThreadPoolExecutor(THREADS) as pool:
            changed = self._changed()
            while chunk := list(islice(changed, CHUNK)):
                self._check_cancelled()
                paths = [Path(os.fsdecode(joined(base, path))) for path, _ in chunk]
                records: Iterable[FileRecord] = pool.map(lambda path: read_record(path, pseudonyms), paths)
                self.index.put((path, stamp, r) for (path, stamp), r in zip(chunk, records, strict=True))
                self._read += len(chunk)
                self._tell()
        if self._known and not self._read + self._kept:
            raise InvalidInputError(
                "None of the files that the index knows is there any more; nothing was changed. Is the disk or the "
                "share connected? If they are gone for good, delete the index."
            )
        gone = [path for path in self._left if not self.source.is_unknown(path)]
        self.index.finish(gone)
        return ScanReport(
            self.index.counts(), self._read, self._kept, len(gone), len(self.source.unread), self.source.links,
            sum(_named_but_not_there(base, path) for path in self.source.directories),
        )  # fmt: skip

    def _changed(self) -> Iterator[tuple[bytes, Stamp]]:
        """The files to read; counts the others."""
        for path, stamp in self.source:
            self._left.discard(path)
            if self._known.get(path) == stamp:
                self._kept += 1
                if self._kept % 4096 == 0:
                    self._check_cancelled()
                    self._tell()
            else:
                yield path, stamp

    def _tell(self) -> None:
        if self.on_progress is not None:
            done = self._read + self._kept
            self.on_progress(min(done / max(len(self._known), done + CHUNK), 1.0), f"{done:,} files")

    def _check_cancelled(self) -> None:
        if self.cancel is not None and self.cancel.is_set():
            raise CancelledError("Cancelled. What was indexed is kept; the same command goes on.")


@contextmanager
def _silence() -> Iterator[None]:
    """Without pydicom's remarks on values; around the threads, each of which switches Python's warnings off and on."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)


def _named_but_not_there(base: bytes, directory: bytes) -> int:
    """How many files a DICOMDIR names that are not there; 0 where it cannot be read."""
    import pydicom

    from manabi.io.dicom.pixels import damage

    path = Path(os.fsdecode(joined(base, directory)))
    try:
        with _silence():
            records = pydicom.dcmread(path, force=True).get("DirectoryRecordSequence") or []
            named = [record.get("ReferencedFileID") for record in records]
    except damage():
        return 0
    parts = [[one] if isinstance(one, str) else list(one) for one in named if one]
    here = {name.casefold() for name in _names_below(path.parent)}
    return sum("/".join(part).casefold() not in here for part in parts)


def _names_below(folder: Path) -> Iterator[str]:
    """Paths of all files below a folder, with slashes."""
    for place, _, names in os.walk(folder):
        yield from ((Path(place) / name).relative_to(folder).as_posix() for name in names)
