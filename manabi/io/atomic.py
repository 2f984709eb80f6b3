"""Writing that either happens as a whole or leaves nothing behind."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from manabi.errors import InvalidInputError, ManabiError

ASIDE_PREFIX = ".manabi-"
"""How names begin that are being written; a process that was killed leaves them behind."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space, the user's share is used up, or the disk takes no file that large."""
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_PLACE = (FileExistsError, FileNotFoundError, NotADirectoryError)
"""What making a folder raises where a file is in its way, or the system has none there."""


@contextlib.contextmanager
def atomic_file(path: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """``with atomic_file(path) as aside:`` write the file ``aside``; it becomes ``path`` when the block ends well.

    ``aside`` lies in the same folder and ends in the same name, so that writers which look at the suffix work. On any
    exception it is removed and ``path`` stays what it was. Missing parent folders are made.

    Raises:
        InvalidInputError: where ``path`` exists and ``overwrite`` is not set, or where writing is not allowed.
        ManabiError: when the disk is full.
    """
    target = Path(path)
    if target.is_dir() or (target.exists() and not overwrite):
        raise InvalidInputError(f"{target} exists already. Choose another name, or allow overwriting.")
    aside = _aside(target)
    with _plain_errors(target):
        made = _make_parents(target.parent)
        try:
            yield aside
            _sync(aside)
            aside.replace(target)
        except BaseException:
            aside.unlink(missing_ok=True)
            _remove_empty(made)
            raise


@contextlib.contextmanager
def atomic_folder(path: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """``with atomic_folder(path) as aside:`` fill the folder ``aside``; it becomes ``path`` when the block ends well.

    On any exception it is removed with all that is in it, and a former folder at ``path`` stays what it was. With
    ``overwrite`` a former folder is replaced as a whole, never mixed with the new one. An empty folder at ``path`` is
    taken as free.

    Raises:
        InvalidInputError: where ``path`` exists and ``overwrite`` is not set, or where writing is not allowed.
        ManabiError: when the disk is full.
    """
    target = Path(path)
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not overwrite):
        raise InvalidInputError(f"{target} exists already. Choose another folder, or allow overwriting.")
    aside = _aside(target)
    with _plain_errors(target):
        made = _make_parents(target.parent)
        try:
            aside.mkdir()
            yield aside
            for file in sorted(aside.rglob("*")):
                _sync(file)
            _replace_folder(aside, target)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            _remove_empty(made)
            raise


def check_place(folder: Path) -> None:
    """Refuse, before any work is done for it, a folder that cannot be made or written to.

    Raises:
        InvalidInputError: where a file is in its way, or writing is not allowed.
    """
    nearest = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if _is_there(parent))
    if not nearest.is_dir():
        way = (
            f"{folder} is a file." if nearest == folder.absolute() else f"{folder} lies in {nearest}, which is a file."
        )
        raise InvalidInputError(f"{way} Name a folder for the results.")
    if not os.access(nearest, os.W_OK):
        raise InvalidInputError(f"Not allowed to write to {nearest}. Name a folder of your own for the results.")


def _is_there(path: Path) -> bool:
    """Whether a path exists; False, too, where nobody may look."""
    try:
        return path.exists()
    except OSError:
        return False


def _aside(target: Path) -> Path:
    """A name of its own beside the target, with the target's suffixes; short enough for every file system."""
    return target.parent / f"{ASIDE_PREFIX}{uuid.uuid4().hex[:12]}-{target.name[-40:]}"


def _replace_folder(aside: Path, target: Path) -> None:
    """Put ``aside`` in the place of ``target``; the former folder comes back if that fails."""
    if not target.exists():
        aside.replace(target)
        return
    former = _aside(target)
    target.replace(former)
    try:
        aside.replace(target)
    except BaseException:
        former.replace(target)
        raise
    shutil.rmtree(former, ignore_errors=True)


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder with its parents; returns those that were not there, innermost first."""
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except NO_PLACE as error:
        raise InvalidInputError(
            f"The folder {folder} cannot be made ({error.strerror}). Name a folder of your own."
        ) from error
    return made


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _sync(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    if path.is_file():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


@contextlib.contextmanager
def _plain_errors(target: Path) -> Iterator[None]:
    """Say what a failing disk means, with the folder that the user named: a file may lie in one that is only aside."""
    aside = [folder for folder in target.parents if folder.name.startswith(ASIDE_PREFIX)]
    place = aside[-1].parent if aside else target.parent
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            what = "takes no file that large" if error.errno == errno.EFBIG else "is full"
            raise ManabiError(
                f"The disk of {place} {what}; nothing was written. Free some space, or choose another disk, and run "
                "again."
            ) from error
        if error.errno in FORBIDDEN:
            raise InvalidInputError(f"Not allowed to write to {target}. Choose a folder of your own.") from error
        raise
