"""The index of an archive: one SQLite file, whole after any kill.

Every file of the archive is a row of ``files`` with its size and time; what its header says is a row of ``facts``,
which the files of a series share. Everything that is written goes through transactions of SQLite with its rollback
journal, so that a process that is killed, or a power cut, leaves the state after one of them. There is no other state:
the next run compares sizes and times and reads what is missing.

The file belongs to its owner alone (mode 600): it holds paths, which often name patients, and UIDs. It holds no name,
number, birth date or accession number of a patient.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from manabi.archive.facts import IMAGE, OBJECT, UNREADABLE, Facts, FileRecord
from manabi.errors import InvalidInputError, ManabiError

MAGIC = b"SQLite format 3\0"
APPLICATION_ID = 0x4D4E4249
"""By which SQLite's files say whose they are: "MNBI"."""
VERSION = 1
BUSY_S = 5.0
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB);
CREATE TABLE facts (id INTEGER PRIMARY KEY, content TEXT NOT NULL UNIQUE);
CREATE TABLE files (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, time_ns INTEGER NOT NULL, kind TEXT NOT NULL,
    facts INTEGER REFERENCES facts (id), item TEXT NOT NULL, uid TEXT NOT NULL, number INTEGER,
    frames INTEGER NOT NULL, places TEXT NOT NULL, problem TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX files_by_item ON files (item);
"""


@dataclass(frozen=True)
class Stamp:
    """Size and time of a file, by which a changed one is known."""

    size: int
    time_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stamp:
        """That of a file as the system describes it."""
        return cls(found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class IndexedFile:
    """A file of the archive with what is known of it; its path is kept out of ``repr``."""

    path: Path = field(repr=False)
    stamp: Stamp
    record: FileRecord

    @property
    def facts(self) -> Facts:
        """What its header says; only DICOM files are asked."""
        if self.record.facts is None:
            raise InvalidInputError("A file of the index has no header. Delete the index and make it again.")
        return self.record.facts


class Index:
    """An open index. Use :meth:`opened`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._facts: dict[str, int] = {}

    @classmethod
    @contextmanager
    def opened(cls, path: Path | str, *, create: bool = False) -> Iterator[Index]:
        """Open an index, for one process at a time where it writes.

        Args:
            path: the file.
            create: begin a new one where there is none.

        Raises:
            InvalidInputError: where there is none, it is something else, damaged, or in use.
            ManabiError: when the disk is full.
        """
        path = Path(path)
        with _plain_errors(path):
            connection = _connected(path, create)
            try:
                yield cls(path, connection)
            finally:
                connection.close()

    # --- meta ---------------------------------------------------------------------------------------------------------

    def root(self) -> Path | None:
        """The folder whose files it holds; None where it is of a list of files, or nothing was indexed yet."""
        value = self._value("root")
        return None if value is None else Path(os.fsdecode(value))

    def begin(self, root: Path | None) -> None:
        """Note of what it is the index, and that it is not complete.

        Raises:
            InvalidInputError: where it is that of another folder.
        """
        there = self._value("root")
        asked = b"" if root is None else os.fsencode(root)
        if there is not None and bytes(there) != asked:
            raise InvalidInputError(
                f"{self.path} is the index of another folder. Name another file with --output, or delete it."
            )
        with self._connection:
            self._set("root", asked)
            self._set("complete", b"")

    def is_complete(self) -> bool:
        """Whether the last run came to its end."""
        return bool(self._value("complete"))

    # --- files --------------------------------------------------------------------------------------------------------

    def stamps(self) -> dict[bytes, Stamp]:
        """Size and time of every file that need not be read again, by its stored path."""
        rows = self._connection.execute("SELECT path, size, time_ns FROM files WHERE kind != ?", (UNREADABLE,))
        return {path: Stamp(size, time_ns) for path, size, time_ns in rows}

    def paths(self) -> set[bytes]:
        """The stored paths of all files."""
        return {path for (path,) in self._connection.execute("SELECT path FROM files")}

    def put(self, files: Iterable[tuple[bytes, Stamp, FileRecord]]) -> None:
        """Store files as one transaction, in place of what was known of them."""
        with self._connection:
            rows = [
                (path, stamp.size, stamp.time_ns, r.kind, self._facts_id(r), r.item, r.uid, r.number, r.frames,
                 r.places, r.problem)
                for path, stamp, r in files
            ]  # fmt: skip
            self._connection.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)

    def finish(self, gone: Iterable[bytes]) -> None:
        """Forget files that are no more, and note that the index is complete."""
        with self._connection:
            self._connection.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in gone])
            self._connection.execute(
                "DELETE FROM facts WHERE id NOT IN (SELECT facts FROM files WHERE facts IS NOT NULL)"
            )
            self._set("complete", b"1")

    def counts(self) -> dict[str, int]:
        """How many files there are of each kind."""
        return dict(self._connection.execute("SELECT kind, count(*) FROM files GROUP BY kind ORDER BY kind"))

    def files(self, item: str | None = None) -> Iterator[IndexedFile]:
        """The DICOM files that could be read, by path: all of them, or those of one series or radiograph."""
        chosen, values = ("AND item = ?", [item]) if item is not None else ("", [])
        query = (
            "SELECT path, size, time_ns, kind, content, item, uid, number, frames, places, problem "
            f"FROM files JOIN facts ON facts.id = files.facts WHERE kind IN (?, ?) {chosen} ORDER BY path"
        )
        root = self.root()
        known: dict[str, Facts] = {}
        for path, size, time_ns, kind, content, *rest in self._connection.execute(query, [IMAGE, OBJECT, *values]):
            facts = known.get(content) or known.setdefault(content, Facts.from_json(content))
            place = Path(os.fsdecode(path))
            yield IndexedFile(
                place if root is None else root / place, Stamp(size, time_ns), FileRecord(kind, facts, *rest)
            )

    def paths_of_kind(self, kind: str) -> list[Path]:
        """Where the files of a kind lie, such as the damaged ones."""
        root = self.root() or Path()
        rows = self._connection.execute("SELECT path FROM files WHERE kind = ? ORDER BY path", (kind,))
        return [root / os.fsdecode(path) for (path,) in rows]

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _facts_id(self, record: FileRecord) -> int | None:
        if record.facts is None:
            return None
        content = record.facts.to_json()
        if content not in self._facts:
            self._connection.execute("INSERT OR IGNORE INTO facts (content) VALUES (?)", (content,))
            (found,) = self._connection.execute("SELECT id FROM facts WHERE content = ?", (content,)).fetchone()
            self._facts[content] = int(found)
        return self._facts[content]

    def _value(self, key: str) -> bytes | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def _set(self, key: str, value: bytes) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def is_index(path: Path) -> bool:
    """Whether a file is a SQLite data base; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _connected(path: Path, create: bool) -> sqlite3.Connection:
    """A connection to an index, its tables made where it is new."""
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder. Name a file for the index.")
    if not create and not path.is_file():
        raise InvalidInputError(f"There is no index {path}. Make one: manabi index FOLDER --output {path.name}")
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_S)
    try:
        if create:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            _make_tables(connection)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID or version != VERSION:
            raise InvalidInputError(f"{path} is no index of this version of Manabi. Name another file, or delete it.")
    except BaseException:
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty file, all or none."""
    connection.execute("BEGIN EXCLUSIVE")
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Say what SQLite's and the system's errors mean for the index."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error).lower()
        if "locked" in text or "busy" in text:
            message = f"{path} is in use by another process. Wait until it has ended."
        elif "full" in text or "disk i/o" in text:
            raise ManabiError(
                f"The disk of {path.parent} is full or fails; what was indexed so far is kept. Free some space and run "
                "the same command again."
            ) from error
        elif "readonly" in text or "unable to open" in text:
            message = f"Not allowed to write to {path}. Name a file of your own with --output."
        else:
            message = f"{path} is damaged or no index of Manabi's ({error}). Delete it and make it again."
        raise InvalidInputError(message) from error
    except OSError as error:
        raise InvalidInputError(
            f"{path} cannot be read or made ({error.strerror}). Name a file of your own with --output."
        ) from error
